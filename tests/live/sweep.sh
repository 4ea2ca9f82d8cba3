# tests/live/sweep.sh: sourced; removes what a killed live test could not.
# shellcheck shell=bash

# Kills what is still inside, then removes the cgroup and those below it.
cgroup_remove() {
	local folder pid
	[ -n "$1" ] && [ -d "$1" ] || return 0
	find "$1" -depth -type d | while read -r folder; do
		for _ in 1 2 3 4 5 6 7 8 9 10; do
			rmdir "$folder" 2>/dev/null && break
			while read -r pid; do
				kill -KILL "$pid" 2>/dev/null
			done <"$folder/cgroup.procs"
			sleep 0.05
		done
	done
}

# The cgroups of tests that are no more; others may be running at this moment.
cgroups_sweep() {
	local folder
	for folder in /sys/fs/cgroup/bpf_exporter_test_* /sys/fs/cgroup/*/bpf_exporter_test_*; do
		[ -d "/proc/${folder##*_}" ] || cgroup_remove "$folder"
	done
}
