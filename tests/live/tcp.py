#!/usr/bin/env python3
"""A process that owns TCP sockets: tcp.py NAME STEP..., NAME being its comm. The steps, in order:

listen HOST PORT     connect HOST PORT    accept             the socket that the next steps use
send BYTES           drain (until EOF)    shutdown           close
abort (linger 0)     touch FILE           await FILE         sleep (until killed)
refused HOST PORT N  N connects, each refused
aborted HOST PORT N  N connects, each reset by our close
made HOST PORT N     N connects, each closed
fails ERRNO HOST PORT N  N connects that fail so (ETIMEDOUT: after one more SYN); DROP: those given up by close
no_port HOST PORT N  N connects while no local port is free (the namespace's range has one): all but one fail
itself HOST PORT     connects a socket to itself, which is a simultaneous open
multipath HOST PORT  connects by MPTCP where the kernel has it
fill                 sends until nothing more is taken, by a buffer that the kernel may not make smaller
half_close FILE      shutdown, and when that is acknowledged the kernel's round trip time in us into FILE
backlog N            what was bound or listens listens with this backlog
reuseport HOST PORT N  N listeners of one port, with a backlog of N each
hold N               accept N connections and keep them
connects HOST PORT N N connections, begun but not waited for; kept
shutdowns N          shut down N of them
serve                accept and drain whatever comes, until killed
trickle FILE         send a little again and again, at most 60 s, until FILE is there
listener NAME PROCS  what was bound (bind HOST PORT) listens in a child that first moves itself
worker NAME PROCS    the accepted connection moves to a forked child; the parent closes it. The
                     child does the steps that follow, the parent sleeps
                     (PROCS: the child's cgroup.procs files, separated by blanks)
"""
import errno
import os
import selectors
import socket
import struct
import sys
import time

from steps import other_step


def rename(name):
    with open("/proc/self/comm", "w") as comm:
        comm.write(name)


def move(name, procs):
    for path in procs.split():
        with open(path, "w") as group:
            group.write(str(os.getpid()))
    rename(name)


def die_with_parent():
    import ctypes
    ctypes.CDLL(None).prctl(1, 9)  # PR_SET_PDEATHSIG, SIGKILL


def family(host):
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def bound(host, port):
    s = socket.socket(family(host))
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if s.family == socket.AF_INET6:
        s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    s.bind((host, int(port)))
    return s


def connected(host, port):
    s = socket.socket(family(host))
    s.connect((host, int(port)))
    return s


def begun(host, port):
    s = socket.socket(family(host))
    s.setblocking(False)
    s.connect_ex((host, int(port)))
    return s


def drain(s):
    try:
        while s.recv(1 << 20):
            pass
    except ConnectionError:
        pass


def send(s, size):
    block = bytes(64 << 10)
    while size > 0:
        size -= s.send(block[:size])


def abort(s):
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    s.close()


def fails(error, host, port):
    s = socket.socket(family(host))
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_SYNCNT, 1)
    if error == "DROP":
        s.setblocking(False)
    try:
        s.connect((host, port))
    except BlockingIOError:
        if error != "DROP":
            raise
        s.close()
    except OSError as e:
        if e.errno != getattr(errno, error):
            raise
    else:
        sys.exit("did not fail")


def no_port(host, port, n):
    held, failed = [], 0
    for _ in range(n):
        try:
            held.append(connected(host, port))
        except OSError as e:
            if e.errno != errno.EADDRNOTAVAIL:
                raise
            failed += 1
    if len(held) != 1:
        sys.exit(f"{len(held)} ports were free")


def half_close(s, path):
    s.shutdown(socket.SHUT_WR)
    while True:
        info = s.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104)
        if info[0] == 5:  # TCP_FIN_WAIT2: nothing is on its way, no more is learned of the time
            break
        time.sleep(0.01)
    with open(path + ".new", "w") as f:
        f.write(str(struct.unpack_from("I", info, 68)[0]))
    os.rename(path + ".new", path)


def serve(listener):
    select = selectors.DefaultSelector()
    select.register(listener, selectors.EVENT_READ)
    while True:
        for key, _ in select.select():
            s = key.fileobj
            if s is listener:
                select.register(s.accept()[0], selectors.EVENT_READ)
                continue
            try:
                if s.recv(1 << 20):
                    continue
            except ConnectionError:
                pass
            select.unregister(s)
            s.close()


def main():
    rename(sys.argv[1])
    steps = iter(sys.argv[2:])
    s = listener = None
    kept = []
    for step in steps:
        if step == "bind":
            listener = bound(next(steps), next(steps))
        elif step == "listen":
            listener = bound(next(steps), next(steps))
            listener.listen(64)
        elif step == "backlog":
            listener.listen(int(next(steps)))
        elif step == "reuseport":
            host, port, n = next(steps), next(steps), int(next(steps))
            for _ in range(n):
                listener = socket.socket(family(host))
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
                listener.bind((host, int(port)))
                listener.listen(n)
                kept.append(listener)
        elif step == "hold":
            kept += [listener.accept()[0] for _ in range(int(next(steps)))]
        elif step == "connects":
            host, port = next(steps), next(steps)
            kept += [begun(host, port) for _ in range(int(next(steps)))]
        elif step == "shutdowns":
            for s in kept[:int(next(steps))]:
                s.shutdown(socket.SHUT_WR)
        elif step == "listener":
            name, procs = next(steps), next(steps)
            done, told = os.pipe()
            if not os.fork():
                die_with_parent()
                move(name, procs)
                listener.listen(64)
                os.write(told, b"x")
                time.sleep(1000)
            os.read(done, 1)
        elif step == "connect":
            s = connected(next(steps), next(steps))
        elif step == "accept":
            s = listener.accept()[0]
        elif step == "worker":
            name, procs = next(steps), next(steps)
            if os.fork():
                s.close()
                time.sleep(1000)
            die_with_parent()
            listener.close()
            move(name, procs)
        elif step == "send":
            send(s, int(next(steps)))
        elif step == "trickle":
            path, end = next(steps), time.monotonic() + 60
            while not os.path.exists(path) and time.monotonic() < end:
                send(s, 4000)
                time.sleep(0.05)
        elif step == "shutdown":
            s.shutdown(socket.SHUT_WR)
        elif step == "drain":
            drain(s)
        elif step == "close":
            s.close()
        elif step == "abort":
            abort(s)
        elif step == "refused":
            host, port = next(steps), next(steps)
            for _ in range(int(next(steps))):
                try:
                    connected(host, port).close()
                    sys.exit("not refused")
                except ConnectionRefusedError:
                    pass
        elif step == "aborted":
            host, port = next(steps), next(steps)
            for _ in range(int(next(steps))):
                abort(connected(host, port))
        elif step == "made":
            host, port = next(steps), next(steps)
            for _ in range(int(next(steps))):
                connected(host, port).close()
        elif step == "fails":
            error, host, port = next(steps), next(steps), int(next(steps))
            for _ in range(int(next(steps))):
                fails(error, host, port)
        elif step == "no_port":
            no_port(next(steps), next(steps), int(next(steps)))
        elif step == "itself":
            address = next(steps), int(next(steps))
            s = bound(*address)
            s.connect(address)
            s.close()
        elif step == "multipath":
            address = next(steps), int(next(steps))
            try:
                s = socket.socket(family(address[0]), socket.SOCK_STREAM, 262)  # IPPROTO_MPTCP
            except OSError:
                continue
            s.connect(address)
            s.close()
        elif step == "fill":
            s.setsockopt(socket.SOL_SOCKET, 32, 8 << 20)  # SO_SNDBUFFORCE
            s.setblocking(False)
            try:
                while True:
                    s.send(bytes(64 << 10))
            except BlockingIOError:
                pass
        elif step == "half_close":
            half_close(s, next(steps))
        elif step == "serve":
            serve(listener)
        else:
            other_step(step, steps)


main()
