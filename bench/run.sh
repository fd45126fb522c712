#!/usr/bin/env bash
# run.sh: all measurements, one table of ratios, build/bench/bench.json and bench.svg.
#
# `make bench` calls it.  It ends within 20 minutes: init.sh and startup.sh take one, mount.sh looks at
# its BUDGET_S.  RUNS, SEQ_MIB and others of mount.sh make it shorter or longer.
set -euo pipefail
cd "$(dirname "$0")/.."
mkdir -p build/bench
export BENCH_RESULTS=$PWD/build/bench/samples
: >"$BENCH_RESULTS"
bench/init.sh
bench/startup.sh
status=0
bench/mount.sh || status=$?
[ $status -le 1 ] || exit $status
python3 -B bench/report.py "$BENCH_RESULTS" build/bench
echo "build/bench/bench.json has every sample, build/bench/bench.svg the ratios as a chart"
exit $status
