#!/usr/bin/env bash
# check-valgrind.sh: the unit tests, built for the host without sanitizers, under valgrind.
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/apt-install.sh valgrind
make -s valgrind-units
n=0
bad=0
for program in build/valgrind/tests/unit/test_*; do
	case $program in *.d | *.o | *.debug) continue ;; esac
	n=$((n + 1))
	if valgrind -q --error-exitcode=99 --leak-check=full --errors-for-leak-kinds=definite \
	    --trace-children=no --child-silent-after-fork=yes "$program" >build/test/valgrind.out 2>&1; then
		echo "ok $n - $(basename "$program")"
	else
		bad=1
		echo "not ok $n - $(basename "$program")"
		grep -E '==|^not ok' build/test/valgrind.out | head -40
	fi
done
echo "1..$n"
exit $bad
