#!/usr/bin/env bash
# Catches: a kernel file that is read wrong, counted per thread instead of per core, or forgotten; a
# counter that goes down with its file; zeros for hardware that nobody watches; errors under the wrong
# severity. Hung tasks, clock steps and machine checks take a kernel of their own: tests/vm/truth/health.py.
. "$(dirname "$0")/lib.sh"
live_begin "$@"
here=$(cd "$(dirname "$0")" && pwd)

# ---- files that no machine has at will: a tree of the test's own ----
tree=$tap_tmp/sys
chmod 755 "$tap_tmp" # the exporter is nobody when it reads
cpu=$tree/devices/system/cpu
# two sockets of two cores; core 0 of socket 0 has two threads, CPU 0 and CPU 4
new_cpu() {
	mkdir -p "$cpu/cpu$1/topology" "$cpu/cpu$1/thermal_throttle"
	echo "$2" >"$cpu/cpu$1/topology/physical_package_id"
	echo "$3" >"$cpu/cpu$1/topology/core_id"
	echo "$4" >"$cpu/cpu$1/thermal_throttle/core_throttle_count"
	echo "$5" >"$cpu/cpu$1/thermal_throttle/package_throttle_count"
}
new_cpu 0 0 0 10 1000
new_cpu 1 0 1 20 1000
new_cpu 2 1 0 30 5000
new_cpu 3 1 1 40 5000
new_cpu 4 0 0 10 1000
echo 0-4 >"$cpu/online"
cp "$cpu/online" "$cpu/possible"
mkdir -p "$tree/kernel" "$tree/fs/ext4/sda1" "$tree/fs/ext4/features"
echo 3 >"$tree/kernel/warn_count"
echo 0 >"$tree/kernel/rcu_stall_count"
echo "not a number" >"$tree/kernel/oops_count"
echo 7 >"$tree/fs/ext4/sda1/errors_count"

exporter_start --path.sysfs="$tree"
scrape "$tap_tmp/first"
first() { value_in "$tap_tmp/first" "$@"; }
rows() { grep -c "^$1" "$2"; }
equal "warnings" "$(first ebpf_node_kernel_incidents_total 'kind="warn"')" 3
equal "incidents: a file of 0 is shown, one that is missing or no number is not" \
	"$(rows ebpf_node_kernel_incidents_total "$tap_tmp/first")" 2
equal "throttles of cores, once for both threads" "$(first ebpf_node_thermal_throttles_total 'scope="core"')" 100
equal "throttles of packages, once for each" "$(first ebpf_node_thermal_throttles_total 'scope="package"')" 6000
equal "errors of a file system" "$(first ebpf_device_filesystem_errors_total 'device="sda1"')" 7
equal "one file system" "$(rows ebpf_device_filesystem_errors_total "$tap_tmp/first")" 1

echo 5 >"$tree/kernel/warn_count"
echo 2 >"$tree/fs/ext4/sda1/errors_count" # repaired: its count begins anew
rm -r "$cpu/cpu3"                          # goes offline, and takes its files along
echo 0-2,4 >"$cpu/online"
echo 31 >"$cpu/cpu2/thermal_throttle/core_throttle_count"
mkdir "$tree/fs/ext4/sdb1"
echo 0 >"$tree/fs/ext4/sdb1/errors_count"
scrape "$tap_tmp/second"
second() { value_in "$tap_tmp/second" "$@"; }
equal "warnings, two more" "$(second ebpf_node_kernel_incidents_total 'kind="warn"')" 5
equal "errors go on from where they were" "$(second ebpf_device_filesystem_errors_total 'device="sda1"')" 9
check "a new file system has 0 from the start" grep -qx 'ebpf_device_filesystem_errors_total{device="sdb1"} 0' "$tap_tmp/second"
equal "throttles of a CPU that is gone stay" "$(second ebpf_node_thermal_throttles_total 'scope="core"')" 101
new_cpu 3 1 1 42 5000
echo 0-4 >"$cpu/online"
equal "and go on when it is back" "$(value ebpf_node_thermal_throttles_total 'scope="core"')" 103
check "a clock that nobody set" grep -qx 'ebpf_node_clock_steps_total 0' "$tap_tmp/second"
equal "the collector is up" "$(second bpf_exporter_collector_up 'collector="health"')" 1
complaints=$(grep -E 'level=(warn|error)' "$tap_tmp/exporter.log" | head -n 3)
equal "the exporter has nothing to complain of" "$complaints" ""
exporter_stop

exporter_start --no-collector.health
scrape "$tap_tmp/off"
equal "switched off: none of its families" \
	"$(grep -cE '^ebpf_(node_(kernel|thermal|clock|hardware)|device_filesystem|hung|cgroup_hung)' "$tap_tmp/off")" 0
exporter_stop

# ---- this machine's own files ----
exporter_start
scrape "$tap_tmp/real"
for kind in warn oops softlockup hardlockup rcu_stall; do
	file=/sys/kernel/${kind}_count
	if [ -e "$file" ]; then
		equal "$kind as in its file" "$(value_in "$tap_tmp/real" ebpf_node_kernel_incidents_total "kind=\"$kind\"")" "$(cat "$file")"
	else
		skip "$kind" "this kernel has no $file"
	fi
done
want=$(python3 - <<'PY'
import ctypes
words = (ctypes.c_long * 32)()
ctypes.CDLL(None).adjtimex(words)
print(words[1])
PY
)
if [ "$want" = 0 ]; then
	equal "the clock's offset" "$(value_in "$tap_tmp/real" ebpf_node_clock_offset_seconds)" 0
else
	skip "the clock's offset" "it is being moved at the moment"
fi
mkdir "$tap_tmp/mnt"
truncate -s 8M "$tap_tmp/image"
PATH=$PATH:/sbin:/usr/sbin
if mkfs.ext4 -q "$tap_tmp/image" 2>"$tap_tmp/why" &&
	mount -o loop,errors=continue "$tap_tmp/image" "$tap_tmp/mnt" 2>"$tap_tmp/why"; then
	device=$(basename "$(findmnt -n -o SOURCE "$tap_tmp/mnt")")
	check "an ext4 has 0 errors from the start" [ "$(value ebpf_device_filesystem_errors_total "device=\"$device\"")" = 0 ]
	for _ in 1 2 3; do
		echo 1 >"/sys/fs/ext4/$device/trigger_fs_error"
	done
	equal "errors of an ext4" "$(value ebpf_device_filesystem_errors_total "device=\"$device\"")" 3
	equal "its own count" "$(cat "/sys/fs/ext4/$device/errors_count")" 3
	umount "$tap_tmp/mnt"
else
	skip "errors of an ext4" "no loop device, or no ext4: $(head -n 1 "$tap_tmp/why")"
fi
for pair in mce:mce_record edac:mc_event aer:aer_event arm:arm_event cper:non_standard_event; do
	want=0
	if bpftool btf dump file /sys/kernel/btf/vmlinux 2>/dev/null | grep -q "'btf_trace_${pair#*:}'"; then want=5; fi
	equal "${pair%:*}: a zero for each severity where this kernel tells of it" \
		"$(grep -c "^ebpf_node_hardware_errors_total{source=\"${pair%:*}\",.*} 0$" "$tap_tmp/real")" "$want"
done

# ---- hardware errors: the programs are run with arguments made up here ----
if ! command -v clang >/dev/null || ! command -v cc >/dev/null; then
	skip "hardware errors, with arguments made up" "no compiler here"
	finish
fi
if ! clang -target bpf -mcpu=v2 -g -O2 -Wall -Wno-unused-parameter -I"$live_top/vmlinux" -I"$live_top/bpf" \
	-c "$here/objects/health_context.bpf.c" -o "$tap_tmp/health_context.bpf.o" 2>"$tap_tmp/why" ||
	! cc -o "$tap_tmp/health_context" "$here/health_context.c" -lbpf 2>>"$tap_tmp/why"; then
	not_ok "the program with made up arguments compiles" "$(head -n 3 "$tap_tmp/why")"
	finish
fi
arm=$(bpftool btf dump file /sys/kernel/btf/vmlinux format c |
	grep -q 'btf_trace_arm_event)(void \*, const struct cper_sec_proc_arm \*, ' && echo severity)
# shellcheck disable=SC2086 # a word or none
"$tap_tmp/health_context" "$tap_tmp/health_context.bpf.o" $arm >"$tap_tmp/rows" 2>"$tap_tmp/why" ||
	not_ok "programs run with arguments made up" "$(tail -n 3 "$tap_tmp/why")"
equal "rows of the table" "$(wc -l <"$tap_tmp/rows")" 25
while read -r source severity got want; do
	[ "$got$want" = 00 ] || equal "$source, $severity: errors with arguments made up" "$got" "$want"
done <"$tap_tmp/rows"
finish
