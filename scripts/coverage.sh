#!/bin/bash
# coverage.sh [--units | SUITE.bats...]: count what the tests run of shim/, and write docs/COVERAGE.md; with --units
# the unit tests alone, and the figures go to the terminal.
#
# Suites run in three lanes, as in scripts/test.sh.  Those that judge the release (its size, its memory) fail on this
# build, and so may some that measure time: failures are told at the end, and what they ran counts.
set -euo pipefail
cd "$(dirname "$0")/.."
unset MAKEFLAGS MFLAGS MAKELEVEL

build=build/coverage
logs=$build/log
report=docs/COVERAGE.md
suites=(tests/*.bats)
case ${1-} in
--units) report=- suites=() ;;
?*) suites=("$@") ;;
esac

make -s DEBUG=coverage all units
rm -rf "$build/counters" "$logs"
find "$build/obj" -name '*.gcda' -delete
mkdir -p "$logs"
mkdir "$build/counters"
chmod 777 "$build/counters"

run_units()
{
	scripts/check-unit.sh "$build"/tests/unit/test_* >"$logs/units.log" 2>&1 ||
	    echo "not ok - unit tests" >>"$logs/units.log"
}

# run_lane PATTERN: the suites whose number fits.
run_lane()
{
	local suite
	for suite in "${suites[@]}"; do
		[[ $(basename "$suite") =~ $1 ]] || continue
		AMLSHIM=$PWD/$build/amlshim FAULTY=$PWD/$build/fault/amlshim CRASH_S=${CRASH_S:-100} timeout -k 20 3600 bats --tap "$suite" \
		    >"$logs/$(basename "$suite" .bats).log" 2>&1 </dev/null || true
	done
}

if [ ${#suites[@]} -eq 0 ]; then
	run_units
else
	eval "$(grep '^PACKAGES=' scripts/test.sh)"
	# shellcheck disable=SC2086
	scripts/apt-install.sh $PACKAGES
	make -s all man completions
	scripts/npm-tools.sh >/dev/null
	scripts/python-sdk.sh >/dev/null
	(run_units; run_lane '^([0-4]|6)') &
	run_lane '^5' &
	run_lane '^[7-9]' &
	wait
fi

# Each program writes what is in its counters' file into gcov's own, one after the other.
for program in "$build/amlshim" "$build/fault/amlshim" "$build"/tests/unit/test_*; do
	COUNTERS_DUMP=1 "$program"
done
status=0
scripts/coverage.py "$build/obj" "$report" || status=$?
grep -H '^not ok' "$logs"/*.log | sed 's|.*/|failed on this build: |' || true
exit $status
