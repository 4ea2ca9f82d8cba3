"""Softirqs and hardirqs, against /proc/softirqs and /proc/interrupts read before and after both scrapes."""
import os
import re
import socket
import time

from common import Scrape, await_child, checks, child, label, netns, read, say


def softirqs(kind):
    line = re.search(rf"^\s*{kind}:(.*)$", read("/proc/softirqs"), re.M)
    return sum(map(int, line[1].split()))


def interrupts():
    found = {}
    for line in read("/proc/interrupts").splitlines():
        m = re.match(r"\s*(\d+):((?:\s+\d+)+)\s", line)
        path = m and f"/sys/kernel/irq/{m[1]}/actions"
        name = path and os.path.exists(path) and read(path).strip()
        if name:
            found[name] = found.get(name, 0) + sum(map(int, m[2].split()))
    return found


def counts():
    return {**{("softirq", k): softirqs(k.upper()) for k in ("net_rx", "timer", "block")},
            **{("hardirq", k): v for k, v in interrupts().items()}}


def flood():
    netns("a")
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    for _ in range(300):
        s.sendto(b"x", ("127.0.0.1", 9))


def work():
    end = time.process_time() + 0.3
    while time.process_time() < end:
        pass


def read_disk():
    """Of the disk that the guest runs from."""
    devices = [d for d in os.listdir("/sys/block") if d.startswith("vd")]
    for device in devices[:1]:
        os.system(f"dd if=/dev/{device} of=/dev/null bs=4k count=50 iflag=direct status=none")


def events():
    one = counts()
    first = Scrape()
    two = counts()
    await_child(child(flood))
    await_child(child(work, "irq"))
    read_disk()
    three = counts()

    def check(now):
        four = counts()

        def got(kind, name):
            key = ("ebpf_node_softirqs_total", f'vec="{name}"') if kind == "softirq" else (
                "ebpf_node_hardirqs_total", f'name="{name}"')
            return now.value(*key) - first.value(*key)

        for key in four:
            low, high = three.get(key, 0) - two.get(key, 0), four[key] - one.get(key, 0)
            if high:
                say("between", f"irq: {key[0]} {key[1]}, at least {low}, at most {high}", got(*key),
                    f"{low} <= {got(*key)} <= {high}")
        say("between", "irq: packets came", got("softirq", "net_rx"), f"{got('softirq', 'net_rx')} >= 300")
        stolen = now.value("ebpf_cgroup_irq_stolen_seconds_total", label("irq"))
        say("between", "irq: a busy thread lost time to interrupts", stolen, f"{stolen} > 0")
        for vec in "timer", "net_rx":
            waits = now.value("ebpf_node_softirq_latency_seconds_count", f'vec="{vec}"')
            runs = now.value("ebpf_node_softirqs_total", f'vec="{vec}"')
            say("between", f"irq: waits of {vec}", waits, f"0 < {waits} <= {runs}")

    checks.append(check)
