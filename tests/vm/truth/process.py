"""How processes begin and end, and the signals that end them."""
import ctypes
import os
import signal
import threading
import time

from common import checks, child, folder, label, say, wait_until


def crash():
    ctypes.string_at(0)


def births_and_deaths():
    for _ in range(5):
        os.waitpid(child(lambda: os.execv("/bin/true", ["true"])), 0)
    for _ in range(3):
        os.waitpid(child(lambda: 3), 0)
    for _ in range(2):
        pid = child(lambda: time.sleep(60))
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    os.waitpid(child(crash), 0)

    for _ in range(4):
        t = threading.Thread(target=lambda: None)
        t.start()
        t.join()
    open(f"{folder}/born", "w").close()
    time.sleep(60)


def events():
    pid = child(births_and_deaths, "process")
    wait_until(lambda: os.path.exists(f"{folder}/born"))
    os.kill(pid, signal.SIGTERM)
    os.waitpid(pid, 0)

    def check(now):
        def count(name, *labels):
            return now.value(f"ebpf_cgroup_{name}_total", label("process"), *labels)

        say("equal", "process: execs", count("execs"), 5)
        say("equal", "process: forks of processes", count("forks", 'kind="process"'), 11)
        say("equal", "process: forks of threads", count("forks", 'kind="thread"'), 4)
        say("equal", "process: exits with status 0", count("exits", 'result="ok"'), 5)
        say("equal", "process: exits with an error", count("exits", 'result="error"'), 3)
        say("equal", "process: exits by a signal", count("exits", 'result="signal"'), 4)
        say("equal", "process: KILL from its own group", count("fatal_signals", 'signal="KILL"', 'sender="self"'), 2)
        say("equal", "process: SEGV from the kernel", count("fatal_signals", 'signal="SEGV"', 'sender="kernel"'), 1)
        say("equal", "process: TERM from outside", count("fatal_signals", 'signal="TERM"', 'sender="system"'), 1)
        say("equal", "process: no other fatal signal", count("fatal_signals"), 4)

    checks.append(check)
