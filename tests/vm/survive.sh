#!/usr/bin/env bash
# Catches: time measured by the wall clock, which is stepped here by hours both ways; counts that go with
# a CPU that goes offline; an exporter that a suspend ends or confuses; with 256 possible CPUs (cell
# ...-cpus256), values per CPU that are read wrong, or memory for CPUs that are not there.
# shellcheck source=tests/live/lib.sh
. "$(dirname "$0")/../live/lib.sh"
# shellcheck source=tests/live/survive.sh
. "$(dirname "$0")/../live/survive.sh"
live_begin "$@"

cp "$(type -P true)" "$tap_tmp/true"
objects=$tap_tmp/objects # whose files and folders are to be root's alone
mkdir -m 755 "$objects"
cp "$LIVE_HELPERS/percpu.bpf.o" "$objects/"
exporter_start --ebpf-probe-interval=200ms --process.max-series=1000000 --collector.dir="$objects" \
	--no-collector.block --no-collector.oom --no-collector.tcp # time is short in an emulated machine
cgroup_new work
in_work="cgroup=\"$cgroup_path\""
cgroup_new gone
in_gone="cgroup=\"$cgroup_path\""
work_done=0
work() { # CPU N: that many pairs of execs
	local i
	for ((i = 0; i < $2; i++)); do
		in_cgroup work taskset -c "$1" "$tap_tmp/true"
	done
	work_done=$((work_done + 2 * $2))
}
counted() {
	grep -qxF "ebpf_cgroup_execs_total{$in_work} $work_done" "$tap_tmp/latest" &&
		grep -qxF "ebpf_cgroup_starts_total{$in_work} $work_done" "$tap_tmp/latest"
}
all_counted() { # WHAT
	check "$1: all is counted, also per CPU" wait_until 30 counted
}
polls() {
	sed -n 's/^bpf_exporter_poll_duration_seconds_count{collector="process"} //p' "$tap_tmp/latest"
}
polled_past() {
	[ "$(polls)" -gt "$1" ]
}
has_process() {
	grep -q "^ebpf_context_switches_total{pid=\"$1\"," "$tap_tmp/latest"
}
health() {
	curl -s --max-time 20 "http://127.0.0.1:$port/health" | sed -n 's/^{"status":"\([a-z]*\)".*/\1/p'
}
healthy() { # as at the start: a kernel that lacks a hook of some collector is no better than that
	[ "$(health)" = "$healthy" ]
}
polls_tell_the_time() { # that of the wall clock, as it is now
	local at
	at=$(sed -n 's/^bpf_exporter_last_poll_timestamp_seconds{collector="process"} //p' "$tap_tmp/latest")
	at=$(($(date +%s) - ${at%.*}))
	[ "${at#-}" -lt 30 ]
}

healthy=$(health)
check "it starts ok, or degraded where the kernel lacks a hook ($healthy)" grep -qxE 'ok|degraded' <<<"$healthy"
WATCH_INTERVAL=1 watch_begin
work 0 2
work 1 2
all_counted "two CPUs"

# ---- the wall clock ----
spawn_in gone sleep 1000
dead=$spawned
check "a process has series" wait_until 30 has_process "$dead"
kill -KILL "$dead"
wait "$dead" 2>/dev/null
for root in "${live_roots[@]}"; do
	cgroup_remove "$root/$live_cgroup/gone"
done
for step in "+5 hours" "-10 hours"; do
	phase "clock $step"
	before=$(polls)
	date -s "$step" >/dev/null
	work 0 1
	check "clock stepped by $step: polls go on" wait_until 30 polled_past $((before + 5))
	all_counted "clock stepped by $step"
	check "clock stepped by $step: polls have the time that it is now" wait_until 30 polls_tell_the_time
	check "clock stepped by $step: it is healthy" healthy
	check "clock stepped by $step: a process dead for less than its retention (5m) keeps its series" has_process "$dead"
	check "clock stepped by $step: so does a removed group (1h)" grep -q "^ebpf_cgroup_execs_total{$in_gone} 1$" "$tap_tmp/latest"
done
date -s "+5 hours" >/dev/null

# ---- a CPU goes ----
cpu1=/sys/devices/system/cpu/cpu1/online
if [ -w $cpu1 ]; then
	phase "CPU 1 offline"
	work 1 3
	all_counted "before CPU 1 goes offline"
	if why=$( (echo 0 >$cpu1) 2>&1); then
		equal "CPUs online" "$(cat /sys/devices/system/cpu/online)" 0
		before=$(polls)
		wait_until 30 polled_past $((before + 5))
		check "CPU 1 offline: what it counted still counts" counted
		work 0 2
		all_counted "CPU 1 offline"
		phase "CPU 1 online again"
		echo 1 >$cpu1
		work 1 2
		all_counted "CPU 1 online again"
	else
		skip "a CPU goes offline" "this machine does not let it go: $why"
	fi
else
	skip "a CPU goes offline" "this kernel has no $cpu1"
fi

# ---- suspend ----
# To memory: the clock on the wall of this machine wakes it. (Not from `freeze`: QEMU raises no interrupt.)
phase "suspend"
if ! grep -qw mem /sys/power/state 2>/dev/null || ! grep -qw deep /sys/power/mem_sleep 2>/dev/null; then
	skip "suspend" "this machine cannot: /sys/power/mem_sleep has no deep"
else
	before=$(polls)
	clocks=$(python3 -c 'import time; print(time.monotonic(), time.time())')
	if rtcwake -m mem -s 4 >"$tap_tmp/suspend" 2>&1; then
		python3 -c 'import sys, time; m, w = map(float, sys.argv[1].split())
print(f"# suspend: away for {time.time() - w:.1f} s, {time.monotonic() - m:.1f} s of them on the monotonic clock")' "$clocks"
		check "suspend: polls go on" wait_until 30 polled_past $((before + 3))
		work 0 2
		all_counted "suspend"
		check "suspend: it is healthy" healthy
	else
		skip "suspend" "$(tail -n 1 "$tap_tmp/suspend")"
	fi
fi

check "it lives" lives
watch_end
possible=$(python3 -c 'import re; print(sum(int(b or a) - int(a) + 1 for a, b in re.findall(r"(\d+)(?:-(\d+))?", open("/sys/devices/system/cpu/possible").read())))')
kernel=$(cat "/proc/$exporter_pid"/fdinfo/* 2>/dev/null | awk '/^memlock:/ { n += $2 } END { print int(n / 1024) }')
resident=$(awk '/^VmRSS/ { print $2 }' "/proc/$exporter_pid/status")
awk -v possible="$possible" -v kernel="$kernel" -v resident="$resident" '
	/^bpf_exporter_poll_duration_seconds_sum/ { sum += $2 }
	/^bpf_exporter_poll_duration_seconds_count{collector="process"}/ { n = $2 }
	/^bpf_exporter_map_capacity/ { maps++ }
	END { printf "# %d possible CPUs, %d tables: resident %d kB, maps %d kB, a poll %.1f ms\n", possible, maps, resident, kernel, 1000 * sum / n }
' "$tap_tmp/latest"
case ${VM_OPTIONS-} in
*cpus256*)
	case $(uname -r) in
	5.* | 6.[0-8].*) equal "possible CPUs" "$possible" 256 ;;
	*) skip "256 possible CPUs" "since 6.9 the kernel takes none that the firmware does not have" ;;
	esac
	check "and two that work" [ "$(nproc)" = 2 ]
	check "memory is for what is counted, not for CPUs that are not there: $resident kB resident" [ "$resident" -lt 32768 ]
	;;
esac
exporter_stop
equal "it ends in peace" $? 0
finish
