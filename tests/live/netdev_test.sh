#!/usr/bin/env bash
# Catches: XDP exceptions counted twice or under a wrong action, a device that becomes a label by its name
# although containers make such devices without end, a transmit timeout of no device.
#
# No device here ever times out: the program for that is tried with the context of another hook, which
# begins with a device too. That the kernel's own hook gives it the same is not tested.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/net.sh"
live_begin "$@"
exceptions=ebpf_node_xdp_exceptions_total timeouts=ebpf_node_network_transmit_timeouts_total

of() {
	value_in "$tap_tmp/scrape" "$@"
}

for tool in clang perf; do
	command -v $tool >/dev/null && continue
	skip "${0##*/}" "$tool is not installed"
	finish
done

# answer NUMBER: an XDP program that gives this to each packet that reaches b
answer() {
	echo "__attribute__((section(\"xdp\"), used)) int answer(void *ctx) { return $1; }" |
		clang -target bpf -O2 -x c -c - -o "$tap_tmp/answer.o" &&
		ip -n b -force link set dev veth0 xdp obj "$tap_tmp/answer.o" sec xdp
}

# seen: how often the kernel's own tracepoint fired while a sent 100 datagrams; others' may be among them
seen() {
	nsenter --net=/run/netns/a perf stat -a -x , -o "$tap_tmp/perf" -e xdp:xdp_exception -- \
		python3 "$live_top/tests/live/udp.py" udp_sender send 10.99.0.2 7107 100 &&
		awk -F , '/xdp_exception/ { print $1 }' "$tap_tmp/perf"
}

cgroup_new any
net_pair
# nothing else is sent: no neighbour is looked for, no address announced
ip -n a neigh replace 10.99.0.2 dev veth0 \
	lladdr "$(ip -n b -o link show veth0 | sed 's,.*link/ether \([^ ]*\).*,\1,')"
for ns in a b; do
	nsenter --net=/run/netns/$ns sysctl -q net.ipv6.conf.all.disable_ipv6=1
done
exporter_start
if ! why=$(answer 99 2>&1); then
	skip "XDP" "$why"
	finish
fi
scrape
before=$(of $exceptions)
count=$(seen)
scrape
check "an answer that means nothing: each is an exception" [ "$count" -ge 100 ]
equal "an answer that means nothing = the tracepoint's own count" \
	"$(of $exceptions 'device="virtual"' 'action="unknown"')" "$count"
answer 0
count=$(seen)
scrape
check "aborted: each is an exception" [ "$count" -ge 100 ]
equal "aborted = the tracepoint's own count" "$(of $exceptions 'device="virtual"' 'action="aborted"')" "$count"
equal "none of another device or action" $(($(of $exceptions) - before)) \
	$(($(of $exceptions 'device="virtual"' 'action="unknown"') + count))
equal "no timeout" "$(of $timeouts)" 0
exporter_stop

objects=$tap_tmp/objects
mkdir "$objects"
sed 's,tp_btf/net_dev_xmit_timeout,tp_btf/xdp_exception,' "$live_top/bpf/netdev.bpf.c" >"$objects/timeout.bpf.c"
check "the program of another hook compiles" clang -target bpf -mcpu=v2 -g -O2 \
	-I"$live_top/vmlinux" -I"$live_top/bpf" -c "$objects/timeout.bpf.c" -o "$objects/timeout.bpf.o"
exporter_start --no-collector.netdev --collector.dir="$objects"
scrape
count=$(seen)
scrape
check "timeout, with an XDP exception's context: there were some" [ "$count" -ge 100 ]
equal "timeout, with an XDP exception's context: by device" "$(of $timeouts 'device="virtual"')" "$count"
equal "timeout, with an XDP exception's context: in all" "$(of $timeouts)" "$count"
finish
