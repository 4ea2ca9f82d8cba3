"""Datagrams that find no room in their socket, sent from a to b."""
import os
import signal
import socket
import subprocess
import time

from common import Scrape, checks, child, folder, label, netns, read, say, wait_until

name = "ebpf_cgroup_udp_receive_drops_total"


def receive():
    signal.alarm(120)
    netns("b")
    sockets = [socket.socket(type=socket.SOCK_DGRAM)]
    sockets[0].setsockopt(socket.SOL_SOCKET, 33, 16 << 20)  # SO_RCVBUFFORCE
    sockets[0].bind(("10.9.0.2", 7201))
    for family, host in (socket.AF_INET, "10.9.0.2"), (socket.AF_INET6, "::1"):
        s = socket.socket(family, socket.SOCK_DGRAM)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        s.bind((host, 7200))
        sockets.append(s)
    open(f"{folder}/udp_up", "w").close()
    time.sleep(1000)


def send(n, ns="a", host="10.9.0.2", port=7200, size=64):
    def work():
        netns(ns)
        s = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
        for _ in range(n):
            s.sendto(bytes(size), (host, port))
    os.waitpid(child(work), 0)


def errors(ns):
    """Of UDP alone: UDP-Lite has counters of the same names."""
    text = subprocess.check_output(["ip", "netns", "exec", ns, "cat", "/proc/net/snmp"], text=True)
    names, numbers = [l.split()[1:] for l in text.splitlines() if l.startswith("Udp:")]
    return dict(zip(names, map(int, numbers)))


def errors6():
    text = subprocess.check_output(["ip", "netns", "exec", "b", "cat", "/proc/net/snmp6"], text=True)
    return {l.split()[0]: int(l.split()[1]) for l in text.splitlines() if l.startswith("Udp6")}


def no_memory(n):
    """All UDP sockets of the node may have one page together, and since 6.0 the 1 MiB that each CPU keeps
    back. Gives how many datagrams that cost, by the kernel."""
    limit = "/proc/sys/net/ipv4/udp_mem"
    was = read(limit)

    def lost():
        now = errors("b")  # MemErrors came with 5.11
        return now["InErrors"] - now["RcvbufErrors"] - now["InCsumErrors"]

    before = lost()
    with open(limit, "w") as f:
        f.write("1 1 1")
    try:
        send(n, size=1400, port=7201)
    finally:
        with open(limit, "w") as f:
            f.write(was)
    return lost() - before


def events():
    pid = child(receive, "udp")
    wait_until(lambda: os.path.exists(f"{folder}/udp_up"))
    zero = Scrape()
    send(50)
    first = errors("b")["RcvbufErrors"]
    begin = Scrape()  # and looks whose the socket is
    send(300)
    lost = errors("b")["RcvbufErrors"] - first
    six = errors6()["Udp6RcvbufErrors"]
    send(100, "b", "::1")
    six = errors6()["Udp6RcvbufErrors"] - six
    after = Scrape()
    starved = no_memory(2000)
    fed = Scrape()

    for receiver in (pid,):
        os.kill(receiver, signal.SIGKILL)
        os.waitpid(receiver, 0)

    def check(end):
        def grew(*labels, name=name, since=begin, until=after):
            return until.value(name, *labels) - since.value(name, *labels)

        say("between", "udp: datagrams were lost for want of memory", starved, f"{starved} > 20")
        say("equal", 'udp: reason="memory" = InErrors of neither rcvbuf nor checksum',
            grew('reason="memory"', since=after, until=fed), starved)
        say("equal", "udp: lost before anybody knew whose", grew('reason="rcvbuf"', since=zero, until=begin), first)
        has6 = "skb_drop_reason" in end.variant("udp_other_drop")
        if not has6:
            say("skip", "udp: IPv6", "before 5.17 the kernel does not tell of it")
        say("equal", "udp: all = RcvbufErrors" + (" + Udp6RcvbufErrors" if has6 else ""), grew('reason="rcvbuf"'),
            lost + six * has6)
        say("between", "udp: there were some", lost, f"{lost} > 200 and {six} > 50")
        with open("/sys/kernel/btf/vmlinux", "rb") as f:
            storage = b"BPF_FUNC_sock_from_file" in f.read()
        if storage:
            with_socket = lost + six * ("sk_buff" in end.variant("udp_receive_drop"))
            say("equal", "udp: of the receiving process",
                grew(label("udp"), 'comm="python3"', name="ebpf_udp_receive_drops_total"), with_socket)
            of_group = grew(label("udp"))
            if with_socket > lost:
                say("equal", "udp: of its group", of_group, with_socket)
            else:  # IPv6's are the namespace's, and who lived there before may still have it
                say("between", "udp: of its group", of_group, f"{lost} <= {of_group} <= {lost + six}")
        else:
            say("skip", "udp: of the receiving process", "before 5.11 programs cannot look at the sockets that are open")

    checks.append(check)
