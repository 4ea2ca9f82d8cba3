#!/usr/bin/env bash
# Catches: an exporter that is killed for its memory where its container gets 32 MiB: at start, when the
# tables fill, or when it answers; rows that found no memory and took their counts with them.
. "$(dirname "$0")/lib.sh"
live_begin "$@"

processes=10000
helper process_work
work=$helper

collectors_up() { # FILE
	scrape "$tap_tmp/scrape" && grep '^bpf_exporter_collector_up{' "$tap_tmp/scrape" >"$1"
}
# A file of the cgroup: v1's name of it, v2's.
limit_file() {
	if [ -e "${live_roots[0]}$limited/memory.limit_in_bytes" ]; then
		echo "${live_roots[0]}$limited/$1"
	else
		echo "${live_roots[0]}$limited/$2"
	fi
}
oom_kills() {
	awk '$1 == "oom_kill" { print $2 }' "$(limit_file memory.oom_control memory.events)"
}
peak() {
	cat "$(limit_file memory.max_usage_in_bytes memory.peak)" 2>/dev/null || echo 0 # v2: since 5.19
}

# ---- what runs without a limit, runs with it ----
exporter_start
collectors_up "$tap_tmp/free"
exporter_stop

cgroup_new limited
limited=$cgroup_path
if [ ! -e "${live_roots[0]}$limited/memory.limit_in_bytes" ] && [ ! -e "${live_roots[0]}$limited/memory.max" ]; then
	skip "a limit of 32 MiB" "this machine has no memory controller in ${live_roots[0]}"
	finish
fi
echo $((32 << 20)) >"$(limit_file memory.limit_in_bytes memory.max)"
[ ! -e "${live_roots[0]}$limited/memory.swap.max" ] || echo 0 >"${live_roots[0]}$limited/memory.swap.max"
cgroup_enter limited
{
	printf '#!/bin/bash\nexec'
	printf ' %q' "${enter[@]}" "$BPF_EXPORTER"
	printf ' "$@"\n'
} >"$tap_tmp/limited"
chmod 755 "$tap_tmp/limited"
BPF_EXPORTER=$tap_tmp/limited exporter_start --process.max-series=1000
check "the exporter is in the limited group" grep -q "$limited\$" "/proc/$exporter_pid/cgroup"
collectors_up "$tap_tmp/confined"
check "some collectors run" grep -q ' 1$' "$tap_tmp/free"
check "each collector that runs without a limit of 32 MiB runs with it" diff "$tap_tmp/free" "$tap_tmp/confined"
echo "# at start: $(($(peak) >> 10)) kB of the group"

# ---- $processes processes, in bursts from all CPUs, of several groups ----
forks() {
	value ebpf_cgroup_forks_total "cgroup=\"/$live_cgroup/$1\"" 'kind="process"'
}
groups=6
for group in $(seq $groups); do
	cgroup_new "burst$group"
done
scrape "$tap_tmp/before"
storms=()
for group in $(seq $groups); do
	spawn_in "burst$group" "$work" storm $((processes / groups))
	storms+=("$spawned")
done
wait "${storms[@]}"
for group in $(seq $groups); do
	equal "the forks of group $group" "$(forks "burst$group")" $((processes / groups))
done
# each of them was switched to, and away from for good: one switch a process, at the least
scrape "$tap_tmp/after"
for group in $(seq $groups); do
	switches=$(value_in "$tap_tmp/after" ebpf_cgroup_context_switches_total "cgroup=\"/$live_cgroup/burst$group\"")
	check "the switches of group $group ($switches)" [ "$switches" -ge $((processes / groups)) ]
done
echo "# overflow: $(value_in "$tap_tmp/after" bpf_exporter_table_overflow_total) updates"
equal "no event is in the row that catches what finds no other" \
	"$(value_in "$tap_tmp/after" ebpf_cgroup_forks_total 'cgroup="(overflow)"')" 0

# ---- no memory for new rows ----
# Fork by fork against the kernel's own count, of which we know but bounds: others fork too.
forked() {
	awk '$1 == "processes" { print $2 }' /proc/stat
}
limit=$(limit_file memory.limit_in_bytes memory.max)
first=$(forked)
scrape "$tap_tmp/before"
second=$(forked)
echo $(($(cat "$(limit_file memory.usage_in_bytes memory.current)") + (128 << 10))) >"$limit"
cgroup_new starved
spawn_in starved "$work" storm "$processes"
wait "$spawned"
third=$(forked)
echo $((32 << 20)) >"$limit"
scrape "$tap_tmp/after"
fourth=$(forked)
growth() {
	echo $(($(value_in "$tap_tmp/after" "$@") - $(value_in "$tap_tmp/before" "$@")))
}
counted=$(growth ebpf_cgroup_forks_total)
check "forks while rows found no memory: $counted, the kernel says $((third - second)) to $((fourth - first))" \
	[ "$counted" -ge $((third - second)) -a "$counted" -le $((fourth - first)) ]
echo "# overflow: $(growth bpf_exporter_table_overflow_total) updates"

# ---- answers ----
for _ in $(seq 20); do
	curl -sS --max-time 20 "http://127.0.0.1:$port/metrics" -o "$tap_tmp/plain"
	curl -sS --max-time 20 -H 'Accept-Encoding: gzip' "http://127.0.0.1:$port/metrics" -o "$tap_tmp/zipped"
done
check "a plain answer is whole" grep -q '^bpf_exporter_build_info' "$tap_tmp/plain"
check "a compressed one too" gzip -t <"$tap_tmp/zipped"
collectors_up "$tap_tmp/later"
check "the collectors still run" diff "$tap_tmp/free" "$tap_tmp/later"

echo "# in all: $(($(peak) >> 10)) kB of the group, $(awk '/^VmHWM/ { print $2 }' "/proc/$exporter_pid/status") kB of the process," \
	"$(value_in "$tap_tmp/plain" bpf_exporter_map_memory_bytes) bytes of the tables"
equal "nobody was killed for memory" "$(oom_kills)" 0
check "the exporter is the one that was started" [ -d "/proc/$exporter_pid" ]
finish
