"""Connections that wait for a process to accept them, which is not the one that listens."""
import os
import socket
import time

from common import await_child, checks, child, folder, join, label, netns, say, wait_until

CLIENTS = 3


def established():
    with open("/proc/net/tcp") as f:
        return sum(line.split()[3] == "01" and line.split()[1].endswith(":1B58") for line in f.readlines()[1:])


def listen_and_accept():
    """Listens in the group `process`; joins the group `accept` to accept."""
    netns("a")
    listener = socket.create_server(("127.0.0.1", 7000))
    start = time.monotonic_ns()
    clients = [socket.create_connection(("127.0.0.1", 7000)) for _ in range(CLIENTS)]
    wait_until(lambda: established() == CLIENTS)
    ready = time.monotonic_ns()
    time.sleep(0.3)
    join("accept")
    before = time.monotonic_ns()
    for _ in range(CLIENTS):
        listener.accept()
    with open(f"{folder}/accept_times", "w") as f:
        f.write(f"{CLIENTS * (before - ready)} {CLIENTS * (time.monotonic_ns() - start)}")
    listener.setblocking(False)
    try:
        listener.accept()  # gives no socket
    except BlockingIOError:
        pass
    for s in clients:
        s.close()


def events():
    await_child(child(listen_and_accept, "neighbour"))
    least, most = map(int, open(f"{folder}/accept_times").read().split())

    def check(now):
        wait = "ebpf_cgroup_tcp_accept_wait_seconds"
        if not now.has(wait):
            say("skip", "accept: the wait", "this kernel does not let programs attach to inet_csk_accept (see --check)")
            return
        say("equal", "accept: one wait for each accept, of who accepts", now.value(wait + "_count", label("accept")), CLIENTS)
        say("equal", "accept: none of who listens", now.value(wait + "_count", label("neighbour")), 0)
        total = [n for name, labels, n in now.rows if name == wait + "_sum" and f",{label('accept')}," in labels]
        ns = round(float(total[0]) * 1e9) if total else 0
        say("between", "accept: as long as it was (ns)", ns, f"{least} <= {ns} <= {most}")

    checks.append(check)
