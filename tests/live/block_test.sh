#!/usr/bin/env bash
# Catches: I/O lost, counted twice (a flush that ends twice, a request split over completions), or for
# the wrong group or disk; errors that are not the kernel's.
. "$(dirname "$0")/lib.sh"
live_begin "$@"

# A loop device over FILE, whose bytes are in the sandbox; it goes with the last process that has it
# open (autoclear), so a killed test leaves none. Sets $loop.
loop_new() {
	local fd
	loop=$(losetup --find --show --direct-io=off "$1") || return
	exec {fd}<"$loop"
	losetup --detach "$loop" # now: when it is closed
}

# The kernel's own counts of the device: reads, sectors read, writes, sectors written, discards,
# sectors discarded, flushes.
diskstats() {
	awk -v name="${loop#/dev/}" '$3 == name { print $4, $6, $8, $10, $15, $17, $19 }' /proc/diskstats
}

# The end of a request is counted twice in the kernel, once here and once there, a moment apart.
settled() {
	local now
	now=$(diskstats)
	[ "$now" = "${last_stats-}" ] || { last_stats=$now && return 1; }
}

truncate -s 32M "$tap_tmp/disk"
if ! loop_new "$tap_tmp/disk" 2>"$tap_tmp/why"; then
	skip "block devices" "no loop device: $(head -n 1 "$tap_tmp/why")"
	finish
fi
device="device=\"${loop#/dev/}\""
cgroup_new reader
reader="cgroup=\"$cgroup_path\""
cgroup_new writer
writer="cgroup=\"$cgroup_path\""
udevadm settle 2>/dev/null
wait_until 5 settled
exporter_start
# shellcheck disable=SC2207
before=($(diskstats))
in_cgroup writer dd if=/dev/zero of="$loop" bs=64k count=123 oflag=direct conv=notrunc 2>/dev/null
in_cgroup reader dd if="$loop" of=/dev/null bs=16k count=211 iflag=direct 2>/dev/null
in_cgroup writer blkdiscard --offset 8M --length 4M "$loop"
in_cgroup writer blkdiscard --offset 16M --length 1M "$loop"
wait_until 5 settled
# shellcheck disable=SC2207
now=($(diskstats))
scrape "$tap_tmp/scrape"
check "nobody else used the device" [ "$(diskstats)" = "${now[*]}" ]
of() {
	value_in "$tap_tmp/scrape" "$@"
}
ops=(read write discard)
files=(0 2 4)
for i in 0 1 2; do
	op="op=\"${ops[i]}\"" column=${files[i]}
	want=$((now[column] - before[column]))
	check "${ops[i]} requests happened" [ "$want" -gt 0 ]
	equal "${ops[i]} requests of the device" "$(of ebpf_device_block_latency_seconds_count "$device" "$op")" "$want"
	equal "${ops[i]} requests of all groups" "$(of ebpf_cgroup_block_ios_total "$device" "$op")" "$want"
	equal "${ops[i]} bytes of all groups" "$(of ebpf_cgroup_block_bytes_total "$device" "$op")" \
		$(((now[column + 1] - before[column + 1]) * 512))
done
equal "bytes that the writer wrote" "$(of ebpf_cgroup_block_bytes_total "$writer" 'op="write"')" $((123 * 64 * 1024))
equal "bytes that the writer discarded" "$(of ebpf_cgroup_block_bytes_total "$writer" 'op="discard"')" $((5 << 20))
equal "bytes that the reader read" "$(of ebpf_cgroup_block_bytes_total "$reader" 'op="read"')" $((211 * 16 * 1024))
equal "bytes that the reader wrote" "$(of ebpf_cgroup_block_bytes_total "$reader" 'op="write"')" 0
equal "requests of the reader" "$(of ebpf_cgroup_block_ios_total "$reader" 'op="read"')" 211
equal "no error so far" "$(of ebpf_device_block_errors_total "$device")" 0

# ---- flushes ----
# fsync asks for one with an empty write that never reaches the disk: the kernel counts it as a write of
# 0 bytes, we do not, as what the disk is handed is the flush. O_DSYNC writes bring a FUA, which loop
# devices do not have: each is followed by a flush and so ends twice; then the file is synced like above.
in_cgroup writer dd if=/dev/zero of="$loop" bs=4k count=2 oflag=direct conv=notrunc,fsync 2>/dev/null
in_cgroup writer dd if=/dev/zero of="$loop" bs=4k count=3 oflag=direct,dsync conv=notrunc 2>/dev/null
wait_until 5 settled
# shellcheck disable=SC2207
after=($(diskstats))
scrape "$tap_tmp/scrape"
check "flushes happened" [ $((after[6] - before[6])) -gt 3 ]
equal "flushes of the device" "$(of ebpf_device_block_latency_seconds_count "$device" 'op="flush"')" \
	$((after[6] - before[6]))
equal "flushes of all groups" "$(of ebpf_cgroup_block_ios_total "$device" 'op="flush"')" $((after[6] - before[6]))
equal "writes that reach the disk" \
	"$(of ebpf_device_block_latency_seconds_count "$device" 'op="write"')" $((123 + 2 + 3))
equal "the kernel counts an empty one for each fsync besides" $((after[2] - before[2])) $((123 + 2 + 3 + 1 + 3))
equal "bytes written, all the same" "$(of ebpf_cgroup_block_bytes_total "$device" 'op="write"')" \
	$(((after[3] - before[3]) * 512))

# ---- two views of the same requests ----
# Of all disks: other programs use them, and one table is read after the other.
groups_agree() {
	scrape "$tap_tmp/scrape" || return
	for op in read write discard flush; do
		for part in count sum; do
			devices=$(of "ebpf_device_block_latency_seconds_$part" "op=\"$op\"")
			groups=$(of "ebpf_cgroup_block_latency_seconds_$part" "op=\"$op\"")
			[ "$devices" = "$groups" ] || return
		done
	done
}
if wait_until 20 groups_agree; then
	ok "latencies of all groups = of all devices"
else
	not_ok "latencies of all groups = of all devices" "$op $part: $groups, of devices $devices"
fi

# ---- a disk that is full ----
mkdir "$tap_tmp/small"
mount -t tmpfs -o size=256k none "$tap_tmp/small"
truncate -s 8M "$tap_tmp/small/disk"
loop_new "$tap_tmp/small/disk"
wait_until 5 settled
# shellcheck disable=SC2207
before=($(diskstats)) # what earlier users of this device did
writes=$(value ebpf_device_block_latency_seconds_count "device=\"${loop#/dev/}\"" 'op="write"')
device="device=\"${loop#/dev/}\""
if perf stat -a -x, -o "$tap_tmp/perf" -e block:block_rq_error \
	--filter "dev == $((0x$(stat -c %t "$loop") << 20 | 0x$(stat -c %T "$loop")))" -- true 2>"$tap_tmp/why"; then
	perf stat -a -x, -o "$tap_tmp/perf" -e block:block_rq_error \
		--filter "dev == $((0x$(stat -c %t "$loop") << 20 | 0x$(stat -c %T "$loop")))" -- \
		sh -c "for i in 0 1 2 3 4 5 6 7 8 9; do dd if=/dev/zero of=$loop bs=64k seek=\$i count=1 oflag=direct conv=notrunc; done" 2>/dev/null
	errors=$(awk -F, '/block_rq_error/ { print $1 }' "$tap_tmp/perf")
	check "the disk fails some writes" [ "$errors" -gt 0 ]
	equal "failed requests = events of the kernel" "$(value ebpf_device_block_errors_total "$device")" "$errors"
	equal "all of them writes" "$(value ebpf_device_block_errors_total "$device" 'op="write"')" "$errors"
	equal "and they are in diskstats like the others" \
		$(($(value ebpf_device_block_latency_seconds_count "$device" 'op="write"') - writes)) \
		$(($(diskstats | cut -d' ' -f3) - before[2]))
else
	skip "failed requests" "perf stat cannot count them here: $(head -n 1 "$tap_tmp/why")"
fi
umount --lazy "$tap_tmp/small"
finish
