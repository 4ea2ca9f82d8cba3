#!/usr/bin/env bash
# Catches: what only a real Prometheus shows over time: scrapes that fail or lose series now and then,
# counters that go down, a sum that drifts from the kernel's, panels whose query errs or answers nothing.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/net.sh"
live_begin "$@"
if ! command -v prometheus >/dev/null; then
	skip "a real Prometheus" "prometheus is not installed"
	finish
fi

prom() {
	python3 "$live_top/tests/live/prometheus.py" "http://127.0.0.1:$prom_port" "$@"
}

prom_ready() {
	curl -sf --max-time 2 -o "$tap_tmp/ready" "http://127.0.0.1:$prom_port/-/ready"
}

# Prometheus has scraped $1 times
scraped() {
	[ "$(prom value 'count_over_time(up[5m])')" -ge "$1" ]
}

# what the kernel has counted by now is in Prometheus: a poll and then a scrape have passed
settled() {
	local n
	net_quiet
	n=$(prom value 'count_over_time(up[5m])')
	wait_until 20 scraped $((n + 4)) || not_ok "Prometheus goes on scraping" "$(tail -n 2 "$tap_tmp/prometheus.log")"
}

burst() {
	net_spawn senders a python3 "$tcp_py" tcp_sender connect 10.99.0.2 7000 send 1000000 shutdown drain
	wait "$spawned"
}

exporter_start --ebpf-probe-interval=1s
prom_port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
cat >"$tap_tmp/prometheus.yml" <<YAML
global: {scrape_interval: 1s, scrape_timeout: 1s}
scrape_configs: [{job_name: bpf_exporter, honor_labels: true, static_configs: [{targets: ["127.0.0.1:$port"]}]}]
YAML
spawn prometheus --config.file="$tap_tmp/prometheus.yml" --storage.tsdb.path="$tap_tmp/tsdb" \
	--web.listen-address="127.0.0.1:$prom_port" >"$tap_tmp/prometheus.log" 2>&1
if ! wait_until 15 prom_ready; then
	not_ok "Prometheus starts" "$(tail -n 2 "$tap_tmp/prometheus.log")"
	finish
fi
cgroup_new receivers
cgroup_new senders
sum="sum(ebpf_cgroup_tcp_retransmits_total{cgroup=\"$cgroup_path\"})"
net_pair
net_spawn receivers b python3 "$tcp_py" tcp_receiver listen :: 7000 touch "$tap_tmp/up" serve
need 15 test -e "$tap_tmp/up"
net_rule b 'numgen inc mod 25 == 0 drop'

# a series is there from its first event on: the first sample is taken after one
burst
settled
from=$(date +%s)
before=$(retransmits_of a)
# one sender that lives on, as rates need, and short ones
net_spawn senders a python3 "$tcp_py" tcp_trickle connect 10.99.0.2 7000 \
	trickle "$tap_tmp/trickled" shutdown drain
trickler=$spawned
until scraped 55 || [ $SECONDS -gt 70 ]; do
	burst
	sleep 1 # now and then
done
touch "$tap_tmp/trickled"
wait "$trickler"
settled
after=$(retransmits_of a)
to=$(date +%s)

check "something was sent again" [ "$after" -gt "$before" ]
equal "difference of the samples, first to last = the kernel" "$(prom increase "$from" "$to" "$sum")" $((after - before))
equal "no scrape failed" "$(prom value 'min_over_time(up[5m])')" 1
check "a minute of scrapes" scraped 50
counters='{__name__=~".+_(total|count|sum|bucket)"}'
# gauges do: of sockets in a state that none is in any more
check "no scrape had fewer counters than the one before" prom rises "$from" "$to" "count($counters)"
check "no counter went down" prom rises "$from" "$to" "$counters"
for board in "$live_top"/dashboards/*.json; do
	check "each query of ${board##*/} is answered" prom board "$board"
done
finish
