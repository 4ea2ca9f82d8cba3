#!/usr/bin/env bash
# Catches: counts of what outlives its name: a socket whose process and cgroup are gone and that still sends,
# an interface that is called otherwise from one packet to the next.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/net.sh"
live_begin "$@"


# ---- a cgroup is gone, its socket still sends ----
exporter_start --cgroup.retention=1s
cgroup_new listeners
cgroup_new senders
net_pair
net_spawn listeners b python3 "$tcp_py" tcp_listener listen 10.99.0.2 7000 serve
need 10 sh -c 'nsenter --net=/run/netns/b ss -Htln | grep -q :7000'
net_spawn senders a python3 "$tcp_py" tcp_sender connect 10.99.0.2 7000 touch "$tap_tmp/connected" await "$tap_tmp/go" send 3000
sender=$spawned
need 10 [ -e "$tap_tmp/connected" ]
net_rule b 'ip protocol tcp drop'
touch "$tap_tmp/go"
wait "$sender" # it has ended, and what it sent is not acknowledged
for pid in $(cat "${live_roots[0]}/$live_cgroup/senders/cgroup.procs"); do
	kill -KILL "$pid" && tail --pid="$pid" -f /dev/null
done
for root in "${live_roots[@]}"; do
	need 10 rmdir "$root/$live_cgroup/senders"
done
scrape "$tap_tmp/scrape"
at_removal=$(kernel a Tcp:RetransSegs)
need 20 kernel_at_least a Tcp:RetransSegs $((at_removal + 3))
# what is counted for the group by name, and since it is gone for (removed)
counted() {
	scrape "$tap_tmp/scrape"
	echo $(($(value_in "$tap_tmp/scrape" ebpf_cgroup_tcp_retransmits_total "cgroup=\"/$live_cgroup/senders\"") +
		$(value_in "$tap_tmp/scrape" ebpf_cgroup_tcp_retransmits_total 'cgroup="(removed)"')))
}
agree() {
	local before after
	before=$(kernel a Tcp:RetransSegs)
	got=$(counted)
	after=$(kernel a Tcp:RetransSegs)
	[ "$before" = "$after" ] && [ "$got" = "$before" ]
}
if wait_until 20 agree; then
	ok "retransmits of a socket whose cgroup is gone = RetransSegs ($got)"
else
	not_ok "retransmits of a socket whose cgroup is gone = RetransSegs" "got $got, the kernel says $(kernel a Tcp:RetransSegs)"
fi

# ---- an interface gets another name ----
net_rule b 'udp dport 9 counter drop'
drops() {
	scrape "$tap_tmp/scrape" && value_in "$tap_tmp/scrape" ebpf_node_skb_drops_total 'reason="NETFILTER_DROP"'
}
send_udp() {
	nsenter --net=/run/netns/a python3 -c '
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for _ in range(50):
    s.sendto(b"x", ("10.99.0.2", 9))'
}
nft_says() {
	nsenter --net=/run/netns/b nft list ruleset | sed -n 's/.*counter packets \([0-9]*\) .*/\1/p'
}
before=$(drops)
send_udp
need 10 [ "$(nft_says)" = 50 ]
ip -n b link set veth0 down
ip -n b link set veth0 name other0
ip -n b link set other0 up
ip -n b addr add 10.99.0.2/24 dev other0 2>/dev/null
more_arrive() {
	send_udp # the first ones may wait for the neighbour's address, and not all of them find room
	[ "$(nft_says)" -ge 100 ]
}
need 10 more_arrive
equal "drops on an interface that was renamed = nft's count" $(($(drops) - before)) "$(nft_says)"
finish
