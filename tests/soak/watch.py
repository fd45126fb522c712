"""Looks at amlshim's processes while a soak runs, and says afterwards whether anything grew.

    watch.py sample PID SECONDS CACHE    a line of JSON every SECONDS, until PID is gone
    watch.py judge SAMPLES [SUMMARY]     a table; status 1: something grew. SUMMARY: the same as JSON

A process that was replaced begins a series of its own. The first fifth of a series is warm-up (at least
WARM_S, which is also the least that is judged of memory).

Descriptors (by kind), threads and zombies come and go with the load. What leaks never goes: the least of
the last third must not be above the least of the first, unless the first third had as many half of the
time: a pool of connections that is fuller late in the run.

A mount's threads that answer the kernel are made when there is more to do than ever before, and stay, each
with a pipe of its own (shim/mount/session.c: at most 64). Whether that moment comes early or late is chance: of a
mount they are held against that bound, and everything else against the rule above.

Memory is the private, written pages (what nobody else can give back). Its trend is the median of the
slopes between all pairs of samples (Theil and Sen), which a third of outliers does not move; over the
series it may be SHARE of the median and FLOOR_KIB.
"""

import itertools
import json
import os
import re
import statistics
import sys
import time

SHARE, FLOOR_KIB = 0.02, 512
WARM_S = 60
JUDGED_MIN = 12             # samples behind the warm-up
POOL = 64                   # threads of a mount that answer the kernel
POOLED = {"threads": POOL + 12, "pipe": 2 * POOL + 8}   # with those that it has besides
CONNECTIONS = ("socket", "tcp")  # as many as the load of that minute wants: judged like memory
PAIRS_MAX = 240             # samples that slopes are taken of: 28,680 pairs


# ---- looking

def read(*path):
    with open(os.path.join("/proc", *map(str, path))) as f:
        return f.read()


def field(text, name):
    found = re.search(r"^%s:\s*(\d+)" % name, text, re.M)
    return int(found.group(1)) if found else 0


def descriptors(pid, memory):
    kinds = {}
    for name in os.listdir("/proc/%d/fd" % pid):
        at = "/proc/%d/fd/%s" % (pid, name)
        try:
            to = os.readlink(at)
            if to.startswith("/memfd:"):
                found = os.stat(at)
                memory[found.st_ino] = found.st_blocks // 2
        except OSError:
            continue
        kind = "memfd" if to.startswith(("/memfd:", "/secretmem")) else "file" if to[0] == "/" else \
            re.sub(r"[:\[\]0-9]|anon_inode", "", to)
        kinds[kind] = kinds.get(kind, 0) + 1
    return kinds


def look_at(pid, memory):
    status, rollup = read(pid, "status"), read(pid, "smaps_rollup")
    return {
        "name": read(pid, "comm").strip(), "pid": pid,
        "start": read(pid, "stat").rsplit(") ", 1)[1].split()[19],
        "threads": field(status, "Threads"), "rss": field(status, "VmRSS"),
        "pss": field(rollup, "Pss"), "private": field(rollup, "Private_Dirty"),
        "fds": descriptors(pid, memory),
    }


def folder_kib(path):
    total = 0
    for top, _, names in os.walk(path):
        for name in names:
            try:
                total += os.lstat(os.path.join(top, name)).st_blocks // 2
            except OSError:
                pass
    return total


def sockets():
    text = read("net", "sockstat")
    return {"tcp": int(re.search(r"TCP: inuse (\d+)", text).group(1)),
            "time_wait": int(re.search(r" tw (\d+)", text).group(1))}


def sample(init, cache):
    processes, zombies, memory = [], 0, {}
    for pid in [init] + [int(word) for word in read(init, "task", init, "children").split()]:
        try:
            if read(pid, "stat").rsplit(") ", 1)[1][0] == "Z":
                zombies += 1
            elif read(pid, "comm").startswith("amlshim"):
                processes.append(look_at(pid, memory))
        except (OSError, IndexError):
            continue            # it ended meanwhile
    return {"t": time.monotonic(), "processes": processes, "zombies": zombies,
            "shared": sum(memory.values()), "cache": folder_kib(cache), **sockets()}


def watch(init, every, cache):
    while True:
        try:
            line = sample(init, cache)
        except OSError:
            return 0
        print(json.dumps(line), flush=True)
        time.sleep(every)


# ---- judging

def series_of(samples):
    """(name, start) -> [(t, process)], and the container's own numbers as one more."""
    found = {}
    for one in samples:
        for process in one["processes"]:
            if process["name"] != "amlshim" or process["start"] == samples[0]["processes"][0]["start"]:
                found.setdefault((process["name"], process["start"]), []).append((one["t"], process))
        found.setdefault(("container", ""), []).append((one["t"], {
            "fds": {"zombies": one["zombies"], "tcp": one["tcp"]},
            "kib": {"shared": one["shared"], "cache": one["cache"]}}))
    return found


def thirds(values):
    n = max(1, len(values) // 3)
    return values[:n], values[-n:]


def is_leak(name, kind, counts):
    if name.startswith("amlshim:mount") and kind in POOLED:
        return max(counts) > POOLED[kind]
    first, last = thirds(counts)
    return min(last) > min(first) and min(last) > statistics.median(first)


def slope(points):
    step = -(-len(points) // PAIRS_MAX)
    slopes = [(b - a) / (u - t) for (t, a), (u, b) in itertools.combinations(points[::step], 2) if u > t]
    return statistics.median(slopes) if slopes else 0.0


def growth(points):
    """KiB over the series, and what it may be."""
    values = [value for _, value in points]
    return (slope(points) * (points[-1][0] - points[0][0]),
            SHARE * statistics.median(values) + FLOOR_KIB)


def counts_of(process):
    return dict(process["fds"], **({"threads": process["threads"]} if "threads" in process else {}))


def judge_one(name, series):
    """A row of the table: what it is, and what grew."""
    begin, end = series[0][0], series[-1][0]
    warm = begin + max(WARM_S, (end - begin) / 5)
    if end - warm < WARM_S:
        warm = begin + (end - begin) / 5
    rest = [(t, p) for t, p in series if t >= warm]
    row = {"seconds": round(end - begin), "samples": len(rest), "grew": [], "counts": {}, "kib": {}}
    if len(rest) < JUDGED_MIN:
        row["judged"] = ""
        return row
    row["judged"] = "counts"
    is_long = end - begin >= 3 * WARM_S
    counts = [counts_of(p) for _, p in rest]
    for kind in sorted({kind for one in counts for kind in one}):
        values = [one.get(kind, 0) for one in counts]
        first, last = thirds(values)
        row["counts"][kind] = [min(first), min(last), max(values)]
        if (is_long or kind not in CONNECTIONS) and is_leak(name, kind, values):
            row["grew"].append("%s: at least %d, then %d (%d)" % (kind, min(first), min(last), max(values)))
    if not is_long:
        return row
    row["judged"] = "all"
    sizes = rest[0][1].get("kib") or {"private": 0}
    for kind in sizes:
        points = [(t, p["kib"][kind] if "kib" in p else p[kind]) for t, p in rest]
        grown, bound = growth(points)
        row["kib"][kind] = [statistics.median(v for _, v in part) for part in thirds(points)] + [round(grown)]
        if grown > bound:
            row["grew"].append("%s: %+d KiB, at most %d are allowed" % (kind, grown, bound))
    return row


def print_row(name, row):
    kib = row["kib"].get("private")
    count = row["counts"]
    fds = [sum(v[i] for k, v in count.items() if k != "threads") for i in (0, 1)] if count else None
    print("%-16s %7d %8s %11s %9s %20s  %s" % (
        name, row["seconds"], row["samples"],
        "%d -> %d" % tuple(fds) if fds else "",
        "%d -> %d" % tuple(count["threads"][:2]) if "threads" in count else "",
        "%d -> %d (%+d)" % tuple(kib) if kib else "",
        "GREW " + "; ".join(row["grew"]) if row["grew"] else
        {"all": "steady", "counts": "steady (too short for memory)", "": "too short"}[row["judged"]]))
    for kind in ("shared", "cache"):
        if kind in row["kib"]:
            print("  %-14s %58s  %s" % (kind, "%d -> %d (%+d)" % tuple(row["kib"][kind]), "KiB"))


def judge(path, summary=None):
    with open(path) as f:
        samples = [json.loads(line) for line in f]
    if not samples:
        print("nothing was seen")
        return 1
    rows = sorted(((name, start, judge_one(name, series)) for (name, start), series in series_of(samples).items()),
                  key=lambda r: (r[0] != "amlshim", r[0], float(r[1] or 0)))
    print("%-16s %7s %8s %11s %9s %20s" % ("process", "seconds", "samples", "fds, least", "threads", "private KiB"))
    for name, _, row in rows:
        print_row(name, row)
    grew = sum(len(row["grew"]) for _, _, row in rows)
    judged = sum(row["judged"] != "" for _, _, row in rows)
    print("%d series, %d judged, %d grew" % (len(rows), judged, grew))
    if summary:
        with open(summary, "w") as f:
            json.dump([dict(row, process=name) for name, _, row in rows], f, indent=1)
    return 0 if grew == 0 and judged > 0 else 1


if __name__ == "__main__":
    if sys.argv[1] == "sample":
        sys.exit(watch(int(sys.argv[2]), float(sys.argv[3]), sys.argv[4]))
    sys.exit(judge(*sys.argv[2:]))
