#!/usr/bin/env bash
# A node of PODS pods (1000) with two containers each, of which 20 end and begin each second, for SECONDS (120):
# memory, series and the work of a poll reach a plateau, and come back when all pods are gone.
#
#   tests/pods_soak.sh [PODS [SECONDS]]        (make soak-pods)
#
# Catches: names, groups, rows and buffers that are kept for what is gone; polls that get longer with what ever
# lived; containers without their pod's name when many come at once; counts lost on the way.
# shellcheck source=tests/live/lib.sh
. "$(dirname "$0")/live/lib.sh"
# shellcheck source=tests/live/soak.sh
. "$(dirname "$0")/live/soak.sh"
live_begin "$@"
pods=${1:-1000} seconds=${2:-120} rate=20
process_retention=10 cgroup_retention=20
if [ "$seconds" -lt 120 ]; then
	process_retention=2 cgroup_retention=3
fi
here=${BASH_SOURCE[0]%/*}/live
mkdir -p "$tap_tmp"/node/var/log/{pods,containers} # before the exporter: its sandbox knows what is there
chmod 755 "$tap_tmp" # the exporter is nobody
cp "$(type -P true)" "$tap_tmp/soak_true"
exporter_start --path.rootfs="$tap_tmp/node" --process.max-series=1000000 \
	--process.retention=${process_retention}s --cgroup.retention=${cgroup_retention}s
cgroup_new kubepods/besteffort

# What a poll takes, and what is resident: sets $poll (us of CPU, one scrape included) and $resident (kB).
measure() {
	local -a at
	scrape "$tap_tmp/0"
	sleep 5
	scrape "$tap_tmp/1"
	mapfile -t at < <(for n in 0 1; do
		value_in "$tap_tmp/$n" process_cpu_seconds_total
		sed -n 's/^bpf_exporter_poll_duration_seconds_count{collector="process"} //p' "$tap_tmp/$n"
	done)
	poll=$(awk -v a="${at[0]}" -v n="${at[1]}" -v b="${at[2]}" -v m="${at[3]}" 'BEGIN { printf "%d", 1e6 * (b - a) / (m - n) }')
	resident=$(awk '$1 == "VmRSS:" { print $2 }' "/proc/$exporter_pid/status")
}
measure
poll_before=$poll resident_before=$resident
removed() { # FILE FAMILY
	value_in "$1" "$2" 'cgroup="(removed)"'
}
execs_before=$(removed "$tap_tmp/1" ebpf_cgroup_execs_total)

spawn python3 "$here/pods.py" "$pods" $rate "$seconds" "$tap_tmp/soak_true" "$tap_tmp/node" "$live_cgroup" \
	"${live_roots[@]}" >"$tap_tmp/done" 2>"$tap_tmp/churn.log"
churn=$spawned
check "all pods begin" wait_until 120 test -e "$tap_tmp/node/full"
soak_watch "$churn" "$seconds" $process_retention
containers=$(cat "$tap_tmp/done")
echo "# $containers containers in $seconds s after the first $pods pods"
check "it was the rate asked for" [ "$containers" -ge $((2 * (pods + rate * (seconds - 1)))) ]

gone() {
	scrape "$tap_tmp/after"
	! grep -q 'namespace="soak"' "$tap_tmp/after"
}
check "the pods' series are gone by retention" wait_until $((cgroup_retention + 30)) gone
# a container's program, and sleep
equal "each container's programs are in (removed)" \
	$(($(removed "$tap_tmp/after" ebpf_cgroup_execs_total) - execs_before)) $((2 * containers))
# not at once: what left is buried some polls later, and its memory given back some after that
peak=$(awk '$1 == "VmHWM:" { print $2 }' "/proc/$exporter_pid/status")
most_us=$((poll_before * 2 + 1000)) most_kb=$((resident_before + 4096 + (peak - resident_before) / 4)) # tables grew
came_back() {
	measure
	[ "$poll" -le $most_us ] && [ "$resident" -le $most_kb ]
}
for _ in 1 2 3 4 5 6 7 8; do # of 5 s
	! came_back || break
done
echo "# before: $poll_before us a poll, $resident_before kB; after: $poll us a poll, $resident kB"
check "a poll takes about what it took before: $poll_before us, then $poll us" [ "$poll" -le $most_us ]
check "memory comes back: $resident_before kB, at most $peak, then $resident" [ "$resident" -le $most_kb ]
exporter_stop
equal "it ends in peace" $? 0
complaints=$(grep -E 'level=(warn|error)' "$tap_tmp/exporter.log" | head -n 3)
equal "it has nothing to complain of" "${complaints:-nothing}" nothing
finish
