#!/usr/bin/env bash
# Catches: softirqs or hardirqs lost or counted twice, their time counted for both or for none of two that
# nest, for the wrong group, or for idle CPUs; a device's interrupts under another name.
. "$(dirname "$0")/lib.sh"
live_begin "$@"
oracle="$live_top/tests/live/irq_oracle.py"

softirqs() {
	python3 "$oracle" softirqs "$1"
}

cgroup_new victim
victim="cgroup=\"$cgroup_path\""
cgroup_new calm
calm="cgroup=\"$cgroup_path\""
cgroup_new sender
ip netns add a
ip -n a link set lo up
cpus=$(nproc)

# ---- a flood that interrupts somebody else ----
# The sender runs on CPU 1; what it sends over lo is received on CPU 0 (receive packet steering), where
# the victim counts. How many packets one softirq takes is the kernel's choice (on a slow machine, nearly
# all of a flood), so it sends until there were enough softirqs.
exporter_start
before=$(softirqs NET_RX)
scrape "$tap_tmp/first"
between=$(softirqs NET_RX)
if [ "$cpus" -gt 1 ]; then
	ip netns exec a sh -c 'echo 1 >/sys/class/net/lo/queues/rx-0/rps_cpus'
	spin() { # GROUP CMD...: a loop of this group has CPU 0 while the command runs
		spawn_in "$1" taskset -c 0 nice -n -10 sh -c 'while :; do :; done'
		loop=$spawned
		"${@:2}"
		kill "$loop"
		wait "$loop" 2>/dev/null
	}
	began=${EPOCHREALTIME/./}
	spin victim in_cgroup sender taskset -c 1 ip netns exec a python3 "$oracle" flood NET_RX 2000
	took=$((${EPOCHREALTIME/./} - began))
	spin calm sleep "$((took / 1000000)).$(printf '%06d' $((took % 1000000)))"
else
	skip "the victim of somebody else's packets" "it takes two CPUs, and there is one"
fi
last=$(softirqs NET_RX)
scrape "$tap_tmp/second"
after=$(softirqs NET_RX)
counted=$(($(value_in "$tap_tmp/second" ebpf_node_softirqs_total 'vec="net_rx"') - \
	$(value_in "$tap_tmp/first" ebpf_node_softirqs_total 'vec="net_rx"')))
check "net_rx: $((last - between)) <= $counted <= $((after - before)) of /proc/softirqs" \
	[ $((last - between)) -le $counted -a $counted -le $((after - before)) ]
if [ "$cpus" -gt 1 ]; then
	check "there was something to count" [ $((last - between)) -ge 2000 ]
	# the flood's softirqs ran in the victim's time, though the sender caused them
	ns() { value_in "$tap_tmp/second" ebpf_cgroup_irq_stolen_seconds_total "$1" | awk '{ printf "%.0f", $1 * 1e9 }'; }
	check "the victim lost more ($(ns "$victim") ns) than who had the CPU as long without a flood ($(ns "$calm") ns)" \
		[ "$(ns "$victim")" -gt $((2 * $(ns "$calm"))) ]
fi
for vec in timer net_tx net_rx block sched; do
	waits=$(value_in "$tap_tmp/second" ebpf_node_softirq_latency_seconds_count "vec=\"$vec\"")
	runs=$(value_in "$tap_tmp/second" ebpf_node_softirqs_total "vec=\"$vec\"")
	check "$vec: no more waits ($waits) than runs ($runs)" [ "$waits" -le "$runs" ]
done
equal "kinds of softirq, all from the start" "$(grep -c '^ebpf_node_softirqs_total' "$tap_tmp/first")" 10
equal "kinds whose waits are measured" "$(grep -c '^ebpf_node_softirq_latency_seconds_count' "$tap_tmp/first")" 5

# ---- hardirqs ----
# All device lines, bracketed, while the disk under this script is read.
python3 "$oracle" interrupts >"$tap_tmp/interrupts1"
scrape "$tap_tmp/first"
python3 "$oracle" interrupts >"$tap_tmp/interrupts2"
for _ in 1 2 3 4 5 6 7 8; do
	dd if="$BPF_EXPORTER" of=/dev/null bs=4k count=40 iflag=direct 2>/dev/null
done
python3 "$oracle" interrupts >"$tap_tmp/interrupts3"
scrape "$tap_tmp/second"
python3 "$oracle" interrupts >"$tap_tmp/interrupts4"
busiest=0
while IFS=$'\t' read -r name low; do
	at() { awk -F '\t' -v name="$name" '$1 == name { print $2 }' "$tap_tmp/interrupts$1"; }
	label=$(printf '%s' "$name" | sed 's/[\\"]/\\&/g')
	low=$(($(at 3) - $(at 2))) high=$(($(at 4) - $(at 1)))
	[ "$high" -gt 0 ] || continue
	got=$(($(value_in "$tap_tmp/second" ebpf_node_hardirqs_total "name=\"$label\"") - \
		$(value_in "$tap_tmp/first" ebpf_node_hardirqs_total "name=\"$label\"")))
	check "$name: $low <= $got <= $high of /proc/interrupts" [ "$low" -le "$got" -a "$got" -le "$high" ]
	[ "$low" -le "$busiest" ] || busiest=$low
done <"$tap_tmp/interrupts3"
if [ "$busiest" -gt 0 ]; then
	ok "devices interrupted meanwhile (one $busiest times)"
else
	skip "interrupts of a device" "none came while a file was read from its disk"
fi
highest=$(find /sys/kernel/irq -mindepth 1 -maxdepth 1 -printf '%f\n' | sort -n | tail -n 1)
equal "room for the numbers that there are, 64 more, and other" \
	"$(value_in "$tap_tmp/second" bpf_exporter_map_capacity 'map="node___hardirq"')" $((highest + 1 + 64 + 1))
check "a table that is always full is not shown as full" \
	sh -c '! grep -q "^bpf_exporter_map_entries{map=\"node___" "$1"' - "$tap_tmp/second"
complaints=$(grep -E 'level=(warn|error)' "$tap_tmp/exporter.log" | head -n 3)
equal "the exporter has nothing to complain of" "$complaints" ""

# ---- handlers inside a softirq and inside each other: the programs are run in an order made up here ----
here=$(cd "$(dirname "$0")" && pwd)
if ! command -v clang >/dev/null || ! command -v cc >/dev/null; then
	skip "interrupts inside each other, in an order made up" "no compiler here"
elif ! clang -target bpf -mcpu=v2 -g -O2 -Wall -Wno-unused-parameter -I"$live_top/vmlinux" -I"$live_top/bpf" \
	-c "$here/objects/irq_context.bpf.c" -o "$tap_tmp/irq_context.bpf.o" 2>"$tap_tmp/why" ||
	! cc -o "$tap_tmp/irq_context" "$here/irq_context.c" -lbpf 2>>"$tap_tmp/why" ||
	! "$tap_tmp/irq_context" "$tap_tmp/irq_context.bpf.o" >"$tap_tmp/nested" 2>"$tap_tmp/why"; then
	not_ok "interrupts inside each other, in an order made up" "$(head -n 3 "$tap_tmp/why")"
else
	nested() { sed -n "s/^$1 //p" "$tap_tmp/nested"; }
	equal "made up: a line that two devices share counts once" "$(nested hardirqs_7)" 1
	equal "made up: a handler inside another counts" "$(nested hardirqs_8)" 1
	equal "made up: a handler after the softirq" "$(nested hardirqs_9)" 1
	equal "made up: a number beyond the table is another's" "$(nested hardirqs_other)" 1
	equal "made up: softirqs" "$(nested softirqs)" 1
	check "made up: the handlers had $(nested hard_ns) ns" [ "$(nested hard_ns)" -gt 0 ]
	check "made up: no time counts twice ($(nested soft_ns) + $(nested hard_ns) of $(nested elapsed_ns) ns)" \
		[ $(($(nested soft_ns) + $(nested hard_ns))) -le "$(nested elapsed_ns)" ]
fi

# ---- every nanosecond is somebody's ----
# The maps outlive the exporter by a pin in a bpffs of the test's own; once it is gone, they stand still.
# Nobody scrapes this one: at its polls the exporter takes the rows of dead groups out.
if ! command -v bpftool >/dev/null; then
	skip "every nanosecond is somebody's" "bpftool is not installed"
	finish
fi
exporter_stop
exporter_start
mkdir "$tap_tmp/bpf"
mount -t bpf none "$tap_tmp/bpf"
maps=(node___softirq node___hardirq cgroup_irq irq_cpu)
for fdinfo in "/proc/$exporter_pid"/fdinfo/*; do
	id=$(sed -n 's/^map_id:\t//p' "$fdinfo")
	[ -n "$id" ] || continue
	name=$(bpftool map show id "$id" | sed -n 's/.* name \([^ ]*\) .*/\1/p')
	for map in "${maps[@]}"; do
		[ "$name" != "${map:0:15}" ] || bpftool map pin id "$id" "$tap_tmp/bpf/$map"
	done
done

# net_rx while nothing else happens: the file twice, the same, and the map in between
exact=
for _ in $(seq 8); do
	one=$(softirqs NET_RX)
	bpftool -j map dump pinned "$tap_tmp/bpf/node___softirq" >"$tap_tmp/soft1"
	two=$(softirqs NET_RX)
	[ "$one" = "$two" ] && break
done
ip netns exec a python3 -c '
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for i in range(2000):
    s.sendto(b"x", ("127.0.0.1", 9))
'
for _ in $(seq 8); do
	three=$(softirqs NET_RX)
	bpftool -j map dump pinned "$tap_tmp/bpf/node___softirq" >"$tap_tmp/soft2"
	four=$(softirqs NET_RX)
	[ "$three" = "$four" ] && exact=1 && break
done
if [ -n "$exact" ] && [ "$one" = "$two" ]; then
	equal "net_rx = /proc/softirqs, in a quiet moment" \
		$(($(python3 "$oracle" row "$tap_tmp/soft2" 3 0) - $(python3 "$oracle" row "$tap_tmp/soft1" 3 0))) \
		$((three - one))
else
	skip "net_rx = /proc/softirqs, in a quiet moment" "there was none: others use the network"
fi
exporter_stop
for map in "${maps[@]}"; do
	bpftool -j map dump pinned "$tap_tmp/bpf/$map" >"$tap_tmp/$map.json"
done
umount "$tap_tmp/bpf"
# shellcheck disable=SC2046 # words
set -- $(python3 "$oracle" conservation $(printf "$tap_tmp/%s.json " "${maps[@]}"))
equal "ns of softirqs and hardirqs = stolen from groups + taken from idle CPUs" "$2" "$1"
check "some was stolen ($3 ns), some taken from idle CPUs ($4 ns)" [ "$3" -gt 0 -a "$4" -ge 0 ]
check "at most a moment waits for its row ($5 ns)" [ "$5" -lt $((cpus * 2 * 10000000)) ]
equal "the handlers' time that softirqs leave out is that of the table" "$6" 0
finish
