#!/usr/bin/env bash
# Fetches what the VMs boot: Debian's kernels and a root filesystem, by package name, with apt.
#
#   tests/vm/fetch.sh ARCH-SERIES...   such as amd64-6.1 amd64-newest arm64-6.12; prints what is new
#
# Everything lands in ${XDG_CACHE_HOME:-~/.cache}/bpf_exporter/vm, which may be removed at any time:
#   apt/ARCH/                  a private apt folder: the machine's own packages are not touched
#   kernel/ARCH-SERIES/        vmlinuz, config, modules/ (those that the tests use), version
#   root/ARCH/                 packages unpacked: what the guest runs, and the sysroot to cross-build
#   root/ARCH.img              the same as a disk, which runs never write to
# A kernel that is there stays until its folder is removed; the root until its package list changes.
set -eu

cache=${XDG_CACHE_HOME:-$HOME/.cache}/bpf_exporter/vm
key=/usr/share/keyrings/debian-archive-keyring.gpg

# The guest's suite is the machine's: the exporter is built here and needs its libraries there.
suite=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
case $suite in bookworm | trixie | forky) ;; *) suite=bookworm ;; esac

guest_packages="base-files bash dash coreutils findutils grep sed gawk util-linux mount procps iproute2 nftables curl
	python3 kmod e2fsprogs jq diffutils gzip tar hostname make busybox-static
	libc6-dev libbpf-dev libelf-dev zlib1g-dev libmicrohttpd-dev libseccomp-dev libjansson-dev libisal-dev"

die() {
	echo "fetch: $*" >&2
	exit 1
}

# Where the machine's own apt has Debian from: archive_of '' or '-security'.
archive_of() {
	# shellcheck disable=SC2016 # the fields are apt's
	apt-get indextargets --format '$(ORIGIN) $(REPO_URI) $(RELEASE)' 'Identifier: Packages' |
		awk -v security="$1" '$1 == "Debian" && ($3 ~ /-security$/) == (security != "") { print $2; exit }'
}

apt_in() {
	local arch=$1
	shift
	# the package cache on the command line: the machine's own parts are read after APT_CONFIG
	APT_CONFIG=$cache/apt/$arch/apt.conf "$@"
}

# A private apt folder with the suites that the kernels of the matrix are in.
apt_ready() {
	local arch=$1 root=$cache/apt/$1 main security s
	[ ! -e "$root/ready" ] || return 0
	[ -e $key ] || die "no $key (package debian-archive-keyring)"
	main=$(archive_of '')
	security=$(archive_of -security)
	[ -n "$main" ] || die "apt on this machine has no source of Debian's own"
	rm -rf "$root"
	mkdir -p "$root"/{state/lists/partial,cache/archives/partial,etc/preferences.d}
	cat >"$root/apt.conf" <<-CONF
		APT::Architecture "$arch";
		APT::Architectures { "$arch"; };
		Dir::State "$root/state";
		Dir::State::status "/dev/null";
		Dir::Cache "$root/cache";
		Dir::Etc::sourcelist "$root/etc/sources.list";
		Dir::Etc::sourceparts "/dev/null";
		Dir::Etc::preferencesparts "$root/etc/preferences.d";
		APT::Sandbox::User "";
		APT::Default-Release "$suite";
		Acquire::Languages "none";
		Acquire::Check-Valid-Until "false";
		Acquire::Retries "2";
		Acquire::http::Timeout "30";
	CONF
	for s in bullseye bookworm trixie trixie-backports; do
		echo "deb [signed-by=$key] $main $s main"
		case $s in *-backports) continue ;; esac
		[ -z "$security" ] || echo "deb [signed-by=$key] $security $s-security main"
	done >"$root/etc/sources.list"
	apt_in "$arch" apt-get -q update >"$root/log" 2>&1 || die "$(grep -m1 '^[EW]:' "$root/log")"
	touch "$root/ready"
}

download() {
	local arch=$1 into=$2
	shift 2
	mkdir -p "$into"
	(cd "$into" && apt_in "$arch" apt-get -q download "$@" >log 2>&1) ||
		die "$* for $arch: $(grep -m1 '^[EW]:' "$into/log")"
}

# ---- kernels ----

# The newest version of a series; the packages are named by it, so an update is a new name.
kernel_version() {
	local arch=$1 pattern
	case $2 in
	5.10) pattern='5\.10\.0-[0-9]+' ;;
	6.1) pattern='6\.1\.0-[0-9]+' ;;
	6.12) pattern='6\.12\.[0-9]+\+deb[0-9]+' ;;
	newest) pattern='[0-9.]+\+deb[0-9]+' ;;
	*) die "no such kernel: $2 (there are 5.10, 6.1, 6.12, newest)" ;;
	esac
	apt_in "$arch" apt-cache -o Dir::Cache::pkgcache=pkgcache.bin pkgnames linux- |
		sed -nE "s/^linux-(image|binary)-($pattern)-$arch\$/\\2/p" | sort -Vu | tail -n 1
}

# The modules that the tests use, with what those need.
wanted_modules() {
	cat <<-'LIST'
		*/kernel/drivers/net/veth.ko*
		*/kernel/drivers/net/dummy.ko*
		*/kernel/net/sched/sch_netem.ko*
		*/kernel/net/sched/sch_tbf.ko*
		*/kernel/net/netfilter/nf*
		*/kernel/net/netfilter/nft*
		*/kernel/net/netfilter/x_tables.ko*
		*/kernel/net/ipv4/netfilter/nf*
		*/kernel/net/ipv6/netfilter/nf*
		*/kernel/drivers/block/virtio_blk.ko*
		*/kernel/drivers/block/loop.ko*
		*/kernel/drivers/block/null_blk*
		*/kernel/drivers/virtio/virtio*
		*/mce/mce-inject.ko*
		*/kernel/fs/ext4/*
		*/kernel/fs/jbd2/*
		*/kernel/fs/mbcache.ko*
		*/kernel/fs/configfs/*
		*/kernel/lib/*crc*
		*/kernel/crypto/crc*
		*/kernel/arch/*/crypto/crc*
		*/modules.order
		*/modules.builtin*
	LIST
}

fetch_kernel() {
	local arch=${1%%-*} series=${1#*-} to=$cache/kernel/$1 new=$cache/kernel/.$1.new version name names
	[ ! -e "$to/version" ] || return 0
	apt_ready "$arch"
	version=$(kernel_version "$arch" "$series")
	[ -n "$version" ] || die "no kernel $series for $arch in the archive"
	rm -rf "$new"
	mkdir -p "$new/tree"
	# from 7.x linux-image-V is empty and these three hold what it held
	names=$(apt_in "$arch" apt-cache -o Dir::Cache::pkgcache=pkgcache.bin pkgnames linux- |
		grep -xE "linux-(binary|modules|base)-${version//+/\\+}-$arch" || echo "linux-image-$version-$arch")
	# shellcheck disable=SC2086 # a list
	download "$arch" "$new/debs" $names
	for name in "$new"/debs/*.deb; do
		dpkg-deb --fsys-tarfile "$name" | tar -xf - -C "$new/tree" --wildcards --no-anchored \
			-T <(wanted_modules; printf '%s\n' vmlinuz 'vmlinuz-*' config 'config-*') 2>/dev/null || :
	done
	find "$new/tree" \( -name vmlinuz -o -name 'vmlinuz-*' \) -exec mv {} "$new/vmlinuz" \;
	find "$new/tree" -type f \( -name config -o -name 'config-*' \) -exec mv {} "$new/config" \;
	[ -e "$new/vmlinuz" ] || die "no vmlinuz in $names"
	find "$new/tree" -name '*.ko.xz' -exec xz -d {} +
	mkdir "$new/root"
	[ ! -d "$new/tree/usr/lib/modules" ] || mv "$new/tree/usr/lib" "$new/tree/lib"
	mv "$new/tree/lib" "$new/root/lib"
	version=$(basename "$new"/root/lib/modules/*)
	/sbin/depmod -b "$new/root" "$version"
	rm -rf "$new/tree" "$new/debs"
	echo "$version" >"$new/version"
	rm -rf "$to"
	mv "$new" "$to"
	echo "fetch: kernel $version ($arch)"
}

# ---- the root filesystem ----

fetch_root() {
	local arch=$1 to=$cache/root/$1 new=$cache/root/.$1.new stamp gcc deb
	stamp="$suite $guest_packages"
	[ "$(cat "$to.stamp" 2>/dev/null)" != "$stamp" ] || return 0
	apt_ready "$arch"
	rm -rf "$new" "$new.img"
	mkdir -p "$new"
	gcc=$(apt_in "$arch" apt-cache -o Dir::Cache::pkgcache=pkgcache.bin madison libgcc-12-dev libgcc-14-dev |
		awk -v s="$suite/main" '$0 ~ s { print $1; exit }')
	# shellcheck disable=SC2086 # a list
	apt_in "$arch" apt-get -q -y -o Dir::Cache::pkgcache=pkgcache.bin --no-install-recommends \
		--download-only install $guest_packages ${gcc:-} >"$new.log" 2>&1 ||
		die "the guest's packages for $arch: $(grep -m1 '^[EW]:' "$new.log")"
	# unpacked only: no script of a package is run, so a foreign architecture is as easy
	for deb in "$cache/apt/$arch"/cache/archives/*.deb; do
		dpkg-deb --fsys-tarfile "$deb" | tar -xf - -C "$new" --keep-directory-symlink
	done
	rm -f "$new.log" "$cache/apt/$arch"/cache/archives/*.deb
	mkdir -p "$new"/{proc,sys,dev,run,tmp,root,tree,lib/modules}
	chmod 1777 "$new/tmp"
	ln -sf gawk "$new/usr/bin/awk"
	printf '%s\n' root:x:0:0:root:/root:/bin/bash nobody:x:65534:65534:nobody:/nonexistent:/bin/false \
		>"$new/etc/passwd"
	printf '%s\n' root:x:0: nogroup:x:65534: >"$new/etc/group"
	echo 127.0.0.1 localhost >"$new/etc/hosts"
	make_image "$new" "$new.img"
	rm -rf "$to"
	mv "$new" "$to"
	mv "$new.img" "$to.img"
	echo "$stamp" >"$to.stamp"
	echo "fetch: root filesystem ($arch, $suite, $(du -sm "$to.img" | cut -f 1) MB)"
}

# Without what only building needs. mke2fs -d reads a folder, so nothing is mounted.
make_image() {
	local lean=$1.lean
	rm -rf "$lean"
	cp -al "$1" "$lean"
	rm -rf "$lean"/usr/{include,share/{doc,man,locale,info,bash-completion,perl*,zoneinfo}} \
		"$lean"/usr/lib/{gcc,python3*/{test,idlelib,lib2to3,ensurepip}}
	find "$lean" \( -name '*.a' -o -name '*.o' -o -name '__pycache__' \) -prune -exec rm -rf {} +
	/sbin/mke2fs -q -t ext4 -O ^has_journal -E lazy_itable_init=1,root_owner=0:0 -m 0 \
		-d "$lean" "$2" $(($(du -sm "$lean" | cut -f 1) * 12 / 10 + 64))M
	rm -rf "$lean"
}

mkdir -p "$cache/kernel" "$cache/root"
exec 9>"$cache/lock"
flock 9
for cell in "$@"; do
	case $cell in amd64-* | arm64-*) ;; *) die "expected ARCH-SERIES such as amd64-6.1, got '$cell'" ;; esac
	fetch_kernel "$cell"
	fetch_root "${cell%%-*}"
done
