#!/usr/bin/env python3
"""Asks a Prometheus: prometheus.py URL COMMAND...

value QUERY              the one value of QUERY now (0: no answer), as an integer when it is one
increase FROM TO QUERY   last value of QUERY between two moments, less the first
rises FROM TO SELECTOR   fails when a series of SELECTOR, or count(SELECTOR), has a sample below the one before
board FILE               asks each query of a dashboard; fails when one errs, or is empty though what
                         it is about happened (retransmits, and the exporter's own metrics)
"""
import json
import re
import sys
import urllib.error
import urllib.parse
import urllib.request

URL = sys.argv[1]


def ask(path, **parameters):
    url = f"{URL}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return json.load(answer)["data"]["result"]
    except urllib.error.HTTPError as error:
        sys.exit(f"{parameters['query']}: {error.read().decode()}")


def value(query):
    result = ask("query", query=query)
    print(f'{float(result[0]["value"][1]):g}' if result else 0)


def increase(start, end, query):
    values = ask("query_range", query=query, start=start, end=end, step=1)[0]["values"]
    print(f"{float(values[-1][1]) - float(values[0][1]):g}")


def rises(start, end, selector):
    step = ":1s" if selector.endswith(")") else ""  # what is computed has no samples of its own
    series = ask("query", query=f"{selector}[{int(end) - int(start)}s{step}]", time=end)
    if not series:
        sys.exit("no such series")
    for one in series:
        values = [float(v) for _, v in one["values"]]
        for before, after in zip(values, values[1:]):
            if after < before:
                sys.exit(f"{one['metric']}: {after} after {before}")


def targets(panels):
    for panel in panels:
        for target in panel.get("targets", []):
            yield panel["title"], target["expr"]
        yield from targets(panel.get("panels", []))


def board(path):
    with open(path) as file:
        panels = json.load(file)["panels"]
    asked = 0
    for title, expr in targets(panels):
        query = expr.replace("$__rate_interval", "1m").replace("$__range", "30s")
        query = re.sub(r"\$\{?[a-z_]+\}?", ".*", query)
        result = ask("query", query=query)
        happened = ("tcp_retransmits_total" in query and "syn" not in query) or (
            "bpf_exporter_" in query and "collector_error" not in query)
        if happened and not result:
            sys.exit(f"{title}: no answer to {query}")
        asked += 1
    if not asked:
        sys.exit("no queries")


{"value": value, "increase": increase, "rises": rises, "board": board}[sys.argv[2]](*sys.argv[3:])
