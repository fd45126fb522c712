# Helpers of the bats suites: run amlshim with an expected status, as PID 1 or as a subreaper, and wait
# for conditions instead of sleeping.

AMLSHIM=${AMLSHIM:-$BATS_TEST_DIRNAME/../build/amlshim}
TOOLS=${TOOLS:-$BATS_TEST_DIRNAME/../build/tests/bin}
AMLSHIM=$(readlink -f "$AMLSHIM")
LIMIT=${LIMIT:-180}

# amlshim STATUS ARG...: run it, check the status; $output has stdout and stderr, $out and $err each.
amlshim() {
	local want=$1
	shift
	run_status "$want" "$AMLSHIM" "$@"
}

# run_status STATUS COMMAND...: as above for any command.
run_status() {
	local want=$1
	shift
	status=0
	timeout --foreground -k 5 "$LIMIT" "$@" >"$BATS_TEST_TMPDIR/out" 2>"$BATS_TEST_TMPDIR/err" 3>&- || status=$?
	out=$(cat "$BATS_TEST_TMPDIR/out")
	err=$(cat "$BATS_TEST_TMPDIR/err")
	# shellcheck disable=SC2034 # for the tests
	output="$out$err"
	if [ "$status" -ne "$want" ]; then
		printf 'command: %s\nstatus: %s, wanted %s\nstdout: %s\nstderr: %s\n' "$*" "$status" "$want" "$out" "$err"
		return 1
	fi
}

# The prefix that makes a command PID 1 of a new PID and mount namespace.  In a plain chroot / is no
# mount point and cannot be made private.
PID1=(unshare --pid --fork --kill-child --mount --mount-proc --propagation private)
if ! unshare --mount --propagation private true 2>/dev/null && unshare --mount --propagation unchanged true 2>/dev/null; then
	PID1[${#PID1[@]}-1]=unchanged
fi

# both STATUS ARG...: amlshim as PID 1 and as an ordinary process; $out of the second run remains.
both() {
	local want=$1
	shift
	run_status "$want" "${PID1[@]}" "$AMLSHIM" "$@"
	run_status "$want" "$AMLSHIM" "$@"
}

# assert_in TEXT NEEDLE
assert_in() {
	case $1 in
	*"$2"*) ;;
	*)
		printf 'not found: %s\nin: %s\n' "$2" "$1"
		return 1
		;;
	esac
}

refute_in() {
	case $1 in
	*"$2"*)
		printf 'should not be there: %s\nin: %s\n' "$2" "$1"
		return 1
		;;
	esac
}

# refute COMMAND...: it must fail ("! command" would not end a test).
refute() {
	if "$@"; then
		echo "should not have succeeded: $*"
		return 1
	fi
}

assert_equal() {
	if [ "$1" != "$2" ]; then
		printf 'expected: %s\ngot:      %s\n' "$2" "$1"
		return 1
	fi
}

# wait_for SECONDS COMMAND...: until it succeeds.
wait_for() {
	local deadline=$((SECONDS + $1))
	shift
	until "$@" >/dev/null 2>&1; do
		if [ $SECONDS -ge $deadline ]; then
			echo "gave up waiting for: $*"
			return 1
		fi
		sleep 0.05
	done
}

# silent: a successful run says nothing on stderr.
silent() {
	if [ -n "$err" ]; then
		printf 'expected silence, got: %s\n' "$err"
		return 1
	fi
}

requires_root() {
	[ "$(id -u)" = 0 ] || skip "needs root"
}

requires_fuse() {
	requires_root
	[ -c /dev/fuse ] || skip "needs /dev/fuse"
}

# Not one of those that the kernel gives to whoever connects meanwhile.
free_port() {
	python3 - <<-'END'
		import random, socket
		while True:
		    port = random.randrange(20000, 32000)
		    try:
		        socket.socket().bind(("127.0.0.1", port))
		        print(port)
		        break
		    except OSError:
		        pass
	END
}
