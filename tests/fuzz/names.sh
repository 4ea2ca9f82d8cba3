#!/usr/bin/env bash
# Catches: paths of cgroups and state files of runtimes, which others write, that break the exporter or
# become labels which are none. FUZZ_SECONDS (20) of libFuzzer, from seeds as runtimes make them.
# shellcheck source=tests/tap.sh
. "$(dirname "$0")/../tap.sh"
cd "$(dirname "$0")/../.." || exit 1
CLANG=${CLANG:-clang}
tap_mktemp

fuzzer=$tap_tmp/names_fuzz
sources=()
for name in cgroup_path container_names container_names_state group_name label log render render_text; do
	sources+=("exporter/$name.c")
done
echo 'int LLVMFuzzerTestOneInput(const char *d, unsigned long n) { (void)d; return !n; }' >"$tap_tmp/try.c"
if ! "$CLANG" -fsanitize=fuzzer,address "$tap_tmp/try.c" -o "$tap_tmp/try" 2>/dev/null; then
	skip "names_fuzz" "$CLANG has no libFuzzer here (libclang-rt-14-dev)"
	finish
fi
if ! "$CLANG" -std=gnu11 -O1 -g -D_GNU_SOURCE -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all \
	-iquote exporter -iquote bpf -iquote build tests/fuzz/names_fuzz.c "${sources[@]}" -ljansson -o "$fuzzer" >"$tap_tmp/cc.log" 2>&1; then
	not_ok "names_fuzz compiles" "$(head -n 3 "$tap_tmp/cc.log")"
	finish
fi

# seed NUMBER TEXT: states[NUMBER] of names_fuzz.c; 6: a path
seed() {
	seeds=$((seeds + 1))
	printf '%b%s' "\\x0$1" "$2" >"$tap_tmp/seeds/$seeds"
}
mkdir -p "$tap_tmp/seeds" "$tap_tmp/root"
seeds=0
uid=6dd3a3e0-2f4b-4f0e-9b6a-0c3f5a1e7d42
seed 0 "{\"annotations\":{\"io.kubernetes.cri.container-type\":\"container\",\"io.kubernetes.cri.container-name\":\"cart\",\"io.kubernetes.cri.sandbox-name\":\"web-0\",\"io.kubernetes.cri.sandbox-namespace\":\"shop\",\"io.kubernetes.cri.sandbox-uid\":\"$uid\"}}"
seed 0 '{"annotations":{"nerdctl/name":"web"}}'
seed 1 '{"linux":{"cgroupsPath":"/default/c1"}}'
seed 2 "{\"annotations\":{\"io.container.manager\":\"cri-o\",\"io.kubernetes.pod.name\":\"db-1\",\"io.kubernetes.pod.uid\":\"$uid\",\"io.kubernetes.pod.namespace\":\"shop\",\"io.kubernetes.container.name\":\"POD\"}}"
seed 3 '[{"id":"4e9f1c5b7a3d2e8f4e9f1c5b7a3d2e8f4e9f1c5b7a3d2e8f4e9f1c5b7a3d2e8f","names":["web1"]}]'
seed 4 '{"Name":"/web\u0022\n","Config":{}}'
seed 5 "{\"Name\":\"/x\",\"Config\":{\"Labels\":{\"io.kubernetes.pod.uid\":\"$uid\",\"io.kubernetes.pod.name\":\"web-0\",\"io.kubernetes.pod.namespace\":\"shop\",\"io.kubernetes.container.name\":\"c\"}}}"
while read -r path; do
	seed 6 "${path#/}"
done < <(sed -n 's/^\t{ "\(\/[^"]*\)".*/\1/p' tests/unit/cgroup_path_test.c) # parts of paths at least
for path in "kubepods/burstable/pod$uid" "kubepods.slice/kubepods-pod${uid//-/_}.slice/cri-containerd-" machine.slice/machine-a\\x2db.scope; do
	seed 6 "$path"
done

FUZZ_ROOT=$tap_tmp/root "$fuzzer" -max_total_time="${FUZZ_SECONDS:-20}" -timeout=5 -rss_limit_mb=512 -max_len=1024 \
	-artifact_prefix="$tap_tmp/" -print_final_stats=1 "$tap_tmp/seeds" >"$tap_tmp/fuzz.log" 2>&1
rc=$?
runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$tap_tmp/fuzz.log")
if [ $rc -eq 0 ]; then
	ok "nothing breaks in ${runs:-0} inputs"
	check "and these are many" [ "${runs:-0}" -ge 1000 ]
else
	crash=$(find "$tap_tmp" -maxdepth 1 -name 'crash-*' -o -maxdepth 1 -name 'timeout-*' | head -n 1)
	not_ok "nothing breaks" "$(grep -m 3 -E 'not so|ERROR|runtime error' "$tap_tmp/fuzz.log"); input: $(base64 -w 0 "${crash:-/dev/null}")"
fi
finish
