"""report.py RESULTS DIR: the table, DIR/bench.json and DIR/bench.svg of samples.

RESULTS has lines of fields between tabs:
  sample  SETTING WORKLOAD UNIT WHO ROUND VALUE
  version WHO TEXT
  absent  WHO WHY

A ratio is of amlshim to another, 2.00 meaning twice as good, whether more or less is better; it is
taken in each round, where both had the same machine, and the median of those is shown.
"""

import collections
import json
import os
import platform
import statistics
import sys

import chart

MORE_IS_BETTER = {"MiB/s", "files/s", "reads/s", "names/s", "stats/s"}
BARS = ("curl", "floor", "local", "bound", "write-behind")

# Workload, against whom ("peers": the best of them; "behind": the same, with --write-behind, since
# rclone's close does not wait either; "limit": a number no more than which it may be),
# the ratio or the limit: section "numbers to reach" of the design.
TARGETS = (
    ("init-start", "tini", 1.0),
    ("init-memory", "tini-static", 1.0),
    ("startup-3-mounts", "bound", 1.0),
    ("sequential", "curl", 0.95),
    ("sequential", "peers", 1.5),
    ("sequential-cpu", "peers", 2.0),
    ("sequential-memory", "limit", 256),
    ("small-first", "peers", 3.0),
    ("small-first-cpu", "peers", 2.0),
    ("small-first-memory", "limit", 256),
    ("small-again", "local", 0.9),
    ("random-4k", "floor", 0.9),
    ("random-4k", "peers", 1.0),
    ("random-4k-memory", "limit", 256),
    ("list", "curl", 1 / 1.2),
    ("list-memory", "limit", 256),
    ("stat-requests", "limit", 0),
    ("write", "curl", 0.9),
    ("write", "peers", 1.5),
    ("write-memory", "limit", 256),
    ("write-small-1", "curl", 0.9),
    ("write-small-1", "peers", 1.5),
    ("write-small-1", "behind", 1.5),
    ("write-small-8", "curl", 0.9),
    ("write-small-8", "peers", 1.5),
    ("write-small-8", "behind", 1.5),
    ("binary", "limit", 1572864),
)


class Row:
    """One workload in one setting: samples of each contender by round."""

    def __init__(self, setting, workload, unit):
        self.setting, self.workload, self.unit = setting, workload, unit
        self.samples = collections.OrderedDict()

    def add(self, who, number, value):
        self.samples.setdefault(who, {})[number] = value

    def values(self, who):
        return list(self.samples[who].values())

    def median(self, who):
        return statistics.median(self.values(who))

    def ratios(self, who, own="amlshim"):
        own, other = self.samples.get(own, {}), self.samples[who]
        pairs = [(own[n], other[n]) for n in own if n in other]
        if self.unit not in MORE_IS_BETTER:
            pairs = [(b, a) for a, b in pairs]
        return [a / b for a, b in pairs if b > 0]

    def ratio(self, who, own="amlshim"):
        ratios = self.ratios(who, own) if who in self.samples else []
        return statistics.median(ratios) if ratios else None

    def best_peer(self, own="amlshim"):
        """The peer that is hardest to beat; None without one."""
        known = [who for who in self.samples if who != "amlshim" and who not in BARS
                 and self.ratio(who, own) is not None]
        return min(known, key=lambda who: self.ratio(who, own), default=None)

    def verdicts(self):
        """(target as text, reached as a number, met) of each target of this row."""
        for workload, against, goal in TARGETS:
            if workload != self.workload or "amlshim" not in self.samples:
                continue
            if against == "limit":
                value = self.median("amlshim")
                yield f"<= {goal} {self.unit}", value, value <= goal, against
                continue
            own = "write-behind" if against == "behind" else "amlshim"
            who = self.best_peer(own) if against in ("peers", "behind") else against
            reached = self.ratio(who, own) if who else None
            if reached is not None:
                # Of what is printed: two digits.
                note = ", with --write-behind" if own != "amlshim" else ""
                yield f">= {goal:.2f} x {who}{note}", reached, round(reached, 2) >= round(goal, 2), against


def load(path):
    rows, about = collections.OrderedDict(), {"version": {}, "absent": {}}
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            kind, *fields = line.rstrip("\n").split("\t")
            if kind == "sample":
                setting, workload, unit, who, number, value = fields
                key = (setting, workload)
                rows.setdefault(key, Row(setting, workload, unit)).add(
                    who, int(number), float(value))
            else:
                about[kind][fields[0]] = fields[1]
    return list(rows.values()), about


def number(value):
    if value == 0 or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}" if abs(value) < 10 else f"{value:.1f}"


def print_table(rows, about):
    print(f"{'store':6} {'workload':19} {'unit':9} {'who':12} {'median':>10} "
          f"{'least .. most':>23} {'runs':>4}  ratio")
    for row in rows:
        first = True
        for who in row.samples:
            values, ratio = row.values(who), row.ratio(who)
            head = (f"{row.setting:6} {row.workload:19} {row.unit:9}" if first else " " * 36)
            shown = "" if who == "amlshim" or ratio is None else f"{ratio:6.2f}"
            spread = f"{number(min(values))} .. {number(max(values))}"
            print(f"{head} {who:12} {number(row.median(who)):>10} {spread:>23} "
                  f"{len(values):>4} {shown}")
            first = False
        for text, reached, met, _ in row.verdicts():
            print(f"{'':36} {'met  ' if met else 'SHORT'} target {text}: {number(reached)}")
    for who, why in about["absent"].items():
        print(f"{who} was left out: {why}")
    print("ratio: amlshim to this one, 2.00 is twice as good; the median over the rounds")


def machine():
    model = ""
    if os.path.exists("/proc/cpuinfo"):
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            model = next((line.split(":", 1)[1].strip() for line in file
                          if line.startswith("model name")), "")
    return {"cores": os.cpu_count(), "processor": model, "kernel": platform.release(),
            "system": platform.freedesktop_os_release().get("PRETTY_NAME", ""),
            "memory_mib": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >> 20}


def as_json(row):
    others = [who for who in row.samples if who != "amlshim"]
    return {
        "setting": row.setting, "workload": row.workload, "unit": row.unit,
        "samples": {who: row.values(who) for who in row.samples},
        "median": {who: row.median(who) for who in row.samples},
        "ratios": {who: row.ratios(who) for who in others},
        "ratio": {who: row.ratio(who) for who in others},
        "best_peer": row.best_peer(),
        "targets": [{"target": text, "reached": reached, "met": met}
                    for text, reached, met, _ in row.verdicts()],
    }


def main(results, out):
    rows, about = load(results)
    print_table(rows, about)
    with open(os.path.join(out, "bench.json"), "w", encoding="utf-8") as file:
        json.dump({"machine": machine(), "versions": about["version"], "absent": about["absent"],
                   "rows": [as_json(row) for row in rows]}, file, indent=1)
    with open(os.path.join(out, "bench.svg"), "w", encoding="utf-8") as file:
        file.write(chart.draw(rows, machine(), about["version"]))


if __name__ == "__main__":
    main(*sys.argv[1:])
