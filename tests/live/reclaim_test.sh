#!/usr/bin/env bash
# Catches: a stall that is lost or counted twice, or for another than who stood still; counts, times and
# observations that tell of different stalls; the node's shortage taken for a group's limit.
. "$(dirname "$0")/lib.sh"
live_begin "$@"

limit() {
	if [ -e "${live_roots[0]}$1/memory.max" ]; then
		echo 20M >"${live_roots[0]}$1/memory.max"
	else
		echo 20M >"${live_roots[0]}$1/memory.limit_in_bytes"
	fi
}
vmstat_sum() {
	awk -v want="^($1)" '$1 ~ want { n += $2 } END { print n + 0 }' /proc/vmstat
}
# Reads and writes a file larger than its group may keep in memory.
fill() {
	in_cgroup "$1" dd if=/dev/zero of="$file" bs=1M count=48 conv=notrunc 2>/dev/null
	in_cgroup "$1" dd if="$file" of=/dev/null bs=1M 2>/dev/null
}

# On a disk, and not on a loop device: the memory that such a device's file is in counts for the group
# as well (from 5.14, on cgroup v2), and cannot be freed. It has no name, so it goes with the test.
mkdir -p "$live_top/build"
if ! exec {fd}<>"$live_top/build/reclaim_test.$$" || ! rm "$live_top/build/reclaim_test.$$" ||
	[[ $(stat -f -c %T "/proc/$$/fd/$fd") =~ tmpfs|overlay|ramfs ]]; then
	skip "memory that has to be freed" "no file on a disk can be made in build/"
	finish
fi
file=/proc/$$/fd/$fd
cgroup_new a
a="cgroup=\"$cgroup_path\""
limit "$cgroup_path"
cgroup_new b
b="cgroup=\"$cgroup_path\""
limit "$cgroup_path"
exporter_start
stalls=$(vmstat_sum allocstall_)

# the independent count: perf's, while only this test reaches a limit
perf=(perf stat -a -x ',' -o "$tap_tmp/perf" -e vmscan:mm_vmscan_memcg_reclaim_begin --)
if ! "${perf[@]}" true 2>/dev/null || grep -q 'not supported' "$tap_tmp/perf"; then
	perf=()
fi
export -f fill in_cgroup cgroup_enter
export file live_cgroup
scrape "$tap_tmp/before"
"${perf[@]}" bash -c 'live_roots=("$@"); fill a; fill a; fill b' fill "${live_roots[@]}"
scrape "$tap_tmp/now"

# of NAME LABEL...: since before
of() {
	python3 -c 'import sys, decimal; a, b = map(decimal.Decimal, sys.argv[1:]); print(f"{(a - b).normalize():f}")' \
		"$(value_in "$tap_tmp/now" "$@")" "$(value_in "$tap_tmp/before" "$@")"
}
in_a=$(of ebpf_cgroup_direct_reclaims_total "$a" 'scope="memcg"')
in_b=$(of ebpf_cgroup_direct_reclaims_total "$b" 'scope="memcg"')
check "the limit was reached in both groups ($in_a, $in_b)" [ "$in_a" -gt 5 -a "$in_b" -gt 5 ]
if [ ${#perf[@]} != 0 ]; then
	equal "all groups = perf's count" "$(of ebpf_cgroup_direct_reclaims_total 'scope="memcg"')" \
		"$(awk -F, '/mm_vmscan_memcg_reclaim_begin/ { print $1 }' "$tap_tmp/perf")"
else
	skip "all groups = perf's count" "perf is not installed, or may not count"
fi
for name in a b; do
	group=${!name}
	count=$(of ebpf_cgroup_direct_reclaims_total "$group")
	equal "$name: the processes are dd, each of them" \
		"$(of ebpf_direct_reclaims_total "$group" 'comm="dd"')" "$count"
	equal "$name: observations" "$(of ebpf_cgroup_direct_reclaim_latency_seconds_count "$group")" "$count"
	time=$(of ebpf_cgroup_direct_reclaim_seconds_total "$group")
	check "$name: time passed ($time s)" [ "$time" != 0 ]
	equal "$name: its processes' time" "$(of ebpf_direct_reclaim_seconds_total "$group")" "$time"
	equal "$name: the histogram's sum" "$(of ebpf_cgroup_direct_reclaim_latency_seconds_sum "$group")" "$time"
done
check "the node's own shortage: at most what vmstat says" \
	[ "$(of ebpf_cgroup_direct_reclaims_total 'scope="node"')" -le $(($(vmstat_sum allocstall_) - stalls)) ]

# ---- memory moved together, by a process of a group ----
if [ -w /proc/sys/vm/compact_memory ]; then
	in_cgroup b bash -c 'echo 1 >/proc/sys/vm/compact_memory'
	moved=$(value ebpf_cgroup_compaction_stall_seconds_total "$b")
	check "moving memory took group b time ($moved s)" [ "$moved" != 0 ]
	equal "and group a none" "$(value ebpf_cgroup_compaction_stall_seconds_total "$a")" 0
else
	skip "memory moved together" "this kernel has no /proc/sys/vm/compact_memory"
fi
finish
