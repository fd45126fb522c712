#!/usr/bin/env bats
# --trace: one JSON array that has every process's spans, in order, and no secret.
# bats file_tags=root

load helpers
load lib/jobs

setup_file() {
	jobs_begin
	mkdir -p "$BATS_FILE_TMPDIR/in"
	echo hello >"$BATS_FILE_TMPDIR/in/hello.txt"
	store_use azsim
	store_blob put data "$BATS_FILE_TMPDIR/in"
}

teardown_file() {
	jobs_end
}

setup() {
	requires_fuse
	store_use azsim
}

teardown() {
	jobs_cleanup
}

# Prints "PROCESS CATEGORY SPAN" of each span, by its beginning; fails unless it is what viewers take.
spans() { # FILE
	python3 "$BATS_TEST_DIRNAME/lib/check_trace.py" "$1"
}

@test "trace: phases of init, the agent's token, the mount's requests" {
	job_as managed
	azsim_knob latency_ms=10	# requests of the kernel are told of from 1 ms on
	# The bytes are here before the request is over, and the mount ends with the job.
	job_write <<-END
		command: cat \${{inputs.data}}/hello.txt; until grep -q '"read"' $BATS_TEST_TMPDIR/trace; do sleep 0.05; done
		inputs:
		  data: {type: uri_folder, path: azureml://datastores/store/paths/in/}
	END
	for how in pid1 plain; do
		job_run 0 $how --trace "$BATS_TEST_TMPDIR/trace"
		assert_equal "$out" hello
		silent
		found=$(spans "$BATS_TEST_TMPDIR/trace")
		for want in "init phase read the spec and plan" "init phase preparing" \
		    "init phase exec" "init phase running" "init phase draining" \
		    "init worker get ready" "init worker agent" "init worker mount data" \
		    "amlshim:agent token managed identity $SECOND_ID" "amlshim:agent http get a token" \
		    "amlshim:mount data http list" "amlshim:mount data http read" \
		    "amlshim:mount data fuse read"; do
			assert_in "$found" "$want"
		done
		assert_equal "$(stat -c %a "$BATS_TEST_TMPDIR/trace")" 600
		refute grep -qE "eyJ|sig=|$AZSIM_SECRET" "$BATS_TEST_TMPDIR/trace"
	done
}

@test "trace: a run that fails before the command ends its file as well" {
	job_as outsider
	job_write <<-END
		command: "true"
		inputs:
		  data: {type: uri_folder, path: azureml://datastores/store/paths/in/}
	END
	job_run 122 plain --trace "$BATS_TEST_TMPDIR/trace"
	found=$(spans "$BATS_TEST_TMPDIR/trace")
	assert_in "$found" "init phase preparing"
	refute_in "$found" "phase exec"
}

@test "trace: without a job there is init alone; a path that cannot be written is an error" {
	amlshim 3 --trace "$BATS_TEST_TMPDIR/trace" -- sh -c 'exit 3'
	assert_in "$(spans "$BATS_TEST_TMPDIR/trace")" "init phase exec"
	amlshim 125 --trace /nowhere/trace -- true
	assert_in "$err" "cannot write the trace /nowhere/trace"
}

@test "trace: many requests at once; a mount that is killed leaves a file that opens" {
	job_as key
	mkdir "$BATS_TEST_TMPDIR/many"
	for i in $(seq 60); do head -c 50000 /dev/urandom >"$BATS_TEST_TMPDIR/many/$i"; done
	store_blob put data "$BATS_TEST_TMPDIR/many"
	job_write <<-END
		command: (cd \${{inputs.data}} && ls | xargs -P 8 -n 4 cat | wc -c); echo read; sleep 600
		inputs:
		  data: {type: uri_folder, path: azureml://datastores/store/paths/many/}
	END
	job_start plain --trace "$BATS_TEST_TMPDIR/trace"
	wait_for 60 job_says '^read$'
	kill -KILL "$(pgrep -P "$job_pid" -f 'amlshim:mount' || pgrep -P "$job_pid" 'amlshim:mount')"
	mount_was_noticed() { grep -q '"cat":"worker","id":[0-9]*,"ts":[0-9]*,"args":{"wait_status":9}' "$BATS_TEST_TMPDIR/trace"; }
	wait_for 30 mount_was_noticed
	kill -TERM "$job_pid" || true	# where nobody replaces it, the job ends with it
	wait "$job_outer" || true
	found=$(spans "$BATS_TEST_TMPDIR/trace")
	[ "$(grep -c 'amlshim:mount data http read' <<<"$found")" -ge 60 ]
}

@test "log: with --log-format json each line that amlshim writes is one JSON object, whatever fails" {
	export AMLSHIM_LOG_FORMAT=json
	check() { # STATUS ARG...
		amlshim "$@"
		[ -s "$BATS_TEST_TMPDIR/err" ]
		python3 -c 'import json, sys
for line in sys.stdin:
    d = json.loads(line); assert d.get("level") or d.get("accesses") is not None, d' <"$BATS_TEST_TMPDIR/err" ||
		    { cat "$BATS_TEST_TMPDIR/err"; return 1; }
	}
	check 2
	check 2 --no-such-flag
	check 2 --grace soon -- true
	check 2 help nonsense
	check 127 -- no-such-command
	check 126 -- /etc/passwd
	check 2 --job /nowhere -- true
	check 2 -j '{"command": 7}' -- true
	check 3 --hold-on-failure=10ms -- sh -c 'exit 3'
	check 0 -vv -- true
	check 0 --explain -j '{"command": "true"}' -v
	check 3 --report /nowhere/x -- sh -c 'exit 3'
	check 125 --trace /nowhere/x -- true
	check 2 ls
	check 2 cp a b
	check 2 token
	job_as outsider
	job_write <<-END
		command: "true"
		inputs:
		  data: {type: uri_folder, path: azureml://datastores/store/paths/in/}
	END
	job_command plain -vv
	check 122 --root "$JOB/mnt" -vv --job "$JOB/job.yml" --datastore "$JOB/store.yml" "${job_flags[@]}" || check 121 -vv \
	    --job "$JOB/job.yml" --datastore "$JOB/store.yml" "${job_flags[@]}"
}

@test "explain and dry-run: what fails is said, nothing is run; a step of a pipeline" {
	job_as key
	job_write <<-END
		type: pipeline
		jobs:
		  one:
		    type: command
		    command: echo one \${{inputs.data}}
		    inputs:
		      data: {type: uri_folder, path: azureml://datastores/store/paths/in/}
		  two: {type: command, command: touch $BATS_TEST_TMPDIR/ran}
	END
	job_run 0 plain --dry-run --step one
	assert_in "$out" "echo one $JOB/mnt/inputs/data"
	job_run 0 plain --dry-run --step two --json
	python3 -c 'import json, sys; json.load(sys.stdin)' <<<"$out"
	job_run 0 plain --explain --step two
	assert_in "$err" "touch $BATS_TEST_TMPDIR/ran"
	[ -e "$BATS_TEST_TMPDIR/ran" ]
	rm "$BATS_TEST_TMPDIR/ran"
	job_run 2 plain --dry-run
	assert_in "$err" step
	job_run 2 plain --explain --step three
	sed -i 's/datastores.store/datastores\/absent/' "$JOB/job.yml"
	job_run 2 plain --dry-run --step one
	assert_in "$err" absent
	[ -z "$out" ]
	refute test -e "$BATS_TEST_TMPDIR/ran"
}
