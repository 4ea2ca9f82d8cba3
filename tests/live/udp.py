#!/usr/bin/env python3
"""A process with sockets that lose what they receive: udp.py NAME STEP..., NAME being its comm.

bind HOST PORT       a UDP socket with the smallest buffer, that nobody reads
raw FAMILY           a raw ICMP socket (inet or inet6) with the smallest buffer, that nobody reads
send HOST PORT N     N datagrams of 64 bytes from one socket
sendmore N           from the same one to the same
ping HOST N          N ICMP echo requests (v4 or v6) from one raw socket
icmp HOST N          N ICMP echo requests (v4 or v6) from one ICMP socket (no raw one) with the smallest
                     buffer, that reads none of the answers and stays open
fragments HOST N     N datagrams of which every second fragment is missing (v4, raw)
keep NAME PROCS      a forked child, moved into PROCS (cgroup.procs files), holds the sockets too and
                     does the steps that follow; the parent sleeps
touch FILE           await FILE           sleep (until killed)
"""
import ctypes
import os
import socket
import struct
import sys
import time

from steps import other_step

from_name = {"inet": socket.AF_INET, "inet6": socket.AF_INET6}


def rename(name):
    with open("/proc/self/comm", "w") as comm:
        comm.write(name)


def family(host):
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def small(s):
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)  # the kernel makes it its least
    return s


def checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def send(s, data, where):
    while True:
        try:
            s.sendto(data, where)
            return
        except ConnectionRefusedError:
            pass  # of an earlier one: this one was not sent
        except PermissionError:
            return  # the firewall took it
        except BlockingIOError:
            time.sleep(0.001)


def main():
    rename(sys.argv[1])
    steps = iter(sys.argv[2:])
    kept = []
    for step in steps:
        if step == "bind":
            host, port = next(steps), int(next(steps))
            kept.append(small(socket.socket(family(host), socket.SOCK_DGRAM)))
            kept[-1].bind((host, port))
        elif step == "raw":
            af = from_name[next(steps)]
            icmp = socket.IPPROTO_ICMP if af == socket.AF_INET else socket.IPPROTO_ICMPV6
            kept.append(small(socket.socket(af, socket.SOCK_RAW, icmp)))
        elif step == "send":
            host, port = next(steps), int(next(steps))
            sender = socket.socket(family(host), socket.SOCK_DGRAM)
            for _ in range(int(next(steps))):
                send(sender, bytes(64), (host, port))
        elif step == "sendmore":
            for _ in range(int(next(steps))):
                send(sender, bytes(64), (host, port))
        elif step == "ping":
            host = next(steps)
            if family(host) == socket.AF_INET:
                s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
                body = struct.pack("!BBHHH", 8, 0, 0, 1, 1) + bytes(56)
                body = body[:2] + struct.pack("!H", checksum(body)) + body[4:]
            else:
                s = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
                body = struct.pack("!BBHHH", 128, 0, 0, 1, 1) + bytes(56)
            small(s)
            for _ in range(int(next(steps))):
                send(s, body, (host, 0))
        elif step == "icmp":
            host = next(steps)
            v6 = family(host) == socket.AF_INET6
            s = small(socket.socket(family(host), socket.SOCK_DGRAM, 58 if v6 else 1))
            kept.append(s)
            for number in range(int(next(steps))):
                send(s, struct.pack("!BBHHH", 128 if v6 else 8, 0, 0, 0, number) + bytes(56), (host, 0))
        elif step == "fragments":
            host = next(steps)
            s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
            for number in range(int(next(steps))):
                for part in (4, 0, 8, 2, 6, 10):  # so that the tree of fragments has branches
                    header = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 84, 1000 + number, 0x2000 | part * 8, 64, 17, 0,
                                         bytes(4), socket.inet_aton(host))
                    send(s, header + bytes(64), (host, 0))
        elif step == "keep":
            name, procs = next(steps), next(steps)
            if os.fork():
                time.sleep(1000)
            ctypes.CDLL(None).prctl(1, 9)  # PR_SET_PDEATHSIG, SIGKILL
            for path in procs.split():
                with open(path, "w") as group:
                    group.write(str(os.getpid()))
            rename(name)
        else:
            other_step(step, steps)


main()
