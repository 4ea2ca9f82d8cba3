#!/usr/bin/env bash
# Catches: an object file that is not what it should be and is taken for one, or is refused without
# the file, the table and the member named. Reads declarations only, loads nothing.
# shellcheck source=tests/tap.sh
. "$(dirname "$0")/../tap.sh"
# shellcheck source=tests/cli/common.bash
. "$(dirname "$0")/common.bash"
tap_mktemp
chmod 755 "$tap_tmp"
good=$cli_top/build/bpf/oom.bpf.o
d=$tap_tmp/d
mkdir "$d"

# refused WHAT PATTERN FILE: by --list FILE
refused() {
	one_line "$1" 1 "msg=\"$3: $2\"\$" "$BPF_EXPORTER" --list "$3"
}

# ---- files ----

made='; expected what `clang -target bpf -g -c` makes'
refused "a missing file" "cannot be read: No such file or directory; expected an object file.*" "$d/none.bpf.o"
refused "a folder" "is not a file; expected an object file.*" "$d"
: >"$d/empty.bpf.o"
refused "an empty file" "is empty$made" "$d/empty.bpf.o"
echo "int main;" >"$d/text.bpf.o"
refused "a text file" "is not an ELF object$made" "$d/text.bpf.o"
cp /bin/true "$d/x86.bpf.o"
refused "a program of this machine" "is not a BPF object$made" "$d/x86.bpf.o"
mkfifo "$d/pipe.bpf.o"
refused "a pipe (and does not wait for it)" "is not a file; expected .*" "$d/pipe.bpf.o"
truncate -s 17M "$d/large.bpf.o"
refused "a file of 17 MiB" "measures more than 16 MiB; expected .*" "$d/large.bpf.o"
cp "$good" "$d/my-name.bpf.o"
refused "a name that no flag can switch" \
	"the file's name is its collector's: expected NAME.bpf.o with a NAME of a-z, 0-9 and _, not dir; rename it" \
	"$d/my-name.bpf.o"

size=$(stat -c %s "$good")
survived=
for cut in 1 63 64 1000 $((size / 2)) $((size - 64)) $((size - 1)); do
	head -c "$cut" "$good" >"$d/cut.bpf.o"
	said 1 "msg=\"$d/cut.bpf.o: is (truncated|not an ELF object)$made\"" "$BPF_EXPORTER" --list "$d/cut.bpf.o" \
		>"$tap_tmp/out"
	cmp -s "$tap_tmp/out" "$tap_tmp/stderr" || survived+=" $cut: $(cat "$tap_tmp/out")"
done
check "a file cut anywhere is truncated" test -z "$survived"

printf 'char x[] __attribute__((section("license"))) = "GPL"; int f(void) { return 0; }' |
	clang -target bpf -O2 -c -x c - -o "$d/nobtf.bpf.o"
refused "an object without BTF" "the object has no BTF; compile it with clang -target bpf -g" "$d/nobtf.bpf.o"

# ---- folders ----

# folder WHAT PATTERN: by --collector.dir
folder() {
	one_line "$1" 1 "$2" "$BPF_EXPORTER" --list --collector.dir="${3:-$tap_tmp/f}"
}
mkdir "$tap_tmp/f"
folder "a folder that is missing" \
	"msg=\"--collector.dir=$d/none: No such file or directory; expected a folder with x.bpf.o files\"" "$d/none"
folder "a file for a folder" "msg=\"--collector.dir=$good: Not a directory; expected a folder" "$good"
"$BPF_EXPORTER" --list --collector.dir="$tap_tmp/f" >"$tap_tmp/out" 2>"$tap_tmp/stderr"
check "an empty folder is a warning" grep -q "level=warn msg=\"--collector.dir=$tap_tmp/f: no x.bpf.o file in it\"" \
	"$tap_tmp/stderr"
cp "$good" "$tap_tmp/f/oom.bpf.o"
folder "a collector of a name that is built in" \
	"msg=\"$tap_tmp/f/oom.bpf.o: there is a collector named oom already \(built in\); rename the file\""
mkdir "$tap_tmp/g"
mv "$tap_tmp/f/oom.bpf.o" "$tap_tmp/f/kills.bpf.o"
cp "$tap_tmp/f/kills.bpf.o" "$tap_tmp/g/kills.bpf.o"
one_line "two files of one name: the first is named" 1 \
	"msg=\"$tap_tmp/g/kills.bpf.o: there is a collector named kills already \($good\)|\($tap_tmp/f/kills.bpf.o\); rename the file\"" \
	"$BPF_EXPORTER" --list --collector.dir="$tap_tmp/f" --collector.dir="$tap_tmp/g"
folder "a metric that a built-in collector has" \
	"msg=\"$tap_tmp/f/kills.bpf.o: ebpf_[a-z_]*_total is a metric of collector oom already; rename the table or the member\""
rm "$tap_tmp/f/kills.bpf.o"
: >"$tap_tmp/f/ignored.txt"
: >"$tap_tmp/f/.hidden.bpf.o"
check "other files and hidden ones in a folder are left alone" \
	bash -c '! "$0" --list --collector.dir="$1" 2>&1 >/dev/null | grep -v "no x.bpf.o file"' "$BPF_EXPORTER" "$tap_tmp/f"

# ---- who could have written it ----

compile mine "$tap_tmp/f" <<'C'
#include "metrics.bpf.h"
struct mine_key { __u32 a; };
struct mine { COUNTER(runs, "Runs."); };
TABLE(HASH, node_mine, struct mine_key, struct mine, 8);
C
others="msg=\"$tap_tmp/f/mine.bpf.o: could be written by others than root; .*: chown root it and its folder, and chmod go-w both\""
if [ "$(id -u)" = 0 ]; then
	check "a collector of root's own is taken" bash -c '"$0" --list --collector.dir="$1" |
		grep -qF "counter ebpf_node_mine_runs_total{a}  [on, medium rate, at most 8 series]  Runs."' "$BPF_EXPORTER" "$tap_tmp/f"
	chown 65534 "$tap_tmp/f/mine.bpf.o"
	folder "a file of another user" "$others"
	chown 0 "$tap_tmp/f/mine.bpf.o"
	chmod 664 "$tap_tmp/f/mine.bpf.o"
	folder "a file that its group can write" "$others"
	chmod 646 "$tap_tmp/f/mine.bpf.o"
	folder "a file that everybody can write" "$others"
	chmod 644 "$tap_tmp/f/mine.bpf.o"
	chmod 775 "$tap_tmp/f"
	folder "a folder that its group can write" "$others"
	chmod 1777 "$tap_tmp/f"
	folder "a folder that everybody can write, sticky or not" "$others"
	chmod 755 "$tap_tmp/f"
	chown 65534 "$tap_tmp/f"
	folder "a folder of another user" "$others"
	chown 0 "$tap_tmp/f"
	mkdir "$tap_tmp/h"
	install -m 644 -o 65534 "$tap_tmp/f/mine.bpf.o" "$d/elsewhere.o"
	ln -s "$d/elsewhere.o" "$tap_tmp/h/mine.bpf.o"
	one_line "a link to a file of another user" 1 "h/mine.bpf.o: could be written by others than root" \
		"$BPF_EXPORTER" --list --collector.dir="$tap_tmp/h"
	chown 0 "$d/elsewhere.o"
	chmod 777 "$d"
	one_line "a link into a folder that everybody can write" 1 \
		"h/mine.bpf.o: could be written by others than root" "$BPF_EXPORTER" --list --collector.dir="$tap_tmp/h"
	chmod 755 "$d"
else
	skip "files and folders of others" "needs root to make them"
fi

# ---- what is on, how hot it is, how many series it can make ----

# listed WHAT LINE [FLAG...]: --list of the object of stdin, named `load`, has that line
listed() {
	local what=$1 line=$2
	shift 2
	rm -f "$tap_tmp"/l/*
	mkdir -p "$tap_tmp/l"
	compile load "$tap_tmp/l"
	check "$what" bash -c '"$0" --list --collector.dir="$1" "${@:3}" | grep -F "ebpf_" | grep -F load_ | tee /dev/stderr |
		grep -qxF "$2"' "$BPF_EXPORTER" "$tap_tmp/l" "$line" "$@"
}
if [ "$(id -u)" = 0 ]; then
	hot='#include "who.bpf.h"
		COLLECTOR(OFF, HOT);'
	off="$hot"'
		struct load_key { __u32 a; };
		struct load { COUNTER(runs, "Runs."); };
		TABLE(HASH, node_load, struct load_key, struct load, 8);'
	listed "COLLECTOR(OFF, HOT): off and hot" \
		"counter ebpf_node_load_runs_total{a}  [off, hot rate, at most 8 series]  Runs." <<<"$off"
	listed "... until a flag says otherwise" \
		"counter ebpf_node_load_runs_total{a}  [on, hot rate, at most 8 series]  Runs." \
		--collector.load <<<"$off"
	listed "an enum bounds the series by its names" \
		"counter ebpf_node_load_runs_total{way}  [off, hot rate, at most 2 series]  Runs." <<-C
		$hot
		enum way { WAY_IN, WAY_OUT };
		struct load { COUNTER(runs, "Runs."); };
		TABLE(PERCPU_ARRAY, node_load, enum way, struct load, 8);
	C
	listed "a histogram has a line per bound, its sum and its count" \
		"histogram ebpf_node_load_took_seconds{way}  [off, hot rate, at most 32 series]  Took." <<-C
		$hot
		enum way { WAY_IN, WAY_OUT };
		struct load { HISTOGRAM(took_ns, "Took."); };
		TABLE(HASH, node_load, enum way, struct load, 8);
	C
	listed "a split counter has a line per value" \
		"counter ebpf_cgroup_load_runs_total{cgroup,unit,namespace,pod,container,kind}  [off, hot rate, at most 24 series]  Runs." <<-C
		$hot
		struct kind { counter_t a, b, c; };
		struct load { COUNTER_BY(kind, runs, "Runs."); };
		TABLE(HASH, cgroup_load, cgroup_id_t, struct load, 8);
	C
	listed "processes are bounded by --process.max-series" \
		"counter ebpf_load_runs_total{pid,comm,cgroup,unit,namespace,pod,container}  [off, hot rate, at most 3 series]  Runs." \
		--process.max-series=3 <<-C
		$hot
		struct load { COUNTER(runs, "Runs."); };
		TABLE(HASH, load, struct who, struct load, 8);
	C
else
	skip "what --list says of an object" "needs root: the folder must be root's"
fi

# ---- declarations ----

# declared WHAT PATTERN [CFLAG...]: the object of stdin
declared() {
	compile bad "$d" "${@:3}"
	refused "$1" "$2" "$d/bad.bpf.o"
}

begin='#include "who.bpf.h"
#pragma clang diagnostic ignored "-Wpadded"
struct good_key { cgroup_id_t cgroup; };
struct good { COUNTER(runs, "Runs."); };'
runs='struct bad { COUNTER(runs, "Runs."); };
TABLE(HASH, node_bad, struct bad_key, struct bad, 8);'

declared "a counter without help" "table node_bad: runs: metric has no HELP.*" <<C
$begin
struct bad { counter_t runs; };
TABLE(HASH, node_bad, struct good_key, struct bad, 8);
C
declared "a metric of a type that is none" \
	"table node_bad: runs: a metric cannot be of type 'int'; use COUNTER, GAUGE, HISTOGRAM or COUNTER_BY" <<C
$begin
struct bad { METRIC(int, runs, "Runs."); int pad; };
TABLE(HASH, node_bad, struct good_key, struct bad, 8);
C
declared "a hole inside a key" \
	"table node_bad: the key has a hole before 'b'; fill it with a member whose name starts with '_'" <<C
$begin
struct bad_key { __u8 a; __u32 b; };
$runs
C
declared "a hole at the end of a key" "table node_bad: the key has a hole at its end; fill it .*" <<C
$begin
struct bad_key { __u64 a; __u32 b; };
$runs
C
declared "a bit field as a label" "table node_bad: a: a label cannot be a bit field.*" <<C
$begin
struct bad_key { __u32 a : 16; __u32 b : 16; };
$runs
C
declared "a pointer as a label" "table node_bad: a: a label cannot be of type '[^']+'; use an integer, .*" <<C
$begin
struct bad_key { void *a; };
$runs
C
declared "an array of integers as a label" "table node_bad: a: a label cannot be of type .*; use an integer, .*" <<C
$begin
struct bad_key { __u32 a[2]; };
$runs
C
declared "a structure as a label" "table node_bad: a: a structure in a key is .*" <<C
$begin
struct inner { __u32 x; };
struct bad_key { struct inner a; };
$runs
C
declared "a who that is not first" "table node_bad: who: 'struct who' must come first in the key" <<C
$begin
struct bad_key { __u64 a; struct who who; };
$runs
C
declared "a number as a key" \
	"table node_bad: the key must be a struct or an enum: its names are the label names" <<C
$begin
TABLE(HASH, node_bad, __u32, struct good, 8);
C
declared "a map that forgets" \
	"table node_bad: an LRU map throws counts away in silence; use HASH or PERCPU_HASH" <<C
$begin
#define BPF_MAP_TYPE_LRU_HASH 9
TABLE(LRU_HASH, node_bad, struct good_key, struct good, 8);
C
declared "a map that is no table" \
	"table node_bad: map type [0-9]+ cannot be a table; use HASH, PERCPU_HASH, ARRAY or PERCPU_ARRAY" <<C
$begin
#define BPF_MAP_TYPE_LPM_TRIE 11
TABLE(LPM_TRIE, node_bad, struct good_key, struct good, 8);
C
declared "a histogram of something else than a time" \
	"table node_bad: size: a histogram holds times in ns; its name must end in _ns" <<C
$begin
struct bad { HISTOGRAM(size, "Sizes."); };
TABLE(HASH, node_bad, struct good_key, struct bad, 8);
C
declared "a histogram of another version of the headers" \
	"table node_bad: wait_ns: a histogram of [0-9]+ bytes, expected [0-9]+: build it with this exporter's metrics.bpf.h" <<C
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
struct histogram { __u64 slot[3]; __u64 sum; };
struct bad { struct histogram wait_ns __attribute__((btf_decl_tag("Wait."))); };
struct bad_key { __u64 a; };
struct { __uint(type, BPF_MAP_TYPE_HASH); __type(key, struct bad_key); __type(value, struct bad);
	__uint(max_entries, 8); } node_bad SEC(".maps");
C
declared "a metric that no atomic add can reach" "table node_bad: runs: a metric must lie at a multiple of 8 bytes.*" <<C
$begin
struct bad { __u32 state; COUNTER(runs, "Runs."); } __attribute__((packed));
TABLE(HASH, node_bad, struct good_key, struct bad, 8);
C
declared "a value of odd size" "table node_bad: the value must measure a multiple of 8 bytes.*" <<C
$begin
struct bad { COUNTER(runs, "Runs."); __u32 state; } __attribute__((packed));
TABLE(HASH, node_bad, struct good_key, struct bad, 8);
C
declared "one metric in two tables" \
	"ebpf_node_bad_runs_total is a metric of collector bad already; rename the table or the member" <<C
$begin
TABLE(HASH, node_bad, struct good_key, struct good, 8);
TABLE(HASH, node_bad___again, struct good_key, struct good, 8);
C
compile_fails() {
	! printf '%s\n' "$begin" "$2" | sed '/ignored/d' | clang -target bpf -g -O2 -I"$cli_top/vmlinux" -I"$cli_top/bpf" \
		-c -x c - -o /dev/null 2>"$tap_tmp/clang.log" && grep -q "error: .*$1" "$tap_tmp/clang.log"
}
check "a hole in a key does not compile" compile_fails "padding struct 'struct bad_key'" \
	"struct bad_key { __u8 a; __u32 b; }; $runs"
check "a metric with an empty help does not compile" compile_fails "metric runs needs a help text" \
	'struct bad { COUNTER(runs, ""); };'
check "a map type that does not exist does not compile" compile_fails BPF_MAP_TYPE_PERCU_HASH \
	'TABLE(PERCU_HASH, node_bad, struct good_key, struct good, 8);'
finish
