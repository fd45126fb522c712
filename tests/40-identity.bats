#!/usr/bin/env bats
# The same job, under every identity, against azsim (flat and hierarchical accounts) and against
# Azurite, as PID 1 and as an ordinary process; and that no secret shows anywhere.
# bats file_tags=root

load helpers
load lib/jobs

setup_file() {
	local store
	jobs_begin azurite
	make_data "$BATS_FILE_TMPDIR/data"
	for store in azsim lake azurite; do
		store_use $store
		store_blob put data "$BATS_FILE_TMPDIR/data/in" "$BATS_FILE_TMPDIR/data/table"
	done
}

teardown_file() {
	jobs_end
}

setup() {
	requires_fuse
	DATA=$BATS_FILE_TMPDIR/data
}

teardown() {
	jobs_cleanup
}

make_data() { # DIR
	mkdir -p "$1/in/sub/deeper" "$1/table"
	head -c 300000 /dev/urandom >"$1/in/noise.bin"
	echo hello >"$1/in/hello.txt"
	: >"$1/in/empty"
	echo deep >"$1/in/sub/deeper/deep file.txt"
	printf 'paths:\n  - file: ./part.csv\ntransformations:\n  - read_delimited: {delimiter: ","}\n' \
	    >"$1/table/MLTable"
	printf 'a,b\n1,2\n' >"$1/table/part.csv"
}

# A file and a table mounted, a folder downloaded; a folder mounted and one uploaded.
whole_job() { # OUT
	job_write <<-END
		name: whole
		command: >-
		  cmp \${{inputs.file}} $DATA/in/hello.txt &&
		  diff -r \${{inputs.folder}} $DATA/in &&
		  diff -r \${{inputs.table}} $DATA/table &&
		  mkdir \${{outputs.model}}/weights &&
		  cat \${{inputs.folder}}/noise.bin \${{inputs.file}} >\${{outputs.model}}/weights/all.bin &&
		  echo rounds \${{inputs.rounds}} >\${{outputs.report}}/report.txt &&
		  echo job is done
		inputs:
		  file: {type: uri_file, path: azureml://datastores/store/paths/in/hello.txt, mode: ro_mount}
		  folder: {type: uri_folder, path: azureml://datastores/store/paths/in/, mode: download}
		  table: {type: mltable, path: azureml://datastores/store/paths/table/}
		  rounds: 3
		outputs:
		  model: {type: uri_folder, path: azureml://datastores/store/paths/$1/model/}
		  report: {type: uri_folder, path: azureml://datastores/store/paths/$1/report/, mode: upload}
	END
}

# The store, asked by the official client, has what the job wrote.
delivered() { # OUT
	cat "$DATA/in/noise.bin" "$DATA/in/hello.txt" >"$BATS_TEST_TMPDIR/all.bin"
	echo rounds 3 >"$BATS_TEST_TMPDIR/report.txt"
	store_has "$1/model/weights/all.bin" "$BATS_TEST_TMPDIR/all.bin"
	store_has "$1/report/report.txt" "$BATS_TEST_TMPDIR/report.txt"
}

passes() { # STORE WHO [WARNING]
	local how
	store_use "$1"
	job_as "$2"
	for how in pid1 plain; do
		whole_job "out/$2/$how"
		job_run 0 $how
		assert_equal "$out" "job is done"
		if [ $# -gt 2 ]; then
			assert_equal "$(wc -l <<<"$err")" 1
			assert_in "$err" "$3"
		else
			silent
		fi
		job_left_nothing
		delivered "out/$2/$how"
	done
}

# Every request to the storage came from this person, and there were some.
only_as() { # OID
	local all
	all=$(azsim_count service=blob)
	[ "$all" -gt 0 ]
	azsim_assert "$all" service=blob "oid=$1"
}

@test "azsim: account key" { passes azsim key; }
@test "azsim: SAS" { passes azsim sas; }
@test "azsim: user identity" {
	azsim_forget
	store_use azsim
	job_as user
	whole_job out/user/only
	job_run 0 plain
	only_as "$USER_OID"
	passes azsim user
}
@test "azsim: managed identity" {
	azsim_forget
	store_use azsim
	job_as managed
	whole_job out/managed/only
	job_run 0 plain
	only_as "$SECOND_OID"
	passes azsim managed
}
@test "azsim: fallback, the default identity of Azure ML compute" {
	azsim_forget
	store_use azsim
	job_as fallback
	whole_job out/fallback/only
	job_run 0 plain
	only_as "$FIRST_OID"
	passes azsim fallback
}
@test "azsim: fallback, the VM's metadata service" { passes azsim metadata; }
@test "hierarchical: account key" { passes lake key "Azure ML itself takes"; }
@test "hierarchical: SAS" { passes lake sas "Azure ML itself takes"; }
@test "hierarchical: user identity" { passes lake user; }
@test "hierarchical: managed identity" { passes lake managed; }
@test "hierarchical: fallback" { passes lake fallback; }
@test "Azurite: account key" { passes azurite key; }
@test "Azurite: SAS" { passes azurite sas; }
@test "Azurite: user identity" { passes azurite user; }
@test "Azurite: managed identity" { passes azurite managed; }
@test "Azurite: fallback" { passes azurite fallback; }

@test "identity: one token serves all mounts of a job" {
	store_use azsim
	job_as fallback
	whole_job out/one
	azsim_forget
	azsim_knob token_latency_ms=200
	job_run 0 plain
	azsim_assert 1 op=AmlToken
}

@test "identity: credentials of the datastore win over user identity, with a warning" {
	store_use azsim
	job_as user
	job_credentials="credentials: {account_key: \"$STORE_KEY\"}"
	whole_job out/cached
	azsim_forget
	job_run 0 plain
	assert_in "$err" "credentials"
	azsim_assert 0 op=OboToken
	azsim_assert 0 auth=bearer
}

@test "identity: under user identity an empty answer of its endpoint fails, the compute's identity does not stand in" {
	store_use azsim
	job_as user
	job_env+=("MSI_ENDPOINT=http://127.0.0.1:$AZSIM_PORT/MSI/auth" "MSI_SECRET=$AZSIM_SECRET"
	    "DEFAULT_IDENTITY_CLIENT_ID=$FIRST_ID")
	whole_job out/no-obo
	azsim_forget
	azsim_fault op=OboToken status=200 'body= '
	for how in pid1 plain; do
		job_run 125 $how
		refute_in "$out" "job is done"
		assert_in "$err" OBO
		job_left_nothing
	done
	azsim_assert 0 op=AmlToken
	azsim_assert 0 service=blob
}

# Six files, one a second.
slow_job() {
	local i
	for i in 1 2 3 4 5 6; do
		echo "$i" >"$BATS_TEST_TMPDIR/part$i"
	done
	azsim_put data/parts "$BATS_TEST_TMPDIR"/part?
	job_write <<-END
		command: for i in 1 2 3 4 5 6; do cat \${{inputs.parts}}/part\$i || exit 1; sleep $1; done
		inputs:
		  parts: {type: uri_folder, path: azureml://datastores/store/paths/parts/}
	END
	azsim_forget
}

@test "identity: a token that expires in mid-job is renewed" {
	store_use azsim
	job_as fallback
	slow_job 1
	azsim_knob token_lifetime_s=4
	job_run 0 plain
	assert_equal "$out" "$(seq 6)"
	[ "$(azsim_count op=AmlToken)" -ge 2 ]
}

@test "identity: a token that the store refuses is replaced, once, and the request sent again" {
	store_use azsim
	job_as fallback
	slow_job 0
	azsim_fault op=GetBlob status=401 code=InvalidAuthenticationInfo count=1 skip=2
	job_run 0 plain
	assert_equal "$out" "$(seq 6)"
	azsim_assert 2 op=AmlToken
}

@test "identity: a store that refuses every token ends in an error, not in a loop" {
	store_use azsim
	job_as fallback
	slow_job 0
	azsim_fault op=GetBlob status=401 code=InvalidAuthenticationInfo
	job_run 1 plain
	assert_in "$err" InvalidAuthenticationInfo
	[ "$(azsim_count op=AmlToken)" -le 3 ]
	[ "$(azsim_count op=GetBlob)" -le 6 ]
}

# ---- no secret anywhere

# The secrets themselves, as they are and as URLs show them; any token begins with eyJ.
needles() {
	local sig
	sig=$(store_sas)
	sig=${sig##*sig=}
	sig=${sig%%&*}
	printf '%s\n' "$STORE_KEY" "$AZSIM_SECRET" "$sig" eyJ \
	    "$(node -p 'decodeURIComponent(process.argv[1])' "$sig")" >"$BATS_TEST_TMPDIR/needles"
}

spied_job() {
	job_write <<-END
		name: spied
		command: sh $BATS_TEST_TMPDIR/spy.sh; cat \${{inputs.data}}/hello.txt >\${{outputs.out}}/copy; sh $BATS_TEST_TMPDIR/spy.sh
		inputs:
		  data: {type: uri_folder, path: azureml://datastores/store/paths/in/}
		  one: {type: uri_file, path: azureml://datastores/store/paths/in/hello.txt, mode: download}
		outputs:
		  out: {type: uri_folder, path: azureml://datastores/store/paths/spied/}
		  up: {type: uri_folder, path: azureml://datastores/store/paths/spied/up/, mode: upload}
	END
}

shows_nothing() {
	assert_equal "$(grep -c '^looked at' <<<"$out")" 2
	[ "$(sed -n 's/^looked at \([0-9]*\) .*/\1/p' <<<"$out" | head -n 1)" -ge 6 ]
	refute_in "$output" LEAK
	if grep -nFf "$BATS_TEST_TMPDIR/needles" "$BATS_TEST_TMPDIR/out" "$BATS_TEST_TMPDIR/err"; then
		return 1
	fi
	if grep -rlFf "$BATS_TEST_TMPDIR/needles" "$JOB/cache" "$JOB/mnt" 2>/dev/null; then
		return 1
	fi
}

# bats test_tags=names
@test "secrets: the search finds what it looks for" {
	store_use azsim
	needles
	job_spy_script "$BATS_TEST_TMPDIR/spy.sh" "$BATS_TEST_TMPDIR/needles"
	while read -r needle; do
		job_as fallback
		job_write <<-END
			command: "true; sh $BATS_TEST_TMPDIR/spy.sh"
			environment_variables: {X: "a \"$needle\" b"}
		END
		job_run 0 plain
		assert_in "$out" "LEAK: environ"
	done <"$BATS_TEST_TMPDIR/needles"
}

# bats test_tags=names
@test "secrets: none in /proc, in the log at -vv or on disk, whichever identity, specs in the environment" {
	local who how
	store_use azsim
	needles
	job_spy_script "$BATS_TEST_TMPDIR/spy.sh" "$BATS_TEST_TMPDIR/needles"
	for who in key sas user managed; do
		job_as $who
		spied_job
		job_env+=("AMLSHIM_DATASTORES=$(job_datastore)")
		job_store=()
		for how in pid1 plain; do
			job_run 0 $how -vv
			shows_nothing
		done
	done
}

# bats test_tags=names
@test "secrets: none with a datastore's text on the command line, and in a JSON log" {
	local who how
	store_use azsim
	needles
	job_spy_script "$BATS_TEST_TMPDIR/spy.sh" "$BATS_TEST_TMPDIR/needles"
	for who in key sas; do
		job_as $who
		spied_job
		job_store=(--datastore "$(job_datastore)")
		for how in pid1 plain; do
			job_run 0 $how -vv --log-format json
			shows_nothing
		done
	done
}

@test "secrets: none in what is said of a refusal" {
	local who
	store_use azsim
	needles
	for who in key sas user managed; do
		job_as $who
		spied_job
		azsim_fault path=/acct status=403 code=AuthenticationFailed
		job_run 122 plain -vv
		if grep -nFf "$BATS_TEST_TMPDIR/needles" "$BATS_TEST_TMPDIR/out" "$BATS_TEST_TMPDIR/err"; then
			return 1
		fi
		azsim_faults_off
	done
}
