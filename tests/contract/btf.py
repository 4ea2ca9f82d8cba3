"""btf.py: reads and writes BTF (Documentation/bpf/btf.rst), and finds it in kernel images."""

import lzma
import struct
import subprocess
import zlib

KINDS = (
    "void int ptr array struct union enum fwd typedef volatile const restrict func func_proto var datasec "
    "float decl_tag type_tag enum64"
).split()
MAGIC = b"\x9f\xeb\x01\x00\x18\x00\x00\x00"


class Type:
    """One type; members are [name, type id, offset and bit size], [name, value], [name, type id]."""

    def __init__(self, kind, name="", ref=0, flag=0, extra=(), members=()):
        self.kind, self.name, self.ref, self.flag = kind, name, ref, flag
        self.extra, self.members = extra, list(members)

    @property
    def size(self):
        return self.ref


class Btf:
    def __init__(self, data=None):
        self.types = [Type("void")]
        if data:
            self.parse(data)

    def parse(self, data):
        header = struct.unpack_from("<HBBIIIII", data)
        assert header[0] == 0xEB9F, "no BTF"
        types_at, types_len, strings_at, strings_len = header[4:8]
        at = header[3] + types_at
        end = at + types_len
        strings = data[header[3] + strings_at : header[3] + strings_at + strings_len]

        def text(offset):
            return strings[offset : strings.index(b"\0", offset)].decode()

        while at < end:
            name, info, ref = struct.unpack_from("<III", data, at)
            at += 12
            n, kind, flag = info & 0xFFFF, KINDS[info >> 24 & 0x1F], info >> 31
            t = Type(kind, text(name), ref, flag)
            if kind in ("int", "var", "decl_tag"):
                t.extra = struct.unpack_from("<I", data, at)
                at += 4
            elif kind == "array":
                t.extra = struct.unpack_from("<III", data, at)
                at += 12
            elif kind in ("struct", "union", "datasec"):
                for _ in range(n):
                    a, b, c = struct.unpack_from("<III", data, at)
                    at += 12
                    t.members.append([a if kind == "datasec" else text(a), b, c])
            elif kind in ("enum", "func_proto"):
                for _ in range(n):
                    a, b = struct.unpack_from("<Ii" if kind == "enum" else "<II", data, at)
                    at += 8
                    t.members.append([text(a), b])
            elif kind == "enum64":
                for _ in range(n):
                    a, low, high = struct.unpack_from("<III", data, at)
                    at += 12
                    t.members.append([text(a), low | high << 32])
            self.types.append(t)

    def dump(self):
        strings, known = bytearray(b"\0"), {"": 0}

        def text(name):
            if name not in known:
                known[name] = len(strings)
                strings.extend(name.encode() + b"\0")
            return known[name]

        out = bytearray()
        for t in self.types[1:]:
            # a function's linkage is where others have their number of members; all that is left here are global
            n = 1 if t.kind == "func" else 0 if t.kind in ("int", "array") else len(t.members)
            out += struct.pack("<III", text(t.name), n | KINDS.index(t.kind) << 24 | t.flag << 31, t.ref)
            if t.extra:
                out += struct.pack(f"<{len(t.extra)}I", *t.extra)
            for m in t.members:
                if t.kind == "enum64":
                    out += struct.pack("<III", text(m[0]), m[1] & 0xFFFFFFFF, m[1] >> 32)
                elif t.kind == "enum":
                    out += struct.pack("<Ii", text(m[0]), m[1])
                else:
                    out += struct.pack(f"<{len(m)}I", text(m[0]), *m[1:])
        return struct.pack("<HBBIIIII", 0xEB9F, 1, 0, 24, 0, len(out), len(out), len(strings)) + bytes(out + strings)

    def index(self):
        """Types by (kind, name)."""
        found = {}
        for number, t in enumerate(self.types):
            if t.name:
                found.setdefault((t.kind, t.name), []).append(number)
        return found

    def skip(self, number, *kinds):
        """Follows modifiers (and typedefs)."""
        while self.types[number].kind in ("volatile", "const", "restrict", "typedef", "type_tag", *kinds):
            number = self.types[number].ref
        return number

    def member(self, number, name):
        """The type id of a struct's member, also of one within unnamed structs and unions; None."""
        for m in self.types[number].members:
            if m[0] == name:
                return m[1]
            if not m[0] and self.types[inner := self.skip(m[1])].kind in ("struct", "union"):
                found = self.member(inner, name)
                if found is not None:
                    return found
        return None

    def words(self, number):
        """A type as C says it, about."""
        t = self.types[number]
        if t.kind == "ptr":
            return self.words(t.ref) + " *"
        if t.kind in ("const", "volatile", "restrict", "type_tag"):
            return self.words(t.ref)
        if t.kind == "func_proto":
            return "function"
        return t.name or t.kind


def in_image(path):
    """The BTF in a kernel image: compressed or not, ELF or not. A raw BTF file is its own."""
    data = open(path, "rb").read()
    if data[:2] == b"\x9f\xeb":
        return data
    candidates = [data]
    for magic, unpack in (
        (b"\xfd7zXZ\0", lambda d: lzma.LZMADecompressor().decompress(d)),
        (b"\x28\xb5\x2f\xfd", lambda d: subprocess.run(["zstd", "-dcq"], input=d, capture_output=True).stdout),
        (b"\x1f\x8b\x08", lambda d: zlib.decompressobj(31).decompress(d)),
    ):
        at = data.find(magic)
        while at >= 0 and len(candidates) < 20:
            try:
                candidates.append(unpack(data[at:]))
            except (lzma.LZMAError, zlib.error):
                pass
            at = data.find(magic, at + 1)
    for image in sorted(candidates, key=len, reverse=True):
        at = image.find(MAGIC)
        while at >= 0:
            types_at, types_len, strings_at, strings_len = struct.unpack_from("<IIII", image, at + 8)
            if types_at == 0 and strings_at == types_len and types_len > 1 << 20:
                return image[at : at + 24 + types_len + strings_len]
            at = image.find(MAGIC, at + 1)
    raise ValueError(f"{path}: no BTF in it")
