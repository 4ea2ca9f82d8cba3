# tests/live/survive.sh: sourced by the tests that hurt the exporter while it runs; needs lib.sh.
# shellcheck shell=bash
#
#   watch_begin          starts watch.py on the exporter; it compares all scrapes until watch_end
#   phase NAME           names what goes on from here, and waits for two good scrapes of before
#   scrapes_more N       waits until N more scrapes were good
#   watch_end            ends it; says what fell or vanished
#   of_phase NAME EXPR   python: EXPR over `p`, what watch.py saw in that phase; prints it

watch_pid=''

watch_begin() {
	echo start >"$tap_tmp/phase"
	rm -f "$tap_tmp/scrapes"
	spawn python3 "${BASH_SOURCE[0]%/*}/watch.py" "$port" "$tap_tmp" "${live_roots[@]}" 2>"$tap_tmp/watch.log"
	watch_pid=$spawned
	wait_until 30 [ -e "$tap_tmp/scrapes" ]
}

scraped_past() {
	[ "$(cat "$tap_tmp/scrapes")" -gt "$1" ]
}

scrapes_more() {
	wait_until 60 scraped_past $(($(cat "$tap_tmp/scrapes") + $1))
}

# The scrape that runs at this moment belongs to the phase before.
phase() {
	echo "$1" >"$tap_tmp/phase"
}

watch_end() {
	kill -TERM "$watch_pid"
	wait "$watch_pid"
	if [ ! -s "$tap_tmp/watch.json" ]; then
		not_ok "the watcher" "$(tail -n 3 "$tap_tmp/watch.log")"
		return
	fi
	python3 - "$tap_tmp/watch.json" <<-'PY' >"$tap_tmp/watched"
		import json, sys
		w = json.load(open(sys.argv[1]))
		print(f"# {w['scrapes']} scrapes of {w['series']} counter series, longest time without {w['longest_gap']:.1f} s")
		for kind in "fell", "vanished":
		    for line in w[kind][:5]:
		        print(f"# {kind}: {line}")
		    print(f"{kind}={len(w[kind])}")
	PY
	grep '^#' "$tap_tmp/watched"
	equal "counters that went down between two scrapes" "$(sed -n 's/^fell=//p' "$tap_tmp/watched")" 0
	equal "counter series that vanished without retention" "$(sed -n 's/^vanished=//p' "$tap_tmp/watched")" 0
}

of_phase() {
	python3 - "$tap_tmp/watch.json" "$@" <<-'PY'
		import json, sys
		p = json.load(open(sys.argv[1]))["phases"].get(sys.argv[2], {"scrapes": 0, "failed": 0, "down": [], "reason": "", "stale": 0})
		print(eval(sys.argv[3]))
	PY
}

lives() {
	kill -0 "$exporter_pid" 2>/dev/null && ! grep -q '^State:.Z' "/proc/$exporter_pid/status"
}
