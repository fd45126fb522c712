#!/usr/bin/env bats
# SIGUSR2 to one of amlshim's own processes: another binary goes on with its work, on the same mount and the
# same sockets, and the job does not notice.
# bats file_tags=root

load helpers
load lib/crash

OTHER=9.9.9	# what the other binary says it is: as long as the real version

setup_file() {
	jobs_begin
	local version
	version=$("$AMLSHIM" version) version=${version##* }
	assert_equal "${#version}" "${#OTHER}"
	LC_ALL=C sed "s/${version//./\\.}/$OTHER/g" "$AMLSHIM" >"$BATS_FILE_TMPDIR/other"
	chmod 755 "$BATS_FILE_TMPDIR/other"
	assert_equal "$("$BATS_FILE_TMPDIR/other" version)" "amlshim version $OTHER"
}

teardown_file() {
	jobs_end
}

setup() {
	requires_fuse
	azsim_reset
	T=$BATS_TEST_TMPDIR
	cp "$AMLSHIM" "$T/amlshim"
	AMLSHIM=$T/amlshim	# what the jobs of this test start, and what is replaced
}

teardown() {
	jobs_cleanup
}

# As a package manager does it.
install_other() { # [FILE]
	cp "${1:-$BATS_FILE_TMPDIR/other}" "$T/amlshim.new"
	mv "$T/amlshim.new" "$T/amlshim"
}

runs() { # PID FILE: that process runs that file, and not one that was replaced
	[ "$(stat -L -c %d:%i "/proc/$1/exe")" = "$(stat -c %d:%i "$2")" ]
}

says() { # TEXT [COUNT]
	[ "$(grep -c -- "$1" "$BATS_TEST_TMPDIR/err")" -ge "${2:-1}" ]
}

# worker_kill waits until there is another process; it is not called amlshim:... before it has taken over.
upgrade() { # WORD
	local n
	n=$(grep -c "version $OTHER takes over" "$BATS_TEST_TMPDIR/err" || true)
	worker_kill "$job_pid" "$1" USR2
	wait_for 30 says "version $OTHER takes over" $((n + 1))
	wait_for 30 runs_as "$1" || { cat "$BATS_TEST_TMPDIR/err"; return 1; }
}

runs_as() { # WORD
	local pid
	pid=$(worker_pid "$job_pid" "$1") && runs "$pid" "$T/amlshim"
}

# What a worker may do is the same, whoever started it.
confined() { # WORD
	local pid
	pid=$(worker_pid "$job_pid" "$1")
	grep -E '^(NoNewPrivs|Seccomp|SigBlk|SigIgn|SigCgt|CapEff):' "/proc/$pid/status"
	find "/proc/$pid/fd" -type l '(' -lname '/memfd*' -o -lname '/dev/*' -o -lname '/secretmem*' ')' -printf '%l\n' | sort
	readlink "/proc/$pid/cwd"
}

settled() { # WORD: its threads run, its seccomp filter is there
	local pid
	pid=$(worker_pid "$job_pid" "$1") && grep -q "^Seccomp:.*${SECCOMP_MODE-2}" "/proc/$pid/status" &&
	    [ "$(find "/proc/$pid/task" -mindepth 1 -maxdepth 1 | wc -l)" -gt 2 ]
}

mixed_job() { # STORE [FLAG...]: until $T/enough is there
	churn_job "$BATS_TEST_TMPDIR/enough" "$@"
	wait_for 60 eval 'settled "mount d" && settled "mount o" && settled agent'
}

enough() {
	touch "$T/enough"
	job_end 0
	azsim_knob latency_ms=0
	echo "# $out" >&3
	assert_in "$out" "failed=0 wrong=0"
	store_holds "$T/ours"
	job_left_nothing
}

upgrades_under_load() {
	local word before
	mixed_job "$@"
	install_other
	for word in 'mount d' 'mount o' agent; do
		before=$(confined "$word")
		upgrade "$word"
		wait_for 30 settled "$word"
		assert_equal "$(confined "$word")" "$before"
	done
	refute runs "$job_pid" "$T/amlshim"	# init itself stays what it was
	upgrade 'mount o'
	upgrade 'mount d'
	enough
	assert_equal "$(grep -c 'takes over' <<<"$err")" 5
	refute_in "$err" error
	refute_in "$err" warning
}

@test "upgrade: a job reads and writes while agent and mounts become another binary: not one call fails" {
	upgrades_under_load azsim
}

@test "upgrade: the same on a hierarchical account" {
	upgrades_under_load lake
}

@test "upgrade: the same where the kernel cannot send requests again" {
	NO_RESEND=1 upgrades_under_load azsim
}

# Nothing usable is in the file: the binary that was there before goes on.
falls_back() { # WHY
	local word pid n
	n=$(grep -c -- "$1" "$BATS_TEST_TMPDIR/err" || true)
	for word in 'mount d' agent; do
		pid=$(worker_pid "$job_pid" "$word")
		kill -USR2 "$pid"
		wait_for 60 worker_is "$job_pid" "$word" "$pid"
		wait_for 60 settled "$word"
		refute runs_as "$word"
	done
	says "$1" $((n + 2)) || { cat "$BATS_TEST_TMPDIR/err"; return 1; }
	says 'what was there before goes on'
}

@test "upgrade: a file that cannot be used is no harm: the worker goes on with what it was" {
	mixed_job azsim --watchdog 3s
	rm "$T/amlshim"
	falls_back 'No such file'
	install_other
	chmod 666 "$T/amlshim"
	falls_back 'has to be a file of root that nobody else may write'
	chmod 755 "$T/amlshim"
	chown 12345 "$T/amlshim"
	falls_back 'has to be a file of root that nobody else may write'
	chown 0 "$T/amlshim"
	chmod 644 "$T/amlshim"
	falls_back 'Permission denied'
	echo 'no program' >"$T/other"
	chmod 755 "$T/other"
	install_other "$T/other"
	falls_back 'Exec format error'
	enough
	refute_in "$err" takes.over
}

@test "upgrade: a program that does not take over is no harm: it ends, it hangs, it is of another format" {
	mixed_job azsim --watchdog 3s
	install_other "$TOOLS/exit7"
	falls_back 'ended with 7 before it was ready'
	install_other "$TOOLS/hang"
	falls_back 'was hung before it was ready'
	LC_ALL=C sed 's/amhand1/amhand9/' "$BATS_FILE_TMPDIR/other" >"$T/other"
	chmod 755 "$T/other"
	refute cmp -s "$T/other" "$BATS_FILE_TMPDIR/other"
	install_other "$T/other"
	falls_back 'is of another version of amlshim, or damaged'
	# And then one that does.
	install_other
	upgrade 'mount o'
	enough
}

@test "upgrade: what the new binary is killed for is answered as ever" {
	mixed_job azsim
	install_other
	upgrade 'mount o'
	wait_for 30 settled 'mount o'
	worker_kill "$job_pid" 'mount o'
	wait_for 30 settled 'mount o'
	refute runs_as 'mount o'
	enough
	assert_in "$err" 'mount out ended by signal 9'
}

@test "upgrade: an upload goes out of the new binary" {
	store_use azsim
	job_as key
	job_write <<-END
		command: echo data >\${{outputs.out}}/file; until [ -e $T/enough ]; do sleep 0.05; done
		outputs:
		  out: {type: uri_folder, path: azureml://datastores/store/paths/up$BATS_TEST_NUMBER/, mode: upload}
	END
	job_start pid1
	wait_for 30 settled upload
	install_other
	upgrade upload
	touch "$T/enough"
	job_end 0
	echo data >"$T/ours"
	store_has "up$BATS_TEST_NUMBER/file" "$T/ours"
	job_left_nothing
}

# A connection a question: none is lost, since the agent ends when what was asked is answered.
@test "upgrade: the agent answers what was asked before it gives way; its secrets stay where they are" {
	store_use azsim
	job_as managed
	azsim_knob token_latency_ms=200 token_lifetime_s=4
	cat >"$T/script.py" <<-END
		import http.client, os, sys, urllib.parse
		where = urllib.parse.urlsplit(os.environ["MSI_ENDPOINT"])
		asked = 0
		while not os.path.exists("$T/enough"):
		    c = http.client.HTTPConnection(where.hostname, where.port, timeout=60)
		    c.request("GET", where.path + "?resource=https://storage.azure.com/&api-version=2017-09-01",
		        headers={"secret": os.environ["MSI_SECRET"]})
		    assert c.getresponse().status == 200
		    c.close()
		    asked += 1
		    if asked == 1:
		        print("ready", flush=True)
		print("asked", asked)
	END
	job_write <<-END
		command: python3 $T/script.py
		outputs:
		  out: {type: uri_folder, path: azureml://datastores/store/paths/up$BATS_TEST_NUMBER/}
	END
	job_start plain --audit "$T/audit"
	wait_for 30 job_says ready
	install_other
	local i pid
	for i in 1 2 3; do
		upgrade agent
		wait_for 30 settled agent
		pid=$(worker_pid "$job_pid" agent)
		refute grep -qF "$AZSIM_SECRET" "/proc/$pid/environ" "/proc/$pid/cmdline"
	done
	touch "$T/enough"
	job_end 0
	assert_in "$out" asked
	job_left_nothing
}

@test "upgrade: SIGUSR2 to amlshim itself is the job's" {
	amlshim 0 -- bash -c 'trap "echo got it; exit 0" USR2; kill -USR2 $PPID; while :; do sleep 0.05; done'
	assert_equal "$out" 'got it'
}
