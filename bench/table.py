"""table.py RESULTS JSON: medians, ratios to amlshim and spread of lines "SETTING WORKLOAD WHO VALUE UNIT"."""

import collections
import json
import statistics
import sys


def read(path):
    found = collections.OrderedDict()
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            setting, workload, who, value, unit = line.split()
            found.setdefault((setting, workload, unit), collections.OrderedDict()).setdefault(
                who, []).append(float(value))
    return found


def rows(found):
    for (setting, workload, unit), by_who in found.items():
        own = statistics.median(by_who["amlshim"])
        for who, values in by_who.items():
            median = statistics.median(values)
            yield {"setting": setting, "workload": workload, "who": who, "median": median,
                   "unit": unit, "least": min(values), "most": max(values), "runs": len(values),
                   "amlshim_to_this": own / median if median else None}


def main(results, out):
    table = list(rows(read(results)))
    print(f"{'store':8} {'workload':16} {'who':9} {'median':>10} {'unit':9} {'least':>10} "
          f"{'most':>10}  amlshim/this")
    for row in table:
        print(f"{row['setting']:8} {row['workload']:16} {row['who']:9} {row['median']:10.1f} "
              f"{row['unit']:9} {row['least']:10.1f} {row['most']:10.1f}  "
              f"{row['amlshim_to_this']:.2f}")
    with open(out, "w", encoding="utf-8") as file:
        json.dump(table, file, indent=2)


if __name__ == "__main__":
    main(*sys.argv[1:])
