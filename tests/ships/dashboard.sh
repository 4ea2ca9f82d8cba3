#!/usr/bin/env bash
# dashboards/*.json: our lint (dashboard.mjs), PromQL by promtool, structure by Grafana's JSON schemas
# where $SCHEMAS or ../shared/schemas has them. Each judge must also reject a broken copy. No Grafana
# runs here: that a board renders is not tested.
# shellcheck disable=SC2317 # functions are called by name
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/tap.sh

schemas=${SCHEMAS:-../shared/schemas}/grafana
modules=build/validators
lint=tests/ships/dashboard.mjs

if ! command -v node >/dev/null; then
	skip "dashboards" "no node (tests/ships/deps.sh)"
	finish
fi
tap_mktemp

promql() {
	node "$lint" rules "$1" >"$tap_tmp/rules.yml" && promtool check rules "$tap_tmp/rules.yml"
}

# rejects WHAT CMD...: CMD must fail.
rejects() {
	local what=$1
	shift
	if "$@" >/dev/null 2>&1; then
		not_ok "$what" "it was accepted"
	else
		ok "$what"
	fi
}

for f in dashboards/*.json; do
	check "$f: lint" node "$lint" lint "$f"
	check "$f: each lint rule rejects a copy that breaks it" node "$lint" mutants "$f"

	if command -v promtool >/dev/null; then
		check "$f: each query is PromQL" promql "$f"
		sed 's/\(sum by ([a-z, ]*)\) (/\1 ((/' "$f" >"$tap_tmp/broken.json"
		rejects "$f: a broken query is rejected" promql "$tap_tmp/broken.json"
	else
		skip "$f: each query is PromQL" "no promtool (tests/ships/deps.sh)"
	fi

	if [ ! -d "$schemas" ]; then
		skip "$f: Grafana's JSON schemas" "they are not in $schemas"
	elif [ ! -d $modules/node_modules/ajv ]; then
		skip "$f: Grafana's JSON schemas" "no ajv (tests/ships/deps.sh)"
	else
		check "$f: Grafana's JSON schemas" node "$lint" schema "$f" "$schemas" $modules
		for broken in 's/"gridPos"/"gridPoss"/' 's/"legendFormat"/"legend"/' 's/"drawStyle": "line"/"drawStyle": "lines"/' \
			's/"graphTooltip": 1/"graphTooltip": "shared"/' 's/"mode": "multi"/"mode": "all"/'; do
			sed "$broken" "$f" >"$tap_tmp/broken.json"
			rejects "$f: the schemas reject $broken" node "$lint" schema "$tap_tmp/broken.json" "$schemas" $modules
		done
	fi
done
finish
