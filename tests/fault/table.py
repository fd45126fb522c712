#!/usr/bin/env python3
"""The table of docs/FAULTS.md: what is seen in each cell is what it says.

table.py [--row KEY] [--jobs N] [--show] PROGRAM DIR DATA DOC

A cell has outcomes (run.py: outcome()) with " or " between them, or "-" where there is nothing of
the kind that could fail; that is looked at, too.  --show prints the rows as they are seen.
"""

import argparse
import concurrent.futures
import os
import re
import sys

from run import Run
from scenarios import all_of

# Of the table's columns: the scenario, the processes, and what has to be there first.
COLUMNS = {
    "plan": ("plan", "init", ""),
    "init": ("writes", "init", ""),
    "tokens": ("tokens", "agent", ":once=@DIR@/token"),
    "reading": ("reads", "mount", ""),
    "disk cache": ("cached", "mount", ":path=/cache/"),
    "writing": ("writes", "mount", ""),
    "download": ("copies", "download", ""),
    "upload": ("copies", "upload", ""),
    "flush": ("ends", "mount", ":once=@DIR@/done"),
    "status": ("status", "init", ":once=@DIR@/asks"),
}

# Of the rows: rules; "@" is which of N calls: 1/4, 3/4 or 1/2 of them all.
ROWS = {
    "memory_once": ["alloc:ENOMEM:nth=@1/4", "alloc:ENOMEM:nth=@3/4"],
    "memory_gone": ["alloc:ENOMEM:from=@1/2"],
    "descriptors_once": ["desc:EMFILE:nth=@1/4", "desc:ENFILE:nth=@3/4"],
    "descriptors_gone": ["desc:EMFILE:from=@1/2"],
    "disk_full": ["disk:ENOSPC:from=@1/2"],
    "disk_broken": ["disk:EIO:from=@1/2"],
    "reads_fail": ["in:EIO:nth=@1/2"],
    "interrupted": ["intr:EINTR:one=2:seed=1", "intr:EINTR:one=5:seed=2"],
    "pieces": ["in:short:one=2:seed=1", "out:short:one=2:seed=2"],
    "processes_once": ["process:EAGAIN:nth=@1/2"],
    "processes_gone": ["process:EAGAIN:from=@1/2"],
    "hour_ahead": ["clock:+3600"],
    "hour_back": ["clock:-3600"],
    "day_ahead": ["clock:+86400"],
    "day_back": ["clock:-86400"],
    "slept": ["suspend:+86400"],
}
CLOCKS = {"hour_ahead", "hour_back", "day_ahead", "day_back", "slept"}


def rules_for(row, column):
    _, role, words = COLUMNS[column]
    if row in CLOCKS:	# all processes have one; it jumps while the job runs
        return [rule + (":once=@DIR@/began" if column != "plan" else "") for rule in ROWS[row]]
    return ["%s:role=%s%s" % (rule, role, words) for rule in ROWS[row]]


def read_table(path):
    """{row key: {column: cell}}"""
    with open(path) as f:
        lines = f.read().split("\n")
    head = next(i for i, line in enumerate(lines) if line.startswith("| | plan |"))
    columns = [c.strip() for c in lines[head].split("|")[2:-1]]
    table = {}
    for line in lines[head + 2:]:
        if not line.startswith("|"):
            break
        cells = line.split("|")
        key = re.search(r"<!-- (\w+) -->", cells[1]).group(1)
        table[key] = dict(zip(columns, (c.strip() for c in cells[2:-1])))
    return table


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--row", action="append", default=[])
    parser.add_argument("--jobs", type=int, default=3 * (os.cpu_count() or 1))
    parser.add_argument("--show", action="store_true")
    parser.add_argument("program")
    parser.add_argument("dir")
    parser.add_argument("data")
    parser.add_argument("doc")
    args = parser.parse_args()
    scenarios = all_of(args.program, args.data)
    table = read_table(args.doc)
    if set(table) != set(ROWS) or set(table["pieces"]) != set(COLUMNS):
        sys.exit("docs/FAULTS.md has other rows or columns than table.py")
    rows = args.row or list(ROWS)
    pool = concurrent.futures.ThreadPoolExecutor(args.jobs)
    places = [(row, column, rule) for row in rows for column in COLUMNS
              for rule in rules_for(row, column)]

    # How many calls there are that could fail: a run of each column counts all rules.
    def count(column):
        mine = [p for p in places if p[1] == column and p[0] not in CLOCKS]
        rule = ",".join(re.sub(r":(nth|from|one|seed)=[^:]*", "", p[2]) + ":count" for p in mine)
        run = Run(args.dir, scenarios[COLUMNS[column][0]], rule or "malloc:ENOMEM:count").go()
        if run.complaints or run.outcome() != "not seen":
            sys.exit("without a fault: " + run.tell())
        return [(p, n) for p, n in zip(mine, run.page.matched)]

    counts = {p: n for pairs in pool.map(count, COLUMNS) for p, n in pairs}

    def look(place):
        row, column, rule = place
        n = counts.get(place, 1)
        if n == 0:
            return place, None
        rule = re.sub(r"@(\d)/(\d)", lambda m: str(max(1, n * int(m[1]) // int(m[2]))), rule)
        return place, Run(args.dir, scenarios[COLUMNS[column][0]], rule).go()

    seen, failed = {}, 0
    for (row, column, rule), run in pool.map(look, places):
        outcome = "-" if run is None else run.outcome()
        seen.setdefault((row, column), set()).add(outcome)
        wants = table[row][column].split(" or ")
        if run is not None and run.complaints or outcome not in wants and not args.show:
            failed += 1
            print("%s, %s: \"%s\" is said, \"%s\" is seen" % (row, column, " or ".join(wants), outcome))
            if run is not None:
                print(run.tell(), flush=True)
    if args.show:
        for row in rows:
            print("| <!-- %s --> | %s |" % (row, " | ".join(
                " or ".join(sorted(seen[row, column])) for column in COLUMNS)))
    print("%d cells, %d runs" % (len(seen), len(places)))
    sys.exit(failed != 0)


main()
