#!/usr/bin/env bats
# Workers that die and are replaced: the agent, uploads, downloads; crash loops; the watchdog. What a
# mount's successor does is in 86-crash.bats.
# bats file_tags=root

load helpers
load lib/jobs

setup_file() {
	jobs_begin
	mkdir "$BATS_FILE_TMPDIR/in"
	local i
	for i in {100..299}; do
		echo "file $i" >"$BATS_FILE_TMPDIR/in/$i"
	done
	azsim_put data "$BATS_FILE_TMPDIR/in"
}

teardown_file() {
	jobs_end
}

setup() {
	requires_fuse
	store_use azsim
	job_as key
	T=$BATS_TEST_TMPDIR
	R='resource=https://storage.azure.com/'
}

teardown() {
	[ -z "${KILLER-}" ] || kill "$KILLER" 2>/dev/null || true
	jobs_cleanup
}

lives() {
	[ -n "$(job_worker "$1")" ]
}

# It is killed, and its successor is there.
replaced() { # NAME [SIGNAL]
	local pid
	wait_for 30 lives "$1"
	pid=$(job_worker "$1")
	kill "-${2-KILL}" "$pid"
	wait_for 30 eval "lives '$1' && [ \"\$(job_worker '$1')\" != $pid ]"
}

# Each of its lives, from now on.
killed_for_ever() { # NAME
	(
		while [ -d "/proc/$job_pid" ]; do
			pid=$(job_worker "$1") && [ -n "$pid" ] && kill -KILL "$pid"
			sleep 0.02
		done
	) >/dev/null 2>&1 3>&- &
	KILLER=$!
}

# It ends at the test's word.
waiting() {
	echo "echo ready; while [ ! -e $T/go ] && [ -d $T ]; do sleep 0.1; done; $1"
}

mounted_job() { # COMMAND
	job_write <<-END
		command: $1
		inputs:
		  data: {type: uri_folder, path: azureml://datastores/store/paths/in/}
	END
}

upload_job() { # COMMAND
	job_write <<-END
		command: $1
		outputs:
		  out: {type: uri_folder, path: azureml://datastores/store/paths/up$BATS_TEST_NUMBER/, mode: upload}
	END
}

# ---- the agent

# Reads need a new token all the time. A connection that the dead one had accepted is lost, but none is
# refused: the port stays.
asking_script() {
	cat >"$T/script.py" <<-END
		import http.client, os, sys, time, urllib.parse
		where = urllib.parse.urlsplit(os.environ["MSI_ENDPOINT"])
		names = sorted(os.listdir(sys.argv[1]))
		given = lost = 0
		print("ready", flush=True)
		for name in names:
		    with open(sys.argv[1] + "/" + name) as f:
		        assert f.read() == "file " + name + "\n"
		    c = http.client.HTTPConnection(where.hostname, where.port, timeout=60)
		    c.connect()
		    try:
		        c.request("GET", where.path + "?$R&api-version=2017-09-01",
		            headers={"secret": os.environ["MSI_SECRET"]})
		        assert c.getresponse().status == 200
		        given += 1
		    except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError):
		        lost += 1
		    c.close()
		    time.sleep(0.1)
		print("read", len(names), "given and lost", given + lost, flush=True)
		sys.exit(0 if given > 100 else 9)
	END
}

@test "agent: killed again and again while mounts need tokens and the job asks: no read fails, no connection is refused" {
	job_as managed
	azsim_knob token_lifetime_s=4 token_latency_ms=100
	asking_script
	local how i
	for how in pid1 plain; do
		mounted_job "python3 $T/script.py \${{inputs.data}}"
		job_start $how -v
		wait_for 30 job_says ready
		for i in 1 2 3; do
			replaced agent
			sleep 5.5
		done
		job_end 0
		assert_in "$out" "read 200 given and lost 200"
		assert_equal "$(grep -c 'agent ended by signal 9' <<<"$err")" 3
		assert_in "$err" "3 workers restarted"
		job_left_nothing
	done
}

@test "agent: killed before the job: the run starts all the same, once" {
	job_as managed
	azsim_knob token_latency_ms=1500
	local how
	for how in pid1 plain; do
		mounted_job 'cat ${{inputs.data}}/100'
		job_start $how
		wait_for 30 lives agent
		replaced agent
		job_end 0
		assert_equal "$out" "file 100"
		job_left_nothing
	done
}

@test "agent: a successor without a token for now ends nothing; when there is one again it gives it" {
	job_as managed
	cat >"$T/ask.sh" <<-END
		curl -sf -o /dev/null -H "secret: \$MSI_SECRET" "\$MSI_ENDPOINT?$R&api-version=2017-09-01"
	END
	mounted_job "$(waiting "sh $T/ask.sh")"
	job_start plain
	wait_for 30 job_says ready
	azsim_fault op=AmlToken status=500 code=Busy
	replaced agent
	sleep 1
	azsim_faults_off
	touch "$T/go"
	job_end 0
	job_left_nothing
}

# bats test_tags=release
@test "agent: the successor has the secrets, nobody else has" {
	local name key=${STORE_KEY:20:16}
	upload_job "$(waiting 'echo x >${{outputs.out}}/x')"
	job_start plain
	wait_for 30 job_says ready
	replaced agent
	replaced "upload "		# its successor asks the new agent for the key
	assert_equal "$("$TOOLS/memgrep" "$job_pid" "$key")" 0
	wait_for 30 eval '[ "$("$TOOLS/memgrep" "$(job_worker "upload ")" "'"$key"'")" -gt 0 ]'
	touch "$T/go"
	job_end 0
	echo x >"$T/x"
	store_has "up$BATS_TEST_NUMBER/x" "$T/x"
	job_left_nothing
}

# holds PID: how many descriptors of the secrets' memory it has.
holds() {
	find "/proc/$1/fd" -lname '*secretmem*' -o -lname '/memfd:secrets*' | wc -l
}

# bats test_tags=release
@test "agent: the broker's secret and the platform's are in no memory of mounts and prober, nor of their successors" {
	local how secret pid needle health
	job_as fallback
	for how in pid1 plain; do
		rm -f "$T/go"
		health=$(free_port)
		mounted_job "echo \$MSI_SECRET >$T/secret; $(waiting true)"
		job_start $how --health-listen "$health"
		wait_for 30 job_says ready
		secret=$(cat "$T/secret")
		[ ${#secret} -ge 32 ]
		[ "$("$TOOLS/memgrep" "$(job_worker agent)" "$secret")" -gt 0 ]
		for pid in "$(job_worker "mount d")" "$(job_worker prober)"; do
			assert_equal "$("$TOOLS/memgrep" "$pid" "$AZSIM_SECRET")" 0
		done
		replaced "mount d"
		replaced prober
		for pid in "$(job_worker "mount d")" "$(job_worker prober)"; do
			for needle in "$secret" "$AZSIM_SECRET"; do
				assert_equal "$("$TOOLS/memgrep" "$pid" "$needle")" 0
			done
		done
		touch "$T/go"
		job_end 0
		job_left_nothing
	done
}

@test "agent: only init and agents have the secrets' memory; where the kernel can, nobody else reads it" {
	local key=${STORE_KEY:20:16} how pid agent maps
	for how in pid1 plain; do
		rm -f "$T/go"
		mounted_job "$(waiting true)"
		job_start $how
		wait_for 30 job_says ready
		replaced agent
		agent=$(job_worker agent)
		assert_equal "$(holds "$job_pid") $(holds "$agent")" "1 1"
		for pid in $(pgrep -P "$job_pid" | grep -vx "$agent"); do
			assert_equal "$(holds "$pid")" 0
		done
		[ "$(pgrep -cP "$job_pid")" -ge 3 ]		# the mount and the job as well
		assert_equal "$(grep -c 'secretmem\|memfd:secrets' "/proc/$job_pid/maps")" 0
		maps=$(grep 'secretmem\|memfd:secrets' "/proc/$agent/maps")
		[ -n "$maps" ]
		case $maps in
		*secretmem*)		# its copy for the mount is all that can be found, if it still is
			[ "$("$TOOLS/memgrep" "$agent" "$key")" -le 1 ] ;;
		*)	assert_in "$maps" r--s ;;
		esac
		touch "$T/go"
		job_end 0
	done
}

@test "workers: the log says when memory had run out" {
	mkdir "$T/cgroup"
	echo "oom_kill 3" >"$T/cgroup/memory.events"
	mounted_job "$(waiting true)"
	job_command plain
	unshare --mount --propagation private sh -c 'mount --bind "$0" /sys/fs/cgroup && exec "$@"' \
	    "$T/cgroup" "${job_words[@]}" >"$T/out" 2>"$T/err" 3>&- &
	job_outer=$! job_pid=$!
	wait_for 30 job_says ready
	replaced agent
	wait_for 30 job_says "agent ended by signal 9: its successor no. 1"
	echo "oom_kill 4" >"$T/cgroup/memory.events"
	replaced agent
	wait_for 30 job_says "agent ended by signal 9, as memory ran out: its successor no. 2"
	touch "$T/go"
	job_end 0
}

@test "agent: token files are kept fresh by its successor, and removed at the end" {
	job_as managed
	azsim_knob token_lifetime_s=8
	mkdir "$T/tokens"
	mounted_job "$(waiting true)"
	job_start plain --token-file "https://storage.azure.com/=$T/tokens/storage"
	wait_for 30 job_says ready
	replaced agent
	cp "$T/tokens/storage" "$T/first"
	wait_for 30 eval '! cmp -s "$T/tokens/storage" "$T/first"'
	cp "$T/tokens/storage" "$T/second"
	wait_for 30 eval '! cmp -s "$T/tokens/storage" "$T/second"'
	touch "$T/go"
	job_end 0
	assert_equal "$(ls "$T/tokens")" ""
}

@test "agent: killed at the end, while an upload needs it" {
	job_as managed
	azsim_knob token_lifetime_s=4
	head -c 20000000 /dev/urandom >"$T/large"
	upload_job "cp $T/large \${{outputs.out}}/"
	azsim_knob rate_bytes_per_s=2000000
	job_start plain -v
	wait_for 30 job_says "running -> draining\|the command ended"
	replaced agent
	job_end 0
	azsim_knob rate_bytes_per_s=0
	store_has "up$BATS_TEST_NUMBER/large" "$T/large"
	job_left_nothing
}

# ---- copies

@test "upload: killed while it waits, and while it sends: everything gets out" {
	local how
	head -c 20000000 /dev/urandom >"$T/large"
	for how in pid1 plain; do
		rm -f "$T/go"
		azsim_forget
		azsim_knob rate_bytes_per_s=2000000
		upload_job "$(waiting "cp $T/large \${{outputs.out}}/")"
		job_start $how
		wait_for 30 job_says ready
		replaced "upload "
		touch "$T/go"
		wait_for 30 azsim_assert + op=PutBlock
		replaced "upload "
		job_end 0
		azsim_knob rate_bytes_per_s=0
		store_has "up$BATS_TEST_NUMBER/large" "$T/large"
		job_left_nothing
	done
}

@test "upload: the time to flush is counted from the first word, whoever dies" {
	head -c 20000000 /dev/urandom >"$T/large"
	azsim_fault op=PutBlockList delay=600000
	upload_job "cp $T/large \${{outputs.out}}/"
	job_start plain --flush-timeout 4s
	wait_for 30 azsim_assert + op=PutBlock
	replaced "upload "
	local began=$SECONDS
	job_end 123
	[ $((SECONDS - began)) -le 30 ]
	assert_in "$err" large
	assert_equal "$(job_processes)" ""
}

@test "download: killed, it goes on from what is there" {
	local how
	for how in pid1 plain; do
		azsim_forget
		azsim_knob latency_ms=200
		job_write <<-END
			command: diff -r \${{inputs.data}} $BATS_FILE_TMPDIR/in && echo same
			inputs:
			  data: {type: uri_folder, path: azureml://datastores/store/paths/in/, mode: download}
		END
		job_start $how
		wait_for 30 azsim_assert + op=GetBlob
		replaced "downloa"
		job_end 0
		assert_equal "$out" same
		job_left_nothing
	done
}

# ---- crash loops

# The job is told, what it does with the mount fails at once, and nothing hangs.
crash_loop() { # NAME TEXT
	local how
	for how in pid1 plain; do
		mounted_job "trap 'echo asked; ls \${{inputs.data}} >/dev/null 2>&1; exit 0' TERM; echo ready; while :; do sleep 0.1; done"
		job_start $how
		wait_for 30 job_says ready
		killed_for_ever "$1"
		job_end 125
		wait "$KILLER" || true
		assert_in "$out" asked
		assert_in "$err" "$2: ended by signal 9"
		assert_in "$err" "as those before it"
		assert_equal "$(grep -c "successor no" <<<"$err")" 4
		job_left_nothing
	done
}

@test "crash loop: of the agent: the job is asked to end, 125" {
	crash_loop agent agent
}

@test "crash loop: of a mount: the job is asked to end, its reads fail, 125" {
	crash_loop "mount d" "mount data"
}

@test "crash loop: of an output's mount: what was not uploaded is named, and kept" {
	cat >"$T/script.py" <<-END
		import os, signal, sys, time
		signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
		f = os.open(sys.argv[1] + "/f", os.O_WRONLY | os.O_CREAT)
		os.write(f, b"not uploaded yet")
		print("ready", flush=True)
		time.sleep(60)
	END
	job_write <<-END
		command: python3 $T/script.py \${{outputs.out}}
		outputs:
		  out: {type: uri_folder, path: azureml://datastores/store/paths/lost/, mode: rw_mount}
	END
	job_start plain
	wait_for 30 job_says ready
	killed_for_ever "mount o"
	job_end 125
	wait "$KILLER" || true
	assert_in "$err" "$JOB/cache/out"
	assert_equal "$(cat "$JOB/cache/out/f")" "not uploaded yet"
	assert_equal "$(job_mounts)" ""
	assert_equal "$(job_processes)" ""
}

@test "crash loop: of an upload at the end: 123, and what is left is named" {
	head -c 20000000 /dev/urandom >"$T/large"
	azsim_fault op=PutBlockList delay=600000
	upload_job "cp $T/large \${{outputs.out}}/"
	job_start plain
	wait_for 30 azsim_assert + op=PutBlock
	killed_for_ever "upload "
	job_end 123
	wait "$KILLER" || true
	assert_in "$err" "upload out, data in $JOB/"
	cmp "$T/large" "$JOB/mnt/outputs/out/large"
	assert_equal "$(job_processes)" ""
}

# ---- the watchdog

@test "watchdog: a worker that stands still is replaced" {
	local how
	job_as managed
	for how in pid1 plain; do
		rm -f "$T/go"
		mounted_job "$(waiting 'cat ${{inputs.data}}/100')"
		job_start $how --watchdog 2s
		wait_for 30 job_says ready
		replaced agent STOP
		wait_for 30 job_says "agent, pid [0-9]*, has given no sign of life"
		wait_for 30 job_says "agent was hung"
		touch "$T/go"
		job_end 0
		assert_in "$out" "file 100"
		job_left_nothing
	done
}

@test "watchdog: never: it stands still until it is woken; a worker that works is left alone" {
	local agent
	mounted_job "$(waiting true)"
	job_start plain --watchdog never
	wait_for 30 job_says ready
	agent=$(job_worker agent)
	kill -STOP "$agent"
	sleep 3
	kill -CONT "$agent"
	touch "$T/go"
	job_end 0
	refute_in "$err" "sign of life"
	rm "$T/go"
	mounted_job "$(waiting true)"
	job_start plain --watchdog 2s
	wait_for 30 job_says ready
	sleep 6
	touch "$T/go"
	job_end 0
	refute_in "$err" "sign of life"
}
