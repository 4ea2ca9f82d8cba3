#!/usr/bin/env bash
# Catches: events that come while the program for their kind runs already on that CPU: a softirq between
# two instructions of it. The kernel leaves it out then (since 6.1), and a count that relies on one
# program lacks them.
. "$(dirname "$0")/lib.sh"
live_begin "$@"

if [ "$(nproc)" -lt 2 ]; then
	skip "softirqs amid the program" "it takes two CPUs, and there is one"
	finish
fi
for program in nft bpftool; do
	command -v $program >/dev/null && continue
	skip "softirqs amid the program" "$program is not installed (make check-deps)"
	finish
done
helper nested_work
work=$helper
ip netns add a
ip -n a link set lo up
# what CPU 1 sends is received on CPU 0
ip netns exec a sh -c 'echo 1 >/sys/class/net/lo/queues/rx-0/rps_cpus'
# packets to 9001 die in the task that sends them, those to 9002 in the softirq that receives them
nsenter --net=/run/netns/a nft -f - <<NFT
table inet drops {
	chain output { type filter hook output priority 0; udp dport 9001 counter drop; }
	chain input { type filter hook input priority 0; udp dport 9002 counter drop; }
}
NFT
dropped() {
	nsenter --net=/run/netns/a nft list chain inet drops "$1" | awk '/counter/ { print $(NF - 3) }'
}
# Events at the hook by another program there, as the kernel counts them: seen, and left out.
at_hook() {
	bpftool -j prog show | python3 -c 'import json, sys
print(sum(p.get("run_cnt", 0) + p.get("recursion_misses", 0) for p in json.load(sys.stdin) if p.get("name") == "udp_other_drop"))'
}
left_out() {
	bpftool -j prog show | python3 -c 'import json, sys
print(sum(p.get("recursion_misses", 0) for p in json.load(sys.stdin) if p.get("name") == "skb_drop"))'
}
of_exporter() { # FILE: counted and missed
	echo $(($(value_in "$1" ebpf_cgroup_skb_drops_total) + $(missed "$1")))
}
missed() {
	value_in "$1" bpf_exporter_program_missed_runs_total 'program="skb_drop"'
}
all_received() { # what is left in CPU 0's backlog
	local before
	before=$(dropped input)
	sleep 0.2
	[ "$(dropped input)" = "$before" ]
}

# BPF_ENABLE_STATS: as long as the descriptor is open, so no longer than this test
spawn python3 -c 'import ctypes, os, sys, time
bpf = 321 if os.uname().machine == "x86_64" else 280
if ctypes.CDLL(None).syscall(bpf, 32, ctypes.byref(ctypes.c_uint32(0)), 4) < 0:
    raise SystemExit("BPF_ENABLE_STATS is refused")
open(f"{sys.argv[1]}/stats", "w").close()
time.sleep(1000)' "$tap_tmp"
wait_until 10 [ -e "$tap_tmp/stats" ]
exporter_start
low=$(at_hook)
scrape "$tap_tmp/first"
before=$(at_hook)
spawn taskset -c 0 ip netns exec a "$work" 9001 1000000
in_task=$spawned
spawn taskset -c 1 ip netns exec a "$work" 9002 400000
wait "$in_task" "$spawned"
wait_until 20 all_received
after=$(at_hook)
scrape "$tap_tmp/second"
high=$(at_hook)
of_task=$(dropped output) of_softirq=$(dropped input)
check "packets died in the task ($of_task) and in softirqs ($of_softirq)" \
	[ "$of_task" -eq 1000000 -a "$of_softirq" -gt 100000 ]
got=$(($(of_exporter "$tap_tmp/second") - $(of_exporter "$tap_tmp/first")))
check "counted, and said to be missed: $((after - before)) <= $got <= $((high - low)) of the kernel" \
	[ $((after - before)) -le $got -a $got -le $((high - low)) ]
missed=$(missed "$tap_tmp/second") left_out=$(left_out)
if [ "$left_out" -lt 1000 ]; then
	skip "a second program sees most of what the first one cannot" "the kernel left only $left_out runs out"
else
	check "a second program sees most of what the first one cannot (the kernel left out $left_out, $missed are missed)" \
		[ $((missed * 10)) -lt $((left_out * 7)) ]
fi
finish
