#!/usr/bin/env bash
# Catches: SYN-ACKs sent again that are counted for whoever bound or inherited the listener instead of
# who called listen(), for the client, or as tcp_retransmits_total.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/net.sh"
live_begin "$@"

exporter_start
cgroup_new listeners
listeners="cgroup=\"$cgroup_path\""
procs=
for root in "${live_roots[@]}"; do
	procs+="$root$cgroup_path/cgroup.procs "
done
cgroup_new binders
binders="cgroup=\"$cgroup_path\""
cgroup_new clients
clients="cgroup=\"$cgroup_path\""
net_pair
# bound in one group, listened on by a child in another
net_spawn binders b python3 "$tcp_py" tcp_binder bind :: 7000 \
	listener tcp_listener "$procs" touch "$tap_tmp/up" serve
need 30 test -e "$tap_tmp/up"

# the clients never see an answer
net_rule a 'tcp flags & (syn | ack) == (syn | ack) drop'
for host in 10.99.0.2 fd99::2; do
	sent=$(kernel b TcpExt:TCPSynRetrans)
	net_spawn clients a python3 "$tcp_py" tcp_client connect $host 7000
	need 30 kernel_at_least b TcpExt:TCPSynRetrans $((sent + 1))
	end "$spawned"
	check "an answer to $host was sent again" kernel_at_least b TcpExt:TCPSynRetrans $((sent + 1))
done
# the requests live on without their clients: let the next answer through, to be reset
net_rule a
net_quiet
scrape
sent=$(kernel b TcpExt:TCPSynRetrans)
equal "all that b sent again are SYN-ACKs" "$sent" "$(kernel b Tcp:RetransSegs)"
equal "of the listener's group = TCPSynRetrans" \
	"$(value_in "$tap_tmp/scrape" ebpf_cgroup_tcp_synack_retransmits_total "$listeners")" "$sent"
equal "of the process that called listen()" \
	"$(value_in "$tap_tmp/scrape" ebpf_tcp_synack_retransmits_total "$listeners" 'comm="tcp_listener"')" "$sent"
equal "not of the process that bound and accepts" \
	"$(value_in "$tap_tmp/scrape" ebpf_cgroup_tcp_synack_retransmits_total "$binders")" 0
equal "not of the clients" \
	"$(value_in "$tap_tmp/scrape" ebpf_cgroup_tcp_synack_retransmits_total "$clients")" 0
equal "not also as tcp_retransmits_total" \
	"$(value_in "$tap_tmp/scrape" ebpf_cgroup_tcp_retransmits_total "$listeners")" 0
equal "the clients' requests are theirs" \
	"$(value_in "$tap_tmp/scrape" ebpf_cgroup_tcp_retransmits_total "$clients" 'cause="syn"')" \
	"$(kernel a TcpExt:TCPSynRetrans)"
finish
