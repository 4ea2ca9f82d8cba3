"""A group at its memory limit, then a node that is short of memory; the kernel's tracing counts too."""
import glob
import mmap
import os
import subprocess

from common import cgroup, checks, child, folder, label, read, roots, say


def write(path, text):
    with open(path, "w") as f:
        f.write(str(text))


def number(path, name):
    return sum(int(line.split()[1]) for line in read(path).splitlines() if line.startswith(name))


class Tracing:
    """How often a tracepoint fired, by the entries of a ring buffer of its own; none under lockdown."""

    def __init__(self, event):
        self.root = f"{folder}/tracing"
        os.makedirs(self.root, exist_ok=True)
        subprocess.call(["mount", "-t", "tracefs", "none", self.root], stderr=subprocess.DEVNULL)
        self.instance = f"{self.root}/instances/{event}"
        try:
            os.mkdir(self.instance)
            write(f"{self.instance}/events/vmscan/{event}/enable", 1)
        except OSError as e:
            self.instance, self.why = None, str(e)

    def end(self):
        entries = self.count() if self.instance else None
        subprocess.call(["umount", self.root], stderr=subprocess.DEVNULL)
        return entries

    def count(self):
        write(f"{self.instance}/tracing_on", 0)
        entries = 0
        for stats in glob.glob(f"{self.instance}/per_cpu/cpu*/stats"):
            for line in read(stats).splitlines():
                if line.startswith(("entries:", "overrun:")):
                    entries += int(line.split()[1])
        os.rmdir(self.instance)
        return entries


def read_files():
    """Larger than the limit; pages of a loop device's file would be charged to the group too, and stay."""
    block = bytearray(1 << 20)
    for path in glob.glob("/usr/lib/*/*.so*") + glob.glob("/usr/bin/*") + glob.glob("/usr/lib/python3*/*.py"):
        if os.path.isfile(path):
            with open(path, "rb", buffering=0) as f:
                while f.readinto(block):
                    pass


def at_the_limit():
    limit = f"{roots[0]}/{cgroup}/reclaim/memory.max"
    write(limit if os.path.exists(limit) else limit.replace("max", "limit_in_bytes"), "12M")
    write("/proc/sys/vm/drop_caches", 1)
    pid = child(read_files, "reclaim")
    assert os.waitpid(pid, 0)[1] == 0
    return pid


def node_is_short():
    """Pages of files fill the memory; then more of it has to stay free than there is."""
    read_files()
    keep = read("/proc/sys/vm/min_free_kbytes")

    def ask():
        area = mmap.mmap(-1, 24 << 20)
        for at in range(0, len(area), 4096):
            area[at] = 1

    try:
        write("/proc/sys/vm/min_free_kbytes", number("/proc/meminfo", "MemFree:") + 8192)
        pid = child(ask)
        os.waitpid(pid, 0)
    finally:
        write("/proc/sys/vm/min_free_kbytes", keep)
    return pid


def events():
    memcg = Tracing("mm_vmscan_memcg_reclaim_begin")
    try:
        pid = at_the_limit()
    finally:
        memcg_fired = memcg.end()
    node, stalls = Tracing("mm_vmscan_direct_reclaim_begin"), number("/proc/vmstat", "allocstall_")
    try:
        asker = node_is_short()
    finally:
        node_fired, stalls = node.end(), number("/proc/vmstat", "allocstall_") - stalls

    def check(now):
        own = now.value("ebpf_cgroup_direct_reclaims_total", label("reclaim"))
        say("between", "reclaim: the group reached its limit", own, f"{own} > 5")
        say("equal", "reclaim: all of it by its process",
            now.value("ebpf_direct_reclaims_total", label("reclaim"), f'pid="{pid}"', 'scope="memcg"'), own)
        say("equal", "reclaim: observations",
            now.value("ebpf_cgroup_direct_reclaim_latency_seconds_count", label("reclaim")), own)
        say("equal", "reclaim: its time is the histogram's sum",
            now.value("ebpf_cgroup_direct_reclaim_seconds_total", label("reclaim")),
            now.value("ebpf_cgroup_direct_reclaim_latency_seconds_sum", label("reclaim")))
        found = now.value("ebpf_cgroup_direct_reclaims_total", 'scope="node"')
        asked = now.value("ebpf_direct_reclaims_total", 'scope="node"', f'pid="{asker}"')
        say("between", "reclaim: the node was short, of those who asked", asked, f"0 < {asked} <= {found}")
        if memcg_fired is None:
            say("skip", "reclaim: the kernel's tracing says the same", memcg.why)
        else:
            say("equal", "reclaim: limits reached = the kernel's tracing",
                now.value("ebpf_cgroup_direct_reclaims_total", label("reclaim"), 'scope="memcg"'), memcg_fired)
            say("between", "reclaim: the node was short = the kernel's tracing", found,
                f"{node_fired} <= {found}")
        say("between", "reclaim: the node was short, at most as vmstat says", found, f"{asked} <= {stalls}")

    checks.append(check)
