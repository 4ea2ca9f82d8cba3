#!/usr/bin/env bash
# Catches: a capability that is missing and not named, one that is kept though nothing needs it (in
# any thread), a kernel without BTF that gets two lines or a riddle.
# shellcheck source=tests/live/lib.sh
. "$(dirname "$0")/../live/lib.sh"
# shellcheck source=tests/cli/common.bash
. "$(dirname "$0")/common.bash"
live_begin "$@"
cp "$BPF_EXPORTER" "$tap_tmp/bpf_exporter" # where nobody can reach it
chmod 755 "$tap_tmp" "$tap_tmp/bpf_exporter"
BPF_EXPORTER=$tap_tmp/bpf_exporter

# as_nobody CAPS: setpriv and its flags for the user nobody with these capabilities, as words
as_nobody() {
	echo setpriv --reuid=65534 --regid=65534 --clear-groups ${1:+--inh-caps="$1" --ambient-caps="$1"}
}

need="loading BPF programs needs CAP_BPF and CAP_PERFMON; run as root, or grant both"
for action in --check --once --web.listen-address=127.0.0.1:0; do
	# shellcheck disable=SC2046 # words
	one_line "without capabilities, $action" 1 "msg=\"missing CAP_BPF and CAP_PERFMON: $need" \
		$(as_nobody "") "$BPF_EXPORTER" "$action"
done
# shellcheck disable=SC2046 # words
one_line "with CAP_BPF alone" 1 "msg=\"missing CAP_PERFMON: $need" $(as_nobody +bpf) "$BPF_EXPORTER" --check
# shellcheck disable=SC2046 # words
one_line "with CAP_PERFMON alone" 1 "msg=\"missing CAP_BPF: $need" $(as_nobody +perfmon) "$BPF_EXPORTER" --check
check "--list needs none" bash -c '"$@" | grep -q ^counter' - setpriv --reuid=65534 --regid=65534 --clear-groups \
	"$BPF_EXPORTER" --list

# kept WHAT CAPS: the capabilities and no_new_privs of every thread of the exporter
kept() {
	local field want
	while read -r field want; do
		equal "$1: $field of every thread" \
			"$(awk -v f="$field:" '$1 == f { print $2 }' /proc/"$exporter_pid"/task/*/status | sort -u | xargs)" \
			"$want"
	done <<<"$2"
	check "$1: it has more than one thread" test "$(ls /proc/"$exporter_pid"/task | wc -l)" -gt 1
}

# 39 CAP_BPF, 38 CAP_PERFMON, 2 CAP_DAC_READ_SEARCH
three=000000c000000004
exporter_start
kept "as root" "CapInh 0000000000000000
CapPrm $three
CapEff $three
CapBnd $three
CapAmb 0000000000000000
NoNewPrivs 1"
check "as root: it still counts after that" \
	bash -c '[ "$(curl -s "$0" | grep -c "^bpf_exporter_collector_up.* 1$")" -gt 4 ]' "http://127.0.0.1:$port/metrics"
exporter_stop

caps=+bpf,+perfmon,+dac_read_search
# shellcheck disable=SC2046 # words
spawn $(as_nobody $caps) --pdeathsig KILL "$BPF_EXPORTER" --web.listen-address=127.0.0.1:0 \
	--ebpf-probe-interval=0 2>"$tap_tmp/exporter.log"
exporter_pid=$spawned
wait_until 20 exporter_ready
port=$(sed -n 's/.*metrics on http:[^:]*:\([0-9]*\).*/\1/p' "$tap_tmp/exporter.log" | head -n 1)
check "as nobody with three capabilities: no complaint" bash -c '! grep -v level=info "$0"' "$tap_tmp/exporter.log"
kept "as nobody" "CapInh 0000000000000000
CapPrm $three
CapEff $three
CapAmb 0000000000000000
NoNewPrivs 1"
equal "as nobody: collectors that are up" "$(value bpf_exporter_collector_up)" \
	"$("$BPF_EXPORTER" --check 2>&1 | grep -c ': up')"
execs=$(value ebpf_cgroup_execs_total)
for _ in 1 2 3 4 5; do /bin/true; done
check "as nobody: it counts" test "$(value ebpf_cgroup_execs_total)" -ge $((execs + 5))
exporter_stop

# shellcheck disable=SC2046 # words
$(as_nobody +bpf,+perfmon) "$BPF_EXPORTER" --check >"$tap_tmp/out" 2>"$tap_tmp/stderr"
equal "as nobody without CAP_DAC_READ_SEARCH: all is up" \
	"$(grep -c ': up' "$tap_tmp/out") $(grep -vc ': up' "$tap_tmp/out") $(wc -l <"$tap_tmp/stderr")" \
	"$(ls "$live_top"/bpf/*.bpf.c | wc -l) 0 0"

exporter_start
ids=$(cat /proc/"$exporter_pid"/fdinfo/* | awk '$1 == "prog_id:" { print $2 }' | sort -u)
exporter_stop
left=
for id in $ids; do
	wait_until 5 bash -c '! bpftool prog show id "$0" >/dev/null 2>&1' "$id" || left+=" $id"
done
check "of its $(wc -w <<<"$ids") programs none stays in the kernel" test -n "$ids" -a -z "$left"

mount -t tmpfs none /sys/kernel/btf
for action in --check --once --web.listen-address=127.0.0.1:0; do
	one_line "no BTF, $action" 1 "msg=\"no BTF of the running kernel \(/sys/kernel/btf/vmlinux\): .*; use a kernel built with CONFIG_DEBUG_INFO_BTF=y, or mount sysfs\"" \
		"$BPF_EXPORTER" "$action"
done
check "no BTF: --list needs none" bash -c '[ -z "$("$0" --list 2>&1 >/dev/null)" ]' "$BPF_EXPORTER"
umount /sys/kernel/btf
finish
