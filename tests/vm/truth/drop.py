"""Packets that a firewall drops in b, where a process of the group lives."""
import os
import signal
import subprocess
import time

from common import Scrape, checks, child, folder, label, netns, say, wait_until
from udp import send

RULES = """
table inet drops {
	chain input {
		type filter hook input priority 0;
		udp dport 7300 counter drop
	}
}
"""
cgroups, devices = "ebpf_cgroup_skb_drops_total", "ebpf_node_skb_drops_total"


def live():
    signal.alarm(150)
    netns("b")
    open(f"{folder}/drop_up", "w").close()
    time.sleep(1000)


def counted():
    text = subprocess.check_output(["ip", "netns", "exec", "b", "nft", "list", "ruleset"], text=True).split()
    return int(text[text.index("packets") + 1])


def events():
    pid = child(live, "drop")
    wait_until(lambda: os.path.exists(f"{folder}/drop_up"))
    subprocess.run(["ip", "netns", "exec", "b", "nft", "-f", "-"], input=RULES, text=True, check=True)
    send(1, port=7300)
    begin = Scrape()  # and looks who lives in b
    send(300, port=7300)
    lost = counted() - 1
    send(50, "b", "127.0.0.1", 7301)
    after = Scrape()
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    subprocess.check_call(["ip", "netns", "exec", "b", "nft", "flush", "ruleset"])

    def check(end):
        def grew(name, *labels):
            return after.value(name, *labels) - begin.value(name, *labels)

        reasons = "skb_drop_reason" in end.variant("skb_drop")
        firewall = 'reason="NETFILTER_DROP"' if reasons else 'reason="not_available"'
        closed = 'reason="NO_SOCKET"' if reasons else firewall
        say("equal", "drop: the firewall took", lost, 300)
        say("equal", "drop: by the firewall and at the closed port, of the namespace's group",
            grew(cgroups, label("drop"), firewall) + reasons * grew(cgroups, label("drop"), closed), lost + 50)
        if reasons:
            say("equal", "drop: by the firewall, in all", grew(cgroups, firewall), lost)
            say("equal", "drop: at the closed port, by device", grew(devices, 'device="lo"', closed), 50)
            say("equal", "drop: by the firewall, by device", grew(devices, 'device="virtual"', firewall), lost)
        say("equal", "drop: sum of the groups = sum of the devices", end.value(cgroups), end.value(devices))

    checks.append(check)
