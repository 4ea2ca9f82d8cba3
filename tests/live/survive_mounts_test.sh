#!/usr/bin/env bash
# Catches: an exporter that dies, or takes everything for gone, when the cgroup tree, procfs or sysfs is
# unmounted or covered under it. What it says then, and what it counts: README, "How counting works".
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/survive.sh"
live_begin "$@" # a mount namespace of our own, which the exporter shares

cgroup_new work
cgroup_new old
work_done=0
cp "$(type -P true)" "$tap_tmp/true"
base=$live_cgroup
# Where the trees are when they are not where they should be: cgroups are made and entered there.
# Not in $tap_tmp, which is removed with all that is in it; this goes with the mount namespace.
mount -t tmpfs none /mnt
aside=()
for root in "${live_roots[@]}"; do
	aside+=("/mnt/${root##*/}")
	mkdir "${aside[-1]}"
	mount --bind "$root" "${aside[-1]}"
done
usual=("${live_roots[@]}")

work() { # GROUP N: that many execs
	local i
	for ((i = 0; i < $2; i++)); do
		in_cgroup "$1" "$tap_tmp/true"
	done
	[ "$1" != work ] || work_done=$((work_done + $2))
}
counted() { # CGROUP N
	grep -qxF "ebpf_cgroup_execs_total{cgroup=\"$1\"} $2" "$tap_tmp/latest"
}
at_least() { # CGROUP N; others' new groups are (unknown) too
	[ "$(execs_in "$1")" -ge "$2" ] 2>/dev/null
}
new_is_counted() {
	counted "/$base/new" 4 || at_least "(unknown)" $((${unknown:-0} + 4))
}
new_goes_on() {
	counted "/$base/new" 9 || { counted "/$base/new" 5 && at_least "(unknown)" $((${unknown:-0} + 4)); }
}
execs_in() { # CGROUP
	sed -n "s|^ebpf_cgroup_execs_total{cgroup=\"$1\"} ||p" "$tap_tmp/latest"
}
said() { # PATTERN: how often the log has it
	grep -c "$1" "$tap_tmp/exporter.log"
}
has_said() { # PATTERN N
	[ "$(said "$1")" = "$2" ]
}
exports_process() {
	grep -q "^ebpf_context_switches_total{pid=\"$1\"," "$tap_tmp/latest"
}

exporter_start --ebpf-probe-interval=200ms --process.max-series=1000000 --process.retention=1s --cgroup.retention=1s
WATCH_INTERVAL=0.1 WATCH_RETENTION=1 watch_begin
spawn_in old sleep 1000
sleeper=$spawned
work work 3
check "before: all is counted" wait_until 20 counted "/$base/work" $work_done
check "before: a process that sleeps has series" wait_until 20 exports_process "$sleeper"

# ---- the cgroup tree ----
# Where programs tell of all changes nobody looks at the tree, and it is not missed. On v1 there is one that they do
# not tell of: a cgroup can be given another name.
v1=''
[ "${live_roots[0]}" = /sys/fs/cgroup ] || v1=1
phase "no cgroup tree"
for root in "${usual[@]}"; do
	umount -l "$root"
done
live_roots=("${aside[@]}")
cgroup_new new # the tree changed: it is looked at
unknown=$(execs_in '(unknown)')
work work 3
work new 4
check "no cgroup tree: a group that was known is counted as such" wait_until 20 counted "/$base/work" $work_done
# programs tell a new group's name where the kernel has text for them (5.13); else it is (unknown)
check "no cgroup tree: one that is new is counted by its name, or as (unknown)" wait_until 20 new_is_counted
if [ "$v1" ]; then
	cgroup_new renamed
	mv "${aside[0]}/$base/renamed" "${aside[0]}/$base/called"
fi
[ -z "$v1" ] || check "no cgroup tree: one clear warning" wait_until 20 has_said "level=warn.*cgroup tree.*not mounted there any more" 1
scrapes_more 15 # for longer than both retentions
check "no cgroup tree: known groups stay beyond the retention" counted "/$base/work" $work_done
if [ "$v1" ]; then
	equal "no cgroup tree: still one warning" "$(said 'level=warn.*cgroup tree')" 1
else
	skip "no cgroup tree: one clear warning" "on v2 nothing happens that programs do not tell of"
fi
check "no cgroup tree: it lives" lives
phase "cgroup tree is back"
for i in "${!usual[@]}"; do
	mount --bind "${aside[i]}" "${usual[i]}"
done
[ -z "$v1" ] || check "back: it says so" wait_until 20 has_said "the cgroup tree can be read again" 1
work new 5
check "back: all that the new group counts is its own, or was (unknown)" wait_until 20 new_goes_on
work work 2
check "back: all is counted" wait_until 20 counted "/$base/work" $work_done

# ---- procfs ----
phase "no procfs"
mount -t tmpfs none /proc
work work 3
check "no procfs: all is counted" wait_until 20 counted "/$base/work" $work_done
check "no procfs: one clear warning" wait_until 20 has_said "level=warn.*cannot read .*/proc" 1
scrapes_more 15
check "no procfs: a process that sleeps keeps its series beyond the retention" exports_process "$sleeper"
equal "no procfs: still one warning" "$(said 'level=warn.*cannot read .*/proc')" 1
umount /proc
check "no procfs: it lives" lives
phase "procfs is back"
check "procfs is back: it says so" wait_until 20 has_said "/proc.* can be read again" 1
scrapes_more 15
check "procfs is back: a process that sleeps still has its series" exports_process "$sleeper"

phase "hidepid"
mount -t proc -o hidepid=2 none /proc
scrapes_more 15
check "procfs that hides the others: a process that sleeps keeps its series" exports_process "$sleeper"
umount /proc

# ---- sysfs ----
phase "no sysfs"
mount -t tmpfs none /sys # the cgroup tree's folder goes with it
work work 3
check "no sysfs: all is counted" wait_until 20 counted "/$base/work" $work_done
scrapes_more 10
check "no sysfs: it lives" lives
umount /sys
phase "sysfs is back"
work work 3
check "sysfs is back: all is counted" wait_until 20 counted "/$base/work" $work_done

kill -KILL "$sleeper"
exports_no_process() {
	! exports_process "$sleeper"
}
check "and a process that ends is found dead again" wait_until 20 exports_no_process
live_roots=("${usual[@]}")
watch_end
equal "no poll failed for it: collectors that were down" \
	"$(python3 -c 'import json, sys; print(sorted({d for p in json.load(open(sys.argv[1]))["phases"].values() for d in p["down"]}))' "$tap_tmp/watch.json")" "[]"
exporter_stop
equal "it ends in peace" $? 0
finish
