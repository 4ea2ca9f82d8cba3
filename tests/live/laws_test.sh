#!/usr/bin/env bash
# Catches: counts that go with the process, the pid, the row or the cgroup they were counted for; a full
# table that loses events or says nothing of it; rows that pile up.
. "$(dirname "$0")/lib.sh"
live_begin "$@"
here=$(dirname "$0")

helper process_work
objects=$tap_tmp/objects
mkdir "$objects"
check "the object with the tiny table compiles" clang -target bpf -mcpu=v2 -g -O2 \
	-I"$live_top/vmlinux" -I"$live_top/bpf" -c "$here/objects/tiny.bpf.c" -o "$objects/tiny.bpf.o"
cp "$(type -P true)" "$tap_tmp/tiny_true"

exporter_start --process.max-series=1000000 --process.retention=1s --cgroup.retention=1s --collector.dir="$objects"
cgroup_new work
in_work="cgroup=\"$cgroup_path\""
scrape "$tap_tmp/scrape"

# ---- a full table: 4 rows, one of them the row of zeros, for 10 processes of one group ----
cgroup_new full
in_full="cgroup=\"$cgroup_path\""
for _ in 1 2 3 4 5 6 7 8 9 10; do
	in_cgroup full "$tap_tmp/tiny_true"
done
scrape "$tap_tmp/scrape"
equal "a full table: all events are there" "$(value_in "$tap_tmp/scrape" ebpf_cgroup_tiny_execs_total)" 10
tracked=$(value_in "$tap_tmp/scrape" ebpf_tiny_execs_total)
overflow=$(value_in "$tap_tmp/scrape" ebpf_cgroup_tiny_execs_total 'cgroup="(overflow)"')
equal "a full table: the processes' and the rest are all events" \
	"$((tracked + $(value_in "$tap_tmp/scrape" bpf_exporter_table_overflow_total 'table="tiny"') - overflow))" 10
check "a full table: some events did overflow" \
	[ "$(value_in "$tap_tmp/scrape" bpf_exporter_table_overflow_total 'table="tiny"')" -gt 0 ]
equal "a full table: the group that had rows keeps its events" \
	"$(value_in "$tap_tmp/scrape" ebpf_cgroup_tiny_execs_total "$in_full")" 10

# ---- a process that is gone ----
exports_process() { # PID
	scrape "$tap_tmp/scrape" && grep -q "^ebpf_context_switches_total{pid=\"$1\"," "$tap_tmp/scrape"
}
exports_no_process() {
	! exports_process "$1"
}
reaped_more() {
	[ "$(value bpf_exporter_rows_reaped_total)" -gt "$1" ]
}
: >"$tap_tmp/ready"
spawn_in work "$helper" wait >"$tap_tmp/ready"
wait_until 10 grep -q ready "$tap_tmp/ready"
pid=$spawned
check "a process that lives has series" exports_process "$pid"
kill -KILL "$pid"
wait "$pid" 2>/dev/null
scrape "$tap_tmp/before"
switches=$(value_in "$tap_tmp/before" ebpf_cgroup_context_switches_total "$in_work")
reaped=$(value_in "$tap_tmp/before" bpf_exporter_rows_reaped_total)
check "dead for longer than the retention: it has none" wait_until 20 exports_no_process "$pid"
check "its rows are taken out of the tables" wait_until 10 reaped_more "$reaped"
equal "its group keeps its counts" "$(value ebpf_cgroup_context_switches_total "$in_work")" "$switches"
check "which are some" [ "$switches" -gt 0 ]

# ---- the same pid again ----
in_cgroup work "$helper" reuse "$pid"
case $? in
0)
	again=$(value ebpf_cgroup_context_switches_total "$in_work")
	check "pid $pid, given out again, adds to its group ($switches, then $again)" [ "$again" -gt $((switches + 20)) ]
	;;
2) skip "a pid that is used again" "this machine does not let us write ns_last_pid" ;;
*) skip "a pid that is used again" "somebody else was faster, 300 times" ;;
esac

# ---- 20,000 short lives, with a scrape now and then ----
scrape "$tap_tmp/before"
pids_before=$(value_in "$tap_tmp/before" bpf_exporter_tracked_pids)
spawn_in work "$helper" storm 20000
storm=$spawned
fell=0 highest=0
while [ -d "/proc/$storm" ] && [ "$(cut -d' ' -f3 "/proc/$storm/stat" 2>/dev/null)" != Z ]; do
	forks=$(value ebpf_cgroup_forks_total "$in_work" 'kind="process"')
	[ "$forks" -ge "$highest" ] || fell=1
	highest=$forks
	sleep 0.2 # not for anything to happen: so that the storm gets a CPU
done
wait "$storm"
scrape "$tap_tmp/after"
growth() {
	echo $(($(value_in "$tap_tmp/after" "$@") - $(value_in "$tap_tmp/before" "$@")))
}
equal "20,000 short lives: forks" "$(growth ebpf_cgroup_forks_total "$in_work" 'kind="process"')" 20000
equal "20,000 short lives: ends, the parent's too" "$(growth ebpf_cgroup_exits_total "$in_work" 'result="ok"')" 20001
equal "20,000 short lives: no count fell meanwhile" "$fell" 0
plateau() {
	[ "$(value bpf_exporter_tracked_pids)" -lt $((pids_before + 500)) ]
}
if wait_until 20 plateau; then
	ok "20,000 short lives: they are all forgotten"
else
	not_ok "20,000 short lives: they are all forgotten" "$pids_before processes before, $(value bpf_exporter_tracked_pids) now"
fi
equal "20,000 short lives: their group keeps its counts" "$(value ebpf_cgroup_exits_total "$in_work" 'result="ok"')" \
	"$(value_in "$tap_tmp/after" ebpf_cgroup_exits_total "$in_work" 'result="ok"')"

# ---- a group that is gone ----
# Others come and go on this machine, so what (removed) has is compared by "at least".
count() {
	value_in "$1" ebpf_cgroup_exits_total "${@:2}"
}
scrape "$tap_tmp/before"
of_group=$(count "$tap_tmp/before" "$in_work" 'result="ok"')
removed=$(count "$tap_tmp/before" 'cgroup="(removed)"' 'result="ok"') total=$(count "$tap_tmp/before")
for root in "${live_roots[@]}"; do
	cgroup_remove "$root/$live_cgroup/work"
done
fell=0
moved() {
	local now
	scrape "$tap_tmp/after" || return
	now=$(count "$tap_tmp/after")
	[ "$now" -ge "$total" ] || fell=1
	total=$now
	! grep -q "^ebpf_cgroup_[a-z_]*{$in_work" "$tap_tmp/after"
}
if wait_until 20 moved; then
	ok "removed for longer than the retention: the group has no series"
else
	not_ok "removed for longer than the retention: the group has no series" \
		"$(grep "^ebpf_cgroup_[a-z_]*{$in_work" "$tap_tmp/after" | head -n 3)"
fi
check "its counts are in (removed)" \
	[ "$(count "$tap_tmp/after" 'cgroup="(removed)"' 'result="ok"')" -ge $((removed + of_group)) ]
equal "the sum over the groups never fell" "$fell" 0
finish
