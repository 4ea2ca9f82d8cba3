"""The kernel's own counts of interrupts, and what the exporter's maps and scrapes say. Used by irq_test.sh.

irq_oracle.py softirqs KIND           sum over the CPUs in /proc/softirqs
irq_oracle.py interrupts              "NAME COUNT" for each name in /proc/interrupts of a device's line
irq_oracle.py map FILE...             of map dumps (bpftool -j): sums, "NAME NANOSECONDS_OR_COUNT" a line
"""
import json
import re
import sys


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
    elif what == "interrupts":
        for name, count in sorted(interrupts().items()):
            print(f"{name}\t{count}")
    elif what == "conservation":
        soft, hard, stolen, cpu = args
        of_softirqs = sum(v[1] for _, v in dump(soft))
        of_hardirqs = sum(v[1] for _, v in dump(hard))
        of_groups = sum(v[0] for _, v in dump(stolen))
        # struct cpu: hard_action, hard_start, hard_sibling, hard_ns, soft_start; pending hard and soft,
        # each of set, cgroup, since_ns, ns, idle_ns
        (_, state), = dump(cpu)
        waiting, idle = state[8] + state[13], state[9] + state[14]
        print(of_softirqs + of_hardirqs, of_groups + waiting + idle, of_groups, idle, waiting, state[3] - of_hardirqs)
    elif what == "row":
        file, key, word = args
        print(sum(v[int(word)] for k, v in dump(file) if k == int(key)))


main(*sys.argv[1:])
