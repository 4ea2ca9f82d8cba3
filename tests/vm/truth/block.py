"""null_blk disks: one as it is, and others that are slow, throttled, bad, without statistics, or taken away."""
import mmap
import os
import signal
import subprocess
import threading
import time

from common import Scrape, Since, Trace, checks, child, label, read, rows_left, say, v1, wait_until

CONFIG = "/sys/kernel/config"


def disk_stat(name):
    fields = list(map(int, read(f"/sys/block/{name}/stat").split()))
    return {"reads": fields[0], "read_bytes": fields[2] * 512, "writes": fields[4], "write_bytes": fields[6] * 512,
            "merged_writes": fields[5]}


def dd(*words):
    return subprocess.call(["dd", "status=none", *words], stderr=subprocess.DEVNULL)


def new_disk(name, **settings):
    """A null_blk disk of its own; gives its name."""
    if not os.path.ismount(CONFIG):
        subprocess.call(["mount", "-t", "configfs", "none", CONFIG])
    os.mkdir(f"{CONFIG}/nullb/{name}")
    for file, text in {"size": 64, **settings, "power": 1}.items():
        with open(f"{CONFIG}/nullb/{name}/{file}", "w") as f:
            f.write(str(text))
    index = read(f"{CONFIG}/nullb/{name}/index").strip()
    # from 6.9 such a disk has the folder's name
    found = name if os.path.exists(f"/sys/block/{name}") else f"nullb{index}"
    wait_until(lambda: os.path.exists(f"/dev/{found}"))
    return found


def setting(name, file, text):
    with open(f"/sys/block/{name}/queue/{file}", "w") as f:
        f.write(text)


def direct(name, write, *blocks, failures=None):
    """Starts a thread for each: one request of 4 KiB at that block. Gives the threads."""
    def work(fd, at):
        page = mmap.mmap(-1, 4096)
        try:
            (os.pwritev if write else os.preadv)(fd, [page], at * 4096)
        except OSError as e:
            if failures is not None:
                failures.append(e)
        os.close(fd)

    # opened here: when they begin the disk may be gone
    disks = [os.open(f"/dev/{name}", os.O_RDWR | os.O_DIRECT) for _ in blocks]
    threads = [threading.Thread(target=work, args=args) for args in zip(disks, blocks)]
    for t in threads:
        t.start()
    return threads


def join_all(threads):
    for t in threads:
        t.join()


def in_flight(name):
    return sum(map(int, read(f"/sys/block/{name}/inflight").split()))


def events():
    name = "nullb0"
    if not os.path.exists(f"/dev/{name}"):
        say("skip", "block: a null_blk disk", "this kernel has no null_blk module")
        return
    before = disk_stat(name)

    def work():
        dd("if=/dev/zero", f"of=/dev/{name}", "bs=64k", "count=40", "oflag=direct")
        dd(f"if=/dev/{name}", "of=/dev/null", "bs=16k", "count=30", "iflag=direct")

    os.waitpid(child(work, "block"), 0)
    dd(f"if=/dev/{name}", "of=/dev/null", "bs=4k", "count=10", "iflag=direct")

    def check(now):
        stat = disk_stat(name)
        stat = {k: stat[k] - before[k] for k in stat}
        device = f'device="{name}"'
        for op in "read", "write":
            ios = now.value("ebpf_cgroup_block_ios_total", device, f'op="{op}"')
            say("equal", f"block: {op}s = the disk's own count", ios, stat[f"{op}s"])
            say("equal", f"block: bytes of {op}s", now.value("ebpf_cgroup_block_bytes_total", device, f'op="{op}"'),
                stat[f"{op}_bytes"])
            say("equal", f"block: latencies of {op}s",
                now.value("ebpf_device_block_latency_seconds_count", device, f'op="{op}"'), stat[f"{op}s"])
        say("equal", "block: the group's own reads",
            now.value("ebpf_cgroup_block_ios_total", device, 'op="read"', label("block")), 30)
        say("equal", "block: the group's own writes",
            now.value("ebpf_cgroup_block_ios_total", device, 'op="write"', label("block")), 40)
        say("equal", "block: bytes that its dd wrote",
            now.value("ebpf_block_bytes_total", 'op="write"', 'comm="dd"', label("block")), 40 * 65536)

    checks.append(check)
    reader()
    try:
        for case in slow_disk, throttled_disk, bad_disk, disk_without_statistics, buffered_writes, lost_disk:
            case()
    except OSError as e:
        say("skip", "block: other disks", f"null_blk by configfs: {e}")

    def check_rest(_):
        # the machine's own disk may be busy for a moment
        try:
            wait_until(lambda: rows_left("block_in_flight") == 0)
        except TimeoutError:
            pass
        say("equal", "block: at rest no request is in flight", rows_left("block_in_flight"), 0)

    checks.append(check_rest)


def reader():
    """A process that reads, and stops itself so that its own numbers can be read."""
    def work():
        join_all(direct("nullb0", False, *range(25)))
        os.kill(os.getpid(), signal.SIGSTOP)

    pid = child(work)
    wait_until(lambda: "\nState:\tT" in read(f"/proc/{pid}/status"))

    def check(now):
        account = dict(line.split(": ") for line in read(f"/proc/{pid}/io").splitlines())
        say("equal", "block: bytes that a process read = /proc/PID/io",
            now.value("ebpf_block_bytes_total", f'pid="{pid}"', 'op="read"'), account["read_bytes"])
        os.kill(pid, signal.SIGKILL)

    checks.append(check)


def slow_disk():
    """One request at a time, so that others wait in the queue, where two become one."""
    name = new_disk("slow", irqmode=2, completion_nsec=700_000_000, hw_queue_depth=1)
    setting(name, "scheduler", "mq-deadline")
    setting(name, "nr_requests", "16")  # of the scheduler, which else has room for two
    before = disk_stat(name)
    threads = direct(name, True, 1000)
    wait_until(lambda: in_flight(name))
    # the scheduler has handed out the first one of these: it waits for the disk alone; the last one closes the gap
    for at in 2000, 0, 2, 1:
        threads += direct(name, True, at)
        time.sleep(0.1)
    join_all(threads)
    stat = disk_stat(name)
    stat = {k: stat[k] - before[k] for k in stat}

    def check(now):
        device = f'device="{name}"'
        say("equal", "block: requests that waited = the disk's own count",
            now.value("ebpf_device_block_queue_seconds_count", device, 'op="write"'), stat["writes"])
        if not stat["merged_writes"]:
            say("skip", "block: requests that were merged while they waited", "none was, in the time that there is here")
        waited = now.value("ebpf_device_block_queue_seconds_sum", device, 'op="write"')
        say("between", "block: the second one waited for the first", waited, f"1e8 < {waited} < 6e10")

    checks.append(check)


def throttled_disk():
    """
    One that takes a megabyte in a second, and gives back what is more. In each tick of 20 ms it takes 20971
    bytes: a larger request would be given back for ever.
    """
    name = new_disk("throttled", mbps=1)
    setting(name, "scheduler", "mq-deadline")
    major, minor = read(f"/sys/block/{name}/dev").strip().split(":")
    trace = Trace("requeues", "block/block_rq_requeue")
    before = disk_stat(name)
    dd("if=/dev/zero", f"of=/dev/{name}", "bs=16k", "count=24", "oflag=direct")
    seen = trace.lines(f" {major},{minor} ")
    trace.close()
    writes = disk_stat(name)["writes"] - before["writes"]

    def check(now):
        device = f'device="{name}"'
        requeues = now.value("ebpf_device_block_requeues_total", device)
        if seen is None:
            say("between", "block: requests given back", requeues, f"{requeues} > 0")
        else:
            say("between", "block: the disk gave requests back", len(seen), f"{len(seen)} > 0")
            say("equal", "block: requests given back = the kernel's trace", requeues, len(seen))
        for what in "queue", "latency":
            say("equal", f"block: each counts once in {what}_seconds",
                now.value(f"ebpf_device_block_{what}_seconds_count", device, 'op="write"'), writes)

    checks.append(check)


def bad_disk():
    """A disk with a bad block, where no search for partitions looks, read three times."""
    name = new_disk("bad", badblocks="+8192-8199")
    for _ in range(3):
        dd(f"if=/dev/{name}", "of=/dev/null", "bs=4k", "count=1", "skip=1024", "iflag=direct")
    checks.append(lambda now: say("equal", "block: reads that the disk failed",
                                  now.value("ebpf_device_block_errors_total", f'device="{name}"', 'op="read"'), 3))


def disk_without_statistics():
    name = new_disk("uncounted")
    setting(name, "iostats", "0")
    before = disk_stat(name)
    dd("if=/dev/zero", f"of=/dev/{name}", "bs=4k", "count=21", "oflag=direct")
    same = disk_stat(name)["writes"] == before["writes"]

    def check(now):
        say("equal", "block: the kernel keeps no statistics of a disk", same, True)
        say("equal", "block: its requests are counted",
            now.value("ebpf_device_block_latency_seconds_count", f'device="{name}"', 'op="write"'), 21)

    checks.append(check)


def buffered_writes():
    """A group's data that others write to the disk: they stay the group's on cgroup v2."""
    name = new_disk("buffered", memory_backed=1)

    def write():
        with open(f"/dev/{name}", "wb", buffering=0) as f:
            f.write(bytes(1 << 20))
            os.kill(os.getpid(), signal.SIGSTOP)  # closing it would write

    pid = child(write, "block")
    wait_until(lambda: "\nState:\tT" in read(f"/proc/{pid}/status"))
    os.sync()
    wait_until(lambda: disk_stat(name)["write_bytes"] >= 1 << 20)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)

    def check(now):
        device = f'device="{name}"'
        say("equal", "block: buffered writes reach the disk",
            now.value("ebpf_cgroup_block_bytes_total", device, 'op="write"'), 1 << 20)
        if not v1:
            say("equal", "block: they are the writer's group's",
                now.value("ebpf_cgroup_block_bytes_total", device, 'op="write"', label("block")), 1 << 20)
        say("equal", "block: not of the writer itself",
            now.value("ebpf_block_bytes_total", f'pid="{pid}"', 'op="write"'), 0)

    checks.append(check)


def lost_disk():
    """A disk that is taken away while requests wait and it works on others."""
    trace = Trace("lost", "block/block_rq_issue")
    before = Scrape()
    name = new_disk("lost", irqmode=2, completion_nsec=400_000_000, hw_queue_depth=2)
    setting(name, "scheduler", "mq-deadline")
    number = read(f"/sys/block/{name}/dev").strip()
    failures = []
    threads = direct(name, False, *range(100, 900, 100), failures=failures)
    wait_until(lambda: in_flight(name) >= 2)
    with open(f"{CONFIG}/nullb/lost/power", "w") as f:
        f.write("0")
    join_all(threads)
    os.rmdir(f"{CONFIG}/nullb/lost")
    seen = trace.lines(f" {number.replace(':', ',')} ")
    trace.close()
    # name and number were another disk's before, and will be again: what happened in between
    lost = Since(before, Scrape())

    def check(_):
        served = sum(lost.value("ebpf_device_block_latency_seconds_count", f'device="{d}"') for d in {name, number})
        say("between", "block: a lost disk served what did not fail", served, f"{served} >= {8 - len(failures)}")
        if seen is not None:
            say("equal", "block: of a lost disk all that it was handed is counted", served, len(seen))

    checks.append(check)
