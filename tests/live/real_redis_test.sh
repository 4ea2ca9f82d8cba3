#!/usr/bin/env bash
# Catches: fsyncs missed under load, or counted for the wrong process: a Redis that syncs its log after
# every write says how many writes there were.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/real.sh"
live_begin "$@"
real_needs redis-server:redis-server redis-tools:redis-benchmark

ask() {
	redis-cli -p "$redis_port" "$@"
}
redis_ready() {
	[ "$(ask ping 2>/dev/null)" = PONG ]
}
# how often a command was called, by Redis' own count
calls() {
	ask info commandstats | tr -d '\r' | sed -n "s/^cmdstat_$1:calls=\([0-9]*\),.*/\1/p" | grep . || echo 0
}

cgroup_new redis
in_redis="cgroup=\"$cgroup_path\""
redis_port=$(real_port)
mkdir "$tap_tmp/redis"
spawn_in redis redis-server --port "$redis_port" --bind 127.0.0.1 --dir "$tap_tmp/redis" --save '' \
	--appendonly yes --appendfsync always --auto-aof-rewrite-percentage 0 >"$tap_tmp/redis.log" 2>&1
redis=$spawned
if ! wait_until 20 redis_ready; then
	not_ok "Redis starts" "$(tail -n 2 "$tap_tmp/redis.log")"
	finish
fi
exporter_start --collector.fsync
scrape "$tap_tmp/before"
# one client without pipelining: each write is a turn of the event loop, and each turn ends with a sync
redis-benchmark -p "$redis_port" -c 1 -P 1 -n 3000 -t set -q >"$tap_tmp/benchmark.log" 2>&1
redis-benchmark -p "$redis_port" -c 1 -P 1 -n 500 -t get -q >>"$tap_tmp/benchmark.log" 2>&1
real_quiet ebpf_cgroup_fsyncs_total "$in_redis"
scrape "$tap_tmp/now"

grown() {
	echo $(($(value_in "$tap_tmp/now" "$@") - $(value_in "$tap_tmp/before" "$@")))
}
writes=$(calls set)
equal "Redis took the writes" "$writes" 3000
equal "... and the reads, which sync nothing" "$(calls get)" 500
equal "fsyncs of the group = writes" "$(grown ebpf_cgroup_fsyncs_total "$in_redis")" "$writes"
equal "fsyncs of the process = writes" "$(grown ebpf_fsyncs_total "$in_redis" "pid=\"$redis\"" 'comm="redis-server"')" "$writes"
equal "latencies observed" "$(grown ebpf_cgroup_fsync_latency_seconds_count "$in_redis")" "$writes"
kill -TERM "$redis"
wait "$redis" 2>/dev/null
finish
