# tests/live/real.sh: sourced after lib.sh by the real_*_test.sh: servers from Debian's packages under
# load, whose own counts the exporter's are held against.
# shellcheck shell=bash
#
#   real_needs PACKAGE:PROGRAM...  installs what is missing (no service starts); else a skip, and the end
#   real_port                      a TCP port that nobody listens on
#   real_quiet FAMILY LABEL        waits until the family's value stands still
#   at_least WHAT GOT LEAST        at_most WHAT GOT MOST: of decimals

real_needs() {
	local pair packages=() out
	for pair in "$@"; do
		PATH=$PATH:/usr/sbin:/sbin command -v "${pair#*:}" >/dev/null || packages+=("${pair%%:*}")
	done
	[ ${#packages[@]} -eq 0 ] && return
	# the tests' own TMPDIR is noexec to nobody, but small
	if ! out=$(TMPDIR=/tmp timeout 120 sh "$live_top/deploy/deps.sh" need "${packages[@]}" 2>&1); then
		skip "${0##*/}" "${packages[*]} cannot be installed: $(grep -m 1 -E '^[EW]:|deps:' <<<"$out")"
		finish
	fi
}

real_port() {
	python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

real_stands_still() {
	local now
	now=$(value "$@")
	[ "$now" = "${real_last-}" ] || { real_last=$now && return 1; }
}

real_quiet() {
	real_last=''
	wait_until 10 real_stands_still "$@" || not_ok "$1 stands still" "it goes on: $real_last"
}

at_least() {
	if python3 -c "import sys; sys.exit(not $2 >= $3)"; then
		ok "$1 ($2 >= $3)"
	else
		not_ok "$1" "got $2, expected at least $3"
	fi
}

at_most() {
	if python3 -c "import sys; sys.exit(not $2 <= $3)"; then
		ok "$1 ($2 <= $3)"
	else
		not_ok "$1" "got $2, expected at most $3"
	fi
}
