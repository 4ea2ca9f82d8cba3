"""Three processes that ask for more than their group may have."""
import os

from common import checks, child, label, read, say


def events():
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
