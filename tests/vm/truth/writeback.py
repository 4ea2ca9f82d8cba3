"""A writer that must wait for a slow disk, and a partition with a bad block."""
import os
import subprocess

from block import dd, new_disk, setting
from common import Trace, checks, child, label, read, say, wait_until


def events():
    if not os.path.exists("/sys/module/null_blk"):
        say("skip", "writeback: null_blk disks", "this kernel has no null_blk module")
        return
    throttled()
    journal()
    errors()


def sysctl(name, text):
    with open(f"/proc/sys/vm/{name}", "w") as f:
        f.write(text)


def throttled():
    """Little memory may be dirty, and the disk takes 8 MB in a second."""
    name = new_disk("slowpoke", mbps=8)
    setting(name, "max_sectors_kb", "64")  # it never takes a request of more than a tick's 167 kB
    trace = Trace("dirty", "writeback/balance_dirty_pages")
    before = read("/proc/sys/vm/dirty_bytes"), read("/proc/sys/vm/dirty_background_bytes"), \
        read("/proc/sys/vm/dirty_ratio"), read("/proc/sys/vm/dirty_background_ratio")
    sysctl("dirty_background_bytes", "262144")
    sysctl("dirty_bytes", "1048576")
    pid = child(lambda: dd("if=/dev/zero", f"of=/dev/{name}", "bs=64k", "count=192"), "writeback")
    os.waitpid(pid, 0)
    for file, text in zip(("dirty_bytes", "dirty_background_bytes", "dirty_ratio", "dirty_background_ratio"), before):
        if text.strip() != "0":
            sysctl(file, text)
    # in whole jiffies, of which the trace shows milliseconds
    pauses = [int(line.split(" pause=")[1].split()[0]) for line in trace.lines() or [] if line.split()[0].startswith("dd-")]
    traced = trace.folder is not None
    trace.close()
    want = sum(p for p in pauses if p > 0) * 10**6

    def check(now):
        slept = now.value("ebpf_cgroup_dirty_throttle_seconds_total", label("writeback"))
        say("between", "writeback: the group had to sleep", slept, f"{slept} > 0")
        if traced:
            say("equal", "writeback: for how long, in ns = the kernel's trace", slept, want)
        say("equal", "writeback: the process is the writer",
            now.value("ebpf_dirty_throttle_seconds_total", label("writeback"), 'comm="dd"'), slept)

    checks.append(check)


def journal():
    """tests/live/writeback_test.sh looks at a kernel that has jbd2; Debian's have it as a module."""
    with open("/sys/kernel/btf/vmlinux", "rb") as f:
        known = b"btf_trace_jbd2_run_stats\0" in f.read()
    checks.append(lambda now: say("equal", "writeback: journal commits are there when the kernel has jbd2",
                                  now.has("ebpf_device_journal_commit_seconds"), known))


def errors():
    """
    A bad block in a partition. Its pages belong to the inode of the partition itself, in a file system of the
    kernel's that has no device. The device is the partition; of the requests it is the disk.
    """
    disk = new_disk("worn", badblocks="+8192-8199", memory_backed=1)
    subprocess.check_call(["addpart", f"/dev/{disk}", "1", "2048", "65536"])
    name = disk + ("p1" if disk[-1].isdigit() else "1")
    wait_until(lambda: os.path.exists(f"/dev/{name}"))
    trace = Trace("errors", "filemap/filemap_set_wb_err")
    for _ in range(3):
        dd("if=/dev/zero", f"of=/dev/{name}", "bs=4k", "seek=768", "count=1", "conv=fsync,notrunc")
    seen = trace.lines()
    trace.close()

    def check(now):
        lost = now.value("ebpf_device_writeback_errors_total", f'device="{name}"')
        if seen is None:
            say("between", "writeback: errors of the partition", lost, f"{lost} >= 3")
        else:
            say("between", "writeback: the disk failed writes", len(seen), f"{len(seen)} >= 3")
            say("equal", "writeback: errors of the partition = the kernel's trace", lost, len(seen))
        failed = now.value("ebpf_device_block_errors_total", f'device="{disk}"', 'op="write"')
        say("between", "writeback: requests failed by the disk", failed, f"{failed} >= 3")

    checks.append(check)
