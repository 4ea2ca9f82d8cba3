#!/usr/bin/env bash
# Catches: sockets counted once per process that has them open, or for who listened instead of who has
# them; those of other network namespaces or older than the exporter that are missing; a state that a
# socket has left; a group whose last socket is gone and that still has one; connections that are half
# open, or over, and so no sockets, left out.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/net.sh"
live_begin "$@"

need_socket_storage

sockets=ebpf_cgroup_tcp_sockets

# ss_count NS STATE
ss_count() {
	nsenter --net=/run/netns/"$1" ss -Htan state "$2" | grep -c .
}

of() {
	[ "$(value $sockets "$1" "state=\"$2\"")" = "$3" ]
}

# The exporter may look again a little later than it is asked (ITERATORS_PERCENT).
same() {
	local want
	want=$(ss_count "$2" "$4")
	wait_until 20 of "$3" "${4//-/_}" "$want"
	equal "$1: $4" "$(value $sockets "$3" "state=\"${4//-/_}\"")" "$want"
}

for group in servers clients; do
	cgroup_new $group
	declare "$group=cgroup=\"$cgroup_path\""
done
net_pair
# The server's sockets are open in a child as well.
net_spawn servers b python3 "$tcp_py" tcp_server bind :: 7000 backlog 64 touch "$tap_tmp/up" \
	hold 10 touch "$tap_tmp/old" hold 20 touch "$tap_tmp/held" await "$tap_tmp/fork" \
	listener tcp_child "" touch "$tap_tmp/forked" sleep
server=$spawned
need 30 test -e "$tap_tmp/up"
net_spawn clients a python3 "$tcp_py" tcp_client connects 10.99.0.2 7000 10 await "$tap_tmp/old" \
	await "$tap_tmp/more" connects fd99::2 7000 20 await "$tap_tmp/shut" shutdowns 12 touch "$tap_tmp/shut_down" sleep
client=$spawned
need 30 test -e "$tap_tmp/old"
exporter_start
same "older than the exporter, clients" a "$clients" established
same "older than the exporter, servers" b "$servers" established
check "there are 10" [ "$(ss_count a established)" = 10 ]

touch "$tap_tmp/more"
need 30 test -e "$tap_tmp/held"
touch "$tap_tmp/fork"
need 30 test -e "$tap_tmp/forked"
for end in "clients a" "servers b"; do
	read -r group ns <<<"$end"
	same "30 held, $group" "$ns" "${!group}" established
done
check "there are 30" [ "$(ss_count b established)" = 30 ]
equal "one listens" "$(value $sockets "$servers" 'state="listen"')" 1

touch "$tap_tmp/shut"
need 30 test -e "$tap_tmp/shut_down"
check "12 are half closed" wait_until 30 eval '[ "$(ss_count a fin-wait-2)" = 12 ]'
for state in established close-wait; do
	same "half closed, servers" b "$servers" $state
done
same "half closed, clients" a "$clients" established
equal "half closed, clients: fin_wait2" "$(value $sockets "$clients" 'state="fin_wait2"')" 12

# who asks and gets no answer
net_rule b 'tcp flags & (syn | ack) == syn drop'
net_spawn clients a python3 "$tcp_py" tcp_client connects 10.99.0.2 7000 5 touch "$tap_tmp/asked" sleep
asker=$spawned
need 30 test -e "$tap_tmp/asked"
same "asking" a "$clients" syn-sent
check "there are 5" [ "$(ss_count a syn-sent)" = 5 ]

net_rule b

# who answers and hears no more: a request, not yet a socket, of who listens
end "$asker"
net_rule a 'tcp flags & (syn | ack) == syn | ack drop'
net_spawn clients a python3 "$tcp_py" tcp_client connects 10.99.0.2 7000 4 sleep
asker=$spawned
check "4 are half open" wait_until 30 eval '[ "$(ss_count b syn-recv)" = 4 ]'
same "half open" b "$servers" syn-recv
net_rule a

# what is over, and no socket any more: the namespace's, which is the group's that lives there
net_spawn servers b python3 "$tcp_py" tcp_serve listen :: 7001 touch "$tap_tmp/serves" serve
serve=$spawned
need 30 test -e "$tap_tmp/serves"
nsenter --net=/run/netns/a python3 "$tcp_py" tcp_others made 10.99.0.2 7001 3 made fd99::2 7001 3
check "6 are over" wait_until 30 eval '[ "$(ss_count a time-wait)" = 6 ]'
same "over" a "$clients" time-wait
equal "over: none at the other end" "$(value $sockets "$servers" 'state="time_wait"')" 0

end "$asker" "$client" "$server" "$serve"
gone() {
	scrape
	! grep -qE "^$sockets\{($clients|$servers),state=\"(established|syn_sent|listen|close_wait)\"" "$tap_tmp/scrape"
}
check "ended: no series is left" wait_until 30 gone
finish
