"""startup.py LATENCY_MS RESULTS TRACE...: milliseconds to the end of exec, and requests before it.

RESULTS is a file that gets the samples for report.py; "" for none.
"""

import json
import statistics
import sys


def load(path):
    with open(path, encoding="utf-8") as file:
        return [event for event in json.load(file) if event["ph"] == "X"]


def exec_ms(events):
    start = min(event["ts"] for event in events)
    done = next(event for event in events if event["name"] == "exec")
    return (done["ts"] + done["dur"] - start) / 1000


def requests(events):
    done = next(event for event in events if event["name"] == "exec")
    return sum(event["cat"] == "http" and event["ts"] < done["ts"] for event in events)


def main(latency, results, paths):
    runs = [load(path) for path in paths]
    times = [exec_ms(events) for events in runs]
    median = statistics.median(times)
    bound = 4 * latency + 15
    print(f"start of a job with 3 datastores, {latency} ms a request, {len(times)} runs:")
    print(f"  to the end of exec  median {median:.1f} ms  (min {min(times):.1f}, max {max(times):.1f})")
    print(f"  bound 4 x {latency} + 15 = {bound} ms; ratio {median / bound:.2f}")
    print(f"  requests before exec: {statistics.median(requests(events) for events in runs):.0f}")
    if not results:
        return
    with open(results, "a", encoding="utf-8") as file:
        for number, took in enumerate(times):
            for who, value in (("amlshim", took), ("bound", bound)):
                print("sample", "init", "startup-3-mounts", "ms", who, number, f"{value:.2f}",
                      sep="\t", file=file)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], sys.argv[3:])
