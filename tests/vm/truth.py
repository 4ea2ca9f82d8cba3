"""truth.py PORT CGROUP FOLDER CGROUP_ROOT...: forces events, scrapes once, compares with the kernel.

Prints results as truth/common.py's say() does.
truth/COLLECTOR.py has the events of one collector, in a group of that name (truth.sh makes it): its
events() forces them and adds to `checks` what then looks at the scrape.
"""
import importlib
import os
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)) + "/truth")
from common import Scrape, checks, folder, say  # noqa: E402

# such as tcp; tcp_resets, a live test's name; socket, whose file is socket_errors; or tcp,block
only = os.environ.get("VM_TRUTH", "")
names = sorted(f[:-3] for f in os.listdir(sys.path[0]) if f.endswith(".py") and f != "common.py")
for name in [n for n in names if any(o.startswith(n) or n.startswith(o) for o in only.split(","))]:
    start = time.monotonic()
    importlib.import_module(name).events()
    say("comment", f"{name}: {time.monotonic() - start:.1f} s")
start = time.monotonic()
scrape = Scrape()
say("comment", f"scrape: {time.monotonic() - start:.1f} s")
with open(f"{folder}/scrape.txt", "w") as f:
    f.write(scrape.text)
for _, labels, number in scrape.families.get("bpf_exporter_program_attached", ()):
    # which shape of each hook the programs took
    found = dict(pair.split("=", 1) for pair in labels.strip(",").replace('",', '"\n').split("\n"))
    words = [found[k].strip('"') for k in ("collector", "program", "variant")]
    say("comment", " ".join(["variant", *words, number]))
for _, labels, number in scrape.families.get("bpf_exporter_program_missed_runs_total", ()):
    if number != "0":
        say("comment", f"missed: {labels.strip(',')} {number}")
start = time.monotonic()
for check in checks:
    check(scrape)
say("comment", f"checks: {time.monotonic() - start:.1f} s")
