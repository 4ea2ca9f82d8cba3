#!/usr/bin/env python3
"""The kernel's own counts of processes, summed over their threads and over the processes.

    sched_oracle.py PID...

prints four numbers: wait in seconds, runs, voluntary and involuntary switches.
"""
import os
import sys
from decimal import Decimal


def threads(pid):
    for tid in os.listdir(f"/proc/{pid}/task"):
        folder = f"/proc/{pid}/task/{tid}"
        wait, runs = map(int, open(f"{folder}/schedstat").read().split()[1:3])
        status = dict(line.split(":", 1) for line in open(f"{folder}/status") if ":" in line)
        yield wait, runs, int(status["voluntary_ctxt_switches"]), int(status["nonvoluntary_ctxt_switches"])


sums = [sum(column) for column in zip(*(t for pid in sys.argv[1:] for t in threads(pid)))]
print(f"{(Decimal(sums[0]) / 10**9).normalize():f}", *sums[1:])
