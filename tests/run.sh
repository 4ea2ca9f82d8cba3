#!/usr/bin/env bash
# Runs every test layer that this machine can run, and closes with "N passed, N failed, N skipped".
#
#   tests/run.sh [PATTERN...]   only the tests whose path contains one of the patterns
#
# Layers: unit (cmocka under the sanitizers), golden, fuzz (libFuzzer), cli (bad input), ships (what is not C), live
# (root: real events against the kernel's counts), contract (what the programs need of known kernels'
# BTF), vm (the live tests on these kernels, under QEMU). A test is a program that prints "ok - WHAT",
# "not ok - WHAT: WHY" or "skip - WHAT: WHY" lines (tests/tap.sh), or TAP (cmocka).
set -u
cd "$(dirname "$0")/.." || exit 1
export CMOCKA_MESSAGE_OUTPUT=TAP
export ASAN_OPTIONS=detect_leaks=1:abort_on_error=0 UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
log=build/tests
rm -rf "$log"
mkdir -p "$log"
passed=0 failed=0 skipped=0
: >"$log/skips"
: >"$log/retries"
: >"$log/failures"

wanted() {
	local pattern
	[ ${#patterns[@]} -gt 0 ] || return 0
	for pattern in "${patterns[@]}"; do
		[[ $1 == *$pattern* ]] && return 0
	done
	return 1
}

# A live test compares with counts of a kernel that works for others too, so it gets a second try;
# that it needed one is said at the end, with the first try's log.
twice() {
	local out
	out=$log/$(tr / _ <<<"$1").log
	run_quietly "$@" && return
	wanted "$1" || return
	mv "$out" "$out.first"
	echo "$1: $(grep -m 1 -E '^not ok' "$out.first") (log: $out.first)" >>"$log/retries"
	run "$@"
}

run_quietly() {
	local p=$passed f=$failed s=$skipped
	run "$@" >"$log/try"
	if [ "$failed" -eq "$f" ]; then
		cat "$log/try"
		return 0
	fi
	passed=$p failed=$f skipped=$s
	sed -i "\\|^$1: |d" "$log/failures" "$log/skips"
	return 1
}

# run NAME CMD...: one test program; its lines are counted and shown.
run() {
	local name=$1 out rc=0 start=$SECONDS p f s
	shift
	wanted "$name" || return 0
	out=$log/$(tr / _ <<<"$name").log
	timeout --kill-after=10 "${limit:-600}" "$@" >"$out" 2>&1 </dev/null || rc=$?
	p=$(grep -cE '^ok( |$)' "$out")
	s=$(grep -ciE '^(skip - |(not )?ok .*# skip)' "$out")
	p=$((p - $(grep -ciE '^ok .*# skip' "$out")))
	f=$(grep -E '^not ok( |$)' "$out" | grep -vicE '# skip')
	if [ "$rc" -ne 0 ] && [ "$f" -eq 0 ]; then
		f=1
		echo "not ok - $name: ended with status $rc" | tee -a "$out" >/dev/null
	elif [ $((p + f + s)) -eq 0 ]; then
		f=1
		echo "not ok - $name: it tested nothing" | tee -a "$out" >/dev/null
	fi
	passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
	printf '%-36s %3d passed %3d failed %3d skipped %4d s\n' "$name" "$p" "$f" "$s" $((SECONDS - start))
	grep -iE '^(skip - |(not )?ok .*# skip)' "$out" | sed "s|^|$name: |" >>"$log/skips"
	if [ "$f" -gt 0 ]; then
		grep -E '^not ok' "$out" | grep -viE '# skip' | sed "s|^|$name: |" >>"$log/failures"
		echo "--- $name: last lines of $out"
		tail -n 40 "$out"
		echo "---"
	fi
}

# shellcheck source=tests/live/sweep.sh
. tests/live/sweep.sh

patterns=("$@")
cgroups_sweep
echo "building the unit tests"
if ! make --no-print-directory -j"$(nproc)" unit >"$log/build.log" 2>&1; then
	tail -n 40 "$log/build.log"
	echo "not ok - the unit tests do not build"
	echo "0 passed, 1 failed, 0 skipped"
	exit 1
fi
for test in build/san/*_test; do
	run "unit/${test##*/}" "$test"
done
run unit/snapshot_test.tsan build/tsan/snapshot_test
run unit/gzip_test.zlib build/zlib/gzip_test
run ships/deps.sh bash tests/ships/deps.sh
for test in tests/golden/*.sh tests/fuzz/*.sh tests/cli/*.sh tests/ships/*.sh tests/contract/*_test.sh tests/live/*_test.sh; do
	[ -f "$test" ] && [ "$test" != tests/ships/deps.sh ] || continue
	case $test in
	tests/live/*) twice "${test#tests/}" bash "$test" ;;
	*) run "${test#tests/}" bash "$test" ;;
	esac
	cgroups_sweep
done
# last, and longest: real kernels in VMs, and the table of what each of them takes
limit=1200 run vm/run.sh bash tests/vm/run.sh
grep -s '^|' "$log/vm_run.sh.log"
if [ -s "$log/skips" ]; then
	printf '\nSkipped, and why:\n'
	cat "$log/skips"
fi
if [ -s "$log/retries" ]; then
	printf '\nPassed or failed only at the second try, and why the first one failed:\n'
	cat "$log/retries"
fi
if [ -s "$log/failures" ]; then
	printf '\nFailed:\n'
	cat "$log/failures"
fi
printf '\n%d passed, %d failed, %d skipped\n' "$passed" "$failed" "$skipped"
[ "$failed" -eq 0 ]
