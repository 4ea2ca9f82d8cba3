#!/usr/bin/env bash
# What each collector's tables look like when they are scraped: names, help, labels, units, zeros. A
# change of any of these shows up here, in a file that a reviewer reads. Rows are made up
# (tests/golden/render_schema.c), no kernel is asked.
#
#   tests/golden/golden.sh [-u]    -u rewrites the files
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/tap.sh

tap_mktemp
update=0
[ "${1-}" = -u ] && update=1
render=build/san/render_schema
[ -x "$render" ] || make --no-print-directory -s unit >/dev/null || exit 1

# same NAME OBJECT: renders it and compares. Catches any change of what Prometheus gets.
same() {
	local want=tests/golden/$1.prom got=$tap_tmp/$1.prom
	"$render" "$2" >"$got" 2>"$tap_tmp/stderr" || { head -n 3 "$tap_tmp/stderr"; return 1; }
	if [ "$update" -eq 1 ]; then
		cp "$got" "$want"
	elif [ ! -f "$want" ]; then
		echo "$want is missing; make it with tests/golden/golden.sh -u and read it"
		return 1
	fi
	diff -u "$want" "$got" | head -n 20
	cmp -s "$want" "$got"
}

# Catches names and help that Prometheus' own checks dislike.
valid() {
	promtool check metrics <"tests/golden/$1.prom"
}

objects=()
for source in bpf/*.bpf.c; do
	objects+=("build/bpf/$(basename "$source" .c).o")
done
make --no-print-directory -s "${objects[@]}" || exit 1
objects+=(build/san/objects/good.bpf.o) # every kind of declaration, collectors or not
for object in "${objects[@]}"; do
	name=$(basename "$object" .bpf.o)
	check "$name: as in $name.prom" same "$name" "$object"
	if command -v promtool >/dev/null; then
		check "$name: promtool check metrics" valid "$name"
	else
		skip "$name: promtool check metrics" "promtool is not installed (package prometheus)"
	fi
done

# Catches the file of a collector that is no more.
for file in tests/golden/*.prom; do
	name=$(basename "$file" .prom)
	printf '%s\n' "${objects[@]}" | grep -q "/$name.bpf.o$" ||
		not_ok "$name.prom" "no collector of that name; remove the file"
done
finish
