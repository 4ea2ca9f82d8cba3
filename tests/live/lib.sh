# tests/live/lib.sh: sourced by the live tests, which force an event and compare with the kernel's
# own count of it.
# shellcheck shell=bash
#
#   live_begin "$@"            first line of a test: root, a sandbox, tests/tap.sh
#   exporter_start [FLAG...]   starts the exporter; sets $exporter_pid and $port; it polls at each
#                              scrape (--ebpf-probe-interval=0) unless a flag says otherwise
#   exporter_stop              ends it and waits
#   scrape [FILE]              one exposition into FILE (default $tap_tmp/scrape)
#   value NAME [LABEL="x"...]  sum of the samples of a fresh scrape that have all these labels
#   value_in FILE NAME [...]   the same of an earlier scrape
#   equal WHAT GOT WANT        exact, as integers or decimals
#   spawn CMD...               starts CMD in the background, to die with the test; sets $spawned
#   cgroup_new NAME            makes a cgroup for this test; sets $cgroup_path (as in labels)
#   in_cgroup NAME CMD...      runs CMD in it: one exec and one exit of the cgroup, no fork
#   spawn_in NAME CMD...       the same in the background; sets $spawned
#   loop_new FILE              a loop device over FILE; sets $loop, $device (its label), $number (its dev_t)
#   helper NAME                compiles NAME.c, which lives beside the tests; sets $helper
#   wait_until SECONDS CMD...  until CMD succeeds; fails when it never does
#
# The sandbox is a mount namespace of the test's own with its own /run/netns and /dev/shm ($tap_tmp is
# there): network namespaces, mounts and files vanish with the last process of the test, and those die
# with their parent (pdeathsig), so that a killed test leaves nothing either. Cgroups are in no
# namespace: sweep.sh removes those whose test is dead.

# shellcheck source=tests/tap.sh
. "$(dirname "${BASH_SOURCE[0]}")/../tap.sh"
# shellcheck source=tests/live/sweep.sh
. "${BASH_SOURCE[0]%/*}/sweep.sh"

live_top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
BPF_EXPORTER=${BPF_EXPORTER:-$live_top/build/bpf_exporter}
live_cgroup=bpf_exporter_test_$$
exporter_pid='' port='' spawned='' cgroup_path='' loop='' device='' number=0

live_begin() {
	if [ "$(id -u)" != 0 ]; then
		skip "${0##*/}" "needs root to load BPF programs"
		finish
	fi
	if [ -z "${LIVE_SANDBOX-}" ]; then
		tap_finished=1 # this shell goes away without a word
		LIVE_SANDBOX=1 exec unshare --mount --propagation private bash "$0" "$@"
	fi
	mkdir -p /run/netns
	mount -t tmpfs -o size=1m none /run/netns
	mkdir -p /dev/shm
	mount -t tmpfs -o size=256m,mode=1777 none /dev/shm
	export TMPDIR=/dev/shm
	tap_mktemp
	if [ -e /sys/fs/cgroup/cgroup.controllers ]; then
		live_roots=(/sys/fs/cgroup)
	else
		live_roots=(/sys/fs/cgroup/memory)
		[ -d /sys/fs/cgroup/blkio ] && live_roots+=(/sys/fs/cgroup/blkio)
		[ -d /sys/fs/cgroup/unified ] && live_roots+=(/sys/fs/cgroup/unified)
	fi
}

tap_cleanup() {
	local pid root
	for pid in $(jobs -p); do
		kill -KILL "$pid" 2>/dev/null
	done
	wait 2>/dev/null
	for root in "${live_roots[@]-}"; do
		cgroup_remove "$root/$live_cgroup"
	done
}

wait_until() {
	local left=$(($1 * 20))
	shift
	until "$@"; do
		[ $((left -= 1)) -gt 0 ] || return 1
		sleep 0.05
	done
}

spawn() {
	setpriv --pdeathsig KILL "$@" <&0 & # bash would say </dev/null
	spawned=$!
}

exporter_ready() {
	[ -d "/proc/$exporter_pid" ] || return 0
	grep -q 'metrics on http' "$tap_tmp/exporter.log"
}

exporter_start() {
	spawn "$BPF_EXPORTER" --web.listen-address=127.0.0.1:0 --ebpf-probe-interval=0 "$@" \
		2>"$tap_tmp/exporter.log"
	exporter_pid=$spawned
	wait_until 20 exporter_ready
	port=$(sed -n 's/.*metrics on http:[^:]*:\([0-9]*\).*/\1/p' "$tap_tmp/exporter.log" | head -n 1)
	if [ -z "$port" ]; then
		not_ok "the exporter starts" "$(tail -n 3 "$tap_tmp/exporter.log")"
		finish
	fi
}

exporter_stop() {
	kill -TERM "$exporter_pid"
	wait "$exporter_pid"
}

scrape() {
	curl -sS --max-time 20 "http://127.0.0.1:$port/metrics" -o "${1:-$tap_tmp/scrape}"
}

value_in() {
	local file=$1 name=$2
	shift 2
	# python: awk would add in floating point, and nanoseconds need every digit
	python3 - "$file" "$name" "$@" <<'PY'
import sys, decimal
decimal.getcontext().prec = 60
file, name, wanted = sys.argv[1], sys.argv[2], sys.argv[3:]
total = decimal.Decimal(0)
for line in open(file):
    if not line.startswith(name) or line[len(name)] not in "{ ":
        continue
    labels, value = line.rstrip("\n").rsplit(" ", 1)
    labels = "," + labels[len(name):].strip("{}") + ","
    if all("," + w + "," in labels for w in wanted):
        total += decimal.Decimal(value)
print(f"{total.normalize():f}")
PY
}

value() {
	scrape "$tap_tmp/scrape" && value_in "$tap_tmp/scrape" "$@"
}

equal() {
	if [ "$2" = "$3" ]; then
		ok "$1 ($2)"
	else
		not_ok "$1" "got $2, the kernel says $3"
	fi
}

cgroup_new() {
	local root
	for root in "${live_roots[@]}"; do
		mkdir -p "$root/$live_cgroup/$1" || return
	done
	if [ "${live_roots[0]}" = /sys/fs/cgroup ]; then
		echo "+memory +io" >/sys/fs/cgroup/cgroup.subtree_control 2>/dev/null
		echo "+memory +io" >"/sys/fs/cgroup/$live_cgroup/cgroup.subtree_control" 2>/dev/null
	fi
	cgroup_path=/$live_cgroup/$1
}

# Sets $enter: a command that moves itself into the cgroup and becomes what follows.
cgroup_enter() {
	local root
	enter=(setpriv --pdeathsig KILL bash -c
		'until [ "$1" = -- ]; do echo $$ >"$1/cgroup.procs"; shift; done; shift; exec "$@"' enter)
	for root in "${live_roots[@]}"; do
		enter+=("$root/$live_cgroup/$1")
	done
	enter+=(--)
}

in_cgroup() {
	cgroup_enter "$1"
	shift
	"${enter[@]}" "$@"
}

spawn_in() {
	cgroup_enter "$1"
	shift
	"${enter[@]}" "$@" <&0 &
	spawned=$!
}

helper() {
	helper=${LIVE_HELPERS-}/$1 # compiled elsewhere: a VM has no compiler
	[ ! -x "$helper" ] || return 0
	helper=$tap_tmp/$1
	if ! cc -O1 -pthread -o "$helper" "${BASH_SOURCE[0]%/*}/$1.c" 2>"$tap_tmp/cc.log"; then
		not_ok "the helper $1.c compiles" "$(head -n 3 "$tap_tmp/cc.log")"
		finish
	fi
}

# The device goes with the last process that has it open (autoclear): a killed test leaves none.
loop_new() {
	local fd
	loop=$(losetup --find --show --direct-io=off "$1") || return
	# shellcheck disable=SC2034 # it stays open
	exec {fd}<"$loop"
	losetup --detach "$loop" # now: when it is closed
	device="device=\"${loop#/dev/}\""
	number=$((0x$(stat -c %t "$loop") << 20 | 0x$(stat -c %T "$loop")))
}
