#!/usr/bin/env bash
# Catches: a round trip time in the wrong unit, of the wrong moment, or of the other side. The kernel's
# own value is asked when all that was sent is acknowledged: it learns no more until the end.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/net.sh"
live_begin "$@"

exporter_start
cgroup_new clients
clients="cgroup=\"$cgroup_path\""
cgroup_new servers
servers="cgroup=\"$cgroup_path\""
net_pair
if ! tc -n a qdisc add dev veth0 root tbf rate 2mbit burst 4kb latency 400ms 2>"$tap_tmp/tc.log"; then
	echo "# without a slow link: $(head -n 1 "$tap_tmp/tc.log")"
fi
us=0
for n in 1 2 3; do
	net_spawn servers b python3 "$tcp_py" tcp_server listen :: 700$n touch "$tap_tmp/up$n" \
		accept await "$tap_tmp/rtt$n" close
	server=$spawned
	need 30 test -e "$tap_tmp/up$n"
	host=10.99.0.2
	[ $n = 3 ] && host=fd99::2
	net_spawn clients a python3 "$tcp_py" tcp_client connect $host 700$n send 30000 half_close "$tap_tmp/rtt$n" drain
	client=$spawned
	wait "$client"
	wait "$server"
	[ -s "$tap_tmp/rtt$n" ] && us=$((us + $(cat "$tap_tmp/rtt$n")))
done
net_quiet
scrape
equal "one for each connection that ended" \
	"$(value_in "$tap_tmp/scrape" ebpf_cgroup_tcp_smoothed_rtt_seconds_count "$clients")" 3
equal "and on the other side" \
	"$(value_in "$tap_tmp/scrape" ebpf_cgroup_tcp_smoothed_rtt_seconds_count "$servers")" 3
seconds=$(value_in "$tap_tmp/scrape" ebpf_cgroup_tcp_smoothed_rtt_seconds_sum "$clients")
check "their sum ($seconds s) = TCP_INFO's ($us us), which cuts off 7/8 us of each" \
	python3 -c "import sys; from decimal import Decimal as d
sys.exit(not $us > 0 or not 0 <= d('$seconds') * 10**6 - $us < 3)"
finish
