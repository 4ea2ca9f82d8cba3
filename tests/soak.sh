#!/usr/bin/env bash
# Churn at 100 times the normal rate, for MINUTES (20): memory, series, rows, descriptors and the work
# of a poll are flat, no counter goes down, the totals at the end are what was done.
#
#   tests/soak.sh [MINUTES]        (make soak)
#
# Normal, of a busy node: one process a second (cron jobs, health checks), a cgroup each ten seconds, a
# connection a second. Here: 100 processes, 10 cgroups, 100 connections a second (churn_work.c).
# Catches: what grows with what ever lived instead of with what lives: rows, series, groups, pids;
# buffers and descriptors that leak; counts that are lost when rows, processes and groups leave.
# shellcheck source=tests/live/lib.sh
. "$(dirname "$0")/live/lib.sh"
# shellcheck source=tests/live/soak.sh
. "$(dirname "$0")/live/soak.sh"
live_begin "$@"
minutes=${1:-20}
seconds=$(awk -v m="$minutes" 'BEGIN { print int(m * 60) }')
# the plateau is to be reached within the first quarter
process_retention=10 cgroup_retention=20
if [ "$seconds" -lt 240 ]; then
	process_retention=3 cgroup_retention=5
fi

helper churn_work
cp "$(type -P true)" "$tap_tmp/soak_true"
exporter_start --ebpf-probe-interval=1s --process.max-series=1000000 \
	--process.retention=${process_retention}s --cgroup.retention=${cgroup_retention}s
cgroup_new driver
in_driver="cgroup=\"$cgroup_path\""
cgroup_new soak.service
knows_groups() {
	[ "$(value ebpf_cgroup_execs_total "$in_driver")" = 1 ] # rare: a group that is known, not 0 for none
}
in_cgroup driver true
wait_until 20 knows_groups
scrape "$tap_tmp/before"

spawn_in driver "$helper" "$seconds" "$tap_tmp/soak_true" "$live_cgroup" "${live_roots[@]}" \
	>"$tap_tmp/done" 2>"$tap_tmp/churn.log"
soak_watch "$spawned" "$seconds" $process_retention

done_of() {
	sed -n "s/^$1 //p" "$tap_tmp/done"
}
# Polled each second: what was done is counted one poll later.
counts() {
	[ "$(value "${@:2}")" = "$1" ]
}
exact() { # WHAT WANT NAME LABELS...
	local _
	for _ in 1 2 3 4 5; do
		! counts "${@:2}" || break
		sleep 1 # a poll
	done
	equal "$1" "$(value "${@:3}")" "$2"
}
processes=$(done_of processes)
echo "# did $(tr '\n' ' ' <"$tap_tmp/done")in $seconds s"
check "it was 50 to 100 times the normal rate" [ "$processes" -ge $((50 * seconds)) ]
exact "programs started in the unit whose cgroups came and went" "$(done_of in_unit)" \
	ebpf_cgroup_execs_total 'unit="soak.service"'
exact "ends of processes there" "$(done_of in_unit)" \
	ebpf_cgroup_exits_total 'unit="soak.service"' 'result="ok"'
exact "processes forked by the driver" "$processes" ebpf_cgroup_forks_total "$in_driver" 'kind="process"'
exact "resets that the driver sent" "$(done_of resets)" ebpf_cgroup_tcp_resets_sent_total "$in_driver"
exact "resets that the driver got" "$(done_of resets)" ebpf_cgroup_tcp_resets_received_total "$in_driver"
# other tests' groups may be removed too
gone() {
	scrape "$tap_tmp/after"
	! grep -q "^ebpf_cgroup_execs_total{cgroup=\"/$live_cgroup/[0-9]" "$tap_tmp/after"
}
check "the groups that came and went are gone by retention" wait_until $((cgroup_retention + 20)) gone
removed=$(($(value_in "$tap_tmp/after" ebpf_cgroup_execs_total 'cgroup="(removed)"') - \
	$(value_in "$tap_tmp/before" ebpf_cgroup_execs_total 'cgroup="(removed)"')))
check "what they counted is in (removed): $removed of at least $((processes - $(done_of in_unit)))" \
	[ "$removed" -ge $((processes - $(done_of in_unit))) ]
exporter_stop
equal "it ends in peace" $? 0
complaints=$(grep -E 'level=(warn|error)' "$tap_tmp/exporter.log" | head -n 3)
equal "it has nothing to complain of" "${complaints:-nothing}" nothing
finish
