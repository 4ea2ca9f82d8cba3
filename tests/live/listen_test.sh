#!/usr/bin/env bash
# Catches: an accept queue that is read of the wrong socket, port or byte order, counted twice when
# processes share it or not added up when sockets share a port; listeners of other network namespaces,
# or older than the exporter, that are not seen; drops counted twice, lost when their socket closes, or
# counted for who bound the socket; a port that goes on listening after its end.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/net.sh"
live_begin "$@"

need_socket_storage

backlog=ebpf_cgroup_tcp_listen_backlog_connections
limit=ebpf_cgroup_tcp_listen_backlog_limit_connections
drops=ebpf_cgroup_tcp_listen_drops_total

# listeners NS [PORT]: what ss says of them in sum: queue, limit, drops, how many
listeners() {
	nsenter --net=/run/netns/"$1" ss -HOltnm ${2+"sport = :$2"} | awk '
		{ queue += $2; limit += $3; n++; sub(/.*,d/, ""); drops += $0 + 0 }
		END { print queue + 0, limit + 0, drops + 0, n + 0 }'
}

of() {
	value_in "$tap_tmp/scrape" "$@"
}

# agrees NS PORT LABEL OLD: the scrape = ss, which says the same before and after it
agrees() {
	local before after
	before=$(listeners "$1" "$2")
	scrape
	after=$(listeners "$1" "$2")
	read -r queue_now limit_now drops_now number <<<"$after"
	[ "$before" = "$after" ] && [ "$(of $backlog "$3" "port=\"$2\"")" = "$queue_now" ] &&
		[ "$(of $limit "$3" "port=\"$2\"")" = "$limit_now" ] &&
		[ "$(of $drops "$3" "port=\"$2\"")" = $((drops_now - $4)) ]
}

# same WHAT NS PORT LABEL [OLD]: waits until they agree: requests are repeated, and each one is dropped
# again; and the exporter may look a little later than it is asked (ITERATORS_PERCENT). OLD: drops older
# than the exporter.
same() {
	wait_until 10 agrees "$2" "$3" "$4" "${5-0}"
	check "$1: somebody listens" [ "$number" -gt 0 ]
	equal "$1: queue" "$(of $backlog "$4" "port=\"$3\"")" "$queue_now"
	equal "$1: limit" "$(of $limit "$4" "port=\"$3\"")" "$limit_now"
	equal "$1: drops" "$(of $drops "$4" "port=\"$3\"")" $((drops_now - ${5-0}))
}

queue_of() {
	local queue
	read -r queue _ <<<"$(listeners "$1" "$2")"
	[ "$queue" = "$3" ]
}

drops_at_least() {
	local queue limit dropped
	read -r queue limit dropped _ <<<"$(listeners "$1" "$2")"
	[ "$dropped" -ge "$3" ]
}

for group in old servers listeners clients; do
	cgroup_new $group
	declare "$group=cgroup=\"$cgroup_path\""
	[ $group != listeners ] || procs=$(printf '%s ' "${live_roots[@]/%/$cgroup_path/cgroup.procs}")
done
net_pair

# ---- older than the exporter, with drops that are older too
net_spawn old b python3 "$tcp_py" old_server bind 10.99.0.2 7000 backlog 2 touch "$tap_tmp/old" sleep
old_server=$spawned
need 30 test -e "$tap_tmp/old"
if ! nsenter --net=/run/netns/b ss -HOltnm | grep -q skmem; then
	skip "${0##*/}" "no tcp_diag here: ss cannot say what a listener dropped"
	finish
fi
net_spawn clients a python3 "$tcp_py" tcp_client connects 10.99.0.2 7000 7 sleep
need 30 drops_at_least b 7000 4
end "$spawned" # or they would try again
read -r _ _ drops_before _ <<<"$(listeners b 7000)"
exporter_start
scrape
same "older than the exporter" b 7000 "$old" "$drops_before"
net_spawn clients a python3 "$tcp_py" tcp_client connects 10.99.0.2 7000 7 sleep
need 30 drops_at_least b 7000 $((drops_before + 7))
end "$spawned"
same "older, and full" b 7000 "$old" "$drops_before"

# ---- both namespaces, both families, one group
net_spawn servers b python3 "$tcp_py" tcp_server bind :: 7001 backlog 2 touch "$tap_tmp/b" sleep
server_b=$spawned
net_spawn servers a python3 "$tcp_py" tcp_server bind :: 7002 backlog 9 touch "$tap_tmp/a" sleep
server_a=$spawned
need 30 test -e "$tap_tmp/b"
need 30 test -e "$tap_tmp/a"
same "nobody came yet" b 7001 "$servers"
equal "nobody came yet: 0, not absent" "$(grep -c "^$backlog{$servers,port=\"7001\"} 0$" "$tap_tmp/scrape")" 1
listen_drops=$(kernel b TcpExt:ListenDrops)
net_spawn clients a python3 "$tcp_py" tcp_client connects 10.99.0.2 7001 4 connects fd99::2 7001 3 sleep
clients_b=$spawned
net_spawn clients b python3 "$tcp_py" tcp_client connects 10.99.0.1 7002 4 connects fd99::1 7002 3 sleep
need 30 queue_of b 7001 3
need 30 queue_of a 7002 7
need 30 drops_at_least b 7001 4
same "a full queue" b 7001 "$servers"
listen_drops=$(($(kernel b TcpExt:ListenDrops) - listen_drops))
scrape
check "a full queue: drops >= ListenDrops" [ "$(of $drops "$servers" 'port="7001"')" -ge "$listen_drops" ]
check "a full queue: there were some" [ "$listen_drops" -ge 4 ]
same "the other namespace" a 7002 "$servers"

# ---- one port: of several sockets, of several namespaces, of several processes
net_spawn servers b python3 "$tcp_py" tcp_server reuseport 10.99.0.2 7003 4 touch "$tap_tmp/reuse" sleep
need 30 test -e "$tap_tmp/reuse"
net_spawn clients a python3 "$tcp_py" tcp_client connects 10.99.0.2 7003 9 sleep
need 30 queue_of b 7003 9
same "SO_REUSEPORT" b 7003 "$servers"
net_spawn servers a python3 "$tcp_py" tcp_server bind 10.99.0.1 7003 backlog 100 touch "$tap_tmp/both" sleep
both=$spawned
need 30 test -e "$tap_tmp/both"
both() {
	[ "$(value $limit "$servers" 'port="7003"')" = 116 ]
}
wait_until 10 both
equal "one port in two namespaces: the limits add up" "$(of $limit "$servers" 'port="7003"')" 116
end "$both"
net_spawn servers b python3 "$tcp_py" tcp_server bind 10.99.0.2 7004 \
	listener tcp_listener "$procs" touch "$tap_tmp/child" sleep
need 30 test -e "$tap_tmp/child"
net_spawn clients a python3 "$tcp_py" tcp_client connects 10.99.0.2 7004 5 sleep
need 30 queue_of b 7004 5
same "listened on by a child" b 7004 "$listeners"
equal "not of who bound it" "$(grep -c "^$limit{$servers,port=\"7004\"}" "$tap_tmp/scrape")" 0

# ---- accepting empties the queue, and accepted sockets do not listen
net_spawn servers b python3 "$tcp_py" tcp_server bind 10.99.0.2 7005 backlog 30 touch "$tap_tmp/up" \
	await "$tap_tmp/accept" hold 6 touch "$tap_tmp/accepted" sleep
need 30 test -e "$tap_tmp/up"
net_spawn clients a python3 "$tcp_py" tcp_client connects 10.99.0.2 7005 8 sleep
need 30 queue_of b 7005 8
same "before accept()" b 7005 "$servers"
touch "$tap_tmp/accept"
need 30 test -e "$tap_tmp/accepted"
same "after accept()" b 7005 "$servers"
equal "after accept(): two wait" "$queue_now" 2

# ---- the end of a listener: its last drops stay, itself goes
last=$(of $drops "$servers" 'port="7001"')
read -r _ _ drops_now _ <<<"$(listeners b 7001)"
check "closing: drops that no poll saw" wait_until 30 drops_at_least b 7001 $((last + 2))
end "$clients_b"
read -r _ _ drops_now _ <<<"$(listeners b 7001)"
end "$server_b" "$server_a" "$old_server"
closed() {
	scrape
	! grep -q '^ebpf_cgroup_tcp_listen_backlog.*port="700[012]"' "$tap_tmp/scrape"
}
wait_until 10 closed
equal "closed: its last drops are counted" "$(of $drops "$servers" 'port="7001"')" "$drops_now"
equal "closed: no queue, no limit" "$(grep -c "^ebpf_cgroup_tcp_listen_backlog.*port=\"700[012]\"" "$tap_tmp/scrape")" 0
net_spawn servers b python3 "$tcp_py" tcp_server bind :: 7001 backlog 5 touch "$tap_tmp/again" sleep
need 30 test -e "$tap_tmp/again"
again() {
	[ "$(value $limit "$servers" 'port="7001"')" = 5 ]
}
wait_until 10 again
equal "opened again: its limit" "$(of $limit "$servers" 'port="7001"')" 5
equal "opened again: the drops go on" "$(of $drops "$servers" 'port="7001"')" "$drops_now"

# ---- all of it
same "opened again" b 7001 "$servers" "-$drops_now"
for group in servers listeners; do
	sum_of_groups=$((${sum_of_groups-0} + $(of $limit "${!group}")))
done
read -r _ limit_b _ <<<"$(listeners b)"
read -r _ limit_a _ <<<"$(listeners a)"
equal "all listeners of both namespaces, no more" "$sum_of_groups" $((limit_a + limit_b))
finish
