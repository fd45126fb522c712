#!/bin/bash
# fuzz.sh NAME BINARY SECONDS DIR: one fuzzer for so long, on tests/fuzz/corpus/NAME and what earlier
# runs have left in DIR/corpus/NAME. SEED=N and RUNS=N in the environment make it go the same way each time:
# so many inputs, by that seed, at the same addresses; SECONDS is only a bound.
# Prints a line: runs, edges covered, new inputs. Fails if it crashes, hangs, or did not get to a
# function that tests/fuzz/PARSERS says it is for.
set -euo pipefail
cd "$(dirname "$0")/.."
name=$1 binary=$2 seconds=$3 dir=$4
log=$dir/$name.log
mkdir -p "$dir/corpus/$name" "$dir/crash"

# The copy below DIR grows; the one in the repository is only read.
arguments=(-max_total_time="$seconds" -timeout=20 -rss_limit_mb=2048 -print_final_stats=1
	-print_coverage=1 -artifact_prefix="$dir/crash/$name-" "$dir/corpus/$name")
[ ! -d "tests/fuzz/corpus/$name" ] || arguments+=("tests/fuzz/corpus/$name")
steady=()
if [ -n "${SEED-}" ]; then
	arguments+=(-seed="$SEED")
	# Which comparison an input is steered by depends on addresses.
	! setarch -R true 2>/dev/null || steady=(setarch -R)
fi
[ -z "${RUNS-}" ] || arguments+=(-runs="$RUNS")
[ ! -f "tests/fuzz/$name.dict" ] || arguments+=(-dict="tests/fuzz/$name.dict")

if ! "${steady[@]}" "$binary" "${arguments[@]}" >"$log" 2>&1; then
	grep -vE '^( *UNCOVERED|COVERED_)|^stat::' "$log" | tail -n 60
	artifact=$(sed -n 's/^.*Test unit written to //p' "$log" | tail -n 1)
	echo "fuzz $name: failed; ${artifact:+to repeat it: $binary $artifact; }see $log"
	exit 1
fi

missed=$(awk -v name="$name" '
	FNR == NR && $1 == name { wanted[$3 " shim/" $2] = 1 }
	FNR != NR && /^COVERED_FUNC/ {
		file = $NF
		sub(/:[0-9]+$/, "", file)
		sub(/^.*\/shim\//, "shim/", file)
		delete wanted[$(NF - 1) " " file]
	}
	END { for (f in wanted) print f }' tests/fuzz/PARSERS "$log")
if [ -n "$missed" ]; then
	printf 'fuzz %s: its inputs do not get to\n%s\n' "$name" "$missed"
	exit 1
fi
awk -v name="$name" '
	/cov: / { for (i = 1; i < NF; i++) if ($i == "cov:") cov = $(i + 1) }
	/number_of_executed_units/ { runs = $2 }
	/new_units_added/ { new = $2 }
	END { printf "  FUZZ    %-10s %9d runs  %5d edges  %4d new inputs\n", name, runs, cov, new }' "$log"
