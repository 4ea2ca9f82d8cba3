"""What the truths of all collectors share: processes, groups, namespaces, the scrape, the kernel's counters."""
import ctypes
import os
import signal
import socket
import struct
import subprocess
import sys
import time
import urllib.request

port, cgroup, folder, roots = sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4:]
checks = []  # functions that look at the scrape
v1 = not os.path.exists("/sys/fs/cgroup/cgroup.controllers")


def say(*words):
    print("\t".join(str(w) for w in words), flush=True)


def read(path):
    with open(path) as f:
        return f.read()


def join(group):
    for root in roots:
        with open(f"{root}/{cgroup}/{group}/cgroup.procs", "w") as f:
            f.write(str(os.getpid()))


def child(work, group=None):
    """Forks; the child joins the group, works, ends with the work's result. Gives its pid."""
    pid = os.fork()
    if pid:
        return pid
    try:
        if group:
            join(group)
        status = work() or 0
    except BaseException as e:  # a child must not go on as its parent
        print(f"{work}: {e!r}", file=sys.stderr, flush=True)
        status = 99
    os._exit(status)


def label(group):
    return f'cgroup="/{cgroup}/{group}"'


def netns(name):
    fd = os.open(f"/run/netns/{name}", os.O_RDONLY)
    if ctypes.CDLL(None, use_errno=True).setns(fd, 0):
        raise OSError(ctypes.get_errno(), "setns")
    os.close(fd)


def wait_until(condition, seconds=30):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError("waited in vain")
        time.sleep(0.05)


def await_child(pid, *others):
    """Waits; when the child failed (it said why), nobody waits for what it did not do."""
    status = os.waitpid(pid, 0)[1]
    if status:
        for other in others:
            os.kill(other, signal.SIGKILL)
        raise RuntimeError(f"a process of the test ended with status {status}")


def snmp(ns):
    """Counters of /proc/net/{snmp,netstat} of a namespace: a process in it reads them."""
    text = subprocess.check_output(
        (["ip", "netns", "exec", ns] if ns else []) + ["cat", "/proc/net/snmp", "/proc/net/netstat"], text=True
    ).splitlines()
    found = {}
    for names, numbers in zip(text[::2], text[1::2]):
        found.update(zip(names.split()[1:], map(int, numbers.split()[1:])))
    return found


# ---- the scrape ----


class Scrape:
    def __init__(self):
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=60) as answer:
            self.text = answer.read().decode()
        self.rows = []
        for line in self.text.splitlines():
            if line and line[0] != "#":
                series, number = line.rsplit(" ", 1)
                name, _, labels = series.partition("{")
                self.rows.append((name, "," + labels.rstrip("}") + ",", number))

    def has(self, name):
        return f"# TYPE {name} " in self.text

    def value(self, name, *labels):
        """The sum, in the family's unit times 1e9 when it has fractions (nanoseconds)."""
        found = [n for s, l, n in self.rows if s == name and all("," + w + "," in l for w in labels)]
        whole = sum(int(n) for n in found if "." not in n and "e" not in n)
        parts = [n for n in found if "." in n]
        if not parts and not name.endswith("seconds_total"):
            return whole
        total = whole * 10**9
        for n in parts:
            left, right = n.split(".")
            total += int(left) * 10**9 + int(right.ljust(9, "0"))
        return total

    def variant(self, program):
        for name, labels, _ in self.rows:
            if name == "bpf_exporter_program_attached" and f',program="{program}",' in labels:
                return labels.split('variant="')[1].split('"')[0]
        return ""


class Since:
    """What was counted between two scrapes: the truths of several collectors make the same events."""

    def __init__(self, before, after):
        self.before, self.after = before, after
        self.has, self.variant = after.has, after.variant

    def value(self, name, *labels):
        return self.after.value(name, *labels) - self.before.value(name, *labels)
