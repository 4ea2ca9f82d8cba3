#!/usr/bin/env bash
# Boots one kernel under QEMU (no KVM needed) and runs the tests in it.
#
#   tests/vm/boot.sh CELL FOLDER TREE [NAME=VALUE | TEST]...
#
# CELL is ARCH-SERIES[-lockdown][-v1][-cpus256][-systemd] (tests/vm/fetch.sh has the series), TREE a disk made by
# tests/vm/run.sh with this tree in it. FOLDER gets console.log (the kernel's) and output.log (the
# tests'). The status is the tests'; 125 when the kernel panicked, 124 when it took too long.
set -eu

cell=$1 out=$2 tree=$3
shift 3
cache=${XDG_CACHE_HOME:-$HOME/.cache}/bpf_exporter/vm
options=${cell#*-*-}
[ "$options" != "$cell" ] || options=
base=${cell%"${options:+-$options}"}
arch=${base%%-*}
kernel=$cache/kernel/$base
initramfs=$kernel/initramfs.$(cksum <"$0" | cut -d ' ' -f 1) # the cache is everybody's, this script is not
mkdir -p "$out"

cat_kernel_arguments() {
	# panic=-1 with -no-reboot: a panic ends QEMU. devkmsg: all lines that the guest writes there come.
	printf '%s' "console=$1 panic=-1 printk.devkmsg=on loglevel=7"
	[ "$arch" != amd64 ] || printf ' no_timer_check tsc=reliable' # else words for init
	case -$options- in *-lockdown-*) printf ' lockdown=confidentiality' ;; esac
	case -$options- in *-systemd-*) printf ' systemd.show_status=0' ;; esac
	# before 6.9; since then the argument only takes from the firmware's list
	case -$options- in *-cpus256-*) printf ' possible_cpus=256' ;; esac
}

# A kernel's initramfs: busybox, its modules, and the few lines that go over to the real root.
make_initramfs() {
	[ ! -e "$initramfs" ] || return 0
	new=$(mktemp -d)
	mkdir -p "$new"/{bin,proc,dev,mnt,lib}
	trap 'rm -rf "$new"' EXIT
	cp "$(find "$cache/root/$arch" -path '*/bin/busybox' | head -n 1)" "$new/bin/busybox"
	ln -s busybox "$new/bin/modprobe" # for what the kernel itself asks for, such as crc32c
	ln -s bin "$new/sbin"
	cp -r "$kernel/root/lib/modules" "$new/lib/"
	cat >"$new/init" <<-'INIT'
		#!/bin/busybox sh
		b=/bin/busybox
		$b mount -t proc none /proc
		$b mount -t devtmpfs none /dev
		for m in virtio_pci virtio_blk ext4; do $b modprobe $m 2>/dev/null; done
		tries=0
		until $b mount -t ext4 -o noatime /dev/vda /mnt; do
			[ $((tries += 1)) -lt 100 ] || $b poweroff -f
			$b sleep 0.1
		done
		$b mount -t ext4 -o noatime /dev/vdb /mnt/tree
		$b mount -t tmpfs none /mnt/lib/modules
		$b cp -r /lib/modules/* /mnt/lib/modules/
		$b mount --move /proc /mnt/proc
		$b mount --move /dev /mnt/dev
		case $2 in *systemd*) exec $b switch_root /mnt /lib/systemd/systemd ;; esac
		exec $b switch_root /mnt /bin/bash /tree/tests/vm/guest.sh "$@"
	INIT
	chmod 755 "$new/init"
	(cd "$new" && find . | cpio -o -H newc --quiet) >"$kernel/.initramfs.$$"
	mv "$kernel/.initramfs.$$" "$initramfs"
	find "$kernel" -maxdepth 1 -name 'initramfs*' -mtime +1 -delete
}

drive() {
	printf -- '-drive file=%s,if=none,id=%s,format=raw,snapshot=on,cache=unsafe -device virtio-blk-pci,drive=%s ' \
		"$1" "$2" "$2"
}

make_initramfs
case $arch in
amd64)
	machine=(qemu-system-x86_64 -M pc -cpu max)
	console=ttyS0
	ports=(-serial "file:$out/console.log" -serial "file:$out/output.log")
	guest_port=ttyS1
	;;
arm64)
	machine=(qemu-system-aarch64 -M virt -cpu cortex-a72)
	console=ttyAMA0
	ports=(-serial "file:$out/console.log" -chardev "file,id=out,path=$out/output.log"
		-device "pci-serial,chardev=out")
	guest_port=ttyS0
	;;
esac
root=$cache/root/$arch.img
case -$options- in *-systemd-*) root=$cache/root/systemd.img ;; esac
rm -f "$out/console.log" "$out/output.log"
status=0
# shellcheck disable=SC2046 # drive gives words
setpriv --pdeathsig TERM timeout --kill-after=5 "${VM_TIMEOUT:-450}" \
	"${machine[@]}" -accel tcg,thread=single -m "${VM_MEMORY:-640}" -smp "${VM_CPUS:-2}" \
	-nodefaults -display none -no-reboot "${ports[@]}" $(drive "$root" root) \
	$(drive "$tree" tree) -kernel "$kernel/vmlinuz" -initrd "$initramfs" \
	-append "$(cat_kernel_arguments $console) -- $guest_port ${options:-open} $*" \
	>"$out/qemu.log" 2>&1 </dev/null || status=$?
[ "$status" != 124 ] && [ "$status" != 137 ] || exit 124
said=$(tr -d '\r' <"$out/console.log" | sed -n 's/.*vm-status: \([0-9]*\).*/\1/p' | tail -n 1)
[ -n "$said" ] || exit 125
exit "$said"
