#!/usr/bin/env bash
# Catches: moves between CPUs that are lost, counted though the CPU stays the same, or for who asked for
# them instead of who was moved; the collector on by default.
. "$(dirname "$0")/lib.sh"
live_begin "$@"

if [ "$(nproc)" -lt 2 ]; then
	skip "moves between CPUs" "there is one CPU"
	finish
elif [ ! -e /proc/self/sched ]; then
	skip "moves between CPUs" "this kernel has no /proc/PID/sched to compare with (CONFIG_SCHED_DEBUG)"
	finish
fi
exporter_start
scrape "$tap_tmp/off"
equal "off unless asked for" "$(grep -c cpu_migrations "$tap_tmp/off")" 0
check "the others run" grep -q '^ebpf_node_softirqs_total' "$tap_tmp/off"
exporter_stop

cgroup_new mover
mover="cgroup=\"$cgroup_path\""
cgroup_new moved
moved="cgroup=\"$cgroup_path\""
exporter_start --collector.migrate
# the moved one sleeps and runs; the mover, of another group, sends it to and fro
spawn_in moved taskset -c 0 sh -c 'while :; do :; done'
loop=$spawned
moves() {
	sed -n 's/^se.nr_migrations *: *//p' "/proc/$loop/sched"
}
in_group() {
	grep -q "/$live_cgroup/moved" "/proc/$loop/cgroup" && [ "$(taskset -p "$loop" | sed 's/.*: //')" = 1 ] &&
		[ "$(cat "/proc/$loop/comm")" = sh ]
}
check "it runs where it should" wait_until 20 in_group
scrape "$tap_tmp/first"
before=$(moves)
in_cgroup mover sh -c "for i in \$(seq 25); do taskset -pc 1 $loop; taskset -pc 0 $loop; taskset -pc 0 $loop; done" >/dev/null
scrape "$tap_tmp/second"
after=$(moves)
of() {
	echo $(($(value_in "$tap_tmp/second" ebpf_cgroup_cpu_migrations_total "$1") - \
		$(value_in "$tap_tmp/first" ebpf_cgroup_cpu_migrations_total "$1")))
}
equal "moves = nr_migrations of the one that was moved" "$(of "$moved")" $((after - before))
check "it was moved ($((after - before)) times)" [ $((after - before)) -ge 49 ]
kill "$loop"
finish
