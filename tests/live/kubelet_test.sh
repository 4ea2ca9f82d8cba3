#!/usr/bin/env bash
# Catches: pods of a real kubelet by another name than the API's, on the paths, folders and links that it makes;
# a container that it starts again which begins a new series; counts that its cleaning up loses.
# The kubelet must have been built, which takes 8 minutes: tests/kubelet.sh, or KUBELET=1 with this test.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/net.sh"
. "$(dirname "$0")/real.sh"
. "$(dirname "$0")/runtimes.sh"
live_begin "$@"
kubelet=${XDG_CACHE_HOME:-$HOME/.cache}/bpf_exporter/kubelet
if [ "${KUBELET-}" = 1 ] && ! why=$(bash "$live_top/tests/kubelet.sh" 2>&1); then
	skip "${0##*/}" "$why"
	finish
elif [ ! -x "$kubelet" ]; then
	skip "${0##*/}" "no kubelet is built yet; with KUBELET=1 it is, in 8 minutes"
	finish
fi
real_needs containerd:containerd containerd:ctr runc:runc podman:podman containernetworking-plugins:/usr/lib/cni/loopback \
	busybox-static:busybox iptables:iptables
runtime_begin
runtime_containerd false "restrict_oom_score_adj = true" # root may lack CAP_SYS_RESOURCE
runtime_images k8s.io
runtime_exporter

# ---- the kubelet, of no cluster ----
# it wants its root in every hierarchy of v1
for root in /sys/fs/cgroup/*/; do
	! mountpoint -q "$root" || mkdir -p "$root$live_cgroup"
done
mkdir -p "$tap_tmp/pods" "$tap_tmp/kubelet"
cat >"$tap_tmp/kubelet.yaml" <<CONF
kind: KubeletConfiguration
apiVersion: kubelet.config.k8s.io/v1beta1
staticPodPath: $tap_tmp/pods
cgroupRoot: /$live_cgroup
cgroupDriver: cgroupfs
failSwapOn: false
enforceNodeAllocatable: []
makeIPTablesUtilChains: false
authentication: { anonymous: { enabled: true }, webhook: { enabled: false } }
authorization: { mode: AlwaysAllow }
address: 127.0.0.1
readOnlyPort: 10255
healthzPort: 0
evictionHard: { memory.available: 1Mi }
maxOpenFiles: 20000
fileCheckFrequency: 1s
syncFrequency: 1s
CONF
[ -e /etc/resolv.conf ] || touch /etc/resolv.conf
room_spawn "$kubelet" --config "$tap_tmp/kubelet.yaml" --root-dir "$tap_tmp/kubelet" --container-runtime=remote \
	--container-runtime-endpoint=unix:///run/containerd/containerd.sock --pod-infra-container-image=localhost/pause:1 \
	--hostname-override=node1 >"$tap_tmp/kubelet.log" 2>&1
cat >"$tap_tmp/web.yaml" <<POD
apiVersion: v1
kind: Pod
metadata: { name: web, namespace: shop }
spec:
  hostNetwork: true
  terminationGracePeriodSeconds: 1
  containers:
  - name: cart
    image: localhost/work:1
    imagePullPolicy: Never
    resources: { limits: { memory: 30Mi } }
POD
mv "$tap_tmp/web.yaml" "$tap_tmp/pods/web.yaml"

# Its newest container's id, by the link that the kubelet makes; sets $id
linked() {
	local link
	link=$(ls -t /var/log/containers/web-node1_shop_cart-*.log 2>/dev/null | head -n 1)
	[ "${link##*-}" != "${id-}.log" ] && id=${link##*-} && id=${id%.log} && [ -n "$id" ]
}
of=('namespace="shop"' 'pod="web-node1"' 'container="cart"')
need 90 linked
runtime_pid "$id"
runtime_works "a pod's container" net "${of[@]}"
uid=${runtime_path%/*}
uid=${uid##*/pod}
runtime_info "a pod's container" "${of[@]}" "container_id=\"$id\"" "uid=\"$uid\"" 'qos="burstable"' \
	"id=\"$runtime_path\"" 'runtime="containerd"'
equal "the folder of its logs has the same uid" "$(ls -d /var/log/pods/shop_web-node1_"$uid")" \
	"/var/log/pods/shop_web-node1_$uid"
runtime_works "again" net "${of[@]}"
kill -KILL "$runtime_pid"
need 60 linked
runtime_pid "$id"
runtime_works "the kubelet started it again: the same series" net "${of[@]}"
runtime_had_execs 'namespace="shop",pod="web-node1"' # what the sandbox had is the pod's own
removed() {
	rm "$tap_tmp/pods/web.yaml"
	need 60 pod_is_gone
}
pod_is_gone() {
	[ ! -d "${live_roots[0]}${runtime_path%/*}" ]
}
runtime_gone "the kubelet removed it" removed
complaints=$(grep -E 'level=(warn|error)' "$tap_tmp/exporter.log" | head -n 3)
equal "the exporter has nothing to complain of" "${complaints:-nothing}" nothing
finish
