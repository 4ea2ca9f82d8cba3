"""truth.py PORT CGROUP FOLDER CGROUP_ROOT...: forces events, scrapes once, compares with the kernel.

Prints lines `equal WHAT GOT WANT`, `between WHAT GOT EXPRESSION`, `skip WHAT WHY`, separated by tabs.
"""
import ctypes
import os
import signal
import socket
import struct
import subprocess
import sys
import time
import urllib.request

port, cgroup, folder, roots = sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4:]
checks = []  # functions that look at the scrape
v1 = not os.path.exists("/sys/fs/cgroup/cgroup.controllers")


def say(*words):
    print("\t".join(str(w) for w in words), flush=True)


def read(path):
    with open(path) as f:
        return f.read()


def join(group):
    for root in roots:
        with open(f"{root}/{cgroup}/{group}/cgroup.procs", "w") as f:
            f.write(str(os.getpid()))


def child(work, group=None):
    """Forks; the child joins the group, works, ends with the work's result. Gives its pid."""
    pid = os.fork()
    if pid:
        return pid
    try:
        if group:
            join(group)
        status = work() or 0
    except BaseException as e:  # a child must not go on as its parent
        print(f"{work}: {e!r}", file=sys.stderr, flush=True)
        status = 99
    os._exit(status)


def label(group):
    return f'cgroup="/{cgroup}/{group}"'


def netns(name):
    fd = os.open(f"/run/netns/{name}", os.O_RDONLY)
    if ctypes.CDLL(None, use_errno=True).setns(fd, 0):
        raise OSError(ctypes.get_errno(), "setns")
    os.close(fd)


def wait_until(condition, seconds=30):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError("waited in vain")
        time.sleep(0.05)


# ---- the scrape ----


class Scrape:
    def __init__(self):
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=60) as answer:
            self.text = answer.read().decode()
        self.rows = []
        for line in self.text.splitlines():
            if line and line[0] != "#":
                series, number = line.rsplit(" ", 1)
                name, _, labels = series.partition("{")
                self.rows.append((name, "," + labels.rstrip("}") + ",", number))

    def has(self, name):
        return f"# TYPE {name} " in self.text

    def value(self, name, *labels):
        """The sum, in the family's unit times 1e9 when it has fractions (nanoseconds)."""
        found = [n for s, l, n in self.rows if s == name and all("," + w + "," in l for w in labels)]
        whole = sum(int(n) for n in found if "." not in n and "e" not in n)
        parts = [n for n in found if "." in n]
        if not parts and not name.endswith("seconds_total"):
            return whole
        total = whole * 10**9
        for n in parts:
            left, right = n.split(".")
            total += int(left) * 10**9 + int(right.ljust(9, "0"))
        return total

    def variant(self, program):
        for name, labels, _ in self.rows:
            if name == "bpf_exporter_program_attached" and f',program="{program}",' in labels:
                return labels.split('variant="')[1].split('"')[0]
        return ""


# ---- TCP: two network namespaces, a lossy link ----


def snmp(ns):
    """Counters of /proc/net/{snmp,netstat} of a namespace: a process in it reads them."""
    text = subprocess.check_output(
        (["ip", "netns", "exec", ns] if ns else []) + ["cat", "/proc/net/snmp", "/proc/net/netstat"], text=True
    ).splitlines()
    found = {}
    for names, numbers in zip(text[::2], text[1::2]):
        found.update(zip(names.split()[1:], map(int, numbers.split()[1:])))
    return found


def serve():
    signal.alarm(90)
    netns("b")
    listener = socket.socket(socket.AF_INET6)  # peers are then v4 in v6: both families must count
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("::", 7000))
    listener.listen(64)
    open(f"{folder}/listens", "w").close()
    for _ in range(13 + 7):
        peer, _ = listener.accept()
        pid = os.fork()
        if not pid:
            listener.close()
            try:
                while peer.recv(65536):
                    pass
            except ConnectionResetError:
                pass
            os._exit(0)
        peer.close()
    while True:
        try:
            os.wait()
        except ChildProcessError:
            return


def connect_and_send():
    netns("a")
    flows = []
    for _ in range(12):
        s = socket.socket()
        s.setblocking(False)
        s.connect_ex(("10.9.0.2", 7000))
        flows.append(s)
    for s in flows:
        s.settimeout(60)
        s.sendall(b"x")  # waits until it is connected
        s.close()
    with socket.create_connection(("10.9.0.2", 7000)) as s:
        s.sendall(bytes(400_000))


def reset():
    netns("a")
    for _ in range(7):
        s = socket.create_connection(("10.9.0.2", 7000))
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        s.close()
    for _ in range(20):
        try:
            socket.create_connection(("10.9.0.2", 7999))
            return 1
        except ConnectionRefusedError:
            pass


def quiet():
    for ns in "ab":
        text = subprocess.check_output(["ip", "netns", "exec", ns, "cat", "/proc/net/tcp", "/proc/net/tcp6"], text=True)
        if any(line.split()[3] not in ("06", "0A", "st") for line in text.splitlines()):
            return False
    return True


def await_child(pid, *others):
    """Waits; when the child failed (it said why), nobody waits for what it did not do."""
    status = os.waitpid(pid, 0)[1]
    if status:
        for other in others:
            os.kill(other, signal.SIGKILL)
        raise RuntimeError(f"a process of the TCP test ended with status {status}")


def tcp():
    before = snmp(None)
    server = child(serve)
    wait_until(lambda: os.path.exists(f"{folder}/listens"))
    for end, loss in ("a", 10), ("b", 25):
        subprocess.check_call(["tc", "-n", end, "qdisc", "add", "dev", f"v{end}", "root", "netem", "loss", f"{loss}%"])
    await_child(child(connect_and_send, "tcp"), server)
    for end in "ab":
        subprocess.check_call(["tc", "-n", end, "qdisc", "del", "dev", f"v{end}", "root"])
    await_child(child(reset, "tcp"), server)
    await_child(server)
    wait_until(quiet, 60)
    a, b, here = snmp("a"), snmp("b"), snmp(None)
    here = {k: here[k] - before[k] for k in here}

    def total(name):
        return a[name] + b[name] + here[name]

    def check(now):
        t, s = "ebpf_cgroup_tcp_retransmits_total", "ebpf_cgroup_tcp_synack_retransmits_total"
        say("equal", "tcp: retransmits and SYN-ACK retransmits = RetransSegs", now.value(t) + now.value(s),
            total("RetransSegs") - total("TCPRetransFail"))
        say("between", "tcp: there were some", now.value(t), f"{now.value(t)} > 5")
        say("equal", 'tcp: cause="fast" = TCPFastRetrans', now.value(t, 'cause="fast"'), total("TCPFastRetrans"))
        say("equal", 'tcp: cause="syn" and SYN-ACKs = TCPSynRetrans', now.value(t, 'cause="syn"') + now.value(s),
            total("TCPSynRetrans"))
        say("equal", "tcp: SYN-ACK retransmits = TCPSynRetrans of the server's side", now.value(s), b["TCPSynRetrans"])
        say("equal", "tcp: retransmits are the sender's group's", now.value(t, label("tcp")), a["RetransSegs"] - a["TCPRetransFail"])
        say("equal", "tcp: and the sender's own", now.value("ebpf_tcp_retransmits_total", 'comm="python3"', label("tcp")),
            a["RetransSegs"] - a["TCPRetransFail"])
        sent = now.value("ebpf_cgroup_tcp_resets_sent_total")
        if "sk_rst_reason" in now.variant("tcp_reset_sent"):
            say("equal", "tcp: resets sent = OutRsts", sent, total("OutRsts"))
            say("equal", "tcp: 20 resets from the closed port say so",
                sum(now.value("ebpf_cgroup_tcp_resets_sent_total", f'reason="{r}"') for r in ("NO_SOCKET", "no_socket")), 20)
        else:
            say("between", "tcp: resets sent <= OutRsts (before 6.10 those of sockets only)", sent,
                f"7 <= {sent} <= {total('OutRsts')} - 20")
        got = now.value("ebpf_cgroup_tcp_resets_received_total")
        say("equal", "tcp: resets received = AttemptFails + EstabResets by reset", got, 27)
        say("equal", "tcp: 20 of them the client's", now.value("ebpf_tcp_resets_received_total", label("tcp")), 20)

        say("equal", "tcp: all of them some process's", now.value("ebpf_tcp_resets_received_total", 'comm="python3"'), 27)

    checks.append(check)


# ---- scheduler: processes that stop themselves, so that their numbers stay ----


def busy():
    with open(f"{folder}/joined.{os.getpid()}", "w") as f:
        f.write("%d %d %s" % (*status(os.getpid()), read("/proc/self/schedstat").split()[2]))
    os.sched_setaffinity(0, {0})
    end = time.process_time() + 0.6
    for _ in range(5):
        time.sleep(0.002)
    while time.process_time() < end:
        pass
    os.kill(os.getpid(), signal.SIGSTOP)


def status(pid):
    fields = dict(line.split(":\t", 1) for line in read(f"/proc/{pid}/status").splitlines() if ":\t" in line)
    return int(fields["voluntary_ctxt_switches"]), int(fields["nonvoluntary_ctxt_switches"])


def sched():
    start = time.monotonic()
    pids = [child(busy, "sched") for _ in range(2)]
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


# ---- processes and signals ----


def crash():
    ctypes.string_at(0)


def births_and_deaths():
    for _ in range(5):
        os.waitpid(child(lambda: os.execv("/bin/true", ["true"])), 0)
    for _ in range(3):
        os.waitpid(child(lambda: 3), 0)
    for _ in range(2):
        pid = child(lambda: time.sleep(60))
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    os.waitpid(child(crash), 0)
    import threading

    for _ in range(4):
        t = threading.Thread(target=lambda: None)
        t.start()
        t.join()
    open(f"{folder}/born", "w").close()
    time.sleep(60)


def process():
    pid = child(births_and_deaths, "process")
    wait_until(lambda: os.path.exists(f"{folder}/born"))
    os.kill(pid, signal.SIGTERM)
    os.waitpid(pid, 0)

    def check(now):
        def count(name, *labels):
            return now.value(f"ebpf_cgroup_{name}_total", label("process"), *labels)

        say("equal", "process: execs", count("execs"), 5)
        say("equal", "process: forks of processes", count("forks", 'kind="process"'), 11)
        say("equal", "process: forks of threads", count("forks", 'kind="thread"'), 4)
        say("equal", "process: exits with status 0", count("exits", 'result="ok"'), 5)
        say("equal", "process: exits with an error", count("exits", 'result="error"'), 3)
        say("equal", "process: exits by a signal", count("exits", 'result="signal"'), 4)
        say("equal", "process: KILL from its own group", count("fatal_signals", 'signal="KILL"', 'sender="self"'), 2)
        say("equal", "process: SEGV from the kernel", count("fatal_signals", 'signal="SEGV"', 'sender="kernel"'), 1)
        say("equal", "process: TERM from outside", count("fatal_signals", 'signal="TERM"', 'sender="system"'), 1)
        say("equal", "process: no other fatal signal", count("fatal_signals"), 4)

    checks.append(check)


# ---- block devices ----


def disk_stat(name):
    fields = list(map(int, read(f"/sys/block/{name}/stat").split()))
    return {"reads": fields[0], "read_bytes": fields[2] * 512, "writes": fields[4], "write_bytes": fields[6] * 512}


def dd(*words):
    return subprocess.call(["dd", "status=none", *words], stderr=subprocess.DEVNULL)


def block():
    name = "nullb0"
    if not os.path.exists(f"/dev/{name}"):
        say("skip", "block: a null_blk disk", "this kernel has no null_blk module")
        return
    before = disk_stat(name)

    def work():
        dd("if=/dev/zero", f"of=/dev/{name}", "bs=64k", "count=40", "oflag=direct")
        dd(f"if=/dev/{name}", "of=/dev/null", "bs=16k", "count=30", "iflag=direct")

    os.waitpid(child(work, "disk"), 0)
    dd(f"if=/dev/{name}", "of=/dev/null", "bs=4k", "count=10", "iflag=direct")
    failed = bad_disk()

    def check(now):
        stat = disk_stat(name)
        stat = {k: stat[k] - before[k] for k in stat}
        device = f'device="{name}"'
        for op in "read", "write":
            ios = now.value("ebpf_cgroup_block_ios_total", device, f'op="{op}"')
            say("equal", f"block: {op}s = the disk's own count", ios, stat[f"{op}s"])
            say("equal", f"block: bytes of {op}s", now.value("ebpf_cgroup_block_bytes_total", device, f'op="{op}"'),
                stat[f"{op}_bytes"])
            say("equal", f"block: latencies of {op}s",
                now.value("ebpf_device_block_latency_seconds_count", device, f'op="{op}"'), stat[f"{op}s"])
        say("equal", "block: the group's own reads",
            now.value("ebpf_cgroup_block_ios_total", device, 'op="read"', label("disk")), 30)
        say("equal", "block: the group's own writes",
            now.value("ebpf_cgroup_block_ios_total", device, 'op="write"', label("disk")), 40)
        if failed:
            say("equal", "block: reads that the disk failed",
                now.value("ebpf_device_block_errors_total", f'device="{failed[0]}"', 'op="read"'), failed[1])

    checks.append(check)


def bad_disk():
    """A null_blk disk with a bad block, where no search for partitions looks, read three times."""
    config = "/sys/kernel/config"
    if not os.path.ismount(config):
        subprocess.call(["mount", "-t", "configfs", "none", config])
    try:
        os.mkdir(f"{config}/nullb/bad")
        for file, text in ("size", "64"), ("badblocks", "+8192-8199"), ("power", "1"):
            with open(f"{config}/nullb/bad/{file}", "w") as f:
                f.write(text)
        index = read(f"{config}/nullb/bad/index").strip()
    except OSError as e:
        say("skip", "block: a disk with a bad block", f"null_blk by configfs: {e}")
        return None
    # from 6.9 such a disk has the folder's name
    name = "bad" if os.path.exists("/sys/block/bad") else f"nullb{index}"
    wait_until(lambda: os.path.exists(f"/dev/{name}"))
    for _ in range(3):
        dd(f"if=/dev/{name}", "of=/dev/null", "bs=4k", "count=1", "skip=1024", "iflag=direct")
    return name, 3


# ---- OOM ----


def oom():
    def kills():
        return int([l.split()[1] for l in read("/proc/vmstat").splitlines() if l.startswith("oom_kill ")][0])

    before = kills()
    for _ in range(3):
        os.waitpid(child(lambda: os.execv("/usr/bin/tail", ["tail", "/dev/zero"]), "oom"), 0)
    killed = kills() - before

    def check(now):
        say("equal", "oom: three were killed", killed, 3)
        say("equal", "oom: kills of the group", now.value("ebpf_cgroup_oom_kills_total", label("oom")), killed)
        say("equal", "oom: kills in all = vmstat oom_kill", now.value("ebpf_cgroup_oom_kills_total"), killed)
        say("equal", "oom: by the victim's name", now.value("ebpf_oom_kills_total", 'comm="tail"', label("oom")), killed)

    checks.append(check)


events = {"tcp": tcp, "sched": sched, "process": process, "block": block, "oom": oom}
only = os.environ.get("VM_TRUTH", "")  # such as tcp, or tcp_resets: of the live test's name
for event in [e for e in events if not only or only.startswith(e)]:
    start = time.monotonic()
    events[event]()
    say("comment", f"{event}: {time.monotonic() - start:.1f} s")
start = time.monotonic()
scrape = Scrape()
say("comment", f"scrape: {time.monotonic() - start:.1f} s")
with open(f"{folder}/scrape.txt", "w") as f:
    f.write(scrape.text)
for name, labels, number in scrape.rows:  # which shape of each hook the programs took
    if name == "bpf_exporter_program_attached":
        found = dict(pair.split("=", 1) for pair in labels.strip(",").replace('",', '"\n').split("\n"))
        words = [found[k].strip('"') for k in ("collector", "program", "variant")]
        say("comment", " ".join(["variant", *words, number]))
for check in checks:
    check(scrape)
