#!/usr/bin/env bash
# Measures against the budgets of the design (its section 9) and prints one table; `make bench` builds
# what it needs first. Exit status 0 unless something could not be measured: a budget that is missed
# is a finding, not a failure. Takes three to four minutes; the machine should have nothing else to do.
#
#   tests/bench/run.sh [programs|syscalls|userspace|start|serve|load...]   only these parts
set -u
cd "$(dirname "$0")/../.." || exit 1
bench=build/bench
folder=$(mktemp -d)
disk=
failed=0

cleanup() {
	[ -z "$disk" ] || losetup -d "$disk"
	rm -rf "$folder"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

if [ "$(id -u)" != 0 ]; then
	echo "make bench needs root: it loads BPF programs" >&2
	exit 1
fi

# part NAME COMMAND...: its rows go into the table
part() {
	local name=$1
	shift
	echo "measuring: $name" >&2
	if ! "$@" >>"$folder/rows"; then
		printf '%s\t-\t-\tcould not be measured\n' "$name" >>"$folder/rows"
		failed=1
	fi
}

programs() {
	truncate -s 16M "$folder/disk"
	disk=$(losetup -f --show "$folder/disk" 2>/dev/null) || disk=
	"$bench/programs" "$bench/updates.bpf.o" "$disk"
}

syscalls() {
	"$bench/syscalls"
}

# Instruction counts first: "fold 1000 462000", a line for each part.
userspace() {
	if command -v valgrind >/dev/null; then
		valgrind --tool=callgrind --instr-atstart=no --callgrind-out-file="$folder/callgrind" \
			"$bench/userspace" instructions "$bench/table.bpf.o" >/dev/null 2>"$folder/valgrind" ||
			cat "$folder/valgrind" >&2
	fi
	cat /dev/null "$folder"/callgrind.* 2>/dev/null |
		sed -n 's/^desc: Trigger: Client Request: //p; s/^totals: //p' | paste -d ' ' - - >"$folder/instructions"
	"$bench/userspace" time "$folder/instructions" "$bench/table.bpf.o"
}

start() {
	"$bench/daemon" build/bpf_exporter start
}

serve() {
	"$bench/daemon" build/bpf_exporter serve "$bench"
}

load() {
	"$bench/load" build/bpf_exporter
}

size_row() {
	local bytes verdict=pass
	strip -o "$folder/stripped" build/bpf_exporter && bytes=$(stat -c %s "$folder/stripped") || return 1
	[ "$bytes" -le 2000000 ] || verdict=short
	printf 'stripped binary\t2 MB\t%s\t%s\n' "$verdict" "$(awk -v n="$bytes" 'BEGIN { printf "%.2f MB", n / 1e6 }')"
}

for name in "${@:-programs syscalls userspace start serve load}"; do
	for each in $name; do
		part "$each" "$each"
	done
done
part "binary size" size_row
{
	printf 'what\tbudget\tverdict\tmeasured\n'
	cat "$folder/rows"
} | awk -F '\t' '{ printf "%-56s %-12s %-8s %s\n", $1, $2, $3, $4 }'
printf '\n%s, %s CPUs, kernel %s, load %s\n' "$(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -n 1)" \
	"$(nproc)" "$(uname -r)" "$(cut -d ' ' -f 1-3 /proc/loadavg)"
exit $failed
