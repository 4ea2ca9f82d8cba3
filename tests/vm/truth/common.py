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

sys.path.append(os.path.dirname(os.path.abspath(__file__)) + "/../../live")
import maps  # noqa: E402

port, cgroup, folder, roots = sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4:]
checks = []  # functions that look at the scrape
v1 = not os.path.exists("/sys/fs/cgroup/cgroup.controllers")


def say(kind, what, *words):
    """
    equal WHAT GOT WANT; between WHAT GOT EXPRESSION; skip WHAT WHY; comment WHAT. Prints `ok`, `not ok`, `skip`
    or `comment`, WHAT, and for the latter two why, separated by tabs, as truth.sh reads them.
    """
    if kind == "equal":
        got, want = map(str, words)
        fine, words = got == want, (f"got {got}, the kernel says {want}",)
        what = f"{what} ({got})" if fine else what
    elif kind == "between":
        got, expression = words
        fine, words = eval(str(expression), {}), (f"{expression} is wrong",)
        what = f"{what} ({got})" if fine else what
    if kind in ("equal", "between"):
        kind, words = ("ok", ()) if fine else ("not ok", words)
    print("\t".join(str(w) for w in (kind, what, *words)), flush=True)


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


def rows_left(name):
    """Of a map of the exporter's that is no metric."""
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            if read(f"/proc/{pid}/comm").strip() == "bpf_exporter":
                return maps.rows(pid, name)
        except (OSError, SystemExit):
            pass
    raise RuntimeError(f"no exporter has a map {name}")


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


def locked_down():
    path = "/sys/kernel/security/lockdown"
    return os.path.exists(path) and "[confidentiality]" in read(path)


class Trace:
    """The kernel's own trace of some events, as text; None of it where the kernel is locked down."""

    def __init__(self, name, *events):
        if locked_down():
            # nor is it mounted: 6.12 and newer have a bug that ends the machine at the umount
            self.folder = None
            return
        root = "/sys/kernel/tracing"
        if not os.path.ismount(root):
            subprocess.call(["mount", "-t", "tracefs", "none", root], stderr=subprocess.DEVNULL)
        self.folder = f"{root}/instances/{name}"
        try:
            os.makedirs(self.folder)
            with open(f"{self.folder}/buffer_size_kb", "w") as f:
                f.write("2048")
            for event in events:
                with open(f"{self.folder}/events/{event}/enable", "w") as f:
                    f.write("1")
        except OSError:
            self.folder = None

    def lines(self, *words):
        if not self.folder:
            return None
        text = read(f"{self.folder}/trace")
        return [line for line in text.splitlines() if line[:1] != "#" and all(w in line for w in words)]

    def close(self):
        if self.folder:
            os.rmdir(self.folder)


# ---- the scrape ----


class Scrape:
    def __init__(self):
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=60) as answer:
            self.text = answer.read().decode()
        self.rows, self.families = [], {}
        for line in self.text.splitlines():
            if line and line[0] != "#":
                series, number = line.rsplit(" ", 1)
                name, _, labels = series.partition("{")
                self.rows.append((name, "," + labels.rstrip("}") + ",", number))
                self.families.setdefault(name, []).append(self.rows[-1])

    def has(self, name):
        return f"# TYPE {name} " in self.text

    def value(self, name, *labels):
        """The sum, in the family's unit times 1e9 when it has fractions (nanoseconds)."""
        found = [n for _, l, n in self.families.get(name, ()) if all("," + w + "," in l for w in labels)]
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
        for _, labels, _ in self.families.get("bpf_exporter_program_attached", ()):
            if f',program="{program}",' in labels:
                return labels.split('variant="')[1].split('"')[0]
        return ""


class Since:
    """What was counted between two scrapes: the truths of several collectors make the same events."""

    def __init__(self, before, after):
        self.before, self.after = before, after
        self.has, self.variant = after.has, after.variant

    def value(self, name, *labels):
        return self.after.value(name, *labels) - self.before.value(name, *labels)
