"""Processes that stop themselves, so that their numbers stay."""
import os
import signal
import time

from common import checks, child, folder, label, read, say, wait_until


def busy():
    with open(f"{folder}/joined.{os.getpid()}", "w") as f:
        f.write("%d %d %s" % (*status(os.getpid()), read("/proc/self/schedstat").split()[2]))
    os.sched_setaffinity(0, {0})
    while not os.path.exists(f"{folder}/go"):  # else the first one may be done before the second begins
        time.sleep(0.002)
    end = time.process_time() + 0.6
    for _ in range(5):
        time.sleep(0.002)
    while time.process_time() < end:
        pass
    os.kill(os.getpid(), signal.SIGSTOP)


def status(pid):
    fields = dict(line.split(":\t", 1) for line in read(f"/proc/{pid}/status").splitlines() if ":\t" in line)
    return int(fields["voluntary_ctxt_switches"]), int(fields["nonvoluntary_ctxt_switches"])


def events():
    start = time.monotonic()
    pids = [child(busy, "sched") for _ in range(2)]
    wait_until(lambda: all(os.path.exists(f"{folder}/joined.{p}") for p in pids), 60)
    open(f"{folder}/go", "w").close()
    wait_until(lambda: all("\nState:\tT" in read(f"/proc/{p}/status") for p in pids), 60)
    took = time.monotonic() - start

    def check(now):
        name = "ebpf_context_switches_total"
        for p in pids:
            voluntary, involuntary = status(p)
            pid = f'pid="{p}"'
            say("equal", "sched: voluntary switches = /proc/PID/status", now.value(name, pid, 'kind="voluntary"'), voluntary)
            say("equal", "sched: involuntary switches = /proc/PID/status", now.value(name, pid, 'kind="involuntary"'),
                involuntary)
            wait = int(read(f"/proc/{p}/schedstat").split()[1])
            say("equal", "sched: run-queue wait in ns = /proc/PID/schedstat",
                now.value("ebpf_runqueue_wait_seconds_total", pid), wait)
        of_group = now.value("ebpf_cgroup_context_switches_total", label("sched"))
        of_both = sum(sum(status(p)) for p in pids)
        # their first steps, up to when they joined the group, may be another group's
        joined = [list(map(int, read(f"{folder}/joined.{p}").split())) for p in pids]
        first = sum(j[0] + j[1] for j in joined)
        say("between", "sched: switches of the group", of_group, f"{of_both} - {first} <= {of_group} <= {of_both}")
        wait = now.value("ebpf_cgroup_runqueue_wait_seconds_total", label("sched"))
        say("between", "sched: two on one CPU wait for each other", wait, f"2e8 < {wait} < {2e9 * took}")
        count = now.value("ebpf_cgroup_runqueue_latency_seconds_count", label("sched"))
        runs = sum(int(read(f"/proc/{p}/schedstat").split()[2]) for p in pids)
        say("between", "sched: runs in the histogram", count, f"{runs} - {sum(j[2] for j in joined)} <= {count} <= {runs}")
        preempted = now.value("ebpf_cgroup_preemptions_total", label("sched"))
        say("equal", "sched: preemptions = involuntary switches", preempted,
            now.value("ebpf_cgroup_context_switches_total", label("sched"), 'kind="involuntary"'))
        for p in pids:
            os.kill(p, signal.SIGKILL)

    checks.append(check)
