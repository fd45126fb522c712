#!/usr/bin/env bash
# test.sh [STEP...]: the whole test suite; `make test` calls it.
#
# Steps run in lanes side by side: what computes (niced), the bats suites, and those that take minutes and
# little else. Each step's output goes to build/test/STEP.log and its TAP lines are counted; a step that fails,
# or (with CI=true) a skipped test, fails the suite. The counts end up in build/test/summary.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
unset MAKEFLAGS MFLAGS MAKELEVEL

LOGS=build/test
PACKAGES="bats tini dumb-init catatonit file binutils curl openssl procps psmisc util-linux bsdutils python3 git sqlite3 debootstrap iproute2 ca-certificates fio python3-numpy zsh groff-base"
COMPUTING="unit unit-sanitized bats-sanitized lint fuzz"
WAITING="bats"
LONG="long"

passed=0 failed=0 skipped=0 failed_steps=()

# Counts the TAP lines of a log.
count() {
	local n
	n=$(grep -cE "$1" "$2")
	echo "${n:-0}"
}

run_step() {
	local name=$1 status=0 began=$SECONDS
	"step_$name" >"$LOGS/$name.log" 2>&1 </dev/null || status=$?
	echo "$status $((SECONDS - began))" >"$LOGS/$name.result"
}

run_lane() {
	local step
	for step in "$@"; do
		run_step "$step"
	done
}

# Prints what became of a step, and adds it up.
tell_step() {
	local name=$1 log=$LOGS/$1.log status=1 seconds=0 ok not_ok skip
	[ ! -f "$LOGS/$name.result" ] || read -r status seconds <"$LOGS/$name.result"
	ok=$(count '^ok [0-9]+' "$log")
	not_ok=$(count '^not ok [0-9]+' "$log")
	skip=$(count '^ok [0-9]+.* # [Ss][Kk][Ii][Pp]' "$log")
	[ "$ok" -gt 0 ] || [ "$status" -ne 0 ] || ok=1
	[ "$status" -eq 0 ] || [ "$not_ok" -gt 0 ] || not_ok=1
	passed=$((passed + ok - skip))
	failed=$((failed + not_ok))
	skipped=$((skipped + skip))
	printf '== %s\n   %s passed, %s failed, %s skipped in %s s\n' "$name" $((ok - skip)) "$not_ok" "$skip" "$seconds"
	grep -E '^ok [0-9]+.* # [Ss][Kk][Ii][Pp]' "$log" | sed 's/^/   /'
	[ "$status" -ne 0 ] || [ "$not_ok" -gt 0 ] || return 0
	failed_steps+=("$name")
	if grep -q '^not ok' "$log"; then
		grep -E -A40 '^not ok' "$log" | grep -vE '^ok ' | head -150
	else
		tail -60 "$log"
	fi
}

step_unit() { make check-unit UNIT_TAP=1; }
step_unit-sanitized() { make DEBUG=1 check-unit UNIT_TAP=1; }
# Each time the same inputs, on a slow machine too: what is new is found by make fuzz, not by who changes something
# else.
step_fuzz() { SEED=1 RUNS=3000 make -j2 fuzz SECONDS=60; }
step_lint() { make lint; }
# Three lanes: mounts; deaths, servers and containers; all others. They wait for servers more than they compute.
step_bats() {
	local suite mounts=() late=() others=() status=0
	for suite in tests/*.bats; do
		case $suite in
		tests/*-long*.bats | tests/9[5-7]*) ;;
		tests/5*) mounts+=("$suite") ;;
		tests/8[5-9]* | tests/9*) late+=("$suite") ;;
		*) others+=("$suite") ;;
		esac
	done
	bats --tap "${mounts[@]}" >"$LOGS/mounts.out" 2>&1 </dev/null &
	bats --tap "${late[@]}" >"$LOGS/late.out" 2>&1 </dev/null &
	bats --tap "${others[@]}" || status=1
	wait -n || status=1
	wait -n || status=1
	cat "$LOGS/mounts.out" "$LOGS/late.out"
	return $status
}
# The crash test takes ten minutes by itself; here it leaves time to the others. Then faults and packages, which
# would make the third lane of the suites the longest of all.
step_long() { CRASH_S=${CRASH_S:-100} bats --tap tests/*-long*.bats tests/9[5-7]*.bats; }
# The suites that parse, plan and supervise, on the sanitized build.
step_bats-sanitized() {
	make DEBUG=1 &&
	    AMLSHIM=build/debug/amlshim bats --tap tests/20-spec.bats tests/30-plan.bats
}

prepare() {
	# shellcheck disable=SC2086
	scripts/apt-install.sh $PACKAGES && make -s && scripts/npm-tools.sh && scripts/python-sdk.sh
}

if [ "${1:-}" = --lane ]; then
	run_lane "${@:2}"
	exit
fi

mkdir -p "$LOGS"
rm -f "$LOGS"/*.log "$LOGS"/*.out "$LOGS"/*.result "$LOGS/summary"
printf '== prepare\n'
if ! prepare >"$LOGS/prepare.log" 2>&1; then
	tail -60 "$LOGS/prepare.log"
	echo "0 passed, 1 failed" | tee "$LOGS/summary"
	exit 1
fi
# Those of $1 that were asked for.
chosen() {
	local step
	for step in $1; do
		case " $wanted " in
		*" $step "*) echo "$step" ;;
		esac
	done
}

# timeout is there for its process group: what ends it ends all of a lane, with its jobs and servers.
begin_lane() {
	[ $# -gt 1 ] || return 0
	timeout -k 20 1620 nice -n "$1" "$0" --lane "${@:2}" &
	lanes+=($!)
}

end_lanes() {
	kill "${lanes[@]}" 2>/dev/null && wait
}

lanes=()
trap end_lanes EXIT
wanted=${*:-$COMPUTING $WAITING $LONG}
printf '== %s\n' "side by side: $wanted"
# shellcheck disable=SC2046
begin_lane 0 $(chosen "$LONG")
# shellcheck disable=SC2046
begin_lane 0 $(chosen "$WAITING")
# shellcheck disable=SC2046
begin_lane 10 $(chosen "$COMPUTING")
wait "${lanes[@]}"
lanes=()
for step in $(chosen "$COMPUTING $WAITING $LONG"); do
	tell_step "$step"
done

if [ "${CI:-}" = true ] && [ "$skipped" -gt 0 ]; then
	echo "a test was skipped, and in CI none may be"
	failed=$((failed + skipped))
fi
[ ${#failed_steps[@]} -eq 0 ] || echo "failed steps: ${failed_steps[*]}"
echo "$passed passed, $failed failed" >"$LOGS/summary"
cat "$LOGS/summary"
[ "$failed" -eq 0 ]
