#!/bin/bash
# Process 1 of the VM: sets up what a machine has, runs the tests, powers off. tests/vm/boot.sh starts
# it with: PORT (for the output), OPTIONS (open, lockdown, v1, cpus256; joined by -), TEST or NAME=VALUE...
# With the option systemd it is a service, and finds most of that done.
port=$1 options=$2
shift 2
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C
case -$options- in
*-systemd-*) ;;
*)
	mount -t tmpfs none /run
	mount -t tmpfs none /tmp
	mount -t sysfs none /sys
	mount -t securityfs none /sys/kernel/security 2>/dev/null
	mount -t bpf none /sys/fs/bpf
	;;
esac
mkdir -p /run/lock /run/netns /dev/shm
mountpoint -q /dev/shm || mount -t tmpfs none /dev/shm
stty -F "/dev/$port" -opost
exec >"/dev/$port" 2>&1 </dev/null
ip link set lo up
modprobe -a loop null_blk veth sch_netem sch_tbf nf_tables 2>/dev/null

case -$options- in
*-v1-*)
	mount -t tmpfs none /sys/fs/cgroup
	for controller in memory blkio cpu,cpuacct pids; do
		mkdir -p "/sys/fs/cgroup/${controller%%,*}"
		mount -t cgroup -o "$controller" none "/sys/fs/cgroup/${controller%%,*}"
	done
	;;
*-systemd-*) ;;
*)
	mount -t cgroup2 none /sys/fs/cgroup
	echo "+cpu +memory +io +pids" >/sys/fs/cgroup/cgroup.subtree_control
	;;
esac

# as strict as distributions set it
sysctl -q kernel.perf_event_paranoid=3 kernel.kptr_restrict=2
sysctl -q kernel.unprivileged_bpf_disabled=2

echo "# kernel $(uname -r) $(uname -m), $(cat /sys/kernel/security/lockdown 2>/dev/null), $options"
cd /tree || exit 1
export BPF_EXPORTER=/tree/build/bpf_exporter LIVE_HELPERS=/tree/build/helpers VM_OPTIONS=$options
status=0
for test in "$@"; do
	case $test in *=*) export "${test?}" && continue ;; esac
	start=$(cut -d ' ' -f 1 /proc/uptime)
	echo "# begin $test"
	# in the foreground: a process group of its own would be hung up for a child that is stopped
	timeout --foreground --kill-after=5 "${VM_TEST_TIMEOUT:-300}" bash "tests/$test"
	rc=$?
	[ $rc = 0 ] || status=1
	echo "# end $test: status $rc, $(awk -v a="$start" '{ printf "%.1f", $1 - a }' /proc/uptime) s"
done
sync
# printk is atomic: this line comes whole even when the kernel speaks too
echo "<1>vm-status: $status" >/dev/kmsg
busybox poweroff -f
