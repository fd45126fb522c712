#!/usr/bin/env python3
"""Chrome's Trace Event Format, strictly: check_trace.py FILE

Prints "PROCESS CATEGORY NAME" of each span, by its beginning.  Fails unless FILE is one JSON array of
events with just the keys that we write, where spans of one thread are one in the other or apart (else
viewers cut them) and each asynchronous begin has its end.
"""
import json
import sys

KEYS = {
    "M": {"ph", "name", "pid", "tid", "args"},
    "X": {"ph", "name", "pid", "tid", "cat", "ts", "dur", "args"},
    "b": {"ph", "name", "pid", "tid", "cat", "ts", "id", "args"},
    "e": {"ph", "name", "pid", "tid", "cat", "ts", "id"},
}


def main():
    events = json.load(open(sys.argv[1]))
    names, open_pairs, spans, threads = {}, {}, [], {}
    for e in events:
        assert set(e) == KEYS[e["ph"]], e
        assert all(type(e[k]) is int and e[k] > 0 for k in ("pid", "tid")), e
        assert type(e["name"]) is str and e["name"], e
        if e["ph"] == "M":
            assert e["name"] == "process_name" and set(e["args"]) == {"name"}, e
            names[e["pid"]] = e["args"]["name"]
            continue
        assert type(e["cat"]) is str and type(e["ts"]) is int and e["ts"] > 0, e
        if e["ph"] == "e":
            begin = open_pairs.pop((e["pid"], e["cat"], e["id"]))
            assert begin["name"] == e["name"] and e["ts"] >= begin["ts"], e
            continue
        assert type(e["args"]) is dict, e
        assert all(type(v) in (int, str) for v in e["args"].values()), e
        spans.append(e)
        if e["ph"] == "b":
            key = (e["pid"], e["cat"], e["id"])
            assert type(e["id"]) is int and key not in open_pairs, e
            open_pairs[key] = e
        else:
            assert type(e["dur"]) is int and e["dur"] >= 0, e
            threads.setdefault((e["pid"], e["tid"]), []).append(e)
    assert not open_pairs, open_pairs
    for of_thread in threads.values():
        inside = []
        for e in sorted(of_thread, key=lambda e: (e["ts"], -e["dur"])):
            while inside and inside[-1]["ts"] + inside[-1]["dur"] <= e["ts"]:
                inside.pop()
            if inside:
                assert e["ts"] + e["dur"] <= inside[-1]["ts"] + inside[-1]["dur"], (inside[-1], e)
            inside.append(e)
    for e in sorted(spans, key=lambda e: e["ts"]):
        print(names[e["pid"]], e["cat"], e["name"])


main()
