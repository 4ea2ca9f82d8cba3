#!/usr/bin/env bash
# Catches: datagrams that a receiver was too slow for and nobody counts: a DNS server that is stopped for a
# while says how many queries reached it, the sender knows how many it sent.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/net.sh"
. "$(dirname "$0")/real.sh"
live_begin "$@"
real_needs nsd:nsd

cgroup_new dns
cgroup_new load
in_dns="cgroup=\"/$live_cgroup/dns\""
net_pair
mkdir "$tap_tmp/nsd"
cat >"$tap_tmp/nsd/nsd.conf" <<CONF
server:
	server-count: 1
	ip-address: 10.99.0.2@53
	receive-buffer-size: 65536
	username: ""
	chroot: ""
	database: ""
	zonesdir: $tap_tmp/nsd
	pidfile: $tap_tmp/nsd/pid
	xfrdfile: $tap_tmp/nsd/xfrd
	zonelistfile: $tap_tmp/nsd/zones
	cookie-secret-file: ""
remote-control:
	control-enable: yes
	control-interface: $tap_tmp/nsd/control
zone:
	name: test
	zonefile: test.zone
CONF
printf '@ 60 IN SOA ns hostmaster 1 60 60 60 60\n@ 60 IN NS ns\nns 60 IN A 10.99.0.2\n' >"$tap_tmp/nsd/test.zone"

nsd_says() {
	nsd-control -c "$tap_tmp/nsd/nsd.conf" stats_noreset | sed -n 's/^num.queries=//p'
}
# queries that nsd answers: the count stands still
nsd_done() {
	local now
	now=$(nsd_says)
	[ "$now" = "${nsd_last-}" ] || { nsd_last=$now && return 1; }
}
# ask N: sends N queries, waits for no answer
ask() {
	net_spawn load a python3 - "$1" <<'PY'
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
query = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x02ns\x04test\x00\x00\x01\x00\x01"
for _ in range(int(sys.argv[1])):
    s.sendto(query, ("10.99.0.2", 53))
PY
	wait "$spawned"
}
# the process that reads the queries: the child that holds the socket
servers() {
	grep -l . "${live_roots[0]}/$live_cgroup/dns/cgroup.procs" >/dev/null && cat "${live_roots[0]}/$live_cgroup/dns/cgroup.procs"
}

net_spawn dns b nsd -d -c "$tap_tmp/nsd/nsd.conf" >"$tap_tmp/nsd.log" 2>&1
need 15 nsd_says
exporter_start
ask 50
need 15 nsd_done
before=$(nsd_says)
scrape "$tap_tmp/before"
dropped=$(kernel b Udp:RcvbufErrors)
mapfile -t pids < <(servers)
kill -STOP "${pids[@]}"
ask 5000
kill -CONT "${pids[@]}"
nsd_last=''
need 15 nsd_done
scrape "$tap_tmp/now"
got=$(($(nsd_says) - before))

grown() {
	echo $(($(value_in "$tap_tmp/now" "$@") - $(value_in "$tap_tmp/before" "$@")))
}
at_least "some queries found room" "$got" 1
at_least "many did not" $((5000 - got)) 1000
equal "drops of the group = what the server never got" \
	"$(grown ebpf_cgroup_udp_receive_drops_total "$in_dns" 'reason="rcvbuf"')" $((5000 - got))
equal "... as the kernel says" $(($(kernel b Udp:RcvbufErrors) - dropped)) $((5000 - got))
# all of nsd's processes hold the socket; it says of itself what each of them is ("nsd: server 1")
equal "drops of the server's processes" "$(grown ebpf_udp_receive_drops_total "$in_dns" 'reason="rcvbuf"')" $((5000 - got))
check "... which are nsd" sh -c '! grep "^ebpf_udp_receive_drops_total{.*$1" "$2" | grep -v "comm=\"nsd"' - "$in_dns" "$tap_tmp/now"
kill -TERM "${pids[@]}" 2>/dev/null
finish
