#!/usr/bin/env bash
# Catches: refused memory that is counted twice, of the wrong kind or for whom the packet interrupted;
# errors counted for what is none, or for another process's group.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/net.sh"
live_begin "$@"

of() {
	value_in "$tap_tmp/scrape" "$@"
}

exporter_start
cgroup_new refused
refused="cgroup=\"$cgroup_path\""
cgroup_new writers
writers="cgroup=\"$cgroup_path\""
net_pair
if grep -aq inet_sk_error_report /sys/kernel/btf/vmlinux; then
	net_spawn refused a python3 "$tcp_py" tcp_refused refused 10.99.0.2 7999 25 refused fd99::2 7999 25
	wait "$spawned"
	net_quiet
	scrape
	equal "errors of the group = AttemptFails" \
		"$(of ebpf_cgroup_socket_errors_total "$refused" 'errno="ECONNREFUSED"')" "$(kernel a Tcp:AttemptFails)"
	equal "and no others" "$(of ebpf_cgroup_socket_errors_total "$refused")" "$(kernel a Tcp:AttemptFails)"
else
	skip "errors of the group" "before 5.14 the kernel has no inet_sk_error_report"
fi

# ---- memory that a group's limit refuses: on cgroup v1 it can be that of TCP alone
limit=/sys/fs/cgroup/memory/$live_cgroup/writers/memory.kmem.tcp.limit_in_bytes
if [ ! -e "$limit" ] || ! command -v perf >/dev/null; then
	skip "memory refused" "needs perf, and cgroup v1 (the limit of v2 kills before it refuses; see tests/vm/truth)"
	finish
fi
echo 1M >"$limit"
net_spawn writers b python3 "$tcp_py" tcp_reader listen :: 7000 touch "$tap_tmp/up" sleep
need 30 test -e "$tap_tmp/up"
# The event says nothing of whom: somebody else's on this machine may come in between. Then again; what
# is counted twice or not at all is so each time.
for n in 1 2 3 4 5; do
	scrape
	before=$(of ebpf_cgroup_socket_memory_limit_hits_total "$writers" 'kind="send"')
	net_spawn writers b python3 "$tcp_py" tcp_writer connect 127.0.0.1 7000 await "$tap_tmp/go$n" \
		fill touch "$tap_tmp/done$n" abort
	writer=$spawned
	perf stat -a -x, -o "$tap_tmp/perf" -e sock:sock_exceed_buf_limit -- \
		sh -c "touch '$tap_tmp/go$n'; until [ -e '$tap_tmp/done$n' ]; do sleep 0.05; done"
	wait "$writer"
	scrape
	hits=$(($(of ebpf_cgroup_socket_memory_limit_hits_total "$writers" 'kind="send"') - before))
	counted=$(awk -F, '/sock_exceed_buf_limit/ { print $1 }' "$tap_tmp/perf")
	[ "$hits" = "$counted" ] && break
done
check "memory was refused" [ "$hits" -gt 0 ]
equal "memory refused to who sends = perf's count of the event" "$hits" "$counted"
equal "none to who receives" "$(of ebpf_cgroup_socket_memory_limit_hits_total "$writers" 'kind="recv"')" 0
finish
