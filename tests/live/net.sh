# tests/live/net.sh: sourced after lib.sh by the tests of network collectors: two network namespaces,
# a and b, joined by a veth pair, and what the kernel counted in each. Both are new, so the kernel's
# numbers start at 0 like those of the test's cgroups.
# shellcheck shell=bash
#
#   net_pair                    makes a (10.99.0.1, fd99::1) and b (10.99.0.2, fd99::2)
#   net_rule NS [RULE]          nft RULE on what NS receives, instead of the last one; none: pass all
#   need_socket_storage         ends the test where programs cannot keep anything with a socket
#   need SECONDS CMD...         like wait_until, and ends the test when it never does
#   net_spawn GROUP NS CMD...   like spawn, in cgroup GROUP (cgroup_new) and namespace NS
#   end PID...                  kills what was spawned, and waits
#   kernel NS NAME              a count of /proc/net/{snmp,netstat}, such as Tcp:RetransSegs
#   net_quiet                   waits until no connection is left that could send again
#   net_sent                    waits until everything sent was acknowledged, on connections that stay
#   retransmits_of NS [SYNACKS] what tcp_retransmits_total must be there
#
# live/tcp.py NAME STEP... is the process that owns sockets; it does the steps in order.

tcp_py=$live_top/tests/live/tcp.py

need_socket_storage() {
	grep -aq BPF_FUNC_sock_from_file /sys/kernel/btf/vmlinux && return
	skip "${0##*/}" "before 5.11 programs cannot keep anything with a socket"
	finish
}

need() {
	wait_until "$@" && return
	not_ok "waits for: ${*:2}" "not within $1 s"
	finish
}

net_pair() {
	local ns folder
	for ns in ip nft ss nsenter; do
		command -v $ns >/dev/null && continue
		skip "${0##*/}" "$ns is not installed"
		finish
	done
	ip netns add a && ip netns add b &&
		ip link add name veth0 netns a type veth peer name veth0 netns b || {
		skip "${0##*/}" "cannot make network namespaces and a veth pair here"
		finish
	}
	for ns in a b; do
		ip -n $ns link set lo up
		ip -n $ns addr add "10.99.0.$([ $ns = a ] && echo 1 || echo 2)/24" dev veth0
		ip -n $ns addr add "fd99::$([ $ns = a ] && echo 1 || echo 2)/64" dev veth0 nodad
		# small packets of packets, so that a few MB are many chances to lose one
		ip -n $ns link set veth0 up gso_max_segs 8
	done
	# a group that is empty for a while may be swept away by another run.sh on the machine
	for folder in "${live_roots[0]}/$live_cgroup"/*/; do
		net_spawn "$(basename "$folder")" a sleep 1000
	done
}

net_rule() {
	nsenter --net=/run/netns/"$1" nft -f - <<NFT
flush ruleset
table inet test {
	chain received {
		type filter hook input priority 0;
		${2-}
	}
}
NFT
}

net_spawn() {
	local root group=$1 ns=$2 files=()
	shift 2
	for root in "${live_roots[@]}"; do
		files+=("$root/$live_cgroup/$group/cgroup.procs")
	done
	# shellcheck disable=SC2016
	spawn bash -c 'for file in $1; do echo $$ >"$file" || exit; done; ns=$2; shift 2
		exec nsenter --net=/run/netns/"$ns" "$@"' - "${files[*]}" "$ns" "$@"
}

end() {
	kill -KILL "$@"
	wait "$@" 2>/dev/null
}

kernel() {
	nsenter --net=/run/netns/"$1" cat /proc/net/snmp /proc/net/netstat |
		awk -v line="${2%%:*}:" -v name="${2#*:}" '
			$1 == line && column { print $column; found = 1; column = 0 }
			$1 == line && !found { for (i = 2; i <= NF; i++) if ($i == name) column = i }
			END { if (!found) print "no such count" }'
}

kernel_at_least() {
	[ "$(kernel "$1" "$2")" -ge "$3" ]
}

# Time-wait sockets answer, but send nothing again.
net_is_quiet() {
	local ns
	for ns in a b; do
		! nsenter --net=/run/netns/$ns ss -Htan | grep -qv -e LISTEN -e TIME-WAIT || return
	done
}

net_quiet() {
	wait_until 30 net_is_quiet || not_ok "all connections end" "$(
		nsenter --net=/run/netns/a ss -tano
		nsenter --net=/run/netns/b ss -tano
	)"
}

net_is_sent() {
	local ns
	for ns in a b; do
		nsenter --net=/run/netns/$ns ss -Htan |
			awk '$1 ~ /^SYN/ || ($1 != "LISTEN" && $3 > 0) { waiting = 1 } END { exit waiting }' || return
	done
}

net_sent() {
	wait_until 30 net_is_sent || not_ok "everything sent arrives" "$(
		nsenter --net=/run/netns/a ss -tano
		nsenter --net=/run/netns/b ss -tano
	)"
}

# What tcp_retransmits_total must be in a namespace. The kernel counts a segment before it sends it, so
# failed sends are in RetransSegs; SYN-ACKs sent again are too ($2: how many), and have their own family.
retransmits_of() {
	echo $(($(kernel "$1" Tcp:RetransSegs) - $(kernel "$1" TcpExt:TCPRetransFail) - ${2-0}))
}
