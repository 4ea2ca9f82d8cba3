#!/usr/bin/env bash
# Installs what the scripts in this folder need: Debian packages, and in build/validators two npm
# packages and the OpenAPI description of Kubernetes. Does nothing, and asks no network, when all of
# it is there. What cannot be had is a skip here, and again in the script that wants it.
# shellcheck disable=SC2317 # functions are called by name
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/tap.sh

tools=build/validators
npm_packages="ajv@8.20.0 js-yaml@5.5.0"
# Debian's package of the kubectl sources holds the API's whole schema; bookworm does not have it.
k8s_suite=trixie
k8s_package=golang-k8s-kubectl-dev
k8s_version=1.32.3+ds-2

debian_packages() {
	local missing=() want
	for want in promtool:prometheus systemd-analyze:systemd node:nodejs npm:npm; do
		command -v "${want%%:*}" >/dev/null || missing+=("${want##*:}")
	done
	[ ${#missing[@]} -eq 0 ] && return
	echo "installing ${missing[*]}"
	DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 \
		apt-get install -y --no-install-recommends "${missing[@]}"
}

npm_have() {
	local p
	for p in $npm_packages; do
		grep -qs "\"version\": *\"${p##*@}\"" "$tools/node_modules/${p%@*}/package.json" || return 1
	done
}

npm_install() {
	npm_have && return
	# shellcheck disable=SC2086 # a list
	timeout 120 npm install --prefix "$tools" --no-save --no-audit --no-fund --ignore-scripts \
		--fetch-retries=1 --fetch-timeout=30000 $npm_packages && npm_have
}

# A package of a newer suite: a private apt folder, with the sources and keys of the machine's own.
k8s_fetch() {
	local root=$PWD/$tools/apt stamp=$tools/kubernetes/$k8s_version origin
	[ -e "$stamp" ] && return
	# shellcheck disable=SC2016 # the fields are apt's
	origin=$(apt-get indextargets --format '$(ORIGIN) $(REPO_URI) $(RELEASE)' 'Identifier: Packages' |
		awk '$1 == "Debian" && $3 !~ /-/ { print $2; exit }')
	[ -n "$origin" ] || { echo "no source of Debian's own is configured"; return 1; }
	rm -rf "$root" "$tools/kubernetes"
	mkdir -p "$root"/{state/lists/partial,cache/archives/partial,etc} "$tools/kubernetes"
	cat >"$root/apt.conf" <<-CONF
		Dir::State "$root/state";
		Dir::State::status "/dev/null";
		Dir::Cache "$root/cache";
		Dir::Etc::sourcelist "$root/etc/sources.list";
		Dir::Etc::sourceparts "/dev/null";
		Acquire::Languages "none";
		Acquire::Retries "1";
		Acquire::http::Timeout "30";
	CONF
	local key=/usr/share/keyrings/debian-archive-keyring.gpg
	[ -e "$key" ] || { echo "no $key"; return 1; }
	echo "deb [signed-by=$key] $origin $k8s_suite main" >"$root/etc/sources.list"
	APT_CONFIG=$root/apt.conf timeout 120 apt-get -q update || return 1
	(cd "$root" && APT_CONFIG=$root/apt.conf timeout 120 \
		apt-get -q download "$k8s_package=$k8s_version") || return 1
	dpkg-deb --fsys-tarfile "$root/$k8s_package"_*.deb |
		tar -xO --wildcards '*/kubectl/testdata/openapi/swagger.json' \
			>"$tools/kubernetes/swagger.json" || return 1
	rm -rf "$root"
	touch "$stamp"
}

# want WHAT FUNCTION: a failure to fetch is a skip, with the first complaint.
want() {
	local out why
	if out=$("$2" 2>&1); then
		ok "$1"
	else
		why=$(grep -m1 -E '^(npm error code|[EW]:|no )' <<<"$out")
		skip "$1" "${why:-${out: -200}}"
	fi
}

mkdir -p "$tools"
want "promtool, systemd-analyze, node and npm" debian_packages
want "npm: $npm_packages" npm_install
want "Kubernetes' OpenAPI ($k8s_package $k8s_version)" k8s_fetch
finish
