"""watch.py PORT FOLDER CGROUP_ROOT...: scrapes without pause until SIGTERM and compares each scrape with the last.

No counter may go down, by series or by the sum of a family over all groups, and no counter series may vanish but
by retention: that of a process that is gone, that of a cgroup that is gone. FOLDER/phase names what goes on; the
results, FOLDER/watch.json, are by phase:
  {"phases": {PHASE: {"scrapes", "failed", "down": [collectors whose collector_up was 0], "reason": of a failure,
                      "stale": longest time in s that a collector's last good poll lay back}},
   "fell": [[PHASE, SERIES, FROM, TO]...], "vanished": [[PHASE, SERIES]...], "longest_gap": s between good answers}
FOLDER/scrapes counts the good ones, so that a test can wait for some; FOLDER/latest is the last of them.
"""
import http.client
import json
import os
import re
import signal
import sys
import time

port, folder, roots = int(sys.argv[1]), sys.argv[2], sys.argv[3:]
# opened now: the test may unmount or cover what is there
proc = os.open("/proc", os.O_PATH)
trees = [os.open(root, os.O_PATH) for root in roots]
interval = float(os.environ.get("WATCH_INTERVAL", "0.2"))
ending = False


def end(*_):
    global ending
    ending = True


signal.signal(signal.SIGTERM, end)


def number(text):
    """In whole billionths: floats would lose what is to be compared."""
    whole, _, fraction = text.partition(".")
    return int(whole) * 10**9 + int(fraction.ljust(9, "0") or 0) if "e" not in text else int(float(text) * 10**9)


def parse(text):
    counters, gauges, kind, name = {}, {}, "", ""
    for line in text.splitlines():
        if line.startswith("# TYPE "):
            name, kind = line.split()[2:4]
        elif line and line[0] != "#":
            series, value = line.rsplit(" ", 1)
            (gauges if kind == "gauge" else counters)[series] = number(value)
    return counters, gauges


def family(series):
    return series.partition("{")[0]


def label(series, name):
    found = re.search(r'[{,]' + name + r'="((?:[^"\\]|\\.)*)"', series)
    return found and found[1]


def there(path, fd):
    try:
        os.stat(path, dir_fd=fd)
        return True
    except FileNotFoundError:
        return False


def unit_exists(unit):
    for root in roots:
        for _, folders, _ in os.walk(root):
            if unit in folders:
                return True
    return False


def may_vanish(series):
    """By retention: what it counts for is gone."""
    pid, cgroup, unit = label(series, "pid"), label(series, "cgroup"), label(series, "unit")
    if pid:
        return not there(pid, proc)
    if cgroup and cgroup[0] == "/":
        return not any(there("." + cgroup, tree) for tree in trees)
    return bool(unit) and not unit_exists(unit)


def sums(counters):
    """Of the families by group: what leaves a group comes to (removed)."""
    total = {}
    for series, value in counters.items():
        if series.startswith("ebpf_cgroup_") and "_bucket{" not in series:
            total[family(series)] = total.get(family(series), 0) + value
    return total


phases, fell, vanished = {}, [], []
last, last_sums, good, gap, last_good = {}, {}, 0, 0.0, time.monotonic()
while not ending:
    try:
        phase = open(f"{folder}/phase").read().strip()
    except OSError:
        phase = "start"
    now = phases.setdefault(phase, {"scrapes": 0, "failed": 0, "down": [], "reason": "", "stale": 0.0})
    try:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        connection.request("GET", "/metrics")
        answer = connection.getresponse()
        text = answer.read().decode()
        connection.close()
        if answer.status != 200:
            raise OSError(f"status {answer.status}")
    except (OSError, http.client.HTTPException) as e:
        now["failed"] += 1
        now["reason"] = repr(e)[:80]
        time.sleep(interval)
        continue
    gap = max(gap, time.monotonic() - last_good)
    last_good = time.monotonic()
    now["scrapes"] += 1
    counters, gauges = parse(text)
    for series, value in last.items():
        if series not in counters:
            if not may_vanish(series):
                vanished.append([phase, series])
        elif counters[series] < value:
            fell.append([phase, series, value, counters[series]])
    total = sums(counters)
    for name, value in last_sums.items():
        if total.get(name, 0) < value:
            fell.append([phase, f"sum of {name}", value, total.get(name, 0)])
    last, last_sums = counters, total
    for series, value in gauges.items():
        if series.startswith("bpf_exporter_collector_up{") and not value:
            now["down"] = sorted({*now["down"], label(series, "collector")})
        elif series.startswith("bpf_exporter_last_poll_timestamp_seconds{"):
            now["stale"] = max(now["stale"], time.time() - value / 1e9)
    good += 1
    for name, content in ("latest", text), ("scrapes", str(good)):
        with open(f"{folder}/.{name}", "w") as f:
            f.write(content)
        os.rename(f"{folder}/.{name}", f"{folder}/{name}")
    time.sleep(interval)
with open(f"{folder}/watch.json", "w") as f:
    json.dump({"phases": phases, "fell": fell[:50], "vanished": vanished[:50], "longest_gap": gap,
               "scrapes": good, "series": len(last)}, f, indent=1)
