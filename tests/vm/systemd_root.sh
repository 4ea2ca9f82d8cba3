#!/usr/bin/env bash
# Makes the disk of the cell amd64-...-systemd: a Debian machine with systemd as process 1 and container
# runtimes, in ${XDG_CACHE_HOME:-~/.cache}/bpf_exporter/vm/root/systemd.img, unless it is there.
#
# Its suite is this machine's, whose libraries the exporter is built with. Packages' scripts run in it, so
# unlike tests/vm/fetch.sh's it is of this machine's architecture alone.
set -u
cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=tests/tap.sh
. tests/tap.sh
# shellcheck source=tests/debian.sh
. tests/debian.sh
tap_finished=1 # it is no test
suite=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
case $suite in bookworm | trixie | forky) ;; *) suite=bookworm ;; esac
wanted="systemd-sysv dbus kmod iproute2 nftables curl python3 procps busybox-static
	podman crun conmon catatonit containerd runc containernetworking-plugins
	libbpf1 libelf1 libmicrohttpd12 libseccomp2 libjansson4 libisal2 zlib1g"
[ "$suite" = bookworm ] || wanted=${wanted//libelf1 libmicrohttpd12/libelf1t64 libmicrohttpd12t64}

no() {
	echo "systemd_root: $*" >&2
	exit 1
}

if [ -z "${SYSTEMD_ROOT_SANDBOX-}" ]; then
	SYSTEMD_ROOT_SANDBOX=1 exec unshare --mount --propagation private bash "$0" "$@"
fi
debian_cache || no "cannot write $cache"
image=$cache/vm/root/systemd.img
stamp="$suite $(cksum <"tests/vm/${0##*/}")"
[ "$(cat "$image.stamp" 2>/dev/null)" != "$stamp" ] || exit 0
tap_mktemp
tap_cleanup() {
	umount -l "$tap_tmp/root/proc" 2>/dev/null
}
mkdir -p "$cache/vm/root"
debian_tarball
root=$tap_tmp/root
mkdir -p "$root"
tar -C "$root" --numeric-owner -xzf "$tarball" || no "cannot unpack $tarball"
cp /etc/resolv.conf "$root/etc/resolv.conf"
[ -z "${NODE_EXTRA_CA_CERTS-}" ] || cp "$NODE_EXTRA_CA_CERTS" "$root/etc/ca.pem"
printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
chmod 755 "$root/usr/sbin/policy-rc.d"
mount -t proc none "$root/proc" || no "cannot mount its /proc"
# shellcheck disable=SC2086 # a list
DEBIAN_FRONTEND=noninteractive chroot "$root" apt-get install -y -q --no-install-recommends $wanted >"$tap_tmp/log" 2>&1 ||
	no "its packages: $(grep -m 1 '^[EW]:' "$tap_tmp/log")"
umount "$root/proc"

rm -rf "$root"/var/cache/apt/archives/*.deb "$root"/var/lib/apt/lists/* "$root"/usr/share/{doc,man,locale,info}
rm "$root/usr/sbin/policy-rc.d"
: >"$root/etc/fstab" # without udev, a device unit is waited for
for unit in serial-getty@.service getty@.service systemd-networkd-wait-online.service containerd.service \
	podman.service podman.socket podman-auto-update.timer podman-restart.service apt-daily.timer apt-daily-upgrade.timer; do
	ln -sf /dev/null "$root/etc/systemd/system/$unit"
done
mkdir -p "$root/tree" "$root/lib/modules" "$root/etc/systemd/system.conf.d" "$root/etc/systemd/system/multi-user.target.wants"
printf '[Manager]\nDefaultOOMPolicy=continue\n' >"$root/etc/systemd/system.conf.d/oom.conf" # the tests' units go on
# what stands behind `--` on the kernel's command line is what tests/vm/guest.sh gets
cat >"$root/etc/systemd/system/guest.service" <<'UNIT'
[Unit]
After=multi-user.target

[Service]
Type=oneshot
TimeoutStartSec=infinity
ExecStart=/bin/bash -c 'set -- $$(sed "s/.* -- //" /proc/cmdline); exec bash /tree/tests/vm/guest.sh "$$@"'
UNIT
ln -s ../guest.service "$root/etc/systemd/system/multi-user.target.wants/guest.service"
/sbin/mke2fs -q -t ext4 -O ^has_journal -E lazy_itable_init=1,root_owner=0:0 -m 0 -d "$root" "$image.new" \
	$(($(du -sm "$root" | cut -f 1) * 12 / 10 + 400))M || no "cannot make its disk"
mv "$image.new" "$image"
echo "$stamp" >"$image.stamp"
echo "systemd_root: $suite, $(du -sm "$image" | cut -f 1) MB"
