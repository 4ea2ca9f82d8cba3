#!/usr/bin/env bash
# Catches: the first counts of a cgroup that is younger than the last walk of the tree going to
# "(removed)". Without the collector that tells of changes the tree is walked every 5 s only, so the
# cgroup below is certainly unknown when its rows are first read.
. "$(dirname "$0")/lib.sh"
live_begin "$@"

younger() {
	cgroup_new "$1"
	in_cgroup "$1" true
	equal "$2: its exec has its name" "$(value ebpf_cgroup_execs_total "cgroup=\"$cgroup_path\"")" 1
	equal "$2: nothing is called removed" "$(value ebpf_cgroup_execs_total 'cgroup="(removed)"')" 0
}

exporter_start --no-collector.cgroups
scrape
younger by_root "started by root"
exporter_stop
spawn setpriv --bounding-set=-dac_read_search "$BPF_EXPORTER" --web.listen-address=127.0.0.1:0 \
	--ebpf-probe-interval=0 --no-collector.cgroups 2>"$tap_tmp/exporter.log"
exporter_pid=$spawned
wait_until 20 exporter_ready
port=$(sed -n 's/.*metrics on http:[^:]*:\([0-9]*\).*/\1/p' "$tap_tmp/exporter.log" | head -n 1)
scrape
younger by_walk "without CAP_DAC_READ_SEARCH"
finish
