#!/usr/bin/env bash
# dashboards/*.yml: promtool accepts the rules, their unit tests pass, and the unit tests notice when a
# rule is changed for the worse.
# shellcheck disable=SC2317 # functions are called by name
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/tap.sh

if ! command -v promtool >/dev/null; then
	skip "alert rules" "no promtool (tests/ships/deps.sh)"
	finish
fi
tap_mktemp

# mutant WHAT SED: a copy of the alerts changed by SED is still valid and fails the tests.
mutant() {
	sed "$2" dashboards/alerts.yml >"$tap_tmp/alerts.yml"
	cp dashboards/alerts_test.yml "$tap_tmp"
	if cmp -s dashboards/alerts.yml "$tap_tmp/alerts.yml"; then
		not_ok "$1" "the mutation changed nothing: $2"
	elif ! promtool check rules "$tap_tmp/alerts.yml" >/dev/null 2>&1; then
		not_ok "$1" "the mutation is not a valid rule: $2"
	elif promtool test rules "$tap_tmp/alerts_test.yml" >/dev/null 2>&1; then
		not_ok "$1" "the unit tests pass with it"
	else
		ok "$1"
	fi
}

# Each alert has what a user of alerts expects: the fields, and a test that fires and one that does not.
complete() {
	awk '
	/^ *- alert:/ { name = $3; n++; if (name !~ /^Ebpf[A-Z][A-Za-z]+$/) bad(name ": not CamelCase with Ebpf") }
	/^ *(expr|for|severity|summary|description):/ { sub(":", "", $1); seen[name, $1] = 1; names[name] }
	/^ *summary:.*\{\{/ { bad(name ": a value in the summary") }
	function bad(s) { print s; rc = 1 }
	END {
		for (a in names) {
			split("expr for severity summary description", want, " ")
			for (i in want) if (!((a, want[i]) in seen)) bad(a ": no " want[i])
		}
		if (!n) bad("no alerts at all")
		exit rc
	}' "$1"
}

tested() {
	local name fires quiet rc=0
	# shellcheck disable=SC2013 # names are words
	for name in $(sed -n 's/^ *- alert: *//p' dashboards/alerts.yml); do
		fires=$(grep -A1 "alertname: $name\$" dashboards/alerts_test.yml | grep -c 'exp_alerts: *$')
		quiet=$(grep -A1 "alertname: $name\$" dashboards/alerts_test.yml | grep -c 'exp_alerts: *\[\]')
		[ "$fires" -gt 0 ] && [ "$quiet" -gt 0 ] && continue
		echo "$name: $fires tests where it fires, $quiet where it does not"
		rc=1
	done
	return "$rc"
}

for f in dashboards/*.yml; do
	case $f in
	*_test.yml) check "$f passes promtool test rules" promtool test rules "$f" ;;
	*)
		check "$f passes promtool check rules" promtool check rules --lint=all --lint-fatal "$f"
		grep -q 'alert:' "$f" || continue # recording rules
		check "$f: each alert has for, severity, summary, description" complete "$f"
		;;
	esac
done
check "each alert has a test that fires and one that does not" tested

sed 's/increase(/increase((/' dashboards/alerts.yml >"$tap_tmp/broken.yml"
if promtool check rules "$tap_tmp/broken.yml" >/dev/null 2>&1; then
	not_ok "promtool rejects a broken rule" "it was accepted"
else
	ok "promtool rejects a broken rule"
fi
sed '/for: 15m/d' dashboards/alerts.yml >"$tap_tmp/broken.yml"
if complete "$tap_tmp/broken.yml" >/dev/null; then
	not_ok "an alert without a for is rejected" "it was accepted"
else
	ok "an alert without a for is rejected"
fi

# Each recorded join is asked for by a test that wants rows of it.
recorded() {
	local name rc=0
	# shellcheck disable=SC2013 # names are words
	for name in $(sed -n 's/^ *- record: *//p' dashboards/joins.yml); do
		grep -q "labels: '$name{" dashboards/joins_test.yml && continue
		echo "$name: no test wants rows of it"
		rc=1
	done
	return "$rc"
}
check "each join has a test that wants rows of it" recorded

mutant "tests notice: any job's target counts as the exporter" 's/up{job=~"[^"]*"}/up/'
mutant "tests notice: no patience with a missed scrape" 's/for: 5m/for: 0m/'
mutant "tests notice: a collector that is up alerts" 's/collector_up == 0/collector_up == 1/'
mutant "tests notice: an overflow is never forgotten" 's/increase(\(bpf_exporter_table_overflow_total\)\[10m\])/max_over_time(\1[10m])/'
mutant "tests notice: a few missed events alert" 's/> 10$/> 0/'
mutant "tests notice: the first OOM kill is missed" 's/ebpf_cgroup_oom_kills_total offset 10m/ebpf_cgroup_oom_kills_total/'
mutant "tests notice: a removed group's old OOM kills alert" 's/{cgroup!="(removed)"}//'
mutant "tests notice: the first I/O error is missed" 's/ebpf_device_block_errors_total offset 15m/ebpf_device_block_errors_total/'
mutant "tests notice: later I/O errors are missed" 's/increase(\(ebpf_device_block_errors_total\)\[15m\])/0 * \1/'
mutant "tests notice: I/O errors from before Prometheus started alert" 's/process_start_time_seconds offset 15m)/process_start_time_seconds)/'
mutant "tests notice: I/O errors in an exporter's first scrape alert" 's/^\( *\)(process_start_time_seconds == process_start_time_seconds offset 15m)/\1(process_start_time_seconds offset 15m)/'
mutant "tests notice: OOM kills in an exporter's first scrape alert" 's/^\( *\)(process_start_time_seconds == process_start_time_seconds offset 10m)/\1(process_start_time_seconds offset 10m)/'
mutant "tests notice: the run-queue threshold is off by one bucket" 's/> 0.0625/> 0.25/'
mutant "tests notice: the run-queue threshold is too low" 's/> 0.0625/> 0.0156/'
mutant "tests notice: few waits are enough" 's/) > 1$/) > 0/'
mutant "tests notice: the kernel's own waits alert" 's/{cgroup=""}//'
finish
