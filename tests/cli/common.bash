# tests/cli/common.bash: sourced by the tests of what a user gets to read (not run by itself).
# shellcheck shell=bash
#
#   one_line WHAT STATUS PATTERN CMD...  CMD ends with STATUS, prints nothing on stdout and exactly
#                                        one line on stderr, which matches PATTERN (grep -E)
#   compile NAME FOLDER                  clang makes FOLDER/NAME.bpf.o of stdin

cli_top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
BPF_EXPORTER=${BPF_EXPORTER:-$cli_top/build/bpf_exporter}

said() {
	local status=$1 pattern=$2 rc=0 lines
	shift 2
	timeout --kill-after=5 60 "$@" >"$tap_tmp/stdout" 2>"$tap_tmp/stderr" </dev/null || rc=$?
	lines=$(wc -l <"$tap_tmp/stderr")
	[ "$rc" = "$status" ] || echo "status $rc, expected $status;"
	[ "$lines" = 1 ] || echo "$lines lines on stderr, expected 1;"
	[ -s "$tap_tmp/stdout" ] && echo "stdout is not empty;"
	grep -qE -- "$pattern" "$tap_tmp/stderr" || echo "expected $pattern;"
	cat "$tap_tmp/stderr"
}

one_line() {
	local what=$1 out
	shift
	out=$(said "$@")
	if [ "$out" = "$(cat "$tap_tmp/stderr")" ]; then
		ok "$what"
	else
		not_ok "$what" "$out"
	fi
}

compile() {
	clang -target bpf -mcpu=v2 -g -O2 -Wall -I"$cli_top/vmlinux" -I"$cli_top/bpf" "${@:3}" \
		-c -x c - -o "$2/$1.bpf.o" 2>"$tap_tmp/clang.log" ||
		not_ok "clang compiles $1" "$(cat "$tap_tmp/clang.log")"
}
