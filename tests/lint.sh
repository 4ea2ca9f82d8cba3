#!/usr/bin/env bash
# Format and static analysis. What is not installed is skipped by name; anything found fails.
set -u
cd "$(dirname "$0")/.." || exit 1
. tests/tap.sh

have() {
	command -v "$1" >/dev/null || { skip "$2" "$1 is not installed"; return 1; }
}
format() {
	clang-format --dry-run -Werror exporter/*.c exporter/*.h
}
tidy() {
	clang-tidy --quiet --warnings-as-errors='*' \
		--checks='-*,bugprone-*,clang-analyzer-*,-bugprone-easily-swappable-parameters,-bugprone-sizeof-expression,-bugprone-reserved-identifier,-bugprone-narrowing-conversions,-bugprone-implicit-widening-of-multiplication-result,-bugprone-assignment-in-if-condition,-bugprone-branch-clone,-bugprone-suspicious-string-compare,-bugprone-macro-parentheses,-clang-analyzer-valist.Uninitialized,-clang-analyzer-security.insecureAPI.*' \
		exporter/*.c -- -std=gnu11 -D_GNU_SOURCE -iquote exporter -iquote bpf -iquote build 2>&1
}
cpp_check() {
	cppcheck --quiet --error-exitcode=1 --enable=warning,portability,performance --inline-suppr \
		--suppress=missingIncludeSystem --suppress=internalAstError '-DLIBBPF_OPTS(t,n,...)=struct t n' \
		--suppress=memleak:exporter/serve_body.c -Iexporter -Ibpf exporter/*.c
}
shells() {
	# what a sourced file sets or reads looks unset, or unused, from outside (SC2154, SC2034)
	git ls-files '*.sh' '*.bash' .ci/run | xargs shellcheck -x -P SCRIPTDIR -S warning -e SC2154,SC2034
}

have clang-format "format" && check "exporter/ is formatted (.clang-format)" format
have clang-tidy "clang-tidy" && check "clang-tidy: bugprone, analyzer" tidy
have cppcheck "cppcheck" && check "cppcheck: warning, portability, performance" cpp_check
have shellcheck "shellcheck" && check "shellcheck: warnings" shells
finish
