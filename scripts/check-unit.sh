#!/bin/bash
# check-unit.sh PROGRAM...: run unit tests that speak TAP, show what failed, count.
#
# A program fails that ends with a status, is killed, takes over UNIT_SECONDS (180), prints "not ok", or
# does not run as many tests as its plan says.  With UNIT_TAP=1 the output is TAP itself, a line a
# program; one that skipped a test is marked as skipped.
set -euo pipefail

[ $# -gt 0 ] || { echo "check-unit: no unit tests" >&2; exit 1; }
output=$(mktemp)
trap 'rm -f "$output"' EXIT
number=0 tests=0 skips=0 bad=()

count()
{
	grep -cE "$1" "$output" || true
}

say()
{
	[ "${UNIT_TAP-}" = 1 ] || return 0
	echo "$1"
}

# What a program that failed had to say, as comments in TAP.
show()
{
	local mark=''
	[ "${UNIT_TAP-}" != 1 ] || mark='# '
	echo "$mark$1"
	grep -v '^ok\b' "$output" | tail -n 60 | sed "s/^/$mark/" || true
}

for program in "$@"; do
	status=0
	number=$((number + 1))
	timeout -k 5 "${UNIT_SECONDS:-180}" "$program" >"$output" 2>&1 </dev/null || status=$?
	# A report of a child that the test did not look at counts, too.
	! grep -qE '^==[0-9]+==ERROR|^WARNING: ThreadSanitizer|: runtime error: ' "$output" || status=99
	ok=$(count '^ok\b')
	not_ok=$(count '^not ok\b')
	skip=$(count '^ok\b.*# *[Ss][Kk][Ii][Pp]')
	plan=$(sed -n 's/^1\.\.\([0-9][0-9]*\).*/\1/p' "$output" | tail -n 1)
	tests=$((tests + ok + not_ok))
	skips=$((skips + skip))
	line="$number - $(basename "$program") ($((ok + not_ok)) checks)"
	if [ "$status" -ne 0 ] || [ "$not_ok" -ne 0 ] || [ "$((ok + not_ok))" != "$plan" ] ||
	    [ "$plan" -eq 0 ]; then
		bad+=("$program")
		say "not ok $line"
		show "$program: status $status, $ok ok, $not_ok not ok, plan ${plan:-none}"
	elif [ "$skip" -ne 0 ]; then
		say "ok $line # SKIP $skip of them:$(sed -n 's/^ok.*# *SKIP//p' "$output" | head -n 1)"
	else
		say "ok $line"
	fi
done

say "1..$number"
[ "${UNIT_TAP-}" = 1 ] ||
    echo "unit: $# programs, $tests tests, $skips skipped, ${#bad[@]} programs failed"
[ ${#bad[@]} -eq 0 ] || { printf '  %s\n' "${bad[@]}" >&2; exit 1; }
