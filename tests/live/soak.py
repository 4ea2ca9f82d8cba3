"""soak.py PORT PID CHURN_PID SECONDS PROCESS_RETENTION GROUP CGROUP_ROOT...: watches an exporter under churn until the churn ends.

Samples each second or so what must stay flat: resident memory, the kernel's memory of the maps, open descriptors,
series, rows, and the CPU time and duration of a poll. Prints a table of ten lines, then `ok` or `not ok` lines:
no counter went down, and the last quarter is as flat against the second as the tolerances below say.
"""
import os
import statistics
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from watch import Watch, family, parse, scrape  # noqa: E402

port, pid, churn, seconds = int(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4])
group, roots = sys.argv[6], sys.argv[7:]
watch = Watch(roots, int(sys.argv[5]))
every = max(1.0, seconds / 400)
samples = []


def ended(pid):
    try:
        with open(f"/proc/{pid}/stat") as f:
            return f.read().rsplit(")", 1)[1].split()[0] == "Z"
    except FileNotFoundError:
        return True


def resident():
    with open(f"/proc/{pid}/status") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("VmRSS"))


def descriptors():
    """How many there are, and the kernel's memory of those that are maps or programs, in kB."""
    memory, numbers = 0, os.listdir(f"/proc/{pid}/fdinfo")
    for n in numbers:
        try:
            with open(f"/proc/{pid}/fdinfo/{n}") as f:
                memory += sum(int(line.split()[1]) for line in f if line.startswith("memlock:"))
        except FileNotFoundError:
            pass  # closed meanwhile
    return len(numbers), memory / 1024


def is_ours(series):
    return group in series or "soak" in series


def sample(start):
    counters, gauges = parse(scrape(port))
    watch.compare("soak", counters)
    total = lambda of, name: sum(v for s, v in of.items() if family(s) == name) / 1e9
    fds, kernel = descriptors()
    return {
        "s": time.monotonic() - start,
        "RSS kB": resident(),
        "maps kB": kernel,
        "fds": fds,
        "series": sum(is_ours(s) for s in counters if s.startswith("ebpf_")),
        "others": sum(not is_ours(s) for s in counters if s.startswith("ebpf_")),
        "rows": total(gauges, "bpf_exporter_map_entries"),
        "pids": total(gauges, "bpf_exporter_tracked_pids"),
        "cgroups": total(gauges, "bpf_exporter_tracked_cgroups"),
        # of all collectors; the number of polls is the most that one of them had
        "poll s": total(counters, "bpf_exporter_poll_duration_seconds_sum"),
        "polls": max(v for s, v in counters.items() if family(s) == "bpf_exporter_poll_duration_seconds_count") / 1e9,
        "cpu s": total(counters, "process_cpu_seconds_total"),
    }


def per_poll(what, part):
    polls = part[-1]["polls"] - part[0]["polls"]
    return 1e6 * (part[-1][what] - part[0][what]) / polls if polls else 0.0


def quarter(n):
    return [s for s in samples if n * seconds / 4 <= s["s"] < (n + 1) * seconds / 4]


start = time.monotonic()
while not ended(churn):
    samples.append(sample(start))
    time.sleep(every)

flat = ("RSS kB", "maps kB", "fds", "series", "rows", "pids", "cgroups")
shown = (*flat, "others")
print("comment\t| " + " | ".join(("at s", *shown, "poll us", "CPU us a poll")) + " |")
tenths = [[s for s in samples if n * seconds / 10 <= s["s"] < (n + 1) * seconds / 10] for n in range(10)]
for part in [t for t in tenths if len(t) > 1]:
    words = [f"{part[-1]['s']:.0f}", *(f"{statistics.median(s[f] for s in part):.0f}" for f in shown),
             f"{per_poll('poll s', part):.0f}", f"{per_poll('cpu s', part):.0f}"]
    print("comment\t| " + " | ".join(words) + " |")


def say(good, what, why):
    print(f"ok\t{what} ({why})" if good else f"not ok\t{what}\t{why}")


# What may be added from the second quarter to the last one: a share, a few, and some for each series that others on
# this machine made meanwhile.
tolerance = {"RSS kB": (0.05, 512, 1), "maps kB": (0.01, 0, 0), "fds": (0, 3, 0), "series": (0.15, 50, 0),
             "rows": (0.15, 100, 1), "pids": (0.15, 100, 1), "cgroups": (0.15, 20, 1)}
second, last = quarter(1), quarter(3)
if len(second) < 3 or len(last) < 3:
    say(False, "there are samples of each quarter", f"{len(second)} and {len(last)}")
else:
    median = lambda what, part: statistics.median(s[what] for s in part)
    others = max(0, median("others", last) - median("others", second))
    for what in flat:
        a, b = median(what, second), median(what, last)
        share, some, each = tolerance[what]
        say(b <= a * (1 + share) + some + each * others, f"flat: {what}", f"{a:.0f} in the second quarter, {b:.0f} in the last")
    a, b = per_poll("cpu s", second), per_poll("cpu s", last)
    say(b <= 2 * a, "flat within a factor of two: CPU time of a poll, scrapes included", f"{a:.0f} us, {b:.0f} us")
say(not watch.fell, "no counter went down", f"{len(samples)} scrapes of {len(watch.last)} counter series" if not watch.fell else watch.fell[:2])
say(not watch.vanished, "no series vanished but by retention", "none" if not watch.vanished else watch.vanished[:2])
