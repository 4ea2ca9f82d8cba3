#!/usr/bin/env bash
# Catches: counts of a systemd-nspawn container that get lost, or double, as it has cgroups of its own in some
# hierarchies only: where it is not registered with machined, it is what its caller is in the memory hierarchy.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/net.sh"
. "$(dirname "$0")/real.sh"
. "$(dirname "$0")/runtimes.sh"
live_begin "$@"
real_needs systemd-container:systemd-nspawn busybox-static:busybox
if [ "${live_roots[0]}" = /sys/fs/cgroup ]; then
	skip "${0##*/}" "with cgroup v2 alone nspawn wants systemd to make its scope, which cgroup_path_test has as a path"
	finish
fi
runtime_begin
mkdir -p "$runtime_image/etc" "$runtime_image/usr/lib"
echo 'ID=busybox' >"$runtime_image/usr/lib/os-release"
cgroup_new machine
for root in "${live_roots[@]}" /sys/fs/cgroup/systemd; do
	mkdir -p "$root$cgroup_path"
done
echo 30M >"${live_roots[0]}$cgroup_path/memory.limit_in_bytes"
runtime_exporter
start() {
	# shellcheck disable=SC2016
	room_spawn bash -c 'for folder in /sys/fs/cgroup/{memory,blkio,unified,systemd}; do
			[ ! -d "$folder" ] || echo 0 >"$folder$1/cgroup.procs"
		done
		exec systemd-nspawn -q --register=no --keep-unit --directory="$2" --machine=nsp1 /bin/work' \
		- "$cgroup_path" "$runtime_image" >"$tap_tmp/nspawn.log" 2>&1 </dev/null
}
machine_waits() {
	local pid children
	runtime_path=$cgroup_path
	while read -r pid; do
		[ "$(cat "/proc/$pid/comm" 2>/dev/null)" = work ] || continue
		runtime_pid=$pid
		read -ra children <"/proc/$pid/task/$pid/children"
		[ ${#children[@]} = 1 ] && return
	done <"${live_roots[0]}$cgroup_path/cgroup.procs"
	return 1
}
start
if ! wait_until 10 machine_waits; then
	skip "${0##*/}" "nspawn cannot run here: $(tail -n 1 "$tap_tmp/nspawn.log")"
	finish
fi
runtime_works "a machine" before "cgroup=\"$cgroup_path\""
kill -KILL "$runtime_pid"
machine_is_gone() {
	! [ -d "/proc/$runtime_pid" ]
}
need 10 machine_is_gone
had=${runtime_had[execs cgroup=\"$cgroup_path\"]}
start
need 10 machine_waits
check "a machine started again goes on" [ "$(value ebpf_cgroup_execs_total "cgroup=\"$cgroup_path\"")" -gt "$had" ]
runtime_works "a machine started again" before "cgroup=\"$cgroup_path\""
equal "of its payload's cgroup in other hierarchies there are no series" \
	"$(grep -c "^ebpf_.*cgroup=\"$cgroup_path/.*payload" "$tap_tmp/scrape")" 0
remove_all() {
	local root
	kill -KILL "$runtime_pid"
	need 10 machine_is_gone
	for root in /sys/fs/cgroup/*; do
		cgroup_remove "$root$cgroup_path"
	done
	runtime_had[execs cgroup=\"$cgroup_path\"]=$(value ebpf_cgroup_execs_total "cgroup=\"$cgroup_path\"")
}
runtime_gone "machine removed" remove_all
finish
