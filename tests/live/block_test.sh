#!/usr/bin/env bash
# Catches: I/O lost, counted twice (a flush that ends twice, a request split over completions), or for
# the wrong group, process or disk; errors that are not the kernel's; time in a queue that a request was not
# in; requests that stay in the table of those in flight, which would fill it over months.
# shellcheck source=tests/live/lib.sh
. "$(dirname "$0")/lib.sh"
live_begin "$@"

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

# ---- who asked ----
# A process that reads and writes past the page cache, then stops, so that its own numbers can be read.
cat >"$tap_tmp/ask.py" <<'PY'
import mmap, os, signal, sys
block = mmap.mmap(-1, 65536)
fd = os.open(sys.argv[1], os.O_RDWR | os.O_DIRECT)
for i in range(37):
    os.preadv(fd, [memoryview(block)[:8192]], i * 65536)
for i in range(19):
    os.pwritev(fd, [block], i * 65536)
os.kill(os.getpid(), signal.SIGSTOP)
PY
stopped() {
	grep -q '^State:.*T' "/proc/$1/status"
}
spawn_in reader python3 "$tap_tmp/ask.py" "$loop"
asker=$spawned
wait_until 20 stopped "$asker"
scrape "$tap_tmp/scrape"
if [ -r "/proc/$asker/io" ]; then
	equal "bytes that a process read = /proc/PID/io" \
		"$(of ebpf_block_bytes_total "pid=\"$asker\"" "$reader" 'op="read"')" \
		"$(sed -n 's/^read_bytes: //p' "/proc/$asker/io")"
else
	skip "bytes that a process read = /proc/PID/io" "this kernel keeps no such account"
fi
equal "bytes that it wrote" "$(of ebpf_block_bytes_total "pid=\"$asker\"" "$reader" 'op="write"')" $((19 * 65536))
equal "the other group's process is another row" \
	"$(of ebpf_block_bytes_total "$writer" 'comm="dd"' 'op="write"')" $(((123 * 16 + 2 + 3) * 4096))
kill -KILL "$asker"
wait "$asker" 2>/dev/null

# ---- time in the queue ----
queue_of() {
	scrape "$tap_tmp/scrape"
	queued=$(of ebpf_device_block_queue_seconds_count "$device")
	served=$(of ebpf_device_block_latency_seconds_count "$device")
}
events=()
for event in rq_insert rq_merge; do
	events+=(-e "block:block_$event" --filter "dev == $number")
done
eight_writers='for i in 0 1 2 3 4 5 6 7; do
	dd if=/dev/zero of="$0" bs=8k seek=$((i * 300)) count=50 oflag=direct conv=notrunc 2>/dev/null &
done; wait'
count_of() {
	awk -F, -v event="block:block_$1" '$3 == event { print $1 }' "$tap_tmp/perf"
}
schedulers=$(cat "/sys/block/${loop#/dev/}/queue/scheduler")
for scheduler in none mq-deadline bfq kyber; do
	[[ $schedulers == *$scheduler* ]] || continue
	echo "$scheduler" >"/sys/block/${loop#/dev/}/queue/scheduler"
	queue_of
	were_queued=$queued were_served=$served
	if ! perf stat -a -x, -o "$tap_tmp/perf" "${events[@]}" -- bash -c "$eight_writers" "$loop" 2>"$tap_tmp/why"; then
		skip "time in the queue" "perf stat cannot count requests here: $(head -n 1 "$tap_tmp/why")"
		break
	fi
	wait_until 5 settled
	queue_of
	if [ "$scheduler" != none ]; then
		check "$scheduler: requests went through its queue" [ "$(count_of rq_insert)" -gt 0 ]
	fi
	equal "$scheduler: those that waited = inserted and not merged" $((queued - were_queued)) \
		$(($(count_of rq_insert) - $(count_of rq_merge)))
	check "$scheduler: they are among those served" [ $((queued - were_queued)) -le $((served - were_served)) ]
done
echo none >"/sys/block/${loop#/dev/}/queue/scheduler"

# ---- nothing stays ----
# A disk that keeps no statistics tells no end of a request (no block_io_done); ours counts it all the same.
queue_of
echo 0 >"/sys/block/${loop#/dev/}/queue/iostats"
dd if="$loop" of=/dev/null bs=16k count=77 iflag=direct 2>/dev/null
echo 1 >"/sys/block/${loop#/dev/}/queue/iostats"
were_served=$served
queue_of
equal "requests of a disk without statistics" $((served - were_served)) 77
# of all disks: other programs use them, a moment each
at_rest() {
	[ "$(python3 "${BASH_SOURCE[0]%/*}/maps.py" "$exporter_pid" block_in_flight)" = 0 ]
}
if wait_until 20 at_rest; then
	ok "at rest no request is in flight"
else
	not_ok "at rest no request is in flight" "some stay"
fi

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
writes=$(value ebpf_device_block_latency_seconds_count "$device" 'op="write"')
if perf stat -a -x, -o "$tap_tmp/perf" -e block:block_rq_error \
	--filter "dev == $number" -- true 2>"$tap_tmp/why"; then
	perf stat -a -x, -o "$tap_tmp/perf" -e block:block_rq_error \
		--filter "dev == $number" -- \
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
