"""Accept queues of listeners, against the kernel: two namespaces, both families, a full queue, one that ends.

In namespaces of its own and without a reset or a retransmit: tcp.py counts those of all groups. So who
is refused gives up before it asks again, and the listener that ends has nobody in its queue.
"""
import ctypes
import os
import signal
import socket
import struct
import subprocess
import time

from common import child, checks, folder, label, netns, say, snmp, wait_until

have_storage = b"BPF_FUNC_sock_from_file" in open("/sys/kernel/btf/vmlinux", "rb").read()
SO_ATTACH_FILTER = 26


def listen(ns, host, port, backlog, refuse=False):
    netns(ns)
    s = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    s.bind((host, port))
    if refuse:  # a filter that accepts 0 bytes of each packet
        code = ctypes.create_string_buffer(struct.pack("HBBI", 0x6, 0, 0, 0))
        s.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("HL", 1, ctypes.addressof(code)))
    s.listen(backlog)
    open(f"{folder}/listens{port}", "w").close()
    time.sleep(120)


def connect(ns, host, port, n):
    netns(ns)
    for s in [socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) for _ in range(n)]:
        s.setblocking(False)
        s.connect_ex((host, port))


def queue(ns, port):
    """Of /proc/net/tcp: the VMs have no tcp_diag, by which ss would tell the limit and the drops too."""
    text = subprocess.check_output(["ip", "netns", "exec", ns, "cat", "/proc/net/tcp", "/proc/net/tcp6"], text=True)
    rows = [line.split() for line in text.splitlines()]
    return sum(int(r[4].split(":")[1], 16) for r in rows if r[3] == "0A" and r[1].endswith(f":{port:04X}"))


def started(*args):
    pid = child(lambda: listen(*args), "listen")
    wait_until(lambda: os.path.exists(f"{folder}/listens{args[2]}"))
    return pid


def visit(*args):
    os.waitpid(child(lambda: connect(*args), "listen"), 0)


def events():
    if not have_storage:
        checks.append(lambda now: say("equal", "listen: not before 5.11: absent, not 0",
                                      now.has("ebpf_cgroup_tcp_listen_backlog_connections"), False))
        return
    for ns in "listen1", "listen2":
        subprocess.check_call(["ip", "netns", "add", ns])
        subprocess.check_call(["ip", "-n", ns, "link", "set", "lo", "up"])
    started("listen1", "127.0.0.1", 7101, 2)
    started("listen2", "::", 7102, 9)
    closing = started("listen1", "127.0.0.1", 7103, 5, True)
    visit("listen1", "127.0.0.1", 7101, 7)
    visit("listen2", "::1", 7102, 4)
    visit("listen2", "127.0.0.1", 7102, 3)
    visit("listen1", "127.0.0.1", 7103, 5)
    dropped = snmp("listen1")["ListenDrops"]
    full, other = queue("listen1", 7101), queue("listen2", 7102)
    os.kill(closing, signal.SIGKILL)
    os.waitpid(closing, 0)

    def check(now):
        def got(port):
            return tuple(now.value(f"ebpf_cgroup_tcp_listen_{name}", label("listen"), f'port="{port}"')
                         for name in ("backlog_connections", "backlog_limit_connections", "drops_total"))

        say("equal", "listen: a full queue: queue, limit, drops = ListenDrops", got(7101), (full, 2, dropped))
        # one more than the limit, and another when two CPUs let somebody in at the same moment
        say("between", "listen: it is full", full, f"3 <= {full} < 7 and {dropped} > 0")
        say("equal", "listen: in another namespace, IPv6", got(7102), (other, 9, 0))
        say("equal", "listen: 7 wait there", other, 7)
        say("equal", "listen: closed: what its filter refused alone", got(7103), (0, 0, 5))
        say("equal", "listen: closed: no series",
            len([1 for name, labels, _ in now.rows if "listen_backlog" in name and ',port="7103",' in labels]), 0)

    checks.append(check)
