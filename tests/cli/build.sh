#!/usr/bin/env bash
# Catches: a build that depends on its folder, its user or its compiler, that forgets to rebuild or
# rebuilds what did not change, or lets a bad declaration through.
# shellcheck source=tests/tap.sh
. "$(dirname "$0")/../tap.sh"
tap_mktemp
chmod 755 "$tap_tmp"
top=$(cd "$(dirname "$0")/../.." && pwd)
unset MAKEFLAGS MAKELEVEL MFLAGS

# tree NAME: a copy of the sources without what was built
tree() {
	mkdir "$tap_tmp/$1"
	tar -C "$top" --exclude=./build --exclude=./.git -cf - . | tar -C "$tap_tmp/$1" -xf -
}

# build NAME [ARG...]: its output in $tap_tmp/log
build() {
	make -C "$tap_tmp/$1" --no-print-directory -j2 "${@:2}" >"$tap_tmp/log" 2>&1
}

# rebuilt WANT WHAT: which steps the last build had
rebuilt() {
	equal "$2" "$(awk '{ print $1, $2 }' "$tap_tmp/log" | xargs)" "$1"
}

equal() {
	if [ "$2" = "$3" ]; then
		ok "$1"
	else
		not_ok "$1" "got $2, expected $3"
	fi
}

make -C "$top" --no-print-directory help >"$tap_tmp/help" 2>"$tap_tmp/log"
check "make help: one line for each target, with what it does" \
	bash -c '[ "$(grep -cvE "^  make [a-z-]+ +[^ ].+$" "$0")" = 0 ]' "$tap_tmp/help"
for target in all run deps check check-deps check-vm kernel-contract bench lint install clean help; do
	check "make help: $target, once" bash -c '[ "$(grep -c "^  make $0 " "$1")" = 1 ]' "$target" "$tap_tmp/help"
done

# ---- the same from everywhere ----

tree a
mkdir "$tap_tmp/deeper"
tree deeper/b
build a WERROR=1
check "it builds" test -x "$tap_tmp/a/build/bpf_exporter" || cat "$tap_tmp/log"
if [ "$(id -u)" = 0 ]; then
	chown -R 65534:65534 "$tap_tmp/deeper/b"
	nobody=(setpriv --reuid=65534 --regid=65534 --clear-groups)
else
	nobody=()
fi
"${nobody[@]}" env HOME=/nonexistent make -C "$tap_tmp/deeper/b" --no-print-directory -j2 WERROR=1 >"$tap_tmp/log" 2>&1
equal "it builds as nobody, warnings are errors: status" $? 0
check "... without a warning" bash -c '! grep -v "^  [A-Z]* " "$0"' "$tap_tmp/log"
check "two folders give the same bytes" cmp "$tap_tmp/a/build/bpf_exporter" "$tap_tmp/deeper/b/build/bpf_exporter"
check "... with no folder in them" bash -c '! grep -aF "$0" "$1"' "$tap_tmp" "$tap_tmp/a/build/bpf_exporter"
check "... and the same man page" cmp "$tap_tmp/a/build/bpf_exporter.8" "$tap_tmp/deeper/b/build/bpf_exporter.8"

# ---- only what changed ----

build a WERROR=1
rebuilt "" "nothing is rebuilt when nothing changed"
sleep 0.01
touch "$tap_tmp/a/bpf/tcp.bpf.c"
build a WERROR=1
rebuilt "BPF build/bpf/tcp.bpf.o LINK build/bpf_exporter" "one collector: one BPF object"
touch "$tap_tmp/a/bpf/owner.bpf.h"
build a WERROR=1
equal "a header of collectors: those that include it" \
	"$(awk '$1 == "BPF" { print $2 }' "$tap_tmp/log" | sort | xargs)" \
	"$(cd "$tap_tmp/a" && grep -l owner.bpf.h bpf/*.bpf.c | sed 's|.*|build/&|; s|c$|o|' | sort | xargs)"
touch "$tap_tmp/a/exporter/process.h"
build a WERROR=1
equal "a header of the exporter: those that include it" \
	"$(awk '$1 == "CC" { print $2 }' "$tap_tmp/log" | sort | xargs)" \
	"$(cd "$tap_tmp/a/build" && grep -l 'exporter/process.h' exporter/*.d | sed 's|.*|build/&|; s|d$|o|' | sort | xargs)"

# ---- a collector comes and goes ----

cat >"$tap_tmp/a/bpf/mine.bpf.c" <<'C'
#include "metrics.bpf.h"
struct mine_key { __u32 a; };
struct mine { COUNTER(runs, "Runs."); };
TABLE(HASH, node_mine, struct mine_key, struct mine, 8);
C
build a WERROR=1
rebuilt "BPF build/bpf/mine.bpf.o LINK build/bpf_exporter" "a new file in bpf/ is a new collector"
check "... and is listed" bash -c '"$0" --list | grep -q "^counter ebpf_node_mine_runs_total"' "$tap_tmp/a/build/bpf_exporter"
# bad WHAT PATTERN: bpf/mine.bpf.c of stdin fails the build with a line that names it
bad() {
	cat >"$tap_tmp/a/bpf/mine.bpf.c"
	if build a WERROR=1; then
		not_ok "$1 fails the build" "it did not"
	else
		check "$1 fails the build, by name" grep -qE "$2" "$tap_tmp/log" || cat "$tap_tmp/log"
	fi
}
bad "a metric without help" 'msg="build/bpf/mine.bpf.o: table node_mine: runs: metric has no HELP' <<'C'
#include "metrics.bpf.h"
struct mine_key { __u32 a; };
struct mine { counter_t runs; };
TABLE(HASH, node_mine, struct mine_key, struct mine, 8);
C
bad "a metric that tcp has" 'msg="build/bpf/[a-z]*.bpf.o: ebpf_cgroup_oom_kills_total is a metric of collector [a-z]* already' <<'C'
#include "metrics.bpf.h"
struct mine { COUNTER(kills, "Kills."); };
TABLE(HASH, cgroup_oom, cgroup_id_t, struct mine, 8);
C
bad "a hole in a key" "^bpf/mine.bpf.c:2:.*error: padding struct 'struct mine_key'" <<'C'
#include "metrics.bpf.h"
struct mine_key { __u8 a; __u32 b; };
struct mine { COUNTER(runs, "Runs."); };
TABLE(HASH, node_mine, struct mine_key, struct mine, 8);
C
bad "a missing LICENSE header" "^bpf/mine.bpf.c:1:.*error:" <<'C'
struct mine_key { u8 a; };
C
rm "$tap_tmp/a/bpf/mine.bpf.c"
build a WERROR=1
equal "a file that goes: the build" $? 0
check "... takes the collector along" bash -c '"$0" --list >"$1" && ! grep mine "$1"' "$tap_tmp/a/build/bpf_exporter" "$tap_tmp/out"
check "... and is the bytes from before" cmp "$tap_tmp/a/build/bpf_exporter" "$tap_tmp/deeper/b/build/bpf_exporter"

# ---- install ----

build a install DESTDIR="$tap_tmp/x" PREFIX=/usr WERROR=1
equal "make install: what" "$(cd "$tap_tmp/x" && find . -type f -printf '%m %p\n' | sort | xargs)" \
	"644 ./usr/lib/systemd/system/bpf_exporter.service 644 ./usr/share/man/man8/bpf_exporter.8 755 ./usr/sbin/bpf_exporter"
check "the unit starts what was installed" grep -q '^ExecStart=/usr/sbin/bpf_exporter' \
	"$tap_tmp/x/usr/lib/systemd/system/bpf_exporter.service"
build a install DESTDIR="$tap_tmp/y" WERROR=1
check "... under another prefix as well" grep -q '^ExecStart=/usr/local/sbin/bpf_exporter' \
	"$tap_tmp/y/usr/local/lib/systemd/system/bpf_exporter.service"
if command -v man >/dev/null; then
	man --warnings=w -E UTF-8 -l -Tutf8 -Z "$tap_tmp/x/usr/share/man/man8/bpf_exporter.8" >"$tap_tmp/man" 2>"$tap_tmp/man.log"
	check "the man page has no warnings" bash -c '[ -s "$0" ] && [ ! -s "$1" ] || { head -5 "$1"; false; }' "$tap_tmp/man" "$tap_tmp/man.log"
	for flag in $("$tap_tmp/x/usr/sbin/bpf_exporter" --help | grep -o '^ *--[a-z.-]*' | tr -d ' '); do
		grep -qF -- "$(sed 's/-/\\-/g' <<<"$flag")" "$tap_tmp/x/usr/share/man/man8/bpf_exporter.8" ||
			not_ok "the man page has $flag" "it has not"
	done
else
	skip "the man page has no warnings" "no man here"
fi

# ---- another compiler ----

tree clang
build clang CC=clang WERROR=1
equal "CC=clang, warnings are errors: status" $? 0
check "... without a warning" bash -c '! grep -v "^  [A-Z]* " "$0"' "$tap_tmp/log"
build clang clean
check "make clean leaves the sources" bash -c 'cd "$0" && diff -rq . "$1" -x build -x .git' "$tap_tmp/clang" "$top"
finish
