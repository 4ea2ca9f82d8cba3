"""Calls that fail for want of something, and locks that time out, which is no failure."""
import ctypes
import os

from common import checks, child, label, say


def work():
    full = os.open("/dev/full", os.O_WRONLY)
    memory = os.open("/proc/self/mem", os.O_RDONLY)
    for call, times in (lambda: os.write(full, b"x"), 6), (lambda: os.pread(memory, 1, 0), 4):
        for _ in range(times):
            try:
                call()
            except OSError:
                pass
    libc = ctypes.CDLL(None)
    number = 202 if os.uname().machine == "x86_64" else 98  # futex(&word, FUTEX_WAIT, 0, 1 ms)
    word, limit = ctypes.c_int(0), (ctypes.c_long * 2)(0, 1000000)
    for _ in range(5):
        assert libc.syscall(number, ctypes.byref(word), 0, 0, ctypes.byref(limit), None, 0) == -1


def events():
    pid = child(work, "syscall")
    assert os.waitpid(pid, 0)[1] == 0

    def check(now):
        if not now.has("ebpf_syscall_errors_total"):
            say("skip", "syscall: errors", "it is off unless asked for")
            return
        for errno, times in ("ENOSPC", 6), ("EIO", 4), ("ETIMEDOUT", 0):
            say("equal", f"syscall: {errno} of the process",
                now.value("ebpf_syscall_errors_total", f'pid="{pid}"', f'errno="{errno}"'), times)
            say("equal", f"syscall: {errno} of the group",
                now.value("ebpf_cgroup_syscall_errors_total", label("syscall"), f'errno="{errno}"'), times)

    checks.append(check)
