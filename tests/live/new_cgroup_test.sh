#!/usr/bin/env bash
# Catches: the first counts of a cgroup that is younger than the last walk of the tree going to
# "(removed)". Without the collector that tells of changes the tree is walked every 5 s only, so the
# first cgroup below is certainly unknown when its rows are first read.
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
younger seldom "walked now and then"
exporter_stop
exporter_start
scrape
younger told "told of changes"
finish
