"""TCP between two network namespaces, a and b, over a link that loses packets."""
import os
import socket
import signal
import struct
import subprocess
import time

from common import Scrape, Since, await_child, checks, child, folder, label, netns, say, snmp, wait_until


def serve():
    signal.alarm(240)  # of a slow machine, with a quarter of the packets lost
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


def events():
    wait_until(quiet, 60)
    before, scrape_before = [snmp(ns) for ns in ("a", "b", None)], Scrape()
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
    # The truths of other collectors used the namespaces before: differences only.
    # Scrape and kernel at one moment: on a slow machine the scrapes themselves retransmit later on.
    for _ in range(20):
        kernel = [snmp(ns) for ns in ("a", "b", None)]
        scrape_after = Scrape()
        if [snmp(ns)["RetransSegs"] for ns in ("a", "b", None)] == [k["RetransSegs"] for k in kernel]:
            break
        time.sleep(0.5)
    else:
        raise TimeoutError("something retransmits all the time: the kernel's counters were never the same before and after a scrape")
    a, b, here = ({k: n - was[k] for k, n in now.items()} for now, was in zip(kernel, before))

    def total(name):
        return a[name] + b[name] + here[name]

    def check(_):
        now = Since(scrape_before, scrape_after)
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
