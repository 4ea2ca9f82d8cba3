#!/usr/bin/env bash
# Catches: connects, failures or accepts counted twice or not at all, or blamed on whom the timer or the
# packet interrupted; an error that is not the one the process got; a latency that does not begin at
# the first SYN; a connection that ends without its round trip time.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/net.sh"
live_begin "$@"

of() {
	value_in "$tap_tmp/scrape" "$@"
}

# act GROUP STEP...: a process in a does these steps to their end; sets $actor
act() {
	local group=$1
	shift
	net_spawn "$group" a python3 "$tcp_py" "tcp_$group" "$@" 2>"$tap_tmp/act.log"
	actor=$spawned
	wait "$actor" || not_ok "$group: $*" "$(tail -n 1 "$tap_tmp/act.log")"
}

# failed WHAT GROUP ERRNO WANT: of the process that acted, and of its group
failed() {
	equal "$1: of the process" "$(of ebpf_tcp_connect_failures_total "pid=\"$actor\"" \
		"comm=\"tcp_$2\"" "errno=\"$3\"" "${label[$2]}")" "$4"
	equal "$1: of its group" "$(of ebpf_cgroup_tcp_connect_failures_total "errno=\"$3\"" "${label[$2]}")" "$4"
	equal "$1: no other error" "$(of ebpf_cgroup_tcp_connect_failures_total "${label[$2]}")" "$4"
}

exporter_start
declare -A label
for group in servers made refused late silent unreached given_up killed no_port itself multipath no_route neighbour; do
	cgroup_new $group
	label[$group]="cgroup=\"$cgroup_path\""
done
net_pair
net_spawn servers b python3 "$tcp_py" tcp_servers listen :: 7000 touch "$tap_tmp/up" serve
need 30 test -e "$tap_tmp/up"
# whom the softirqs interrupt
for cpu in $(seq 0 $(($(nproc) - 1))); do
	net_spawn neighbour a taskset -c "$cpu" nice -n 19 bash -c 'while :; do :; done'
	neighbours+=("$spawned")
done

# ---- 70 connects: 20 made, 50 refused; both families, and v4 in v6 on the server's side
act made made 10.99.0.2 7000 10 made fd99::2 7000 10
made=$actor
act refused fails ECONNREFUSED 10.99.0.2 7999 25 fails ECONNREFUSED fd99::2 7999 25
net_quiet
scrape
equal "connects = ActiveOpens" "$(($(of ebpf_cgroup_tcp_connects_total "${label[made]}") + \
	$(of ebpf_cgroup_tcp_connects_total "${label[refused]}")))" "$(kernel a Tcp:ActiveOpens)"
equal "connects: of the process" "$(of ebpf_tcp_connects_total "pid=\"$made\"" 'comm="tcp_made"' "${label[made]}")" 20
failed "refused = AttemptFails" refused ECONNREFUSED "$(kernel a Tcp:AttemptFails)"
equal "latencies = ActiveOpens - AttemptFails" \
	"$(of ebpf_cgroup_tcp_connect_latency_seconds_count "${label[made]}")" \
	"$(($(kernel a Tcp:ActiveOpens) - $(kernel a Tcp:AttemptFails)))"
equal "no latency of those refused" "$(of ebpf_cgroup_tcp_connect_latency_seconds_count "${label[refused]}")" 0
equal "accepts, of the listener's group = PassiveOpens" \
	"$(of ebpf_cgroup_tcp_accepts_total "${label[servers]}")" "$(kernel b Tcp:PassiveOpens)"
equal "no latency of the server's side" "$(of ebpf_cgroup_tcp_connect_latency_seconds_count "${label[servers]}")" 0
equal "round trip times = connections that ended, at the clients" \
	"$(of ebpf_cgroup_tcp_smoothed_rtt_seconds_count "${label[made]}")" 20
equal "and at the server" "$(of ebpf_cgroup_tcp_smoothed_rtt_seconds_count "${label[servers]}")" 20
equal "but not of those refused" "$(of ebpf_cgroup_tcp_smoothed_rtt_seconds_count "${label[refused]}")" 0

# ---- the first SYN is lost: the kernel waits 1 s before the next
fails=$(kernel a Tcp:AttemptFails)
retransmits=$(kernel a Tcp:RetransSegs)
net_rule b 'tcp flags & (syn | ack) == syn drop'
net_spawn late a python3 "$tcp_py" tcp_late made 10.99.0.2 7000 1
late=$spawned
need 30 kernel_at_least a Tcp:RetransSegs $((retransmits + 1))
net_rule b
wait "$late"
net_quiet
scrape
equal "first SYN lost: one connect" "$(of ebpf_cgroup_tcp_connects_total "${label[late]}")" 1
equal "first SYN lost: one latency" "$(of ebpf_cgroup_tcp_connect_latency_seconds_count "${label[late]}")" 1
equal "first SYN lost: above 1 s" "$(of ebpf_cgroup_tcp_connect_latency_seconds_bucket "${label[late]}" 'le="1"')" 0
equal "first SYN lost: no failure" "$(of ebpf_cgroup_tcp_connect_failures_total "${label[late]}")" 0
equal "and none for the kernel" "$(kernel a Tcp:AttemptFails)" "$fails"

# ---- no answer: a timer ends it. Unreachable: a packet does
net_rule b 'tcp dport 7001 drop; tcp dport 7002 reject with icmpx type host-unreachable'
act silent fails ETIMEDOUT 10.99.0.2 7001 1 fails ETIMEDOUT fd99::2 7001 1
scrape
failed "no answer" silent ETIMEDOUT $(($(kernel a Tcp:AttemptFails) - fails))
fails=$(kernel a Tcp:AttemptFails)
act unreached fails EHOSTUNREACH 10.99.0.2 7002 3 fails EHOSTUNREACH fd99::2 7002 4
scrape
failed "unreachable" unreached EHOSTUNREACH $(($(kernel a Tcp:AttemptFails) - fails))
equal "unreachable: AttemptFails" $(($(kernel a Tcp:AttemptFails) - fails)) 7
fails=$(kernel a Tcp:AttemptFails)

# ---- what the kernel does not call a failed attempt
opens=$(kernel a Tcp:ActiveOpens)
act given_up fails DROP 10.99.0.2 7001 5
scrape
failed "given up by close()" given_up aborted 5
equal "given up: connects = ActiveOpens" "$(of ebpf_cgroup_tcp_connects_total "${label[given_up]}")" \
	$(($(kernel a Tcp:ActiveOpens) - opens))
opens=$(kernel a Tcp:ActiveOpens)
net_spawn killed a python3 "$tcp_py" tcp_killed fails ETIMEDOUT 10.99.0.2 7001 1
actor=$spawned
need 30 kernel_at_least a Tcp:ActiveOpens $((opens + 1))
end "$actor"
scrape
failed "killed while it waits" killed aborted 1
opens=$(kernel a Tcp:ActiveOpens)
nsenter --net=/run/netns/a sh -c 'cat /proc/sys/net/ipv4/ip_local_port_range
	echo 50000 50000 >/proc/sys/net/ipv4/ip_local_port_range' >"$tap_tmp/range"
act no_port no_port 10.99.0.2 7000 4 no_port fd99::2 7000 4
nsenter --net=/run/netns/a sh -c 'cat >/proc/sys/net/ipv4/ip_local_port_range' <"$tap_tmp/range"
net_quiet
scrape
failed "no local port" no_port EADDRNOTAVAIL 6
equal "no local port: attempts all the same" "$(of ebpf_cgroup_tcp_connects_total "${label[no_port]}")" 8
equal "but not ActiveOpens" $(($(kernel a Tcp:ActiveOpens) - opens)) 2
opens=$(kernel a Tcp:ActiveOpens)
act no_route fails ENETUNREACH 198.51.100.1 7000 3
scrape
equal "no route: no connect, as the kernel has it" "$(of ebpf_cgroup_tcp_connects_total "${label[no_route]}")" \
	$(($(kernel a Tcp:ActiveOpens) - opens))
if [ "$(value bpf_exporter_program_attached 'program="connect_returns_v4"')" = 1 ]; then
	failed "no route" no_route ENETUNREACH 3
else
	check "no route: --check says what is not counted" sh -c \
		'"$1" --check | grep -q "^connect: up, .*cannot hang on functions here, so not with what tcp_v4_connect tells"' - "$BPF_EXPORTER"
	skip "no route: the failures" "this kernel does not let programs attach to functions; the virtual machines' do"
fi
equal "none of these: AttemptFails" "$(kernel a Tcp:AttemptFails)" "$fails"

# ---- both sides at once, and MPTCP with its TCP below
passive=$(kernel a Tcp:PassiveOpens)
act itself itself 10.99.0.1 6000
act multipath multipath 10.99.0.2 7000
net_quiet
scrape
equal "both sides at once: a connect, and = ActiveOpens" $((\
	$(of ebpf_cgroup_tcp_connects_total "${label[itself]}") + \
	$(of ebpf_cgroup_tcp_connects_total "${label[multipath]}"))) $(($(kernel a Tcp:ActiveOpens) - opens))
equal "both sides at once: its latency" \
	"$(of ebpf_cgroup_tcp_connect_latency_seconds_count "${label[itself]}")" 1
equal "both sides at once: no accept = PassiveOpens" \
	"$(of ebpf_cgroup_tcp_accepts_total "${label[itself]}")" $(($(kernel a Tcp:PassiveOpens) - passive))
equal "MPTCP: one latency for each connect" \
	"$(of ebpf_cgroup_tcp_connect_latency_seconds_count "${label[multipath]}")" \
	"$(of ebpf_cgroup_tcp_connects_total "${label[multipath]}")"

equal "accepts of all = PassiveOpens" "$(of ebpf_cgroup_tcp_accepts_total "${label[servers]}")" \
	"$(kernel b Tcp:PassiveOpens)"
for family in connects connect_failures accepts connect_latency_seconds_count smoothed_rtt_seconds_count; do
	equal "nothing is the neighbour's: $family" \
		"$(of "ebpf_cgroup_tcp_$family" "${label[neighbour]}")$(of "ebpf_cgroup_tcp_${family}_total" \
			"${label[neighbour]}")" 00
done
end "${neighbours[@]}"
finish
