#!/usr/bin/env bash
# Catches: a listen address that cannot be had and is not named, an exporter that serves on only one
# of its addresses, a hint that points to an address where nobody listens.
# shellcheck source=tests/live/lib.sh
. "$(dirname "$0")/../live/lib.sh"
# shellcheck source=tests/cli/common.bash
. "$(dirname "$0")/common.bash"
live_begin "$@"
ip link set lo up

# A port of the loopback that another program holds.
spawn python3 -c 'import socket, sys, time
s = socket.create_server((sys.argv[1], 0))
print(s.getsockname()[1], flush=True)
time.sleep(600)' 127.0.0.1 >"$tap_tmp/holder"
holder=$spawned
wait_until 10 test -s "$tap_tmp/holder"
taken=$(cat "$tap_tmp/holder")

no="level=error msg=\"cannot listen on"
one_line "an address in use" 1 \
	"$no ..127.0.0.1:$taken..: Address already in use; stop the other program or choose another --web.listen-address\"" \
	"$BPF_EXPORTER" --web.listen-address="127.0.0.1:$taken"
one_line "an address in use is found though the first is free" 1 "$no ..127.0.0.1:$taken..: Address already in use; " \
	"$BPF_EXPORTER" --web.listen-address=127.0.0.1:0 --web.listen-address="127.0.0.1:$taken"
one_line "one address twice" 1 "$no .*: Address already in use; " \
	"$BPF_EXPORTER" --web.listen-address=127.0.0.2:19435 --web.listen-address=127.0.0.2:19435
one_line "an address of another machine" 1 \
	"$no ..192.0.2.1:9435..: Cannot assign requested address; choose an address of this machine" \
	"$BPF_EXPORTER" --web.listen-address=192.0.2.1:9435
# a label of more than 63 letters: no name server is asked
long=$(printf '%064d' 0).example
one_line "a host that does not exist" 1 \
	"$no ..$long:9435..: no address for host ..$long..: .*; choose an IP address" \
	"$BPF_EXPORTER" --web.listen-address="$long:9435"
one_line "a port of others, without the right to it" 1 \
	"$no ..127.0.0.1:1..: Permission denied; choose a port from 1024 up or grant CAP_NET_BIND_SERVICE" \
	setpriv --bounding-set=-net_bind_service --inh-caps=-net_bind_service \
	"$BPF_EXPORTER" --web.listen-address=127.0.0.1:1
kill "$holder"
wait "$holder" 2>/dev/null

# lines MESSAGE...: each address of the log's "metrics on"
exporter_start --web.listen-address=127.0.0.2:0
sockets=$(ss -Hltnp | grep "pid=$exporter_pid," | awk '{ print $4 }' | sort)
equal "it listens on both addresses and on no other" "$(sed 's/:.*//' <<<"$sockets" | xargs)" "127.0.0.1 127.0.0.2"
bad=
for socket in $sockets; do
	curl -sf --max-time 20 "http://$socket/metrics" | grep -q '^bpf_exporter_build_info' || bad+=" $socket"
done
check "both addresses answer" test -z "$bad"
exporter_stop

exporter_start_on() {
	spawn "$BPF_EXPORTER" "$@" 2>"$tap_tmp/exporter.log"
	exporter_pid=$spawned
	wait_until 20 exporter_ready
}

# hint WHAT FLAG...: the address that the log's hint tells to try is one that answers
hint() {
	local url
	exporter_start_on "${@:2}"
	url=$(sed -n 's/.*try: curl -s \([^ ]*\) .*/\1/p' "$tap_tmp/exporter.log" | tr -d "'")
	check "$1: the hint works: curl -s $url" bash -c 'curl -gsf --max-time 20 "$0" | grep -q ^ebpf_' "$url"
	exporter_stop
}
hint "an address of its own" --web.listen-address=127.0.0.3:0
hint "all addresses" --web.listen-address=:0
hint "0.0.0.0" --web.listen-address=0.0.0.0:0
hint "a name" --web.listen-address=localhost:0
hint "another path" --web.listen-address=127.0.0.3:0 --web.telemetry-path=/m
if [ -e /proc/net/if_inet6 ] && grep -q '^0*1 ' /proc/net/if_inet6; then
	hint "IPv6" "--web.listen-address=[::1]:0"
	hint "all addresses, IPv6" "--web.listen-address=[::]:0"
	exporter_start_on --web.listen-address=:0
	port=$(sed -n 's/.*metrics on http:.*:\([0-9]*\).*/\1/p' "$tap_tmp/exporter.log")
	check ":PORT serves IPv6 too" bash -c 'curl -gsf --max-time 20 "http://[::1]:$0/-/ready" | grep -q ready' "$port"
	check ":PORT serves IPv4 too" bash -c 'curl -sf --max-time 20 "http://127.0.0.1:$0/-/ready" | grep -q ready' "$port"
	exporter_stop
else
	skip "IPv6" "this machine has no IPv6 loopback"
fi
finish
