#!/usr/bin/env bash
# Bad declarations that clang itself refuses, with a message that names what is wrong. Each file of
# compile_errors/ says in its second line what clang has to say, and in its third which bug it would be.
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/tap.sh

tap_mktemp
CLANG=${CLANG-clang}
flags=(-target bpf -mcpu=v2 -g -O2 -Wall -Wextra -Wno-unused-parameter -Ivmlinux -Ibpf)

# refused FILE: does not compile, and the first error is the one that the file expects.
refused() {
	local want got
	want=$(sed -n '2s|^/\* error: \(.*\) \*/$|\1|p' "$1")
	[ -n "$want" ] || { echo "no 'error:' in line 2"; return 1; }
	if "$CLANG" "${flags[@]}" -c "$1" -o "$tap_tmp/object" 2>"$tap_tmp/said"; then
		echo "it compiles"
		return 1
	fi
	got=$(grep -m 1 'error: ' "$tap_tmp/said")
	grep -qF -- "$want" <<<"$got" || { echo "got \"$got\", expected \"$want\""; return 1; }
}

if ! command -v "$CLANG" >/dev/null; then
	skip "bad declarations" "no clang"
	finish
fi
for file in tests/golden/compile_errors/*.bpf.c; do
	check "$(basename "$file" .bpf.c): refused by clang" refused "$file"
done
# Catches flags or a header that refuse everything.
check "good: accepted by clang" "$CLANG" "${flags[@]}" -Werror -c tests/unit/objects/good.bpf.c -o "$tap_tmp/object"
finish
