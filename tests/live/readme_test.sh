#!/usr/bin/env bash
# Catches: a README whose "add a collector" does not build, or counts wrong, when pasted.
. "$(dirname "$0")/lib.sh"
live_begin "$@"

cp -a "$live_top/." "$tap_tmp/tree"
awk '/^```c$/ { inside = 1; next } /^```$/ { inside = 0 } inside' "$live_top/README.md" \
	>"$tap_tmp/tree/bpf/softirq.bpf.c"
lines=$(wc -l <"$tap_tmp/tree/bpf/softirq.bpf.c")
check "the README's collector is about 20 lines ($lines)" test "$lines" -ge 10 -a "$lines" -le 25
check "it builds where it was pasted" make -C "$tap_tmp/tree" --no-print-directory
BPF_EXPORTER=$tap_tmp/tree/build/bpf_exporter
exporter_start

# file exact (bracketed): the kernel's count read before and after the scrape
kernel() {
	awk '$1 == "TIMER:" { for (i = 2; i <= NF; i++) sum += $i } END { print sum }' /proc/softirqs
}
first_low=$(kernel)
first=$(value ebpf_node_softirq_runs_total 'vec="timer"')
first_high=$(kernel)
sleep 1
last_low=$(kernel)
last=$(value ebpf_node_softirq_runs_total 'vec="timer"')
last_high=$(kernel)
grown=$((last - first))
least=$((last_low - first_high))
most=$((last_high - first_low))
if [ "$grown" -ge "$least" ] && [ "$grown" -le "$most" ] && [ "$most" -gt 0 ]; then
	ok "its count grew by $grown, between the kernel's $least and $most"
else
	not_ok "its count" "grew by $grown, the kernel's by $least to $most"
fi
check "kinds that never ran are 0, not absent" \
	grep -q '^ebpf_node_softirq_runs_total{vec="irq_poll"} ' "$tap_tmp/scrape"
finish
