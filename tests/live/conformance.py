#!/usr/bin/env python3
"""Reads an exposition (text format 0.0.4) strictly: conformance.py FILE [FILE...], each of which must
be right. Fails with the first line that is not."""
import re
import sys

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
COMMENT = re.compile(rf"# (HELP|TYPE) ({NAME}) (.*)")
SAMPLE = re.compile(rf"({NAME})(?:\{{(.*)\}})? (\S+)")
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\[\\"n])*)"(?:,|$)')
VALUE = re.compile(r"[-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?|[-+]?Inf|NaN")
TYPES = {"counter", "gauge", "histogram", "summary", "untyped"}


def labels_of(text):
    labels, at = [], 0
    while text and at < len(text):
        match = LABEL.match(text, at)
        if not match:
            raise ValueError("bad labels")
        labels.append(match.groups())
        at = match.end()
    if len({name for name, _ in labels}) != len(labels):
        raise ValueError("a label twice")
    return tuple(sorted(labels))


def histograms(family, samples):
    """name, labels -> value; buckets in the order of the file"""
    rows = {}
    for (name, labels), number in samples.items():
        rest = tuple(l for l in labels if l[0] != "le")
        row = rows.setdefault(rest, {"buckets": []})
        if name == family + "_bucket":
            row["buckets"].append((float(dict(labels)["le"]), number))
        else:
            row[name[len(family):]] = number
    for rest, row in rows.items():
        bounds = [le for le, _ in row["buckets"]]
        counts = [count for _, count in row["buckets"]]
        if bounds != sorted(set(bounds)) or not bounds or bounds[-1] != float("inf"):
            raise ValueError(f"{family}{rest}: bounds {bounds}")
        if counts != sorted(counts):
            raise ValueError(f"{family}{rest}: not cumulative: {counts}")
        if row.get("_count") != counts[-1] or "_sum" not in row:
            raise ValueError(f"{family}{rest}: _count or _sum")


def check(path):
    with open(path, "rb") as file:
        text = file.read().decode("utf-8")  # raises when it is not UTF-8
    if not text.endswith("\n"):
        raise ValueError("the last line has no end")
    helps, types, samples, closed, current = set(), {}, {}, set(), None
    for line in text[:-1].split("\n"):
        comment = COMMENT.fullmatch(line)
        sample = SAMPLE.fullmatch(line)
        if comment:
            kind, name, rest = comment.groups()
            known = helps if kind == "HELP" else types
            if name in known:
                raise ValueError("twice: " + line)
            if kind == "HELP":
                helps.add(name)
                if not rest or re.search(r"\\[^\\n]", rest.replace("\\\\", "")):
                    raise ValueError("bad help: " + line)
            else:
                if rest not in TYPES:
                    raise ValueError("no such type: " + line)
                types[name] = rest
            family = name
        elif sample:
            name, labels, number = sample.groups()
            if not VALUE.fullmatch(number):
                raise ValueError("bad value: " + line)
            family = name
            for suffix in ("_bucket", "_sum", "_count"):
                base = name[:-len(suffix)]
                if name.endswith(suffix) and types.get(base) in ("histogram", "summary"):
                    family = base
            if family not in types or family not in helps:
                raise ValueError("no HELP and TYPE before: " + line)
            if types[family] == "histogram" and family == name:
                raise ValueError("a histogram's sample without suffix: " + line)
            key = (name, labels_of(labels))
            if key in samples.setdefault(family, {}):
                raise ValueError("a series twice: " + line)
            samples[family][key] = float(number)
            if types[family] in ("counter", "histogram") and float(number) < 0:
                raise ValueError("a negative count: " + line)
        else:
            raise ValueError("neither comment nor sample: " + line)
        if family != current:
            if family in closed:
                raise ValueError("a family in two places: " + line)
            closed.add(current)
            current = family
    for family, kind in types.items():
        if kind == "histogram":
            histograms(family, samples.get(family, {}))
    if not samples:
        raise ValueError("no samples")
    if sum(kind == "histogram" for kind in types.values()) == 0:
        raise ValueError("no histogram: this says nothing about them")


for file_name in sys.argv[1:]:
    try:
        check(file_name)
    except ValueError as error:
        sys.exit(f"{file_name}: {error}")
