"""TCP sockets by state, against ss. In a namespace of its own: tcp.py waits until its own are quiet."""
import os
import socket
import subprocess
import time

from common import Scrape, child, checks, folder, label, netns, say, wait_until

OVER = 7
have_storage = b"BPF_FUNC_sock_from_file" in open("/sys/kernel/btf/vmlinux", "rb").read()


def serve():
    netns("sockets")
    s = socket.create_server(("127.0.0.1", 7201), backlog=40)
    open(f"{folder}/sockets_listens", "w").close()
    kept = [s.accept()[0] for _ in range(30)]
    if os.fork():  # all of them open twice
        open(f"{folder}/sockets_held", "w").close()
    time.sleep(120)
    return len(kept)


def connect():
    netns("sockets")
    kept = [socket.create_connection(("127.0.0.1", 7201)) for _ in range(30)]
    wait_until(lambda: os.path.exists(f"{folder}/sockets_held"))
    for s in kept[:12]:
        s.shutdown(socket.SHUT_WR)
    with socket.create_server(("127.0.0.1", 7202)) as listener:
        for _ in range(OVER):
            s = socket.create_connection(("127.0.0.1", 7202))
            other, _ = listener.accept()
            s.close()
            other.close()
    time.sleep(120)


def ss(state):
    text = subprocess.check_output(["ip", "netns", "exec", "sockets", "ss", "-Htan", "state", state], text=True)
    return len(text.splitlines())


def same_over(over):
    """The exporter may look again a little later than it is asked."""
    over[:] = (Scrape().value("ebpf_cgroup_tcp_sockets", label("sockets"), 'state="time_wait"'), ss("time-wait"))
    return over[0] == over[1]


def events():
    if not have_storage:
        checks.append(lambda now: say("equal", "sockets: not before 5.11, but for time_wait: absent, not 0",
                                      [l for _, l, _ in now.families.get("ebpf_cgroup_tcp_sockets", ())
                                       if 'state="time_wait"' not in l], []))
    subprocess.check_call(["ip", "netns", "add", "sockets"])
    subprocess.check_call(["ip", "-n", "sockets", "link", "set", "lo", "up"])
    child(serve, "sockets")
    wait_until(lambda: os.path.exists(f"{folder}/sockets_listens"))
    child(connect, "sockets")
    wait_until(lambda: ss("fin-wait-2") == 12)
    wait_until(lambda: ss("close-wait") == 12)
    wait_until(lambda: ss("time-wait") == OVER)
    over = []  # now: they are gone in a minute
    wait_until(lambda: same_over(over), 20)

    def check(now):
        def got(state):
            return now.value("ebpf_cgroup_tcp_sockets", label("sockets"), f'state="{state}"')

        say("equal", "sockets: over, of the namespace's group", *over)
        if not have_storage:
            return
        say("equal", "sockets: established, both ends", got("established"), ss("established"))
        say("equal", "sockets: there are 18 each", ss("established"), 36)
        say("equal", "sockets: half closed, the one end", got("fin_wait2"), 12)
        say("equal", "sockets: half closed, the other", got("close_wait"), 12)
        say("equal", "sockets: one listens", got("listen"), 1)

    checks.append(check)
