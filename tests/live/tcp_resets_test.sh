#!/usr/bin/env bash
# Catches: resets counted twice or not at all, those of a closed port blamed on a process, those of a
# process blamed on its peer, and those received missing for the process whose connection broke.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/net.sh"
live_begin "$@"

of() {
	value_in "$tap_tmp/scrape" "$@"
}

exporter_start
cgroup_new servers
servers="cgroup=\"$cgroup_path\""
cgroup_new aborting
aborting="cgroup=\"$cgroup_path\""
cgroup_new refused
refused="cgroup=\"$cgroup_path\""
net_pair
net_spawn servers b python3 "$tcp_py" tcp_server listen :: 7000 touch "$tap_tmp/up" serve
need 30 test -e "$tap_tmp/up"

# Resets without a socket are the root group's, so those of the whole machine are: somebody else's may
# come in between. Then again; what is counted twice or not at all is so each time.
for _ in $(seq 20); do
	scrape
	root=$(of ebpf_cgroup_tcp_resets_sent_total 'cgroup="/"')
	no_socket=$(of ebpf_cgroup_tcp_resets_sent_total 'cgroup="/"' 'reason="NO_SOCKET"')
	sent=$(kernel b Tcp:OutRsts)
	failed=$(kernel a Tcp:AttemptFails)
	net_spawn refused a python3 "$tcp_py" tcp_refused refused 10.99.0.2 7999 25 refused fd99::2 7999 25
	pid=$spawned
	wait "$pid"
	net_quiet
	scrape
	[ $(($(of ebpf_cgroup_tcp_resets_sent_total 'cgroup="/"') - root)) = 50 ] && break
done
sent=$(($(kernel b Tcp:OutRsts) - sent))
equal "50 refused connects" "$sent" 50
if grep -q 'program="tcp_reset_sent",variant="[^"]*sk_rst_reason' "$tap_tmp/scrape"; then
	equal "closed port: resets sent, of the root group = OutRsts" \
		$(($(of ebpf_cgroup_tcp_resets_sent_total 'cgroup="/"') - root)) "$sent"
	equal "closed port: by the kernel's reason" \
		$(($(of ebpf_cgroup_tcp_resets_sent_total 'cgroup="/"' 'reason="NO_SOCKET"') - no_socket)) "$sent"
else
	skip "closed port: resets sent" "before 6.10 the kernel tells only of those of sockets"
fi
equal "closed port: received by the process = AttemptFails" \
	"$(of ebpf_tcp_resets_received_total "pid=\"$pid\"" 'comm="tcp_refused"' "$refused")" \
	$(($(kernel a Tcp:AttemptFails) - failed))
equal "received by its group = AttemptFails" \
	"$(of ebpf_cgroup_tcp_resets_received_total "$refused")" "$(kernel a Tcp:AttemptFails)"
equal "closed port: none sent by it" "$(of ebpf_cgroup_tcp_resets_sent_total "$refused")" 0

net_spawn aborting a python3 "$tcp_py" tcp_aborting aborted 10.99.0.2 7000 9 aborted fd99::2 7000 8
pid=$spawned
wait "$pid"
net_quiet
scrape
sent=$(kernel a Tcp:OutRsts)
equal "17 connections broken off" "$sent" 17
equal "broken off: sent by the process = OutRsts" \
	"$(of ebpf_tcp_resets_sent_total "pid=\"$pid\"" 'comm="tcp_aborting"' "$aborting")" "$sent"
equal "broken off: sent by its group" "$(of ebpf_cgroup_tcp_resets_sent_total "$aborting")" "$sent"
# EstabResets of b alone: a, which sent them, counts the same connections
equal "broken off: received by the other process = EstabResets" \
	"$(of ebpf_tcp_resets_received_total 'comm="tcp_server"' "$servers")" "$(kernel b Tcp:EstabResets)"
equal "broken off: received by its group" \
	"$(of ebpf_cgroup_tcp_resets_received_total "$servers")" "$(kernel b Tcp:EstabResets)"
equal "broken off: none sent by the other side" "$(of ebpf_cgroup_tcp_resets_sent_total "$servers")" 0
equal "broken off: none received by this side" "$(of ebpf_cgroup_tcp_resets_received_total "$aborting")" 0
finish
