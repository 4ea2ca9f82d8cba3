#!/usr/bin/env bash
# Catches: what stays when the exporter or a test is killed in the middle: programs, maps, links, pins,
# mounts, network namespaces, loop devices, cgroups, processes, files.
. "$(dirname "$0")/lib.sh"
live_begin "$@"
here=$(dirname "$0")

victim=$tap_tmp/victim_test.sh
cat >"$victim" <<'VICTIM'
. "$HERE/lib.sh"
live_begin "$@"
helper process_work >&2
exporter_start
cgroup_new a/b
spawn_in a/b "$helper" wait >&2
sleeper=$spawned
truncate -s 8M "$tap_tmp/disk"
loop=$(losetup --find --show "$tap_tmp/disk" 2>/dev/null) && exec {fd}<"$loop" && losetup --detach "$loop"
ip netns add leftover 2>/dev/null && spawn ip netns exec leftover "$helper" wait >&2
wait_until 10 grep -q "/$live_cgroup/a/b" "/proc/$sleeper/cgroup"
echo "$exporter_pid $live_cgroup $tap_tmp $(readlink /proc/self/ns/mnt) ${loop#/dev/}" >&"$REPORT"
wait
VICTIM

alive() {
	[ -d "/proc/$1" ] && ! grep -q '^State:.*[ZX]' "/proc/$1/status" 2>/dev/null
}

# Processes that have the environment of the killed test.
of_victim() {
	grep -lsz "^VICTIM=$$\$" /proc/[0-9]*/environ
}

none_of_victim() {
	[ -z "$(of_victim)" ]
}

# Maps, programs and links of our names; others on this machine may come and go, ours are told by the pid
# that holds them while it lives, so by their ids afterwards.
ids() {
	local kind fd
	for fd in /proc/"$1"/fdinfo/*; do
		sed -n -e 's/^map_id:\t*/map /p' -e 's/^prog_id:\t*/prog /p' -e 's/^link_id:\t*/link /p' "$fd" 2>/dev/null
	done | sort -u
}

still_there() {
	local kind id
	while read -r kind id; do
		bpftool "$kind" show id "$id" >/dev/null 2>&1 && echo "$kind $id"
	done <<<"$held"
	return 0
}

nothing_there() {
	[ -z "$(still_there)" ]
}

loop_free() {
	! [ -e "/sys/block/$loop/loop/backing_file" ]
}

namespace_gone() {
	! readlink /proc/[0-9]*/ns/mnt | grep -qF "$namespace"
}

exec {report}>"$tap_tmp/report"
HERE=$here REPORT=$report VICTIM=$$ LIVE_SANDBOX='' spawn bash "$victim" 2>"$tap_tmp/victim.log"
victim_pid=$spawned
exec {report}>&-
if ! wait_until 30 test -s "$tap_tmp/report"; then
	not_ok "the test that is to be killed starts" "$(tail -n 3 "$tap_tmp/victim.log")"
	finish
fi
read -r exporter cgroup folder namespace loop <"$tap_tmp/report"
held=$(ids "$exporter")
for kind in map prog link; do
	check "the exporter holds ${kind}s" grep -q "^$kind" <<<"$held"
done
check "the processes of the test can be told" [ "$(of_victim | wc -l)" -ge 3 ]
kill -KILL "$exporter" "$victim_pid"
wait "$victim_pid" 2>/dev/null
check "no process is left" wait_until 10 none_of_victim
if type -P bpftool >/dev/null; then
	wait_until 20 nothing_there
	equal "no program, map or link is left" "$(still_there)" ""
else
	skip "no program, map or link is left" "bpftool is not installed"
fi
equal "nothing of ours is pinned" "$(find /sys/fs/bpf -iname '*exporter*' 2>/dev/null)" ""
check "its mounts went with their namespace" wait_until 10 namespace_gone
equal "no network namespace is left" "$(ip netns list 2>/dev/null)" ""
if [ -n "$loop" ]; then
	check "no loop device is left" wait_until 10 loop_free
else
	skip "no loop device is left" "this machine has none"
fi
equal "no file is left" "$(ls -d "$folder" "/proc/1/root$folder" 2>/dev/null)" ""
cgroups_sweep # another run on this machine may have done it already
equal "the sweep takes it" "$(find /sys/fs/cgroup -maxdepth 2 -name "$cgroup")" ""
check "and leaves ours, as we live" [ -d "/proc/$$" ]
finish
