#!/usr/bin/env bats
# What a PID 1 has to do: exit codes, signals, reaping, ending in order.  Each test runs amlshim as PID 1
# of a new namespace and as an ordinary process (subreaper), unless its name says otherwise.

load helpers

setup() {
	requires_root
}

teardown() {
	[ -z "${bg_outer-}" ] || kill -KILL "$bg_outer" || true
}

# start_background [pid1|sub] ARG...: amlshim in the background, its output in $BATS_TEST_TMPDIR/bg;
# (stderr: $bg_err, else bg.err); $bg is the pid to signal from outside.
start_background() {
	local how=$1
	shift
	: >"$BATS_TEST_TMPDIR/bg"	# what the last one said must not be taken for its word
	if [ "$how" = pid1 ]; then
		"${PID1[@]}" "$AMLSHIM" "$@" >"$BATS_TEST_TMPDIR/bg" 2>"${bg_err:-$BATS_TEST_TMPDIR/bg.err}" 3>&- &
		bg_outer=$!
		wait_for 30 pgrep -P "$bg_outer"
		bg=$(pgrep -P "$bg_outer")
	else
		"$AMLSHIM" "$@" >"$BATS_TEST_TMPDIR/bg" 2>"${bg_err:-$BATS_TEST_TMPDIR/bg.err}" 3>&- &
		bg_outer=$!
		bg=$bg_outer
	fi
}

# Bounded: after LIMIT seconds it is killed, and the status is wrong.
end_background() {
	local want=$1 watchdog
	(sleep "$LIMIT" && kill -KILL "$bg" "$bg_outer") >/dev/null 2>&1 3>&- &
	watchdog=$!
	status=0
	wait "$bg_outer" || status=$?
	pkill -P "$watchdog" || true
	kill "$watchdog" 2>/dev/null || true
	wait "$watchdog" || true
	bg_outer=
	if [ "$status" -ne "$want" ]; then
		echo "status $status, wanted $want"
		cat "$BATS_TEST_TMPDIR/bg" "$BATS_TEST_TMPDIR/bg.err"
		return 1
	fi
}

# Gone, or nothing but a status.
bg_ended() {
	! kill -0 "$bg" 2>/dev/null || grep -q '^State:.Z' "/proc/$bg/status"
}

bg_says() {
	grep -qx -- "$1" "$BATS_TEST_TMPDIR/bg"
}

@test "exit: every code from 0 to 255 is passed on" {
	for code in $(seq 0 255); do
		run_status "$code" "$AMLSHIM" -- sh -c "exit $code"
		silent
	done
	for code in 0 1 2 77 125 126 127 128 200 255; do
		run_status "$code" "${PID1[@]}" "$AMLSHIM" -- sh -c "exit $code"
	done
}

@test "exit: a command that a signal ended gives 128+n" {
	for sig in 1 2 3 6 9 11 13 15 31 34 64; do
		both $((128 + sig)) -- sh -c "kill -$sig \$\$"
	done
}

@test "exit: 127 when the command is not found, 126 when it cannot run, each named" {
	both 127 -- no-such-command-here x
	assert_in "$err" "no-such-command-here"
	assert_in "$err" "not found"
	both 127 -- /no/such/file
	echo text >"$BATS_TEST_TMPDIR/plain"
	both 126 -- "$BATS_TEST_TMPDIR/plain"
	assert_in "$err" "$BATS_TEST_TMPDIR/plain"
	both 126 -- "$BATS_TEST_TMPDIR"
	printf '#!/no/such/interpreter\n' >"$BATS_TEST_TMPDIR/script"
	chmod +x "$BATS_TEST_TMPDIR/script"
	both 127 -- "$BATS_TEST_TMPDIR/script"
}

@test "exit: a match that may not be executed does not end the search in PATH" {
	mkdir "$BATS_TEST_TMPDIR/a" "$BATS_TEST_TMPDIR/b"
	echo >"$BATS_TEST_TMPDIR/a/tool"
	printf '#!/bin/sh\nexit 9\n' >"$BATS_TEST_TMPDIR/b/tool"
	chmod +x "$BATS_TEST_TMPDIR/b/tool"
	PATH="$BATS_TEST_TMPDIR/a:$BATS_TEST_TMPDIR/b:$PATH" both 9 -- tool
}

@test "exit: a script without #! is run by the shell" {
	echo 'exit 23' >"$BATS_TEST_TMPDIR/script"
	chmod +x "$BATS_TEST_TMPDIR/script"
	both 23 -- "$BATS_TEST_TMPDIR/script"
}

@test "exit: --remap-exit turns chosen codes into success" {
	both 0 -e 143,3 -- sh -c 'exit 3'
	both 4 -e 143,3 -- sh -c 'exit 4'
}

@test "exit: a directory of PATH that is no directory, and an empty one, do not end the search" {
	mkdir "$BATS_TEST_TMPDIR/b"
	printf '#!/bin/sh\nexit 9\n' >"$BATS_TEST_TMPDIR/b/tool"
	chmod +x "$BATS_TEST_TMPDIR/b/tool"
	PATH="/etc/passwd:/no/such:$BATS_TEST_TMPDIR/b:$PATH" both 9 -- tool
	cd "$BATS_TEST_TMPDIR/b"
	PATH="$PATH:" both 9 -- tool
}

@test "usage: no command, an unknown flag, a bad value: exit 2 and one line" {
	amlshim 2
	assert_equal "$(wc -l <"$BATS_TEST_TMPDIR/err")" 1
	amlshim 2 --no-such-flag -- true
	assert_in "$err" "--no-such-flag"
	amlshim 2 --grace soon -- true
	assert_in "$err" "--grace"
	AMLSHIM_MEMORY=lots amlshim 2 -- true
	assert_in "$err" AMLSHIM_MEMORY
}

@test "usage: --dry-run runs nothing, with a job spec or without" {
	amlshim 0 --dry-run -- touch "$BATS_TEST_TMPDIR/ran"
	AMLSHIM_DRY_RUN=1 amlshim 0 -- touch "$BATS_TEST_TMPDIR/ran"
	[ ! -e "$BATS_TEST_TMPDIR/ran" ]
	amlshim 3 --explain -- sh -c 'exit 3'
}

@test "words after -- reach the command byte for byte" {
	both 0 -- printf '%s|' --help -- '' 'a b' '${{inputs.x}}' -v
	assert_equal "$out" '--help|--||a b|${{inputs.x}}|-v|'
	silent
}

# A script, for the command to source: how many zombies amlshim has, none as soon as it is none.
zombies_script() {
	cat >"$BATS_TEST_TMPDIR/zombies" <<-'END'
		for turn in $(seq 60); do
			sleep 0.5
			n=$(grep -l '^State:.Z' /proc/[0-9]*/status 2>/dev/null | xargs -r grep -sh '^PPid:' | awk -v p=$PPID '$2 == p' | wc -l)
			[ "$n" -gt 0 ] || break
		done
		echo "$n"
	END
}

@test "reap: 2,000 orphaned grandchildren leave no zombie" {
	zombies_script
	both 0 -- sh -c "\"$TOOLS/orphans\" 2000; . \"$BATS_TEST_TMPDIR/zombies\""
	assert_equal "$out" "2000
0"
	silent
}

@test "reap: 100,000 orphans, as many as come: none is left, and signals get through" {
	zombies_script
	both 0 -- sh -c "trap 'echo told' USR1; \"$TOOLS/orphans\" 100000; kill -USR1 \$PPID; . \"$BATS_TEST_TMPDIR/zombies\""
	assert_equal "$out" "100000
told
0"
	silent
}

@test "reap: 1,000 that end in one instant are all reaped, after one SIGCHLD" {
	zombies_script
	run_status 0 "$AMLSHIM" -- sh -c "\"$TOOLS/orphans\" 1000 \$PPID; . \"$BATS_TEST_TMPDIR/zombies\""
	assert_equal "$out" "1000
0"
	run_status 4 "$AMLSHIM" -- sh -c "\"$TOOLS/orphans\" 1000 \$PPID; exit 4"
}

@test "reap: SIGCHLD inherited as ignored or blocked does not lose the status" {
	run_status 7 "$TOOLS/with-signals" ignore 17 -- "$AMLSHIM" -- sh -c 'exit 7'
	run_status 7 "$TOOLS/with-signals" block 17 -- "$AMLSHIM" -- sh -c 'exit 7'
}

@test "child: mask, dispositions and descriptors are those amlshim was started with" {
	local direct
	run_status 0 "$TOOLS/with-signals" ignore 1 ignore 17 block 10 -- "$TOOLS/sigstate" 7</dev/null
	direct=$out
	run_status 0 "$TOOLS/with-signals" ignore 1 ignore 17 block 10 -- "$AMLSHIM" -- "$TOOLS/sigstate" 7</dev/null
	assert_equal "$(grep -v leader <<<"$out")" "$(grep -v leader <<<"$direct")"
	assert_in "$out" "leader 1"
}

@test "child: closed standard descriptors stay closed" {
	run_status 0 sh -c "exec \"$AMLSHIM\" -- \"$TOOLS/sigstate\" <&-"
	assert_in "$out" "fds 1 2"
}

@test "child: what amlshim opens does not become a closed standard descriptor" {
	run_status 127 sh -c "exec \"$AMLSHIM\" -- /no/such/command <&- 2>&-"
	run_status 0 sh -c "exec \"$AMLSHIM\" -- \"$TOOLS/sigstate\" <&- 2>&-"
	assert_in "$out" "fds 1"
	refute_in "$out" "fds 1 2"
	amlshim_fds() {
		(exec "$AMLSHIM" -- sleep 30 <&- >&- 2>&- 3>&-) &
		bg=$!
		wait_for 30 pgrep -P "$bg"
		for fd in 0 1 2; do
			readlink "/proc/$bg/fd/$fd"
		done
		kill "$bg"
		wait "$bg" || true
	}
	assert_equal "$(amlshim_fds)" "/
/
/"
}

@test "init keeps no inherited descriptor and no working directory" {
	cd "$BATS_TEST_TMPDIR"
	echo >file
	for how in pid1 sub; do
		start_background $how -- sh -c 'cat <&7 && echo ready; exec sleep 30' 7<file
		wait_for 30 bg_says ready
		refute_in "$(ls -l "/proc/$bg/fd")" "$BATS_TEST_TMPDIR/file"
		assert_equal "$(stat -Lc %d:%i "/proc/$bg/cwd")" "$(stat -Lc %d:%i "/proc/$bg/root")"
		assert_in "$(ls -l "/proc/$(pgrep -P "$bg")/fd")" "$BATS_TEST_TMPDIR/file"
		kill "$bg"
		end_background 143
	done
}

@test "child: environment and working directory are unchanged" {
	cd "$BATS_TEST_TMPDIR"
	run_status 0 env -i Z=1 A=2 Z2= "$AMLSHIM" -- /usr/bin/env
	assert_equal "$out" "$(env -i Z=1 A=2 Z2= /usr/bin/env)"
	both 0 -- pwd
	assert_equal "$out" "$BATS_TEST_TMPDIR"
}

@test "child: LISTEN_PID names the child" {
	run_status 0 bash -c "export LISTEN_PID=\$\$; exec \"$AMLSHIM\" -- sh -c 'test \$LISTEN_PID = \$\$'"
}

@test "signals: every forwardable signal reaches the command" {
	for how in pid1 sub; do
		start_background $how -- "$TOOLS/sigprint" 20 5
		wait_for 30 bg_says ready
		for sig in 1 2 3 4 5 6 7 8 10 11 13 14 15 16 18 21 22 23 24 25 26 27 28 29 30 31 34 35 50 64; do
			kill -$sig "$bg"
			wait_for 30 bg_says $sig
		done
		kill -12 "$bg"
		end_background 5
	done
}

@test "signals: each queued real-time signal arrives, with its value" {
	for how in pid1 sub; do
		start_background $how -- "$TOOLS/sigprint" 20 0
		wait_for 30 bg_says ready
		"$TOOLS/sigqueue" "$bg" 35 500
		wait_for 30 bg_says "35 value 499"
		kill -12 "$bg"
		end_background 0
		assert_equal "$(grep -c '^35 value' "$BATS_TEST_TMPDIR/bg")" 500
	done
}

@test "signals: none is lost where the queue is short" {
	start_background sub -- "$TOOLS/sigprint" 20 0
	wait_for 30 bg_says ready
	prlimit --pid "$bg" --sigpending=40
	prlimit --pid "$(pgrep -P "$bg")" --sigpending=40
	"$TOOLS/sigqueue" "$bg" 35 100 "$(pgrep -P "$bg")"
	wait_for 30 bg_says "35 value 99"
	kill -12 "$bg"
	end_background 0
	assert_equal "$(grep -c '^35 value' "$BATS_TEST_TMPDIR/bg")" 100
}

@test "signals: one that came before the command started is not lost" {
	run_status 143 "$TOOLS/with-signals" block 15 raise 15 -- "$AMLSHIM" -- "$TOOLS/with-signals" unblock 15 -- sleep 10
}

@test "signals: a command whose exec takes its time holds up neither signals nor reaping" {
	cp "$(command -v sleep)" "$BATS_TEST_TMPDIR/slow"
	# A write lease: exec waits until it is given back, or for 45 s.
	python3 - "$BATS_TEST_TMPDIR/slow" "$BATS_TEST_TMPDIR/leased" 3>&- <<-'END' &
		import fcntl, os, signal, sys, time
		signal.signal(signal.SIGIO, signal.SIG_IGN)
		fd = os.open(sys.argv[1], os.O_RDWR)
		fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_WRLCK)
		open(sys.argv[2], "w").close()
		time.sleep(40)
	END
	local holder=$! began
	wait_for 30 test -e "$BATS_TEST_TMPDIR/leased"
	for how in pid1 sub; do
		start_background $how -- "$BATS_TEST_TMPDIR/slow" 30
		sleep 0.3
		began=$SECONDS
		kill -TERM "$bg"
		end_background 143
		[ $((SECONDS - began)) -lt 15 ]
	done
	kill "$holder"
	wait "$holder" || true
}

@test "signals: a full stderr that nobody reads does not hold them up" {
	bg_err=$BATS_TEST_TMPDIR/full
	mkfifo "$bg_err"
	exec 8<>"$bg_err"
	timeout 1 cat /dev/zero >&8 || true
	for how in pid1 sub; do
		start_background $how -vv -- sh -c 'trap "exit 9" TERM; echo ready; while :; do sleep 0.1; done'
		wait_for 30 bg_says ready
		kill -TERM "$bg"
		wait_for 30 bg_ended
		end_background 9
	done
	exec 8>&-
}

@test "stop: SIGTERM reaches the job and its code is ours" {
	for how in pid1 sub; do
		start_background $how -- sh -c 'trap "exit 9" TERM; echo ready; while :; do sleep 0.1; done'
		wait_for 30 bg_says ready
		kill -TERM "$bg"
		end_background 9
	done
}

@test "stop: a job that ignores SIGTERM is killed after the grace period" {
	for how in pid1 sub; do
		start_background $how --grace 500ms -- sh -c 'trap "" TERM; echo ready; while :; do sleep 0.1; done'
		wait_for 30 bg_says ready
		kill -TERM "$bg"
		end_background 137
	done
}

@test "stop: a stopped job is continued by SIGTERM" {
	start_background sub -- sh -c 'trap "exit 3" TERM; echo ready; while :; do sleep 0.1; done'
	wait_for 30 bg_says ready
	kill -STOP "$(pgrep -P "$bg")"
	wait_for 30 grep -q 'State:.T' "/proc/$(pgrep -P "$bg")/status"
	kill -TERM "$bg"
	end_background 3
}

@test "stop: processes that outlive the command get SIGTERM, then SIGKILL, none is left" {
	for how in pid1 sub; do
		rm -f "$BATS_TEST_TMPDIR/up"
		start_background $how --leftover 2s -- sh -c "setsid sh -c 'trap \"echo asked\" TERM; : >$BATS_TEST_TMPDIR/up; while :; do sleep 0.1; done' & until [ -e $BATS_TEST_TMPDIR/up ]; do sleep 0.05; done; exit 4"
		end_background 4
		bg_says asked
		refute pgrep -f "^sh -c trap .*$BATS_TEST_TMPDIR/up"
	done
}

@test "stop: the grace period is over for what is left of the job too" {
	for how in pid1 sub; do
		rm -f "$BATS_TEST_TMPDIR/up"
		start_background $how --grace 500ms --leftover 20s -- sh -c "trap '' TERM; setsid sh -c ': >$BATS_TEST_TMPDIR/up; while :; do sleep 0.1; done' & until [ -e $BATS_TEST_TMPDIR/up ]; do sleep 0.05; done; echo ready; while :; do sleep 0.1; done"
		wait_for 30 bg_says ready
		local began=$SECONDS
		kill -TERM "$bg"
		end_background 137
		[ $((SECONDS - began)) -lt 15 ]
	done
}

@test "stop: SIGTERM while leftovers are waited for starts the grace period" {
	for how in pid1 sub; do
		rm -f "$BATS_TEST_TMPDIR/go"
		start_background $how --grace 500ms --leftover never -- sh -c "setsid sh -c 'trap \"\" TERM; echo ready; while :; do sleep 0.1; done' & until [ -e $BATS_TEST_TMPDIR/go ]; do sleep 0.05; done; exit 6"
		wait_for 30 bg_says ready
		touch "$BATS_TEST_TMPDIR/go"
		wait_for 30 refute pgrep -P "$bg" -f 'exit 6'
		kill -TERM "$bg"
		end_background 6
	done
}

@test "stop: PID 1 also ends what came in from outside, like docker exec" {
	start_background pid1 --leftover 500ms -- sh -c "echo ready; until [ -e $BATS_TEST_TMPDIR/in ]; do sleep 0.05; done; exit 4"
	wait_for 30 bg_says ready
	nsenter -t "$bg" -p -m sh -c "trap '' TERM; : >$BATS_TEST_TMPDIR/in; while :; do sleep 0.1; done" 3>&- &
	local guest=$!
	end_background 4
	wait "$guest" || true
}

@test "stop: without a /proc of its own namespace no strange process is signalled" {
	run_status 3 unshare --pid --fork --kill-child sh -c "\"$AMLSHIM\" --leftover 300ms -- sh -c 'setsid sleep 20 & exit 3'"
	silent
}

@test "stop: -g signals the whole group" {
	start_background sub -g -- "$TOOLS/forks" "$TOOLS/sigprint" 10 0
	wait_for 30 bg_says ready
	kill -USR1 "$bg"
	wait_for 30 bg_says 10
	kill -USR2 "$bg"
	end_background 0
}

@test "not PID 1: when amlshim is killed the command dies too" {
	start_background sub -- sh -c 'echo $$; exec sleep 300'
	wait_for 30 grep -q . "$BATS_TEST_TMPDIR/bg"
	local child
	child=$(cat "$BATS_TEST_TMPDIR/bg")
	kill -KILL "$bg"
	end_background 137
	wait_for 30 sh -c "! kill -0 $child"
}

@test "terminal: the command's group is in the foreground and a shell has job control" {
	run_status 0 script -qec "\"$AMLSHIM\" -- bash -c 'cut -d\" \" -f5,8 /proc/\$\$/stat; echo \$\$'" /dev/null
	local group foreground self
	read -r group foreground < <(tr -d '\r' <<<"$out")
	self=$(tr -d '\r' <<<"$out" | sed -n 2p)
	assert_equal "$group $foreground" "$self $self"
	run_status 0 script -qec "\"$AMLSHIM\" -- bash -ic 'echo flags=\$-'" /dev/null
	assert_in "$(grep -o 'flags=.*' <<<"$out")" m
	refute_in "$out" "no job control"
}

@test "terminal: Ctrl-Z gives the shell its prompt back, fg goes on" {
	run_status 0 script -qec "bash -ic '\"$AMLSHIM\" -- sh -c \"kill -TSTP \\\$\\\$; echo went on\"; echo prompt; fg; echo status \$?'" /dev/null
	assert_in "$(tr -d '\r' <<<"$out" | grep -E '^(prompt|went on|status .*)$' | tr '\n' ,)" "prompt,went on,status 0,"
}

@test "terminal: where nobody could continue it, the command is not left stopped" {
	run_status 0 script -qec "exec \"$AMLSHIM\" -- sh -c 'kill -TSTP \$\$; echo went on'" /dev/null
	assert_in "$out" "went on"
	run_status 0 script -qec "exec ${PID1[*]} setsid -cw \"$AMLSHIM\" -- sh -c 'kill -TSTP \$\$; echo went on'" /dev/null
	assert_in "$out" "went on"
}

@test "three inits nested: a signal arrives once" {
	start_background sub -- "$AMLSHIM" -- "$AMLSHIM" -- "$TOOLS/sigprint" 20 0
	wait_for 30 bg_says ready
	kill -USR1 "$bg"
	wait_for 30 bg_says 10
	kill -USR2 "$bg"
	end_background 0
	assert_equal "$(grep -c '^10$' "$BATS_TEST_TMPDIR/bg")" 1
}

# secret_job: a job that holds secrets in every place where amlshim takes them; $key and $header.
secret_job() {
	key=$(head -c 48 /dev/urandom | base64 -w 0)
	header=$(head -c 24 /dev/urandom | od -An -tx1 | tr -d ' \n')
	cat >"$BATS_TEST_TMPDIR/store.yml" <<-END
		name: filed
		type: azure_blob
		account_name: acct
		container_name: data
		credentials: {account_key: "$key"}
	END
	export AMLSHIM_DATASTORES='{"name": "inline", "type": "azure_blob", "account_name": "acct", "container_name": "data", "credentials": {"account_key": "'$key'"}}'
	export AMLSHIM_JOB='{"command": "sh -c \"echo ready; sleep 30\"", "environment_variables": {"A": "b"}, "inputs": {"i": {"type": "uri_folder", "mode": "direct", "path": "azureml://datastores/inline/paths/x"}}}'
	export MSI_ENDPOINT=http://127.0.0.1:9/MSI/auth MSI_SECRET=$header
}

# bats test_tags=release
@test "secrets: once the agent is forked, init has none left in any memory" {
	local flags other
	secret_job
	# It would find them: here is a process that has one. (Agents have theirs where nobody can look, if the kernel
	# has memfd_secret.)
	HELD=$header sleep 60 3>&- &
	other=$!
	wait_for 30 eval '[ "$("$TOOLS/memgrep" $other "${header:20:16}")" -gt 0 ]'
	kill $other
	for flags in "" "--datastore $BATS_TEST_TMPDIR/store.yml"; do
		for how in pid1 sub; do
			# shellcheck disable=SC2086 # words
			start_background $how $flags
			wait_for 30 bg_says ready
			# From the middle: an allocator writes over the ends of what is freed.
			assert_equal "$("$TOOLS/memgrep" "$bg" "${key:20:16}")" 0
			assert_equal "$("$TOOLS/memgrep" "$bg" "${header:20:16}")" 0
			refute grep -qaF "$key" "/proc/$bg/environ" "/proc/$bg/cmdline"
			refute grep -qaF "$header" "/proc/$bg/environ"
			kill "$bg"
			end_background 143
		done
	done
}

@test "secrets: the job has neither the inputs nor the platform's secret in its environment" {
	secret_job
	AMLSHIM_JOB='{"command": "env"}' run_status 0 "$AMLSHIM"
	refute_in "$out" "$key"
	refute_in "$out" "$header"
	refute_in "$(grep -v ^AMLSHIM_BROKER_SOCKET= <<<"$out")" AMLSHIM_
	assert_in "$out" MSI_SECRET=
}

@test "unprivileged: all of it works under a uid that owns nothing" {
	chmod 755 "$BATS_TEST_TMPDIR"
	local as=(setpriv --reuid 65534 --regid 65534 --clear-groups --inh-caps=-all --bounding-set=-all --no-new-privs)
	cp "$AMLSHIM" "$BATS_TEST_TMPDIR/amlshim"
	run_status 7 "${as[@]}" "$BATS_TEST_TMPDIR/amlshim" -- sh -c 'exit 7'
	run_status 7 "${PID1[@]}" "${as[@]}" "$BATS_TEST_TMPDIR/amlshim" -- sh -c 'exit 7'
	secret_job
	export AMLSHIM_JOB='{"command": "sh -c \"cat /proc/self/environ >/dev/null && ls /proc/self/fd >/dev/null && exit 7\""}'
	# With an agent: init is not dumpable, the command is.
	run_status 7 "${as[@]}" "$BATS_TEST_TMPDIR/amlshim" --leftover 300ms
	run_status 7 "${PID1[@]}" "${as[@]}" "$BATS_TEST_TMPDIR/amlshim" --leftover 300ms
	silent
	# And leftovers are found.
	local mark=30.$RANDOM$RANDOM
	export AMLSHIM_JOB='{"command": "sh -c \"setsid sleep '$mark' & sleep 0.3; exit 5\""}'
	run_status 5 "${PID1[@]}" "${as[@]}" "$BATS_TEST_TMPDIR/amlshim" --leftover 300ms
	run_status 5 "${as[@]}" "$BATS_TEST_TMPDIR/amlshim" --leftover 300ms
	refute pgrep -f "sleep $mark"
}

# bats test_tags=release
@test "an exec'd binary that is static and alone: no /proc, no /dev, no shell" {
	local root=$BATS_TEST_TMPDIR/root
	mkdir "$root"
	cp "$AMLSHIM" "$root/amlshim"
	cp "$TOOLS/exit7" "$root/child"
	run_status 7 unshare --pid --fork chroot "$root" /amlshim -- /child
	silent
}
