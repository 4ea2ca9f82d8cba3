"""table.py FOLDER CELL...: what the cells' logs say, as a table and as results for tests/vm/run.sh."""

import re
import sys

# Hooks that came later (METRICS.md, "Variant switchboard"): a collector may lack them before.
ABSENT_BEFORE = {
    "inet_sk_error_report": (5, 14),
    "mm_vmscan_throttled": (5, 16),
}
# Trampolines at functions on arm64: 6.4 (2aa6ac03516d), and Debian's 6.1 lacks what they stand on.
REFUSED_ON_ARM64_BEFORE = (6, 4)
# Not in Debian's kernels, or only where the hardware is.
ABSENT_ANYWHERE = {"mce_record", "aer_event", "mc_event"}

folder, cells = sys.argv[1], [c for c in sys.argv[2:] if c]


class Cell:
    def __init__(self, name):
        self.name, self.kernel = name, name
        self.states, self.reasons = {}, {}  # of each collector
        self.passed, self.failed = {}, {}  # results of each collector's truth
        self.variants = {}  # of each program
        self.skipped = []
        self.tests = []  # (name, status, seconds)
        try:
            self.status, self.seconds = map(int, open(f"{folder}/{name}/status").read().split())
            text = open(f"{folder}/{name}/output.log", errors="replace").read()
        except (OSError, ValueError):
            self.status, self.seconds, text = 125, 0, ""
        test = ""
        for line in text.replace("\r", "").splitlines():
            self.take(line.rstrip(), test)
            if line.startswith("# begin "):
                test = line.split()[2]

    def take(self, line, test):
        if m := re.match(r"# kernel (\S+) ", line):
            self.kernel = m[1]
        elif m := re.match(r"check: (\S+): (\w+)(?:, (\d+ of \d+) programs attached)?(?:: (.*))?", line):
            self.states[m[1]], self.reasons[m[1]] = m[2], m[4] or ""
        elif m := re.match(r"# variant (\S+) (\S+) (.*) ([01])$", line):
            self.variants[m[1], m[2]] = m[3] if m[4] == "1" else "-"
        elif m := re.match(r"# end (\S+): status (\d+), ([\d.]+) s", line):
            self.tests.append((m[1], int(m[2]), float(m[3])))
        elif m := re.match(r"(not ok|ok|skip) - (.*)", line):
            what = m[2]
            collector = re.match(r"(\w+): ", what)[1] if test == "vm/truth.sh" and re.match(r"\w+: ", what) else (
                re.sub(r"^live/|_.*$", "", test) if test.startswith("live/") else "")
            if m[1] == "skip":
                self.skipped.append(what)
            else:
                into = self.passed if m[1] == "ok" else self.failed
                into.setdefault(collector, []).append(what if not test.startswith("live/") else f"{test}: {what}")

    def series(self):
        return tuple(map(int, re.match(r"(\d+)\.(\d+)", self.kernel).groups())) if self.kernel[0].isdigit() else (0, 0)

    def predicted(self, collector):
        """Whether it may be as it is: its reason names only hooks that this kernel cannot have."""
        if re.match(r"this kernel refuses f(entry|exit)/\w+: ", self.reasons[collector]):
            return self.name.startswith("arm64") and self.series() < REFUSED_ON_ARM64_BEFORE
        m = re.match(r"this kernel has no (.*)$", self.reasons[collector])
        return bool(m) and all(
            hook in ABSENT_ANYWHERE or self.series() < ABSENT_BEFORE.get(hook, (0, 0)) for hook in m[1].split(", ")
        )


def row(*words):
    print("| " + " | ".join(words) + " |")


matrix = [Cell(c) for c in cells]
collectors = sorted({c for cell in matrix for c in cell.states})
print("# kernel x collector: state, truth checks passed/all")
row("cell", "kernel", *collectors, "s")
row(*["---"] * (len(collectors) + 3))
for cell in matrix:
    words = []
    for c in collectors:
        good, bad = len(cell.passed.get(c, [])), len(cell.failed.get(c, []))
        word = cell.states.get(c, "?")
        words.append(word + (f" {good}/{good + bad}" if good + bad else "") + (" WRONG" if bad else ""))
    row(cell.name, cell.kernel, *words, str(cell.seconds))

print("# variants: the shape of each hook, where kernels differ")
row("program", "shape", "cells")
row("---", "---", "---")
for program in sorted({p for cell in matrix for p in cell.variants}):
    shapes = {}
    for cell in matrix:
        if program in cell.variants:
            shapes.setdefault(cell.variants[program], []).append(cell.name)
    if len(shapes) > 1 or len(matrix) == 1:
        for shape, names in shapes.items():
            row("/".join(program), shape, ", ".join(names))


def result(kind, what, why=""):
    print("\t".join((kind, what, why)))


for cell in matrix:
    where = f"{cell.name} ({cell.kernel})"
    if cell.status == 124:
        result("fail", where, "it took too long; see console.log")
    elif cell.status not in (0, 1):
        result("fail", where, f"no end was seen: a panic? see {folder}/{cell.name}/console.log")
    elif not cell.tests or not cell.states:
        result("fail", where, f"nothing was tested; see {folder}/{cell.name}/output.log")
    for c in collectors:
        state = cell.states.get(c)
        if state is None:
            result("fail", f"{where} {c}", "--check said nothing of it")
        elif state == "up" or state == "off":
            pass
        elif cell.predicted(c):
            result("ok", f"{where} {c}: {state}, as predicted: {cell.reasons[c]}")
        else:
            result("fail", f"{where} {c}", f"{state}: {cell.reasons[c]}")
    for c in sorted({*cell.passed, *cell.failed}):
        for what in cell.failed.get(c, []):
            result("fail", where, what)
        if cell.passed.get(c) and not cell.failed.get(c):
            result("ok", f"{where} {c or 'exporter'}: {len(cell.passed[c])} checks")
    for what in cell.skipped:
        result("skip", where, what)
    for test, status, _ in cell.tests:
        if status and not any(cell.failed.values()):
            result("fail", where, f"{test} ended with status {status}")
