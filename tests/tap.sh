# tests/tap.sh: sourced by test scripts; counts results and prints them as TAP-like lines.
# shellcheck shell=bash
#
#   ok WHAT              not_ok WHAT WHY             skip WHAT WHY
#   check WHAT CMD...    ok when CMD succeeds; else not ok, and WHY is what CMD printed
#                        (CMD may be a function; it runs in a subshell)
#   tap_results FILE     results of another program: lines of `ok|not ok|skip|comment`, WHAT, WHY, parted by tabs
#   finish               last line of a script: prints the sum, exits 1 when anything failed
#   tap_mktemp           makes the folder $tap_tmp, which is gone when the script ends
#
# A script that ends without `finish` (set -e, a typo, a signal) has failed: the EXIT trap says so.
# A script that needs more than $tap_tmp cleaned up defines tap_cleanup() instead of a trap.

tap_passed=0 tap_failed=0 tap_skipped=0 tap_finished=0 tap_tmp=

# Sets $tap_said: one line, whatever came out of a tool: a newline in a reason must not look like another
# result. In the shell itself: in an emulated machine a process takes long.
tap_line() {
	tap_said=${1//[$'\n\r\t']/ }
	tap_said=${tap_said//[[:cntrl:]]/}
	while [[ $tap_said == *'  '* ]]; do
		tap_said=${tap_said//  / }
	done
	tap_said=${tap_said:0:600}
}

ok() {
	tap_passed=$((tap_passed + 1))
	tap_line "${1-}"
	printf 'ok - %s\n' "$tap_said"
}

not_ok() {
	tap_failed=$((tap_failed + 1))
	tap_line "${1-}"
	printf 'not ok - %s: ' "$tap_said"
	tap_line "${2:-no reason given}"
	printf '%s\n' "$tap_said"
}

skip() {
	tap_skipped=$((tap_skipped + 1))
	tap_line "${1-}"
	printf 'skip - %s: ' "$tap_said"
	tap_line "${2:-no reason given}"
	printf '%s\n' "$tap_said"
}

tap_results() {
	local result what why
	while IFS=$'\t' read -r result what why; do
		case $result in
		ok) ok "$what" ;;
		'not ok') not_ok "$what" "$why" ;;
		skip) skip "$what" "$why" ;;
		comment) echo "# $what" ;;
		esac
	done <"$1"
}

check() {
	local what=${1-} out rc=0
	if [ $# -lt 2 ]; then
		not_ok "$what" "check was given no command"
		return
	fi
	shift
	out=$("$@" 2>&1) || rc=$?
	if [ "$rc" -eq 0 ]; then
		ok "$what"
	else
		not_ok "$what" "${out:-no output} (exit status $rc)"
	fi
}

tap_cleanup() { :; }

tap_mktemp() {
	tap_tmp=$(mktemp -d)
}

tap_exit() {
	tap_cleanup
	[ -z "$tap_tmp" ] || rm -rf --one-file-system "$tap_tmp" # not into what a test mounted there
	[ "$tap_finished" -eq 1 ] && return
	printf 'not ok - %s: ended before it was finished\n' "${0##*/}"
	exit 1
}
trap tap_exit EXIT

finish() {
	tap_finished=1
	[ "$((tap_passed + tap_failed + tap_skipped))" -gt 0 ] ||
		not_ok "${0##*/}" "it tested nothing"
	printf '# %s: %d passed, %d failed, %d skipped\n' \
		"${0##*/}" "$tap_passed" "$tap_failed" "$tap_skipped"
	[ "$tap_failed" -eq 0 ] || exit 1
	exit 0
}
