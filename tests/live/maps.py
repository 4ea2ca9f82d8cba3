"""maps.py PID NAME: how many rows the map of that name has, among those that the process has open.

For maps that are no metrics: what is left in them when all is at rest is a leak. (bpftool could tell,
but the virtual machines have none.)
"""
import ctypes
import glob
import os
import platform
import re
import sys

BPF_MAP_GET_NEXT_KEY, BPF_MAP_GET_FD_BY_ID, BPF_OBJ_GET_INFO_BY_FD = 4, 14, 15
SYS_BPF = {"x86_64": 321, "aarch64": 280}[platform.machine()]
libc = ctypes.CDLL(None, use_errno=True)


class MapInfo(ctypes.Structure):  # the beginning of struct bpf_map_info
    _fields_ = [(n, ctypes.c_uint32) for n in ("type", "id", "key_size", "value_size", "max_entries", "flags")] + [
        ("name", ctypes.c_char * 16)]


def bpf(command, *words):
    attr = (ctypes.c_uint64 * 16)(*words)
    result = libc.syscall(SYS_BPF, command, attr, ctypes.sizeof(attr))
    return result if result >= 0 else -ctypes.get_errno()


def open_map(pid, name):
    for file in glob.glob(f"/proc/{pid}/fdinfo/*"):
        try:
            found = re.search(r"^map_id:\s*(\d+)", open(file).read(), re.M)
        except OSError:
            continue
        fd = bpf(BPF_MAP_GET_FD_BY_ID, int(found[1])) if found else -1
        if fd < 0:
            continue
        info = MapInfo()
        bpf(BPF_OBJ_GET_INFO_BY_FD, fd | ctypes.sizeof(info) << 32, ctypes.addressof(info))
        if info.name.decode() == name:
            return fd, info.key_size
        os.close(fd)
    raise SystemExit(f"process {pid} has no map {name}")


def rows(pid, name):
    fd, key_size = open_map(pid, name)
    key, following = ctypes.create_string_buffer(key_size), ctypes.create_string_buffer(key_size)
    n, at = 0, 0
    while bpf(BPF_MAP_GET_NEXT_KEY, fd, at, ctypes.addressof(following)) == 0:
        n += 1
        key.raw, at = following.raw, ctypes.addressof(key)
    os.close(fd)
    return n


if __name__ == "__main__":
    print(rows(sys.argv[1], sys.argv[2]))
