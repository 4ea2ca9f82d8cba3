#!/usr/bin/env bash
# Catches: an exporter that dies, hangs, spins, slows down for good, or counts wrong when system calls
# fail under it: memory short (ENOMEM), descriptors gone (EMFILE), calls interrupted (EINTR). The
# faults come from outside, by strace, which sees a call before the seccomp filter does. Not of futex(2):
# the kernel interrupts a wait, never a wake, and the C library aborts at an error that cannot be.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/survive.sh"
live_begin "$@"

if ! command -v strace >/dev/null; then
	skip "faults of system calls" "strace is not installed (make check-deps)"
	finish
fi

export WATCH_RETENTION=20
cgroup_new work
in_work="cgroup=\"$cgroup_path\""
work_done=0
work() { # N: that many execs
	local i
	for ((i = 0; i < $1; i++)); do
		in_cgroup work "$tap_tmp/true"
	done
	work_done=$((work_done + $1))
}
cp "$(type -P true)" "$tap_tmp/true"

counted() {
	grep -qxF "ebpf_cgroup_execs_total{$in_work} $work_done" "$tap_tmp/latest"
}
attached() {
	grep -q attached "$tap_tmp/strace.log"
}
strace_begin() {
	: >"$tap_tmp/strace.log"
	strace -f -p "$exporter_pid" -o "${1:-/dev/null}" "${@:2}" 2>"$tap_tmp/strace.log" <&0 &
	tracer=$!
	wait_until 10 attached || not_ok "strace attaches" "$(cat "$tap_tmp/strace.log")"
}
strace_end() {
	kill -TERM "$tracer" 2>/dev/null
	wait "$tracer" 2>/dev/null
}
told() { # that collectors' polls failed
	grep -q '^bpf_exporter_collector_up{.* 0$' "$tap_tmp/latest"
}
all_up() {
	! told
}
# The commands of bpf(2) that tables are read by.
commands() {
	strace_begin "$tap_tmp/calls" -e trace=bpf
	scrapes_more 4
	strace_end
	grep -oE 'BPF_MAP_(LOOKUP_BATCH|GET_NEXT_KEY)' "$tap_tmp/calls" | sort -u | tr '\n' ' '
}

# fault NAME told|silent SPEC: work goes on, before, during and after. When `told`, some collector
# must say that its polls fail; when not, none may.
fault() {
	local name=$1 tell=$2
	phase "$name"
	strace_begin "$tap_tmp/faults" -e trace="${3%%:*}" -e inject="$3"
	work 2
	case $tell in
	told) check "$name: collector_up tells of it" wait_until 20 told ;;
	esac
	if ! wait_until 20 injected; then
		not_ok "$name: it happens" "no call of ${3%%:*} was made"
	fi
	scrapes_more 3 || not_ok "$name: scrapes answer" "none in 60 s"
	work 1
	lives || not_ok "$name: it lives" "$(tail -n 3 "$tap_tmp/exporter.log")"
	strace_end
	phase "after $name"
	check "$name: then all is counted" wait_until 20 counted
	check "$name: then all collectors are up" wait_until 20 all_up
}
# Without a byte more than it has, while groups and processes come: mmap(2), mremap(2) and brk(2) fail. (Not
# by strace: brk says that it failed by another value than an error, which the C library takes for a success.)
no_memory() {
	local i answers=0
	phase "no memory"
	prlimit --pid "$exporter_pid" --as=1:
	for i in {1..20}; do
		cgroup_new "more/$i"
		in_cgroup "more/$i" "$tap_tmp/true"
	done
	work 5
	# with the last good snapshot, or that there is no memory to render it
	for i in {1..10}; do
		case $(curl -s -o "$tap_tmp/answer" -w '%{http_code}' --max-time 20 "http://127.0.0.1:$port/metrics") in
		200 | 503) answers=$((answers + 1)) ;;
		esac
	done
	echo "# no memory: it answered $answers of 10 scrapes; there may be none for a connection"
	lives || not_ok "no memory: it lives" "$(tail -n 3 "$tap_tmp/exporter.log")"
	prlimit --pid "$exporter_pid" --as=unlimited:
	phase "after no memory"
	check "no memory: then all is counted" wait_until 20 counted
	check "no memory: then all collectors are up" wait_until 20 all_up
	all_more() {
		[ "$(awk '/^ebpf_cgroup_execs_total\{cgroup="(\/'"$live_cgroup"'\/more\/|\(unknown\))/ { n += $2 } END { print n + 0 }' \
			"$tap_tmp/latest")" -ge 20 ] # others' new groups are (unknown) too
	}
	check "no memory: the groups that came then are counted" wait_until 20 all_more
}
injected() {
	grep -q INJECTED "$tap_tmp/faults"
}

exporter_start --ebpf-probe-interval=200ms --process.max-series=1000000 --process.retention=20s
watch_begin
work 3
check "before: all is counted" wait_until 20 counted
before=$(commands)

fault "bpf EINTR" silent bpf:error=EINTR:when=3+7
fault "bpf ENOMEM" told bpf:error=ENOMEM:when=2+3
fault "bpf EAGAIN" told bpf:error=EAGAIN:when=2+3
fault "bpf EAGAIN now and then" told bpf:error=EAGAIN:when=2+23
fault "bpf EFAULT" told bpf:error=EFAULT:when=2+3
fault "bpf EFAULT now and then" told bpf:error=EFAULT:when=2+23
fault "bpf EINVAL" told bpf:error=EINVAL:when=2+3
fault "bpf ENOMEM always" told bpf:error=ENOMEM
fault "read EINTR" silent read,readv,pread64:error=EINTR:when=2+3
fault "read EAGAIN" silent read:error=EAGAIN:when=2+3
fault "poll EINTR" silent poll,ppoll:error=EINTR:when=2+3
fault "poll ENOMEM" silent poll,ppoll:error=ENOMEM:when=2+2
fault "open EINTR" silent open,openat,faccessat,faccessat2,fstat,newfstatat,fstatfs:error=EINTR:when=2+3
fault "open EMFILE" silent open,openat:error=EMFILE
fault "open EMFILE often" silent open,openat:error=EMFILE:when=2+2
fault "open ENOMEM" silent open,openat:error=ENOMEM:when=2+2
fault "getdents EINTR" silent getdents64:error=EINTR:when=2+2
fault "getdents EIO always" silent getdents64:error=EIO
fault "write EINTR" silent write,writev,sendto,sendmsg:error=EINTR:when=2+3
fault "accept EINTR" silent accept,accept4:error=EINTR:when=1+2
fault "accept EMFILE" silent accept,accept4:error=EMFILE:when=1+2
fault "accept ECONNABORTED" silent accept,accept4:error=ECONNABORTED:when=1+2
fault "clock EINVAL" silent clock_gettime:error=EINVAL:when=1+2
fault "everything EINTR" silent bpf,read,poll,openat,getdents64,write,writev,sendto,sendmsg,accept4,fstat:error=EINTR:when=5+5

equal "no fault made it poll another way" "$(commands)" "$before"
watch_end
exporter_stop
equal "it ends in peace" $? 0

# polled by scrapes, which wake the poller and wait for it
work_done=0
exporter_start --process.max-series=1000000 --process.retention=20s
watch_begin
work 3
check "before: all is counted" wait_until 20 counted
fault "a poll for each scrape: bpf ENOMEM" told bpf:error=ENOMEM:when=2+3
fault "a poll for each scrape: write EINTR" silent write:error=EINTR:when=1+2
fault "a poll for each scrape: poll ENOMEM" silent poll,ppoll:error=ENOMEM:when=2+2
watch_end
exporter_stop
equal "it ends in peace" $? 0

# as root: only who shares its user may limit it without CAP_SYS_RESOURCE
work_done=0
exporter_start --ebpf-probe-interval=200ms --process.max-series=1000000 --process.retention=20s --user=root
watch_begin
no_memory
watch_end
exporter_stop
equal "it ends in peace" $? 0
finish
