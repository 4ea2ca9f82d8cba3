#!/usr/bin/env bash
# Catches: a kill counted for whoever asked for memory instead of the victim; kills lost or doubled.
. "$(dirname "$0")/lib.sh"
live_begin "$@"

vmstat_kills() {
	awk '$1 == "oom_kill" { print $2 }' /proc/vmstat
}

limit_memory() {
	if [ -e "${live_roots[0]}$1/memory.max" ]; then
		echo 30M >"${live_roots[0]}$1/memory.max"
		echo 0 >"${live_roots[0]}$1/memory.swap.max" 2>/dev/null
	else
		echo 30M >"${live_roots[0]}$1/memory.limit_in_bytes"
	fi
}

exporter_start
cgroup_new victims
scrape "$tap_tmp/before"
check "a group that exists shows 0 kills before its first" \
	grep -q "^ebpf_cgroup_oom_kills_total{cgroup=\"$cgroup_path\"} 0\$" "$tap_tmp/before"
limit_memory "$cgroup_path"
kills=$(vmstat_kills)
for _ in 1 2 3; do
	in_cgroup victims tail /dev/zero >/dev/null 2>&1
done
kills=$(($(vmstat_kills) - kills))
equal "three kills happened" "$kills" 3
equal "kills of the group" "$(value ebpf_cgroup_oom_kills_total "cgroup=\"$cgroup_path\"")" "$kills"
equal "kills of all groups = vmstat oom_kill" "$(value ebpf_cgroup_oom_kills_total)" "$kills"
equal "kills of processes, by the victim's name" \
	"$(value ebpf_oom_kills_total 'comm="tail"' "cgroup=\"$cgroup_path\"")" "$kills"
finish
