#!/usr/bin/env bats
# amlshim doctor: all is well on each store, and each provoked fault is named, alone, with its
# remedy and exit status; what a run of the job says is the same.
# bats file_tags=root

load helpers
load lib/jobs

setup_file() {
	local store
	jobs_begin azurite \
	    --account name=foreign,tenant=99999999-0000-4000-8000-000000000009 --container foreign/data \
	    --account name=closed,network=deny --container closed/data \
	    --account name=keyless,shared_key=off --container keyless/data
	echo hello >"$BATS_FILE_TMPDIR/hello.txt"
	for store in azsim lake azurite; do
		store_use $store
		store_blob put data/in "$BATS_FILE_TMPDIR/hello.txt"
	done
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

# One input; with "output" an output too.
simple_job() {
	job_write <<-END
		name: checked
		command: cat \${{inputs.data}}/hello.txt
		inputs:
		  data: {type: uri_folder, path: azureml://datastores/store/paths/in/}
		$(if [ "${1-}" = output ]; then
			echo 'outputs: {model: {type: uri_folder, path: azureml://datastores/store/paths/out/}}'
		fi)
	END
}

# doctor STATUS [FLAG...]: as job_run; DOCTOR_UNDER are words that run it, DOCTOR_ENV variables.
DOCTOR_UNDER=() DOCTOR_ENV=()
doctor() {
	local want=$1 word words=()
	shift
	job_command plain "$@"
	for word in "${job_words[@]}"; do
		if [ "$word" = "$AMLSHIM" ]; then
			words+=("${DOCTOR_ENV[@]}" "${DOCTOR_UNDER[@]}" "$AMLSHIM" doctor)
		else
			words+=("$word")
		fi
	done
	run_status "$want" "${words[@]}"
}

all_well() {
	refute_in "$out" FAIL
	refute_in "$out" warn
	assert_in "$out" " 0 to look at, 0 failed, ${1:-0} not tried"
	silent
}

# only CHECK TEXT...: this check fails, no other does, and the failure has these texts.
only() {
	local check=$1 failed text
	shift
	failed=$(grep '^FAIL' <<<"$out")
	assert_equal "$(wc -l <<<"$failed")" 1
	assert_in "$failed" "FAIL  $check"
	failed=$(sed -n '/^FAIL/,/^[a-z0-9]/p' <<<"$out")
	for text in "$@"; do
		assert_in "$failed" "$text"
	done
}

# What a run of the same job ends with has the doctor's remedy.
same_in_a_run() { # STATUS
	local remedy
	remedy=$(sed -n 's/^        do:  //p' <<<"$out" | head -n 1)
	[ -n "$remedy" ]
	job_run "$1" plain
	assert_in "$err" "$remedy"
	assert_equal "$(wc -l <<<"$err")" 1
}

# A mount namespace in which names are what the files hosts and resolv.conf say.
with_names() {
	printf '127.0.0.1 localhost\n%s\n' "$@" >"$BATS_TEST_TMPDIR/hosts"
	printf 'nameserver 127.0.0.1\noptions timeout:1 attempts:1\n' >"$BATS_TEST_TMPDIR/resolv.conf"
	DOCTOR_UNDER=(unshare --mount --propagation "${PID1[-1]}" bash -c '
		for file in hosts resolv.conf; do
			[ ! -e /etc/$file ] || mount --bind "$0/$file" /etc/$file || exit 99
		done
		exec "$@"' "$BATS_TEST_TMPDIR")
}

# ---- all is well

@test "doctor: all ok, and nothing stays, on a flat account, a hierarchical one and Azurite" {
	local store who found
	for store in azsim lake azurite; do
		for who in fallback user key sas; do
			store_use $store
			job_as $who
			if [ $store = lake ] && [ $who != fallback ] && [ $who != user ]; then
				continue	# a warning: Azure ML itself takes no key there
			fi
			simple_job output
			doctor 0 --write
			all_well
			assert_in "$out" "ok    write model: a small blob was put and deleted"
			assert_in "$out" "ok    tls localhost:"
		done
	done
	job_left_nothing
	for store in azsim lake azurite; do
		store_use $store
		found=$(store_blob list data)
		assert_in "$found" in/hello.txt
		refute_in "$found" doctor
	done
}

@test "doctor: the job itself is not run, and outputs are not written unless asked" {
	job_as fallback
	simple_job output
	azsim_forget
	doctor 0
	all_well 1
	refute_in "$out" hello
	assert_in "$out" "skip  write model: not tried: --write"
	azsim_assert 0 method=PUT
	[ ! -e "$JOB/cache" ]
	[ ! -e "$JOB/mnt" ]
}

@test "doctor: who the token is for is told, no secret is" {
	local who
	for who in key sas user managed; do
		job_as $who
		simple_job output
		doctor 0 --write -vv
		refute_in "$output" eyJ
		refute_in "$output" "$AZSIM_SECRET"
		refute_in "$output" "$STORE_KEY"
		refute_in "$output" "$(store_sas | sed 's/.*sig=\([^&]*\).*/\1/')"
	done
	assert_in "$out" "client id $SECOND_ID, object id $SECOND_OID, tenant $AZSIM_TENANT, an application, for https://storage.azure.com/, ends in 2"
	job_as user
	simple_job
	doctor 0
	assert_in "$out" "object id $USER_OID"
	assert_in "$out" "a person person@test.local"
}

@test "doctor --json has the same findings and the exit status" {
	job_as outsider
	simple_job
	doctor 122 --json
	node -e '
		const r = JSON.parse(require("fs").readFileSync(0, "utf8"));
		const bad = r.findings.filter(f => f.state === "fail");
		if (r.exit !== 122 || bad.length !== 1 || bad[0].check !== "storage" || bad[0].about !== "data" ||
		    !bad[0].remedy.includes("Storage Blob Data Reader") || !bad[0].run.startsWith("az role assignment create") ||
		    !r.findings.some(f => f.check === "tls" && f.state === "ok" && !("error" in f)))
			process.exit(1);' <<<"$out"
}

# ---- spec, plan, this machine

@test "doctor: a wrong spec is named; what does not need it is checked all the same" {
	job_as fallback
	job_write <<<'command: [1'
	doctor 2
	only spec job.yml:
	assert_in "$out" "ok    environment"
}

@test "doctor: no token endpoint for user identity" {
	job_as user
	job_env=()
	simple_job
	doctor 121
	only plan "OBO_ENDPOINT is not set" "do:  submit the job to a compute"
	same_in_a_run 121
}

@test "doctor: no /dev/fuse; the rest is checked as if it were there" {
	job_as fallback
	simple_job
	job_env+=("AMLSHIM_FACTS=fuse=no-device")
	doctor 125
	only fuse "/dev/fuse cannot be opened" "do:  run the container with --device /dev/fuse"
	assert_in "$out" "ok    storage data"
	same_in_a_run 125
	doctor 0 --fuse copy
}

@test "doctor: FUSE is there, but a mount does not work" {
	job_as fallback
	simple_job
	DOCTOR_UNDER=(setpriv --bounding-set=-sys_admin --inh-caps=-sys_admin)
	job_env+=("AMLSHIM_FACTS=fuse=ok")
	doctor 125
	only fuse "not permitted" "do:  run the container with --device /dev/fuse"
}

@test "doctor: a cache directory that cannot be written" {
	job_as fallback
	simple_job output
	doctor 125 --cache-dir /proc/nowhere
	only cache-dir /proc/nowhere "do:  set --cache-dir"
	job_flags+=(--cache-dir /proc/nowhere)
	same_in_a_run 125
	simple_job
	doctor 0 --cache-dir /proc/nowhere
}

# ---- the network

@test "doctor: a name that does not resolve" {
	job_as key
	STORE_HOST=host.invalid
	simple_job
	with_names
	doctor 120
	only "dns acct.blob.host.invalid" "cannot resolve acct.blob.host.invalid" \
	    "do:  check that the name in acct.blob.host.invalid resolves"
	assert_in "$out" "skip  connect acct.blob.host.invalid"
	assert_in "$out" "skip  storage data: acct.blob.host.invalid is not reached"
}

@test "doctor: a connection that is refused" {
	job_as key
	STORE_HOST=localhost:1
	simple_job
	doctor 120
	assert_in "$out" "ok    dns localhost:1: "
	only "connect localhost:1" "cannot reach https://localhost:1/" \
	    "do:  check that https://localhost:1/acct/ is the right endpoint"
	assert_in "$out" "skip  tls localhost:1"
}

@test "doctor: TLS with an unknown issuer" {
	job_as key
	simple_job
	STORE_CA=$AZURITE_CA
	doctor 120
	assert_in "$out" "ok    connect localhost:$AZSIM_HTTPS_PORT"
	only "tls localhost:$AZSIM_HTTPS_PORT" "trusted are the 2 roots of $AZURITE_CA" \
	    "do:  check the certificate of https://localhost:$AZSIM_HTTPS_PORT"
}

@test "doctor: TLS with a certificate for another name" {
	job_as key
	STORE_HOST=elsewhere:$AZSIM_HTTPS_PORT
	simple_job
	with_names "127.0.0.1 elsewhere"
	doctor 120
	assert_in "$out" "ok    connect elsewhere:"
	only "tls elsewhere:" "for other names" "do:  check that https://elsewhere:$AZSIM_HTTPS_PORT/acct/ leads to the right server"
}

@test "doctor: TLS with a certificate that has expired" {
	(
		set -e
		export AZSIM_DIR=$BATS_TEST_TMPDIR/expired AZSIM_CERTS=${AZSIM_CA%/*} AZSIM_LEAF=expired
		azsim_start
		trap azsim_stop EXIT
		store_use azsim
		job_as key
		simple_job
		doctor 120
		only "tls localhost:" expired "the certificate ends 2020-01-01T00:00:00Z"
	)
}

@test "doctor: a proxy that refuses, and one that is not there" {
	local port
	job_as key
	simple_job
	for port in "$AZSIM_PORT" 1; do
		job_env=("HTTPS_PROXY=http://someone:pass@127.0.0.1:$port")
		doctor 120
		only "proxy localhost:$AZSIM_HTTPS_PORT" "HTTPS_PROXY=http://127.0.0.1:$port" \
		    "do:  check the proxy (HTTPS_PROXY)"
		assert_in "$out" "skip  tls"
		refute_in "$output" pass@
	done
	job_env+=("NO_PROXY=localhost")
	doctor 0
	all_well
}

@test "doctor: a clock that is off" {
	job_as fallback
	simple_job
	azsim_knob clock_ahead_s=1200
	doctor 125
	only clock "s behind the service's" "do:  set the clock"
	job_as key
	simple_job
	doctor 125
	assert_equal "$(grep -c '^FAIL' <<<"$out")" 2
	assert_equal "$(grep -c 'do:  set the clock' <<<"$out")" 2
	same_in_a_run 122
}

# ---- identity

@test "doctor: an identity that is not assigned" {
	job_as managed
	job_flags=(--compute "$FIRST_ID,77777777-0000-4000-8000-000000000007")
	job_identity="identity: {type: managed, client_id: 77777777-0000-4000-8000-000000000007}"
	simple_job
	doctor 121
	only identity 77777777-0000-4000-8000-000000000007 "do:  name an identity that the compute has"
	assert_in "$out" "skip  storage data"
	same_in_a_run 121
}

@test "doctor: the token endpoint gives nothing" {
	job_as user
	simple_job
	azsim_knob obo_empty=1
	doctor 125
	only identity "the body is empty" OBO
	azsim_knob obo_empty=0
}

# ---- rights

@test "doctor: no data role" {
	job_as outsider
	simple_job
	doctor 122
	only "storage data" AuthorizationPermissionMismatch "(datastore store)" \
	    "do:  give user-assigned identity $OUTSIDER_ID of the compute (object id $OUTSIDER_OID) the role \"Storage Blob Data Reader\" on $STORE_ENDPOINT/data (" \
	    "run: az role assignment create --role \"Storage Blob Data Reader\" --assignee-object-id $OUTSIDER_OID --assignee-principal-type ServicePrincipal"
	same_in_a_run 122
}

@test "doctor: a reader's role where something is written" {
	job_as reader
	simple_job output
	doctor 0
	doctor 122 --write
	only "write model" AuthorizationPermissionMismatch "the role \"Storage Blob Data Contributor\" on $STORE_ENDPOINT/data (" \
	    "run: az role assignment create --role \"Storage Blob Data Contributor\" --assignee-object-id $READER_OID"
}

@test "doctor: neither role nor access control list on a hierarchical account, then a list" {
	store_use lake
	job_as outsider
	simple_job
	doctor 122
	only "storage data" "the role \"Storage Blob Data Reader\" on $STORE_ENDPOINT/data (" "or by access control lists r-x on the path"
	same_in_a_run 122
	azsim_acl oid="$OUTSIDER_OID" account=hnsacct container=data path= permissions=--x
	azsim_acl oid="$OUTSIDER_OID" account=hnsacct container=data path=in permissions=r-x default=1
	doctor 0
	all_well
	job_run 0 plain
	assert_equal "$out" hello
	azsim_ctl DELETE /_azsim/acl >/dev/null
	azsim_acl oid="$OUTSIDER_OID" account=hnsacct container=data path=in permissions=r-x default=1
	doctor 122
}

@test "doctor: network rules" {
	job_as fallback
	STORE_ACCOUNT=closed STORE_ENDPOINT=https://$STORE_HOST/closed
	simple_job
	doctor 122
	only "storage data" AuthorizationFailure "localhost resolves to 127.0.0.1" "do:  allow the compute's network in the firewall"
	same_in_a_run 122
}

@test "doctor: one of the two endpoints of a hierarchical account is missing" {
	store_use lake
	job_as fallback
	simple_job output
	doctor 0
	all_well 1
	assert_in "$out" "ok    dfs model: $STORE_ENDPOINT answers for names"
	azsim_account name="$STORE_ACCOUNT" dfs=deny
	doctor 122
	azsim_account name="$STORE_ACCOUNT" dfs=allow
	only "dfs model" AuthorizationFailure "the Blob endpoint answers, the dfs endpoint does not" \
	    "do:  allow the compute's network in the firewall"
	# Who may not look at modes can rename all the same; with --acl he has to.
	job_as sas
	job_credentials="credentials: {sas_token: \"$(store_blob sas account wl 3600)\"}"
	simple_job output
	doctor 0
	assert_in "$out" "ok    dfs model: $STORE_ENDPOINT answers for names"
	doctor 122 --acl
	assert_in "$out" "FAIL  dfs model"
	assert_in "$out" "AuthorizationPermissionMismatch"
	refute_in "$out" "the dfs endpoint does not"
	job_as fallback
	simple_job output
	# Host-style the two have names of their own, and each is looked at.
	DOCTOR_ENV=()
	sed -i "s/^endpoint: .*/endpoint: test.local:$AZSIM_HTTPS_PORT/" "$JOB/store.yml"
	with_names "127.0.0.1 $STORE_ACCOUNT.blob.test.local"
	doctor 120
	assert_in "$out" "ok    connect $STORE_ACCOUNT.blob.test.local:"
	assert_in "$out" "FAIL  dns $STORE_ACCOUNT.dfs.test.local:"
}

@test "doctor: storage of another tenant" {
	job_as fallback
	STORE_ACCOUNT=foreign STORE_ENDPOINT=https://$STORE_HOST/foreign
	simple_job
	doctor 122
	only "storage data" "the account is of tenant 99999999-0000-4000-8000-000000000009, the token of $AZSIM_TENANT" \
	    "do:  use storage in the identity's own Entra tenant"
	same_in_a_run 122
}

@test "doctor: keys are disabled" {
	job_as key
	STORE_ACCOUNT=keyless STORE_ENDPOINT=https://$STORE_HOST/keyless
	simple_job
	doctor 122
	only "storage data" KeyBasedAuthenticationNotPermitted "do:  create the datastore again without credentials"
	same_in_a_run 122
}

@test "doctor: a key that was rotated" {
	job_as key
	job_credentials="credentials: {account_key: \"$(printf '%064d' 7 | base64 -w0)\"}"
	simple_job
	doctor 122
	only "storage data" AuthenticationFailed "as account key of datastore store" "do:  renew the stored credential"
	same_in_a_run 122
}

@test "doctor: a SAS that has expired, and one that may not list" {
	job_as sas
	job_credentials="credentials: {sas_token: \"$(store_blob sas account rl -600)\"}"
	simple_job
	doctor 122
	only "storage data" "Signature not valid in the specified time frame" "do:  renew the SAS"
	assert_in "$out" "warn  identity data"
	same_in_a_run 122

	job_credentials="credentials: {sas_token: \"$(store_blob sas account r 3600)\"}"
	simple_job
	doctor 122
	only "storage data" "(the SAS has sp=r " "do:  create a SAS of $STORE_ENDPOINT/data that allows what the job does" \
	    "run: az storage container generate-sas --account-name acct --name data --permissions rl"
	same_in_a_run 122
}

@test "doctor: a container that is missing, and a path" {
	job_as fallback
	STORE_CONTAINER=nosuch
	simple_job
	unset STORE_CONTAINER
	doctor 120
	only "storage data" ContainerNotFound "do:  check the name $STORE_ENDPOINT/nosuch"
	same_in_a_run 120
	job_write <<-END
		name: checked
		command: "true"
		inputs:
		  data: {type: uri_folder, path: azureml://datastores/store/paths/not/here/}
	END
	doctor 120
	only "storage data" "nothing is stored under this path"
}
