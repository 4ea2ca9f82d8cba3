#!/usr/bin/env bash
# Catches: sockets older than the exporter that belong to nobody, accepted connections without their
# listener's owner, and a connection that a server hands to a worker but that stays the server's.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/net.sh"
live_begin "$@"

if ! grep -aq BPF_FUNC_sock_from_file /sys/kernel/btf/vmlinux; then
	skip "${0##*/}" "before 5.11 programs cannot look at the sockets that are open"
	finish
fi

procs_of() {
	local root
	for root in "${live_roots[@]}"; do
		printf '%s ' "$root$1/cgroup.procs"
	done
}

of() {
	value_in "$tap_tmp/scrape" "$@"
}

# lose_from NS FLAG: what NS sends once FLAG is there is lost until it was sent again twice; then all
# of it arrives
lose_from() {
	local other=a
	[ "$1" = a ] && other=b
	net_rule $other drop
	touch "$tap_tmp/$2"
	need 30 kernel_at_least "$1" Tcp:RetransSegs $(($(kernel "$1" Tcp:RetransSegs) + 2))
	net_rule $other
	net_sent
}

# all data that the servers in b sent again
sent_again() {
	retransmits_of b "$(kernel b TcpExt:TCPSynRetrans)"
}

# the worker's part; polls, and so looks at times who holds which socket
worker_part() {
	scrape
	of ebpf_tcp_retransmits_total "pid=\"$worker\"" 'comm="tcp_worker"' "$workers"
}

worker_is_known() {
	[ "$(worker_part)" -gt 0 ]
}

cgroup_new old_clients
old_clients="cgroup=\"$cgroup_path\""
cgroup_new old_servers
old_servers="cgroup=\"$cgroup_path\""
cgroup_new clients
cgroup_new servers
servers="cgroup=\"$cgroup_path\"" servers_procs=$(procs_of "$cgroup_path")
cgroup_new workers
workers="cgroup=\"$cgroup_path\"" workers_procs=$(procs_of "$cgroup_path")
net_pair

# ---- a listener and a connection older than the exporter
net_spawn old_servers b python3 "$tcp_py" old_server listen :: 7000 touch "$tap_tmp/old_up" \
	accept await "$tap_tmp/server_sends" send 20000 drain serve
old_server=$spawned
need 30 test -e "$tap_tmp/old_up"
net_spawn old_clients a python3 "$tcp_py" old_client connect 10.99.0.2 7000 touch "$tap_tmp/old_connected" \
	await "$tap_tmp/client_sends" send 20000 drain
old_client=$spawned
need 30 test -e "$tap_tmp/old_connected"
exporter_start
lose_from a client_sends
lose_from b server_sends
net_rule a 'tcp flags & (syn | ack) == (syn | ack) drop'
net_spawn clients a python3 "$tcp_py" tcp_client connect fd99::2 7000
need 30 kernel_at_least b TcpExt:TCPSynRetrans 1
end "$spawned"
net_rule a
net_sent
scrape
sent=$(retransmits_of a "$(kernel a TcpExt:TCPSynRetrans)")
check "old client: something was sent again" [ "$sent" -ge 2 ]
equal "old client: of the process" \
	"$(of ebpf_tcp_retransmits_total "pid=\"$old_client\"" 'comm="old_client"' "$old_clients")" "$sent"
equal "old client: of its group" "$(of ebpf_cgroup_tcp_retransmits_total "$old_clients")" "$sent"
sent=$(sent_again)
check "old server: something was sent again" [ "$sent" -ge 2 ]
equal "old server: of the process" \
	"$(of ebpf_tcp_retransmits_total "pid=\"$old_server\"" 'comm="old_server"' "$old_servers")" "$sent"
equal "old server: of its group" "$(of ebpf_cgroup_tcp_retransmits_total "$old_servers")" "$sent"
equal "old listener: of the process" \
	"$(of ebpf_tcp_synack_retransmits_total "pid=\"$old_server\"" 'comm="old_server"' "$old_servers")" \
	"$(kernel b TcpExt:TCPSynRetrans)"

# ---- an accepted connection: first its listener's, then its worker's
# The exporter looks who holds which socket when it polls, and polls when scraped: between the last
# scrape and the next it knows only who called listen(), and that is a child of who accepts.
net_spawn servers b python3 "$tcp_py" tcp_server bind :: 7001 listener tcp_listener "$servers_procs" \
	touch "$tap_tmp/up" accept worker tcp_worker "$workers_procs" touch "$tap_tmp/worker" \
	await "$tap_tmp/first" send 20000 await "$tap_tmp/trickle" trickle "$tap_tmp/trickled" \
	touch "$tap_tmp/paused" await "$tap_tmp/second" send 20000 drain
need 30 test -e "$tap_tmp/up"
net_spawn clients a python3 "$tcp_py" tcp_client connect 10.99.0.2 7001 drain
need 30 test -s "$tap_tmp/worker"
worker=$(cat "$tap_tmp/worker")
before=$(sent_again)
lose_from b first
sent=$(($(sent_again) - before))
scrape
check "accepted: something was sent again" [ "$sent" -ge 2 ]
equal "accepted: of who called listen()" \
	"$(of ebpf_tcp_retransmits_total 'comm="tcp_listener"' "$servers")" "$sent"
equal "accepted: of its group" "$(of ebpf_cgroup_tcp_retransmits_total "$servers")" "$sent"

# a trickle with losses shows when the exporter has looked again (every 10 s)
net_rule a 'numgen inc mod 10 == 0 drop'
touch "$tap_tmp/trickle"
check "handed over: the worker becomes the owner" wait_until 20 worker_is_known
touch "$tap_tmp/trickled"
need 30 test -e "$tap_tmp/paused"
net_rule a
net_sent
part=$(worker_part)
before=$(sent_again)
lose_from b second
sent=$(($(sent_again) - before))
check "handed over: something was sent again" [ "$sent" -ge 2 ]
equal "handed over: of the worker" "$(($(worker_part) - part))" "$sent"
equal "handed over: of its group" "$(of ebpf_cgroup_tcp_retransmits_total "$workers")" "$(worker_part)"
sum=0
for group in "$old_servers" "$servers" "$workers"; do
	sum=$((sum + $(of ebpf_cgroup_tcp_retransmits_total "$group")))
done
equal "of all groups in b = RetransSegs - TCPRetransFail - TCPSynRetrans" "$sum" "$(sent_again)"
finish
