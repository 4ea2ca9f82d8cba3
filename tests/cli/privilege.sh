#!/usr/bin/env bash
# Catches: a capability that is missing and not named, one that is kept though nothing needs it (in
# any thread), a layer of the sandbox that is not there or not reported, counts or names that suffer
# under it, a kernel without BTF that gets two lines or a riddle. What can be done from inside is also
# in tests/unit/privilege_test.c.
# shellcheck source=tests/live/lib.sh
. "$(dirname "$0")/../live/lib.sh"
# shellcheck source=tests/cli/common.bash
. "$(dirname "$0")/common.bash"
live_begin "$@"
# of container runtimes that are installed here something would be closed to nobody
for folder in /run/containerd /run/containers /var/lib/docker /var/lib/containers /run/k3s /run/k0s; do
	[ ! -d "$folder" ] || { mount -t tmpfs none "${folder%/*}" && mkdir -p /run/netns; }
done
cp "$BPF_EXPORTER" "$tap_tmp/bpf_exporter" # where nobody can reach it
chmod 755 "$tap_tmp" "$tap_tmp/bpf_exporter"
BPF_EXPORTER=$tap_tmp/bpf_exporter

# as_nobody CAPS: setpriv and its flags for the user nobody with these capabilities, as words
as_nobody() {
	echo setpriv --reuid=65534 --regid=65534 --clear-groups ${1:+--inh-caps="$1" --ambient-caps="$1"}
}

need="loading BPF programs needs CAP_BPF and CAP_PERFMON; run as root, or grant both"
for action in --check --once --web.listen-address=127.0.0.1:0; do
	# shellcheck disable=SC2046 # words
	one_line "without capabilities, $action" 1 "msg=\"missing CAP_BPF and CAP_PERFMON: $need" \
		$(as_nobody "") "$BPF_EXPORTER" "$action"
done
# shellcheck disable=SC2046 # words
one_line "with CAP_BPF alone" 1 "msg=\"missing CAP_PERFMON: $need" $(as_nobody +bpf) "$BPF_EXPORTER" --check
# shellcheck disable=SC2046 # words
one_line "with CAP_PERFMON alone" 1 "msg=\"missing CAP_BPF: $need" $(as_nobody +perfmon) "$BPF_EXPORTER" --check
check "--list needs none" bash -c '"$@" | grep -q ^counter' - setpriv --reuid=65534 --regid=65534 --clear-groups \
	"$BPF_EXPORTER" --list

one_line "in a user namespace" 1 "msg=\"bpf\(\) is refused though CAP_BPF is held: capabilities of a user namespace do not count" \
	unshare -Ur "$BPF_EXPORTER" --check
cat >"$tap_tmp/no_bpf.c" <<-'C'
	#include <errno.h>
	#include <seccomp.h>
	#include <unistd.h>
	int main(int argc, char **argv)
	{
		scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
		seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(bpf), 0);
		return seccomp_load(filter) || execv(argv[1], argv + 1);
	}
C
if cc -o "$tap_tmp/no_bpf" "$tap_tmp/no_bpf.c" -lseccomp 2>/dev/null; then
	one_line "under a seccomp profile without bpf()" 1 \
		"msg=\"bpf\(\) is refused though CAP_BPF is held: a seccomp filter is on, .*CAP_SYS_ADMIN" \
		"$tap_tmp/no_bpf" "$BPF_EXPORTER" --check
else
	skip "under a seccomp profile without bpf()" "no compiler or libseccomp"
fi
one_line "a user that does not exist" 1 'msg="--user=nosuchuser: no such user' "$BPF_EXPORTER" --user=nosuchuser
one_line "a number that is no user's" 1 'msg="--user=4294967295: no such user' "$BPF_EXPORTER" --user=4294967295
# shellcheck disable=SC2046 # words
one_line "a user that we may not become" 1 'msg="--user=daemon: missing CAP_SETUID and CAP_SETGID' \
	$(as_nobody +bpf,+perfmon) "$BPF_EXPORTER" --user=daemon

# kept WHAT FIELDS: what /proc/PID/status says of every thread of the exporter
kept() {
	local field want
	while read -r field want; do
		equal "$1: $field of every thread" \
			"$(awk -v f="$field:" '$1 == f { $1 = ""; print }' /proc/"$exporter_pid"/task/*/status | sort -u | xargs)" \
			"$want"
	done <<<"$2"
	check "$1: it has more than one thread" test "$(ls /proc/"$exporter_pid"/task | wc -l)" -gt 1
}

# exporter_as CMD...: the exporter, started by CMD
exporter_as() {
	spawn "$@" "$BPF_EXPORTER" --web.listen-address=127.0.0.1:0 --ebpf-probe-interval=0 2>"$tap_tmp/exporter.log"
	exporter_pid=$spawned
	wait_until 20 exporter_ready
	port=$(sed -n 's/.*metrics on http:[^:]*:\([0-9]*\).*/\1/p' "$tap_tmp/exporter.log" | head -n 1)
}

# counts WHAT: execs are counted exactly, over several polls, in a cgroup that is new at each
counts() {
	local i got=''
	for i in 1 2 3; do
		cgroup_new "${1// /_}_$i"
		in_cgroup "${1// /_}_$i" true
		in_cgroup "${1// /_}_$i" true
		got+=" $(value ebpf_cgroup_execs_total "cgroup=\"$cgroup_path\"")"
	done
	equal "$1: execs of three new cgroups" "$got" " 2 2 2"
	equal "$1: collectors that are up" "$(value bpf_exporter_collector_up)" "$collectors"
}

none="CapInh 0000000000000000
CapPrm 0000000000000000
CapEff 0000000000000000
CapAmb 0000000000000000
NoNewPrivs 1
Seccomp 2"
collectors=$("$BPF_EXPORTER" --check 2>&1 | grep -c ': up')

exporter_start
kept "as root" "$none
CapBnd 0000000000000000
Uid 65534 65534 65534 65534
Gid $(id -g nobody) $(id -g nobody) $(id -g nobody) $(id -g nobody)
Groups"
check "as root: no complaint" bash -c '! grep -v level=info "$0"' "$tap_tmp/exporter.log"
check "as root: one line says what is in force" \
	[ "$(grep -c 'msg="from here on: user nobody, no capabilities, no_new_privs, .*, seccomp"' "$tap_tmp/exporter.log")" = 1 ]
counts "as root"
for layer in capabilities user no_new_privs seccomp; do
	equal "bpf_exporter_sandbox $layer" "$(value_in "$tap_tmp/scrape" bpf_exporter_sandbox "layer=\"$layer\"")" 1
done
check "no capability is said to be kept" bash -c '! grep ^bpf_exporter_capability_kept "$0"' "$tap_tmp/scrape"
equal "/health says it too" "$(curl -s "http://127.0.0.1:$port/health" |
	jq -c '.privileges | [.user, .capabilities, .no_new_privs, .seccomp]')" '[65534,[],true,true]'
equal "Landlock: the metric, /health and the log agree" \
	"$(value_in "$tap_tmp/scrape" bpf_exporter_sandbox 'layer="landlock"') $(curl -s "http://127.0.0.1:$port/health" | jq '.privileges.landlock > 0')" \
	"$(grep -q 'Landlock (ABI' "$tap_tmp/exporter.log" && echo 1 true || echo 0 false)"

# from inside: gdb makes the exporter call what its own code never does
if command -v gdb >/dev/null; then
	inside() {
		timeout 60 gdb -nx -batch -p "$exporter_pid" -ex "print ((long (*)(long, ...))syscall)($1)" \
			-ex 'print *((int *(*)(void))__errno_location)()' 2>/dev/null | sed -n 's/^\$[12] = //p' | xargs
	}
	nr() { python3 - "$1" <<-'PY'
		import sys, ctypes
		print(ctypes.CDLL("libseccomp.so.2").seccomp_syscall_resolve_name(sys.argv[1].encode()))
	PY
	}
	equal "gdb: it can ask for its pid" "$(inside "$(nr getpid)" | cut -d' ' -f1)" "$exporter_pid"
	for call in "socket, 2, 1, 0" "openat, -100, \"/dev/null\", 1" "setresuid, 0, 0, 0" "kill, 1, 0" \
		"execve, \"/bin/true\", 0, 0" "bpf, 5, 0, 0" "ptrace, 0, 0, 0, 0" "clone, 17, 0, 0, 0, 0"; do
		equal "gdb: refused inside: ${call%%,*}" "$(inside "$(nr "${call%%,*}"),${call#*,}")" "-1 1"
	done
	check "gdb: it still counts after that" bash -c 'curl -s "$0" | grep -q "^ebpf_"' "http://127.0.0.1:$port/metrics"
else
	skip "what the exporter itself may still call" "gdb is not installed"
fi
exporter_stop

exporter_start --user=daemon
kept "--user=daemon" "Uid $(id -u daemon) $(id -u daemon) $(id -u daemon) $(id -u daemon)
$none"
exporter_stop
exporter_start --user=12345
kept "--user=12345" "Uid 12345 12345 12345 12345
Gid 12345 12345 12345 12345"
exporter_stop
exporter_start --user=root
kept "--user=root" "Uid 0 0 0 0
$none"
counts "user root"
equal "--user=root: the layer is said to be missing" "$(value_in "$tap_tmp/scrape" bpf_exporter_sandbox 'layer="user"')" 0
exporter_stop
spawn setpriv --bounding-set=-setuid,-setgid "$BPF_EXPORTER" --web.listen-address=127.0.0.1:0 2>"$tap_tmp/exporter.log"
exporter_pid=$spawned
wait_until 20 exporter_ready
kept "root that may not become another (Kubernetes)" "Uid 0 0 0 0
$none"
check "and does not complain" bash -c '! grep -v level=info "$0"' "$tap_tmp/exporter.log"
exporter_stop

# a cgroup folder that not everybody may read: the one reason to keep CAP_DAC_READ_SEARCH
cgroup_new closed
chmod 700 "${live_roots[@]/%//$live_cgroup/closed}"
exporter_start
kept "with a closed cgroup" "CapEff 0000000000000004
CapBnd 0000000000000004
Uid 65534 65534 65534 65534
Seccomp 2"
in_cgroup closed true
equal "with a closed cgroup: it has its name" "$(value ebpf_cgroup_execs_total "cgroup=\"$cgroup_path\"")" 1
equal "with a closed cgroup: the metric says what is kept" \
	"$(value_in "$tap_tmp/scrape" bpf_exporter_capability_kept 'capability="CAP_DAC_READ_SEARCH"')" 1
exporter_stop
chmod 755 "${live_roots[@]/%//$live_cgroup/closed}"

for caps in +bpf,+perfmon +bpf,+perfmon,+dac_read_search; do
	# shellcheck disable=SC2046 # words
	exporter_as $(as_nobody $caps) --pdeathsig KILL
	check "as nobody with $caps: no complaint" bash -c '! grep -v level=info "$0"' "$tap_tmp/exporter.log"
	kept "as nobody with $caps" "$none
Uid 65534 65534 65534 65534"
	counts "as nobody ${#caps}"
	exporter_stop
done

# In a pid namespace of its own: what the README and the DaemonSet say is lost without hostPID, and what
# is not.
exporter_as unshare --mount --pid --fork --kill-child bash -c 'mount -t proc proc /proc && exec "$@"' -
check "in its own pid namespace: no complaint" bash -c '! grep -v level=info "$0"' "$tap_tmp/exporter.log"
counts "own pids"
spawn_in own_pids_1 python3 -c 'import time; [time.sleep(0.01) for _ in range(50)]; time.sleep(60)'
sleep 1
check "in its own pid namespace: context switches per group" \
	[ "$(value ebpf_cgroup_context_switches_total "cgroup=\"/$live_cgroup/own_pids_1\"")" -ge 50 ]
equal "in its own pid namespace: none per process" "$(value ebpf_context_switches_total "pid=\"$spawned\"")" 0
kill -KILL "$exporter_pid" "$spawned"
wait "$exporter_pid" "$spawned" 2>/dev/null

# procfs with hidepid: nobody sees its own processes only, but for group 0
if unshare --mount mount -t proc -o hidepid=2 proc /proc 2>/dev/null; then
	exporter_as unshare --mount bash -c 'mount -t proc -o hidepid=2 proc /proc && exec "$@"' -
	equal "hidepid: group 0 is kept, to see processes" \
		"$(awk '$1 == "Groups:" { print $2 }' /proc/"$exporter_pid"/status)" 0
	kept "hidepid" "$none
Uid 65534 65534 65534 65534"
	exporter_stop
else
	skip "procfs with hidepid" "it cannot be mounted here"
fi

# shellcheck disable=SC2046 # words
$(as_nobody +bpf,+perfmon) "$BPF_EXPORTER" --check >"$tap_tmp/out" 2>"$tap_tmp/stderr"
up=': (up,|off$|off: programs cannot hang on functions)'
equal "as nobody without CAP_DAC_READ_SEARCH: all is up" \
	"$(grep -cE "$up" "$tap_tmp/out") $(grep -vcE "$up" "$tap_tmp/out") $(wc -l <"$tap_tmp/stderr")" \
	"$(ls "$live_top"/bpf/*.bpf.c | wc -l) 0 0"

exporter_start
ids=$(cat /proc/"$exporter_pid"/fdinfo/* | awk '$1 == "prog_id:" { print $2 }' | sort -u)
exporter_stop
left=
for id in $ids; do
	wait_until 5 bash -c '! bpftool prog show id "$0" >/dev/null 2>&1' "$id" || left+=" $id"
done
check "of its $(wc -w <<<"$ids") programs none stays in the kernel" test -n "$ids" -a -z "$left"

mount -t tmpfs none /sys/kernel/btf
for action in --check --once --web.listen-address=127.0.0.1:0; do
	one_line "no BTF, $action" 1 "msg=\"no BTF of the running kernel \(/sys/kernel/btf/vmlinux\): .*; use a kernel built with CONFIG_DEBUG_INFO_BTF=y, or mount sysfs\"" \
		"$BPF_EXPORTER" "$action"
done
check "no BTF: --list needs none" bash -c '[ -z "$("$0" --list 2>&1 >/dev/null)" ]' "$BPF_EXPORTER"
umount /sys/kernel/btf
finish
