#!/usr/bin/env bash
# Catches: a failure that is lost, counted twice or under another name, failures that mean nothing
# counted with them (a lock's time limit above all), and those of a neighbour.
. "$(dirname "$0")/lib.sh"
live_begin "$@"

helper syscall_work
mkdir "$tap_tmp/readonly"
mount -t tmpfs -o ro none "$tap_tmp/readonly"
cgroup_new a
a="cgroup=\"$cgroup_path\""
cgroup_new b
b="cgroup=\"$cgroup_path\""
exporter_start --collector.syscall

cgroup_enter a
# a network of its own: the limit of multicast groups is small, and nobody else is in it
unshare --net bash -c 'ip link set lo up multicast on; exec "$@"' work "${enter[@]}" "$helper" "$tap_tmp/readonly" \
	>"$tap_tmp/seen"
scrape "$tap_tmp/now"
all=0
while read -r name times; do
	if [ "$times" = 0 ]; then
		skip "$name" "this kernel says something else there"
		continue
	fi
	equal "$name of the group" "$(value_in "$tap_tmp/now" ebpf_cgroup_syscall_errors_total "$a" "errno=\"$name\"")" "$times"
	equal "$name of the process" \
		"$(value_in "$tap_tmp/now" ebpf_syscall_errors_total "$a" "errno=\"$name\"" 'comm="syscall_work"')" "$times"
	all=$((all + times))
done <"$tap_tmp/seen"
check "most of them could be made ($(wc -l <"$tap_tmp/seen"))" [ "$(awk '$2 > 0' "$tap_tmp/seen" | wc -l)" -ge 7 ]
equal "and no others: no lock's time limit, no wrong descriptor" \
	"$(value_in "$tap_tmp/now" ebpf_cgroup_syscall_errors_total "$a")" "$all"
equal "none of them elsewhere" "$(value_in "$tap_tmp/now" ebpf_cgroup_syscall_errors_total "$b")" 0
spawn_in b dd if=/dev/zero of=/dev/full count=1 2>/dev/null
wait "$spawned"
equal "by process" "$(value ebpf_syscall_errors_total "pid=\"$spawned\"" 'errno="ENOSPC"' "$b")" 1
equal "the other group has what it had" "$(value ebpf_cgroup_syscall_errors_total "$a")" "$all"
umount "$tap_tmp/readonly"
finish
