"""Errors of sockets, and memory that they were refused: by the node's limits, taken away for a moment."""
import errno
import os
import re
import signal
import socket

from common import Scrape, Since, Trace, await_child, checks, child, label, netns, read, say, v1

TCP, UDP = 8, 3


def refused():
    netns("a")
    for _ in range(TCP):
        with socket.socket() as s:
            if s.connect_ex(("10.9.0.2", 7999)) != errno.ECONNREFUSED:
                return 1
    for _ in range(UDP):
        with socket.socket(type=socket.SOCK_DGRAM) as s:
            s.settimeout(30)
            s.connect(("10.9.0.2", 7999))
            s.send(b"x")
            try:
                s.recv(1)
                return 1
            except ConnectionRefusedError:
                pass
    # not an error, though it is reported as one: the time at which a packet was sent
    with socket.socket(type=socket.SOCK_DGRAM) as s:
        s.setsockopt(socket.SOL_SOCKET, 37, 1 << 1 | 1 << 4)  # SO_TIMESTAMPING: TX_SOFTWARE, SOFTWARE
        s.sendto(b"x", ("10.9.0.2", 7998))
        signal.alarm(30)
        while True:
            try:
                s.recvmsg(1, 1024, socket.MSG_ERRQUEUE)
                return
            except BlockingIOError:
                pass


def hog():
    """Sends and receives while each protocol has room for one page."""
    netns("a")
    with socket.create_server(("127.0.0.1", 7000)) as listener:
        ends = []
        for _ in range(4):
            s = socket.create_connection(("127.0.0.1", 7000))
            s.setblocking(False)
            s.setsockopt(socket.SOL_SOCKET, 32, 8 << 20)  # SO_SNDBUFFORCE: else it is made smaller, not refused
            ends += [s, listener.accept()[0]]
        with socket.socket(type=socket.SOCK_DGRAM) as reader, socket.socket(type=socket.SOCK_DGRAM) as writer:
            reader.bind(("127.0.0.1", 7001))
            for _ in range(40):
                writer.sendto(bytes(4000), ("127.0.0.1", 7001))
            for s in ends[::2]:
                try:
                    while s.send(bytes(100_000)):
                        pass
                except BlockingIOError:
                    pass
        for s in ends:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            s.close()


def limited(work):
    limits = {name: read(f"/proc/sys/net/ipv4/{name}") for name in ("tcp_mem", "udp_mem")}
    trace = Trace("limits", "sock/sock_exceed_buf_limit")
    try:
        for name in limits:
            with open(f"/proc/sys/net/ipv4/{name}", "w") as f:
                f.write("1 1 1")
        await_child(child(work, "socket_errors"))
    finally:
        for name, was in limits.items():
            with open(f"/proc/sys/net/ipv4/{name}", "w") as f:
                f.write(was)
    seen = trace.lines()
    trace.close()
    return seen


def events():
    before = Scrape()
    await_child(child(refused, "socket_errors"))
    after = Since(before, Scrape())
    errors = "ebpf_cgroup_socket_errors_total"
    seen = limited(hog)

    def check(now):
        if now.has(errors):
            say("equal", "socket: refused connects and datagrams are so many errors",
                after.value(errors, 'errno="ECONNREFUSED"'), TCP + UDP)
            say("equal", "socket: and no others", after.value(errors), TCP + UDP)
            # a UDP socket's group is known where sockets carry one
            whole = not v1 and tuple(map(int, os.uname().release.split(".")[:2])) >= (5, 15)
            say("equal", "socket: errors are of the group", now.value(errors, label("socket_errors"), 'errno="ECONNREFUSED"'),
                TCP + UDP if whole else TCP)
        else:
            say("skip", "socket: errors", "before 5.14 the kernel has no inet_sk_error_report")
        hits, mine = "ebpf_cgroup_socket_memory_limit_hits_total", label("socket_errors")
        if seen is not None:
            kinds = re.findall(r"sock_exceed_buf_limit: .* kind=SK_MEM_(\w+)", "\n".join(seen))
            for kind in "send", "recv":
                # other truths run out of memory as well: at least what was traced
                got = now.value(hits, f'kind="{kind}"')
                say("between", f"socket: memory refused ({kind}), the kernel's trace and more", got,
                    f"{got} >= {kinds.count(kind.upper())} > 0")
        else:
            say("skip", "socket: memory refused, against the kernel's trace", "tracefs is locked down here")
        say("between", "socket: some memory was refused to senders", now.value(hits, 'kind="send"'),
            f"{now.value(hits, 'kind=' + chr(34) + 'send' + chr(34))} > 0")
        say("between", "socket: and to receivers", now.value(hits, 'kind="recv"'),
            f"{now.value(hits, 'kind=' + chr(34) + 'recv' + chr(34))} > 0")
        if not v1:
            say("between", "socket: to those of the group", now.value(hits, mine), f"{now.value(hits, mine)} > 0")

    checks.append(check)
