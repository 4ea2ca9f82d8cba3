#!/usr/bin/env bash
# Catches: counts lost, memory kept or series left over when a node makes more processes and cgroups than
# any table has rows for, each of them gone before the next poll.
. "$(dirname "$0")/lib.sh"
live_begin "$@"

helper storm_work
storm_work=$helper
exporter_start --ebpf-probe-interval=500ms --process.retention=2s --cgroup.retention=2s
cgroup_new storm

of_storm() {
	value "$1" "cgroup=\"/$live_cgroup/storm\"" "${@:2}"
}
resident_kb() {
	awk '$1 == "VmRSS:" { print $2 }' "/proc/$exporter_pid/status"
}
settles() { # WHAT KB: memory is given back some polls later
	wait_until 20 settled_at "$2"
	if settled_at "$2"; then ok "$1 ($(resident_kb) <= $2)"; else not_ok "$1" "got $(resident_kb), expected at most $2"; fi
}
settled_at() {
	[ "$(resident_kb)" -le "$1" ]
}

# ---- 20,000 processes ----
processes() {
	in_cgroup storm "$storm_work" processes "$1" /bin/true >"$tap_tmp/did"
}
dead_are_gone() {
	scrape "$tap_tmp/scrape" && ! grep -q '^ebpf_[a-z_]*{pid="[0-9]*",comm="true"' "$tap_tmp/scrape" &&
		[ "$(value_in "$tap_tmp/scrape" bpf_exporter_map_entries 'map="___process_sched"')" -lt 4000 ]
}
began=$SECONDS
processes 20000
echo "# 20,000 processes in $((SECONDS - began)) s"
wait_until 10 [ "$(of_storm ebpf_cgroup_exits_total)" -ge 20001 ]
equal "20,000 processes: execs, and the one that made them" "$(of_storm ebpf_cgroup_execs_total)" 20001
equal "... forks" "$(of_storm ebpf_cgroup_forks_total)" 20000
equal "... ends" "$(of_storm ebpf_cgroup_exits_total 'result="ok"')" 20001
if wait_until 30 dead_are_gone; then
	ok "no series and no row of them is left after the retention"
else
	not_ok "no series and no row of them is left after the retention" \
		"$(grep -c 'comm="true"' "$tap_tmp/scrape") series, $(value_in "$tap_tmp/scrape" bpf_exporter_map_entries 'map="___process_sched"') rows"
fi
settled=$(resident_kb)
processes 8000
wait_until 30 dead_are_gone
equal "8,000 more: execs" "$(of_storm ebpf_cgroup_execs_total)" 28002
settles "... memory in kB has settled" $((settled + settled / 10 + 1024))

# ---- 10,000 cgroups ----
cgroups() {
	"$storm_work" cgroups "$2" /bin/true "$live_cgroup/$1" "${live_roots[@]}" >"$tap_tmp/did"
}
# those of the storm, by name or moved to the group of what is gone; other tests' removed groups are there too
execs_of_cgroups() {
	python3 - "$tap_tmp/scrape" "/$live_cgroup/$1/" <<'PY'
import re, sys
total = 0
for line in open(sys.argv[1]):
    m = re.match(r'ebpf_cgroup_execs_total\{cgroup="([^"]*)"\} (\d+)', line)
    if m and (m[1].startswith(sys.argv[2]) or m[1] == "(removed)"):
        total += int(m[2])
print(total)
PY
}
groups_are_gone() {
	scrape "$tap_tmp/scrape" && ! grep -q "cgroup=\"/$live_cgroup/$1/" "$tap_tmp/scrape"
}
for round in one two; do
	n=10000
	[ $round = one ] || n=3000
	cgroup_new $round
	sleep 1000 & # a group that is empty for a while may be swept by another run.sh on the machine
	for root in "${live_roots[@]}"; do
		echo $! >"$root/$live_cgroup/$round/cgroup.procs"
	done
	scrape "$tap_tmp/scrape"
	before=$(execs_of_cgroups $round)
	began=$SECONDS
	cgroups $round $n
	echo "# $n cgroups in $((SECONDS - began)) s"
	if wait_until 40 groups_are_gone $round; then
		ok "$n cgroups ($round): none is left after the retention"
	else
		not_ok "$n cgroups ($round): none is left after the retention" "$(grep -c "cgroup=\"/$live_cgroup/$round/" "$tap_tmp/scrape") series"
	fi
	grown=$(($(execs_of_cgroups $round) - before))
	if [ $grown -ge $n ] && [ $grown -le $((n + 200)) ]; then
		ok "... all execs are counted ($grown; other removed cgroups had $((grown - n)))"
	else
		not_ok "... all execs are counted" "got $grown, made $n"
	fi
	[ $round = two ] && settles "... memory in kB has settled" $((settled + settled / 10 + 1024))
	settled=$(resident_kb)
done
equal "no table was full" "$(value bpf_exporter_table_overflow_total)" 0
finish
