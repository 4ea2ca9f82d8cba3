#!/usr/bin/env bash
# Catches: a wait that ends before the process accepts or begins before the connection is there, and one
# blamed on who called listen() instead of who accepts. Where the kernel refuses the hook: a collector
# that is half on, or does not say why it is off.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/net.sh"
live_begin "$@"

of() {
	value_in "$tap_tmp/scrape" "$@"
}

procs_of() {
	local root
	for root in "${live_roots[@]}"; do
		printf '%s ' "$root$1/cgroup.procs"
	done
}

established() {
	[ "$(nsenter --net=/run/netns/b ss -Htn state established 'sport = :7000' | wc -l)" = "$1" ]
}

now_ns() {
	python3 -c 'import time; print(time.monotonic_ns())'
}

exporter_start --collector.accept
scrape
if ! grep -q '^# TYPE ebpf_cgroup_tcp_accept_wait_seconds' "$tap_tmp/scrape"; then
	check "it says what the kernel refuses" grep -q \
		'collector accept is off: this kernel \(refuses fexit/inet_csk_accept: \|has no inet_csk_accept\)' "$tap_tmp/exporter.log"
	equal "it is down" "$(of bpf_exporter_collector_up 'collector="accept"')" 0
	skip "the wait for accept()" "$(grep -o 'this kernel .*[^"]' "$tap_tmp/exporter.log" | head -n 1)"
	finish
fi
cgroup_new clients
cgroup_new listeners
listeners="cgroup=\"$cgroup_path\"" listeners_procs=$(procs_of "$cgroup_path")
cgroup_new servers
servers="cgroup=\"$cgroup_path\""
net_pair
begin=$(now_ns)
net_spawn servers b python3 "$tcp_py" tcp_server bind :: 7000 listener tcp_listener "$listeners_procs" \
	touch "$tap_tmp/up" await "$tap_tmp/go" accept accept accept accept touch "$tap_tmp/accepted" sleep
need 30 test -e "$tap_tmp/up"
for host in 10.99.0.2 10.99.0.2 fd99::2 fd99::2; do
	net_spawn clients a python3 "$tcp_py" tcp_client connect $host 7000 sleep
done
need 30 established 4
ready=$(now_ns)
sleep 0.5 # that something is waited for
go=$(now_ns)
touch "$tap_tmp/go"
need 30 test -e "$tap_tmp/accepted"
end=$(now_ns)
scrape
equal "one wait for each accept(), of who accepts" "$(of ebpf_cgroup_tcp_accept_wait_seconds_count "$servers")" 4
equal "none of who listens" "$(of ebpf_cgroup_tcp_accept_wait_seconds_count "$listeners")" 0
seconds=$(of ebpf_cgroup_tcp_accept_wait_seconds_sum "$servers")
check "they waited from the connection to accept() ($seconds s)" \
	python3 -c "exit(not 4 * ($go - $ready) <= $seconds * 1e9 <= 4 * ($end - $begin))"
finish
