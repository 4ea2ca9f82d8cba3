#!/usr/bin/env bash
# Catches: an exposition that Prometheus reads differently than meant: families torn apart, a series
# twice, broken escapes, histograms that do not add up, names that break the conventions.
. "$(dirname "$0")/lib.sh"
live_begin "$@"

cgroup_new "it's \"odd\" \\ ünï,code{}=$(printf '\377')"
odd="${cgroup_path#"/$live_cgroup/"}"
exporter_start
# each collector has something to tell, and names chosen by users are hostile
in_cgroup "$odd" python3 - <<'PY'
import os, signal, socket
with open("/proc/self/comm", "wb") as comm:
    comm.write(b'a"b\\c\n\xff{}')
for _ in range(3):
    s = socket.socket()
    try:
        s.connect(("127.0.0.1", 1))
    except OSError:
        pass
    if not os.fork():
        os.kill(os.getpid(), signal.SIGTERM)
        signal.pause()
    os.wait()
PY
dd if=/dev/zero of="$tap_tmp/file" bs=64k count=16 conv=fsync 2>/dev/null
scrape
scrape # the first one's durations are in this one
check "text format 0.0.4, read strictly" python3 "$live_top/tests/live/conformance.py" "$tap_tmp/scrape"
check "the hostile names are there" grep -q 'odd' "$tap_tmp/scrape"
if command -v promtool >/dev/null; then
	promtool check metrics <"$tap_tmp/scrape" >"$tap_tmp/promtool" 2>&1
	equal "promtool check metrics: exit status" $? 0
	equal "promtool says nothing" "$(wc -c <"$tap_tmp/promtool")" 0
	head -n 5 "$tap_tmp/promtool"
else
	skip "promtool check metrics" "promtool is not installed"
fi
# the judge must reject what is wrong
rejects() {
	if python3 "$live_top/tests/live/conformance.py" "$tap_tmp/bad" >"$tap_tmp/why" 2>&1; then
		not_ok "the judge sees $1" "it accepted it"
	else
		ok "the judge sees $1 ($(cat "$tap_tmp/why"))"
	fi
}

line=$(grep -m 1 '^ebpf_.*{' "$tap_tmp/scrape")
{ cat "$tap_tmp/scrape"; echo "$line"; } >"$tap_tmp/bad"
rejects "a family in two places"
{ echo "$line"; cat "$tap_tmp/scrape"; } >"$tap_tmp/bad"
rejects "a sample before its type"
awk '{ print } !seen && /^ebpf_.*{/ { print; seen = 1 }' "$tap_tmp/scrape" >"$tap_tmp/bad"
rejects "a series twice"
sed 's/le="+Inf"\(.*\) .*/le="+Inf"\1 1/' "$tap_tmp/scrape" >"$tap_tmp/bad"
rejects "a histogram that does not add up"
sed "0,/^ebpf_.*{.*=\"/s//&$(printf '\377')/" "$tap_tmp/scrape" >"$tap_tmp/bad"
rejects "what is not UTF-8"
sed '0,/^ebpf_.*{.*="/s//&\\x/' "$tap_tmp/scrape" >"$tap_tmp/bad"
rejects "a broken escape"
finish
