#!/bin/bash
# check.sh [STEP...]: `make check`, see docs/CHECKS.md. A line a step; what it said is in
# build/check/STEP.log. A step that is over its time has failed.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
unset MAKEFLAGS MFLAGS MAKELEVEL

# STEP SECONDS COMMAND...
steps='
lint 1800 make -k lint
cppcheck 600 make check-cppcheck
analyzer 1800 make -k check-analyzer
unit 900 make check-unit
unit-sanitized 1800 make DEBUG=1 check-unit
thread 1800 make check-thread
sanitized 7200 make -k -j2 check-sanitized
valgrind 7200 make -k -j2 check-valgrind
coverage 3600 make coverage
'

mkdir -p build/check
clean=0 not=()
while read -r name seconds command; do
	[ -n "$name" ] || continue
	case " ${*:-$name} " in
	*" $name "*) ;;
	*) continue ;;
	esac
	began=$SECONDS word=clean
	# shellcheck disable=SC2086 # a command's words
	timeout -k 30 "$seconds" $command >"build/check/$name.log" 2>&1 </dev/null || word=NOT
	printf '%-6s %-15s %5s s  build/check/%s.log\n' $word "$name" $((SECONDS - began)) "$name"
	if [ $word = clean ]; then
		clean=$((clean + 1))
	else
		not+=("$name")
		grep -E 'FAILED|warning|error|^not ok' "build/check/$name.log" | head -20
	fi
done <<<"$steps"
echo "$clean clean, ${#not[@]} not${not:+: ${not[*]}}"
[ ${#not[@]} -eq 0 ]
