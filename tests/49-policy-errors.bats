#!/usr/bin/env bats
# What a job's user reads when a rule of the identity policy or a service stops the run: the whole
# line, word for word, with the datastore, the identity, the role, and the exit status.
# bats file_tags=root

load helpers
load lib/jobs

setup_file() {
	jobs_begin \
	    --account name=foreign,tenant=99999999-0000-4000-8000-000000000009 --container foreign/data \
	    --account name=closed,network=deny --container closed/data
	echo hello >"$BATS_FILE_TMPDIR/hello.txt"
	azsim_put data/in "$BATS_FILE_TMPDIR/hello.txt"
	AZSIM_TO=$AZSIM_HNS_ACCOUNT azsim_put data/in "$BATS_FILE_TMPDIR/hello.txt"
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

use_account() {
	STORE_ACCOUNT=$1 STORE_ENDPOINT=https://$STORE_HOST/$1
}

reads() { # [MODE]
	job_write <<-END
		command: cat \${{inputs.data}}/hello.txt
		inputs:
		  data: {type: uri_folder, path: azureml://datastores/store/paths/in/, mode: ${1:-ro_mount}}
	END
}

writes() { # MODE
	job_write <<-END
		command: echo hi >\${{outputs.model}}/hi
		outputs:
		  model: {type: uri_folder, path: azureml://datastores/store/paths/out/, mode: $1}
	END
}

# stderr, but for the ids of requests.
without_request() {
	sed 's/\[request [0-9a-f-]*\]/[request ID]/' "$BATS_TEST_TMPDIR/err"
}

# ends STATUS LINE [STDOUT]: as PID 1 and not; the line is all that stderr has.
ends() {
	local how
	for how in pid1 plain; do
		job_run "$1" $how
		assert_equal "$(without_request)" "$2"
		assert_equal "$out" "${3-}"
		job_left_nothing
	done
}

managed="managed identity $SECOND_ID (named by the job) (object id $SECOND_OID)"
outsider="user-assigned identity $OUTSIDER_ID of the compute (object id $OUTSIDER_OID)"
mismatch="403 AuthorizationPermissionMismatch: This request is not authorized to perform this operation using this permission. [request ID]"

@test "policy errors: storage of another tenant" {
	job_as managed
	use_account foreign
	reads
	ends 122 "amlshim[init] error cannot list $STORE_ENDPOINT/data (datastore store) as $managed: 401 InvalidAuthenticationInfo: the account is of tenant 99999999-0000-4000-8000-000000000009, the token of $AZSIM_TENANT [request ID]; use storage in the identity's own Entra tenant: $STORE_ENDPOINT/data (datastore store) trusts another tenant than the one of $managed, and cross-tenant access is not supported"
	reads download
	ends 122 "amlshim[init] error cannot list $STORE_ENDPOINT/data (datastore store) as $managed: 401 InvalidAuthenticationInfo: the account is of tenant 99999999-0000-4000-8000-000000000009, the token of $AZSIM_TENANT [request ID]; use storage in the identity's own Entra tenant: $STORE_ENDPOINT/data (datastore store) trusts another tenant than the one of $managed, and cross-tenant access is not supported"
}

@test "policy errors: a compute with both kinds of identity" {
	job_as managed
	printf 'name: cluster\ntype: amlcompute\nidentity:\n  type: system_assigned,user_assigned\n  user_assigned_identities:\n    - client_id: %s\n' \
	    "$SECOND_ID" >"$BATS_TEST_TMPDIR/compute.yml"
	job_flags=(--compute "$BATS_TEST_TMPDIR/compute.yml")
	reads
	job_run 2 plain
	assert_equal "$(wc -l <<<"$err")" 1
	assert_in "$err" "a compute has one system-assigned identity or user-assigned ones, never both"
	assert_in "$err" "$BATS_TEST_TMPDIR/compute.yml:"
	assert_in "$err" "give the compute either a system-assigned or user-assigned identities"
	ends 2 "$err"
}

@test "policy errors: no data role to read" {
	local mode
	job_as outsider
	for mode in ro_mount download; do
		reads $mode
		ends 122 "amlshim[init] error cannot list $STORE_ENDPOINT/data (datastore store) as $outsider: $mismatch; give $outsider the role \"Storage Blob Data Reader\" on $STORE_ENDPOINT/data (a new assignment needs up to 10 minutes)"
	done
}

@test "policy errors: no data role to write" {
	local mode
	job_as outsider
	for mode in rw_mount upload; do
		writes $mode
		ends 122 "amlshim[init] error cannot list $STORE_ENDPOINT/data (datastore store) as $outsider: $mismatch; give $outsider the role \"Storage Blob Data Contributor\" on $STORE_ENDPOINT/data (a new assignment needs up to 10 minutes)"
	done
}

@test "policy errors: a reader's role where the job writes" {
	job_as reader
	writes upload
	job_run 123 plain
	assert_in "$err" "as user-assigned identity $READER_ID of the compute (object id $READER_OID): 403 AuthorizationPermissionMismatch"
	assert_in "$err" "give user-assigned identity $READER_ID of the compute (object id $READER_OID) the role \"Storage Blob Data Contributor\" on $STORE_ENDPOINT/data ("
}

@test "policy errors: neither role nor access control list" {
	store_use lake
	job_as outsider
	reads
	ends 122 "amlshim[init] error cannot list $STORE_ENDPOINT/data (datastore store) as $outsider: $mismatch; give $outsider the role \"Storage Blob Data Reader\" on $STORE_ENDPOINT/data (a new assignment needs up to 10 minutes), or by access control lists r-x on the path and --x on each directory above it (az storage fs access set)"
}

@test "policy errors: network rules" {
	job_as managed
	use_account closed
	reads
	ends 122 "amlshim[init] error cannot list $STORE_ENDPOINT/data (datastore store) as $managed: 403 AuthorizationFailure: This request is not authorized to perform this operation. [request ID]; allow the compute's network in the firewall of $STORE_ENDPOINT/data (datastore store) (az storage account network-rule add), or reach it by a private endpoint in the compute's network"
}

@test "policy errors: a user's own missing role names the user" {
	job_as user
	reads
	azsim_roles_off oid="$USER_OID"
	job_run 122 plain
	azsim_role oid="$USER_OID" role=contributor
	assert_equal "$(wc -l <<<"$err")" 1
	assert_in "$err" "cannot list $STORE_ENDPOINT/data (datastore store) as the submitting user (OBO_ENDPOINT) (object id $USER_OID): 403"
	assert_in "$err" "give the submitting user (OBO_ENDPOINT) (object id $USER_OID) the role \"Storage Blob Data Reader\""
}

@test "policy errors: user identity without its endpoint" {
	job_as user
	job_env=("MSI_ENDPOINT=http://127.0.0.1:$AZSIM_PORT/MSI/auth" "MSI_SECRET=$AZSIM_SECRET"
	    "DEFAULT_IDENTITY_CLIENT_ID=$FIRST_ID")
	reads
	azsim_forget
	job_run 121 plain
	assert_equal "$(wc -l <<<"$err")" 1
	assert_in "$err" "job.yml:"
	assert_in "$err" "there is no on-behalf-of endpoint here (OBO_ENDPOINT is not set), and the compute's identity must not stand in; submit the job to a compute that offers the on-behalf-of endpoint"
	ends 121 "$err"
	azsim_assert 0
}

@test "policy errors: user identity, and credentials stored with the datastore: they are used, with a warning" {
	job_as user
	job_credentials="credentials: {account_key: \"$STORE_KEY\"}"
	reads
	azsim_forget
	ends 0 "amlshim warning datastore store: the job asks for user_identity, but the datastore has stored credentials: they are used, and the user's own rights do not count" hello
	azsim_assert 0 service=blob auth=bearer
}

@test "policy errors: an identity at the root of a pipeline has no effect on its steps, and is said to have none" {
	job_as managed
	job_identity=''
	job_env+=("DEFAULT_IDENTITY_CLIENT_ID=$FIRST_ID")
	job_write <<-END
		type: pipeline
		identity: {type: user_identity}
		jobs:
		  one:
		    type: command
		    command: cat \${{inputs.data}}/hello.txt
		    inputs:
		      data: {type: uri_folder, path: azureml://datastores/store/paths/in/}
		  other:
		    type: pipeline
		    jobs:
		      leaf: {type: command, command: "true"}
	END
	job_flags+=(--step one)
	azsim_forget
	ends 0 "amlshim warning identity user_identity at the root of the pipeline ($JOB/job.yml:2) has no effect on step one: set identity on the step itself" hello
	azsim_assert 0 op=OboToken
	[ "$(azsim_count service=blob "oid=$FIRST_OID")" -gt 0 ]
	azsim_assert 0 service=blob "oid=$USER_OID"
}

@test "policy errors: a named identity that the compute lacks: those it has are listed" {
	job_as managed
	job_flags=(--compute "$FIRST_ID")
	reads
	job_run 2 plain
	assert_equal "$(wc -l <<<"$err")" 1
	assert_in "$err" "the compute has no identity $SECOND_ID; it has $FIRST_ID"
	assert_in "$err" "name an identity that the compute has"
}
