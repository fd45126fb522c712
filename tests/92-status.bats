#!/usr/bin/env bats
# The control socket: what amlshim status and healthcheck tell, to whom, and that nobody who asks, or
# does worse, gets in the way of the job.
# bats file_tags=root

load helpers
load lib/jobs

setup_file() {
	jobs_begin
	echo hello >"$BATS_FILE_TMPDIR/hello.txt"
	azsim_put data/in "$BATS_FILE_TMPDIR/hello.txt"
}

teardown_file() {
	jobs_end
}

setup() {
	requires_fuse
	store_use azsim
	job_as fallback
	T=$BATS_TEST_TMPDIR
	background=
}

teardown() {
	[ -z "$background" ] || kill -KILL "$background" 2>/dev/null || true
	jobs_cleanup
}

# ask pid1|plain WORD...: as `docker exec` would, or from beside; $out, $status.
ask() {
	local how=$1
	shift
	status=0
	if [ "$how" = pid1 ]; then
		out=$(timeout 30 nsenter -t "$job_pid" -p -m "$AMLSHIM" "$@" 2>&1 3>&-) || status=$?
	else
		out=$(timeout 30 "$AMLSHIM" "$@" "$job_pid" 2>&1 3>&-) || status=$?
	fi
}

is_ready() {
	ask "$1" healthcheck
	[ "$status" = 0 ]
}

# A job that reads its input, then waits until $T/end is there.
waiting_job() { # MODE
	rm -f "$T/end"
	job_write <<-END
		name: waits
		command: sh -c 'cat "\$1"/hello.txt; trap "" TERM; until [ -e $T/end ]; do sleep 0.05; done; exit 5' - \${{inputs.data}}
		inputs:
		  data: {type: uri_folder, path: azureml://datastores/store/paths/in/, mode: $1}
		outputs:
		  out: {type: uri_folder, path: azureml://datastores/store/paths/out/}
	END
}

# tell KEY...: of the JSON in $out, e.g. "workers 0 name"; each on a line.
tell() {
	python3 - "$out" "$@" <<-'END'
		import json, sys
		for path in sys.argv[2:]:
		    value = json.loads(sys.argv[1])
		    for key in path.split():
		        value = value[int(key) if key.isdigit() else key]
		    print(value)
	END
}

@test "status: phase, command, workers, and of each input and output the identity and its token's time" {
	local how
	for how in pid1 plain; do
		waiting_job ro_mount
		job_start $how
		wait_for 60 is_ready $how
		ask $how status --json
		assert_equal "$status" 0
		[ "$how" = plain ] || assert_equal "$(tell pid)" 1
		assert_equal "$(tell phase ready live ready_reason "command name" "command restarts")" \
		    $'running\nTrue\nTrue\nNone\nsh\n0'
		assert_equal "$(tell "workers 0 name" "workers 0 state" "workers 1 name" "workers 2 name" "workers 2 state")" \
		    $'agent\nready\nmount data\nmount out\nready'
		assert_equal "$(tell "accesses 0 name" "accesses 0 kind" "accesses 0 action" "accesses 0 target" "accesses 1 kind")" \
		    $'data\ninput\nro_mount\n'"$JOB/mnt/inputs/data"$'\noutput'
		assert_in "$(tell "accesses 0 identity")" "$FIRST_ID"
		[ "$(tell "accesses 0 token_valid_s")" -gt 60 ]
		[ "$(tell "accesses 1 token_valid_s")" -le 90000 ]
		[ "$(tell "command pid")" -gt 1 ]
		ask $how status
		assert_in "$out" "command sh, pid"
		assert_in "$out" "mount data, pid"
		assert_in "$out" "input data: ro_mount, azureml://datastores/store/paths/in/"
		assert_in "$out" ", token valid for"
		touch "$T/end"
		job_end 5
		job_left_nothing
	done
}

@test "status: tokens given to the job are counted" {
	job_write <<<"command: sh -c 'i=0; while [ \$i -lt 3 ]; do python3 $T/ask.py; i=\$((i+1)); done; touch $T/asked; until [ -e $T/end ]; do sleep 0.05; done'"
	cat >"$T/ask.py" <<-'END'
		import os, urllib.request
		url = os.environ["MSI_ENDPOINT"] + "?resource=https://storage.azure.com/&api-version=2017-09-01"
		urllib.request.urlopen(urllib.request.Request(url, headers={"secret": os.environ["MSI_SECRET"]})).read()
	END
	job_start plain
	wait_for 60 test -e "$T/asked"
	ask plain status --json
	assert_equal "$(tell "workers 0 tokens" "workers 0 restarts")" $'3\n0'
	refute_in "$out" "$AZSIM_SECRET"
	touch "$T/end"
	job_end 0
}

@test "status: a failed command that is held is not ready" {
	waiting_job ro_mount
	job_start plain --hold-on-failure
	wait_for 60 is_ready plain
	touch "$T/end"
	wait_for 60 held
	ask plain status --json
	assert_equal "$(tell phase "command last_status")" $'holding\n5'
	kill -TERM "$job_pid"
	job_end 5
	job_left_nothing
}

held() {
	ask plain healthcheck
	[ "$status" = 1 ] && [[ $out == "not ready: it failed, and is held"* ]]
}

@test "healthcheck: not ready while data is prepared, then ready, then stopping; live throughout" {
	local how
	for how in pid1 plain; do
		waiting_job download
		azsim_knob token_latency_ms=3000
		job_start $how
		wait_for 60 preparing $how
		assert_in "$out" "not ready: not ready yet: agent"
		ask $how healthcheck --live
		assert_equal "$status $out" "0 live"
		azsim_knob token_latency_ms=0
		wait_for 60 is_ready $how
		assert_equal "$out" ready
		assert_equal "$(wc -l <<<"$out")" 1
		ask $how healthcheck --ready
		assert_equal "$status" 0
		kill -TERM "$job_pid"
		wait_for 30 stopping $how
		ask $how healthcheck --live
		assert_equal "$status $out" "0 live"
		touch "$T/end"
		job_end 5
		job_left_nothing
	done
}

preparing() {
	ask "$1" healthcheck
	[ "$status" = 1 ] && [[ $out == *"not ready yet"* ]]
}

stopping() {
	ask "$1" healthcheck
	[ "$status" = 1 ] && [ "$out" = "not ready: it is stopping" ]
}

@test "healthcheck: found by a process of the job itself, and by one that is not, with no pid named" {
	# In a PID namespace of its own there is no other.
	run_status 0 "${PID1[@]}" sh -c '"$1" --control -- sh -c "\"$1\" healthcheck; \"$1\" status | head -n 1"; :' - "$AMLSHIM"
	assert_in "$out" ready
	[[ $out == *"amlshim "*", pid "*", running, since "* ]]
	run_status 0 "${PID1[@]}" sh -c '"$1" --control -- sleep 60 & until "$1" healthcheck; do sleep 0.05; done; kill $!; wait; :' - "$AMLSHIM"
	assert_in "$out" ready
}

@test "healthcheck, status: nobody there: 1, 120, one line; several: which is asked for" {
	run_status 1 "${PID1[@]}" sh -c '"$1" -- "$1" healthcheck' - "$AMLSHIM"
	assert_in "$out" "not ready: cannot find a running amlshim"
	run_status 120 "${PID1[@]}" sh -c '"$1" -- "$1" status' - "$AMLSHIM"
	assert_equal "$(wc -l <"$T/err")" 1
	run_status 2 "${PID1[@]}" sh -c '"$1" --control -- sleep 60 & "$1" --control -- sleep 60 &
		until "$1" healthcheck | grep -q "several"; do sleep 0.05; done; "$1" status; r=$?; kill %1 %2; exit $r' - "$AMLSHIM"
	assert_in "$err" "name one"
	amlshim 2 status nonsense
	amlshim 1 healthcheck 1 2
}

# The inode of this PID namespace is a part of the name.
sockets() {
	grep -c "@amlshim/" /proc/net/unix || true
}

@test "control: no socket without a job spec, unless --control; with one, unless --control=no" {
	run_status 0 unshare --net "${PID1[@]}" "$AMLSHIM" -- cat /proc/net/unix
	refute_in "$out" "@amlshim/"
	run_status 0 unshare --net "${PID1[@]}" "$AMLSHIM" --control -- cat /proc/net/unix
	assert_in "$out" "@amlshim/"
	run_status 0 unshare --net "${PID1[@]}" "$AMLSHIM" --job 'command: cat /proc/net/unix
' --compute none
	assert_in "$out" "@amlshim/"
	run_status 0 unshare --net "${PID1[@]}" "$AMLSHIM" --control=no --job 'command: cat /proc/net/unix
' --compute none
	refute_in "$out" "@amlshim/"
}

# hostile WHAT: python that talks to the init in $job_pid of this PID namespace.
hostile() {
	cat >"$T/hostile.py" <<-'END'
		import os, socket, struct, sys, time
		what, pid = sys.argv[1], int(sys.argv[2])
		name = "\0amlshim/%d/%d" % (os.stat("/proc/self/ns/pid").st_ino, pid)
		def connect():
		    s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
		    s.connect(name)
		    return s
		def is_cut(s):
		    try:
		        return s.recv(65536) == b""
		    except ConnectionError:
		        return True
		def request(version=1, part=1, index=0):
		    return struct.pack("IIII", version, part, index, 0)
		if what == "other user":
		    s = connect()
		    try:
		        s.send(request())
		        print("cut" if is_cut(s) else "answered")
		    except ConnectionError:
		        print("cut")
		elif what == "garbage":
		    for text in (b"\0", b"GET / HTTP/1.1\r\n\r\n", os.urandom(16), os.urandom(60000), request(version=2),
		                 request(part=0), request(part=99), request(part=2, index=2**32 - 1), request(part=3, index=1000)):
		        s = connect()
		        s.send(text)
		        assert is_cut(s), text[:20]
		    s = connect()
		    s.send(request())
		    assert len(s.recv(65536)) > 100
		    print("cut")
		elif what == "slow":
		    s, sent = connect(), 0
		    try:
		        while sent < 100000:
		            s.send(request())
		            sent += 1
		    except ConnectionError:
		        print("cut")
		elif what == "many":
		    kept = []
		    for i in range(1000):
		        kept.append(connect())
		        if i % 3 == 0:
		            try:
		                kept[-1].send(request() if i % 2 else b"x")
		            except ConnectionError:
		                pass
		    print("there", flush=True)
		    time.sleep(600)
	END
}

@test "control: another user is cut off, so is who sends garbage or does not read; the job never notices" {
	local how
	hostile
	for how in pid1 plain; do
		waiting_job ro_mount
		job_start $how
		wait_for 60 is_ready $how
		chmod 755 "$T" "$JOB"
		as_guest $how setpriv --reuid 65534 --regid 65534 --clear-groups /usr/bin/python3 - "other user"
		assert_equal "$out" cut
		as_guest $how /usr/bin/python3 - garbage
		assert_equal "$out" cut
		as_guest $how /usr/bin/python3 - slow
		assert_equal "$out" cut
		is_ready $how
		touch "$T/end"
		job_end 5
	done
}

# as_guest pid1|plain COMMAND... WHAT: COMMAND with hostile.py on stdin, beside the job.
as_guest() {
	local how=$1 pid=$job_pid
	local -a enter=()
	shift
	if [ "$how" = pid1 ]; then
		enter=(nsenter -t "$job_pid" -p -m)
		pid=1
	fi
	status=0
	out=$(timeout 60 "${enter[@]}" "$@" "$pid" <"$T/hostile.py" 2>&1 3>&-) || status=$?
}

@test "control: with 1,000 connections open status still answers, and init holds a few descriptors" {
	local fds
	hostile
	waiting_job ro_mount
	job_start plain
	wait_for 60 is_ready plain
	fds=$(find "/proc/$job_pid/fd" -mindepth 1 | wc -l)
	(ulimit -n 2048; exec python3 "$T/hostile.py" many "$job_pid") >"$T/many" 2>&1 3>&- &
	background=$!
	wait_for 60 grep -q there "$T/many"
	[ "$(find "/proc/$job_pid/fd" -mindepth 1 | wc -l)" -le $((fds + 8)) ]
	for _ in 1 2 3 4 5; do
		ask plain status --json
		assert_equal "$status" 0
		assert_equal "$(tell phase)" running
	done
	kill -KILL "$background"
	wait "$background" || true
	background=
	touch "$T/end"
	job_end 5
	job_left_nothing
}

@test "control: the job's own user may ask, whoever amlshim itself is" {
	run_status 0 "${PID1[@]}" sh -c 'mount -t tmpfs -o mode=755 none /mnt && cp "$1" /mnt/amlshim &&
		exec /mnt/amlshim --control --user 65534:65534 -- /mnt/amlshim healthcheck' - "$AMLSHIM"
	assert_equal "$out" ready
}

# bats test_tags=release
@test "control: in a root that cannot be written to, with nothing in it but amlshim" {
	mkdir -p "$T/root/proc"
	cp "$AMLSHIM" "$TOOLS/exit7" "$T/root/"
	run_status 0 unshare --pid --fork --kill-child --mount sh -c '
		mount --bind "$1" "$1" && mount -t proc proc "$1/proc" && mount -o remount,bind,ro "$1" &&
		exec chroot "$1" /amlshim --control -- /amlshim healthcheck' - "$T/root"
	assert_equal "$out" ready
}
