#!/usr/bin/env bash
# Every metric that a dashboard, a rule or the README names exists. What exists comes from the file
# $FAMILIES (a family a line, histograms by their base name), else from build/bpf_exporter --list. A
# name that ends in _ is a pattern (`ebpf_cgroup_*`): something must begin with it.
# shellcheck disable=SC2317 # functions are called by name
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/tap.sh

binary=${BPF_EXPORTER:-build/bpf_exporter}
tap_mktemp
known=$tap_tmp/families

# Metric names in the files given: FILE:LINE:NAME. The peer ebpf_exporter is no metric of ours, and of
# process_* only the names that client libraries share are metrics.
names() {
	local own='(ebpf|bpf_exporter)_[a-z][a-z0-9_]*' client='process_[a-z]+_[a-z_]*(seconds|bytes|fds|total)'
	grep -HnoP "(?<![:\\w])($own|$client)\\b" "$@" | grep -vE ':ebpf_exporter(_[a-z_]*)?$'
}

# Lines of --list are `kind name{labels}  help`, between headings.
families() {
	if [ -n "${FAMILIES-}" ]; then
		sed 's/#.*//; s/[[:space:]]//g; /^$/d' "$FAMILIES"
	else
		"$binary" --list 2>"$tap_tmp/stderr" |
			awk '$1 ~ /^(counter|gauge|histogram)$/ { sub(/[{].*/, "", $2); print $2 }'
	fi >"$known"
}

# exists NAME: a family, or a sample of a family that is a histogram.
exists() {
	case $1 in
	*_) grep -q "^$1" "$known" ;;
	*_bucket | *_sum | *_count) grep -qxF -e "$1" -e "${1%_*}" "$known" ;;
	*) grep -qxF -e "$1" "$known" ;;
	esac
}

# unknown FILE...: prints the names that do not exist; fails when there are any, or no name at all.
unknown() {
	local rc=0 n=0 at name
	while IFS= read -r at; do
		name=${at##*:}
		n=$((n + 1))
		exists "$name" || { echo "$at"; rc=1; }
	done < <(names "$@" | sort -u -t: -k1,1 -k3,3)
	[ "$n" -gt 0 ] || { echo "no metric is named in $*"; rc=1; }
	return "$rc"
}

if [ -z "${FAMILIES-}" ] && [ ! -x "$binary" ]; then
	skip "names of metrics" "FAMILIES is not set and $binary is not built"
	finish
fi
families
if [ ! -s "$known" ]; then
	not_ok "the list of what exists" "it is empty: $(tail -n 1 "$tap_tmp/stderr" 2>&1)"
	finish
fi

for f in dashboards/*.json dashboards/*.yml README*; do
	[ -e "$f" ] || continue
	check "$f names only what exists" unknown "$f"
done

# The check itself.
rejects() {
	printf '%s\n' "$2" >"$tap_tmp/sample"
	if unknown "$tap_tmp/sample" >/dev/null; then
		not_ok "rejected: $1" "it was accepted"
	else
		ok "rejected: $1"
	fi
}
some=$(grep -m1 '^ebpf_.*_total$' "$known")
printf '%s\n' "rate(${some}[5m]), the families ${some%_*}_*, the peer ebpf_exporter" >"$tap_tmp/sample"
check "accepted: a real name, a pattern, the name of a program" unknown "$tap_tmp/sample"
rejects "a made-up name" 'sum(rate(ebpf_cgroup_unicorns_total{pod="p"}[5m]))'
rejects "a made-up name beside a real one" "rate(${some}[5m]) / rate(ebpf_unicorns_total[5m])"
rejects "a real name with a letter less" "rate(${some%l}[5m])"
rejects "buckets of what is no histogram" "rate(${some}s_bucket[5m])"
rejects "a pattern that nothing matches" "the families ebpf_unicorn_*"
rejects "a text without a metric" "nothing"
rejects "a made-up metric of the exporter" 'bpf_exporter_unicorns_total'
finish
