"""watch.py PORT FOLDER CGROUP_ROOT...: scrapes without pause until SIGTERM and compares each scrape with the last.

No counter may go down, by series or by the sum of a family over all groups, and no counter series may vanish but
by retention: that of a process that is gone, that of a cgroup that is gone. FOLDER/phase names what goes on; the
results, FOLDER/watch.json, are by phase:
  {"phases": {PHASE: {"scrapes", "failed", "reason": of a failure, "down": [collectors whose collector_up was 0],
                      "stale": longest time in s that a collector's last good poll lay back}},
   "fell": [[PHASE, SERIES, FROM, TO]...], "vanished": [[PHASE, SERIES]...], "longest_gap": s between good answers,
   "scrapes", "series"}
FOLDER/scrapes counts the good ones, so that a test can wait for some; FOLDER/latest is the last of them.
"""
import http.client
import json
import os
import re
import signal
import sys
import time


def scrape(port):
    """The text, or an OSError or HTTPException."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("GET", "/metrics")
        answer = connection.getresponse()
        text = answer.read().decode()
    finally:
        connection.close()
    if answer.status != 200:
        raise OSError(f"status {answer.status}")
    return text


def number(text):
    """In whole billionths: floats would lose what is to be compared."""
    whole, _, fraction = text.partition(".")
    return int(whole) * 10**9 + int(fraction.ljust(9, "0") or 0) if "e" not in text else int(float(text) * 10**9)


def parse(text):
    """Two dicts of series: counters (and what histograms are made of), gauges."""
    counters, gauges, kind = {}, {}, ""
    for line in text.splitlines():
        if line.startswith("# TYPE "):
            kind = line.split()[3]
        elif line and line[0] != "#":
            series, value = line.rsplit(" ", 1)
            (gauges if kind == "gauge" else counters)[series] = number(value)
    return counters, gauges


def family(series):
    return series.partition("{")[0]


def label(series, name):
    found = re.search(r"[{,]" + name + r'="((?:[^"\\]|\\.)*)"', series)
    return found and found[1]


def there(path, fd):
    try:
        os.stat(path, dir_fd=fd)
        return True
    except FileNotFoundError:
        return False


class Watch:
    def __init__(self, roots, process_retention=300):
        # opened now: the test may unmount or cover what is there
        self.proc = os.open("/proc", os.O_PATH)
        self.roots = roots
        self.trees = [os.open(root, os.O_PATH) for root in roots]
        self.retention, self.compared = process_retention, 0.0
        self.last, self.last_sums = {}, {}
        self.fell, self.vanished = [], []

    def runs(self, pid, comm):
        """Whether that process lives, and is not another one with its number."""
        try:
            with open(os.open(f"{pid}/comm", os.O_RDONLY, dir_fd=self.proc)) as f:
                return f.read().rstrip("\n") == comm
        except OSError:
            return False

    def may_vanish(self, series):
        """By retention: what it counts for is gone."""
        pid, cgroup, unit = label(series, "pid"), label(series, "cgroup"), label(series, "unit")
        if pid:
            return not self.runs(pid, label(series, "comm"))
        if cgroup and cgroup[0] == "/":
            return not any(there("." + cgroup, tree) for tree in self.trees)
        if label(series, "pod") or label(series, "container"):
            return True  # of another test: no path says whether it is gone
        return bool(unit) and not any(unit in folders for root in self.roots for _, folders, _ in os.walk(root))

    @staticmethod
    def sums(counters):
        """Of the families by group: what leaves a group comes to (removed)."""
        total = {}
        for series, value in counters.items():
            if series.startswith("ebpf_cgroup_") and "_bucket{" not in series:
                total[family(series)] = total.get(family(series), 0) + value
        return total

    def compare(self, phase, counters):
        """With those of the last time."""
        # when it was long ago, a process may have left by retention, and its number be in use again
        late = time.monotonic() - self.compared > self.retention
        self.compared = time.monotonic()
        for series, value in self.last.items():
            if series not in counters:
                if not self.may_vanish(series):
                    self.vanished.append([phase, series])
            elif counters[series] < value and not (late and label(series, "pid")):
                self.fell.append([phase, series, value, counters[series]])
        total = self.sums(counters)
        for name, value in self.last_sums.items():
            if total.get(name, 0) < value:
                self.fell.append([phase, f"sum of {name}", value, total.get(name, 0)])
        self.last, self.last_sums = counters, total


def replace(path, text):
    with open(f"{path}.new", "w") as f:
        f.write(text)
    os.rename(f"{path}.new", path)


def main(port, folder, roots):
    interval = float(os.environ.get("WATCH_INTERVAL", "0.2"))
    retention = float(os.environ.get("WATCH_RETENTION", "300"))  # as --process.retention
    watch, phases, good, gap, last_good = Watch(roots, retention), {}, 0, 0.0, time.monotonic()
    ending = []
    signal.signal(signal.SIGTERM, lambda *_: ending.append(1))
    while not ending:
        with open(f"{folder}/phase") as f:
            phase = f.read().strip()
        now = phases.setdefault(phase, {"scrapes": 0, "failed": 0, "down": [], "reason": "", "stale": 0.0})
        try:
            text = scrape(port)
        except (OSError, http.client.HTTPException) as e:
            now["failed"] += 1
            now["reason"] = repr(e)[:80]
            time.sleep(interval)
            continue
        gap = max(gap, time.monotonic() - last_good)
        last_good = time.monotonic()
        now["scrapes"] += 1
        counters, gauges = parse(text)
        watch.compare(phase, counters)
        for series, value in gauges.items():
            if series.startswith("bpf_exporter_collector_up{") and not value:
                now["down"] = sorted({*now["down"], label(series, "collector")})
            elif series.startswith("bpf_exporter_last_poll_timestamp_seconds{"):
                now["stale"] = max(now["stale"], time.time() - value / 1e9)
        good += 1
        replace(f"{folder}/latest", text)
        replace(f"{folder}/scrapes", str(good))
        time.sleep(interval)
    with open(f"{folder}/watch.json", "w") as f:
        json.dump({"phases": phases, "fell": watch.fell, "vanished": watch.vanished, "longest_gap": gap,
                   "scrapes": good, "series": len(watch.last)}, f, indent=1)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], sys.argv[3:])
