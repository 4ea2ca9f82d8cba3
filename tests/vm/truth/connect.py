"""TCP connections between two namespaces of their own, c and d: made, refused, unanswered, given up."""
import ctypes
import errno
import os
import platform
import re
import resource
import select
import signal
import socket
import struct
import subprocess
import sys

import maps
from common import await_child, cgroup, checks, child, folder, label, netns, read, roots, say, snmp, wait_until

MADE, REFUSED, GIVEN_UP, NO_PORT = 12, 8, 3, 2
NO_ROUTE, REFUSED_BETWEEN, FORBIDDEN = 7, 2, 2


def note_rtt(s):
    """That this end knows its round trip time: the kernel's struct tcp_info has it at byte 68, in us."""
    if int.from_bytes(s.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 72)[68:], sys.byteorder):
        with open(f"{folder}/connect_rtts", "a") as f:
            f.write("1\n")


def serve():
    signal.alarm(90)
    netns("d")
    listener = socket.socket(socket.AF_INET6)
    listener.bind(("::", 7000))
    listener.listen(64)
    open(f"{folder}/connect_listens", "w").close()
    for _ in range(MADE + 1):
        peer, _ = listener.accept()
        peer.recv(1)
        note_rtt(peer)
        peer.close()


def attempt(family, address, wanted=None, options=()):
    with socket.socket(family) as s:
        for option in options:
            s.setsockopt(*option)
        got = s.connect_ex(address)
        if got != (wanted or 0):
            raise OSError(got, f"wanted {wanted}")
        if not got:
            note_rtt(s)


def functions_traced():
    """Known beforehand: asked of the exporter, a bug that keeps its programs off would be a reason to skip."""
    version = tuple(int(n) for n in re.findall(r"\d+", platform.release())[:2])
    return platform.machine() == "x86_64" or version >= (6, 4)


def no_route():
    for address in "2001:db8::1", "::ffff:192.0.2.1":  # the latter fails in two functions, one inside the other
        for _ in range(2):
            attempt(socket.AF_INET6, (address, 7000), errno.ENETUNREACH)
    with socket.socket() as s:  # the same one, whose other attempts get as far as to be refused
        for address, wanted in ([("192.0.2.1", errno.ENETUNREACH), ("10.98.0.2", errno.ECONNREFUSED)] * 3)[:5]:
            got = s.connect_ex((address, 7999))
            if got != wanted:
                raise OSError(got, f"wanted {wanted}")


def forbidden():
    """A program of the cgroup says no: BPF_PROG_TYPE_CGROUP_SOCK_ADDR (18) at BPF_CGROUP_INET4_CONNECT (10), and 6's."""
    group = next((f"{r}/{cgroup}/connect" for r in roots if os.path.exists(f"{r}/{cgroup}/connect/cgroup.controllers")), None)
    if not group:
        return
    code, licence = ctypes.create_string_buffer(struct.pack("=2Q", 0xB7, 0x95)), ctypes.create_string_buffer(b"GPL")
    fd = os.open(group, os.O_RDONLY)
    # before 5.11 a program counts as locked memory, of root's too
    resource.setrlimit(resource.RLIMIT_MEMLOCK, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    for hook, family, address in (10, socket.AF_INET, "10.98.0.2"), (11, socket.AF_INET6, "fd98::2"):
        program = maps.bpf(5, 18 | 2 << 32, ctypes.addressof(code), ctypes.addressof(licence), 0, 0, 0, 0, 0, hook << 32)
        link = maps.bpf(28, program | fd << 32, hook) if program >= 0 else program
        if link < 0:
            raise OSError(-link, "a program of the cgroup")
        for _ in range(FORBIDDEN):
            attempt(family, (address, 7000), errno.EPERM)
        os.close(link)
        os.close(program)
    open(f"{folder}/connect_forbidden", "w").close()


def connect():
    netns("c")
    v4, v6 = (socket.AF_INET, ("10.98.0.2", 7000)), (socket.AF_INET6, ("fd98::2", 7000))
    for _ in range(MADE // 2):
        attempt(*v4)
        attempt(*v6)
    for _ in range(REFUSED // 2):
        attempt(socket.AF_INET, ("10.98.0.2", 7999), errno.ECONNREFUSED)
        attempt(socket.AF_INET6, ("fd98::2", 7999), errno.ECONNREFUSED)
    for _ in range(GIVEN_UP):
        with socket.socket() as s:
            s.setblocking(False)
            s.connect_ex(("10.98.0.9", 7000))
    with open("/proc/sys/net/ipv4/ip_local_port_range", "w") as f:
        f.write("50000 50000")
    with socket.create_connection(v4[1]) as first:
        for _ in range(NO_PORT):
            attempt(*v4, errno.EADDRNOTAVAIL)
        note_rtt(first)
    no_route()
    forbidden()
    # to ask once more ends it after 3 s, from a timer: this process sleeps, the neighbour runs
    attempt(socket.AF_INET, ("10.98.0.9", 7000), errno.ETIMEDOUT, [(socket.IPPROTO_TCP, socket.TCP_SYNCNT, 1)])


def neighbour():
    signal.alarm(90)
    while True:
        pass


def quiet():
    for ns in "cd":
        text = subprocess.check_output(["ip", "netns", "exec", ns, "cat", "/proc/net/tcp", "/proc/net/tcp6"], text=True)
        if any(line.split()[3] not in ("06", "0A", "st") for line in text.splitlines()):
            return False
    return True


def namespaces():
    for ns in "cd":
        subprocess.check_call(["ip", "netns", "add", ns])
    subprocess.check_call("ip link add name vc netns c type veth peer name vd netns d".split())
    for ns, n in ("c", 1), ("d", 2):
        for words in (f"addr add 10.98.0.{n}/24 dev v{ns}", f"addr add fd98::{n}/64 dev v{ns} nodad",
                      "link set lo up", f"link set v{ns} up"):
            subprocess.check_call(["ip", "-n", ns, *words.split()])
    # an address that nobody has: what is sent there is lost
    subprocess.check_call("ip -n c neigh add 10.98.0.9 lladdr 02:00:00:00:00:99 dev vc".split())


def events():
    namespaces()
    server = child(serve, "connect")
    wait_until(lambda: os.path.exists(f"{folder}/connect_listens"))
    busy = child(neighbour, "neighbour")
    await_child(child(connect, "connect"), server, busy)
    os.kill(busy, signal.SIGKILL)
    os.waitpid(busy, 0)
    await_child(server)
    wait_until(quiet, 60)
    c, d = snmp("c"), snmp("d")

    def check(now):
        of, mine, python = now.value, label("connect"), 'comm="python3"'
        failures = "tcp_connect_failures_total"
        say("equal", "connect: connects and those without a local port = ActiveOpens",
            of("ebpf_cgroup_tcp_connects_total", mine) - NO_PORT, c["ActiveOpens"])
        say("equal", "connect: of the process", of("ebpf_tcp_connects_total", mine, python) - NO_PORT, c["ActiveOpens"])
        at_once = {"ENETUNREACH": NO_ROUTE, "EPERM": 2 * FORBIDDEN}
        if not os.path.exists(f"{folder}/connect_forbidden"):
            at_once["EPERM"] = 0
            say("skip", "connect: what a program of the cgroup forbids", "it takes a v2 cgroup, and there is v1 alone")
        if not functions_traced():
            at_once = dict.fromkeys(at_once, 0)
            say("skip", "connect: what the node refuses at once", "no programs on functions here (arm64 before 6.4)")
        named = {"ECONNREFUSED": REFUSED + REFUSED_BETWEEN, "ETIMEDOUT": 1, "aborted": GIVEN_UP, "EADDRNOTAVAIL": NO_PORT,
                 **at_once}
        for name, n in named.items():
            say("equal", f"connect: failures by {name}", of("ebpf_cgroup_" + failures, mine, f'errno="{name}"'), n)
            say("equal", f"connect: {name}, of the process", of("ebpf_" + failures, mine, python, f'errno="{name}"'), n)
        say("equal", "connect: failures = AttemptFails",
            of("ebpf_cgroup_" + failures, mine) - GIVEN_UP - NO_PORT - sum(at_once.values()), c["AttemptFails"])
        say("equal", "connect: none of the neighbour", of("ebpf_cgroup_" + failures, label("neighbour")), 0)
        say("equal", "connect: latencies = ActiveOpens - AttemptFails - given up",
            of("ebpf_cgroup_tcp_connect_latency_seconds_count", mine), c["ActiveOpens"] - c["AttemptFails"] - GIVEN_UP)
        say("equal", "connect: accepts = PassiveOpens", of("ebpf_cgroup_tcp_accepts_total", mine), d["PassiveOpens"])
        # an end whose packets all had to be sent twice learns it with its last one, if ever
        rtts, ends = of("ebpf_cgroup_tcp_smoothed_rtt_seconds_count", mine), 2 * d["PassiveOpens"]
        known = len(read(f"{folder}/connect_rtts").split())
        missed = of("bpf_exporter_program_missed_runs_total", 'program="connect_state"')
        say("between", "connect: round trip times = ends of connections", rtts,
            f"0 < {known} - {missed} <= {rtts} <= {ends}")

    checks.append(check)
