#!/usr/bin/env bash
# Catches: a collector that this kernel does not take, or takes only from the all-powerful root.
# shellcheck source=tests/tap.sh
. "$(dirname "$0")/../tap.sh"
tap_mktemp

opt_in=(--collector.accept --collector.migrate --collector.syscall) # off unless asked for
# tests/vm/table.py judges these lines
"$BPF_EXPORTER" --check "${opt_in[@]}" >"$tap_tmp/check" 2>"$tap_tmp/said"
sed 's/^/check: /' "$tap_tmp/check"
sed 's/^/# /' "$tap_tmp/said"

# perf_event_paranoid is 3 here, unprivileged_bpf_disabled 2
least() {
	setpriv --bounding-set=-all,+bpf,+perfmon --inh-caps=-all "$BPF_EXPORTER" --check "${opt_in[@]}" \
		>"$tap_tmp/least" 2>"$tap_tmp/said"
}
(ulimit -l 8192 && least)
if diff "$tap_tmp/check" "$tap_tmp/least" >/dev/null; then
	ok "a limit of locked memory is no matter"
else
	check "a limit of locked memory: it says what to do" grep -q "ulimit -l" "$tap_tmp/said"
fi
ulimit -l unlimited
least
check "CAP_BPF and CAP_PERFMON are enough" diff "$tap_tmp/check" "$tap_tmp/least"
sed 's/^/# /' "$tap_tmp/said"
finish
