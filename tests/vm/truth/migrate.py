"""A thread that is sent to and fro between two CPUs, against its own /proc/PID/sched."""
import os
import re

from common import await_child, checks, child, folder, join, label, read, say


def moves():
    m = re.search(r"nr_migrations\s*:\s*(\d+)", read("/proc/self/sched"))
    return int(m[1])


def work():
    before = moves()
    for i in range(50):
        os.sched_setaffinity(0, {(i + 1) % 2})
    with open(f"{folder}/moves", "w") as f:
        f.write(str(moves() - before))


def pinned():
    """Joins the group once it is where it stays."""
    os.sched_setaffinity(0, {0})
    join("migrate")
    work()


def events():
    if len(os.sched_getaffinity(0)) < 2:
        say("skip", "migrate: moves between CPUs", "there is one CPU")
        return
    if not os.path.exists("/proc/self/sched"):
        say("skip", "migrate: moves between CPUs", "this kernel has no /proc/PID/sched")
        return
    await_child(child(pinned))
    want = int(read(f"{folder}/moves"))

    def check(now):
        if not now.has("ebpf_cgroup_cpu_migrations_total"):
            say("skip", "migrate: moves between CPUs", "the collector is off unless asked for")
            return
        say("equal", "migrate: moves of the group", now.value("ebpf_cgroup_cpu_migrations_total", label("migrate")), want)
        say("between", "migrate: it was moved", want, f"{want} >= 49")

    checks.append(check)
