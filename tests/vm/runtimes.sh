#!/usr/bin/env bash
# Catches: containers, pods and units that go by another name, or by none, where systemd is process 1, cgroups
# are v2 alone, and runtimes have systemd make them; with runtimes that make their cgroups themselves, too.
# In a VM of its own: cell ...-systemd of tests/vm/run.sh.
here=$(cd "$(dirname "$0")/../live" && pwd)
# shellcheck source=tests/live/lib.sh
. "$here/lib.sh"
# shellcheck source=tests/live/net.sh
. "$here/net.sh"
# shellcheck source=tests/live/runtimes.sh
. "$here/runtimes.sh"
live_begin "$@"
export TMPDIR=/var/tmp # podman and containerd want room
equal "process 1" "$(cat /proc/1/comm)" systemd
equal "cgroups" "$(stat -f -c %T /sys/fs/cgroup)" cgroup2fs
rm -rf /var/lib/containers /run/libpod # podman's units were there at boot
runtime_machine=1
runtime_begin

# ---- images ----
runtime_podman cgroupfs
runtime_containerd true
runtime_images k8s.io

runtime_include=("/shop*/*" "/kubepods*" "/machine.slice/*" "shop*.service" "shop*.scope")
runtime_exporter

# ---- what both drivers get ----
podman_run() { # NAME PARENT
	in_room_must "${podman[@]}" run -d --name "$1" --cgroup-parent "$2" --memory 30m --network host localhost/work:1
	runtime_pid "$(tail -n 1 "$tap_tmp/out")"
	runtime_works "podman, $driver: a container" net "container=\"$1\""
	runtime_info "podman, $driver: a container" "container=\"$1\"" 'runtime="podman"'
}
cri_pod() { # POD UID PARENT
	local id of=('namespace="shop"' "pod=\"$1\"" 'container="cart"')
	sandbox=$(runtime_cri sandbox shop "$1" "$2" "$3") || finish
	id=$(runtime_cri container "$sandbox" shop "$1" "$2" "$3" cart localhost/work:1 31457280 0 cart/0.log) || finish
	ln -s "/var/log/pods/shop_$1_$2/cart/0.log" "/var/log/containers/$1_shop_cart-$id.log"
	runtime_pid "$id"
	runtime_works "containerd, $driver: a pod's container" net "${of[@]}"
	runtime_info "containerd, $driver: a pod's container" "${of[@]}" "container_id=\"$id\"" "uid=\"$2\"" \
		'qos="besteffort"' "id=\"$runtime_path\"" 'runtime="containerd"'
	runtime_had_execs "namespace=\"shop\",pod=\"$1\"" # what the sandbox had is the pod's own
}
pods_removed() {
	in_room_must "${podman[@]}" pod rm -fa -t 0
	in_room_must "${podman[@]}" rm -fa -t 0
	runtime_cri remove_sandbox "$sandbox"
	for folder in /sys/fs/cgroup/kubepods*; do
		cgroup_remove "$folder" # a kubelet removes the pods' own
	done
}

# ---- systemd makes the cgroups ----
driver=systemd
runtime_podman systemd
podman_run web-1 shop.slice
runtime_play "podman, systemd: kube play" play-1
cri_pod db-1 6dd3a3e0-2f4b-4f0e-9b6a-0c3f5a1e7d42 kubepods-besteffort-pod6dd3a3e0_2f4b_4f0e_9b6a_0c3f5a1e7d42.slice
equal "containerd, systemd: its cgroup is a scope" "${runtime_path##*.}" scope
runtime_gone "systemd: all removed" pods_removed

# ---- units ----
runtime_had=()
mkdir "$runtime_image/dev"
mknod -m 666 "$runtime_image/dev/null" c 1 3 # for the shell's background jobs
mknod -m 666 "$runtime_image/dev/zero" c 1 5
in_room_must systemd-run --unit=shop-web -p MemoryMax=30M \
	nsenter "--net=/proc/$$/root/run/netns/a" chroot "$runtime_image" /bin/work
runtime_pid shop-web.service
runtime_works "a service" before 'unit="shop-web.service"'
runtime_info "a service" 'unit="shop-web.service"' "id=\"$runtime_path\""
room_spawn systemd-run --scope --unit=shop-tool -p MemoryMax=30M chroot "$runtime_image" /bin/work
runtime_pid shop-tool.scope
runtime_works "a scope" before 'unit="shop-tool.scope"'
units_removed() {
	in_room_must systemctl kill -s KILL shop-tool.scope
	in_room_must systemctl stop shop-web.service
}
for unit in web.service tool.scope; do # from its start, too
	execs="execs unit=\"shop-$unit\""
	runtime_had[$execs]=$(value_in "$tap_tmp/scrape" ebpf_cgroup_execs_total "unit=\"shop-$unit\"")
done
runtime_gone "units: all removed" units_removed

# ---- runtimes make them ----
driver=cgroupfs runtime_had=()
kill "$containerd"
wait "$containerd"
runtime_podman cgroupfs
runtime_containerd false
podman_run web-2 /shop # no pod: podman 4.3 gives those that it makes on cgroup v2 itself no device at all
cri_pod db-2 ffffffff-1111-4222-8333-444444444444 /kubepods/besteffort/podffffffff-1111-4222-8333-444444444444
runtime_gone "cgroupfs: all removed" pods_removed
complaints=$(grep -E 'level=(warn|error)' "$tap_tmp/exporter.log" | grep -v 'this kernel has no' | head -n 3)
equal "the exporter has nothing to complain of" "$complaints" ""
finish
