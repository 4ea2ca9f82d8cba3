#!/usr/bin/env bash
# deploy/: the DaemonSet by Kubernetes' own description of its API and our checks (k8s-validate.mjs),
# the systemd unit by systemd-analyze. Each judge must also reject broken samples. No API server and
# no systemd run here: that the pod is admitted or the unit starts is not tested.
# shellcheck disable=SC2016,SC2317 # sed's $ is meant; functions are called by name
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/tap.sh

tools=build/validators
swagger=$tools/kubernetes/swagger.json
manifest=deploy/kubernetes/daemonset.yaml
unit=deploy/bpf_exporter.service
exposure=25 # of 100, in systemd-analyze's count

tap_mktemp

manifest_valid() {
	node tests/ships/k8s-validate.mjs "$swagger" "$tools" "$1"
}

# rejects JUDGE FILE WHAT SED EXPECTED: a copy of FILE changed by SED must be rejected, in these words.
rejects() {
	local judge=$1 file=$2 what=$3 out
	local copy=$tap_tmp/broken/${file##*/}
	mkdir -p "$tap_tmp/broken"
	sed "$4" "$file" >"$copy"
	if cmp -s "$file" "$copy"; then
		not_ok "rejected: $what" "the mutation changed nothing: $4"
	elif out=$("$judge" "$copy" 2>&1); then
		not_ok "rejected: $what" "it was accepted"
	elif ! grep -q "$5" <<<"$out"; then
		not_ok "rejected: $what" "for another reason than '$5': $out"
	else
		ok "rejected: $what"
	fi
}

manifests() {
	local why=
	command -v node >/dev/null || why="no node"
	[ -d $tools/node_modules/ajv ] && [ -d $tools/node_modules/js-yaml ] || why="no ajv or js-yaml"
	[ -s $swagger ] || why="no description of Kubernetes' API"
	if [ -n "$why" ]; then
		skip "$manifest" "$why (tests/ships/deps.sh)"
		return
	fi
	check "$manifest is what the API takes, and holds together" manifest_valid $manifest

	broken() { rejects manifest_valid $manifest "$@"; }
	broken "a field that does not exist" 's/securityContext:/securityContex:/' securityContex
	broken "a port number that is text" 's/containerPort: 9435/containerPort: metrics/' 'containerPort must be integer'
	broken "hostPID that is text" 's/hostPID: true/hostPID: "yes"/' 'hostPID must be boolean'
	broken "the network of the host" 's/^\( *\)enableServiceLinks: false/&\n\1hostNetwork: true/' 'namespace by hostNetwork'
	broken "capabilities that are no list" '/add:/{s/add:/add: BPF/;n;N;N;N;N;N;N;d}' 'add must be array'
	broken "no selector" '/^  selector:$/{N;N;/matchLabels/d}' "required property 'selector'"
	broken "a kind that does not exist" 's/kind: DaemonSet/kind: DeamonSet/' 'no schema'
	broken "an amount of memory with a wrong unit" 's/memory: 64Mi/memory: 64MB/' memory
	broken "YAML that is none" 's/^spec:/ spec:/' daemonset
	broken "a selector that misses the labels" '/matchLabels:/{n;s/bpf-exporter/exporter/}' 'does not match the labels'
	broken "a probe of a port that is not there" '/livenessProbe/,/port:/s/port: metrics/port: http/' 'livenessProbe asks for port http'
	broken "a mount without its volume" '/volumes:/,$s/name: sys/name: host-sys/' 'mount sys has no volume'
	broken "a Service that selects nothing" '/^  selector:$/{n;s/name: bpf-exporter/name: exporter/}' 'selects no pod'
	broken "a Service port that is not there" 's/targetPort: metrics/targetPort: http/' 'targets http'
	broken "an account that is not there" 's/serviceAccountName: bpf/serviceAccountName: e/' 'no ServiceAccount'
	broken "privileged" 's/privileged: false/privileged: true/' 'is privileged'
	broken "a host folder that can be written" 's/readOnly: true/readOnly: false/' 'can be written'
	broken "a capability too many" 's/- PERFMON/- SYS_ADMIN/' SYS_ADMIN
	broken "capabilities that are kept" 's/- ALL$/- NET_RAW/' 'keeps capabilities'
	broken "a root folder that can be written" 's/readOnlyRootFilesystem: true/readOnlyRootFilesystem: false/' 'root folder'
	broken "a service account's token" '/^ .*automountServiceAccountToken/d' token
}

# What the unit starts need not be installed here: a stand-in takes its place.
stand_in() {
	mkdir -p "$tap_tmp/unit"
	sed 's,^ExecStart=/usr/sbin/bpf_exporter,ExecStart=/bin/true,' "$1" >"$tap_tmp/unit/bpf_exporter.service"
}

# verify's exit status says little about keys it does not know: anything it prints is a failure.
unit_valid() {
	local out rc=0
	stand_in "$1"
	out=$(cd "$tap_tmp/unit" && systemd-analyze --man=no verify ./bpf_exporter.service 2>&1) || rc=$?
	[ "$rc" -eq 0 ] && [ -z "$out" ] && return
	echo "${out:-exit status $rc}"
	return 1
}

unit_hardened() {
	stand_in "$1"
	(cd "$tap_tmp/unit" && systemd-analyze --no-pager --offline=yes "--threshold=$exposure" security \
		./bpf_exporter.service 2>&1 | grep 'Overall exposure'; exit "${PIPESTATUS[0]}")
}

# What the exporter needs and a tightened unit would take away.
unit_works() {
	local need rc=0
	for need in '^ExecStart=/usr/sbin/bpf_exporter' '^AmbientCapabilities=CAP_BPF CAP_PERFMON$' \
		'^SystemCallFilter=bpf perf_event_open capset seccomp' '^SystemCallFilter=landlock_create_ruleset ' '^LimitMEMLOCK=infinity' '^Restart=on-failure' '^DynamicUser=yes'; do
		grep -q "$need" "$1" || { echo "nothing matches $need"; rc=1; }
	done
	for need in ProtectProc= ProcSubset= PrivateUsers= PrivateNetwork= 'InaccessiblePaths=.*/sys'; do
		! grep -q "^$need" "$1" || { echo "$need would break the exporter"; rc=1; }
	done
	[ "$(sed -n 's/^AmbientCapabilities=//p' "$1")" = "$(sed -n 's/^CapabilityBoundingSet=//p' "$1")" ] ||
		{ echo "ambient capabilities and the bounding set differ"; rc=1; }
	return "$rc"
}

units() {
	check "$unit leaves the exporter what it needs" unit_works $unit
	rejects unit_works $unit "a unit that hides the processes" 's/^ProtectSystem=.*/&\nProtectProc=invisible/' ProtectProc
	rejects unit_works $unit "a unit that may not call bpf()" '/^SystemCallFilter=bpf/d' SystemCallFilter

	if ! command -v systemd-analyze >/dev/null; then
		skip "$unit" "no systemd-analyze (tests/ships/deps.sh)"
		return
	fi
	check "$unit passes systemd-analyze verify" unit_valid $unit
	check "$unit has an exposure of at most $exposure of 100" unit_hardened $unit
	rejects unit_valid $unit "a key that does not exist" 's/^ProtectHome=/ProtectHomes=/' ProtectHomes
	rejects unit_valid $unit "a system call that does not exist" 's/^SystemCallFilter=bpf/SystemCallFilter=bpff/' bpff
	rejects unit_valid $unit "a binary that does not exist" 's,^ExecStart=.*,ExecStart=/nonexistent/bpf_exporter,' nonexistent
	rejects unit_hardened $unit "a unit that is root with all capabilities" '/^DynamicUser\|^CapabilityBoundingSet\|^AmbientCap/d' Overall
	rejects unit_hardened $unit "a unit without a system call filter" '/^SystemCallFilter/d' Overall
}

manifests
units
finish
