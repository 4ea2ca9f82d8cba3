#!/usr/bin/env bash
# Catches: datagrams lost at a socket counted twice or not at all (IPv4, IPv6), blamed on the sender in
# whose softirq they are lost, or on nobody although a process holds the socket; a socket that changes
# its owner while two hold it; raw sockets' losses counted as UDP's.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/net.sh"
live_begin "$@"
udp_py=$live_top/tests/live/udp.py
drops=ebpf_cgroup_udp_receive_drops_total

of() {
	value_in "$tap_tmp/scrape" "$@"
}

# receiver GROUP STEP...: a process in b that does the steps; waits until it sleeps
receiver() {
	local group=$1
	rm -f "$tap_tmp/up"
	shift
	net_spawn "$group" b python3 "$udp_py" "udp_$group" "$@" touch "$tap_tmp/up" sleep
	receiver=$spawned
	need 30 test -s "$tap_tmp/up"
}

# from a, by a process of the group "senders"
sent() {
	net_spawn senders a python3 "$udp_py" udp_sender "$@"
	wait "$spawned" || not_ok "sends $*" "exit status $?"
}

# errors: what the kernel counted in b (Udp6's are in a file of their own)
errors() {
	kernel b Udp:RcvbufErrors
}

errors6() {
	nsenter --net=/run/netns/b awk '$1 == "Udp6RcvbufErrors" { print $2 }' /proc/net/snmp6
}

# queue_drops FILE: of the sockets in /proc/net/FILE in b
queue_drops() {
	nsenter --net=/run/netns/b awk 'NR > 1 { n += $NF } END { print n + 0 }' "/proc/net/$1"
}

for group in icmp new old raw senders shared worker; do
	cgroup_new $group
	declare "$group=cgroup=\"$cgroup_path\""
done
# shellcheck disable=SC2154 # declared above
net_pair # the first group lives in a
net_spawn worker b sleep 1000 # and this one in b
has_v6=0
grep -aq BPF_FUNC_sock_from_file /sys/kernel/btf/vmlinux && has_owner=1 || has_owner=0

receiver old bind 10.99.0.2 7000
old_pid=$receiver
receiver raw raw inet
exporter_start
scrape
grep -q 'program="udp_receive_drop",variant="[^"]*sk_buff' "$tap_tmp/scrape" && has_v6=1

# ---- a socket older than the exporter, its datagrams lost while the sender runs
sent send 10.99.0.2 7000 2000
scrape
lost=$(errors)
check "old socket: the buffer was full" [ "$lost" -gt 1000 ]
if [ $has_owner = 1 ]; then
	equal "old socket: of its process = RcvbufErrors" \
		"$(of ebpf_udp_receive_drops_total "pid=\"$old_pid\"" 'comm="udp_old"' "$old" 'reason="rcvbuf"')" "$lost"
	equal "old socket: of its group" "$(of $drops "$old")" "$lost"
else
	skip "old socket: its process" "before 5.11 programs cannot look at the sockets that are open"
fi
equal "none of the sender's" "$(of $drops "$senders")" 0

# ---- a new one: the first losses tell the exporter to look whose it is
receiver new bind 10.99.0.2 7001
new_pid=$receiver
before=$(errors)
all=$(of $drops)
sent send 10.99.0.2 7001 500
scrape
first=$(($(errors) - before))
equal "new socket: each loss is counted" $(($(of $drops) - all)) "$first"
if [ "${live_roots[0]}" = /sys/fs/cgroup ] && [ $has_owner = 1 ]; then
	equal "new socket: of its group at once" "$(of $drops "$new")" "$first"
fi
if [ $has_owner = 1 ]; then
	of_process=$(of ebpf_udp_receive_drops_total "pid=\"$new_pid\"")
	of_group=$(of $drops "$new")
	before=$(errors)
	sent send 10.99.0.2 7001 500
	scrape
	equal "new socket: after one poll, of its process" \
		$(($(of ebpf_udp_receive_drops_total "pid=\"$new_pid\"" 'comm="udp_new"' "$new") - of_process)) \
		$(($(errors) - before))
	equal "new socket: after one poll, of its group" $(($(of $drops "$new") - of_group)) $(($(errors) - before))
fi

# ---- IPv6
before=$(errors6)
all=$(of $drops)
receiver new bind fd99::2 7002
new_pid=$receiver
sent send fd99::2 7002 300
scrape
lost=$(($(errors6) - before))
check "IPv6: the buffer was full" [ "$lost" -gt 100 ]
if grep -q 'program="udp_other_drop",variant="[^"]*skb_drop_reason' "$tap_tmp/scrape"; then
	equal "IPv6: each loss is counted = Udp6RcvbufErrors" $(($(of $drops) - all)) "$lost"
else
	skip "IPv6" "before 5.17 the kernel does not tell of them"
fi
if [ $has_v6 = 1 ]; then
	sent send fd99::2 7002 300
	scrape
	equal "IPv6: after one poll, of its process" \
		"$(of ebpf_udp_receive_drops_total "pid=\"$new_pid\"" 'comm="udp_new"' "$new")" \
		$(($(errors6) - before - lost))
fi

# ---- two hold one socket: it stays the first one's, until that one is gone
if [ $has_owner = 1 ]; then
	procs=
	for root in "${live_roots[@]}"; do procs+="$root/$live_cgroup/worker/cgroup.procs "; done
	receiver shared bind 10.99.0.2 7003 keep udp_worker "$procs"
	parent=$receiver
	sent send 10.99.0.2 7003 100
	scrape # looks who holds it
	before=$(errors)
	for _ in 1 2 3; do
		sent send 10.99.0.2 7003 100
		receiver new bind 10.99.0.2 $((port_next = ${port_next-7010} + 1))
		sent send 10.99.0.2 "$port_next" 100 # so that it looks again
		end "$receiver"
		scrape
	done
	# the three others' losses are of sockets without an owner yet
	equal "shared: stays with the parent" \
		"$(of ebpf_udp_receive_drops_total "pid=\"$parent\"" 'comm="udp_shared"' "$shared")" 300
	check "shared: none of them the child's" [ "$(of ebpf_udp_receive_drops_total 'comm="udp_worker"')" = 0 ]
fi

# ---- ICMP sockets: they lose the answers that they do not read
before=$(of $drops)
nsenter --net=/run/netns/b sysctl -q "net.ipv4.ping_group_range=0 2147483647"
receiver icmp icmp 10.99.0.1 400 icmp fd99::1 400
scrape
for af in inet inet6; do
	file=icmp
	[ $af = inet6 ] && file=icmp6
	lost=$(queue_drops $file)
	check "ICMP $af: the buffer was full" [ "$lost" -gt 100 ]
	equal "ICMP $af: all of them = drops in /proc/net/$file" \
		"$(of ebpf_cgroup_socket_queue_drops_total "family=\"$af\"")" "$lost"
	if [ $has_owner = 1 ] && [ "${live_roots[0]}" = /sys/fs/cgroup ]; then
		equal "ICMP $af: of its group" "$(of ebpf_cgroup_socket_queue_drops_total "$icmp" "family=\"$af\"")" "$lost"
	fi
done

# ---- raw sockets
icmp_drops=$(of ebpf_cgroup_socket_queue_drops_total)
sent ping 10.99.0.2 400
scrape
lost=$(queue_drops raw)
check "raw: the buffer was full" [ "$lost" -gt 100 ]
if [ "$(of ebpf_cgroup_socket_queue_drops_total)" = "$icmp_drops" ]; then
	skip "raw" "this kernel looks at the buffer of raw sockets too early to tell"
else
	equal "raw: of its group = drops in /proc/net/raw" \
		"$(of ebpf_cgroup_socket_queue_drops_total "$raw" 'family="inet"')" "$lost"
fi
equal "raw and ICMP: none of them UDP's" "$(of $drops)" "$before"
finish
