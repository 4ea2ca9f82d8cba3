#!/usr/bin/env bash
# How many series a node makes: pods.sh PODS... (default 30 110 250). Each pod has two containers that do all that
# a container can do to make series (tests/live/pods_work.c), with every collector on; their names come from a
# folder as the kubelet makes it. Prints a line for each number of pods.
. "$(dirname "$0")/../live/lib.sh"
[ $# -gt 0 ] || set -- 30 110 250

live_begin "$@"

helper pods_work
pods_work=$helper
chmod 755 "$tap_tmp"
ip netns add pods
ip -n pods link set lo up
nsenter --net=/run/netns/pods nft -f - <<'NFT'
table inet t { chain out { type filter hook output priority 0; udp dport 9 drop; }; }
NFT
truncate -s 16M "$tap_tmp/disk"
disk=$(losetup --find --show "$tap_tmp/disk")
exec {disk_fd}<"$disk"
losetup --detach "$disk"

uid_of() {
	printf '%08x-1111-4222-8333-444444444444' "$1"
}
id_of() {
	printf '%032x%032x' "$1" "$2"
}

# container POD NUMBER: starts one; it holds its sockets open until fd $hold is closed
container() {
	local group root port=$((10000 + $1 * 20 + $2 * 4)) files=()
	group=kubepods/burstable/pod$(uid_of "$1")/$(id_of "$1" "$2")
	cgroup_new "$group"
	for root in "${live_roots[@]}"; do
		files+=("$root/$live_cgroup/$group/cgroup.procs")
	done
	# shellcheck disable=SC2016
	setpriv --pdeathsig KILL bash -c 'for file in $1; do echo $$ >"$file" || exit; done; shift
		exec nsenter --net=/run/netns/pods "$@"' - "${files[*]}" "$pods_work" $port "$disk" "$tap_tmp/file.$1.$2" \
		<"$tap_tmp/hold" >>"$tap_tmp/ready" &
}

printf '%-6s %10s %8s %8s %8s %8s %10s %10s %9s\n' pods containers series process group others plain gzip resident
for pods in "$@"; do
	mkdir -p "$tap_tmp/node/var/log/pods" "$tap_tmp/node/var/log/containers"
	: >"$tap_tmp/ready"
	rm -f "$tap_tmp/hold"
	mkfifo "$tap_tmp/hold"
	exec {hold}<>"$tap_tmp/hold"
	for pod in $(seq "$pods"); do
		mkdir -p "$tap_tmp/node/var/log/pods/shop_web-${pod}_$(uid_of "$pod")"
		for n in 1 2; do
			: >"$tap_tmp/node/var/log/containers/web-${pod}_shop_c${n}-$(id_of "$pod" $n).log"
		done
	done
	exporter_start --ebpf-probe-interval=1s --path.rootfs="$tap_tmp/node" --collector.fsync --collector.syscall \
		--collector.migrate
	for pod in $(seq "$pods"); do
		container "$pod" 1
		container "$pod" 2
		# a few at a time: this is no race
		while [ $((pod * 2 - $(wc -l <"$tap_tmp/ready"))) -gt 16 ]; do sleep 0.05; done
	done
	wait_until 60 sh -c "[ \$(wc -l <'$tap_tmp/ready') -ge $((pods * 2)) ]" || echo "not all containers got ready" >&2
	sleep 3 # two polls: what an iterator counts is there as well
	scrape "$tap_tmp/scrape"
	curl -sS --compressed -H 'Accept-Encoding: gzip' -o "$tap_tmp/x" -w '%{size_download}' "http://127.0.0.1:$port/metrics" >"$tap_tmp/gzip"
	of() { value_in "$tap_tmp/scrape" bpf_exporter_series "level=\"$1\""; }
	series=$(grep -vc '^#' "$tap_tmp/scrape")
	process=$(grep -c '^ebpf_[a-z_]*{pid=' "$tap_tmp/scrape")
	group=$(grep -c '^ebpf_cgroup_' "$tap_tmp/scrape")
	printf '%-6s %10s %8s %8s %8s %8s %7s kB %7s kB %6s MB\n' "$pods" $((pods * 2)) "$series" "$process" "$group" \
		$((series - process - group)) $(($(stat -c %s "$tap_tmp/scrape") / 1000)) $(($(cat "$tap_tmp/gzip") / 1000)) \
		"$(awk '$1 == "VmRSS:" { printf "%.1f", $2 / 1024 }' "/proc/$exporter_pid/status")"
	exporter_stop
	exec {hold}>&-
	for job in $(jobs -p); do kill -KILL "$job" 2>/dev/null; done
	{ wait; } 2>/dev/null
	for root in "${live_roots[@]}"; do
		cgroup_remove "$root/$live_cgroup"
	done
done
tap_finished=1
