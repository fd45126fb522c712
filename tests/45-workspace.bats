#!/usr/bin/env bats
# What no file describes: datastores and data assets of the workspace, their secrets, and secrets in
# a Key Vault; fetched as the right identity, renewed in time, never shown.
# bats file_tags=root

load helpers
load lib/jobs

SUB=5ab5c21b-0000-4000-8000-000000000000
APP_ID=ffffffff-0000-4000-8000-00000000000f

setup_file() {
	local oid words=()
	for oid in $SYSTEM_OID $FIRST_OID $SECOND_OID $USER_OID; do
		words+=(--grant "oid=$oid,role=data-scientist,in=ws")
	done
	for oid in $SYSTEM_OID $FIRST_OID; do
		words+=(--grant "oid=$oid,role=secrets-user,in=kv" --grant "oid=$oid,role=secrets-user,in=evil")
	done
	openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=app -keyout "$BATS_FILE_TMPDIR/app.pem" \
	    -out "$BATS_FILE_TMPDIR/cert.pem" 2>/dev/null
	cat "$BATS_FILE_TMPDIR/cert.pem" >>"$BATS_FILE_TMPDIR/app.pem"
	jobs_begin --app "client_id=$APP_ID,oid=$SECOND_OID,secret=open~sesame+/1,cert=$BATS_FILE_TMPDIR/cert.pem" \
	    --workspace "subscription=$SUB,group=rg,name=ws" --vault name=kv \
	    --vault name=evil,resource=https://management.azure.com \
	    --account name=other --container other/data "${words[@]}"
	echo hello >"$BATS_FILE_TMPDIR/hello.txt"
	azsim_put data/in "$BATS_FILE_TMPDIR/hello.txt"
	AZSIM_TO=$AZSIM_HNS_ACCOUNT azsim_put data/in "$BATS_FILE_TMPDIR/hello.txt"
	plane datastore in=ws name=plain type=AzureBlob "account=$AZSIM_ACCOUNT" container=data \
	    "endpoint=localhost:$AZSIM_HTTPS_PORT" credential=None
	plane datastore in=ws name=lake type=AzureDataLakeGen2 "account=$AZSIM_HNS_ACCOUNT" container=data \
	    "endpoint=localhost:$AZSIM_HTTPS_PORT" credential=None
	plane datastore in=ws name=keyed type=AzureBlob "account=$AZSIM_ACCOUNT" container=data \
	    "endpoint=localhost:$AZSIM_HTTPS_PORT" credential=AccountKey default=1
	plane asset in=ws name=iris version=1 type=uri_folder \
	    "uri=azureml://subscriptions/$SUB/resourcegroups/rg/workspaces/ws/datastores/plain/paths/in/"
	plane asset in=ws name=iris version=2 type=uri_file \
	    "uri=azureml://subscriptions/$SUB/resourcegroups/rg/workspaces/ws/datastores/lake/paths/in/hello.txt"
}

teardown_file() {
	jobs_end
}

setup() {
	requires_fuse
	store_use azsim
}

teardown() {
	azsim_knob sas_lifetime_s=0
	azsim_account "name=$AZSIM_ACCOUNT" "key=$AZSIM_KEY"
	jobs_cleanup
}

plane() { # KIND WORD=VALUE...
	local kind=$1
	shift
	azsim_ctl POST "/_azsim/plane$(azsim_query "kind=$kind" "$@")" >/dev/null
}

# A job without any datastore's file, in the environment of the workspace.
here() { # WHO
	job_as "$1"
	job_env+=("AZUREML_ARM_SUBSCRIPTION=$SUB" AZUREML_ARM_RESOURCEGROUP=rg AZUREML_ARM_WORKSPACE_NAME=ws
	    "AMLSHIM_ARM_ENDPOINT=https://localhost:$AZSIM_HTTPS_PORT")
}

write() {
	job_write
	job_store=()
}

read_job() { # DATASTORE
	write <<-END
		name: reads
		command: cat \${{inputs.data}}/hello.txt
		inputs:
		  data: {type: uri_folder, path: azureml://datastores/$1/paths/in/}
	END
}

# ---- the judges are strict

table() { # rows on stdin: tests/azsim/table.mjs
	HTTP=127.0.0.1:$AZSIM_PORT HTTPS=localhost:$AZSIM_HTTPS_PORT store_node "$BATS_TEST_DIRNAME/azsim/table.mjs"
}

arm_token() { # OID [WORD=VALUE...]
	local oid=$1
	shift
	azsim_token "oid=$oid" aud=https://management.azure.com "$@"
}

@test "azsim: Resource Manager wants https, a version, its own tokens, and a role for each action" {
	local base=/subscriptions/$SUB/resourceGroups/rg/providers/Microsoft.MachineLearningServices/workspaces/ws
	export GOOD STORAGE OLD TENANT READER NOBODY
	GOOD=$(arm_token "$FIRST_OID") OLD=$(arm_token "$FIRST_OID" exp=-10)
	TENANT=$(arm_token "$FIRST_OID" tid=11111111-2222-4333-8444-555555555555)
	STORAGE=$(azsim_token "oid=$FIRST_OID") NOBODY=$(arm_token "$OUTSIDER_OID")
	READER=$(arm_token "$READER_OID")
	plane grant "oid=$READER_OID" role=reader in=ws
	table <<-END
		200 * GET $base/datastores/plain?api-version=2024-10-01 token=GOOD >body:"credentialsType":"None"
		200 * GET $base/datastores/keyed?api-version=2024-10-01 token=READER >body:"credentialsType":"AccountKey"
		200 * GET $base/datastores?api-version=2024-10-01&isDefault=true&count=1 token=READER >body:"name":"keyed"
		400 * GET $base/datastores/plain token=GOOD >body:MissingApiVersionParameter
		400 * GET $base/datastores/plain?api-version=1999-01-01 token=GOOD >body:NoRegisteredProviderFound
		400 * GET $base/datastores/plain?api-version=2024-10-01 token=GOOD http
		401 * GET $base/datastores/plain?api-version=2024-10-01 >body:AuthenticationFailed >www-authenticate:authorization_uri
		401 * GET $base/datastores/plain?api-version=2024-10-01 token=STORAGE >body:InvalidAuthenticationTokenAudience
		401 * GET $base/datastores/plain?api-version=2024-10-01 token=OLD >body:ExpiredAuthenticationToken
		401 * GET $base/datastores/plain?api-version=2024-10-01 token=TENANT >body:InvalidAuthenticationTokenTenant
		403 * GET $base/datastores/plain?api-version=2024-10-01 token=NOBODY >body:$OUTSIDER_OID
		403 * POST $base/datastores/keyed/listSecrets?api-version=2024-10-01 token=READER >body:listSecrets/action
		404 * GET $base/datastores/none?api-version=2024-10-01 token=GOOD >body:UserError
		403 * GET ${base}2/datastores/plain?api-version=2024-10-01 token=GOOD >body:AuthorizationFailed
		405 * GET $base/datastores/keyed/listSecrets?api-version=2024-10-01 token=GOOD
		200 * POST $base/datastores/keyed/listSecrets?api-version=2024-10-01 token=GOOD >body:"secretsType":"AccountKey"
		200 * POST $base/datastores/keyed/listSecrets?api-version=2024-10-01 token=GOOD content-type:application/json body={"expirableSecret":true,"expireAfterHours":1} >body:"secretsType":"Sas"
		400 * POST $base/datastores/keyed/listSecrets?api-version=2024-10-01 token=GOOD content-type:application/json body={"expirableSecret":true,"expireAfterHours":0}
		415 * POST $base/datastores/keyed/listSecrets?api-version=2024-10-01 token=GOOD content-type:text/plain body={}
		400 * POST $base/datastores/keyed/listSecrets?api-version=2024-04-01 token=GOOD content-type:application/json body={"expirableSecret":true}
		400 * POST $base/datastores/plain/listSecrets?api-version=2024-10-01 token=GOOD >body:no+secrets
		404 * GET $base/data/iris/versions/9?api-version=2024-10-01 token=GOOD
	END
	azsim_ctl DELETE "/_azsim/plane?oid=$READER_OID" >/dev/null
	azsim_account "name=$AZSIM_ACCOUNT" shared_key=off
	table <<<"200 * GET $base/datastores/keyed?api-version=2024-10-01 token=GOOD >body:\"credentialsType\":\"None\""
	azsim_account "name=$AZSIM_ACCOUNT" shared_key=on
}

@test "azsim: Key Vault wants https, a version, tokens for vaults, and the role" {
	local host=kv.vault.localhost:$AZSIM_HTTPS_PORT
	export GOOD STORAGE NOBODY
	GOOD=$(azsim_token "oid=$FIRST_OID" aud=https://vault.localhost) STORAGE=$(azsim_token "oid=$FIRST_OID")
	NOBODY=$(azsim_token "oid=$OUTSIDER_OID" aud=https://vault.localhost)
	plane secret in=kv name=word version=1 value=one
	plane secret in=kv name=word version=2 value=two exp=100
	table <<-END
		401 * GET /secrets/word?api-version=7.4 host=$host >www-authenticate:resource="https://vault.localhost" >body:AKV10000
		401 * GET /secrets/word?api-version=7.4 host=$host token=STORAGE >www-authenticate:Bearer+authorization=
		403 * GET /secrets/word?api-version=7.4 host=$host token=NOBODY >body:ForbiddenByRbac
		400 * GET /secrets/word host=$host token=GOOD >body:BadParameter
		400 * GET /secrets/word?api-version=6.0 host=$host token=GOOD
		400 * GET /secrets/word?api-version=7.4 host=$host token=GOOD http
		200 * GET /secrets/word?api-version=7.4 host=$host token=GOOD >body:"value":"two" >body:"exp":
		200 * GET /secrets/word/?api-version=7.4 host=$host token=GOOD >body:"value":"two"
		200 * GET /secrets/word/1?api-version=7.4 host=$host token=GOOD >body:"value":"one"
		404 * GET /secrets/none?api-version=7.4 host=$host token=GOOD >body:SecretNotFound
	END
}

# ---- names

@test "workspace: a job without any datastore file: two datastores, an asset, the default output" {
	local how
	here fallback
	for how in pid1 plain; do
		write <<-END
			name: whole-$how
			command: cat \${{inputs.a}}/hello.txt \${{inputs.b}} \${{inputs.c}}/hello.txt && echo out >\${{outputs.o}}/o.txt
			inputs:
			  a: {type: uri_folder, path: azureml://datastores/plain/paths/in/}
			  b: {type: uri_file, path: "azureml:iris@latest", mode: download}
			  c: {type: uri_folder, path: "azureml:iris:1"}
			outputs:
			  o: {type: uri_folder}
		END
		azsim_forget
		job_run 0 $how
		assert_equal "$out" $'hello\nhello\nhello'
		silent
		job_left_nothing
		assert_equal "$(azsim_get "data/azureml/whole-$how/o/o.txt")" out
		azsim_assert + op=ArmGetDatastore "oid=$FIRST_OID"
		azsim_assert 1 op=ArmListDatastores
		azsim_assert 1 op=ArmGetDataVersion
		azsim_assert 1 op=ArmListDataVersions
		azsim_assert 1 op=ArmListSecrets "oid=$FIRST_OID"
	done
}

@test "workspace: the resolver's spans are in the trace, and nowhere else" {
	here fallback
	read_job plain
	job_run 0 plain --trace "$BATS_TEST_TMPDIR/trace"
	assert_equal "$out" hello
	python3 - "$BATS_TEST_TMPDIR/trace" <<-'END'
		import json, sys
		events = json.load(open(sys.argv[1]))
		pids = {e["pid"] for e in events if e["ph"] == "M" and e["args"]["name"] == "amlshim:resolver"}
		assert len(pids) == 1
		found = {e["cat"] for e in events if e["ph"] in ("X", "b") and e["pid"] in pids}
		assert found >= {"token", "http"}, found
	END
}

@test "workspace: long names say which workspace; --workspace in place of the environment" {
	here fallback
	job_env=("${job_env[@]/AZUREML_ARM_*/X=1}")
	write <<-END
		command: cat \${{inputs.data}}/hello.txt \${{inputs.asset}}/hello.txt
		inputs:
		  data: {type: uri_folder, path: "azureml://subscriptions/$SUB/resourcegroups/rg/workspaces/ws/datastores/plain/paths/in/"}
		  asset: {type: uri_folder, path: "azureml:/subscriptions/$SUB/resourceGroups/rg/providers/Microsoft.MachineLearningServices/workspaces/ws/data/iris/versions/1"}
	END
	job_run 0 plain
	assert_equal "$out" $'hello\nhello'
	read_job plain
	job_run 2 plain
	assert_in "$err" "--workspace"
	job_run 0 plain --workspace "$SUB/rg/ws"
	assert_equal "$out" hello
}

@test "workspace: nothing is asked when files describe all, nor of plan and --dry-run; --resolve asks" {
	here fallback
	read_job plain
	azsim_forget
	job_run 2 plain --dry-run
	assert_in "$err" "--resolve"
	azsim_assert 0 service=arm
	azsim_assert 0 op=AmlToken
	job_run 0 plain --dry-run --resolve
	assert_in "$(tr -s ' \n' '  ' <<<"$out")" "resolved from workspace ws as managed identity $FIRST_ID"
	azsim_assert 1 service=arm
	azsim_assert 0 service=blob
	job_run 0 plain --dry-run --resolve --json
	assert_in "$out" '"rule": "resolved"'
	job_write <<-END
		command: "true"
		inputs:
		  data: {type: uri_folder, path: azureml://datastores/store/paths/in/}
	END
	azsim_forget
	job_run 0 plain
	azsim_assert 0 service=arm
}

@test "workspace: user identity asks as the user, for the secret as well" {
	here user
	azsim_forget
	read_job keyed
	job_run 0 plain
	assert_equal "$out" hello
	assert_in "$err" "credentials"
	azsim_assert 2 service=arm
	azsim_assert 2 service=arm "oid=$USER_OID"
	azsim_assert 0 op=AmlToken
}

@test "workspace: a name that is not there, another workspace, a garbled answer" {
	here fallback
	read_job nowhere
	job_run 120 plain
	assert_in "$err" "Could not find datastore: nowhere"
	assert_in "$err" "az ml datastore list"
	job_run 122 plain --workspace "$SUB/rg/none"
	assert_in "$err" AuthorizationFailed
	read_job plain
	for body in '{' '{"name":"plain","properties":{"datastoreType":"AzureBlob","accountName":"../x","containerName":"data"}}' \
	    '{"name":"other","properties":{"datastoreType":"AzureBlob","accountName":"acct","containerName":"data"}}'; do
		azsim_fault op=Arm status=200 type=application/json "body=$body" count=1
		job_run 125 plain
		azsim_faults_off
	done
}

@test "workspace: a token of another tenant" {
	here fallback
	read_job plain
	azsim_fault op=Arm status=401 type=application/json 'body={"error":{"code":"InvalidAuthenticationTokenTenant","message":"The access token is from the wrong issuer."}}'
	job_run 122 plain
	azsim_faults_off
	assert_in "$err" "InvalidAuthenticationTokenTenant: The access token is from the wrong issuer."
	assert_in "$err" "exists in the tenant and the cloud of managed identity $FIRST_ID"
}

@test "workspace: without the right to read, or to list secrets, object id and action are named" {
	here outsider
	read_job plain
	job_run 122 plain
	assert_in "$err" "object id $OUTSIDER_OID may not perform Microsoft.MachineLearningServices/workspaces/datastores/read"
	assert_in "$err" "as user-assigned identity $OUTSIDER_ID"
	plane grant "oid=$OUTSIDER_OID" role=reader in=ws
	read_job keyed
	job_run 122 plain
	assert_in "$err" "object id $OUTSIDER_OID may not perform Microsoft.MachineLearningServices/workspaces/datastores/listSecrets/action"
	assert_in "$err" "AzureML Data Scientist"
	azsim_ctl DELETE "/_azsim/plane?oid=$OUTSIDER_OID" >/dev/null
}

@test "workspace: all names are asked for at once" {
	local i began
	here fallback
	{
		echo 'command: "true"'
		echo 'inputs:'
		for i in 1 2 3 4 5 6 7 8; do
			plane datastore in=ws "name=many$i" type=AzureBlob "account=$AZSIM_ACCOUNT" container=data \
			    "endpoint=localhost:$AZSIM_HTTPS_PORT" credential=None
			echo "  i$i: {type: uri_folder, path: azureml://datastores/many$i/paths/in/}"
		done
	} >"$BATS_TEST_TMPDIR/many.yml"
	write <"$BATS_TEST_TMPDIR/many.yml"
	azsim_fault op=Arm delay=3000
	azsim_forget
	began=$SECONDS
	job_run 0 plain --dry-run --resolve
	[ $((SECONDS - began)) -lt 20 ]
	azsim_assert 8 service=arm
	azsim_assert 1 op=AmlToken
}

@test "workspace: throttled, it is asked again" {
	here fallback
	read_job plain
	azsim_fault op=Arm status=429 retry_after=1 count=1
	job_run 0 plain
	assert_equal "$out" hello
}

@test "workspace: a stop signal, and the start timeout, end the asking" {
	local how pid
	here fallback
	read_job plain
	for how in pid1 plain; do
		azsim_fault op=Arm delay=30000
		azsim_forget
		job_start $how
		wait_for 30 asking
		for pid in "$job_pid" "$(pgrep -P "$job_pid")"; do
			refute grep -qF "$AZSIM_SECRET" "/proc/$pid/environ"
		done
		kill -TERM "$job_pid"
		LIMIT=25 job_end 143
		job_left_nothing
		azsim_faults_off
	done
	azsim_fault op=Arm delay=30000
	LIMIT=25 job_run 120 plain --start-timeout 2s
	assert_in "$err" "no answer in the time given"
	job_left_nothing
	azsim_forget
	job_start plain
	wait_for 30 asking
	kill -KILL "$(pgrep -P "$job_pid")"
	LIMIT=20 job_end 125
	assert_in "$err" "the resolver ended by signal 9"
	job_left_nothing
}

# Its resolver runs, and has its token.
asking() {
	[ "$(azsim_count op=AmlToken)" -ge 1 ] && [ "$(cat "/proc/$(pgrep -P "$job_pid")/comm")" = amlshim:resolve ]
}

# ---- secrets of the workspace

# Reads its file until told to stop; fails at the first failure.
reading_job() { # DATASTORE
	local i
	for i in 1 2 3; do
		head -c 300000 /dev/urandom >"$BATS_TEST_TMPDIR/big$i"
	done
	azsim_put "data/$BATS_TEST_NUMBER" "$BATS_TEST_TMPDIR"/big?
	write <<-END
		command: 'n=0; until [ -e $BATS_TEST_TMPDIR/enough ]; do n=\$((n+1)); echo $BATS_TEST_NUMBER-\$n >\${{outputs.o}}/\$n.txt || exit 3; cat \${{inputs.data}}/* >/dev/null || exit 4; sleep 0.2; done; echo done'
		inputs:
		  data: {type: uri_folder, path: azureml://datastores/$1/paths/$BATS_TEST_NUMBER/}
		outputs:
		  o: {type: uri_folder, path: azureml://datastores/$1/paths/out/$BATS_TEST_NUMBER/}
	END
}

secrets_asked() { # AT LEAST
	[ "$(azsim_count op=ArmListSecrets status=200)" -ge "$1" ]
}

written() { # AT LEAST
	[ "$(azsim_count op=PutBlob status=201)" -ge "$1" ]
}

@test "workspace: a short-lived SAS is renewed while the job runs" {
	here fallback
	reading_job keyed
	azsim_knob sas_lifetime_s=14
	azsim_forget
	job_start plain
	wait_for 120 secrets_asked 3
	touch "$BATS_TEST_TMPDIR/enough"
	job_end 0
	assert_equal "$out" "done"
	silent
	azsim_assert 0 auth=sharedkey
	azsim_assert + auth=service-sas
	azsim_assert 0 status=403
}

@test "workspace: the account's key is rotated in mid-job" {
	local new
	here fallback
	reading_job keyed
	azsim_forget
	job_start plain
	wait_for 60 written 3
	new=$(openssl rand -base64 64 | tr -d '\n')
	azsim_account "name=$AZSIM_ACCOUNT" "key=$new"
	wait_for 60 secrets_asked 2
	azsim_forget
	wait_for 60 written 2
	touch "$BATS_TEST_TMPDIR/enough"
	job_end 0
	assert_equal "$out" "done"
}

@test "workspace: an api-version before expirable secrets gives the key, which works too" {
	here fallback
	job_env+=(AMLSHIM_ARM_API_VERSION=2024-04-01)
	azsim_forget
	read_job keyed
	job_run 0 plain
	assert_equal "$out" hello
	azsim_assert + auth=sharedkey
	job_env+=(AMLSHIM_ARM_API_VERSION=1999-01-01)
	job_run 125 plain
	assert_in "$err" NoRegisteredProviderFound
}

principal() { # WORD=VALUE...: a Gen2 datastore of the workspace, opened by an application
	plane datastore in=ws name=principal type=AzureDataLakeGen2 "account=$AZSIM_HNS_ACCOUNT" container=data \
	    "endpoint=localhost:$AZSIM_HTTPS_PORT" "tenant=$AZSIM_TENANT" "client=$APP_ID" \
	    "authority=https://localhost:$AZSIM_HTTPS_PORT" "$@"
}

@test "workspace: a service principal, by secret and by certificate" {
	local thumbprint
	here fallback
	read_job principal
	principal credential=ServicePrincipal secret=open~sesame+/1
	azsim_forget
	job_run 0 plain
	assert_equal "$out" hello
	azsim_assert + service=blob "oid=$SECOND_OID"
	azsim_assert 1 op=ArmListSecrets "oid=$FIRST_OID"
	principal credential=ServicePrincipal secret=wrong
	job_run 121 plain
	assert_in "$err" "of datastore principal (kept in workspace ws)"
	refute_in "$err" wrong
	thumbprint=$(openssl x509 -in "$BATS_FILE_TMPDIR/cert.pem" -noout -fingerprint -sha1)
	thumbprint=${thumbprint##*=}
	principal credential=Certificate "thumbprint=${thumbprint//:/}" "secret=$(cat "$BATS_FILE_TMPDIR/app.pem")"
	job_run 0 plain
	assert_equal "$out" hello
}

# ---- Key Vault

vault_job() { # REFERENCE [HOST]
	job_credentials="credentials: {account_key: {key_vault_secret: \"https://${2:-kv}.vault.localhost:$AZSIM_HTTPS_PORT/secrets/$1\"}}"
	job_write <<-END
		name: reads
		command: cat \${{inputs.data}}/hello.txt
		inputs:
		  data: {type: uri_folder, path: azureml://datastores/store/paths/in/}
	END
}

@test "key vault: the account key stands there, with and without version" {
	local how
	plane secret in=kv name=key version=1 "value=$STORE_KEY"
	job_as fallback
	for how in pid1 plain; do
		azsim_forget
		vault_job key
		job_run 0 $how
		assert_equal "$out" hello
		assert_in "$err" "secret of datastore store stands in https://kv.vault.localhost"
		azsim_assert 1 op=VaultGetSecret status=401 auth=anonymous
		azsim_assert 1 op=VaultGetSecret status=200 "oid=$FIRST_OID"
		job_left_nothing
	done
	vault_job key/1
	job_run 0 plain
	vault_job key/2
	job_run 120 plain
	assert_in "$err" SecretNotFound
	assert_in "$err" "az keyvault secret list"
}

@test "key vault: the doctor reads the secret, and names the vault's refusal" {
	local word words=()
	plane secret in=kv name=key version=1 "value=$STORE_KEY"
	job_as fallback
	vault_job key
	job_command plain
	for word in "${job_words[@]}"; do
		words+=("$word")
		[ "$word" != "$AMLSHIM" ] || words+=(doctor)
	done
	run_status 0 "${words[@]}"
	assert_in "$out" "lists https://"
	refute_in "$output" "$STORE_KEY"
	azsim_assert + op=ListBlobs status=200
	vault_job nothing
	run_status 120 "${words[@]}"
	assert_in "$out" SecretNotFound
	assert_in "$out" "there is no credential"
}

@test "key vault: under user identity it is read as the compute, and the plan warns" {
	plane secret in=kv name=key version=1 "value=$STORE_KEY"
	job_as user
	job_env+=("MSI_ENDPOINT=http://127.0.0.1:$AZSIM_PORT/MSI/auth" "MSI_SECRET=$AZSIM_SECRET"
	    "DEFAULT_IDENTITY_CLIENT_ID=$FIRST_ID")
	vault_job key
	azsim_forget
	job_run 0 plain
	assert_equal "$out" hello
	assert_in "$err" "although the job runs as its submitter"
	azsim_assert 1 op=VaultGetSecret "oid=$FIRST_OID"
	azsim_assert 0 op=VaultGetSecret "oid=$USER_OID"
}

@test "key vault: no role, firewall, disabled: told apart" {
	plane secret in=kv name=key version=1 "value=$STORE_KEY"
	job_as outsider
	vault_job key
	job_run 122 plain
	assert_in "$err" ForbiddenByRbac
	assert_in "$err" "Key Vault Secrets User"
	assert_in "$err" "as user-assigned identity $OUTSIDER_ID"
	job_as fallback
	plane secret in=kv name=off version=1 "value=$STORE_KEY" enabled=0
	vault_job off
	job_run 122 plain
	assert_in "$err" SecretDisabled
	assert_in "$err" "--enabled true"
	plane vault name=kv network=deny
	vault_job key
	job_run 122 plain
	assert_in "$err" ForbiddenByFirewall
	assert_in "$err" "az keyvault network-rule add"
	plane vault name=kv
	plane secret in=kv name=odd version=1 value=not-a-key
	vault_job odd
	job_run 2 plain
	assert_in "$err" "base64 text of an account key"
	refute_in "$err" not-a-key
}

@test "key vault: a token that the vault does not take is no missing role" {
	plane secret in=kv name=key version=1 "value=$STORE_KEY"
	job_as fallback
	vault_job key
	azsim_fault op=VaultGetSecret skip=1 status=401 type=application/json 'body={"error":{"code":"Unauthorized","message":"AKV10032: Invalid issuer."}}'
	job_run 122 plain
	azsim_faults_off
	assert_in "$err" "Unauthorized: AKV10032: Invalid issuer."
	assert_in "$err" "exists in the tenant and the cloud of"
	refute_in "$err" "Key Vault Secrets User"
}

@test "key vault: a challenge for somebody else's tokens is refused, no token is asked for" {
	plane secret in=evil name=key version=1 "value=$STORE_KEY"
	job_as fallback
	azsim_forget
	vault_job key evil
	job_run 122 plain
	assert_in "$err" "https://management.azure.com, which is no parent of its own name"
	azsim_assert 0 op=VaultGetSecret auth=bearer
	azsim_assert 0 op=AmlToken
}

@test "key vault: a secret that is refused in mid-job was rotated, and is read again" {
	local new
	plane secret in=kv name=key version=1 "value=$STORE_KEY"
	job_as fallback
	job_credentials="credentials: {account_key: {key_vault_secret: \"https://kv.vault.localhost:$AZSIM_HTTPS_PORT/secrets/key\"}}"
	reading_job store
	job_datastore >"$JOB/store.yml"
	job_store=(--datastore "$JOB/store.yml")
	azsim_forget
	job_start plain
	wait_for 60 written 3
	new=$(openssl rand -base64 64 | tr -d '\n')
	plane secret in=kv name=key version=2 "value=$new"
	azsim_account "name=$AZSIM_ACCOUNT" "key=$new"
	wait_for 60 vault_read 2
	azsim_forget
	wait_for 60 written 2
	touch "$BATS_TEST_TMPDIR/enough"
	job_end 0
	assert_equal "$out" "done"
}

# One sign-in in four seconds: the next one after the change is refused, and the vault is read again.
@test "key vault: a client's secret is rotated in mid-job" {
	local url=https://kv.vault.localhost:$AZSIM_HTTPS_PORT/secrets/client
	plane secret in=kv name=client version=1 'value=open~sesame+/1'
	job_as fallback
	job_credentials="credentials: {tenant_id: $AZSIM_TENANT, client_id: $APP_ID, client_secret: {key_vault_secret: \"$url\"}, authority_url: 'https://localhost:$AZSIM_HTTPS_PORT'}"
	reading_job store
	job_datastore >"$JOB/store.yml"
	job_store=(--datastore "$JOB/store.yml")
	azsim_knob token_lifetime_s=8
	azsim_forget
	job_start plain
	wait_for 60 written 2
	plane secret in=kv name=client version=2 'value=open~sesame+/2'
	azsim_app "client_id=$APP_ID" 'secret=open~sesame+/2'
	wait_for 60 vault_read 2
	azsim_forget
	wait_for 60 written 2
	touch "$BATS_TEST_TMPDIR/enough"
	job_end 0
	azsim_knob token_lifetime_s=0
	azsim_app "client_id=$APP_ID" 'secret=open~sesame+/1'
	assert_equal "$out" "done"
}

vault_read() { # AT LEAST
	[ "$(azsim_count op=VaultGetSecret status=200)" -ge "$1" ]
}

@test "key vault: a SAS there is read again before it expires" {
	local next
	job_as fallback
	next=$(store_blob sas account rwdlac 3600)
	job_credentials="credentials: {sas_token: {key_vault_secret: \"https://kv.vault.localhost:$AZSIM_HTTPS_PORT/secrets/sas\"}}"
	reading_job store
	job_datastore >"$JOB/store.yml"
	job_store=(--datastore "$JOB/store.yml")
	plane secret in=kv name=sas version=1 "value=?$(store_blob sas account rwdlac 16)"
	azsim_forget
	job_start plain
	wait_for 30 written 1
	plane secret in=kv name=sas version=2 "value=$next"
	wait_for 60 vault_read 2
	azsim_forget
	wait_for 60 written 3
	touch "$BATS_TEST_TMPDIR/enough"
	job_end 0
	assert_equal "$out" "done"
}

@test "key vault: the official client reads it with a token of the broker" {
	plane secret in=kv name=word version=1 value=sesame
	job_as fallback
	write <<-END
		command: node $BATS_TEST_DIRNAME/sdk/vault.mjs get https://kv.vault.localhost:$AZSIM_HTTPS_PORT word
	END
	job_run 0 plain
	assert_equal "$out" sesame
	write <<-END
		command: node $BATS_TEST_DIRNAME/sdk/vault.mjs get https://evil.vault.localhost:$AZSIM_HTTPS_PORT word
	END
	job_run 1 plain
	assert_in "$err" "does not match the requested domain"
}

# ---- no secret anywhere

@test "secrets: those that were fetched show neither in /proc nor in logs" {
	local how
	plane secret in=kv name=key version=1 "value=$STORE_KEY"
	printf '%s\n' "$STORE_KEY" "$AZSIM_SECRET" eyJ sig=A sig=a "spr=https&se" >"$BATS_TEST_TMPDIR/needles"
	job_spy_script "$BATS_TEST_TMPDIR/spy.sh" "$BATS_TEST_TMPDIR/needles"
	for how in pid1 plain; do
		here fallback
		read_job keyed
		job_run 0 $how -vv -- sh "$BATS_TEST_TMPDIR/spy.sh"
		shows_nothing
		job_as fallback
		vault_job key
		job_run 0 $how -vv -- sh "$BATS_TEST_TMPDIR/spy.sh"
		shows_nothing
	done
}

shows_nothing() {
	assert_in "$out" "looked at"
	refute_in "$output" LEAK
	refute grep -nFf "$BATS_TEST_TMPDIR/needles" "$BATS_TEST_TMPDIR/out" "$BATS_TEST_TMPDIR/err"
}
