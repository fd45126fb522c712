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

# Prints "NAME CATEGORY SPAN" of each span, by its beginning; fails unless it is what Perfetto takes.
spans() { # FILE
	python3 - "$1" <<-'END'
		import json, sys
		events = json.load(open(sys.argv[1]))
		names = {e["pid"]: e["args"]["name"] for e in events if e["ph"] == "M"}
		spans = sorted((e for e in events if e["ph"] == "X"), key=lambda e: e["ts"])
		assert len(spans) + sum(e["ph"] == "M" for e in events) == len(events)
		for e in spans:
		    assert e["ts"] > 0 and e["dur"] >= 0 and e["tid"] > 0
		    print(names[e["pid"]], e["cat"], e["name"])
	END
}

@test "trace: phases of init, the agent's token, the mount's requests" {
	job_as managed
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
		    "amlshim:agent token managed identity $SECOND_ID" "amlshim:agent http get a token" \
		    "amlshim:mount data http list" "amlshim:mount data http read"; do
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
