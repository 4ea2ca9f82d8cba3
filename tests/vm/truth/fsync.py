"""A known number of calls, of a process and its threads, on a filesystem in memory."""
import ctypes
import mmap
import os
import threading

from common import checks, child, folder, label, say

libc = ctypes.CDLL(None, use_errno=True)


def work():
    fd = os.open(f"{folder}/fsync", os.O_RDWR | os.O_CREAT, 0o600)
    os.ftruncate(fd, 4096)
    area = mmap.mmap(fd, 4096)
    for _ in range(7):
        os.fsync(fd)
    for _ in range(5):
        os.fdatasync(fd)
    for _ in range(3):
        area.flush()
    for _ in range(2):
        libc.syncfs(fd)
    for _ in range(4):
        libc.sync_file_range(fd, ctypes.c_int64(0), ctypes.c_int64(4096), 2)
    for call in libc.fsync, libc.fdatasync, libc.syncfs:
        assert call(-1) == -1
    threads = [threading.Thread(target=lambda: [os.fsync(fd) for _ in range(10)]) for _ in range(2)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()


def events():
    pid = child(work, "fsync")
    assert os.waitpid(pid, 0)[1] == 0

    def check(now):
        if not now.has("ebpf_fsyncs_total"):
            say("skip", "fsync: calls", "no programs on functions here, and nobody asked for it by name")
            return
        say("equal", "fsync: calls of the process", now.value("ebpf_fsyncs_total", f'pid="{pid}"'), 44)
        say("equal", "fsync: calls of the group", now.value("ebpf_cgroup_fsyncs_total", label("fsync")), 44)
        say("equal", "fsync: observations", now.value("ebpf_cgroup_fsync_latency_seconds_count", label("fsync")), 44)
        say("equal", "fsync: its time is the histogram's sum",
            now.value("ebpf_fsync_seconds_total", label("fsync")),
            now.value("ebpf_cgroup_fsync_latency_seconds_sum", label("fsync")))

    checks.append(check)
