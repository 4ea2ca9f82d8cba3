#!/bin/sh
# Installs with apt what is missing to build (deps.sh build), to test (deps.sh check), or of the packages
# that are named (deps.sh need PACKAGE...); `deps.sh build list`, or check, only says what that is.
# Asks dpkg first: a machine that has everything is not touched and needs no network.
set -eu
# curl is for the line that `make run` prints
build="make clang llvm libc6-dev libbpf-dev libelf-dev zlib1g-dev libmicrohttpd-dev libseccomp-dev libjansson-dev libisal-dev curl"
check="$build gcc libcmocka-dev git jq procps python3 iproute2 nftables bpftool e2fsprogs mount
	util-linux strace valgrind prometheus man-db debootstrap
	qemu-system-x86 qemu-system-arm kmod cpio xz-utils zstd lld libclang-rt-dev"
# promtool is part of prometheus in bookworm, a package of its own from trixie on
case "$(. /etc/os-release 2>/dev/null && echo "${VERSION_CODENAME:-}")" in
bookworm | bullseye) ;;
*) check="$check promtool" ;;
esac
case "${1:-}" in
build) wanted=$build ;;
check) wanted=$check ;;
need)
	shift
	wanted=$*
	set -- need
	;;
*)
	echo "usage: deps.sh build|check [list] | need PACKAGE..." >&2
	exit 2
	;;
esac
if ! command -v dpkg-query >/dev/null; then
	echo "deps: this is no Debian or Ubuntu; install what matches: $wanted" >&2
	exit 1
fi
missing=
for package in $wanted; do
	dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q '^install ok installed' ||
		missing="$missing $package"
done
if [ "${2:-}" = list ]; then
	echo "$missing"
	exit 0
fi
[ -n "$missing" ] || exit 0
echo "deps: installing$missing"
if [ "$(id -u)" != 0 ]; then
	echo "deps: apt needs root: sudo make ${1:-deps} (or install them yourself)" >&2
	exit 1
fi
# A policy of its own: no package is to start a service because it is installed for a test.
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
	trap 'rm -f $policy' EXIT
	trap 'exit 1' HUP INT TERM
	printf '#!/bin/sh\nexit 101\n' >$policy
	chmod 755 $policy
fi
export DEBIAN_FRONTEND=noninteractive
# shellcheck disable=SC2086 # a list of words
apt-get install -y --no-install-recommends $missing >/dev/null 2>&1 || {
	apt-get update -q
	apt-get install -y --no-install-recommends $missing
}
# nor at the next boot
case "$missing " in
*" prometheus "*) systemctl disable -q prometheus.service 2>/dev/null || : ;;
esac
