#!/usr/bin/env bats
# Every way in which a run ends: the status for what fails before the job, time limits, signals while
# starting; and that nothing is left: no mount, no process, no staged data.
# bats file_tags=root

load helpers
load lib/jobs

setup_file() {
	jobs_begin --account name=foreign,tenant=99999999-0000-4000-8000-000000000009 \
	    --container foreign/data --role "oid=$FIRST_OID,role=contributor,account=foreign"
	echo hello >"$BATS_FILE_TMPDIR/hello.txt"
	azsim_put data/in "$BATS_FILE_TMPDIR/hello.txt"
	AZSIM_TO=foreign azsim_put data/in "$BATS_FILE_TMPDIR/hello.txt"
}

teardown_file() {
	jobs_end
}

setup() {
	requires_fuse
	store_use azsim
	job_as key
	T=$BATS_TEST_TMPDIR
}

teardown() {
	azsim_account "name=$AZSIM_ACCOUNT" shared_key=on network=allow
	jobs_cleanup
}

# job_with COMMAND: an input and an output, both mounted.
job_with() {
	job_write <<-END
		command: $1
		inputs:
		  data: {type: uri_folder, path: azureml://datastores/store/paths/in/}
		outputs:
		  out: {type: uri_folder, path: azureml://datastores/store/paths/out$BATS_TEST_NUMBER/}
	END
}

job_reading() { # MODE
	job_write <<-END
		command: echo the job ran
		inputs:
		  data: {type: uri_folder, path: azureml://datastores/store/paths/in/, mode: $1}
	END
}

# fails STATUS TEXT...: in every shape, with one line on stderr that holds the texts, and no job.
fails() {
	local want=$1 how mode text
	shift
	for mode in ro_mount download; do
		job_reading $mode
		for how in pid1 plain; do
			job_run "$want" $how
			refute_in "$out" "the job ran"
			assert_equal "$(grep -c ' error ' <<<"$err")" 1
			for text; do
				assert_in "$err" "$text"
			done
			job_left_nothing
		done
	done
}

# ---- before the job

@test "before: a job file that is not there, or is wrong: 2, with the place" {
	job_reading ro_mount
	rm "$JOB/job.yml"
	job_run 2 plain
	assert_in "$err" "$JOB/job.yml"
	printf 'command: echo\ninputs:\n  data: {type: uri_fold, path: x}\n' >"$JOB/job.yml"
	job_run 2 pid1
	assert_in "$err" "job.yml:3:"
	job_left_nothing
}

@test "before: a datastore that is wrong, or unknown: 2, with the place" {
	job_reading ro_mount
	echo 'name: [' >"$JOB/store.yml"
	job_run 2 plain
	assert_in "$err" "store.yml:"
	job_reading ro_mount
	sed -i 's/^name: store/name: other/' "$JOB/store.yml"
	job_run 2 plain
	assert_in "$err" "store"
	assert_in "$err" "job.yml:"
	job_left_nothing
}

@test "before: the compute has no identity: 121, and what to assign" {
	job_as fallback
	job_env=()
	job_flags=(--compute none)
	fails 121 "assign"
}

@test "before: user identity without its endpoint: 121" {
	job_as user
	job_env=()
	fails 121 "OBO_ENDPOINT"
}

@test "before: the token endpoint refuses: 121, as whom" {
	job_as managed
	job_env=("${job_env[0]}" "MSI_SECRET=wrong")
	fails 121 "$SECOND_ID" "401"
}

@test "before: an identity that does not exist: 121, at once" {
	job_as managed
	job_flags=(--compute "12121212-0000-4000-8000-000000000012,$FIRST_ID")
	job_identity='identity: {type: managed, client_id: 12121212-0000-4000-8000-000000000012}'
	fails 121 "12121212-0000-4000-8000-000000000012" "name an identity that the compute has"
}

@test "before: no data role: 122, with the role, the identity and the place" {
	job_as outsider
	fails 122 "Storage Blob Data Reader" "$OUTSIDER_ID" "/$STORE_ACCOUNT/data" AuthorizationPermissionMismatch
}

@test "before: the network rules of the account: 122, and what to open" {
	azsim_account "name=$AZSIM_ACCOUNT" network=deny
	fails 122 "firewall" AuthorizationFailure
}

@test "before: keys are switched off: 122, and what to do instead" {
	azsim_account "name=$AZSIM_ACCOUNT" shared_key=off
	fails 122 "without credentials" KeyBasedAuthenticationNotPermitted
}

@test "before: a wrong key, a SAS that ran out: 122" {
	job_credentials="credentials: {account_key: \"$(openssl rand -base64 64 | tr -d '\n')\"}"
	fails 122 AuthenticationFailed "datastore store"
	job_credentials="credentials: {sas_token: \"$(store_blob sas account rl -60)\"}"
	fails 122 "renew the SAS" Expiry
}

@test "before: an account of another tenant: 122, named as such" {
	job_as fallback
	STORE_ACCOUNT=foreign
	fails 122 tenant
}

@test "before: no such container, folder or file: 120" {
	job_as key
	STORE_CONTAINER=nothere fails 120 ContainerNotFound nothere
	azsim_forget
	local kind
	for kind in 'uri_folder, path: azureml://datastores/store/paths/nothing/' \
	    'uri_file, path: azureml://datastores/store/paths/in/nothing.txt'; do
		for mode in ro_mount download; do
			job_write <<-END
				command: echo the job ran
				inputs:
				  data: {type: $kind, mode: $mode}
			END
			job_run 120 plain
			assert_in "$err" nothing
			refute_in "$out" "the job ran"
			job_left_nothing
		done
	done
}

@test "before: a certificate that nobody vouches for: 120, and what to set" {
	"$jobs_top/scripts/test-certs.sh" "$T/other"
	STORE_CA=$T/other/ca.pem
	fails 120 SSL_CERT_FILE
}

@test "before: nobody listens: 120, within half a minute, with the address" {
	STORE_HOST=localhost:1
	job_reading ro_mount
	local began=$SECONDS
	job_run 120 plain
	[ $((SECONDS - began)) -le 60 ]
	assert_in "$err" "https://localhost:1/"
	job_left_nothing
}

@test "before: a store that never answers: 120 after --start-timeout" {
	azsim_fault op=ListBlobs delay=600000
	local how mode began
	for mode in ro_mount download; do
		job_reading $mode
		for how in pid1 plain; do
			began=$SECONDS
			job_run 120 $how --start-timeout 1s
			[ $((SECONDS - began)) -le 30 ]
			# Who has waited, or init when it did not say so in time.
			grep -qE 'no answer in the time given|start timeout' <<<"$err"
			job_left_nothing
		done
	done
}

@test "before: the command is not found, or its folder: 127, nothing left" {
	job_with no-such-command
	for how in pid1 plain; do
		job_run 127 $how
		assert_in "$err" no-such-command
		job_left_nothing
	done
}

@test "before: no FUSE here: says what to give the container; --fuse copy does without" {
	job_with 'cat ${{inputs.data}}/hello.txt >${{outputs.out}}/copy'
	job_env+=('AMLSHIM_FACTS=fuse=no-device')
	job_run 125 plain
	assert_in "$err" /dev/fuse
	for how in pid1 plain; do
		job_run 0 $how --fuse copy
		job_left_nothing
		store_has "out$BATS_TEST_NUMBER/copy" "$BATS_FILE_TMPDIR/hello.txt"
	done
	job_env=('AMLSHIM_FACTS=fuse=no-privilege')
	job_run 125 plain
	assert_in "$err" SYS_ADMIN
}

# ---- interrupted while starting

@test "start: SIGTERM and SIGINT end it at once; the job never runs" {
	local how signal mode began
	azsim_fault op=ListBlobs delay=600000
	for mode in ro_mount download; do
		for how in pid1 plain; do
			for signal in 15 2; do
				job_reading $mode
				azsim_forget
				job_start $how -v
				wait_for 30 job_says "agent is ready"
				began=$SECONDS
				kill -$signal "$job_pid"
				job_end $((128 + signal))
				[ $((SECONDS - began)) -le 20 ]
				refute_in "$out" "the job ran"
				job_left_nothing
			done
		done
	done
}

@test "start: SIGTERM in the middle of a download" {
	openssl rand 30000000 >"$T/large"
	azsim_put data/in-large "$T/large"
	job_write <<-END
		command: echo the job ran
		inputs:
		  data: {type: uri_folder, path: azureml://datastores/store/paths/in-large/, mode: download}
	END
	azsim_knob rate_bytes_per_s=200000
	job_start plain
	wait_for 30 azsim_assert + op=ListBlobs
	sleep 0.5
	kill -TERM "$job_pid"
	job_end 143
	refute_in "$out" "the job ran"
	job_left_nothing
	azsim_ctl DELETE "/_azsim/blob/$AZSIM_ACCOUNT/data/in-large/large" >/dev/null
}

# ---- while the job runs

@test "limits.timeout: 124, the job is asked, what it wrote is delivered" {
	job_write <<-END
		command: trap 'echo asked; exit 5' TERM; echo part >\${{outputs.out}}/part; while :; do sleep 0.1; done
		limits: {timeout: 3}
		outputs:
		  out: {type: uri_folder, path: azureml://datastores/store/paths/limit/}
	END
	echo part >"$T/part"
	for how in pid1 plain; do
		job_run 124 $how
		assert_equal "$out" asked
		assert_in "$err" "time limit"
		store_has limit/part "$T/part"
		job_left_nothing
	done
}

@test "limits.timeout: a job that ignores the request is killed" {
	job_write <<-END
		command: trap '' TERM; while :; do sleep 0.1; done
		limits: {timeout: 1}
	END
	job_run 124 pid1 --grace 500ms
	job_left_nothing
}

# A worker that is killed is replaced: 85-agent.bats, 86-crash.bats.

@test "amlshim itself killed: no process is left, and the next run in the same place works" {
	job_with 'echo ready; exec sleep 60'
	job_start plain
	wait_for 30 job_says ready
	kill -KILL "$job_pid"
	job_end 137
	wait_for 30 eval '[ -z "$(job_processes)" ]'
	job_with 'cat ${{inputs.data}}/hello.txt'
	job_run 0 plain
	assert_equal "$out" hello
	job_left_nothing
}

# ---- the end

@test "end: mounts go although somebody stands in them" {
	job_with 'cd ${{inputs.data}} && exec 9<hello.txt && (setsid sleep 60 &) ; exit 4'
	for how in pid1 plain; do
		job_run 4 $how --leftover 300ms
		job_left_nothing
	done
}

@test "end: a job that fails leaves nothing either" {
	job_with 'echo x >${{outputs.out}}/x; kill -SEGV $$'
	for how in pid1 plain; do
		job_run 139 $how
		job_left_nothing
	done
}

@test "end: -v closes with one line: bytes, requests, retries, tokens" {
	job_with 'cat ${{inputs.data}}/hello.txt >${{outputs.out}}/copy'
	azsim_fault op=GetBlob status=503 code=ServerBusy count=1
	job_run 0 plain -v
	local last
	last=$(tail -n 1 <<<"$err")
	[[ "$last" =~ closed:\ read\ .*,\ wrote\ 6\ B,\ [0-9]+\ requests,\ [1-9][0-9]*\ retries,\ 0\ tokens ]]
	job_run 0 plain
	silent
}

@test "end: two jobs at once do not disturb each other" {
	local one two
	job_with 'cat ${{inputs.data}}/hello.txt && sleep 1 && echo a >${{outputs.out}}/a'
	job_command plain --root "$JOB/mnt1" --cache-dir "$JOB/cache1"
	"${job_words[@]}" >"$T/one" 2>&1 3>&- &
	one=$!
	job_command plain --root "$JOB/mnt2" --cache-dir "$JOB/cache2"
	"${job_words[@]}" >"$T/two" 2>&1 3>&- &
	two=$!
	wait "$one"
	wait "$two"
	assert_equal "$(cat "$T/one" "$T/two")" "hello
hello"
	job_left_nothing
}

@test "end: SIGTERM: the job ends as it likes, outputs are delivered" {
	local how
	echo x >"$T/x"
	job_with 'trap "exit 3" TERM; echo x >${{outputs.out}}/x; echo ready; while :; do sleep 0.1; done'
	for how in pid1 plain; do
		job_start $how
		wait_for 30 job_says ready
		kill -TERM "$job_pid"
		job_end 3
		store_has "out$BATS_TEST_NUMBER/x" "$T/x"
		job_left_nothing
	done
}
