"""pods.py PODS RATE SECONDS PROGRAM NODE BASE CGROUP_ROOT...: a node whose pods come and go.

Makes PODS pods, and writes NODE/full; then for SECONDS each second RATE of them end, the oldest first, and as many
new ones begin; then all of them end. A pod is what a kubelet makes of one: cgroups BASE/kubepods/besteffort/podUID/ID
below each root, NODE/var/log/pods and NODE/var/log/containers. It has two containers; each runs PROGRAM, which
ends, and then sleeps until its pod ends. Prints how many containers there were.
"""
import os
import signal
import sys
import time

pods, rate, seconds = map(int, sys.argv[1:4])
program, node, base, *roots = sys.argv[4:]
NAMES = ("cart", "proxy")
logs, links = f"{node}/var/log/pods", f"{node}/var/log/containers"
living = []  # of each pod its cgroups, the last ones first, its files, and its processes


def container(cgroup):
    pid = os.fork()
    if pid:
        return pid
    try:
        for root in roots:
            with open(f"{root}/{cgroup}/cgroup.procs", "w") as procs:
                procs.write(str(os.getpid()))
        child = os.fork()
        if not child:
            os.execv(program, [program])
        os.waitpid(child, 0)
        os.execv("/bin/sleep", ["sleep", "100000"])
    finally:
        os._exit(99)


def begin(n):
    uid = f"{n:08x}-1111-4222-8333-444444444444"
    pod = f"{base}/kubepods/besteffort/pod{uid}"
    cgroups, files, pids = [pod], [f"{logs}/soak_web-{n}_{uid}"], []
    os.mkdir(files[0])
    for root in roots:
        os.makedirs(f"{root}/{pod}")
    for i, name in enumerate(NAMES):
        container_id = f"{n:032x}{i:032x}"
        cgroups.insert(0, f"{pod}/{container_id}")
        for root in roots:
            os.mkdir(f"{root}/{cgroups[0]}")
        files.append(f"{links}/web-{n}_soak_{name}-{container_id}.log")
        os.symlink(f"{files[0]}/{name}/0.log", files[-1])
        pids.append(container(cgroups[0]))
    living.append((cgroups, files, pids))


def end(number):
    ended, living[:number] = living[:number], []
    for _, _, pids in ended:
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
    for cgroups, files, pids in ended:
        for pid in pids:
            if os.waitpid(pid, 0)[1] != signal.SIGKILL:
                raise RuntimeError("a container ended by itself")
        for cgroup in cgroups:
            for root in roots:
                os.rmdir(f"{root}/{cgroup}")
        for path in files[1:]:
            os.unlink(path)
        os.rmdir(files[0])


for n in range(pods):
    begin(n)
with open(f"{node}/full", "w"):
    pass
time.sleep(2)  # no pod lives shorter than names take
made, start = pods, time.monotonic()
while (now := time.monotonic() - start) < seconds:
    due = int(now * rate) - (made - pods)
    if not due:
        time.sleep(0.01)
        continue
    end(due)
    for _ in range(due):
        begin(made)
        made += 1
time.sleep(2)
end(len(living))
print(made * len(NAMES))
