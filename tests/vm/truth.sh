#!/usr/bin/env bash
# Catches: a collector that loads on this kernel but counts wrong: an argument that moved, a field
# that was renamed, a hook that fires twice, `current` that is somebody else. One exporter, one round
# of events, one scrape: tests/live/ looks closer, this is short enough for every kernel.
# shellcheck source=tests/live/lib.sh
. "$(dirname "$0")/../live/lib.sh"
live_begin "$@"

exporter_start --collector.accept --collector.migrate --collector.syscall # all that is off unless asked for
for truth in "$(dirname "$0")"/truth/*.py; do
	group=${truth##*/}
	cgroup_new "${group%.py}"
done
cgroup_new reclaim_node
cgroup_new neighbour # who runs meanwhile, and has done nothing
if [ -e "${live_roots[0]}/$live_cgroup/oom/memory.max" ]; then
	echo 30M >"${live_roots[0]}/$live_cgroup/oom/memory.max"
else
	echo 30M >"${live_roots[0]}/$live_cgroup/oom/memory.limit_in_bytes"
fi

ip netns add a
ip netns add b
ip link add name va netns a type veth peer name vb netns b
ip -n a addr add 10.9.0.1/24 dev va
ip -n b addr add 10.9.0.2/24 dev vb
for end in a b; do
	ip -n $end link set lo up
	ip -n $end link set v$end up
done

python3 "$(dirname "$0")/truth.py" "$port" "$live_cgroup" "$tap_tmp" "${live_roots[@]}" \
	>"$tap_tmp/results" 2>"$tap_tmp/errors"
tap_results "$tap_tmp/results"
if [ -s "$tap_tmp/errors" ]; then
	not_ok "the truth test itself" "$(head -n 1 "$tap_tmp/errors") ... $(tail -n 4 "$tap_tmp/errors")"
fi
complaints=$(grep -E 'level=(warn|error)' "$tap_tmp/exporter.log" | grep -v -e 'this kernel has no' -e 'this kernel refuses' | head -n 3)
if [ -n "$complaints" ]; then
	not_ok "the exporter has nothing to complain of" "$complaints"
else
	ok "the exporter has nothing to complain of"
fi

# no BTF: one clear line, exit status 1
mkdir "$tap_tmp/empty"
mount --bind "$tap_tmp/empty" /sys/kernel/btf
"$BPF_EXPORTER" --check >"$tap_tmp/out" 2>&1
equal "without the kernel's BTF: exit status" $? 1
equal "without the kernel's BTF: one line" "$(grep -c . "$tap_tmp/out")" 1
check "it names the file" grep -q /sys/kernel/btf/vmlinux "$tap_tmp/out"
umount /sys/kernel/btf
finish
