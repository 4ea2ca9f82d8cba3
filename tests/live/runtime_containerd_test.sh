#!/usr/bin/env bash
# Catches: a pod's containers without their pod's names, a sandbox that is taken for a container, ctr's
# containers called by a path; names that only work while root may read everything; a container made anew
# that begins a new series, or whose counts are lost when its pod is removed.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/net.sh"
. "$(dirname "$0")/real.sh"
. "$(dirname "$0")/runtimes.sh"
live_begin "$@"
real_needs containerd:containerd containerd:ctr runc:runc podman:podman busybox-static:busybox
runtime_begin

runtime_containerd false "restrict_oom_score_adj = true" # root may lack CAP_SYS_RESOURCE
runtime_images k8s.io "$live_cgroup" # a namespace of ctr's is the folder its cgroups are in
rm -rf /run/containers /run/libpod /var/lib/containers # podman has made the images, and its part is over

# There is no container yet from whose files it could be told what will be closed.
runtime_exporter
equal "the exporter is nobody" "$(stat -c %U "/proc/$exporter_pid")" nobody
equal "and may read what containerd keeps for root" \
	"$(value bpf_exporter_capability_kept 'capability="CAP_DAC_READ_SEARCH"')" 1

# ---- ctr ----
ctr_run() { # NAME FLAG...
	in_room_must ctr -n "$live_cgroup" run -d --snapshotter native --memory-limit 31457280 "${@:2}" localhost/work:1 "$1"
}
ctr_remove() {
	in_room_must ctr -n "$live_cgroup" task rm -f "$1"
	in_room_must ctr -n "$live_cgroup" container rm "$1"
}
ctr_run some-name --net-host
runtime_pid some-name
runtime_works "ctr's container" net 'container="some-name"'
runtime_info "ctr's container" 'container="some-name"' 'runtime="containerd"' "id=\"/$live_cgroup/some-name\""
ctr_remove some-name
ctr_run some-name
runtime_pid some-name
runtime_works "ctr's container made anew" none 'container="some-name"'

# ---- pods ----
pod() { # NAME UID: sets $pod, $uid, $parent, $sandbox
	pod=$1 uid=$2 parent=/$live_cgroup/kubepods/besteffort/pod$2
	sandbox=$(runtime_cri sandbox shop "$pod" "$uid" "$parent") || finish
}
container() { # NAME ATTEMPT: sets $id
	id=$(runtime_cri container "$sandbox" shop "$pod" "$uid" "$parent" "$1" localhost/work:1 31457280 "$2" "$1/$2.log") || finish
}
link() { # NAME ATTEMPT: as a kubelet does
	ln -s "/var/log/pods/shop_${pod}_$uid/$1/$2.log" "/var/log/containers/${pod}_shop_$1-$id.log"
}
of_container() { # NAME
	of=('namespace="shop"' "pod=\"$pod\"" "container=\"$1\"")
}

pod web-0 6dd3a3e0-2f4b-4f0e-9b6a-0c3f5a1e7d42
first_sandbox=$sandbox
scrape
equal "a sandbox is its pod's, and no container" \
	"$(grep -c '^ebpf_cgroup_execs_total{namespace="shop",pod="web-0"} [1-9]' "$tap_tmp/scrape")" 1
runtime_info "a sandbox" 'namespace="shop"' 'pod="web-0"' "container_id=\"$sandbox\"" "uid=\"$uid\"" 'qos="besteffort"'
for name in cart basket; do
	container $name 0
	link $name 0
	of_container $name
	runtime_pid "$id"
	runtime_works "$name of a kubelet's pod" net "${of[@]}"
	runtime_info "$name of a kubelet's pod" "${of[@]}" "container_id=\"$id\"" "uid=\"$uid\"" "id=\"$runtime_path\"" \
		'runtime="containerd"'
done
runtime_cri remove "$id"
rm /var/log/containers/*basket*
container basket 1
link basket 1
runtime_pid "$id"
runtime_works "basket made anew" net "${of[@]}"

# A bare client of CRI: no links, containerd's annotations alone
pod db-0 ffffffff-1111-4222-8333-444444444444
rm -r /var/log/pods/shop_db-0_*
container postgres 0
rm -r /var/log/pods/shop_db-0_*
of_container postgres
runtime_pid "$id"
runtime_works "of a pod without links" net "${of[@]}"
runtime_info "of a pod without links" "${of[@]}" "container_id=\"$id\"" "uid=\"$uid\""

remove_all() {
	ctr_remove some-name
	runtime_cri remove_sandbox "$first_sandbox"
	runtime_cri remove_sandbox "$sandbox"
	for folder in /sys/fs/cgroup/*/"$live_cgroup/kubepods" "/sys/fs/cgroup/$live_cgroup/kubepods"; do
		cgroup_remove "$folder" # a kubelet removes the pods' own
	done
}
for pod in web-0 db-0; do # what the sandboxes had is the pod's own
	runtime_had["execs namespace=\"shop\" pod=\"$pod\""]=$(
		sed -n "s/^ebpf_cgroup_execs_total{namespace=\"shop\",pod=\"$pod\"} //p" "$tap_tmp/scrape")
done
runtime_gone "containers removed" remove_all
finish
