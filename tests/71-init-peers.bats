#!/usr/bin/env bats
# The ideas of tini's and dumb-init's own tests, run against amlshim and, side by side, against tini, dumb-init and
# catatonit.  docs/INIT.md has the table: each row names an observation here, and what is seen has to be
# what each cell says, of the peers as well.
# bats file_tags=root

load helpers

DOC=$BATS_TEST_DIRNAME/../docs/INIT.md
INITS=(amlshim tini dumb-init catatonit)

setup() {
	requires_root
	T=$BATS_TEST_TMPDIR
}

teardown() {
	[ -z "${outer-}" ] || kill -KILL "$outer" 2>/dev/null || true
}

# ---- the inits, and how to run them

# init_words INIT [OPTION...]: into $words, without a command.
init_words() {
	local name=$1
	shift
	[ "$name" != amlshim ] || name=$AMLSHIM
	words=("$name" "$@" --)
}

# as_pid1 INIT OPTIONS COMMAND...: bounded; $status, $out, $err.
as_pid1() {
	local init=$1 options=$2
	shift 2
	# shellcheck disable=SC2086 # words
	init_words "$init" $options
	ended "${PID1[@]}" "${words[@]}" "$@"
}

as_second() { # the same, not as PID 1
	local init=$1 options=$2
	shift 2
	# shellcheck disable=SC2086
	init_words "$init" $options
	ended "${words[@]}" "$@"
}

# shellcheck disable=SC2317 # what calls it is called by a name that is made up
ended() {
	status=0
	timeout --foreground -k 1 "${patience:-60}" "$@" >"$T/out" 2>"$T/err" </dev/null 3>&- || status=$?
	out=$(cat "$T/out")
	err=$(cat "$T/err")
}

# start pid1|second INIT OPTIONS COMMAND...: in the background, until it says "ready"; $pid is the init's.
start() {
	local how=$1 init=$2 options=$3
	shift 3
	# shellcheck disable=SC2086
	init_words "$init" $options
	[ "$how" = second ] || words=("${PID1[@]}" "${words[@]}")
	: >"$T/out"
	"${words[@]}" "$@" >"$T/out" 2>"$T/err" </dev/null 3>&- &
	outer=$! pid=$!
	wait_for 30 grep -qx ready "$T/out"
	[ "$how" = second ] || pid=$(pgrep -P $outer)
}

finish() { # into $status
	local watchdog
	(sleep 60 && kill -KILL "$outer") >/dev/null 2>&1 3>&- &
	watchdog=$!
	status=0
	wait "$outer" || status=$?
	pkill -P $watchdog || true
	wait $watchdog || true
	outer=
}

said() {
	grep -qx -- "$1" "$T/out"
}

# It has handled all it was sent: a signal that is passed on by all of them comes behind.
settled() {
	kill -ALRM "$pid"
	wait_for 30 said 14
}

# seen_within SECONDS COMMAND...: it may come, or not.
seen_within() {
	local limit=$((SECONDS + $1 + 1))
	shift
	until "$@" >/dev/null 2>&1; do
		[ $SECONDS -lt $limit ] || return 1
		sleep 0.02
	done
}

yes_if() {
	if "$@" >/dev/null 2>&1; then
		echo yes
	else
		echo no
	fi
}

# ---- the table

# row KEY: what see_KEY sees of each init is what its cell says.
row() {
	local key=$1 line cells want got i
	line=$(grep -F "<!-- $key -->" "$DOC")
	assert_equal "$(wc -l <<<"$line")" 1
	IFS='|' read -ra cells <<<"$line"
	for i in 0 1 2 3; do
		want=$(sed 's/^ *//; s/ *$//' <<<"${cells[i + 2]}")
		got=$("see_$key" "${INITS[i]}")
		if [ "$got" != "$want" ]; then
			echo "$key, ${INITS[i]}: docs/INIT.md says \"$want\", seen is \"$got\": $(tr '\r\n' '  ' <"$T/out")"
			return 1
		fi
	done
}

@test "the table: a row a test, a test a row" {
	assert_equal "$(grep -o '<!-- [a-z_0-9]* -->' "$DOC" | sed 's/<!-- //; s/ -->//' | sort)" \
	    "$(sed -n 's/^	row \([a-z_0-9]*\)$/\1/p' "$BATS_TEST_FILENAME" | sort)"
	# The versions that were looked at.
	assert_in "$(cat "$DOC")" "tini $(tini --version | cut -d' ' -f3),"
	assert_in "$(cat "$DOC")" "dumb-init $(dumb-init --version 2>&1 | cut -d' ' -f2 | tr -d v),"
	assert_in "$(cat "$DOC")" "catatonit $(catatonit --version | sed 's/.* \([0-9.]*\)_.*/\1/')"
}

# ---- exit status

see_exit_codes() {
	for code in 0 1 2 32 64 127 254 255; do
		as_pid1 "$1" '' sh -c "exit $code"
		[ "$status" -eq $code ] || { echo "no: $code"; return; }
	done
	echo yes
}

@test "exit: the command's codes (tini: exit codes; dumb-init: test_exit_status_regular_exit)" {
	row exit_codes
}

see_exit_signals() {
	for sig in 1 3 9 15; do
		as_pid1 "$1" '' python3 -c "import os; os.kill(os.getpid(), $sig)"
		[ "$status" -eq $((128 + sig)) ] || { echo "no: $sig"; return; }
	done
	echo 128+n
}

@test "exit: ended by a signal (dumb-init: test_exit_status_terminated_by_signal)" {
	row exit_signals
}

see_remap() {
	as_pid1 "$1" '-e 42' sh -c 'exit 42'
	[ "$status" -eq 0 ] || { echo no; return; }
	as_pid1 "$1" '-e 42' sh -c 'exit 43'
	[ "$status" -eq 43 ] && printf '%s\n' -e
}

@test "exit: chosen codes become 0, the others stay (tini: -e)" {
	row remap
}

see_not_found() {
	as_pid1 "$1" '' /doesnotexist
	grep -q /doesnotexist "$T/err" && echo "$status, named" || echo "$status"
}

see_not_executable() {
	as_pid1 "$1" '' /etc/passwd
	grep -q /etc/passwd "$T/err" && echo "$status, named" || echo "$status"
}

@test "exit: a command that is not there, or cannot run (dumb-init: test_fails_nonzero_with_bad_exec; tini: zzzz)" {
	row not_found
	row not_executable
}

# ---- the command line

see_unknown_option() {
	as_pid1 "$1" --yolo true
	echo "$status"
}

see_help() {
	[ "$1" != amlshim ] || set -- "$AMLSHIM"
	ended "$1" -h
	[ "$status" -eq 0 ] && grep -qi usage "$T/out" "$T/err" && echo yes || echo no
}

see_version() {
	[ "$1" != amlshim ] || set -- "$AMLSHIM"
	ended "$1" --version
	[ "$status" -eq 0 ] || { echo no; return; }
	[ -s "$T/out" ] && echo stdout || echo stderr
}

see_no_arguments() {
	[ "$1" != amlshim ] || set -- "$AMLSHIM"
	ended "$1"
	echo "$status"
}

@test "words: help, version, unknown options, none (dumb-init: cli_test; tini: -h, -z)" {
	row unknown_option
	row help
	row version
	row no_arguments
}

see_stops_at_command() {
	[ "$1" != amlshim ] || set -- "$AMLSHIM"
	ended "$1" echo -h --version
	[ "$out" = "-h --version" ] && echo yes || echo no
}

@test "words: options behind the command are the command's, without -- too (tini: POSIXLY_CORRECT)" {
	row stops_at_command
}

# ---- reaping

# Grandchildren whose parents end; then what is left of them.
reap_script() {
	cat >"$T/reap" <<-END
		"$TOOLS/orphans" 100 >/dev/null
		for turn in \$(seq 40); do
			left=0
			for file in /proc/[0-9]*/stat; do
				read -r line <"\$file" 2>/dev/null || continue
				set -- \${line##*) }
				[ "\$2" != \$PPID ] || left=\$((left + 1))
			done
			[ \$left -gt 1 ] || break
			sleep 0.05
		done
		echo "left \$left"	# this shell
	END
}

see_reap_pid1() {
	reap_script
	as_pid1 "$1" '' sh "$T/reap"
	[ "$out" = "left 1" ] && echo yes || echo no
}

# Orphans go to the init, not to somebody above it.
adopts() { # INIT OPTION
	rm -f "$T/whose"
	cat >"$T/orphan" <<-END
		sh -c 'sh -c "while [ \\\$(cut -d\\" \\" -f4 /proc/\\\$\\\$/stat) = \$\$ ]; do sleep 0.01; done; cut -d\\" \\" -f4 /proc/\\\$\\\$/stat >$T/whose.new; mv $T/whose.new $T/whose" & exit 0'
		until [ -e $T/whose ]; do sleep 0.02; done
		[ "\$(cat $T/whose)" = \$PPID ] && echo adopted
	END
	as_second "$1" "$2" sh "$T/orphan"
	[ "$out" = adopted ]
}

see_adopts() {
	if adopts "$1" ''; then
		echo yes
	elif adopts "$1" -s; then
		echo -s
	else
		echo no
	fi
}

@test "reap: orphans as PID 1; not as PID 1 (tini: reaping, subreaper-proxy; dumb-init: test-zombies)" {
	row reap_pid1
	row adopts
}

see_orphan_status() {
	as_pid1 "$1" '' sh -c 'sh -c "sh -c \"sleep 0.1; exit 9\" & exit 8"; sleep 0.3; exit 4'
	echo "$status"
}

@test "reap: an orphan's status is not ours" {
	row orphan_status
}

@test "reap: told at -vv (tini: -w; dumb-init: test_verbose)" {
	amlshim 0 -vv -- sh -c 'sh -c "true & exec true"; sleep 0.3'
	grep -q 'debug reaped orphan [0-9]' <<<"$err"
	grep -q 'info started sh, pid [0-9]' <<<"$err"
	grep -q 'info the command ended with 0' <<<"$err"
	amlshim 0 -v -- true
	refute_in "$err" debug
}

see_chld_ignored() {
	init_words "$1"
	patience=3 ended "$TOOLS/with-signals" ignore 17 -- "${words[@]}" sh -c 'exit 7'
	[ "$status" -eq 7 ] && echo yes || echo no	# they hang, or end with 1
}

@test "reap: SIGCHLD was ignored by whoever started it" {
	row chld_ignored
}

# ---- signals

see_signal_codes() {
	for sig in TERM USR1 USR2; do
		start pid1 "$1" '' sh -c 'echo ready; exec sleep 100'
		wait_for 30 pgrep -P "$pid" sleep
		kill -$sig "$pid"
		finish
		[ "$status" -eq $((128 + $(kill -l $sig))) ] || { echo "no: $sig"; return; }
	done
	echo yes
}

@test "signals: TERM, USR1, USR2 end the command (tini: signals)" {
	row signal_codes
}

# Those of 1 to 31 that do not reach the command; KILL, STOP and CHLD cannot.
see_forwarded() {
	local missing=''
	start pid1 "$1" '' "$TOOLS/sigprint" 60
	for sig in 1 2 3 4 5 6 7 8 10 11 13 15 16 18 20 21 22 23 24 25 26 27 28 29 30 31; do
		kill -$sig "$pid"
		case $sig in
		20 | 21 | 22)
			# Some stop themselves; SIGCONT would take back what still waits.
			seen_within 1 said $sig || true
			kill -CONT "$pid" ;;
		esac
		settled
		seen_within 1 said $sig || missing+=" $(kill -l $sig)"
		: >"$T/out"
	done
	kill -USR2 "$pid"
	finish
	if [ -n "$missing" ]; then
		echo "all but$missing"
	else
		echo all
	fi
}

@test "signals: each from 1 to 31 (dumb-init: test_proxies_signals)" {
	row forwarded
}

has_all() {
	[ "$(grep -c ^35 "$T/out")" -eq 100 ]
}

see_realtime() {
	start pid1 "$1" '' "$TOOLS/sigprint" 60
	"$TOOLS/sigqueue" "$pid" 35 100
	seen_within 5 has_all || true
	kill -USR2 "$pid"
	finish
	has_all || { echo no; return; }
	said "35 value 99" && echo "each, with its value" || echo each
}

@test "signals: real-time ones are not merged" {
	row realtime
}

# A child that does not care, with one of its own that does.
see_group() {
	local option how
	for option in '' -g; do
		start pid1 "$1" "$option" "$TOOLS/forks" "$TOOLS/sigprint" 60
		kill -USR1 "$pid"
		how=$(yes_if seen_within 1 said 10)
		pkill -KILL -P "$pid"
		finish
		[ "$how" = no ] || { printf '%s\n' "${option:-by itself}"; return; }
	done
	echo no
}

@test "signals: the whole group (tini: pgroup; dumb-init: test_setsid_signals_entire_group)" {
	row group
}

see_child_only() {
	local option
	for option in '' -c; do
		start pid1 "$1" "$option" "$TOOLS/forks" "$TOOLS/sigprint" 60
		kill -USR1 "$pid"
		if seen_within 1 said 10; then
			pkill -KILL -P "$pid"
			finish
			continue
		fi
		pkill -KILL -P "$pid"
		finish
		printf '%s\n' "${option:-by itself}"
		return
	done
	echo no
}

@test "signals: only the child (dumb-init: test_no_setsid_doesnt_signal_entire_group)" {
	row child_only
}

# TERM:QUIT, INT and WINCH to nothing, the lowest and the highest.
see_rewrite() {
	as_pid1 "$1" '-r 15:3' true
	[ "$status" -eq 0 ] || { echo no; return; }
	start pid1 "$1" '-r 15:3 -r 2:0 -r 28:0 -r 1:31 -r 31:1' "$TOOLS/sigprint" 60
	for sig in 15 2 28 1; do
		kill -$sig "$pid"
		settled
	done
	kill -USR2 "$pid"
	finish
	assert_equal "$(grep -vxE 'ready|14|12' "$T/out" | tr '\n' ' ')" "3 31 "
	echo -r
}

@test "signals: rewriting (dumb-init: test_proxies_signals_with_rewrite, test_ignored_signals_are_not_proxied)" {
	row rewrite
}

@test "signals: what is no rewriting is refused (dumb-init: test_rewrite_errors)" {
	for words in "-r" "-r|" "-r|herp" "-r|herp:derp" "-r|15" "-r|15::12" "-r|15:derp" "-r|15:12|-r|0" "-r|15:12|-r|1:65"; do
		IFS='|' read -ra words <<<"$words|"
		amlshim 2 "${words[@]}" -- echo oh hi
		[ -z "$out" ]
	done
}

see_inherited() {
	local direct
	init_words "$1"
	ended "$TOOLS/with-signals" ignore 22 ignore 11 ignore 2 block 21 block 4 block 15 -- "$TOOLS/sigstate"
	direct=$(grep -E '^(blocked|ignored)' <<<"$out")
	ended "$TOOLS/with-signals" ignore 22 ignore 11 ignore 2 block 21 block 4 block 15 -- "${words[@]}" "$TOOLS/sigstate"
	[ "$(grep -E '^(blocked|ignored)' <<<"$out")" = "$direct" ] && echo unchanged || echo changed
}

# bats test_tags=release
@test "signals: the command inherits mask and dispositions (tini: sigconf)" {
	row inherited
}

see_parent_death() {
	rm -f "$T/got"
	init_words "$1" -p SIGUSR1
	timeout 20 sh -c '"$@" & exec sleep 60' sh "${words[@]}" \
	    sh -c "trap 'echo ok >$T/got; exit' USR1; kill -KILL \$(ps -o ppid= -p \$PPID); for i in 1 2 3 4 5 6 7 8 9 10; do sleep 0.1; done" \
	    >"$T/out" 2>&1 3>&- &
	outer=$!
	wait $outer || true
	if seen_within 1 test -e "$T/got"; then
		echo -p
	else
		echo no
	fi
}

@test "signals: when the init's parent dies (tini: pdeathsignal)" {
	row parent_death
}

is_over() { # PID: gone, or nothing but a status
	! kill -0 "$1" 2>/dev/null || grep -q '^State:.Z' "/proc/$1/status"
}

see_killed() {
	start second "$1" '' sh -c "echo \$\$ >$T/child; echo ready; exec sleep 100"
	local child
	child=$(cat "$T/child")
	kill -KILL "$pid"
	finish
	if seen_within 1 is_over "$child"; then
		echo ends
	else
		kill -KILL "$child"
		echo stays
	fi
}

@test "signals: not PID 1, and somebody kills the init" {
	row killed
}

see_suspends() {
	start second "$1" '' "$TOOLS/sigprint" 60
	local how
	kill -TSTP "$pid"
	how=$(yes_if seen_within 1 grep '^State:.T' "/proc/$pid/status")
	kill -CONT "$pid"
	wait_for 30 said 18
	kill -USR2 "$pid"
	finish
	echo "$how"
}

@test "signals: stop signals without a terminal (dumb-init: test_shell_background_support)" {
	row suspends
}

# ---- terminals

see_job_control() {
	init_words "$1"
	# `script` gives the line to $SHELL, else to sh. Without "exec" a dash stays the session's leader and keeps the
	# terminal, which dumb-init then cannot hand on.
	ended script -qec "exec ${words[*]} bash -ic 'echo flags=\$-; sleep 60 & kill -TSTP %1; jobs | grep -o Stopped; kill -KILL %1'" /dev/null
	[[ $(tr -d '\r' <<<"$out") =~ flags=[a-zA-Z]*m ]] && ! grep -q 'no job control' "$T/out" || { echo no; return; }
	# Ctrl-Z at the terminal, to a program that the shell started.
	as_pid1 "$1" '' "$TOOLS/sigstate"
	[ "$(sed -n 's/^blocked //p' "$T/out")" = 0 ] && echo yes || echo "no: its programs cannot be stopped"
}

@test "terminal: a shell has job control (dumb-init: test_child_gets_controlling_tty_if_we_had_one)" {
	row job_control
}

# The terminal types: a shell that is told to exit, and Ctrl-C.
see_tty() {
	init_words "$1"
	ended python3 - "${words[@]}" <<-'END'
		import os, pty, signal, sys, termios
		def run(command, words, answer):
		    pid, fd = pty.fork()
		    if pid == 0:
		        os.execvp(sys.argv[1], sys.argv[1:] + command)
		    said = b""
		    while words not in said:
		        said += os.read(fd, 1000)
		    os.write(fd, answer)
		    try:
		        while os.read(fd, 1000):
		            pass
		    except OSError:
		        pass
		    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
		codes = [run(["sh", "-c", "echo begin; read line; exit $line"], b"begin", b"5\n"),
		    run(["sh", "-c", "echo begin; exec sleep 60"], b"begin", b"\x03"),
		    run(["sh", "-c", "echo begin; exec tac >/dev/null"], b"begin", b"1\n2\n\x04")]
		print(*codes)
	END
	echo "$out"
}

@test "terminal: input, Ctrl-C, end of file (tini: test_tty_handling; dumb-init: test_tty)" {
	# A here-document is stdin there.
	ended() {
		status=0
		timeout --foreground -k 1 60 "$@" >"$T/out" 2>"$T/err" 3>&- || status=$?
		out=$(cat "$T/out")
	}
	row tty
}

@test "terminal: --setsid does not pass on what the kernel sends at the handing over (dumb-init: test_sighup_sigcont_ignored_if_was_session_leader)" {
	for _ in 1 2 3 4 5; do
		run_status 0 script -qec "exec \"$AMLSHIM\" --setsid -- \"$TOOLS/sigprint\" 1 0" /dev/null
		assert_in "$out" ready
		refute grep -qE '^(1|18)' <<<"$out"
	done
}

# ---- the end

see_leftovers() {
	rm -f "$T/asked" "$T/up"
	# shellcheck disable=SC2016
	as_pid1 "$1" '' sh -c 'setsid sh -c "trap \"sleep 0.2; echo asked >'"$T"'/asked; exit\" TERM; : >'"$T"'/up; while :; do sleep 0.05; done" & until [ -e '"$T"'/up ]; do sleep 0.02; done; exit 3'
	[ "$status" -eq 3 ] || { echo "$status"; return; }
	[ -e "$T/asked" ] && echo "TERM, and time for it" || echo no
}

@test "end: what outlives the command gets TERM (dumb-init: test_all_processes_receive_term_on_exit_if_setsid)" {
	row leftovers
}

see_grace() {
	as_pid1 "$1" '--grace 300ms' sh -c 'trap "" TERM; kill -TERM $PPID; sleep 3'
	[ "$status" -eq 137 ] && echo --grace || echo no
}

@test "end: a command that ignores TERM" {
	row grace
}

# ---- what the init keeps, and what it needs

see_cwd() {
	cd "$T" || return
	as_pid1 "$1" '' sh -c 'sleep 0.2; readlink /proc/$PPID/cwd; readlink /proc/$$/cwd'
	cd /
	[ "$(sed -n 2p <<<"$out")" = "$T" ] || { echo "the command's is lost"; return; }
	[ "$(sed -n 1p <<<"$out")" = / ] && echo leaves || echo keeps
}

@test "start: the working directory is the command's (dumb-init: test_working_directories)" {
	row cwd
}

see_descriptors() {
	: >"$T/file"
	init_words "$1"
	timeout 20 "${words[@]}" sh -c "sleep 0.2; [ -e /proc/self/fd/7 ] || exit 1; ls -l /proc/\$PPID/fd >$T/fds" 7<"$T/file" || { echo lost; return; }
	grep -q "$T/file" "$T/fds" && echo keeps || echo closes
}

@test "start: inherited descriptors" {
	row descriptors
}

see_closed_stdin() {
	init_words "$1"
	status=0
	timeout 20 "${words[@]}" sh -c 'exit 6' <&- >/dev/null 2>&1 || status=$?
	[ $status -eq 6 ] && echo yes || echo "$status"
}

@test "start: stdin is closed" {
	row closed_stdin
}

see_listen_pid() {
	init_words "$1"
	ended bash -c 'export LISTEN_PID=$$; exec "$@"' bash "${words[@]}" sh -c 'test $LISTEN_PID = $$'
	[ "$status" -eq 0 ] && echo yes || echo no
}

@test "start: LISTEN_PID" {
	row listen_pid
}

see_user() {
	as_pid1 "$1" '--user nobody' id -un
	[ "$out" = nobody ] && echo --user || echo no
}

see_idle() {
	local before after
	start pid1 "$1" '' sh -c 'echo ready; exec sleep 100'
	sleep 0.3
	before=$(awk '/^voluntary/ { print $2 }' "/proc/$pid/status")
	sleep 1.7
	after=$(awk '/^voluntary/ { print $2 }' "/proc/$pid/status")
	kill -TERM "$pid"
	finish
	[ "$after" -eq "$before" ] && echo never || echo "each second"
}

@test "start: another user; wake-ups while nothing happens" {
	row user
	row idle
}

# ---- what it costs

# KiB that it has written to: the least of five runs, since where the stack begins is chance.
private_kib() {
	local least=9999 kib
	for _ in 1 2 3 4 5; do
		start pid1 "$1" '' sh -c 'echo ready; exec sleep 100'
		wait_for 30 pgrep -P "$pid" sleep
		kib=$(awk '/^Private_Dirty:/ { n += $2 } END { print n }' "/proc/$pid/smaps_rollup")
		kill -TERM "$pid"
		finish
		[ "$kib" -ge "$least" ] || least=$kib
	done
	echo "$least"
}

# bats test_tags=release
@test "cost: no heap, no thread, and no more memory of its own than tini-static" {
	sync "$AMLSHIM"		# pages of a file that is still to be written count as dirty
	start pid1 amlshim '' sh -c 'echo ready; exec sleep 100'
	wait_for 30 pgrep -P "$pid" sleep
	refute grep -q '\[heap\]' "/proc/$pid/maps"
	assert_equal "$(find "/proc/$pid/task" -mindepth 1 -maxdepth 1 | wc -l)" 1
	kill -TERM "$pid"
	finish
	local own tini
	own=$(private_kib amlshim)
	tini=$(private_kib tini-static)
	echo "amlshim $own KiB, tini-static $tini KiB"
	[ "$own" -gt 0 ]
	[ "$own" -le "$tini" ]
}
