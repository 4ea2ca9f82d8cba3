#!/usr/bin/env bash
# The README's tables are what the program says of itself: a metric or a flag that is added, renamed
# or explained anew must show up there. `tests/ships/readme.sh -u` rewrites them.
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/tap.sh
tap_mktemp
program=${BPF_EXPORTER:-build/bpf_exporter}

# between NAME TEXTFILE <README >NEW: replaces what stands between the markers of NAME.
between() {
	awk -v name="$1" -v text="$2" '
		$0 == "<!-- " name ":end -->" { inside = 0 }
		!inside { print }
		$0 == "<!-- " name ":begin -->" {
			inside = 1
			while ((getline line < text) > 0) print line
		}'
}

"$program" --list=markdown >"$tap_tmp/metrics"
{ echo '```' && "$program" --help && echo '```'; } >"$tap_tmp/flags"
between metrics "$tap_tmp/metrics" <README.md | between flags "$tap_tmp/flags" >"$tap_tmp/README.md"
[ "${1-}" != -u ] || cp "$tap_tmp/README.md" README.md
check "the README's tables of metrics and flags are current (else: $0 -u)" \
	diff README.md "$tap_tmp/README.md"
finish
