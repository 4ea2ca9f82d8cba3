#!/usr/bin/env bash
# A volume that is full where nobody looks: a thin disk, with a file system that still has room, on a host
# without. write() succeeds, fsync() fails, and what was written is gone. Alerts watch two counters.
# Catches: errors of the disk or of writing back that are missed, counted twice, or at another device.
# shellcheck source=tests/live/lib.sh
. "$(dirname "$0")/lib.sh"
live_begin "$@"

mkdir "$tap_tmp/host" "$tap_tmp/volume"
mount -t tmpfs -o size=4m none "$tap_tmp/host"
truncate -s 64M "$tap_tmp/host/disk"
# no lazy writes later, no discard now: all that the disk will ever need is there
if ! mkfs.ext4 -q -E nodiscard,lazy_itable_init=0,lazy_journal_init=0 -J size=1 "$tap_tmp/host/disk" 2>"$tap_tmp/why"; then
	skip "a full disk" "no ext4: $(head -n 1 "$tap_tmp/why")"
	finish
fi
if ! loop_new "$tap_tmp/host/disk" 2>"$tap_tmp/why"; then
	skip "a full disk" "no loop device: $(head -n 1 "$tap_tmp/why")"
	finish
fi
exporter_start
before=$(value ebpf_device_block_errors_total "$device")
equal "no error before" "$before" 0
equal "nor of writing back" "$(value ebpf_device_writeback_errors_total "$device")" 0
mount "$loop" "$tap_tmp/volume"

# the file's pages are in a file system of this device; the file system's own are the disk's, whose inode
# has the disk's number
write_too_much='dd if=/dev/zero of="$0/data" bs=64k count=256 conv=fsync 2>"$1"; status=$?
umount "$0"; exit $status'
if ! perf stat -a -x, -o "$tap_tmp/perf" -e block:block_rq_error -- true 2>"$tap_tmp/why"; then
	skip "a full disk" "perf stat cannot count events here: $(head -n 1 "$tap_tmp/why")"
	umount "$tap_tmp/volume"
	finish
fi
perf stat -a -x, -o "$tap_tmp/perf" -e block:block_rq_error --filter "dev == $number" \
	-e filemap:filemap_set_wb_err --filter "s_dev == $number || i_ino == $number" -- \
	sh -c "$write_too_much" "$tap_tmp/volume" "$tap_tmp/dd"
count_of() {
	awk -F, -v event="$1" '$3 == event { print $1 }' "$tap_tmp/perf"
}
check "fsync says that data is lost" grep -q 'fsync.*failed\|Input/output error\|No space' "$tap_tmp/dd"
scrape "$tap_tmp/scrape"
errors=$(count_of block:block_rq_error) lost=$(count_of filemap:filemap_set_wb_err)
check "the disk failed requests" [ "$errors" -gt 0 ]
equal "block_errors = the kernel's events" "$(value_in "$tap_tmp/scrape" ebpf_device_block_errors_total "$device")" "$errors"
check "writing back failed" [ "$lost" -gt 0 ]
equal "writeback_errors = the kernel's events" \
	"$(value_in "$tap_tmp/scrape" ebpf_device_writeback_errors_total "$device")" "$lost"
umount --lazy "$tap_tmp/host"
finish
