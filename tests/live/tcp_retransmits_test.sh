#!/usr/bin/env bash
# Catches: segments sent again that are blamed on whoever ran when the timer fired, counted per call
# instead of per segment, lost for IPv6, for IPv4 on a [::] listener, or when the owner is gone.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/net.sh"
live_begin "$@"

# of the senders, in the last scrape
retransmits() {
	value_in "$tap_tmp/scrape" "$@" "$senders"
}

# sent_by WHAT PID COMM BEFORE: the process has what the kernel counted since BEFORE
sent_by() {
	local kernel
	net_quiet
	kernel=$(($(retransmits_of a) - $4))
	scrape
	check "$1: something was sent again" [ "$kernel" -gt 0 ]
	equal "$1: of the process" "$(retransmits ebpf_tcp_retransmits_total "pid=\"$2\"" "comm=\"$3\"")" "$kernel"
}

# flow WHAT HOST PORT: 4 MB by a process of its own, all of it acknowledged in the end
flow() {
	local before pid
	before=$(retransmits_of a)
	net_spawn senders a python3 "$tcp_py" tcp_sender connect "$2" "$3" send 4000000 shutdown drain
	pid=$spawned
	wait "$pid"
	sent_by "$1" "$pid" tcp_sender "$before"
}

exporter_start
cgroup_new hogs
hogs="cgroup=\"$cgroup_path\""
cgroup_new receivers
receivers="cgroup=\"$cgroup_path\""
cgroup_new senders
senders="cgroup=\"$cgroup_path\""
net_pair
# somebody else is `current` wherever the kernel works for the sender
hog_pids=()
for _ in $(seq "$(nproc)"); do
	net_spawn hogs a sh -c 'while :; do :; done'
	hog_pids+=("$spawned")
done
net_spawn receivers b python3 "$tcp_py" tcp_receiver listen :: 7000 touch "$tap_tmp/any" serve
net_spawn receivers b python3 "$tcp_py" tcp_receiver listen 0.0.0.0 7004 touch "$tap_tmp/v4" serve
need 30 test -e "$tap_tmp/any"
need 30 test -e "$tap_tmp/v4"

net_rule b 'numgen inc mod 25 == 0 drop'
flow "IPv4" 10.99.0.2 7004
flow "IPv4 client of a [::] listener" 10.99.0.2 7000
flow "IPv6" fd99::2 7000

# all lost for a while: the retransmission timer fires while a hog is on the CPU
before=$(retransmits_of a)
timeouts=$(kernel a TcpExt:TCPTimeouts)
net_rule b
net_spawn senders a python3 "$tcp_py" tcp_late connect 10.99.0.2 7000 touch "$tap_tmp/late" \
	await "$tap_tmp/late_go" send 100000 shutdown drain
pid=$spawned
need 30 test -e "$tap_tmp/late"
net_rule b drop
touch "$tap_tmp/late_go"
need 30 kernel_at_least a TcpExt:TCPTimeouts $((timeouts + 2))
net_rule b
wait "$pid"
sent_by "timeouts" "$pid" tcp_late "$before"

# the process is gone before its data and its FIN are acknowledged
net_spawn senders a python3 "$tcp_py" tcp_gone connect 10.99.0.2 7000 touch "$tap_tmp/gone" \
	await "$tap_tmp/gone_go" send 20000 close
pid=$spawned
need 30 test -e "$tap_tmp/gone"
net_rule b drop
touch "$tap_tmp/gone_go"
wait "$pid"
before=$(retransmits_of a)
need 30 kernel_at_least a Tcp:RetransSegs $(($(kernel a Tcp:RetransSegs) + 2))
net_rule b
net_quiet
scrape
check "orphan: something was sent again after its process had gone" [ "$(retransmits_of a)" -ge $((before + 2)) ]
equal "orphan: of its owner's group" "$(retransmits ebpf_cgroup_tcp_retransmits_total)" "$(retransmits_of a)"

# a connection request that is not answered
before=$(retransmits_of a)
requests=$(kernel a TcpExt:TCPSynRetrans)
net_rule b 'tcp dport 7000 drop'
net_spawn senders a python3 "$tcp_py" tcp_syn connect 10.99.0.2 7000
pid=$spawned
need 30 kernel_at_least a TcpExt:TCPSynRetrans $((requests + 1))
end "$pid"
sent_by "requests" "$pid" tcp_syn "$before"

end "${hog_pids[@]}"
equal "sum of the causes = RetransSegs - TCPRetransFail" \
	"$(retransmits ebpf_cgroup_tcp_retransmits_total)" "$(retransmits_of a)"
equal "fast = TCPFastRetrans" \
	"$(retransmits ebpf_cgroup_tcp_retransmits_total 'cause="fast"')" "$(kernel a TcpExt:TCPFastRetrans)"
equal "syn = TCPSynRetrans" \
	"$(retransmits ebpf_cgroup_tcp_retransmits_total 'cause="syn"')" "$(kernel a TcpExt:TCPSynRetrans)"
# each time the timer fires it resends one segment, the first, if the interface has sent the last copy of it;
# TCPTimeouts counts the requests' timer too
timer=$(($(kernel a TcpExt:TCPSlowStartRetrans) + $(kernel a TcpExt:TCPTimeouts) - $(kernel a TcpExt:TCPSynRetrans)))
unsent=$(($(kernel a TcpExt:TCPSpuriousRtxHostQueues) + $(kernel a TcpExt:TCPRetransFail)))
rto=$(retransmits ebpf_cgroup_tcp_retransmits_total 'cause="rto"')
check "rto ($rto) = TCPSlowStartRetrans + TCPTimeouts - TCPSynRetrans ($timer), less those not sent (of $unsent)" \
	[ "$rto" -le $timer -a "$rto" -ge $((timer - unsent)) ]
equal "of the processes = of the group" \
	"$(retransmits ebpf_tcp_retransmits_total)" "$(retransmits ebpf_cgroup_tcp_retransmits_total)"
equal "of the receivers" \
	"$(value_in "$tap_tmp/scrape" ebpf_cgroup_tcp_retransmits_total "$receivers")" "$(retransmits_of b)"
equal "of the hogs: nothing" "$(value_in "$tap_tmp/scrape" ebpf_cgroup_tcp_retransmits_total "$hogs")" 0
finish
