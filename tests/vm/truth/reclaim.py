"""A group at its memory limit; the kernel's tracing counts too. A node that is short of memory is not made here."""
import glob
import os
import subprocess

from common import cgroup, checks, child, folder, label, locked_down, read, roots, say


def write(path, text):
    with open(path, "w") as f:
        f.write(str(text))


class Tracing:
    """How often a tracepoint fired, by the entries of a ring buffer of its own; none under lockdown."""

    def __init__(self, event):
        if locked_down():
            self.instance, self.why = None, "this kernel is locked down"
            return
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
        if not self.instance:
            return None
        entries = self.count()
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
    """More than the limit; pages of a loop device's file would be charged to the group too, and stay."""
    block, left = bytearray(1 << 20), 40 << 20
    for path in sorted(glob.glob("/usr/lib/*/*.so*") + glob.glob("/usr/bin/*")):
        if left > 0 and os.path.isfile(path):
            with open(path, "rb", buffering=0) as f:
                while n := f.readinto(block):
                    left -= n


def at_the_limit():
    limit = f"{roots[0]}/{cgroup}/reclaim/memory.max"
    write(limit if os.path.exists(limit) else limit.replace("max", "limit_in_bytes"), "12M")
    write("/proc/sys/vm/drop_caches", 1)
    pid = child(read_files, "reclaim")
    assert os.waitpid(pid, 0)[1] == 0
    return pid


def events():
    memcg = Tracing("mm_vmscan_memcg_reclaim_begin")
    try:
        pid = at_the_limit()
    finally:
        memcg_fired = memcg.end()

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
        if memcg_fired is None:
            say("skip", "reclaim: the kernel's tracing says the same", memcg.why)
        else:
            say("equal", "reclaim: limits reached = the kernel's tracing",
                now.value("ebpf_cgroup_direct_reclaims_total", label("reclaim"), 'scope="memcg"'), memcg_fired)

    checks.append(check)
