#!/usr/bin/env python3
"""The schema of docs/REPORT.md: check_report.py FILE [EXPRESSION...], or check_report.py --keys

Fails unless FILE is one JSON object with just the keys below, each of its type.  Each EXPRESSION is
Python about the report, called r, and must be true.
"""
import json
import re
import sys


def date(v):
    return isinstance(v, str) and re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", v)


def count(v):
    return type(v) is int and v >= 0


def text(v):
    return isinstance(v, str)


def yes(v):
    return type(v) is bool


def maybe(check):
    return lambda v: v is None or check(v)


def one_of(*words):
    return lambda v: v in words


def many(check):
    return lambda v: isinstance(v, list) and all(check(x) for x in v)


KEYS = set()


def thing(**keys):
    KEYS.update(keys)

    def check(v):
        if not isinstance(v, dict) or set(v) != set(keys):
            sys.exit("keys %s, wanted %s" % (sorted(v), sorted(keys)))
        for key, of in keys.items():
            if not of(v[key]):
                sys.exit("%s is %r" % (key, v[key]))
        return True
    return check


ERR = thing(kind=text, what=text, on=text, **{"as": text}, http_status=count, cause=text, remedy=text)
IDENTITY = thing(kind=text, label=maybe(text), source=maybe(text), rule=maybe(text), reason=maybe(text))
REPORT = thing(
    schema=one_of(1), version=text, status=lambda v: count(v) and v < 256,
    ended_by=one_of("command", "stop_signal", "time_limit", "failure"), failure=maybe(ERR),
    child=thing(started=yes, exit_code=maybe(count), signal=maybe(count), core_dumped=yes,
                restarts=count),
    stop_signal=maybe(thing(signal=count, pid=count, uid=count, at_ms=count)),
    job=maybe(text), command=many(text), started=date, ended=date, duration_ms=count,
    phases=many(thing(name=text, at_ms=count, duration_ms=count)),
    usage=thing(user_ms=count, system_ms=count, max_rss_bytes=count), memory_kills=maybe(count),
    orphans_reaped=count, tokens=thing(given_to_job=count, requests=count, retries=count, restarts=count),
    outputs_lost=count, lost=many(ERR),
    accesses=many(thing(
        name=text, direction=one_of("input", "output"), action=text,
        state=one_of("ready", "not_ready", "failed", "not_started", "passed"), uri=text,
        datastore=maybe(text), account=maybe(text), container=maybe(text), prefix=maybe(text),
        target=maybe(text), identity=IDENTITY, bytes_read=count, bytes_written=count,
        requests=count, retries=count, restarts=count, files=count, files_kept=count, files_failed=count)),
    accesses_left_out=count)


def main():
    if sys.argv[1] == "--keys":
        print("\n".join(sorted(KEYS)))
        return
    r = json.load(open(sys.argv[1]))
    REPORT(r)
    at = 0
    for phase in r["phases"]:       # one behind the other, within the whole
        assert phase["at_ms"] >= at, r["phases"]
        at = phase["at_ms"]
    assert at <= r["duration_ms"], r
    for expression in sys.argv[2:]:
        if not eval(expression, {"r": r, "a": {x["name"]: x for x in r["accesses"]},
                                 "p": [x["name"] for x in r["phases"]]}):
            sys.exit("not true: %s\n%s" % (expression, json.dumps(r, indent=1)))


main()
