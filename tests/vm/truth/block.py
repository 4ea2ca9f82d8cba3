"""A null_blk disk, and one with a bad block."""
import os
import subprocess

from common import checks, child, label, read, say, wait_until


def disk_stat(name):
    fields = list(map(int, read(f"/sys/block/{name}/stat").split()))
    return {"reads": fields[0], "read_bytes": fields[2] * 512, "writes": fields[4], "write_bytes": fields[6] * 512}


def dd(*words):
    return subprocess.call(["dd", "status=none", *words], stderr=subprocess.DEVNULL)


def events():
    name = "nullb0"
    if not os.path.exists(f"/dev/{name}"):
        say("skip", "block: a null_blk disk", "this kernel has no null_blk module")
        return
    before = disk_stat(name)

    def work():
        dd("if=/dev/zero", f"of=/dev/{name}", "bs=64k", "count=40", "oflag=direct")
        dd(f"if=/dev/{name}", "of=/dev/null", "bs=16k", "count=30", "iflag=direct")

    os.waitpid(child(work, "block"), 0)
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
            now.value("ebpf_cgroup_block_ios_total", device, 'op="read"', label("block")), 30)
        say("equal", "block: the group's own writes",
            now.value("ebpf_cgroup_block_ios_total", device, 'op="write"', label("block")), 40)
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
