#!/usr/bin/env bats
# What flags change about the command's process before it becomes the command, and that a job under
# another user has its data, its tokens and nobody else's.
# bats file_tags=root

load helpers
load lib/jobs

setup_file() {
	jobs_begin
}

teardown_file() {
	jobs_end
}

setup() {
	requires_root
	chmod 755 "$BATS_RUN_TMPDIR" "$BATS_TEST_TMPDIR"	# for a job of another user
	T=$BATS_TEST_TMPDIR
}

teardown() {
	jobs_cleanup
}

# The line of /proc/PID/status of the command, with single blanks.
status_of() { # FIELD FLAG...
	local field=$1
	shift
	both 0 "$@" -- sed -n "s/^$field:[[:space:]]*//p" /proc/self/status
	tr -s '[:space:]' ' ' <<<"$out"
}

@test "--user: names and numbers, the groups of /etc/group, HOME; nothing is left to come back" {
	both 0 --user nobody -- sh -c 'id -u; id -g; id -G; echo $HOME'
	assert_equal "$out" "$(id -u nobody)
$(id -g nobody)
$(id -G nobody)
$(getent passwd nobody | cut -d: -f6)"
	silent
	both 0 -u 1234:56 -- sh -c 'id -u; id -g; id -G; echo $HOME'
	assert_equal "$out" "1234
56
56
/"
	AMLSHIM_USER=nobody:root both 0 -- id -G
	assert_equal "$out" 0
	assert_equal "$(status_of Uid --user 1234:56)" "1234 1234 1234 1234 "
	assert_equal "$(status_of Gid --user 1234:56)" "56 56 56 56 "
	assert_equal "$(status_of CapPrm --user 1234:56)" "0000000000000000 "
	assert_equal "$(status_of CapEff --user 1234:56)" "0000000000000000 "
	both 1 --user nobody -- sh -c 'exec 2>/dev/null; echo 0 >/proc/self/oom_score_adj && cat /etc/shadow'
}

@test "--user: of each run, also of the last one with --restart" {
	both 3 --user 1234:56 --restart on-failure:2 -- sh -c 'id -u; id -G; echo $HOME; exit 3'
	assert_equal "$out" $'1234\n56\n/\n1234\n56\n/\n1234\n56\n/'
}

@test "--user: supplementary groups come from /etc/group, as root's tools see them" {
	printf 'job:x:4321:4322::/home/job:/bin/sh\n' >"$T/passwd"
	printf 'root:x:0:\nown:x:4322:\na:x:4323:x,job\nb:x:4324:jobs\nc:x:4325:job\n' >"$T/group"
	cat >"$T/script" <<-END
		mount --bind $T/passwd /etc/passwd
		mount --bind $T/group /etc/group
		exec $AMLSHIM --user job -- sh -c 'id -G; echo \$HOME'
	END
	run_status 0 unshare --mount sh "$T/script"
	assert_equal "$out" "4322 4323 4325
/home/job"
}

# bats test_tags=release
@test "--user: who is not there is refused before anything runs; who we are already needs no right" {
	amlshim 2 --user no-such-user -- touch "$T/ran"
	assert_in "$err" no-such-user
	assert_equal "$(wc -l <"$T/err")" 1
	amlshim 2 --user 4321 -- touch "$T/ran"
	amlshim 2 --user nobody:no-such-group -- touch "$T/ran"
	[ ! -e "$T/ran" ]
	cp "$AMLSHIM" "$T/amlshim"
	local as=(setpriv --reuid 65534 --regid 65534 --clear-groups --bounding-set=-all)
	run_status 0 "${as[@]}" "$T/amlshim" --user 65534:65534 -- true
	run_status 125 "${as[@]}" "$T/amlshim" --user 1:1 -- true
	assert_in "$err" "--user"
	assert_in "$err" "not permitted"
	# Without the files numbers are enough.
	mkdir "$T/root"
	cp "$AMLSHIM" "$T/root/amlshim"
	cp "$TOOLS/exit7" "$T/root/child"
	run_status 7 chroot "$T/root" /amlshim --user 12:34 -- /child
	run_status 2 chroot "$T/root" /amlshim --user nobody -- /child
}

@test "--cap-drop: the bounding set, and what the command has; --no-new-privs" {
	local all want
	all=$(status_of CapBnd)
	assert_equal "$(status_of CapBnd --cap-drop all)" "0000000000000000 "
	assert_equal "$(status_of CapEff --cap-drop all)" "0000000000000000 "
	want=$(printf '%016x ' $((0x${all% } & ~(1 << 13 | 1))))
	assert_equal "$(status_of CapBnd --cap-drop NET_RAW --cap-drop cap_chown)" "$want"
	assert_equal "$(status_of CapPrm --cap-drop net_raw,chown)" "$want"
	# Inherited and ambient ones do not come back either.
	run_status 0 setpriv --inh-caps=+net_raw,+chown --ambient-caps=+net_raw,+chown "$AMLSHIM" --cap-drop net_raw -- \
	    sh -c 'grep -E "^Cap(Inh|Amb):" /proc/self/status | tr -s "[:space:]" " "'
	assert_equal "$out" "CapInh: 0000000000000001 CapAmb: 0000000000000001 "
	assert_equal "$(status_of NoNewPrivs)" "0 "
	assert_equal "$(status_of NoNewPrivs --no-new-privs)" "1 "
	amlshim 2 --cap-drop no_such_one -- true
	assert_in "$err" "--cap-drop"
	run_status 125 setpriv --reuid 65534 --clear-groups "$AMLSHIM" --cap-drop net_raw -- true
	assert_in "$err" "--cap-drop"
}

@test "--rlimit, --chdir, --oom-score-adj reach the command, not amlshim" {
	both 0 --rlimit nofile=100:200 --rlimit core=0,stack=unlimited -- sh -c 'ulimit -Sn; ulimit -Hn; ulimit -Sc; ulimit -Ss
		sed -n "s/^Max open files *//p" /proc/$PPID/limits | cut -d" " -f1'
	assert_equal "$out" "100
200
0
unlimited
$(ulimit -Sn)"
	both 0 --rlimit nofile=50 -- sh -c 'ulimit -Hn'
	assert_equal "$out" "$(ulimit -Hn)"
	amlshim 125 --rlimit nofile=99999999999 -- true
	assert_in "$err" "--rlimit"
	mkdir -m 700 "$T/dir" "$T/closed"
	chown nobody "$T/dir"
	both 0 --chdir "$T/dir" -- pwd
	assert_equal "$out" "$T/dir"
	amlshim 0 --chdir "$T/dir" --user nobody -- pwd
	amlshim 125 --chdir "$T/closed" --user nobody -- pwd
	assert_in "$err" "--chdir"
	amlshim 125 --chdir "$T/none" -- pwd
	both 0 --oom-score-adj 600 -- cat /proc/self/oom_score_adj
	assert_equal "$out" 600
	AMLSHIM_RLIMIT="nofile=70 core=0" AMLSHIM_CHDIR=/usr both 0 -- sh -c 'ulimit -Sn; pwd'
	assert_equal "$out" "70
/usr"
}

@test "memory: amlshim lowers its own OOM score where it may, the command has the inherited one" {
	# Without CAP_SYS_RESOURCE that is down to where somebody with it has put it.
	# It does so when the command is on its way already.
	run_status 0 choom -n 500 -- "$AMLSHIM" -- sh -c 'for i in $(seq 200); do
		[ "$(cat /proc/$PPID/oom_score_adj)" -gt 0 ] || break; sleep 0.02; done
		cat /proc/self/oom_score_adj /proc/$PPID/oom_score_adj'
	assert_equal "$(sed -n 1p <<<"$out")" 500
	[ "$(sed -n 2p <<<"$out")" -le 0 ]
	run_status 0 choom -n 500 -- "$AMLSHIM" --oom-score-adj 700 -- cat /proc/self/oom_score_adj
	assert_equal "$out" 700
}

@test "--rewrite: another signal instead, none, and the rest as it is" {
	for how in pid1 sub; do
		: >"$T/out"
		local words=("$AMLSHIM" -r TERM:INT --rewrite "HUP:0,1:0" -r 35:36 -- "$TOOLS/sigprint" 60 5) outer pid
		[ $how = sub ] || words=("${PID1[@]}" "${words[@]}")
		"${words[@]}" >"$T/out" 3>&- &
		outer=$! pid=$!
		wait_for 30 grep -qx ready "$T/out"
		[ $how = sub ] || pid=$(pgrep -P $outer)
		for sig in 15:2 3:3 1:none 10:10 35:36 34:34; do
			kill -"${sig%:*}" "$pid"
			[ "${sig#*:}" = none ] || wait_for 30 grep -qx "${sig#*:}" "$T/out"
		done
		kill -USR2 "$pid"
		status=0
		wait $outer || status=$?
		assert_equal "$status" 5
		refute grep -qxE '1|15|35' "$T/out"
	done
	AMLSHIM_REWRITE="TERM:QUIT USR1:0" amlshim 131 -- sh -c 'kill -USR1 $PPID; kill -TERM $PPID; sleep 60'
	amlshim 2 -r KILL:TERM -- true
	amlshim 2 -r TERM -- true
}

@test "--rewrite: the grace period still counts from the signal that came" {
	amlshim 137 -r TERM:USR1 --grace 300ms -- sh -c 'trap : USR1 TERM; kill -TERM $PPID; while :; do sleep 0.1; done'
}

@test "--setsid: a session of its own, and the terminal goes along" {
	both 0 --setsid -- sh -c 'cut -d" " -f5,6 /proc/$$/stat; echo $$ $$'
	assert_equal "$(sed -n 1p <<<"$out")" "$(sed -n 2p <<<"$out")"
	# amlshim leads the session of the terminal: script(1) starts it so.
	run_status 0 script -qec "exec \"$AMLSHIM\" --setsid -- bash -c 'trap \"echo got HUP\" HUP; trap \"echo got CONT\" CONT; cut -d\" \" -f6,7,8 /proc/\$\$/stat; echo \$\$; sleep 0.3'" /dev/null
	local session terminal foreground self
	read -r session terminal foreground < <(tr -d '\r' <<<"$out")
	self=$(tr -d '\r' <<<"$out" | sed -n 2p)
	assert_equal "$session $foreground" "$self $self"
	[ "$terminal" -gt 0 ]
	# What the kernel sends the group that lost the terminal is not the command's.
	refute_in "$out" got
	run_status 0 script -qec "exec \"$AMLSHIM\" --setsid -- bash -ic 'echo flags=\$-'" /dev/null
	assert_in "$(grep -o 'flags=.*' <<<"$out")" m
	# One that came before is passed on.
	run_status 129 script -qec "exec \"$TOOLS/with-signals\" block 1 raise 1 -- \"$AMLSHIM\" --setsid -- \"$TOOLS/with-signals\" unblock 1 -- sleep 60" /dev/null
}

@test "--setsid: a terminal's stop signals stop the command, and it goes on" {
	"$AMLSHIM" --setsid -- sleep 60 3>&- &
	local pid=$! child
	wait_for 30 pgrep -P $pid sleep
	child=$(pgrep -P $pid)
	for sig in TSTP TTIN TTOU; do
		kill -$sig $pid
		wait_for 30 grep -q '^State:.T' "/proc/$child/status"
		kill -CONT $pid
		wait_for 30 grep -q '^State:.S' "/proc/$child/status"
	done
	kill $pid
	status=0
	wait $pid || status=$?
	assert_equal "$status" 143
}

@test "terminal: a job in the background that wants to read stops amlshim too, fg gives it the terminal" {
	run_status 0 script -qec "bash -ic '\"$AMLSHIM\" -- sh -c \"read line; echo read \\\$line\" & until jobs -l | grep -q \"Stopped\"; do sleep 0.1; done; echo noticed; fg; echo status \$?'" /dev/null < <(sleep 2; echo words; sleep 1)
	assert_in "$out" noticed
	assert_in "$out" "status 0"
}

# Run SCRIPT in a cgroup (version 2) of its own, as a container has it.
in_own_cgroup() { # STATUS SCRIPT
	cat >"$T/in-cgroup" <<-END
		set -e
		mount -t tmpfs none /sys/fs/cgroup
		mount -t cgroup2 none /sys/fs/cgroup
		own=/sys/fs/cgroup/bats-\$\$
		mkdir \$own
		echo \$\$ >\$own/cgroup.procs
		status=0
		$2 || status=\$?
		echo "groups \$(find \$own -mindepth 1 -type d | wc -l)"
		echo \$\$ >/sys/fs/cgroup/cgroup.procs
		rmdir \$own
		exit \$status
	END
	run_status "$1" unshare --mount --propagation private sh "$T/in-cgroup"
}

@test "stop: what is left is killed through a cgroup where amlshim has one of its own, else one by one" {
	local stubborn='setsid sh -c "trap \"\" TERM; while :; do sleep 0.05; done" & sleep 0.3; exit 4'
	printf '%s\n' "$stubborn" >"$T/stubborn"
	in_own_cgroup 4 "$AMLSHIM -v --leftover 300ms -- sh $T/stubborn"
	assert_in "$err" "through a cgroup"
	assert_in "$out" "groups 0"
	in_own_cgroup 4 "unshare --pid --fork --mount-proc $AMLSHIM -v --leftover 300ms -- sh $T/stubborn"
	assert_in "$err" "through a cgroup"
	assert_in "$out" "groups 0"
	amlshim 4 -v --leftover 300ms -- sh "$T/stubborn"
	assert_in "$err" "SIGKILL"
	refute pgrep -f "while :; do sleep 0.05"
}

@test "stop: no fork escapes the cgroup's kill" {
	# Each process makes its successor and ends: a signal sent to a number comes too late.
	cat >"$T/runner" <<-'END'
		trap "" TERM
		[ -e "$1" ] || exit 0
		setsid sh "$0" "$1" &
		exit 4
	END
	: >"$T/go"
	in_own_cgroup 4 "$AMLSHIM -v --leftover 200ms -- sh $T/runner $T/go"
	refute pgrep -f "$T/runner"
	refute_in "$err" "cannot be killed"
	rm "$T/go"
}

@test "end: what ended the command without telling is said" {
	amlshim 137 -- sh -c 'kill -KILL $$'
	assert_in "$err" "SIGKILL"
	amlshim 135 -- sh -c 'kill -BUS $$'
	assert_in "$err" "/dev/shm"
	amlshim 143 -- sh -c 'kill -TERM $$'
	silent
	amlshim 137 --grace 100ms -- sh -c 'trap "" TERM; kill -TERM $PPID; while :; do sleep 0.1; done'
	silent
}

@test "end: a kill for lack of memory is noticed, also when the command's status hides it" {
	# The kernel's count, where a container sees it: raised while the command runs.
	cat >"$T/script" <<-END
		mount -t tmpfs none /sys/fs/cgroup
		printf 'low 0\noom 1\noom_kill 1\n' >/sys/fs/cgroup/memory.events
		# It has looked once it has left its directory.
		exec $AMLSHIM -- sh -c 'until [ "\$(readlink /proc/\$PPID/cwd)" = / ]; do :; done; printf "low 0\noom 3\noom_kill 3\n" >/sys/fs/cgroup/memory.events'
	END
	run_status 0 unshare --mount --propagation private sh "$T/script"
	assert_in "$err" "2 processes of this container were killed for lack of memory"
}

@test "--user: the job reads its input, writes its outputs, gets tokens; others get none" {
	requires_fuse
	store_use azsim
	job_as managed
	printf 'what was read\n' >"$T/in.txt"
	store_blob put data/u "$T/in.txt"
	JOB=$T/job
	mkdir -p "$JOB/tokens"
	chmod 755 "$JOB" "$JOB/tokens"
	cat >"$JOB/script.sh" <<-END
		set -e
		id -u
		cat "\$1/in.txt"
		stat -c '%U %A' "\$1/in.txt" "\$2"
		echo mounted >"\$2/m.txt"
		echo uploaded >"\$3/u.txt"
		stat -c '%u %a' $JOB/tokens/t
		test "\$(cut -d. -f1,2 $JOB/tokens/t)" != ""
		test "\$TOKEN" != ""
		R=resource=https://storage.azure.com/
		curl -s --unix-socket "\$AMLSHIM_BROKER_SOCKET" -o /dev/null -w 'socket %{http_code}\n' -H "secret: \$MSI_SECRET" "http://x/MSI/auth?\$R"
		curl -s -o /dev/null -w 'port %{http_code}\n' -H "secret: \$MSI_SECRET" "\$MSI_ENDPOINT?\$R"
	END
	job_write <<-END
		command: sh $JOB/script.sh \${{inputs.in}} \${{outputs.m}} \${{outputs.u}}
		inputs:
		  in: {type: uri_folder, path: azureml://datastores/store/paths/u/}
		outputs:
		  m: {type: uri_folder, path: azureml://datastores/store/paths/um/, mode: rw_mount}
		  u: {type: uri_folder, path: azureml://datastores/store/paths/uu/, mode: upload}
	END
	local flags=(--user nobody --export-token "https://storage.azure.com/=TOKEN"
	    --token-file "https://storage.azure.com/=$JOB/tokens/t")
	for how in pid1 plain; do
		# Root of a container cannot look at the descriptors of others.
		job_command $how "${flags[@]}"
		run_status 0 setpriv --bounding-set=-sys_ptrace --inh-caps=-sys_ptrace "${job_words[@]}"
		assert_equal "$out" "65534
what was read
nobody -r-xr-xr-x
nobody drwxr-xr-x
65534 600
socket 200
port 200"
		assert_equal "$(grep -vc 'the token in TOKEN expires' <<<"$err")" 0
		printf 'mounted\n' >"$T/want"
		store_has um/m.txt "$T/want"
		printf 'uploaded\n' >"$T/want"
		store_has uu/u.txt "$T/want"
		job_left_nothing
		[ ! -e "$JOB/tokens/t" ]
	done
	# Also with mounts for their owner alone.
	job_run 0 plain "${flags[@]}" --allow-other=no
}

@test "--user: root in the job's place is not the job" {
	store_use azsim
	job_as managed
	JOB=$T/job
	mkdir -p "$JOB"
	job_write <<-END
		command: sh -c 'env >$T/env.new; mv $T/env.new $T/env; while [ ! -e $T/go ]; do sleep 0.1; done'
	END
	chmod 777 "$T"
	job_start plain --user nobody
	wait_for 30 test -e "$T/env"
	local socket
	socket=$(sed -n 's/^AMLSHIM_BROKER_SOCKET=//p' "$T/env")
	assert_equal "$(stat -c '%u %a' "$socket")" "65534 600"
	assert_equal "$(curl -s --unix-socket "$socket" -o /dev/null -w '%{http_code}' -H "secret: $(sed -n 's/^MSI_SECRET=//p' "$T/env")" \
	    "http://x/MSI/auth?resource=https://storage.azure.com/")" 403
	# Neither init nor the agent is the job's to look into or to end.
	for pid in $job_pid $(pgrep -P "$job_pid" amlshim); do
		refute setpriv --reuid 65534 --regid 65534 --clear-groups kill -0 "$pid"
		refute setpriv --reuid 65534 --regid 65534 --clear-groups cat "/proc/$pid/environ"
	done
	: >"$T/go"
	job_end 0
}
