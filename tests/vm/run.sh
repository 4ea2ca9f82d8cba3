#!/usr/bin/env bash
# Boots the matrix of kernels and prints a table: kernel x collector.
#
#   tests/vm/run.sh                            the whole matrix: does all load, and is the truth true?
#   KERNEL=6.1 TEST=tcp tests/vm/run.sh        one kernel, one collector's tests (make check-vm)
#   KERNEL=arm64-6.12, KERNEL=6.1-lockdown     other cells: [ARCH-]SERIES[-lockdown][-v1][-cpus256][-systemd]
#   TEST=live tests/vm/run.sh                  some of tests/live/ as well, which look closer: an hour
#
# Each cell leaves build/vm/CELL/console.log (the kernel's) and output.log (the tests'). A collector
# passes when its truth test does, or when it is absent for a reason that table.py knows to be right.
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/tap.sh

cells="amd64-6.1-systemd amd64-5.10 amd64-newest amd64-6.1 amd64-6.12 amd64-5.10-lockdown amd64-6.1-lockdown
	amd64-6.12-lockdown amd64-newest-lockdown amd64-6.1-v1 arm64-6.12 amd64-6.1-cpus256"
# looked at closer where nothing but the kernel differs; at length on the oldest and the newest
live_tests="block new_cgroup oom process tcp_resets tcp_synack"
long_tests="sched tcp_owner tcp_retransmits"
out=build/vm
start=$SECONDS

if [ -n "${KERNEL-}" ]; then
	cells=$KERNEL
	case $KERNEL in amd64-* | arm64-*) ;; *) cells=amd64-$KERNEL ;; esac
fi
case ${TEST-} in # what runs in cells of that kind only
'' | live) ;;
runtimes) cells=$(grep -o '[^[:space:]]*-systemd[^[:space:]]*' <<<"$cells") ;;
*) cells=$(sed 's/[^[:space:]]*-systemd[^[:space:]]*//' <<<"$cells") ;;
esac

needs() {
	local program
	for program in "$@"; do
		PATH=$PATH:/sbin:/usr/sbin command -v "$program" >/dev/null && continue
		skip "kernels in VMs" "$program is not installed (make check-deps)"
		finish
	done
}

# What the guest gets of this tree: the program, the tests, and what those compile.
make_tree() {
	local arch=$1 tree=$tap_tmp/$1 helper cc=cc
	mkdir -p "$tree/build/helpers"
	case $arch in
	amd64) cp build/bpf_exporter "$tree/build/" ;;
	arm64)
		make --no-print-directory ARCH=arm64 >"$out/arm64.log" 2>&1 || return
		cp build/arm64/bpf_exporter "$tree/build/"
		cc=$(make --no-print-directory ARCH=arm64 print-cc)
		;;
	esac
	for helper in tests/live/*_work.c; do
		[ -e "$helper" ] || continue
		$cc -O1 -pthread -o "$tree/build/helpers/$(basename "$helper" .c)" "$helper" || return
	done
	clang -target bpf -mcpu=v2 -g -O2 -Ivmlinux -Ibpf -c tests/live/objects/percpu.bpf.c \
		-o "$tree/build/helpers/percpu.bpf.o" || return
	cp -r tests "$tree/tests"
	/sbin/mke2fs -q -t ext4 -O ^has_journal -d "$tree" "$tree.img" 48M
}

tests_of() {
	local test
	case ${TEST-} in
	survive | runtimes) echo "vm/check.sh vm/$TEST.sh" && return ;;
	esac
	if [ -n "${TEST-}" ] && [ "$TEST" != live ]; then
		echo "VM_TRUTH=$TEST vm/check.sh vm/truth.sh"
		for test in tests/live/"$TEST"*_test.sh; do
			[ ! -e "$test" ] || echo "${test#tests/}"
		done
		return
	fi
	case $1 in
	*-cpus256*) echo vm/check.sh vm/survive.sh && return ;; # truths do not look at CPUs that are not there
	*-systemd*) echo vm/check.sh vm/runtimes.sh && return ;; # they need the machine for themselves
	esac
	echo vm/check.sh vm/truth.sh
	[ "${TEST-}" = live ] || return
	case $1 in
	*-lockdown* | *-v1* | arm64-*) ;;
	*-5.10 | *-newest) printf 'live/%s_test.sh\n' $live_tests $long_tests ;;
	*) printf 'live/%s_test.sh\n' $live_tests ;;
	esac
}

boot() {
	local cell=$1 status=0 begin=$SECONDS
	rm -rf "${out:?}/$cell"
	[[ $cell != *-systemd* ]] || local -x VM_MEMORY=1024
	# shellcheck disable=SC2046 # words
	setpriv --pdeathsig TERM bash tests/vm/boot.sh "$cell" "$out/$cell" "$tap_tmp/${cell%%-*}.img" \
		$(tests_of "$cell") || status=$?
	echo "$status $((SECONDS - begin))" >"$out/$cell/status"
}

tap_cleanup() {
	local pid
	for pid in $(jobs -p); do
		kill -TERM "$pid" 2>/dev/null
	done
	wait
}

needs qemu-system-x86_64 cpio depmod mke2fs xz dpkg-deb apt-get python3
mkdir -p "$out"
tap_mktemp
ready=()
for cell in $cells; do
	series=${cell%-lockdown*}
	series=${series%-cpus256}
	series=${series%-v1}
	series=${series%-systemd}
	if [ "${cell%%-*}" = arm64 ]; then
		command -v qemu-system-aarch64 >/dev/null || { skip "$cell" "qemu-system-aarch64 is not installed"; continue; }
	fi
	if ! why=$(bash tests/vm/fetch.sh "$series" 2>&1); then
		skip "$cell" "it cannot be fetched: $why"
	elif [[ $cell = *-systemd* ]] && ! why=$(bash tests/vm/systemd_root.sh 2>&1); then
		skip "$cell" "its disk cannot be made: $why"
	elif [ ! -e "$tap_tmp/${cell%%-*}.img" ] && ! why=$(make_tree "${cell%%-*}" 2>&1); then
		not_ok "$cell" "its disk cannot be made: ${why:-see $out/arm64.log}"
	else
		ready+=("$cell")
	fi
done
[ -n "${TEST-}" ] || skip "live tests in VMs" "make check-vm TEST=live runs them: they take an hour"
for object in build/arm64/bpf/*.bpf.o; do
	[ -e "$tap_tmp/arm64.img" ] || break
	check "arm64 has the same ${object##*/}" cmp "$object" "build/bpf/${object##*/}"
done
for cell in "${ready[@]-}"; do
	[ -n "$cell" ] || break
	# one more than there are CPUs: their tests wait a third of the time
	while [ "$(jobs -rp | wc -l)" -gt "$(nproc)" ]; do
		wait -n
	done
	boot "$cell" &
done
wait
# Under emulation time runs short: a cell that failed gets a second try, alone, and says so.
for cell in "${ready[@]-}"; do
	read -r status _ 2>/dev/null <"$out/$cell/status" || status=none
	[ -n "$cell" ] && [ "$status" != 0 ] || continue
	rm -rf "${out:?}/$cell.first"
	mv "$out/$cell" "$out/$cell.first"
	echo "# $cell: second try, the first one ended with status $status (its logs: $out/$cell.first)"
	grep -m 3 '^not ok' "$out/$cell.first/output.log"  | sed 's/^/#   /'
	boot "$cell"
done
while IFS=$'\t' read -r result what why; do
	case $result in
	ok) ok "$what" ;;
	fail) not_ok "$what" "$why" ;;
	skip) skip "$what" "$why" ;;
	*) echo "$result" ;; # the table
	esac
done < <(python3 tests/vm/table.py "$out" "${ready[@]-}")
echo "# ${#ready[@]} cells in $((SECONDS - start)) s"
finish
