#!/usr/bin/env bash
# Catches: processes counted once per thread, or by the status of the wrong thread; a signal counted for
# its sender's group, by the wrong sender, or though it was ignored.
. "$(dirname "$0")/lib.sh"
live_begin "$@"

helper process_work
exporter_start
cgroup_new pod0/kubepods/pod0c8b3a0e-1111-4222-8333-444444444444/c # seen by the exporter before it sends a signal
cgroup_new service
cgroup_new work
in_work="cgroup=\"$cgroup_path\""
scrape "$tap_tmp/first"

of_work() {
	value "$1" "$in_work" "${@:2}"
}

dies() {
	! [ -d "/proc/$1" ]
}

# A process of the group that waits to be killed; sets $spawned.
victim() {
	: >"$tap_tmp/ready"
	spawn_in work "$helper" "$1" >"$tap_tmp/ready"
	wait_until 10 grep -q ready "$tap_tmp/ready"
}

in_cgroup work "$helper" ends
equal "programs started: the one" "$(of_work ebpf_cgroup_execs_total)" 1
equal "processes forked" "$(of_work ebpf_cgroup_forks_total 'kind="process"')" 65
equal "threads made" "$(of_work ebpf_cgroup_forks_total 'kind="thread"')" 5
equal "ends with status 0, the parent's too" "$(of_work ebpf_cgroup_exits_total 'result="ok"')" 32
equal "ends with status 3" "$(of_work ebpf_cgroup_exits_total 'result="error"')" 23
equal "ends by a signal" "$(of_work ebpf_cgroup_exits_total 'result="signal"')" 11
equal "TERM from the same group" "$(of_work ebpf_cgroup_fatal_signals_total 'signal="TERM"' 'sender="self"')" 11

in_cgroup work "$helper" late
equal "an end after the main thread's: one, by the status of the process" \
	"$(of_work ebpf_cgroup_exits_total 'result="error"') $(of_work ebpf_cgroup_exits_total 'result="ok"')" "24 32"

in_cgroup work "$helper" fault 2>/dev/null
equal "SEGV of a fault comes from the kernel" \
	"$(of_work ebpf_cgroup_fatal_signals_total 'signal="SEGV"' 'sender="kernel"')" 1
equal "and ends the process by a signal" "$(of_work ebpf_cgroup_exits_total 'result="signal"')" 12

for sender in service pod0/kubepods/pod0c8b3a0e-1111-4222-8333-444444444444/c; do
	victim wait
	in_cgroup $sender kill -TERM "$spawned"
	wait "$spawned" 2>/dev/null
done
equal "TERM from another group" "$(of_work ebpf_cgroup_fatal_signals_total 'signal="TERM"' 'sender="system"')" 1
equal "TERM from a pod" "$(of_work ebpf_cgroup_fatal_signals_total 'signal="TERM"' 'sender="pod"')" 1

victim ignore
in_cgroup service kill -TERM "$spawned"
in_cgroup service kill -TERM "$spawned"
equal "a TERM that is ignored does not count" "$(of_work ebpf_cgroup_fatal_signals_total 'signal="TERM"')" 13
in_cgroup service kill -KILL "$spawned"
wait "$spawned" 2>/dev/null
equal "KILL from another group" "$(of_work ebpf_cgroup_fatal_signals_total 'signal="KILL"')" 1

if [ -e "${live_roots[0]}$cgroup_path/memory.max" ]; then
	echo 30M >"${live_roots[0]}$cgroup_path/memory.max"
	echo 0 >"${live_roots[0]}$cgroup_path/memory.swap.max" 2>/dev/null
else
	echo 30M >"${live_roots[0]}$cgroup_path/memory.limit_in_bytes"
fi
in_cgroup work tail /dev/zero >/dev/null 2>&1
equal "KILL by the OOM killer comes from the kernel" \
	"$(of_work ebpf_cgroup_fatal_signals_total 'signal="KILL"' 'sender="kernel"')" 1
equal "all ends by a signal" "$(of_work ebpf_cgroup_exits_total 'result="signal"')" 16
equal "ends = the processes that were" "$(of_work ebpf_cgroup_exits_total)" \
	$(($(of_work ebpf_cgroup_forks_total 'kind="process"') + $(of_work ebpf_cgroup_execs_total)))
equal "senders: none but those" "$(of_work ebpf_cgroup_fatal_signals_total)" 16
finish
