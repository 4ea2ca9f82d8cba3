#!/usr/bin/env bash
# Catches: a fault at run time that costs more than it must: a collector that the kernel refuses, or
# half of one, /proc or the cgroup tree away, bad requests, a full disk.
# shellcheck source=tests/live/lib.sh
. "$(dirname "$0")/../live/lib.sh"
# shellcheck source=tests/cli/common.bash
. "$(dirname "$0")/common.bash"
live_begin "$@"
chmod 755 "$tap_tmp"
url() { echo "http://127.0.0.1:$port$1"; }
log_has() { grep -qE "$1" "$tap_tmp/exporter.log" || { cat "$tap_tmp/exporter.log"; false; }; }
quiet() { ! grep -vE "level=info" "$tap_tmp/exporter.log"; }
warnings() { grep -c 'level=\(warn\|error\)' "$tap_tmp/exporter.log"; }
health() { curl -s --max-time 20 "$(url /health)" >"$tap_tmp/health" && jq -e "$1" "$tap_tmp/health"; }
families() { sed -n 's/^# TYPE \([^ ]*\) .*/\1/p' "$1" | sort; }

# execs GROUP N: starts N programs there, and one more: the shell that does
execs() {
	in_cgroup "$1" bash -c 'for ((i = 0; i < $0; i++)); do /bin/true; done' "$2"
}

# ---- collectors that do not run, or not whole ----

exporter_start
scrape "$tap_tmp/good"
families "$tap_tmp/good" >"$tap_tmp/families"
exporter_stop

user=$tap_tmp/user
mkdir "$user"
begin='#include "who.bpf.h"
struct key { __u32 a; };
struct value { COUNTER(runs, "Programs started."); };'
compile endless "$user" <<C
$begin
TABLE(HASH, node_endless, struct key, struct value, 8);
SEC("tp_btf/sched_process_exec")
int BPF_PROG(endless, struct task_struct *task)
{
	struct key key = {};
	struct value *row = ROW(node_endless, &key);
	if (row)
		while (1)
			ADD(row->runs, 1);
	return 0;
}
C
compile access "$user" <<C
$begin
TABLE(HASH, node_access, struct key, struct value, 8);
SEC("tp_btf/sched_process_exec")
int BPF_PROG(access, struct task_struct *task)
{
	struct key key = {};
	struct value *row = ROW(node_access, &key);
	row->runs++;
	return 0;
}
C
compile nohook "$user" <<C
$begin
TABLE(HASH, node_nohook, struct key, struct value, 8);
SEC("fentry/no_such_function")
int BPF_PROG(nohook, struct task_struct *task)
{
	struct key key = {};
	struct value *row = ROW(node_nohook, &key);
	if (row)
		ADD(row->runs, 1);
	return 0;
}
C
compile toolarge "$user" <<C
$begin
TABLE(HASH, node_toolarge, struct key, struct value, 0xffffffff);
SEC("tp_btf/sched_process_exec")
int BPF_PROG(toolarge, struct task_struct *task)
{
	struct key key = {};
	struct value *row = ROW(node_toolarge, &key);
	if (row)
		ADD(row->runs, 1);
	return 0;
}
C
compile gone "$user" <<C
$begin
TABLE(HASH, node_gone, struct key, struct value, 8);
SEC("tp_btf/no_such_tracepoint")
int BPF_PROG(gone, struct task_struct *task)
{
	struct key key = {};
	struct value *row = ROW(node_gone, &key);
	if (row)
		ADD(row->runs, 1);
	return 0;
}
C
compile half "$user" <<C
$begin
TABLE(HASH, node_half, cgroup_id_t, struct value, 64);
SEC("tp_btf/no_such_tracepoint")
int BPF_PROG(half_missing, struct task_struct *task)
{
	return 0;
}
SEC("tp_btf/sched_process_exec")
int BPF_PROG(half_present, struct task_struct *task)
{
	cgroup_id_t key = cgroup_of_task(task);
	struct value *row = ROW(node_half, &key);
	if (row)
		ADD(row->runs, 1);
	return 0;
}
C
compile twice "$user" <<C
$begin
struct twice { COUNTER(execs, "Programs started."); };
TABLE(HASH, cgroup, cgroup_id_t, struct twice, 64);
SEC("tp_btf/sched_process_exec")
int BPF_PROG(twice, struct task_struct *task)
{
	cgroup_id_t key = cgroup_of_task(task);
	struct twice *row = ROW(cgroup, &key);
	if (row)
		ADD(row->execs, 1);
	return 0;
}
C
cgroup_new runtime
# somebody lives there: no other run's sweep takes the cgroup for a forgotten one
in_cgroup runtime setpriv --pdeathsig KILL sleep 900 &
wait_until 10 grep -q . "${live_roots[0]}$cgroup_path/cgroup.procs"
wait_until 10 pgrep -P $$ -x sleep >/dev/null
exporter_start --collector.dir="$user"
scrape "$tap_tmp/before"

# off NAME REASON PATTERN: reported once, with the kernel's own words; in metrics and /health as well
off() {
	equal "$1: lines in the log" "$(grep -c "collector $1 " "$tap_tmp/exporter.log")" 1
	check "$1: the log says why" log_has "level=error msg=\"collector $1 is off: $3\"\$"
	equal "$1: bpf_exporter_collector_up" \
		"$(grep "^bpf_exporter_collector_up{collector=\"$1\"}" "$tap_tmp/before" | sed 's/.* //')" 0
	check "$1: bpf_exporter_collector_error has reason $2" \
		grep -qx "bpf_exporter_collector_error{collector=\"$1\",reason=\"$2\"} 1" "$tap_tmp/before"
	check "$1: /health names it" health ".status == \"degraded\" and .checks.$1.status == \"failing\" and
		(.checks.$1.reason | length > 10)"
	check "$1: no metric of its own" bash -c '! grep "^ebpf_node_$0_" "$1"' "$1" "$tap_tmp/before"
	check "$1: none of its programs is attached" bash -c \
		'! grep "^bpf_exporter_program_attached{collector=\"$0\",.* 1$" "$1"' "$1" "$tap_tmp/before"
}
off endless verifier "the kernel refuses it: Invalid argument: (infinite loop detected|back-edge) [^\"]*"
off access verifier "the kernel refuses it: Permission denied: R[0-9]+ invalid mem access '[a-z_]+'"
off nohook unsupported_kernel "this kernel has no no_such_function"
off toolarge unsupported_kernel "the kernel refuses it: Argument list too long: [^\"]*node_toolarge[^\"]*"
off gone unsupported_kernel "this kernel has no no_such_tracepoint"
off twice duplicate_family "ebpf_cgroup_execs_total is declared by another collector already; rename the table or the member"
check "half: the log says what is missing" \
	log_has 'level=warn msg="collector half: this kernel has no no_such_tracepoint; the rest of it runs"'
check "half: it is up, and has an error" bash -c 'grep -qx "bpf_exporter_collector_up{collector=\"half\"} 1" "$0" &&
	grep -qx "bpf_exporter_collector_error{collector=\"half\",reason=\"unsupported_kernel\"} 1" "$0"' "$tap_tmp/before"
check "half: /health says degraded" health '.checks.half.status == "degraded"'
equal "one line per fault" "$(warnings)" 7
execs runtime 40
scrape "$tap_tmp/after"
equal "the others count: programs started" "$(value_in "$tap_tmp/after" ebpf_cgroup_execs_total "cgroup=\"$cgroup_path\"")" 41
equal "half: what is there counts" "$(value_in "$tap_tmp/after" ebpf_node_half_runs_total "cgroup=\"$cgroup_path\"")" 41
families "$tap_tmp/after" >"$tap_tmp/families.user"
# those that every machine always has; the others come with their first event
always='execs|forks|exits|oom_kills|context_switches|runqueue|softirq|bpf_exporter_'
check "all families of the others are there" \
	bash -c 'missing=$(comm -23 "$0" "$1" | grep -E "$2"); echo "$missing"; [ -z "$missing" ]' \
	"$tap_tmp/families" "$tap_tmp/families.user" "$always"
check "promtool takes it" bash -c 'promtool check metrics <"$0"' "$tap_tmp/after"
equal "\"N collectors run\" counts what runs" \
	"$(sed -n 's/.*msg="\([0-9]*\) collectors run.*/\1/p' "$tap_tmp/exporter.log")" \
	"$(curl -s "$(url /health)" | jq '[.checks[] | select(.status == "ok" or .status == "degraded")] | length')"
curl -s "$(url /)" >"$tap_tmp/page"
check "the page for people names the refused one and why" grep -q '<td>endless</td><td>down</td><td>the kernel refuses it' "$tap_tmp/page"
exporter_stop

"$BPF_EXPORTER" --check --collector.dir="$user" >"$tap_tmp/out" 2>/dev/null
equal "--check with refused ones: status" $? 1
equal "--check: one line per collector" "$(wc -l <"$tap_tmp/out")" \
	$(($(ls "$live_top"/bpf/*.bpf.c "$user"/*.bpf.o | wc -l)))
check "--check names what is down" grep -q '^endless: down, 0 of 1 programs attached: the kernel refuses it: ' "$tap_tmp/out"
check "--check: nothing of the duplicate stays attached" grep -q '^twice: down, 0 of 1 programs attached: ' "$tap_tmp/out"
check "--check names what is partial" grep -q '^half: partial, 1 of 2 programs attached: ' "$tap_tmp/out"
mkdir "$tap_tmp/one"
cp "$user/endless.bpf.o" "$tap_tmp/one"
all_off=$("$BPF_EXPORTER" --list | sed -n 's/^# \([a-z]*\)$/--no-collector.\1/p')
# shellcheck disable=SC2086 # words
"$BPF_EXPORTER" --collector.dir="$tap_tmp/one" --web.listen-address=127.0.0.1:0 $all_off 2>"$tap_tmp/stderr"
equal "the kernel refuses the only one: status" $? 1
equal "... a line for it and one for the end" "$(sed 's/.*level=error msg="//; s/:.*//' "$tap_tmp/stderr" | xargs)" \
	"collector endless is off no collector runs"

# ---- collectors switched off ----

for action in --check --once --web.listen-address=127.0.0.1:0; do
	# shellcheck disable=SC2086 # words
	"$BPF_EXPORTER" $action $all_off >"$tap_tmp/out" 2>"$tap_tmp/stderr"
	equal "$action, everything off: status" $? 1
	equal "$action, everything off: one line" "$(sed 's/^time=[^ ]* //' "$tap_tmp/stderr")" \
		'level=error msg="every collector is switched off: nothing to count; leave out a --no-collector flag"'
done
exporter_start --no-collector.tcp
scrape "$tap_tmp/out"
check "--no-collector.tcp leaves its families out" bash -c '! grep -E "^[# A-Z]*ebpf_[a-z_]*tcp_(retransmits|resets|synack)" "$0"' "$tap_tmp/out"
equal "... and the others run" "$(sed -n 's/^bpf_exporter_collector_up{collector="\(.*\)"} 1/\1/p' "$tap_tmp/out" | xargs)" \
	"$(sed -n 's/^bpf_exporter_collector_up{collector="\(.*\)"} 1/\1/p' "$tap_tmp/good" | grep -vx tcp | xargs)"
check "... /health says off and is ok" health '.status == "ok" and .checks.tcp.status == "off"'
check "... and it has no bpf_exporter_collector_up" bash -c '! grep "collector_up.*tcp" "$0"' "$tap_tmp/out"
check "... without a complaint" quiet
exporter_stop

# ---- /proc or the cgroup tree away ----

mkdir "$tap_tmp/nothing"
exporter_start --path.cgroupfs="$tap_tmp/nothing"
scrape "$tap_tmp/before"
execs runtime 50
scrape "$tap_tmp/after"
check "no cgroup tree: counts go to (unknown)" \
	test "$(value_in "$tap_tmp/after" ebpf_cgroup_execs_total 'cgroup="(unknown)"')" -ge 51
equal "no cgroup tree: (unknown) is everything" "$(value_in "$tap_tmp/after" ebpf_cgroup_execs_total)" \
	"$(value_in "$tap_tmp/after" ebpf_cgroup_execs_total 'cgroup="(unknown)"')"
for _ in 1 2 3; do scrape; done
equal "no cgroup tree: one warning" "$(warnings)" 1
check "no cgroup tree: it says where it looked and what to do" \
	log_has "level=warn msg=\"no cgroup tree in $tap_tmp/nothing: counts go on, groups are called \(unknown\); .*--path.cgroupfs"
exporter_stop

# What the exporters must agree on: a second one that has its tree counts the same events.
exporter_start
reference=$exporter_pid reference_port=$port
exporter_start --path.cgroupfs="$tap_tmp/nothing" --path.procfs="$tap_tmp/nothing"
one() { value_in "$tap_tmp/$1" ebpf_cgroup_execs_total; }
reference() { curl -s "http://127.0.0.1:$reference_port/metrics" >"$tap_tmp/$1"; }
# what it counted lies between what the other one did, in a shorter and in a longer time
reference outer0
scrape "$tap_tmp/blind0"
reference inner0
execs runtime 60
reference inner1
scrape "$tap_tmp/blind1"
reference outer1
least=$(($(one inner1) - $(one inner0))) counted=$(($(one blind1) - $(one blind0)))
most=$(($(one outer1) - $(one outer0)))
check "no cgroup tree, no procfs: no event is lost ($least <= $counted <= $most)" \
	test "$least" -ge 61 -a "$least" -le "$counted" -a "$counted" -le "$most"
equal "with its tree it counts the group's exactly" \
	"$(value_in "$tap_tmp/inner1" ebpf_cgroup_execs_total "cgroup=\"$cgroup_path\"")" 61
exporter_stop
exporter_pid=$reference
exporter_stop

exporter_start --path.procfs="$tap_tmp/nothing"
execs runtime 30
scrape "$tap_tmp/after"
equal "no procfs: programs started, by their group" \
	"$(value_in "$tap_tmp/after" ebpf_cgroup_execs_total "cgroup=\"$cgroup_path\"")" 31
for _ in 1 2 3; do scrape; done
equal "no procfs: one warning" "$(warnings)" 1
check "no procfs: it names the folder" log_has "level=warn msg=\"cannot read ..$tap_tmp/nothing..: No such file or directory; "
check "no procfs: promtool takes it" bash -c 'promtool check metrics <"$0"' "$tap_tmp/after"
check "no procfs: nothing is said about memory that was not read" \
	bash -c '! grep -E "^(process_resident_memory_bytes|process_open_fds|bpf_exporter_map_memory_bytes.*) 0$" "$0"' "$tap_tmp/after"
exporter_stop

# ---- HTTP ----

# a poll at the start and none for an hour: whatever comes, the count stays 1
exporter_start --ebpf-probe-interval=1h
polls() { value bpf_exporter_poll_duration_seconds_count 'collector="process"'; }
equal "one poll at the start" "$(polls)" 1
# answers WANT WHAT CURL-ARGUMENT...
answers() {
	equal "$2: $1" "$(curl -so "$tap_tmp/body" -w '%{http_code}' --max-time 20 "${@:3}")" "$1"
}
answers 200 "GET /health" "$(url /health)"
answers 200 "GET /" "$(url /)"
answers 200 "GET /-/ready" "$(url /-/ready)"
answers 200 "GET /-/healthy" "$(url /-/healthy)"
for path in / /metrics /health /-/ready /-/healthy; do
	answers 200 "HEAD $path" -I "$(url $path)"
done
curl -s --max-time 20 -H 'Accept-Encoding: gzip' "$(url /metrics)" | gunzip >"$tap_tmp/unzipped"
check "gzip: the same families" test "$(families "$tap_tmp/unzipped" | md5sum)" = "$(scrape && families "$tap_tmp/scrape" | md5sum)"
answers 404 "an unknown path" "$(url /nosuch)"
answers 404 "a path with an escape" "$(url /metrics%00)"
answers 405 "POST" -X POST "$(url /metrics)"
answers 405 "DELETE" -X DELETE "$(url /)"
answers 413 "a request with a body" -X GET -d x "$(url /metrics)"
answers 414 "a path of 20 kB" "$(url "/$(printf '%020000d' 0)")"
answers 431 "a header of 20 kB" -H "X: $(printf '%020000d' 0)" "$(url /metrics)"
# raw WHAT TEXT: a request that is none gets 400, or the connection's end
raw() {
	local got
	got=$(printf "$2" | timeout 20 python3 -c 'import socket, sys
s = socket.create_connection(("127.0.0.1", int(sys.argv[1])), timeout=15)
s.sendall(sys.stdin.buffer.read())
s.shutdown(socket.SHUT_WR)
try:
    print(s.recv(64).split(b"\r\n")[0].decode("latin1"))
except ConnectionError:
    pass' "$port")
	check "$1: 4xx or the end (${got:-end})" grep -qE '^(HTTP/1.[01] 4..( .*)?)?$' <<<"$got"
}
raw "no HTTP" 'hello\r\n\r\n'
raw "a TLS hello" '\026\003\001\002\000\001\000\001\374\003\003'
raw "a header without a colon" 'GET /metrics HTTP/1.1\r\nHost: x\r\nnonsense\r\n\r\n'
raw "a header with a control byte" 'GET /metrics HTTP/1.1\r\nHost: x\r\nA: \001\r\n\r\n'
raw "two lengths" 'GET /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nContent-Length: 0\r\n\r\n'
raw "half a request" 'GET /metrics HT'
equal "bad and good requests cost no poll" "$(polls)" 1
check "bad requests are not logged" quiet
check "they are counted" test "$(value bpf_exporter_scrapes_total 'code="4xx"')" = 0 # as of the one poll
exporter_stop

# ---- a poll at each scrape ----

exporter_start --web.listen-address=127.0.0.1:0
second=$(ss -Hltnp | grep "pid=$exporter_pid," | sed -n 's/.*127.0.0.1:\([0-9]*\) .*/\1/p' | grep -vx "$port")
polls=$(polls)
equal "interval 0: a scrape is a poll" "$(polls)" $((polls + 1))
curl -s "$(url /health)" "$(url /)" "$(url /-/ready)" "$(url /nosuch)" >/dev/null
equal "interval 0: what is no scrape is no poll" "$(polls)" $((polls + 2))
scrapers=
for i in 1 2 3 4 5 6 7 8; do
	[ $((i % 2)) = 0 ] && to=$port || to=$second
	spawn bash -c 'while :; do curl -sf --max-time 20 "http://127.0.0.1:$0/metrics" | grep -q ^ebpf_ || exit 1; done' "$to"
	scrapers+=" $spawned"
done
# starts a program, asks at once on a connection that is open: no poll may be too old for that answer
cat >"$tap_tmp/exact.py" <<'PY'
import http.client, os, sys
port, group, name = int(sys.argv[1]), sys.argv[2], b"ebpf_cgroup_execs_total{"
c = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
def execs():
    c.request("GET", "/metrics")
    return sum(int(l.split()[-1]) for l in c.getresponse().read().splitlines()
               if l.startswith(name) and b'"%s"' % group.encode() in l)
first, wrong = execs(), []
for n in range(1, 301):
    os.waitpid(os.posix_spawn("/bin/true", ["true"], {}), 0)
    got = execs() - first
    if got != n:
        wrong.append(f"after {n} programs: {got}")
print(len(wrong), *wrong[:3], sep="; ")
PY
equal "interval 0: with 8 other scrapers on two addresses, 300 scrapes hold what was before each" \
	"$(in_cgroup runtime python3 "$tap_tmp/exact.py" "$port" "$cgroup_path")" 0
bad=
for pid in $scrapers; do
	[ -d "/proc/$pid" ] || bad+=" $pid"
	kill "$pid"
	wait "$pid" 2>/dev/null
done
check "interval 0: all 8 scrapers were answered each time" test -z "$bad"

# ---- signals ----

kill -HUP "$exporter_pid"
check "SIGHUP does not end it" scrape
# scrapes all the time; those that were accepted are answered whole, and the end takes no seconds
cat >"$tap_tmp/scraper.py" <<'PY'
import http.client, sys
cut = 0
while True:
    c = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]), timeout=30)
    try:
        c.request("GET", "/metrics")
        answer = c.getresponse()
    except (OSError, http.client.HTTPException):
        break  # no longer accepted
    try:
        body = answer.read()
        cut += not body.endswith(b"\n") or b"process_start_time_seconds" not in body
    except (OSError, http.client.HTTPException):
        cut += 1
sys.exit(cut)
PY
scrapers=
for to in "$port" "$port" "$second" "$second"; do
	spawn python3 "$tap_tmp/scraper.py" "$to"
	scrapers+=" $spawned"
done
polls=$(polls)
wait_until 10 bash -c '[ "$(curl -s "$0" | sed -n "s/^bpf_exporter_poll_duration_seconds_count{collector=\"process\"} //p")" -gt $1 ]' \
	"$(url /metrics)" $((polls + 20))
kill -TERM "$exporter_pid"
ended=$SECONDS
wait "$exporter_pid"
equal "SIGTERM amid scrapes: status" $? 0
check "SIGTERM amid scrapes: it ends at once" test $((SECONDS - ended)) -le 2
cut=0
for pid in $scrapers; do
	wait "$pid" || cut=$((cut + 1))
done
equal "SIGTERM amid scrapes: answers cut short" "$cut" 0
check "SIGTERM: the log says so, and no more" bash -c 'tail -n 1 "$0" | grep -q "ending on signal 15"' "$tap_tmp/exporter.log"
exporter_start
kill -INT "$exporter_pid"
wait "$exporter_pid"
equal "SIGINT: status" $? 0

# ---- actions and logs ----

"$BPF_EXPORTER" --once --ebpf-probe-interval=50ms >"$tap_tmp/once" 2>"$tap_tmp/stderr"
equal "--once: status" $? 0
check "--once: promtool takes it" bash -c 'promtool check metrics <"$0"' "$tap_tmp/once"
check "--once: nothing on stderr" test ! -s "$tap_tmp/stderr"
check "--once: all collectors" test "$(value_in "$tap_tmp/once" bpf_exporter_collector_up)" = "$(value_in "$tap_tmp/good" bpf_exporter_collector_up)"
"$BPF_EXPORTER" --check >"$tap_tmp/out" 2>"$tap_tmp/stderr"
equal "--check: status" $? 0
equal "--check: a line per collector, all up or off for its cost" \
	"$(sed -E 's/: (up, .*|off|off: programs cannot hang on functions .*)$//' "$tap_tmp/out" | xargs)" \
	"$(cd "$live_top/bpf" && ls -- *.bpf.c | sed 's/\..*//' | xargs)"
check "--check: nothing on stderr" test ! -s "$tap_tmp/stderr"
for action in --check --once; do
	"$BPF_EXPORTER" $action --ebpf-probe-interval=10ms >/dev/full 2>"$tap_tmp/stderr"
	equal "$action on a full disk: status" $? 1
	equal "$action on a full disk: one line" "$(sed 's/^time=[^ ]* //' "$tap_tmp/stderr")" \
		'level=error msg="cannot write to the standard output: No space left on device"'
done

spawn "$BPF_EXPORTER" --log.format=json --log.level=debug --collector.dir="$user" --web.listen-address=127.0.0.1:0 \
	2>"$tap_tmp/exporter.log"
exporter_pid=$spawned
wait_until 20 exporter_ready
exporter_stop
check "--log.format=json: every line is JSON" jq -es 'length > 5 and all(has("time") and has("level") and has("msg"))' "$tap_tmp/exporter.log"
spawn "$BPF_EXPORTER" --log.level=error --web.listen-address=127.0.0.1:0 2>"$tap_tmp/exporter.log"
exporter_pid=$spawned
wait_until 20 bash -c 'ss -Hltnp | grep -q "pid=$0,"' "$exporter_pid"
port=$(ss -Hltnp | grep "pid=$exporter_pid," | sed 's/.*127.0.0.1:\([0-9]*\) .*/\1/')
check "--log.level=error: it serves" scrape
exporter_stop
check "--log.level=error: no word on a good start and end" test ! -s "$tap_tmp/exporter.log"
finish
