#!/usr/bin/env bash
# Builds Debian 12's kubelet (there is no package of it) into ${XDG_CACHE_HOME:-~/.cache}/bpf_exporter/kubelet,
# unless it is there: 34 MB of sources, 8 minutes of a core. tests/live/kubelet_test.sh runs it.
set -u
cd "$(dirname "$0")/.." || exit 1
# shellcheck source=tests/tap.sh
. tests/tap.sh
# shellcheck source=tests/debian.sh
. tests/debian.sh
tap_finished=1 # it is no test
suite=bookworm # later ones have sources of kubectl alone

no() {
	echo "kubelet: $*" >&2
	exit 1
}

debian_cache || no "cannot write $cache"
[ ! -x "$cache/kubelet" ] || exit 0
sh deploy/deps.sh need golang-go >/dev/null || no "golang-go cannot be installed"
tap_mktemp
here=$PWD work=$(TMPDIR=/var/tmp mktemp -d)
tap_cleanup() {
	rm -rf "$work"
}
mkdir -p "$work"/{lists/partial,go/src/k8s.io/kubernetes}
debian_sources | while read -r uri release; do
	echo "deb-src [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $uri $release main"
done >"$work/sources.list"
apt=(apt-get -q -o "Dir::Etc::SourceList=$work/sources.list" -o Dir::Etc::SourceParts=/dev/null
	-o "Dir::State::Lists=$work/lists")
"${apt[@]}" update >"$work/log" 2>&1 || no "its sources' list: $(grep -m 1 '^[EW]:' "$work/log")"
(cd "$work" && "${apt[@]}" source --download-only kubernetes) >"$work/log" 2>&1 ||
	no "its sources: $(grep -m 1 '^[EW]:' "$work/log")"
tar -C "$work/go/src/k8s.io/kubernetes" --strip-components=1 -xf "$work"/kubernetes_*.orig.tar.* ||
	no "its sources cannot be unpacked"
version=$(basename "$work"/kubernetes_*.orig.tar.*)
version=${version#kubernetes_}
version=${version%%[+-]*}
version=${version%.orig.tar.*}
of=k8s.io/component-base/version
cd "$work/go/src/k8s.io/kubernetes" || exit 1
GO111MODULE=off CGO_ENABLED=0 GOPATH=$work/go GOCACHE=$work/cache nice go build -trimpath -o "$cache/kubelet.$$" -ldflags \
	"-s -w -X $of.gitVersion=v$version -X $of.gitMajor=${version%%.*} -X $of.gitMinor=$(cut -d . -f 2 <<<"$version")" \
	./cmd/kubelet >"$work/log" 2>&1 || no "it does not build: $(tail -n 2 "$work/log")"
cd "$here" || exit 1
mv "$cache/kubelet.$$" "$cache/kubelet"
echo "kubelet: $version"
