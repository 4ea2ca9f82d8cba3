#!/usr/bin/env bash
# Catches: podman's containers without their names, as the exporter may no longer read what podman keeps for root
# alone; a container made anew that begins a new series, or whose counts are lost when it is removed.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/net.sh"
. "$(dirname "$0")/real.sh"
. "$(dirname "$0")/runtimes.sh"
live_begin "$@"
real_needs podman:podman runc:runc conmon:conmon catatonit:catatonit busybox-static:busybox
runtime_begin

runtime_podman cgroupfs 'runtime = "runc"' # crun wants v2 alone
cgroup_new podman
run() { # NAME FLAG...: sets $id
	in_room_must "${podman[@]}" run -d --name "$1" --cgroup-parent "$cgroup_path" --memory 30m \
		"${@:2}" localhost/work:1
	id=$(tail -n 1 "$tap_tmp/out")
}

tar -C "$runtime_image" -cf "$tap_tmp/image.tar" .
in_room_must "${podman[@]}" import --change 'CMD ["/bin/work"]' "$tap_tmp/image.tar" localhost/work:1
run early --network host # there when the exporter starts
runtime_include=("/$live_cgroup/*" "/libpod_parent/*")
runtime_exporter
equal "the exporter is nobody" "$(stat -c %U "/proc/$exporter_pid")" nobody
equal "and may read what podman keeps for root" \
	"$(value bpf_exporter_capability_kept 'capability="CAP_DAC_READ_SEARCH"')" 1
runtime_pid "$id"
runtime_works "a container that was there first" before 'container="early"'

run web1 --network host
runtime_pid "$id"
runtime_works "a container" net 'container="web1"'
runtime_works "a container, again" net 'container="web1"'
runtime_info "a container" 'container="web1"' "container_id=\"$id\"" 'runtime="podman"' "id=\"$runtime_path\""

in_room_must "${podman[@]}" rm -f -t 0 web1
run web1 --network none
runtime_pid "$id"
runtime_works "a container made anew" none 'container="web1"'
runtime_info "a container made anew" 'container="web1"' "container_id=\"$id\"" 'runtime="podman"'
in_room_must "${podman[@]}" restart -t 0 web1
runtime_pid "$id"
runtime_works "a container started again" none 'container="web1"'

runtime_play "kube play" play-1

remove_all() {
	in_room_must "${podman[@]}" pod rm -fa -t 0
	in_room_must "${podman[@]}" rm -fa -t 0
}
runtime_gone "containers removed" remove_all
finish
