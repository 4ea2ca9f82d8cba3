"""contract.py: what the BPF objects need of a kernel, checked against BTF, with no boot and no root.

    contract.py check FOLDER BTF...   the objects x.bpf.o in FOLDER against each BTF file
    contract.py cut FOLDER IMAGE OUT  the part of a kernel's BTF that matters: the structs that the objects
                                      look into, with all their members, and the tracepoints they use

Each CO-RE relocation of each program is looked up as libbpf does. One that the kernel lacks is fine
when the object also asks whether it is there; else the program would not load. And each tracepoint
must have one of the shapes in shapes.txt, and each function that a program hangs on: an argument that
moved loads well and counts wrong.
"""

import glob
import os
import struct
import sys

sys.path.insert(0, os.path.dirname(__file__))
from btf import Btf, Type, in_image  # noqa: E402

FIELDS = {0: "offset", 1: "size", 2: "exists", 3: "signed", 4: "lshift", 5: "rshift"}
TYPES = {7: "id", 8: "exists", 9: "size", 12: "matches"}
VALUES = {10: "exists", 11: "value"}
HOOKS = "tp_btf", "iter", "fentry", "fexit"
CALL_PREFIXES = {"amd64": "__x64_", "arm64": "__arm64_"}  # of sys_x, as exporter/attach_hook.c


class Object:
    def __init__(self, path):
        self.name = os.path.basename(path).removesuffix(".bpf.o")
        sections = elf_sections(open(path, "rb").read())
        self.btf = Btf(sections[".BTF"])
        self.hooks = [s.removeprefix("?").split("/", 1) for s in sections if s.removeprefix("?").split("/")[0] in HOOKS]
        self.needs = sorted(set(self.relocations(sections[".BTF.ext"], sections[".BTF"])))

    def relocations(self, ext, btf):
        header = struct.unpack_from("<HBBIIIIIII", ext)
        strings_at, strings_len = struct.unpack_from("<II", btf, 16)
        strings = btf[24 + strings_at : 24 + strings_at + strings_len]
        at = header[3] + header[8]
        end = at + header[9]
        if at == end:
            return
        (record,) = struct.unpack_from("<I", ext, at)
        at += 4
        while at < end:
            _, n = struct.unpack_from("<II", ext, at)
            at += 8
            for _ in range(n):
                _, number, access, kind = struct.unpack_from("<IIII", ext, at)
                at += record
                access = strings[access : strings.index(b"\0", access)].decode()
                yield from self.need(number, access, kind)

    def bare_declarations(self):
        """Prototypes of bpf_core_type_exists() with `struct x;` in them: libbpf holds that to be unlike the
        kernel's structure, so the question is answered by no everywhere."""
        for t in self.btf.types:
            if t.kind != "typedef" or not t.name.startswith("btf_trace_"):
                continue
            for m in self.btf.types[self.btf.skip(t.ref, "ptr")].members:
                behind = self.btf.types[self.btf.skip(m[1], "ptr")]
                if behind.kind == "fwd":
                    yield f"{t.name}: struct {behind.name} is only declared; give it a member in vmlinux.h"

    def need(self, number, access, kind):
        """(what, struct/enum/type name, path of member names, question, kind of the member, flavour)."""
        t = self.btf.types[number]
        name, _, flavour = t.name.partition("___")
        if kind in FIELDS:
            path, at = [], number
            for i, step in enumerate(map(int, access.split(":"))):
                if not i:
                    at = self.btf.skip(at)
                    name, _, flavour = self.btf.types[at].name.partition("___")
                    continue
                inner = self.btf.types[at]
                if inner.kind == "array":
                    at = self.btf.skip(inner.extra[0])
                    continue
                path.append(inner.members[step][0])
                at = self.btf.skip(inner.members[step][1])
            yield ("field", name, ".".join(path), FIELDS[kind], self.btf.types[at].kind, flavour)
        elif kind in VALUES:
            yield ("value", name, t.members[int(access)][0], VALUES[kind], "", flavour)
        elif kind in TYPES:
            shape = ""
            if name.startswith("btf_trace_"):
                shape = arguments(self.btf, number)
            yield ("type", name, shape, TYPES[kind], t.kind, flavour)


def elf_sections(data):
    at, count, names = struct.unpack_from("<Q", data, 40)[0], *struct.unpack_from("<HH", data, 60)
    headers = [struct.unpack_from("<IIQQQQIIQQ", data, at + 64 * i) for i in range(count)]
    start = headers[names][4]
    return {
        data[start + h[0] : data.index(b"\0", start + h[0])].decode(): data[h[4] : h[4] + h[5]] for h in headers
    }


def prototype(btf, number):
    return btf.types[btf.skip(number, "ptr")]


def arguments(btf, number):
    """Of a btf_trace_x typedef, without the first one: "task_struct *, int"."""
    return ", ".join(btf.words(m[1]) for m in prototype(btf, number).members[1:])


class Kernel:
    def __init__(self, path):
        self.name = os.path.basename(path).removesuffix(".btf")
        self.btf = Btf(in_image(path))
        self.index = self.btf.index()

    def field(self, name, path, kind):
        """None when it is there, else what is wrong."""
        numbers = self.index.get(("struct", name), []) + self.index.get(("union", name), [])
        if not numbers:
            return f"no struct {name}"
        for number in numbers:
            at = number
            for step in path.split("."):
                while self.btf.types[at].kind == "array":
                    at = self.btf.skip(self.btf.types[at].extra[0])
                at = self.btf.member(at, step)
                if at is None:
                    break
                at = self.btf.skip(at)
            if at is not None:
                found = self.btf.types[at].kind
                like = {"enum": "int", "enum64": "int", "union": "struct", "fwd": "struct"}
                if like.get(found, found) != like.get(kind, kind):
                    return f"struct {name}.{path} is of kind {found}, not {kind}"
                return None
        return f"no struct {name}.{path}"

    def value(self, name, value):
        for number in self.index.get(("enum", name), []) + self.index.get(("enum64", name), []):
            if any(m[0] == value for m in self.btf.types[number].members):
                return None
        return f"no enum {name} {value}"

    def type(self, name, kind):
        return None if any((k, name) in self.index for k in (kind, "enum64" if kind == "enum" else kind)) else f"no {kind} {name}"

    def function(self, hook):
        """The name of what SEC("fentry/hook") hangs on."""
        return CALL_PREFIXES.get(self.name.split("-")[0], "__x64_") + hook if hook.startswith("sys_") else hook

    def shape(self, kind, hook):
        if kind == "tp_btf":
            numbers = self.index.get(("typedef", f"btf_trace_{hook}"))
            return arguments(self.btf, numbers[0]) if numbers else None
        numbers = self.index.get(("func", self.function(hook)))
        if not numbers:
            return None
        return ", ".join(self.btf.words(m[1]) for m in self.btf.types[self.btf.types[numbers[0]].ref].members)


def known_shapes():
    """shapes.txt: "hook: shape | shape", `absent` where a kernel may have none."""
    found = {}
    for line in open(os.path.join(os.path.dirname(__file__), "shapes.txt")):
        line = line.split("#")[0].strip()
        if line:
            hook, shapes = line.split(":", 1)
            found[hook] = [s.strip() for s in shapes.split("|")]
    return found


def complaints(kernel, thing, shapes):
    """What breaks, and in `notes` what this kernel has not, as the object expects."""
    broken, notes = [], []
    asked = {(n[0], n[1], n[2]) for n in thing.needs if n[3] == "exists"}
    flavoured = [n for n in thing.needs if n[0] == "field" and n[5] and n[3] != "exists"]
    for what, name, part, question, kind, flavour in thing.needs:
        if question == "exists" or (what == "type" and question == "id" and kind == "struct"):
            continue
        why = {"field": lambda: kernel.field(name, part, kind), "value": lambda: kernel.value(name, part),
               "type": lambda: kernel.type(name, kind)}[what]()
        if not why:
            continue
        guarded = any(a[:2] == (what, name) and (a[2] == part or part.startswith(a[2] + ".")) for a in asked)
        # a flavour (x___before_5_14) is for some kernels; of two, one must fit
        alike = [n for n in flavoured if n[1] == name]
        if flavour and (len({n[5] for n in alike}) < 2 or not all(kernel.field(n[1], n[2], n[4]) for n in alike)):
            guarded = True
        (notes if guarded else broken).append(why)
    for kind, hook in thing.hooks:
        if kind == "iter":
            why = kernel.type(f"bpf_iter__{hook}", "struct")
            if why:
                broken.append(why)
            continue
        shape = kernel.shape(kind, hook)
        what = "tracepoint" if kind == "tp_btf" else "function"
        allowed = shapes.get(hook)
        if allowed is None:
            broken.append(f"{hook} is not in shapes.txt; here it is " + (shape or "unknown: make kernel-contract-update"))
        elif (shape if shape is not None else "absent") not in allowed:
            broken.append(f"{hook}({shape}): no program was written for this shape" if shape is not None else f"no {what} {hook}")
        elif shape is None:
            notes.append(f"no {hook}")
    return broken, notes


def check(folder, paths):
    shapes = known_shapes()
    objects = [Object(p) for p in sorted(glob.glob(f"{folder}/*.bpf.o"))]
    failed = 0
    for thing in objects:
        for why in thing.bare_declarations():
            print(f"not ok - {thing.name}: {why}")
            failed += 1
    for path in paths:
        try:
            kernel = Kernel(path)
        except (OSError, ValueError, AssertionError) as e:
            print(f"not ok - {path}: {e}")
            failed += 1
            continue
        for thing in objects:
            broken, notes = complaints(kernel, thing, shapes)
            failed += bool(broken)
            for why in broken:
                print(f"not ok - {kernel.name} {thing.name}: {why}")
            if not broken:
                print(f"ok - {kernel.name} {thing.name}" + (f" (without: {', '.join(sorted(set(notes)))})" if notes else ""))
    if not objects or not paths:
        print(f"not ok - contract: no objects in {folder}, or no BTF given")
        failed += 1
    return failed


def cut(folder, image, out):
    """Keeps structs whole that the objects look into; other structs become forward declarations."""
    kernel = Kernel(image)
    kernel.name = os.path.basename(out)
    whole, tops = set(), set()
    for thing in (Object(p) for p in sorted(glob.glob(f"{folder}/*.bpf.o"))):
        for what, name, *_ in thing.needs:
            whole.add(name)
        for t in thing.btf.types:
            if t.kind in ("struct", "union", "enum") and t.name:
                whole.add(t.name.split("___")[0])
        for kind, hook in thing.hooks:
            tops.add({"tp_btf": ("typedef", f"btf_trace_{hook}"), "iter": ("struct", f"bpf_iter__{hook}")}.get(
                kind, ("func", kernel.function(hook))))
    tops |= {(k, n) for n in whole for k in ("struct", "union", "enum", "enum64", "typedef") if (k, n) in kernel.index}
    new, moved = Btf(), {0: 0}

    def copy(number, top=False):
        if number in moved:
            return moved[number]
        old = kernel.btf.types[number]
        named = old.kind in ("struct", "union") and old.name
        if named and not top and old.name not in whole:
            t = Type("fwd", old.name, 0, int(old.kind == "union"))
            moved[number] = len(new.types)
            new.types.append(t)
            return moved[number]
        t = Type(old.kind, old.name, old.ref, old.flag, old.extra)
        moved[number] = len(new.types)
        new.types.append(t)
        if old.kind in ("ptr", "typedef", "volatile", "const", "restrict", "func", "func_proto", "type_tag"):
            t.ref = copy(old.ref)
        if old.kind == "array":
            t.extra = (copy(old.extra[0]), copy(old.extra[1]), old.extra[2])
        if old.kind in ("struct", "union", "func_proto"):
            t.members = [[m[0], copy(m[1]), *m[2:]] for m in old.members]
        elif old.kind in ("enum", "enum64"):
            t.members = old.members if old.name in whole or not old.name else []
        return moved[number]

    for kind, name in sorted(tops):
        for number in kernel.index.get((kind, name), []):
            copy(number, True)
    with open(out, "wb") as f:
        f.write(new.dump())
    print(f"{out}: {len(new.types)} types, {os.path.getsize(out)} bytes")


if __name__ == "__main__":
    if sys.argv[1] == "check":
        sys.exit(check(sys.argv[2], sys.argv[3:]) > 0)
    cut(*sys.argv[2:5])
