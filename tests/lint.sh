#!/usr/bin/env bash
# Format and static analysis. What is not installed is skipped by name; anything found fails.
set -u
cd "$(dirname "$0")/.." || exit 1
. tests/tap.sh

c_files=(exporter/*.c exporter/*.h tests/unit/*.c tests/bench/*.c)
have() {
	command -v "$1" >/dev/null || { skip "$2" "$1 is not installed"; return 1; }
}
format() {
	clang-format --dry-run -Werror exporter/*.c exporter/*.h
}
tidy() {
	clang-tidy --quiet --warnings-as-errors='*' \
		--checks='-*,bugprone-*,clang-analyzer-*,-bugprone-easily-swappable-parameters,-bugprone-sizeof-expression,-bugprone-reserved-identifier,-bugprone-narrowing-conversions,-bugprone-implicit-widening-of-multiplication-result,-bugprone-assignment-in-if-condition,-bugprone-branch-clone,-clang-analyzer-security.insecureAPI.*' \
		exporter/*.c -- -std=gnu11 -D_GNU_SOURCE -iquote exporter -iquote bpf -iquote build 2>&1
}
cpp_check() {
	cppcheck --quiet --error-exitcode=1 --enable=warning,portability,performance --inline-suppr \
		--suppress=missingIncludeSystem --suppress=internalAstError -Iexporter -Ibpf "${c_files[@]}"
}
shells() {
	git ls-files '*.sh' .ci/run | xargs shellcheck -x -S warning
}

have clang-format "format" && check "exporter/ is formatted (.clang-format)" format
have clang-tidy "clang-tidy" && check "clang-tidy: bugprone, analyzer" tidy
have cppcheck "cppcheck" && check "cppcheck: warning, portability, performance" cpp_check
have shellcheck "shellcheck" && check "shellcheck: warnings" shells
finish
