#!/usr/bin/env bash
# init.sh: from fork to the command's main, and the memory of the init, against Debian's inits.
#
# bench/spawn.c runs each of them INIT_RUNS (400) times in turn, as PID 1 of a PID namespace of its own,
# and gives the median.  Samples go to BENCH_RESULTS if that is set (bench/run.sh).
set -euo pipefail
cd "$(dirname "$0")/.."
RUNS=${INIT_RUNS:-400}
scripts/apt-install.sh tini dumb-init catatonit gcc libc6-dev
mkdir -p build/bench
sync build/amlshim	# pages of a file that is still to be written count as dirty
gcc -O2 -Wall -Wextra -static -o build/bench/spawn bench/spawn.c
build/bench/spawn "$RUNS" "amlshim=$PWD/build/amlshim --" "tini-static=/usr/bin/tini-static --" \
    "tini=/usr/bin/tini --" "dumb-init=/usr/bin/dumb-init --" "catatonit=/usr/bin/catatonit --" \
    >build/bench/init
if [ -n "${BENCH_RESULTS-}" ]; then
	awk -v OFS='\t' '{
		print "sample", "init", "init-start", "us", $1, 0, $2
		print "sample", "init", "init-memory", "KiB", $1, 0, $4
	}' build/bench/init >>"$BENCH_RESULTS"
	printf 'sample\tinit\tbinary\tbytes\tamlshim\t0\t%d\n' "$(stat -c %s build/amlshim)" >>"$BENCH_RESULTS"
fi
awk 'BEGIN { printf "%-12s %12s %8s %6s %14s %13s\n", "init", "median (us)", "least", "ratio",
	"private (KiB)", "resident (KiB)" }
    NR == 1 { own = $2 }
    { printf "%-12s %12d %8d %6.2f %14d %13d\n", $1, $2, $3, $2 / own, $4, $5 }' build/bench/init
