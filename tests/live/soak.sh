# tests/live/soak.sh: sourced after lib.sh by the soaks.
# shellcheck shell=bash disable=SC2154 # $port, ...: lib.sh
#
#   soak_watch PID SECONDS RETENTION   watches the exporter until the churn PID ends, which prints to
#                                      $tap_tmp/churn.log what went wrong: what must be flat is (soak.py)

soak_watch() {
	python3 "${BASH_SOURCE[0]%/*}/soak.py" "$port" "$exporter_pid" "$@" \
		"$live_cgroup" "${live_roots[@]}" >"$tap_tmp/results" 2>"$tap_tmp/errors"
	tap_results "$tap_tmp/results"
	[ ! -s "$tap_tmp/errors" ] || not_ok "the sampler itself" "$(tail -n 3 "$tap_tmp/errors")"
	wait "$1"
	equal "the churn ended well$(head -n 1 "$tap_tmp/churn.log")" $? 0
}
