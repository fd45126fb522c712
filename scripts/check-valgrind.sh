#!/usr/bin/env bash
# check-valgrind.sh: the unit tests, built for the host without sanitizers, under valgrind.
#
# What counts is memory: any report ("==PID=="; a "--PID--" tells of a call that valgrind does not know), also of a forked child, fails.  Checks of time that a program fails
# because it runs twenty times slower here are the business of check-unit; leaks are the sanitizers'.
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/apt-install.sh valgrind
make -s valgrind-units
logs=build/test/valgrind
rm -rf "$logs"
mkdir -p "$logs"

# Says "ok" or "not ok" of one program.
check()
{
	local name status=0
	name=$(basename "$1")
	timeout -k 5 300 valgrind -q --leak-check=no --log-file="$logs/$name.%p" "$1" \
	    >"$logs/$name.out" 2>&1 </dev/null || status=$?
	if [ "$status" -lt 124 ] && ! grep -q '^==' "$logs/$name".[0-9]* &&
	    grep -q '^1\.\.' "$logs/$name.out"; then
		echo ok >"$logs/$name.result"
	else
		echo "not ok $status" >"$logs/$name.result"
	fi
}

# Two at a time: they wait as much as they compute.
programs=()
for program in build/valgrind/tests/unit/test_*; do
	case $program in *.d | *.o | *.debug) continue ;; esac
	programs+=("$program")
	[ ${#programs[@]} -le 2 ] || wait -n
	check "$program" &
done
wait

n=0 bad=0
for program in "${programs[@]}"; do
	n=$((n + 1))
	name=$(basename "$program")
	if [ "$(cat "$logs/$name.result")" = ok ]; then
		echo "ok $n - $name"
	else
		bad=1
		echo "not ok $n - $name ($(cat "$logs/$name.result"))"
		cat "$logs/$name".[0-9]* | head -40
	fi
done
echo "1..$n"
exit $bad
