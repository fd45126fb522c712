#!/bin/bash
# check-unit.sh PROGRAM...: run unit tests that speak TAP, show what failed, count.
#
# A program fails that ends with a status, is killed, takes over a minute, prints "not ok", or
# does not run as many tests as its plan says.
set -euo pipefail

[ $# -gt 0 ] || { echo "check-unit: no unit tests" >&2; exit 1; }
output=$(mktemp)
trap 'rm -f "$output"' EXIT
tests=0 skips=0 bad=()

count()
{
	grep -cE "$1" "$output" || true
}

for program in "$@"; do
	status=0
	timeout -k 5 60 "$program" >"$output" 2>&1 </dev/null || status=$?
	ok=$(count '^ok\b')
	not_ok=$(count '^not ok\b')
	plan=$(sed -n 's/^1\.\.\([0-9][0-9]*\).*/\1/p' "$output" | tail -n 1)
	tests=$((tests + ok + not_ok))
	skips=$((skips + $(count '^ok\b.*# *[Ss][Kk][Ii][Pp]')))
	if [ "$status" -ne 0 ] || [ "$not_ok" -ne 0 ] || [ "$((ok + not_ok))" != "$plan" ] ||
	    [ "$plan" -eq 0 ]; then
		bad+=("$program")
		echo "$program: status $status, $ok ok, $not_ok not ok, plan ${plan:-none}"
		grep -v '^ok\b' "$output" | tail -n 60 || true
	fi
done

echo "unit: $# programs, $tests tests, $skips skipped, ${#bad[@]} programs failed"
[ ${#bad[@]} -eq 0 ] || { printf '  %s\n' "${bad[@]}" >&2; exit 1; }
