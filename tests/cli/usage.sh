#!/usr/bin/env bash
# Catches: a flag, a value or a collector's name that is not understood and says neither which nor
# what was expected. Every kind of wrong usage: tests/unit/options_errors_test.c.
# shellcheck source=tests/tap.sh
. "$(dirname "$0")/../tap.sh"
# shellcheck source=tests/cli/common.bash
. "$(dirname "$0")/common.bash"
tap_mktemp

# WHAT PATTERN FLAG...: wrong usage
usage() {
	one_line "$1" 2 "^bpf_exporter: $2 See --help\.\$" "$BPF_EXPORTER" "${@:3}"
}

usage "an unknown flag: the nearest one is suggested" \
	"unknown flag --web.listen-adress: did you mean --web.listen-address\?" --web.listen-adress=:1
usage "an unknown switch of a collector: the family is suggested" \
	"unknown flag --no-colector.tcp: did you mean --no-collector.tcp\?" --no-colector.tcp
usage "a flag that resembles none" "unknown flag --xyzzy\." --xyzzy=1
usage "a duration without a unit" \
	"--ebpf-probe-interval=15: expected a duration such as 500ms, .*units: .*\)\." --ebpf-probe-interval=15
usage "a duration in no unit" "--process.retention=5y: expected a duration .*" --process.retention=5y
usage "a duration out of range" \
	"--ebpf-probe-interval=1ms: out of range: expected 0 .* or 10ms to 1h\." --ebpf-probe-interval=1ms
usage "a flag without its value" "--path.procfs is missing its value: expected --path.procfs=DIR\." \
	--path.procfs --once
usage "a value for a flag that takes none" "--once=1: .* leave out =1\." --once=1
usage "a file without --list" "unexpected argument x.bpf.o: only --list takes files\." x.bpf.o
usage "two actions" "--once and --check exclude each other: give one of them\." --once --check
usage "a log level that does not exist" "--log.level=wanr: expected .* did you mean warn\?" --log.level=wanr
usage "an address without a port" \
	"--web.listen-address=9435: no port; expected HOST:PORT, \[IPv6\]:PORT or :PORT, port 0 to 65535\." \
	--web.listen-address=9435
usage "a port beyond 65535" "--web.listen-address=:70000: the port is not a number .*" \
	--web.listen-address=:70000
usage "an IPv6 address without brackets" "--web.listen-address=::1:9435: .*needs brackets; expected .*" \
	--web.listen-address=::1:9435
usage "the second of two addresses" "--web.listen-address=x: no port; expected .*" \
	--web.listen-address=127.0.0.1:0 --web.listen-address=x
usage "a bad address beside an action" "--web.listen-address=x: no port; expected .*" \
	--list --web.listen-address=x

names='there are accept, .*writeback"$'
for switch in --collector.nosuch --no-collector.nosuch; do
	one_line "$switch: the list of collectors is printed" 1 "$switch: there is no such collector; $names" \
		"$BPF_EXPORTER" --list "$switch"
done

# full WHAT FLAG...: what could not be written was not said
full() {
	local rc=0
	"$BPF_EXPORTER" "${@:2}" >/dev/full 2>"$tap_tmp/stderr" || rc=$?
	check "$1 on a full disk is a failure" test $rc = 1
	check "$1 on a full disk: one line says so" \
		test "$(sed 's/^time=[^ ]* //' "$tap_tmp/stderr")" = \
		'level=error msg="cannot write to the standard output: No space left on device"'
}
full --list --list
full --list=markdown --list=markdown
full --help --help
full --help=man --help=man
full --version --version
check "--list with stdout closed is a failure" bash -c '! "$0" --list >&- 2>/dev/null' "$BPF_EXPORTER"

for flag in --help --help=man --version --list --list=markdown; do
	check "$flag: status 0, nothing on stderr" \
		bash -c '"$0" "$1" 2>&1 >"$2" | grep . && exit 1; [ -s "$2" ]' "$BPF_EXPORTER" $flag "$tap_tmp/out"
done
finish
