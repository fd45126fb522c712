#!/bin/bash
# coverage.sh [--units | SUITE.bats...]: count what the tests run of shim/, and write docs/COVERAGE.md; with --units
# the unit tests alone, and the figures go to the terminal.
#
# The suites run one after another, so that what a test does to the machine's time does not fail another. Those that
# judge the release (its size, its memory, its libc) fail on this build: failures are told at the end and count as run.
set -euo pipefail
cd "$(dirname "$0")/.."

build=build/coverage
logs=$build/log
only=
suites=(tests/*.bats)
case ${1-} in
--units) only=units suites=() ;;
?*) suites=("$@") ;;
esac

make -s DEBUG=coverage all units
rm -rf "$build/counters" "$logs"
find "$build/obj" -name '*.gcda' -delete
mkdir -p "$logs"
mkdir -m 777 "$build/counters"

failed=()
scripts/check-unit.sh "$build"/tests/unit/test_* >"$logs/units.log" 2>&1 || failed+=("units: see $logs/units.log")
if [ ${#suites[@]} -gt 0 ]; then
	make -s all
	scripts/test.sh --packages
fi
for suite in "${suites[@]}"; do
	log=$logs/$(basename "$suite" .bats).log
	AMLSHIM=$PWD/$build/amlshim timeout -k 20 3600 bats --tap "$suite" >"$log" 2>&1 </dev/null || true
	while read -r line; do
		failed+=("$(basename "$suite"): $line")
	done < <(grep '^not ok' "$log")
done

# Each program writes what is in its counters' file into gcov's own, one after the other.
for program in "$build/amlshim" "$build"/tests/unit/test_*; do
	COUNTERS_DUMP=1 "$program"
done
status=0
scripts/coverage.py "$build/obj" "$([ -n "$only" ] && echo - || echo docs/COVERAGE.md)" || status=$?
if [ ${#failed[@]} -gt 0 ]; then
	printf 'failed on this build: %s\n' "${failed[@]}"
fi
exit $status
