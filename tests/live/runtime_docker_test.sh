#!/usr/bin/env bash
# Catches: docker's containers without their names, as the exporter may no longer read what docker keeps for root
# alone; a container made anew that begins a new series, or whose counts are lost when it is removed; no word
# that the names of a runtime that came after the exporter cannot be read.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/net.sh"
. "$(dirname "$0")/real.sh"
. "$(dirname "$0")/runtimes.sh"
live_begin "$@"
real_needs docker.io:dockerd containerd:containerd runc:runc busybox-static:busybox
runtime_begin
cgroup_new docker # as dockerd calls its own folder

runtime_exporter # before there is a docker
equal "no capability is kept where there is no runtime" "$(value bpf_exporter_capability_kept)" 0
room_spawn dockerd --cgroup-parent "$cgroup_path" --storage-driver vfs --iptables=false --ip6tables=false \
	--bridge=none --default-ulimit nofile=1024:1024 >"$tap_tmp/docker.log" 2>&1
docker=(/usr/bin/docker)
docker_answers() {
	in_room "${docker[@]}" version >/dev/null 2>&1
}
need 20 docker_answers
run() { # NAME FLAG...: sets $id
	in_room_must "${docker[@]}" run -d --name "$1" --memory 30m "${@:2}" work:1 /bin/work
	id=$(tail -n 1 "$tap_tmp/out")
}
tar -C "$runtime_image" -cf "$tap_tmp/image.tar" .
in_room_must "${docker[@]}" import "$tap_tmp/image.tar" work:1

run early --network host
says_late() {
	scrape
	grep -q 'level=warn.*/var/lib/docker was made after the exporter started' "$tap_tmp/exporter.log"
}
check "of a docker that came after it, the exporter says that it needs a new start" wait_until 10 says_late
exporter_stop

runtime_exporter
equal "the exporter is nobody" "$(stat -c %U "/proc/$exporter_pid")" nobody
equal "and may read what docker keeps for root" \
	"$(value bpf_exporter_capability_kept 'capability="CAP_DAC_READ_SEARCH"')" 1
runtime_pid "$id"
runtime_works "a container that was there first" before 'container="early"'

run web1 --network host
runtime_pid "$id"
runtime_works "a container" net 'container="web1"'
runtime_info "a container" 'container="web1"' "container_id=\"$id\"" 'runtime="docker"' "id=\"$runtime_path\""
in_room_must "${docker[@]}" rm -f web1
run web1 --network none
runtime_pid "$id"
runtime_works "a container made anew" none 'container="web1"'
runtime_info "a container made anew" 'container="web1"' "container_id=\"$id\"" 'runtime="docker"'
in_room_must "${docker[@]}" restart -t 0 web1
runtime_pid "$id"
runtime_works "a container started again" none 'container="web1"'

remove_all() {
	in_room_must "${docker[@]}" rm -f early web1
}
runtime_gone "containers removed" remove_all
finish
