#!/usr/bin/env bash
# Catches: tables that are read although nobody touched them; or that are not although somebody did, because a
# program never says so.
. "$(dirname "$0")/lib.sh"
live_begin "$@"
here=$(dirname "$0")

objects=$tap_tmp/objects
mkdir "$objects"
check "the object compiles" clang -target bpf -mcpu=v2 -g -O2 -I"$live_top/vmlinux" -I"$live_top/bpf" \
	-c "$here/objects/touched.bpf.c" -o "$objects/touched.bpf.o"
cp "$(type -P true)" "$tap_tmp/touched"
exporter_start --collector.dir="$objects" --log.level=debug
cgroup_new work
in_work="cgroup=\"$cgroup_path\""

equal "those whose programs do not say it are known" \
	"$(sed -n 's/.*table \([a-z_]*\) is read at each poll, as \([a-z_]*\) does.*/\1 \2/p' "$tap_tmp/exporter.log" |
		sed 's/node_hardware .*/node_hardware/' | # the first of those that this kernel has
		LC_ALL=C sort | xargs)" \
	"___process_sched sched_switch cgroup___sched sched_switch cgroup_half touched_not cgroup_irq hardirq_end node___hardirq \
hardirq_end node___latency softirq_begin node___softirq softirq_end node_hardware"
for _ in 1 2 3; do
	in_cgroup work "$tap_tmp/touched"
done
for _ in $(seq 12); do
	scrape
done
equal "what was counted is there" "$(value ebpf_cgroup_told_execs_total "$in_work")" 3
equal "by both programs" "$(value ebpf_cgroup_half_execs_total "$in_work")" 6

if ! command -v strace >/dev/null || ! command -v bpftool >/dev/null; then
	skip "how often tables are read" "there is no strace, or no bpftool"
	finish
fi
fd_of() { # the exporter's descriptor of a map
	local id file
	for id in $(bpftool map show -j | jq --arg name "$1" '.[] | select(.name == $name).id'); do
		for file in /proc/"$exporter_pid"/fdinfo/*; do
			grep -q "^map_id:[[:space:]]*$id$" "$file" 2>/dev/null && echo "${file##*/}" && return
		done
	done
}
told=$(fd_of cgroup_told) half=$(fd_of cgroup_half)
spawn strace -f -qq -e trace=bpf -o "$tap_tmp/trace" -p "$exporter_pid"
tracer=$spawned
reads() { # FD: so far
	grep -c "BPF_MAP_LOOKUP_BATCH.*map_fd=$1[,}]" "$tap_tmp/trace"
}
traced() {
	scrape && [ "$(reads "$half")" -gt 0 ]
}
wait_until 10 traced || not_ok "its system calls are traced" "$(tail -n 2 "$tap_tmp/trace")"
polls() { # N: prints how often each of the two was read in them
	local t h
	t=$(reads "$told") h=$(reads "$half")
	for _ in $(seq "$1"); do
		scrape
	done
	echo $(($(reads "$told") - t)) $(($(reads "$half") - h))
}
for _ in 1 2 3 4 5 6 7 8 9 10; do # all tables are read in the tenth poll without events: let it be over
	[ "$(polls 1)" != "1 1" ] || break
done
equal "nobody touched it: it is not read" "$(polls 5)" "0 5"
in_cgroup work "$tap_tmp/touched"
equal "somebody did: it is, in two polls" "$(polls 5)" "2 5"
kill -TERM "$tracer"
wait "$tracer" 2>/dev/null
equal "what was counted is there" "$(value ebpf_cgroup_told_execs_total "$in_work")" 4
equal "by both programs" "$(value ebpf_cgroup_half_execs_total "$in_work")" 8
exporter_stop
finish
