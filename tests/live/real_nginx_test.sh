#!/usr/bin/env bash
# Catches: accepted connections that are lost under load or counted for somebody else: nginx has its own
# count of them, and the kernel one for the whole network namespace.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/net.sh"
. "$(dirname "$0")/real.sh"
live_begin "$@"
real_needs nginx-light:nginx wrk:wrk curl:curl

nginx_says() {
	nsenter --net=/run/netns/b curl -sf --max-time 5 http://127.0.0.1:8081/ | awk 'accepts { print $1; exit } /accepts/ { accepts = 1 }'
}

cgroup_new web
cgroup_new load
in_web="cgroup=\"/$live_cgroup/web\"" in_load="cgroup=\"/$live_cgroup/load\""
net_pair
mkdir "$tap_tmp/nginx"
cat >"$tap_tmp/nginx/nginx.conf" <<CONF
daemon off;
worker_processes 2;
user root;
pid $tap_tmp/nginx/pid;
error_log $tap_tmp/nginx/error.log;
events { worker_connections 4096; }
http {
	access_log off;
	client_body_temp_path $tap_tmp/nginx/a; proxy_temp_path $tap_tmp/nginx/b; fastcgi_temp_path $tap_tmp/nginx/c;
	uwsgi_temp_path $tap_tmp/nginx/d; scgi_temp_path $tap_tmp/nginx/e;
	server { listen 10.99.0.2:8080 backlog=4096; keepalive_timeout 0; return 200 "hello"; }
	server { listen 127.0.0.1:8081; stub_status; }
}
CONF
exporter_start
net_spawn web b nginx -c "$tap_tmp/nginx/nginx.conf"
need 15 nginx_says
before=$(nginx_says)
scrape "$tap_tmp/before"
passive=$(kernel b Tcp:PassiveOpens)
# every request a connection of its own
net_spawn load a wrk -t 2 -c 40 -d 5s -H 'Connection: close' http://10.99.0.2:8080/ >"$tap_tmp/wrk.log"
wait "$spawned"
net_is_accepted() {
	! nsenter --net=/run/netns/b ss -Htln | awk '$2 > 0' | grep -q .
}
need 20 net_is_accepted
need 30 net_is_quiet
scrape "$tap_tmp/now"
passive=$(($(kernel b Tcp:PassiveOpens) - passive))
accepted=$(($(nginx_says) - before - 1)) # the question itself came by a connection

grown() {
	echo $(($(value_in "$tap_tmp/now" "$@") - $(value_in "$tap_tmp/before" "$@")))
}
at_least "wrk made connections" "$accepted" 1000
equal "accepted connections of the group = nginx's own count" "$(grown ebpf_cgroup_tcp_accepts_total "$in_web")" "$accepted"
equal "... and the kernel's" "$passive" "$accepted"
equal "connections made by the other group = the kernel's count" "$(grown ebpf_cgroup_tcp_connects_total "$in_load")" \
	"$(kernel a Tcp:ActiveOpens)"
equal "... none of them failed" "$(grown ebpf_cgroup_tcp_connect_failures_total "$in_load")" "$(kernel a Tcp:AttemptFails)"
equal "latencies of connecting" "$(grown ebpf_cgroup_tcp_connect_latency_seconds_count "$in_load")" \
	$(($(kernel a Tcp:ActiveOpens) - $(kernel a Tcp:AttemptFails)))
finish
