#!/usr/bin/env bash
# Catches: fsyncs that are missed, counted twice or for the wrong process, and latencies that are not what
# the server itself measured: etcd has a counter and a histogram of the fdatasync of its log.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/real.sh"
live_begin "$@"
real_needs etcd-server:etcd curl:curl

etcd_ready() {
	curl -sf --max-time 2 "http://127.0.0.1:$client/health" | grep -q '"health":"true"'
}

# etcd's own sample
etcd_says() {
	awk -v name="$1" '$1 == name { printf "%.0f\n", $2 }' "$2"
}

cgroup_new etcd
in_etcd="cgroup=\"$cgroup_path\""
# A disk with a file system, as a tmpfs syncs nothing: what is slow is the device's own doing.
truncate -s 400M "$tap_tmp/disk"
/sbin/mke2fs -q -t ext4 "$tap_tmp/disk"
mkdir "$tap_tmp/etcd"
if ! mount -o loop "$tap_tmp/disk" "$tap_tmp/etcd" 2>"$tap_tmp/why"; then
	skip "etcd's log on a disk" "no loop device: $(head -n 1 "$tap_tmp/why")"
	finish
fi
client=$(real_port)
peer=$(real_port)
# the database is written at the end only, so that all syncs are the log's
spawn_in etcd etcd --data-dir "$tap_tmp/etcd/data" --listen-client-urls "http://127.0.0.1:$client" \
	--advertise-client-urls "http://127.0.0.1:$client" --listen-peer-urls "http://127.0.0.1:$peer" \
	--initial-advertise-peer-urls "http://127.0.0.1:$peer" --initial-cluster "default=http://127.0.0.1:$peer" \
	--backend-batch-interval 1h --backend-batch-limit 10000000 >"$tap_tmp/etcd.log" 2>&1
etcd=$spawned
if ! wait_until 20 etcd_ready; then
	not_ok "etcd starts" "$(tail -n 2 "$tap_tmp/etcd.log")"
	finish
fi
exporter_start --collector.fsync
real_quiet ebpf_cgroup_fsyncs_total "$in_etcd"
curl -s "http://127.0.0.1:$client/metrics" >"$tap_tmp/etcd.before"
scrape "$tap_tmp/before"
# 300 writes, by four clients at a time
seq 300 | xargs -P 4 -I N curl -sf --max-time 10 -o /dev/null -X POST "http://127.0.0.1:$client/v3/kv/put" \
	-d '{"key": "Zm9v", "value": "YmFy"}'
real_quiet ebpf_cgroup_fsyncs_total "$in_etcd"
scrape "$tap_tmp/now"
curl -s "http://127.0.0.1:$client/metrics" >"$tap_tmp/etcd.now"

grown() {
	echo $(($(value_in "$tap_tmp/now" "$@") - $(value_in "$tap_tmp/before" "$@")))
}
etcd_grown() {
	echo $(($(etcd_says "$1" "$tap_tmp/etcd.now") - $(etcd_says "$1" "$tap_tmp/etcd.before")))
}
wal=$(etcd_grown etcd_disk_wal_fsync_duration_seconds_count)
at_least "etcd synced its log" "$wal" 75
equal "etcd wrote no database meanwhile" "$(etcd_grown etcd_disk_backend_commit_duration_seconds_count)" 0
equal "fsyncs of the group = etcd's own count" "$(grown ebpf_cgroup_fsyncs_total "$in_etcd")" "$wal"
equal "fsyncs of the process" "$(grown ebpf_fsyncs_total "$in_etcd" "pid=\"$etcd\"" 'comm="etcd"')" "$wal"
equal "latencies observed" "$(grown ebpf_cgroup_fsync_latency_seconds_count "$in_etcd")" "$wal"

# etcd's clock starts before the call and stops after it, on a thread that may have lost its CPU: of our
# times at least as many are below a bound as of etcd's, and the sum is below etcd's but not far.
for pair in 0.001:0.00390625 0.004:0.015625 0.016:0.0625 0.064:0.25; do
	at_least "as many below ${pair#*:} s as etcd has below ${pair%:*} s" \
		"$(grown ebpf_cgroup_fsync_latency_seconds_bucket "$in_etcd" "le=\"${pair#*:}\"")" \
		"$(etcd_grown "etcd_disk_wal_fsync_duration_seconds_bucket{le=\"${pair%:*}\"}")"
done
read -r ours theirs < <(python3 - "$tap_tmp" "$in_etcd" <<'PY'
import sys
folder, group = sys.argv[1:]
def of(file, name, label=""):
    return sum(float(l.rsplit(" ", 1)[1]) for l in open(f"{folder}/{file}") if l.startswith(name) and label in l)
for name, label, files in (("ebpf_cgroup_fsync_latency_seconds_sum", group, ("before", "now")),
                           ("etcd_disk_wal_fsync_duration_seconds_sum", "", ("etcd.before", "etcd.now"))):
    print(of(files[1], name, label) - of(files[0], name, label), end=" ")
print()
PY
)
at_most "our sum of seconds is within etcd's" "$ours" "$theirs"
at_least "... and most of it" "$ours" "$theirs * 0.5"
kill -TERM "$etcd"
wait "$etcd" 2>/dev/null
umount "$tap_tmp/etcd"
finish
