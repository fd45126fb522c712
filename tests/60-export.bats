#!/usr/bin/env bats
# What the job gets: paths, an expanded command, its environment, and a token endpoint that the
# official clients take for Azure ML's own.
# bats file_tags=root

load helpers
load lib/jobs

setup_file() {
	jobs_begin azurite
}

teardown_file() {
	jobs_end
}

setup() {
	requires_root
	store_use azsim
	BROKER=$BATS_TEST_DIRNAME/sdk/broker.mjs
}

teardown() {
	jobs_cleanup
}

# Nothing is mounted for these: direct inputs are passed as they are.
plain_job() { # COMMAND
	job_write <<-END
		name: demo
		command: >-
		  $1
		inputs:
		  images: {type: uri_folder, path: azureml://datastores/store/paths/in/, mode: direct}
		  list: {type: uri_file, path: azureml://datastores/store/paths/in/a.csv, mode: direct}
		  rounds: 3
		  rate: 0.25
		  deep: true
		  words: "two words"
		  seed: {type: integer, optional: true}
		  tag: {type: string, optional: true, default: blue}
		outputs:
		  model: {type: uri_folder, path: azureml://datastores/store/paths/out/, mode: direct}
		environment_variables:
		  ROUNDS: "\${{inputs.rounds}} of \${{outputs.model}}"
		  CHANGED: theirs
	END
}

@test "export: the command is expanded; an optional group without value vanishes" {
	job_as fallback
	plain_job 'printf "%s|" ${{inputs.rounds}} ${{inputs.rate}} ${{inputs.deep}} ${{inputs.images}} $[[--seed ${{inputs.seed}}]] $[[--tag ${{inputs.tag}}]] --out=${{outputs.model}} "${{inputs.words}}"'
	for how in pid1 plain; do
		job_run 0 $how
		assert_equal "$out" '3|0.25|True|azureml://datastores/store/paths/in/|--tag|blue|--out=azureml://datastores/store/paths/out/|two words|'
		silent
		job_left_nothing
	done
}

@test "export: words given after -- are expanded, each stays one word or vanishes" {
	job_as fallback
	plain_job true
	job_run 0 plain -- printf '%s|' '${{inputs.words}}' 'a b' '$[[--seed ${{inputs.seed}}]]' '$HOME'
	assert_equal "$out" 'two words|a b|$HOME|'
}

@test "export: AZURE_ML_INPUT_ and AZURE_ML_OUTPUT_ variables for data, none for literals" {
	job_as fallback
	plain_job 'env'
	for how in pid1 plain; do
		job_run 0 $how
		assert_equal "$(grep ^AZURE_ML_ <<<"$out" | sort)" \
		    'AZURE_ML_INPUT_images=azureml://datastores/store/paths/in/
AZURE_ML_INPUT_list=azureml://datastores/store/paths/in/a.csv
AZURE_ML_OUTPUT_model=azureml://datastores/store/paths/out/'
	done
}

@test "export: mounted and copied data have their paths in the variables" {
	requires_fuse
	job_as key
	echo 1,2 >"$BATS_TEST_TMPDIR/a.csv"
	azsim_put data/in "$BATS_TEST_TMPDIR/a.csv"
	job_write <<-END
		command: env
		inputs:
		  folder: {type: uri_folder, path: azureml://datastores/store/paths/in/}
		  one: {type: uri_file, path: azureml://datastores/store/paths/in/a.csv, mode: download}
		outputs:
		  model: {type: uri_folder, path: azureml://datastores/store/paths/out/}
		  report: {type: uri_file, path: azureml://datastores/store/paths/r/x.json, mode: upload}
	END
	job_run 0 plain
	assert_equal "$(grep ^AZURE_ML_ <<<"$out" | sort)" "AZURE_ML_INPUT_folder=$JOB/mnt/inputs/folder
AZURE_ML_INPUT_one=$JOB/mnt/inputs/one/a.csv
AZURE_ML_OUTPUT_model=$JOB/mnt/outputs/model
AZURE_ML_OUTPUT_report=$JOB/mnt/outputs/report/x.json"
	job_left_nothing
}

@test "export: environment_variables are expanded and win; all else stays byte for byte" {
	job_as fallback
	plain_job 'env -0'
	job_env+=('CHANGED=ours' 'EMPTY=' $'ODD=line one\nline two ${{inputs.rounds}} ü' 'A=1=2')
	job_run 0 plain
	tr '\0' '\1' <"$BATS_TEST_TMPDIR/out" | tr '\n' '\2' | tr '\1' '\n' >"$BATS_TEST_TMPDIR/env"
	for line in 'CHANGED=theirs' 'EMPTY=' 'A=1=2' \
	    'ROUNDS=3 of azureml://datastores/store/paths/out/' \
	    $'ODD=line one\2line two ${{inputs.rounds}} ü' "SSL_CERT_FILE=$STORE_CA"; do
		grep -qxF -- "$line" "$BATS_TEST_TMPDIR/env"
	done
}

@test "export: neither amlshim's own inputs nor the platform's secrets reach the job" {
	job_as fallback
	plain_job 'env'
	job_env+=("AMLSHIM_COMPUTE=$FIRST_ID" "AMLSHIM_DATASTORES=$(job_as key; job_datastore)"
	    IDENTITY_ENDPOINT= OBO_ENDPOINT=http://127.0.0.1:9/OBO/token)
	job_store=()
	for how in pid1 plain; do
		job_run 0 $how
		refute_in "$(grep -v ^AMLSHIM_BROKER_SOCKET= <<<"$out")" AMLSHIM_
		refute_in "$out" "$AZSIM_SECRET"
		refute_in "$out" "$AZSIM_KEY"
		refute_in "$out" OBO_ENDPOINT
		refute_in "$out" "127.0.0.1:$AZSIM_PORT/"
		grep -qx 'MSI_ENDPOINT=http://127.0.0.1:[0-9]*/MSI/auth' <<<"$out"
		grep -qxE 'MSI_SECRET=[0-9a-f]{32,}' <<<"$out"
	done
}

@test "export: each job has a secret of its own" {
	job_as fallback
	plain_job 'echo $MSI_SECRET'
	job_run 0 plain
	first=$out
	job_run 0 plain
	[ "$first" != "$out" ]
}

@test "export: DEFAULT_IDENTITY_CLIENT_ID names the identity that the plan chose" {
	job_as managed
	plain_job 'echo $DEFAULT_IDENTITY_CLIENT_ID'
	job_env+=("DEFAULT_IDENTITY_CLIENT_ID=$FIRST_ID")
	job_run 0 plain
	assert_equal "$out" "$SECOND_ID"
	job_as fallback
	plain_job 'echo $DEFAULT_IDENTITY_CLIENT_ID'
	job_flags=(--compute "$SECOND_ID,$FIRST_ID")
	job_env=("${job_env[@]:0:2}")
	job_run 0 plain
	assert_equal "$out" "$SECOND_ID"
}

@test "broker: ManagedIdentityCredential gets the default identity's token, and that of another by its client id" {
	job_as managed
	plain_job "node $BROKER token && node $BROKER token --client-id $FIRST_ID https://vault.azure.net/.default && node $BROKER token --default"
	for how in pid1 plain; do
		job_run 0 $how -v
		assert_equal "$(grep -c "^oid $SECOND_OID$" <<<"$out") $(grep -c "^oid $FIRST_OID$" <<<"$out")" "2 1"
		assert_in "$out" "appid $SECOND_ID"
		assert_in "$out" "aud https://vault.azure.net"
		assert_in "$err" "token granted: managed identity $SECOND_ID"
		assert_in "$err" "resource=https://vault.azure.net"
		assert_in "$err" "3 tokens for the job"
		refute_in "$output" eyJ
		job_left_nothing
	done
}

@test "broker: a token of it opens storage: azsim" {
	job_as managed
	plain_job "node $BROKER blob data/broker/managed.txt"
	job_run 0 pid1
	assert_equal "$out" "wrote and read broker/managed.txt"
	assert_equal "$(azsim_count op=PutBlob "oid=$SECOND_OID" status=201)" 1
}

@test "broker: a token of it opens storage: Azurite" {
	store_use azurite
	job_as fallback
	plain_job "node $BROKER blob data/broker/fallback.txt"
	job_run 0 plain
	assert_equal "$out" "wrote and read broker/fallback.txt"
}

@test "broker: under user identity there is the submitter's token and no other" {
	job_as user
	job_env+=("MSI_ENDPOINT=http://127.0.0.1:$AZSIM_PORT/MSI/auth" "MSI_SECRET=$AZSIM_SECRET")
	cat >"$BATS_TEST_TMPDIR/user.sh" <<-END
		env
		node $BROKER token --obo && node $BROKER blob --obo data/broker/user.txt
		base=\${OBO_ENDPOINT%/OBO/*} secret=\${OBO_ENDPOINT%/token} secret=\${secret##*/}
		q='api-version=2017-09-01&resource=https://storage.azure.com/&clientid=$FIRST_ID'
		node $BROKER http GET "\$base/MSI/auth?\$q" "secret:\$secret"
	END
	plain_job "sh $BATS_TEST_TMPDIR/user.sh"
	for how in pid1 plain; do
		job_run 0 $how
		refute_in "$out" MSI_ENDPOINT
		assert_in "$out" "oid $USER_OID"
		assert_in "$out" "upn person@test.local"
		assert_in "$out" "wrote and read broker/user.txt"
		assert_in "$out" "403 identity_not_allowed"
		assert_in "$err" "this job runs under user identity"
		assert_equal "$(azsim_count op=AmlToken)" 0
	done
}

@test "broker: a user's job without on-behalf-of endpoint does not get the platform's endpoints either" {
	local how
	job_as user
	job_env=("MSI_ENDPOINT=http://127.0.0.1:$AZSIM_PORT/MSI/auth" "MSI_SECRET=$AZSIM_SECRET"
	    "IDENTITY_ENDPOINT=http://127.0.0.1:$AZSIM_PORT/msi" "IDENTITY_HEADER=$AZSIM_SECRET")
	plain_job env
	for how in pid1 plain; do
		job_run 0 $how
		refute_in "$out" MSI_
		refute_in "$out" IDENTITY_ENDPOINT
		refute_in "$out" "$AZSIM_SECRET"
		assert_in "$err" "the job's code gets no tokens"
	done
}

@test "broker: without user identity the on-behalf-of endpoint is refused" {
	job_as fallback
	job_env+=("OBO_ENDPOINT=http://127.0.0.1:$AZSIM_PORT/OBO/token")
	plain_job "node $BROKER http GET \${MSI_ENDPOINT%%/MSI*}/OBO/\$MSI_SECRET'/token?resource=https://storage.azure.com/'"
	job_run 0 plain
	assert_equal "$out" "403 identity_not_allowed"
	assert_equal "$(azsim_count op=OboToken)" 0
}

@test "broker: what it refuses" {
	job_as managed
	cat >"$BATS_TEST_TMPDIR/refused.sh" <<-END
		ask() { echo "\$1: \$(shift; node $BROKER http "\$@" 2>&1)"; }
		q='api-version=2017-09-01&resource=https://storage.azure.com/'
		ask 'no secret' GET "\$MSI_ENDPOINT?\$q"
		ask 'wrong secret' GET "\$MSI_ENDPOINT?\$q" secret:$AZSIM_SECRET
		ask 'platform' GET "\$MSI_ENDPOINT?\$q&clientid=$OUTSIDER_ID" secret:\$MSI_SECRET
		ask 'post' POST "\$MSI_ENDPOINT?\$q" secret:\$MSI_SECRET
		ask 'no resource' GET "\$MSI_ENDPOINT?api-version=2017-09-01" secret:\$MSI_SECRET
		ask 'version' GET "\$MSI_ENDPOINT?api-version=2019-08-01&resource=x" secret:\$MSI_SECRET
		ask 'forwarded' GET "\$MSI_ENDPOINT?\$q" secret:\$MSI_SECRET X-Forwarded-For:10.0.0.1
		ask 'elsewhere' GET "\${MSI_ENDPOINT%/MSI/auth}/metadata/identity/oauth2/token?\$q" Metadata:true
		ask 'obo without secret' GET "\${MSI_ENDPOINT%/MSI/auth}/OBO/token?\$q"
		ask 'unknown resource' GET "\$MSI_ENDPOINT?api-version=2017-09-01&resource=https://nothing.example" secret:\$MSI_SECRET
		ask 'default word' GET "\$MSI_ENDPOINT?\$q&clientid=clientid" secret:\$MSI_SECRET
	END
	plain_job "sh $BATS_TEST_TMPDIR/refused.sh"
	job_run 0 plain
	assert_equal "$out" "no secret: 403 invalid_secret
wrong secret: 403 invalid_secret
platform: 403 identity_not_allowed
post: 405 invalid_request
no resource: 400 invalid_resource
version: 400 invalid_request
forwarded: 403 invalid_request
elsewhere: 404 not_found
obo without secret: 404 not_found
unknown resource: 400 invalid_request
default word: 200 no error"
	assert_equal "$(azsim_count op=AmlToken "has=$OUTSIDER_ID")" 0
	refute_in "$err" "$AZSIM_SECRET"
}

@test "broker: forty clients at once cost one request" {
	job_as fallback
	plain_job "node $BROKER many 40"
	azsim_knob token_latency_ms=300
	job_run 0 plain -v
	assert_equal "$out" 40
	assert_equal "$(azsim_count op=AmlToken)" 1
	assert_in "$err" "40 tokens for the job"
}

@test "broker: a source that fails for a while is asked again; one that keeps failing is told" {
	job_as fallback
	plain_job "node $BROKER token"
	azsim_fault op=AmlToken status=500 count=2
	job_run 0 plain
	assert_in "$out" "oid $FIRST_OID"
	azsim_faults_off
	azsim_fault op=AmlToken status=403 code=Forbidden
	job_run 1 plain
	assert_in "$err" "token request refused"
}

@test "broker: a token that ran out is replaced while the job runs" {
	job_as fallback
	azsim_knob token_lifetime_s=6
	plain_job "node $BROKER token; sleep 7; node $BROKER token"
	job_run 0 plain
	assert_equal "$(grep -c "^oid $FIRST_OID" <<<"$out")" 2
	[ "$(azsim_count op=AmlToken)" -ge 2 ]
}

@test "broker: its port is closed once the job is over" {
	job_as fallback
	plain_job 'echo $MSI_ENDPOINT'
	job_run 0 plain
	run_status 0 node "$BROKER" http GET "http://127.0.0.1:$AZSIM_PORT/_azsim/ping"
	run_status 1 node "$BROKER" http GET "$out"
}
