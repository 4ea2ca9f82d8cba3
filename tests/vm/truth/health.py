"""A hung task, a clock that is set, an ext4 file system with errors, machine checks injected by software."""
import ctypes
import decimal
import os
import re
import subprocess
import time

from common import Scrape, checks, child, folder, label, read, say, wait_until

TIMEOUT = "/proc/sys/kernel/hung_task_timeout_secs"
DETECTED = "/proc/sys/kernel/hung_task_detect_count"  # from 6.13


def run(*words):
    return subprocess.call(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def write(path, text):
    with open(path, "w") as f:
        f.write(str(text))


def messages():
    return len(re.findall("blocked for more than", subprocess.check_output(["dmesg"], text=True)))


def detected():
    return int(read(DETECTED)) if os.path.exists(DETECTED) else messages()


def loop_fs(name):
    """Mounts a new ext4; gives its folder and its device's name."""
    image, where = f"{folder}/{name}.img", f"{folder}/{name}"
    os.mkdir(where)
    with open(image, "wb") as f:
        f.truncate(8 << 20)
    if run("mkfs.ext4", "-q", "-E", "lazy_itable_init=0", image) or run("mount", "-o", "loop,errors=continue", image, where):
        return None, None
    device = subprocess.check_output(["findmnt", "-n", "-o", "SOURCE", where], text=True).strip()
    return where, os.path.basename(device)


def hang(where):
    if not os.path.exists(TIMEOUT):
        say("skip", "health: a hung task", "this kernel does not look for them")
        return
    before, old = detected(), read(TIMEOUT)
    run("fsfreeze", "-f", where)
    write(TIMEOUT, 3)
    pid = child(lambda: os.close(os.open(f"{where}/file", os.O_CREAT | os.O_WRONLY)), "health")
    wait_until(lambda: detected() > before, 60)
    run("fsfreeze", "-u", where)
    write(TIMEOUT, old)
    os.waitpid(pid, 0)
    want = detected() - before

    def check(now):
        say("equal", "health: hung tasks = the kernel's detections", now.value("ebpf_cgroup_hung_tasks_total"), want)
        say("equal", "health: of the group", now.value("ebpf_cgroup_hung_tasks_total", label("health")), want)
        say("equal", "health: of the process", now.value("ebpf_hung_tasks_total", f'pid="{pid}"'), want)

    checks.append(check)


def filesystem_errors(where, device):
    for _ in range(3):
        write(f"/sys/fs/ext4/{device}/trigger_fs_error", 1)

    def check(now):
        got = now.value("ebpf_device_filesystem_errors_total", f'device="{device}"')
        say("equal", "health: errors of an ext4", got, 3)
        say("equal", "health: the file's own count", int(read(f"/sys/fs/ext4/{device}/errors_count")), 3)

    checks.append(check)


def clock_steps():
    def steps():
        return Scrape().value("ebpf_node_clock_steps_total")

    before = steps()
    for i in range(1, 4):
        time.clock_settime(time.CLOCK_REALTIME, time.time() + 10)
        wait_until(lambda: steps() != before + i - 1)
    run("date", "-s", "+5 seconds")
    wait_until(lambda: steps() != before + 3)
    checks.append(lambda now: say("equal", "health: the clock was set", now.value("ebpf_node_clock_steps_total"), before + 4))


def adjtimex(modes=0, offset=0, status=0):
    """struct timex: modes, offset, freq, maxerror, esterror, status ...; gives the offset in seconds."""
    words = (ctypes.c_long * 32)()
    words[0], words[1], words[5] = modes, offset, status
    if ctypes.CDLL(None, use_errno=True).adjtimex(words) < 0:
        raise OSError(ctypes.get_errno(), "adjtimex")
    nano = words[5] & 0x2000  # STA_NANO
    seconds = decimal.Decimal(words[1]).scaleb(-9 if nano else -6)
    # 5.10 returns 2^32 ns more for a negative one in microseconds; what was set is 20 ms
    return seconds - decimal.Decimal(2**32).scaleb(-9) if seconds > 1 else seconds


def clock_offset():
    adjtimex(0x0011, -20000, 0x0001)  # ADJ_OFFSET, ADJ_STATUS; STA_PLL: it shrinks from second to second
    before = adjtimex()
    time.sleep(1.5)  # what is shown was read in the last poll
    shown = decimal.Decimal(Scrape().families["ebpf_node_clock_offset_seconds"][0][2])
    say("between", "health: the clock's offset", shown, f"{before} <= {shown} <= {adjtimex()}")
    say("between", "health: it is negative", shown, f"{shown} < 0")
    adjtimex(0x0011, 0, 0)


def machine_checks():
    inject = "/sys/kernel/debug/mce-inject"
    if not os.path.ismount("/sys/kernel/debug"):
        run("mount", "-t", "debugfs", "none", "/sys/kernel/debug")
    if run("modprobe", "mce-inject") or not os.path.exists(f"{inject}/bank"):
        say("skip", "health: machine checks", "no mce-inject module here")
        return
    kinds = {"corrected": 0x9400000000000000, "uncorrected": 0xB400000000000000, "fatal": 0xB600000000000000,
             "deferred": 0x9400100000000000}
    try:
        for n, status in enumerate(kinds.values()):
            for _ in range(n + 1):
                write(f"{inject}/flags", "sw")
                write(f"{inject}/status", hex(status))
                write(f"{inject}/bank", 1)
    except OSError as e:
        say("skip", "health: machine checks", f"mce-inject: {e}")
        return

    def check(now):
        for n, kind in enumerate(kinds):
            say("equal", f"health: machine checks, {kind}",
                now.value("ebpf_node_hardware_errors_total", 'source="mce"', f'severity="{kind}"'), n + 1)

    checks.append(check)


def incidents(now):
    for kind in "warn", "oops", "softlockup", "hardlockup", "rcu_stall":
        file = f"/sys/kernel/{kind}_count"
        rows = [n for name, labels, n in now.rows if name == "ebpf_node_kernel_incidents_total" and f'kind="{kind}"' in labels]
        say("equal", f"health: {kind} as in its file", " ".join(rows) or "absent",
            read(file).strip() if os.path.exists(file) else "absent")


def events():
    machine_checks()
    where, device = loop_fs("ext4")
    if not where:
        say("skip", "health: a hung task, errors of an ext4", "no loop device or no ext4 here")
    else:
        hang(where)
        filesystem_errors(where, device)
    clock_steps()
    clock_offset()
    checks.append(incidents)
