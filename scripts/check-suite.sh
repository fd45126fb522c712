#!/bin/bash
# check-suite.sh sanitized|valgrind SUITE SECONDS: one .bats suite with another build of the programs.
#
# build/check/KIND/SUITE has amlshim and azsim, what bats said (log), and in reports/ what the
# runtimes found in any process: one report there and the suite has failed, whatever the tests say.
#
# sanitized: tests/sanitized/reports.c says where reports go. What is about the release binary itself
# (static, its memory, its filters of system calls) has the tag "release" and is left out.
# valgrind: a report has the time in its name, for there are many processes 1. A test that fails because
# amlshim is some twenty times slower, or has valgrind's name, does not count here; but most of them have
# to succeed, else nothing was looked at. What would wait for a process of that name has the tag "names".
set -euo pipefail
cd "$(dirname "$0")/.."

kind=$1 suite=$2 seconds=$3
name=$(basename "$suite" .bats)
dir=$PWD/build/check/$kind/$name
tags='!release'
rm -rf "$dir"
mkdir -p "$dir/reports"
chmod 1777 "$dir/reports"

# What grep finds in a report that counts.
case $kind in
sanitized)
	# Any line, but that of a thread that was just about to start when LeakSanitizer stopped the others.
	finding=(-v '^==[0-9]+==Running thread [0-9]+ was not suspended')
	cp build/debug/amlshim build/debug/azsim "$dir"
	export AMLSHIM=$dir/amlshim AZSIM=$dir/azsim USAGE_REST_MIB=600 SECCOMP_MODE=0 LIMIT=600
	;;
valgrind)
	# What memcheck finds, not calls that it does not know, nor its own end, as after an execve() that fails.
	finding=('^==[0-9]+== .*(Invalid |Mismatched |ninitialised |Syscall param |overlap|fishy|invalid address)')
	cp build/valgrind/amlshim "$dir/program"
	cat >"$dir/amlshim" <<-END
		#!/bin/sh
		exec valgrind -q --leak-check=no --log-file="$dir/reports/\$(date +%s%N).%p" '$dir/program' "\$@"
	END
	chmod +x "$dir/amlshim"
	export AMLSHIM=$dir/amlshim LIMIT=600
	tags+=',!names'
	;;
esac

began=$SECONDS status=0
timeout -k 20 "$seconds" nice bats --tap --filter-tags "$tags" "$suite" >"$dir/log" 2>&1 </dev/null ||
    status=$?
ok=$(grep -cE '^ok [0-9]' "$dir/log") || true
not_ok=$(grep -cE '^not ok [0-9]' "$dir/log") || true
find "$dir/reports" -type f -size 0 -delete
[ "$kind" != valgrind ] || [ "$status" -ge 124 ] || [ "$ok" -lt "$not_ok" ] || status=0
if reports=$(grep -rlE "${finding[@]}" "$dir/reports"); then
	status=1
fi
printf '  %-7s %s %s: %s ok, %s not, %s s\n' "$([ $status -eq 0 ] && echo CLEAN || echo FAILED)" \
    "$kind" "$name" "$ok" "$not_ok" $((SECONDS - began))
rm -f "$dir/program" "$dir/azsim"
[ "$kind" = valgrind ] || rm -f "$dir/amlshim"
[ $status -ne 0 ] || exit 0
grep -A30 '^not ok' "$dir/log" | head -100 || tail -30 "$dir/log"
for report in $reports; do
	echo "$report:"
	head -60 "$report"
done
exit 1
