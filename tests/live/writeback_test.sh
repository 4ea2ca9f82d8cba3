#!/usr/bin/env bash
# Catches: sleeping writers charged to somebody else or in the wrong unit (jiffies are 1 to 10 ms, a
# configuration of the kernel); commits of a journal that are missed, or of another file system; write errors
# of the wrong device (the pages of a disk itself belong to a file system without one).
# shellcheck source=tests/live/lib.sh
. "$(dirname "$0")/lib.sh"
live_begin "$@"

truncate -s 64M "$tap_tmp/disk"
if ! loop_new "$tap_tmp/disk" 2>"$tap_tmp/why"; then
	skip "what becomes of writes" "no loop device: $(head -n 1 "$tap_tmp/why")"
	finish
fi
cgroup_new writer
writer="cgroup=\"$cgroup_path\""
exporter_start
of() {
	value_in "$tap_tmp/scrape" "$@"
}
has_program() {
	[ "$(value bpf_exporter_program_attached "program=\"$1\"")" = 1 ]
}
cgroup_enter writer

# ---- writers that must sleep ----
# Only those of this device: its own limit of dirty memory is a megabyte.
limits=/sys/class/bdi/$((number >> 20)):$((number & 0xfffff))
if ! echo 1048576 >"$limits/max_bytes" || ! echo 1 >"$limits/strict_limit"; then
	skip "sleeping writers" "this kernel has no limit of dirty memory for one device (6.2)"
elif ! perf record -q -a -o "$tap_tmp/record" -e writeback:balance_dirty_pages --filter "pause > 0" -- \
	"${enter[@]}" dd if=/dev/zero of="$loop" bs=64k count=600 2>"$tap_tmp/why"; then
	skip "sleeping writers" "perf cannot record here: $(head -n 1 "$tap_tmp/why")"
else
	slept() { # what dd did, in the kernel's events
		perf script -i "$tap_tmp/record" 2>/dev/null | awk '
			/^ *dd / && match($0, / pause=[0-9]+/) { ms += substr($0, RSTART + 7, RLENGTH - 7) }
			END { printf "%g\n", ms / 1000 }'
	}
	scrape "$tap_tmp/scrape"
	want=$(slept)
	check "the writer had to sleep" [ "$want" != 0 ]
	equal "seconds that the group slept = the kernel's events" \
		"$(of ebpf_cgroup_dirty_throttle_seconds_total "$writer")" "$want"
	equal "the process is the writer" \
		"$(of ebpf_dirty_throttle_seconds_total "$writer" 'comm="dd"')" "$want"
fi
echo 0 >"$limits/strict_limit"

# ---- commits of a journal ----
truncate -s 32M "$tap_tmp/fs"
mkfs.ext4 -q "$tap_tmp/fs"
mkdir "$tap_tmp/mounted"
loop_new "$tap_tmp/fs"
commits_of_the_kernel() {
	awk 'NR == 1 { print $1 }' /proc/fs/jbd2/"${loop#/dev/}"-*/info
}
commits_agree() {
	want=$(commits_of_the_kernel)
	got=$(value ebpf_device_journal_commit_seconds_count "$device")
	[ "$got" = "$want" ]
}
if ! has_program writeback_commit_ends; then
	skip "commits of a journal" "jbd2 is not part of this kernel's image"
elif ! mount "$loop" "$tap_tmp/mounted"; then
	skip "commits of a journal" "cannot mount ext4 here"
else
	before=$(value ebpf_device_journal_commit_seconds_count "$device") # of what was at this device before
	for i in 1 2 3 4 5 6 7; do
		dd if=/dev/zero of="$tap_tmp/mounted/$i" bs=4k count=3 conv=fsync 2>/dev/null
	done
	equal "there were none before" "$before" 0
	check "each fsync brought one" [ "$(commits_of_the_kernel)" -ge 7 ]
	wait_until 10 commits_agree # its thread commits by itself every 5 s
	equal "commits = /proc/fs/jbd2" "$got" "$want"
	took=$(of ebpf_device_journal_commit_seconds_sum "$device")
	check "they took some time" [ "$took" != 0 ]
	umount "$tap_tmp/mounted"
	equal "no commit is forgotten" "$(python3 "${BASH_SOURCE[0]%/*}/maps.py" "$exporter_pid" writeback_commi)" 0
fi
finish
