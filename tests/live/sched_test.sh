#!/usr/bin/env bash
# Catches: a switch, a wait or a run that is lost, counted twice or for the wrong process; threads that
# count once per thread or not at all; what a process did before the exporter came; a neighbour's
# preemption blamed on the system.
. "$(dirname "$0")/lib.sh"
live_begin "$@"

helper sched_work
here=$(dirname "$0")
pod=kubepods/pod0c8b3a0e-1111-4222-8333-444444444444/worker

# order FD_IN FD_OUT ORDER: gives an order to a sched_work; sets $answer.
order() {
	echo "$3" >&"$1"
	IFS= read -r -t 20 answer <&"$2" || not_ok "sched_work answers to: $3" "nothing"
}

stopped() {
	local pid state
	for pid in $pids; do
		for state in /proc/"$pid"/task/*/stat; do
			[[ $(<"$state") =~ \)\ [Tt]\  ]] || return 1
		done
	done
}

# Everybody stopped, and the same numbers before and after the scrape: both tell of the same moment.
quiet_scrape() {
	local before after=
	for _ in 1 2 3 4 5 6 7 8 9 10; do
		before=$after
		scrape "$1"
		after=$(for pid in $2; do echo "$pid $("$here/sched_oracle.py" "$pid")"; done)
		[ "$before" = "$after" ] && break
	done
	[ "$before" = "$after" ] || not_ok "processes stay stopped" "$before / $after"
	oracle=$after
}

# of FILE NAME LABEL...: shorter
of() {
	value_in "$@"
}

minus() {
	python3 -c 'import sys, decimal; a, b = map(decimal.Decimal, sys.argv[1:]); print(f"{(a - b).normalize():f}")' "$@"
}

cgroup_new a
group_a=$cgroup_path
cgroup_new "$pod"

# ---- a process that is older than the exporter ----
mkfifo "$tap_tmp/old.in" "$tap_tmp/old.out" "$tap_tmp/a.in" "$tap_tmp/a.out" "$tap_tmp/pod.in" "$tap_tmp/pod.out"
# for both directions: opening does not wait for the other end then
exec {old_in}<>"$tap_tmp/old.in" {old_out}<>"$tap_tmp/old.out" {a_in}<>"$tap_tmp/a.in" \
	{a_out}<>"$tap_tmp/a.out" {pod_in}<>"$tap_tmp/pod.in" {pod_out}<>"$tap_tmp/pod.out"
spawn "$helper" <&"$old_in" >&"$old_out"
order "$old_in" "$old_out" "spin 1"
old=${answer% } pids=$old
switched() {
	[ "$(awk '/ctxt_switches/ { n += $2 } END { print n }' "/proc/$1/status")" -gt "$2" ]
}
wait_until 10 switched "$old" 2
kill -STOP "$old"
wait_until 10 stopped
# the kubelet's folder that names the pod
mkdir -p "$tap_tmp/node/var/log/pods/test_neighbour_0c8b3a0e-1111-4222-8333-444444444444"
exporter_start --path.rootfs="$tap_tmp/node" --process.max-series=1000000 # else the smallest of a busy machine are not shown
quiet_scrape "$tap_tmp/scrape" "$old"
read -r _ old_wait _ old_vol old_inv <<<"$oracle"
check "the old process did something before the exporter came ($old_wait s waited)" [ "$old_wait" != 0 ]
equal "which is not counted" "$(of "$tap_tmp/scrape" ebpf_context_switches_total "pid=\"$old\"")" 0
kill -CONT "$old"

# ---- two groups on one CPU ----
spawn_in a "$helper" <&"$a_in" >&"$a_out"
a_parent=$spawned
spawn_in "$pod" "$helper" <&"$pod_in" >&"$pod_out"
order "$a_in" "$a_out" "spin 0"
order "$pod_in" "$pod_out" "spin 0"
# the parent waits for orders, so this is the end of what it did on its way into the cgroup
quiet_scrape "$tap_tmp/first" "$a_parent"
read -r _ _ runs_before _ <<<"$oracle"
order "$a_in" "$a_out" "spin 2"
read -r a1 a2 <<<"$answer"
order "$a_in" "$a_out" threads
threads=$answer
order "$pod_in" "$pod_out" "spin 1"
neighbour=${answer% }
pids="$old $a1 $a2 $threads $neighbour"
for pid in $pids; do
	wait_until 20 switched "$pid" 25 || not_ok "process $pid gets to work" "$(grep ctxt "/proc/$pid/status")"
done
# whom the scheduler picks next is its own affair: long enough that each kind of neighbour was
in_a="cgroup=\"$group_a\""
preempted_by() {
	[ "$(value ebpf_cgroup_preemptions_total "$in_a" "by=\"$1\"")" -gt 0 ]
}
for by in self pod system; do
	wait_until 20 preempted_by "$by"
done
# shellcheck disable=SC2086
kill -STOP $pids
wait_until 10 stopped || not_ok "all are stopped" "they are not"
quiet_scrape "$tap_tmp/last" "$pids $a_parent"

# equal, but for numbers of processes: a table that other programs filled with theirs keeps no more.
same() {
	if [ "$2" != "$3" ] && [ "$(of "$tap_tmp/last" bpf_exporter_table_overflow_total 'table="___process_sched"')" != 0 ]; then
		skip "$1" "other programs filled the table of processes"
	else
		equal "$@"
	fi
}

compare() {
	local name=$1 pid=$2 wait runs vol inv
	read -r _ wait runs vol inv <<<"$(grep "^$pid " <<<"$oracle")"
	if [ "$pid" = "$old" ]; then
		wait=$(minus "$wait" "$old_wait") vol=$((vol - old_vol)) inv=$((inv - old_inv))
	fi
	same "$name: seconds waited" "$(of "$tap_tmp/last" ebpf_runqueue_wait_seconds_total "pid=\"$pid\"")" "$wait"
	same "$name: voluntary switches" \
		"$(of "$tap_tmp/last" ebpf_context_switches_total "pid=\"$pid\"" 'kind="voluntary"')" "$vol"
	same "$name: involuntary switches" \
		"$(of "$tap_tmp/last" ebpf_context_switches_total "pid=\"$pid\"" 'kind="involuntary"')" "$inv"
}
compare "busy process" "$a1"
compare "second busy process" "$a2"
compare "process of two threads" "$threads"
compare "process of a pod" "$neighbour"
compare "process older than the exporter" "$old"
same "a process of two threads is one series" \
	"$(grep -c "^ebpf_runqueue_wait_seconds_total{.*pid=\"$threads\"" "$tap_tmp/last")" 1

# growth NAME LABEL...: since the first scrape
growth() {
	minus "$(of "$tap_tmp/last" "$@")" "$(of "$tap_tmp/first" "$@")"
}
same "seconds waited: the group = its processes" "$(growth ebpf_cgroup_runqueue_wait_seconds_total "$in_a")" \
	"$(growth ebpf_runqueue_wait_seconds_total "$in_a")"
for kind in voluntary involuntary; do
	same "$kind switches: the group = its processes" \
		"$(growth ebpf_cgroup_context_switches_total "$in_a" "kind=\"$kind\"")" \
		"$(growth ebpf_context_switches_total "$in_a" "kind=\"$kind\"")"
done
runs=$(awk -v a="$a1" -v b="$a2" -v c="$threads" -v d="$a_parent" \
	'$1 == a || $1 == b || $1 == c || $1 == d { n += $3 } END { print n }' <<<"$oracle")
equal "histogram: as many observations as runs" "$(growth ebpf_cgroup_runqueue_latency_seconds_count "$in_a")" \
	$((runs - runs_before))
equal "histogram: its sum is the time waited" "$(growth ebpf_cgroup_runqueue_latency_seconds_sum "$in_a")" \
	"$(growth ebpf_cgroup_runqueue_wait_seconds_total "$in_a")"
equal "preemptions by all = involuntary switches" "$(growth ebpf_cgroup_preemptions_total "$in_a")" \
	"$(growth ebpf_cgroup_context_switches_total "$in_a" 'kind="involuntary"')"
for by in self pod system; do
	check "group a was preempted by=$by" [ "$(growth ebpf_cgroup_preemptions_total "$in_a" "by=\"$by\"")" -gt 0 ]
done
check "the pod was preempted by the system" \
	[ "$(growth ebpf_cgroup_preemptions_total 'pod="neighbour"' 'by="system"')" -gt 0 ]
equal "and by no other pod" "$(growth ebpf_cgroup_preemptions_total 'pod="neighbour"' 'by="pod"')" 0

# ---- threads that end before their process, which ends too ----
# wait4() knows a thread's switches up to its exit, and lacks the one switch that it leaves with.
order "$a_in" "$a_out" exits
read -r dead threads vol inv wait _ <<<"$answer"
scrape "$tap_tmp/last"
# A thread may even be made to leave on its last steps, which wait4() does not see either (7.3).
last=$(of "$tap_tmp/last" ebpf_context_switches_total "pid=\"$dead\"" 'kind="involuntary"')
check "dead process: involuntary switches ($last; wait4 says $inv)" \
	[ "$last" -ge "$inv" -a "$last" -le $((inv + threads)) ]
same "dead process: voluntary switches = wait4's and the last ones of its $((threads - 1)) threads" \
	"$(of "$tap_tmp/last" ebpf_context_switches_total "pid=\"$dead\"" 'kind="voluntary"')" $((vol + threads - 1))
same "seconds waited: the group = its processes, dead ones too" \
	"$(growth ebpf_cgroup_runqueue_wait_seconds_total "$in_a")" "$(growth ebpf_runqueue_wait_seconds_total "$in_a")"
for kind in voluntary involuntary; do
	same "$kind switches: the group = its processes, dead ones too" \
		"$(growth ebpf_cgroup_context_switches_total "$in_a" "kind=\"$kind\"")" \
		"$(growth ebpf_context_switches_total "$in_a" "kind=\"$kind\"")"
done
finish
