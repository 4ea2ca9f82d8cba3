# tests/live/runtimes.sh: sourced after lib.sh, real.sh and net.sh by the runtime_*_test.sh: real container
# runtimes, whose containers the exporter must name.
# shellcheck shell=bash disable=SC2154 # $cgroup_path, $spawned: lib.sh
#
#   runtime_begin              hides /run, /var/lib and /var/log, and makes the room (see below), the image
#                              $runtime_image, and a listener where the image's programs send to
#   in_room CMD...             runs CMD in the room
#   in_room_must CMD...        likewise, quietly; when it fails, says what it printed and ends the test
#   room_spawn CMD...          the same in the background; sets $spawned
#   runtime_oci NAME CMD FILE  the image as an archive for containerd, with that command
#   runtime_containerd SYSTEMD LINE...  starts containerd, which has systemd make the cgroups (true) or makes them
#                              (false), with those lines in its CRI section; sets $containerd
#   runtime_images NAMESPACE...  makes the images localhost/work:1 and localhost/pause:1, and gives them to it
#   runtime_cri STEP...        asks it as a kubelet does: tests/live/cri.py
#   runtime_podman MANAGER [LINE]  has $podman use that cgroup manager, and that line in its [engine] section
#   runtime_play WHAT POD      has $podman play a pod with a container `cart`, which works
#   runtime_exporter FLAG...   starts the exporter: all groups but $runtime_include, or the test's own, are (other)
#   runtime_pid ID             the first process of the container that has ID in its cgroup's path, once
#                              its program waits for work; sets $runtime_pid and $runtime_path
#   runtime_works WHAT NET LABEL...  the container of runtime_pid does its work; its series must have it.
#                              NET: "net" where it has the room's network, else "none"; "before": net,
#                              but nobody counted when it started
#   runtime_info WHAT LABEL... its ebpf_cgroup_info has these labels
#   runtime_had_execs LABELS   the series whose labels this pattern says has the execs that it has
#   runtime_gone WHAT CMD...   CMD removes all containers: what they counted must be in (removed)
#
# Runtimes leave daemons, shims and monitors that are nobody's children. So all of it runs in a process
# namespace of its own, the room, whose first process dies with the test, and everything in it dies
# with that one, mounts too. Its network namespace is net.sh's `a`: "host network" there means that one.
# What is below /run, /var/lib and /var/log (the usual places of runtimes, where the exporter looks) is in
# memory and the test's alone. Cgroups are below the test's own, in every hierarchy, which sweep.sh takes, or
# in /libpod_parent.
#
# On a machine that is the test's alone (runtime_machine=1 before runtime_begin, tests/vm/runtimes.sh) there
# is no need for a room: systemd, whom runtimes ask for cgroups, would not know its process numbers. Then
# containers may be anywhere.

runtime_room='' runtime_image='' runtime_pid='' runtime_path=''
runtime_machine='' runtime_include=()
declare -A runtime_had # by "FAMILY LABELS": what the series must have

runtime_begin() {
	local folder name
	runtime_image=$tap_tmp/image
	if [ -n "$runtime_machine" ]; then
		runtime_image=/var/tmp/image # systemd does not see this test's mounts
	else
		for folder in /run /var/lib /var/log; do
			mount -t tmpfs -o size=256m,mode=755 none $folder
		done
		mkdir -p /run/netns
	fi
	mkdir -p "$runtime_image/bin" "$runtime_image/tmp" "$runtime_image/etc" "$runtime_image/usr/bin"
	cp /bin/busybox "$runtime_image/bin/busybox"
	for name in sh sleep true tail nc head; do
		ln -s busybox "$runtime_image/bin/$name"
	done
	# With each SIGUSR1: 8 programs, of which one is killed for want of memory, and 600 kB to 10.99.0.2
	cat >"$runtime_image/bin/work" <<'WORK'
#!/bin/sh
trap 'asked=1' USR1
turn=0 asked=0
echo 0 >/tmp/turn
/bin/sleep 100000 &
sleeper=$!
while :; do
	[ $asked = 1 ] || wait $sleeper
	[ $asked = 1 ] || continue
	asked=0
	turn=$((turn + 1))
	for i in 1 2 3 4 5; do
		/bin/true
	done
	/bin/tail /dev/zero
	/bin/head -c 600000 /dev/zero | /bin/nc 10.99.0.2 7000
	echo $turn >/tmp/turn
done
WORK
	chmod 755 "$runtime_image/bin/work"
	cgroup_new idle
	net_pair
	net_spawn idle b python3 "$tcp_py" receiver listen 0.0.0.0 7000 touch "$tap_tmp/listens" serve
	need 20 test -e "$tap_tmp/listens"
	net_rule b 'numgen inc mod 25 == 0 drop'
	[ -z "$runtime_machine" ] || return
	# shellcheck disable=SC2016
	spawn nsenter --net=/run/netns/a unshare --mount --pid --fork --kill-child --mount-proc \
		bash -c 'echo >"$1"; while :; do sleep 1000; done' room "$tap_tmp/room"
	need 10 test -e "$tap_tmp/room"
	runtime_room=$(cat "/proc/$spawned/task/$spawned/children")
	runtime_room=${runtime_room// /}
}

# Sets $enter: what enters the room.
runtime_enter() {
	enter=(nsenter --net=/run/netns/a)
	[ -n "$runtime_machine" ] || enter=(nsenter --target "$runtime_room" --mount --pid --net)
}

in_room() {
	runtime_enter
	"${enter[@]}" "$@"
}

in_room_must() {
	in_room "$@" >"$tap_tmp/out" 2>&1 </dev/null && return
	not_ok "works: $*" "$(tail -n 3 "$tap_tmp/out")"
	finish
}

room_spawn() {
	runtime_enter
	spawn "${enter[@]}" "$@"
}

runtime_oci() {
	local podman=(podman --storage-driver vfs)
	[ -e "$tap_tmp/image.tar" ] || tar -C "$runtime_image" -cf "$tap_tmp/image.tar" .
	in_room_must "${podman[@]}" import --change "CMD $2" "$tap_tmp/image.tar" "$1"
	in_room_must "${podman[@]}" save --format oci-archive -o "$3" "$1"
}

# Cgroups are made below the test's own by the runtimes, in every hierarchy.
tap_cleanup() {
	local pid folder
	[ -z "$runtime_room" ] || kill -KILL "$runtime_room" 2>/dev/null
	for pid in $(jobs -p); do
		kill -KILL "$pid" 2>/dev/null
	done
	wait 2>/dev/null
	for folder in "/sys/fs/cgroup/$live_cgroup" /sys/fs/cgroup/*/"$live_cgroup"; do
		cgroup_remove "$folder"
	done
	# kube play's pods have no other place
	find /sys/fs/cgroup/libpod_parent /sys/fs/cgroup/*/libpod_parent -depth -type d -exec rmdir {} \; 2>/dev/null
}

runtime_containerd() {
	mkdir -p "$tap_tmp/cni" /var/log/pods /var/log/containers
	echo '{"cniVersion": "0.4.0", "name": "lo", "plugins": [{"type": "loopback"}]}' >"$tap_tmp/cni/lo.conflist"
	cat >"$tap_tmp/config.toml" <<-CONF
		version = 2
		[plugins."io.containerd.grpc.v1.cri"]
			sandbox_image = "localhost/pause:1"
			disable_apparmor = true
			$(printf '%s\n' "${@:2}")
		[plugins."io.containerd.grpc.v1.cri".containerd]
			snapshotter = "native"
		[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
			runtime_type = "io.containerd.runc.v2"
		[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
			SystemdCgroup = $1
		[plugins."io.containerd.grpc.v1.cri".cni]
			bin_dir = "/usr/lib/cni"
			conf_dir = "$tap_tmp/cni"
	CONF
	room_spawn containerd --config "$tap_tmp/config.toml" >"$tap_tmp/containerd.log" 2>&1
	containerd=$spawned
	need 60 runtime_containerd_answers
}

runtime_containerd_answers() {
	in_room ctr version >/dev/null 2>&1
}

runtime_images() {
	local space
	runtime_oci localhost/work:1 '["/bin/work"]' "$tap_tmp/work.oci"
	runtime_oci localhost/pause:1 '["/bin/sleep","2147483"]' "$tap_tmp/pause.oci"
	for space in "$@"; do
		in_room_must ctr -n "$space" images import --snapshotter native "$tap_tmp/work.oci"
		in_room_must ctr -n "$space" images import --snapshotter native "$tap_tmp/pause.oci"
	done
}

runtime_cri() {
	in_room python3 "$live_top/tests/live/cri.py" /run/containerd/containerd.sock "$@" 2>"$tap_tmp/cri.log" && return
	not_ok "works: cri.py $*" "$(tail -n 3 "$tap_tmp/cri.log")"
	return 1
}

runtime_podman() {
	# root may lack CAP_SYS_RESOURCE
	cat >"$tap_tmp/containers.conf" <<-CONF
		[containers]
		default_ulimits = ["nofile=1024:1024", "nproc=4096:4096"]
		[engine]
		cgroup_manager = "$1"
		events_logger = "file"
		${2-}
	CONF
	export CONTAINERS_CONF=$tap_tmp/containers.conf
	podman=(podman --storage-driver vfs)
}

runtime_play() {
	cat >"$tap_tmp/pod.yaml" <<-POD
		apiVersion: v1
		kind: Pod
		metadata: { name: $2 }
		spec:
		  hostNetwork: true
		  containers:
		  - { name: cart, image: "localhost/work:1", resources: { limits: { memory: 30Mi } } }
	POD
	in_room_must "${podman[@]}" kube play --no-hosts "$tap_tmp/pod.yaml"
	in_room_must "${podman[@]}" ps -q --no-trunc --filter "name=$2-cart"
	runtime_pid "$(tail -n 1 "$tap_tmp/out")"
	runtime_works "$1" net "container=\"$2-cart\""
	runtime_had_execs 'container="[^"]*-infra"' # of the pod itself
}

runtime_had_execs() {
	local line
	line=$(grep "^ebpf_cgroup_execs_total{$1} " "$tap_tmp/scrape") || return
	line=${line#*\{}
	runtime_had["execs $(tr , ' ' <<<"${line%\}*}")"]=${line##* }
}

runtime_exporter() {
	[ ${#runtime_include[@]} != 0 ] || runtime_include=("/$live_cgroup/*")
	exporter_start "${runtime_include[@]/#/--cgroup.include=}" --cgroup.retention=1s "$@"
}

runtime_find() {
	local folder below=("${live_roots[0]}/$live_cgroup" "${live_roots[0]}/libpod_parent")
	[ -z "$runtime_machine" ] || below=("${live_roots[0]}")
	folder=$(find "${below[@]}" -type d \( -name "$1" -o -name "*-$1" -o -name "*-$1.scope" \) 2>/dev/null |
		grep -v -e -conmon- | head -n 1)
	[ -n "$folder" ] || return
	runtime_path=${folder#"${live_roots[0]}"}
	# crun has another group inside
	runtime_pid=$(find "$folder" -name cgroup.procs -exec cat {} + | sort -n | head -n 1)
	[ -n "$runtime_pid" ]
}

runtime_pid() {
	need 20 runtime_waits "$1"
}

# Its program has started the sleeper, and nothing else.
runtime_waits() {
	local children
	runtime_find "$1" || return
	read -ra children <"/proc/$runtime_pid/task/$runtime_pid/children"
	[ ${#children[@]} = 1 ] && [ "$(cat "/proc/${children[0]}/comm")" = sleep ]
}

runtime_turn() {
	[ "$(cat "/proc/$runtime_pid/root/tmp/turn")" = "$1" ]
}

# The cgroup's own count of its OOM kills.
runtime_kills() {
	cat "${live_roots[0]}$1"/memory.{oom_control,events} 2>/dev/null | awk '$1 == "oom_kill" { print $2 }'
}

runtime_works() {
	local what=$1 net=$2 turn execs kills segments key family
	shift 2
	key="$*"
	turn=$(cat "/proc/$runtime_pid/root/tmp/turn")
	scrape
	execs=$(value_in "$tap_tmp/scrape" ebpf_cgroup_execs_total "$@")
	# its program and the sleeper; runc, which runs itself from a copy, may be in the cgroup by then
	if [ "$net" = before ]; then
		net=net
	elif [ "$turn" = 0 ]; then
		check "$what: execs of its start are added to what the name had" \
			[ $((execs - ${runtime_had[execs $key]-0})) -ge 2 -a $((execs - ${runtime_had[execs $key]-0})) -le 3 ]
	fi
	kills=$(runtime_kills "$runtime_path")
	segments=$(retransmits_of a)
	kill -USR1 "$runtime_pid"
	need 30 runtime_turn $((turn + 1))
	net_quiet
	kills=$(($(runtime_kills "$runtime_path") - kills))
	segments=$(($(retransmits_of a) - segments))
	equal "$what: a process is killed for want of memory" $kills 1
	[ "$net" != net ] || check "$what: segments are lost" [ $segments -gt 0 ]
	runtime_had[execs $key]=$((execs + 8))
	runtime_had[oom_kills $key]=$((${runtime_had[oom_kills $key]-0} + kills))
	runtime_had[tcp_retransmits $key]=$((${runtime_had[tcp_retransmits $key]-0} + segments))
	scrape
	for family in execs oom_kills tcp_retransmits; do
		equal "$what: $family" "$(value_in "$tap_tmp/scrape" "ebpf_cgroup_${family}_total" "$@")" \
			"${runtime_had[$family $key]}"
	done
}

runtime_info() {
	local what=$1
	shift
	scrape
	equal "$what: ebpf_cgroup_info" "$(value_in "$tap_tmp/scrape" ebpf_cgroup_info "$@")" 1
}

runtime_has_moved() {
	local key
	[ -d "/proc/$$" ] || exit # a subshell of a test that was killed
	scrape
	for key in "${!runtime_had[@]}"; do
		# shellcheck disable=SC2086 # labels have no blanks
		[ "$(value_in "$tap_tmp/scrape" "ebpf_cgroup_${key%% *}_total" ${key#* })" = 0 ] || return
	done
}

runtime_gone() {
	local what=$1 family key
	local -A before sum
	shift
	scrape "$tap_tmp/before"
	"$@"
	for key in "${!runtime_had[@]}"; do
		sum[${key%% *}]=$((${sum[${key%% *}]-0} + ${runtime_had[$key]}))
	done
	check "$what: their series end" wait_until 20 runtime_has_moved
	for family in "${!sum[@]}"; do
		equal "$what: $family are in (removed)" $((
			$(value "ebpf_cgroup_${family}_total" 'cgroup="(removed)"') -
			$(value_in "$tap_tmp/before" "ebpf_cgroup_${family}_total" 'cgroup="(removed)"'))) "${sum[$family]}"
	done
}
