#!/usr/bin/env python3
"""Let each call fail once, by turns, and look at what becomes of the run (run.py says what must).

sweep.py [--sample N] [--seed S] [--only TEXT] [--jobs N] PROGRAM DIR DATA
sweep.py --rule RULE --only SCENARIO PROGRAM DIR DATA

The environment is that of tests/lib/jobs.bash; DIR is for the runs, DATA what is in the store.  A
count run of each scenario tells how often each process makes each call; then every run lets one
of them fail.  --sample: N of these, drawn by the seed, each kind in turn.
"""

import argparse
import concurrent.futures
import os
import random
import shutil
import sys

from run import Run
from scenarios import all_of

SCENARIOS = ["plan", "bare", "mounts", "copies"]

# Of a family's calls each alone, all from the n-th on, one of so many.
KINDS = [
    ("alloc", "ENOMEM", "nth"),
    ("alloc", "ENOMEM", "from"),
    ("desc", "EMFILE", "nth"),
    ("desc", "ENFILE", "from"),
    ("disk", "ENOSPC", "nth"),
    ("disk", "ENOSPC", "from"),
    ("disk", "EIO", "nth"),
    ("in", "EIO", "nth"),
    ("in", "short", "one"),
    ("out", "short", "one"),
    ("intr", "EINTR", "nth"),
    ("intr", "EINTR", "one"),
    ("process", "EAGAIN", "nth"),
    ("process", "EAGAIN", "from"),
    ("mmap", "ENOMEM", "nth"),
]


def heads_of(scenario):
    """(kind, the words that a rule of this kind begins with)"""
    for role in scenario["roles"]:
        for family, error, mode in KINDS:
            yield (scenario["name"], role, family, error, mode), "%s:%s:role=%s" % (family, error, role)


def rules_of(scenario, page):
    """(kind, rule) of all that can fail in it."""
    for (kind, head), n in zip(heads_of(scenario), page.matched):
        if kind[-1] == "one":
            for one, seed in [(2, 1), (2, 2), (3, 3), (5, 4), (10, 5), (10, 6)] if n else []:
                yield kind, "%s:one=%d:seed=%d" % (head, one, seed)
            continue
        for i in range(1, n + 1):
            # A loop over many of the same: the first 150, then fewer and fewer.
            if i <= 150 or i % (i // 30) == 0:
                yield kind, "%s:%s=%d" % (head, kind[-1], i)


def draw(rules, count, seed):
    dice = random.Random(seed)
    kinds = {}
    for kind, rule in rules:
        kinds.setdefault(kind, []).append(rule)
    order = list(kinds)
    dice.shuffle(order)
    chosen = []
    while order and len(chosen) < count:
        for kind in list(order)[:count - len(chosen)]:
            of = kinds[kind]
            chosen.append((kind, of.pop(dice.randrange(len(of)))))
            if not of:
                order.remove(kind)
    return chosen


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--sample", type=int, default=0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="")
    parser.add_argument("--rule", default="")
    parser.add_argument("--jobs", type=int, default=2 * (os.cpu_count() or 1))
    parser.add_argument("program")
    parser.add_argument("dir")
    parser.add_argument("data")
    args = parser.parse_args()
    scenarios = all_of(args.program, args.data)
    if args.rule:
        run = Run(args.dir, scenarios[args.only], args.rule).go()
        shutil.rmtree(run.dir, ignore_errors=True)
        print(run.tell() + "\n" + run.outcome())
        sys.exit(bool(run.complaints))
    todo = []
    for name in SCENARIOS:
        scenario = scenarios[name]
        count = ",".join(head + ":count" for _, head in heads_of(scenario))
        run = Run(args.dir, scenario, count).go()
        if run.complaints or run.status not in scenario["good"]:
            sys.exit("without a fault: " + run.tell())
        todo += [(kind, rule) for kind, rule in rules_of(scenario, run.page)
                 if args.only in " ".join(kind)]
    if args.sample:
        todo = draw(todo, args.sample, args.seed)
    statuses, reached, failed, longest = {}, 0, 0, 0.0
    with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
        for run in pool.map(lambda t: Run(args.dir, scenarios[t[0][0]], t[1]).go(), todo):
            reached += run.page.fired[0] > 0
            longest = max(longest, run.seconds)
            statuses[run.status] = statuses.get(run.status, 0) + 1
            if run.complaints:
                failed += 1
                print(run.tell(), flush=True)
    print("%d runs of %d kinds, %d with a failing call; the longest %.1f s; status: %s" % (
        len(todo), len({k for k, _ in todo}), reached, longest,
        ", ".join("%s in %d" % (s, n) for s, n in sorted(statuses.items(), key=str))))
    # A sweep in which hardly anything fails is none.
    sys.exit(failed != 0 or reached * 10 < len(todo) * 8)


main()
