"""A group at its memory limit, and a node that is short of memory; the kernel's tracing counts too."""
import glob
import mmap
import os
import subprocess

from common import Scrape, Since, cgroup, checks, child, folder, label, locked_down, read, roots, say


def write(path, text):
    with open(path, "w") as f:
        f.write(str(text))


class Tracing:
    """How often a tracepoint fired, by the entries of a ring buffer of its own; none under lockdown."""

    def __init__(self, event):
        if locked_down():
            self.instance, self.why = None, "this kernel is locked down"
            return
        self.root = "/sys/kernel/tracing"
        if not os.path.ismount(self.root):
            subprocess.call(["mount", "-t", "tracefs", "none", self.root], stderr=subprocess.DEVNULL)
        self.instance = f"{self.root}/instances/{event}"
        try:
            os.mkdir(self.instance)
            write(f"{self.instance}/events/vmscan/{event}/enable", 1)
        except OSError as e:
            self.instance, self.why = None, str(e)

    def end(self):
        return self.count() if self.instance else None

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


def allocstalls():
    return sum(int(line.split()[1]) for line in read("/proc/vmstat").splitlines() if line.startswith("allocstall_"))


def memory(name):
    """In bytes, by /proc/meminfo."""
    return int(read("/proc/meminfo").split(f"{name}:")[1].split()[0]) * 1024


def hog(cpu, size, enough):
    """Takes memory faster than kswapd, which gets no CPU from it, can free what files had, until it stalled enough."""
    def work():
        os.sched_setaffinity(0, {cpu})
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
        area = mmap.mmap(-1, size)
        for at in range(0, size, mmap.PAGESIZE):
            area[at] = 1
            if at % (8 << 20) == 0 and allocstalls() > enough:
                break
    return work


def take_memory(enough):
    cpus = sorted(os.sched_getaffinity(0))
    size = int(memory("MemAvailable") * 0.6 / len(cpus)) & -mmap.PAGESIZE
    pids = [child(hog(cpu, size, enough), "reclaim_node") for cpu in cpus]
    for pid in pids:
        if os.waitpid(pid, 0)[1]:
            raise RuntimeError("a process that takes memory failed")


def node_is_short():
    """Gives how often processes had to free memory themselves, by vmstat and by the tracing, and how often they were
    slowed down, by the tracing."""
    before = allocstalls()
    stalls, throttles = Tracing("mm_vmscan_direct_reclaim_begin"), Tracing("mm_vmscan_throttled")
    try:
        with open(f"/var/tmp/{cgroup}", "w+b") as f:  # a hole: pages of it are in the cache, and cost no disk
            os.unlink(f.name)
            f.truncate(1 << 40)
            while memory("MemFree") > 60_000_000:
                f.read(1 << 20)
            take_memory(before + 20)
    finally:
        traced = throttles.end(), stalls.end()
    return allocstalls() - before, traced[1], traced[0]


def events():
    begin = Scrape()
    stalls, traced, throttled = node_is_short()
    end = Since(begin, Scrape())

    def node(now):
        counted = end.value("ebpf_cgroup_direct_reclaims_total", 'scope="node"')
        say("between", "reclaim: node: some had to free memory themselves", counted, f"0 < {counted} <= {stalls}")
        if traced is None:
            say("skip", "reclaim: node: the kernel's tracing says the same", "this kernel is locked down")
        else:
            say("equal", "reclaim: node: = the kernel's tracing", counted, traced)
        own = end.value("ebpf_cgroup_direct_reclaims_total", label("reclaim_node"), 'scope="node"')
        say("between", "reclaim: node: by those who took it", own, f"0 < {own} <= {counted}")
        say("equal", "reclaim: node: of the processes, too",
            end.value("ebpf_direct_reclaims_total", label("reclaim_node"), 'comm="python3"', 'scope="node"'), own)
        if throttled is not None and now.has("ebpf_node_reclaim_throttles_total"):
            say("equal", "reclaim: node: slowed down = the kernel's tracing",
                end.value("ebpf_node_reclaim_throttles_total"), throttled)

    checks.append(node)
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
