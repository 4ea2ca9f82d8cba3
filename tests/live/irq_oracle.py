"""The kernel's own counts of interrupts, and what the exporter's maps and scrapes say. Used by irq_test.sh.

irq_oracle.py softirqs KIND           sum over the CPUs in /proc/softirqs
irq_oracle.py interrupts              "NAME COUNT" for each name in /proc/interrupts of a device's line
irq_oracle.py flood KIND N            sends to a closed UDP port of lo until the sum is N higher, or a minute is over
irq_oracle.py conservation FILE...    of map dumps (bpftool -j): irq_test.sh's last part says what the sums are
irq_oracle.py row FILE KEY WORD       of one map dump: a word of one row, summed over the CPUs
"""
import json
import re
import socket
import sys
import time


def softirqs(kind):
    for line in open("/proc/softirqs"):
        name, _, rest = line.strip().partition(":")
        if name == kind:
            return sum(map(int, rest.split()))
    raise SystemExit(f"no {kind} in /proc/softirqs")


def interrupts():
    """By the name that sysfs has for the number: the text in /proc/interrupts has the chip in it too."""
    found = {}
    for line in open("/proc/interrupts"):
        m = re.match(r"\s*(\d+):((?:\s+\d+)+)\s", line)
        if not m:
            continue
        try:
            name = open(f"/sys/kernel/irq/{m[1]}/actions").read().strip()
        except OSError:
            continue
        if name:
            found[name] = found.get(name, 0) + sum(map(int, m[2].split()))
    return found


def flood(kind, count):
    """With pauses: what a full backlog drops (net.core.netdev_max_backlog) raises no softirq. It does not
    sleep in them, as its own timers would interrupt it."""
    enough, deadline = softirqs(kind) + count, time.monotonic() + 60
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        while softirqs(kind) < enough and time.monotonic() < deadline:
            for _ in range(20):
                s.sendto(bytes(100), ("127.0.0.1", 9))
                again = time.perf_counter() + 50e-6
                while time.perf_counter() < again:
                    pass


def words(hexes):
    data = bytes(int(x, 16) for x in hexes)
    return [int.from_bytes(data[i : i + 8], "little") for i in range(0, len(data), 8)]


def dump(file):
    """Rows of a per-CPU map: the key's first number, and the values' words summed over the CPUs."""
    for row in json.load(open(file)):
        key = int.from_bytes(bytes(int(x, 16) for x in row["key"]), "little")
        cpus = [words(cpu["value"]) for cpu in row["values"]]
        yield key, [sum(column) for column in zip(*cpus)]


def main(what, *args):
    if what == "softirqs":
        print(softirqs(*args))
    elif what == "flood":
        kind, count = args
        flood(kind, int(count))
    elif what == "interrupts":
        for name, count in sorted(interrupts().items()):
            print(f"{name}\t{count}")
    elif what == "conservation":
        soft, hard, stolen, cpu = args
        of_softirqs = sum(v[1] for _, v in dump(soft))
        of_hardirqs = sum(v[1] for _, v in dump(hard))
        of_groups = sum(v[0] for _, v in dump(stolen))
        # struct cpu: hard_action, hard_start, hard_sibling, hard_ns; pending hard and soft, each of set,
        # since_ns, ns, idle_ns, cgroup; soft_start
        (_, state), = dump(cpu)
        waiting, idle = state[6] + state[11], state[7] + state[12]
        print(of_softirqs + of_hardirqs, of_groups + waiting + idle, of_groups, idle, waiting, state[3] - of_hardirqs)
    elif what == "row":
        file, key, word = args
        print(sum(v[int(word)] for k, v in dump(file) if k == int(key)))


main(*sys.argv[1:])
