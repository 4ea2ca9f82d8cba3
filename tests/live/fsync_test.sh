#!/usr/bin/env bash
# Catches: a call that is lost or counted twice, one that failed and is not counted, another system
# call taken for one (numbers differ between architectures and for 32-bit code), threads that count by
# themselves, time that processes have and their group has not, a wait that is not in its bucket.
. "$(dirname "$0")/lib.sh"
live_begin "$@"

# ---- which programs: on functions, or at all system calls when asked for ----
state() {
	"$BPF_EXPORTER" --check "$@" 2>/dev/null | sed -n 's/^fsync: //p'
}
by_itself=$(state) asked=$(state --collector.fsync)
case $by_itself in
"up, 10 of 10"*) equal "on functions, asked for or not" "$asked" "$by_itself" ;;
off:*sys_*) check "off by itself, and says why; asked for it hangs on all calls ($asked)" \
	[ "$asked" = "up, 2 of 2 programs attached" ] ;;
*) not_ok "on functions, or off by itself" "$by_itself" ;;
esac

helper fsync_work
cgroup_new a
a="cgroup=\"$cgroup_path\""
cgroup_new b
b="cgroup=\"$cgroup_path\""
mkdir "$tap_tmp/work"
cd "$tap_tmp/work" || exit 1
exporter_start --collector.fsync # also where it hangs on all system calls

calls() {
	value ebpf_cgroup_fsyncs_total "$@"
}
# What the group has = what its processes have, dead or alive, as counts, times and observations.
consistent() {
	scrape "$tap_tmp/now"
	equal "$1: its processes' calls" "$(value_in "$tap_tmp/now" ebpf_fsyncs_total "$2")" "$3"
	equal "$1: its calls" "$(value_in "$tap_tmp/now" ebpf_cgroup_fsyncs_total "$2")" "$3"
	equal "$1: as many observations" "$(value_in "$tap_tmp/now" ebpf_cgroup_fsync_latency_seconds_count "$2")" "$3"
	equal "$1: its processes' time is the histogram's sum" \
		"$(value_in "$tap_tmp/now" ebpf_fsync_seconds_total "$2")" \
		"$(value_in "$tap_tmp/now" ebpf_cgroup_fsync_latency_seconds_sum "$2")"
}

equal "nothing yet" "$(calls "$a")" 0
in_cgroup a "$helper" calls
consistent "one of each kind" "$a" 26
check "time passed" [ "$(value ebpf_fsync_seconds_total "$a" 'comm="fsync_work"')" != 0 ]
in_cgroup a "$helper" others
consistent "neighbouring numbers are other calls" "$a" 26
spawn_in b "$helper" threads
threads=$spawned
wait "$threads"
consistent "threads" "$b" 100
equal "threads count for their process" "$(value ebpf_fsyncs_total "pid=\"$threads\"" 'comm="fsync_work"')" 100
equal "nobody else's group got them" "$(calls "$a")" 26
in_cgroup a dd if=/dev/zero of=file bs=4k count=5 conv=fsync 2>/dev/null
in_cgroup a dd if=/dev/zero of=file bs=4k count=5 conv=fdatasync 2>/dev/null
in_cgroup a dd if=/dev/zero of=file bs=4k count=5 oflag=dsync 2>/dev/null # durable, without a call
equal "dd: one call each" "$(calls "$a" )" 28
equal "dd by its name" "$(value ebpf_fsyncs_total "$a" 'comm="dd"')" 2

# 32-bit code: 75 is its setrlimit, and 64-bit code's fdatasync. Its own fsyncs (118) are not counted.
cat >"$tap_tmp/old.c" <<'C'
static int call(int number)
{
	int result;

	__asm__ volatile("int $0x80" : "=a"(result) : "a"(number), "b"(-1), "c"(0), "d"(0) : "memory");
	return result;
}
void _start(void)
{
	for (int i = 0; i < 10; i++) {
		call(75);
		call(118);
	}
	__asm__ volatile("int $0x80" : : "a"(1), "b"(0));
}
C
if [ "$(uname -m)" != x86_64 ]; then
	skip "calls of 32-bit code" "the test knows x86 only"
elif ! cc -m32 -O1 -nostdlib -static -fno-pie -no-pie -o "$tap_tmp/old" "$tap_tmp/old.c" 2>"$tap_tmp/why"; then
	skip "calls of 32-bit code" "they cannot be compiled: $(head -n 1 "$tap_tmp/why")"
elif ! in_cgroup b "$tap_tmp/old" 2>"$tap_tmp/why"; then
	skip "calls of 32-bit code" "this kernel runs none"
else
	equal "calls of 32-bit code" "$(calls "$b")" 100
fi

# ---- a call that takes long: what it writes goes into a filesystem that stands still ----
blocked() {
	truncate -s 32M "$tap_tmp/disk"
	mkfs.ext4 -q "$tap_tmp/disk" && mkdir "$tap_tmp/mnt" && mount -o loop "$tap_tmp/disk" "$tap_tmp/mnt" &&
		truncate -s 8M "$tap_tmp/mnt/inner" && inner=$(losetup --find --show --direct-io=off "$tap_tmp/mnt/inner") || return
	exec {hold}<"$inner"
	losetup --detach "$inner" # when it is closed
}
if ! blocked 2>"$tap_tmp/why"; then
	skip "a call that takes long" "$(head -n 1 "$tap_tmp/why")"
	finish
fi
cd "$tap_tmp/mnt" || exit 1
cgroup_new slow
slow="cgroup=\"$cgroup_path\""
took=$(in_cgroup slow "$helper" frozen "$inner" | tail -n 1)
consistent "a call that takes 3 s" "$slow" 1
check "its buckets end at 1 s and 4 s" [ "$(grep "^ebpf_cgroup_fsync_latency_seconds_bucket{$slow," "$tap_tmp/now" | grep -cE 'le="[14]"')" = 2 ]
equal "its bucket: not up to 1 s" "$(value ebpf_cgroup_fsync_latency_seconds_bucket "$slow" 'le="1"')" 0
equal "its bucket: up to 4 s" "$(value ebpf_cgroup_fsync_latency_seconds_bucket "$slow" 'le="4"')" 1
seconds=$(value ebpf_fsync_seconds_total "$slow")
check "its time ($seconds s) is what the process saw ($took ns), less the way there and back" \
	python3 -c "import sys; s, n = float(sys.argv[1]), int(sys.argv[2]) / 1e9; exit(not 0.99 * n <= s <= n)" "$seconds" "$took"

spawn_in slow "$helper" frozen "$inner" >"$tap_tmp/said"
wait_until 10 grep -q frozen "$tap_tmp/said"
kill -KILL "$spawned"
wait "$spawned" 2>/dev/null
consistent "killed in the middle" "$slow" 2
thawed() { sync -f .; }
wait_until 10 thawed
exec {hold}<&-
cd / || exit 1
gone() { umount "$tap_tmp/mnt" 2>/dev/null; }
wait_until 10 gone
finish
