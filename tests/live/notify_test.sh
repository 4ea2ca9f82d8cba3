#!/usr/bin/env bash
# Catches: a unit of Type=notify that systemd kills because the exporter never says that it is ready,
# or says it before its first poll.
. "$(dirname "$0")/lib.sh"
live_begin "$@"

cat >"$tap_tmp/listen.py" <<'E2'
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1])
s.settimeout(20)
open(sys.argv[1] + ".bound", "w").close()
print(s.recv(100).decode())
E2
spawn python3 "$tap_tmp/listen.py" "$tap_tmp/notify" >"$tap_tmp/said"
listener=$spawned
wait_until 10 test -e "$tap_tmp/notify.bound"
export NOTIFY_SOCKET=$tap_tmp/notify
exporter_start
wait "$listener"
equal "what systemd hears" "$(cat "$tap_tmp/said")" "READY=1"
check "it is ready by then" curl -fsS --max-time 5 "http://127.0.0.1:$port/-/ready"
finish
