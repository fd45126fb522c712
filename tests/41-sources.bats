#!/usr/bin/env bats
# Every source of tokens end to end: a job that reads its input, as PID 1 and as an ordinary process;
# what each refuses; and which one is asked where the environment shows several.
# bats file_tags=root

load helpers
load lib/jobs

setup_file() {
	mkdir -p "$BATS_FILE_TMPDIR/tokens" "$BATS_FILE_TMPDIR/tokens.other" "$BATS_FILE_TMPDIR/tokens/below"
	openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=ServiceFabric -days 30 \
	    -keyout "$BATS_FILE_TMPDIR/self.key" -out "$BATS_FILE_TMPDIR/self.pem" 2>/dev/null
	openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=app -days 30 \
	    -keyout "$BATS_FILE_TMPDIR/app.key" -out "$BATS_FILE_TMPDIR/app.pem" 2>/dev/null
	jobs_begin --self-https 0 --self-cert "$BATS_FILE_TMPDIR/self.pem" \
	    --self-key "$BATS_FILE_TMPDIR/self.key" --arc-keys "$BATS_FILE_TMPDIR/tokens" \
	    --app "client_id=$FIRST_ID,oid=$FIRST_OID,federated=federated-one" \
	    --app "client_id=$SECOND_ID,oid=$SECOND_OID,secret=open~sesame+/1,cert=$BATS_FILE_TMPDIR/app.pem"
	mkdir -p "$BATS_FILE_TMPDIR/in"
	echo hello >"$BATS_FILE_TMPDIR/in/hello.txt"
	azsim_put data "$BATS_FILE_TMPDIR/in"
	AZSIM_TO=$AZSIM_HNS_ACCOUNT azsim_put data "$BATS_FILE_TMPDIR/in"
}

teardown_file() {
	jobs_end
}

setup() {
	requires_fuse
	store_use azsim
	azsim_app "client_id=$FIRST_ID" federated=federated-one
	azsim_app "client_id=$SECOND_ID" 'secret=open~sesame+/1' expired=0
	azsim_knob arc_bad=0
}

teardown() {
	azsim_knob arc_bad=0
	jobs_cleanup
}

thumbprint() { # CERTIFICATE
	openssl x509 -in "$1" -noout -fingerprint -sha1 | sed 's/.*=//'
}

# The environment that shows SOURCE, added to that of the job.
shows() {
	local line
	case $1 in
	workload)
		echo "${FEDERATED-federated-one}" >"$BATS_TEST_TMPDIR/token"
		job_env+=("AZURE_FEDERATED_TOKEN_FILE=$BATS_TEST_TMPDIR/token" "AZURE_CLIENT_ID=$FIRST_ID"
		    "AZURE_TENANT_ID=$AZSIM_TENANT" "AZURE_AUTHORITY_HOST=https://localhost:$AZSIM_HTTPS_PORT/") ;;
	*)
		while read -r line; do
			job_env+=("$line")
		done < <(azsim_env "$1") ;;
	esac
	case $1 in
	fabric) job_env+=("IDENTITY_SERVER_THUMBPRINT=${THUMBPRINT-$(thumbprint "$BATS_FILE_TMPDIR/self.pem")}") ;;
	arc) job_env+=("AMLSHIM_FACTS=arc-tokens=$BATS_FILE_TMPDIR/tokens") ;;
	esac
}

begin() { # SOURCE...
	local source
	# shellcheck disable=SC2034 # for jobs.bash
	WHO=$1 job_credentials='' job_identity='' job_env=() job_flags=()
	for source in "$@"; do
		shows "$source"
	done
}

reads() {
	job_write <<-END
		command: cat \${{inputs.data}}/hello.txt
		inputs:
		  data: {type: uri_folder, path: azureml://datastores/store/paths/in/}
	END
	azsim_forget
}

# The job reads its input, the token came from OP, and every storage request was made as OID.
serves() { # OP OID
	local how all
	for how in pid1 plain; do
		reads
		job_run 0 $how
		assert_equal "$out" hello
		silent
		azsim_assert + "op=$1" status=200
		all=$(azsim_count service=blob)
		[ "$all" -gt 0 ]
		azsim_assert "$all" service=blob "oid=$2"
		job_left_nothing
	done
}

# Nothing is read, and the error says so.
refuses() { # STATUS NEEDLE...
	local status=$1 needle how
	shift
	for how in pid1 plain; do
		reads
		job_run "$status" $how
		for needle in "$@"; do
			assert_in "$err" "$needle"
		done
		refute_in "$out" hello
		azsim_assert 0 service=blob
		job_left_nothing
	done
}

@test "sources: App Service" {
	begin appservice
	serves AppServiceToken "$SYSTEM_OID"
}

@test "sources: Azure ML" {
	begin aml
	job_env+=("DEFAULT_IDENTITY_CLIENT_ID=$FIRST_ID")
	serves AmlToken "$FIRST_OID"
}

@test "sources: the VM's metadata service" {
	begin imds
	serves ImdsToken "$SYSTEM_OID"
}

@test "sources: Cloud Shell, as the person signed in" {
	begin cloudshell
	serves CloudShellToken "$USER_OID"
}

@test "sources: Service Fabric, whose certificate nobody has signed" {
	begin fabric
	serves FabricToken "$SYSTEM_OID"
}

@test "sources: Azure Arc" {
	begin arc
	serves ArcToken "$SYSTEM_OID"
}

@test "sources: workload identity" {
	begin workload
	serves EntraToken "$FIRST_OID"
}

@test "sources: a service principal's client secret" {
	begin
	store_use lake
	job_credentials="credentials: {tenant_id: $AZSIM_TENANT, client_id: $SECOND_ID, client_secret: 'open~sesame+/1', authority_url: 'https://localhost:$AZSIM_HTTPS_PORT'}"
	serves EntraToken "$SECOND_OID"
}

# The datastore of what follows has the application's certificate and key, as PEM.
certified() { # CERTIFICATE KEY [THUMBPRINT-OF]
	job_credentials="credentials:
  tenant_id: $AZSIM_TENANT
  client_id: $SECOND_ID
  authority_url: https://localhost:$AZSIM_HTTPS_PORT
  thumbprint: \"$(thumbprint "${3-$1}")\"
  certificate: |
$(sed 's/^/    /' "$1" "$2")"
}

@test "sources: a service principal's certificate, by PS256 and by RS256" {
	begin
	store_use lake
	certified "$BATS_FILE_TMPDIR/app.pem" "$BATS_FILE_TMPDIR/app.key"
	serves EntraToken "$SECOND_OID"
	job_env+=(AMLSHIM_CERTIFICATE_ALG=RS256)
	serves EntraToken "$SECOND_OID"
}

@test "sources: a certificate that is not the application's is refused with advice" {
	begin
	store_use lake
	certified "$BATS_FILE_TMPDIR/self.pem" "$BATS_FILE_TMPDIR/self.key"
	refuses 121 AADSTS700027 "az ad app credential reset --cert"
}

@test "sources: a cloud of one's own gives authority and storage" {
	local port=$AZSIM_HTTPS_PORT
	begin
	store_use lake
	cat >"$BATS_TEST_TMPDIR/cloud.json" <<-END
		{"name": "Here", "authority": "https://localhost:$port", "arm": "https://localhost:$port",
		"storage_suffix": "localhost:$port", "storage_resource": "https://storage.azure.com/",
		"vault_suffix": "vault.test.local", "vault_resource": "https://vault.azure.net",
		"registry_suffix": "cr.test.local", "registry_resource": "https://containerregistry.azure.net",
		"aml_resource": "https://ml.azure.com/"}
	END
	job_credentials="credentials: {tenant_id: $AZSIM_TENANT, client_id: $SECOND_ID, client_secret: 'open~sesame+/1'}"
	reads
	sed -i /^endpoint:/d "$JOB/store.yml"
	job_run 0 plain --cloud "$BATS_TEST_TMPDIR/cloud.json"
	assert_equal "$out" hello
	azsim_assert 1 op=EntraToken
	job_run 2 plain --cloud "$BATS_TEST_TMPDIR/no-such-file"
	assert_in "$err" "$BATS_TEST_TMPDIR/no-such-file"
}

at_least() { # N FIELD=VALUE...
	local n=$1
	shift
	[ "$(azsim_count "$@")" -ge "$n" ]
}

# ---- one identity, named or not

@test "sources: Service Fabric, Arc and Cloud Shell give no identity by its id" {
	local source
	for source in fabric arc cloudshell; do
		begin $source
		job_identity="identity: {type: managed, client_id: $FIRST_ID}"
		reads
		job_run 2 plain
		assert_in "$err" "leave the identity's id out"
	done
}

@test "sources: workload identity as another client id than the pod's" {
	begin workload
	job_identity="identity: {type: managed, client_id: $SECOND_ID}"
	azsim_app "client_id=$SECOND_ID" federated=federated-one
	serves EntraToken "$SECOND_OID"
	azsim_app "client_id=$SECOND_ID" federated=
}

# ---- Service Fabric: the pin

@test "sources: Service Fabric with another certificate than the pinned one is not asked" {
	THUMBPRINT=$(thumbprint "$AZSIM_DIR/certs/server.pem") begin fabric
	refuses 120 "not the pinned one"
	azsim_assert 0 op=FabricToken
}

@test "sources: Service Fabric: a certificate that the roots trust is not enough" {
	begin fabric
	job_env=("${job_env[@]/$AZSIM_SELF_PORT/$AZSIM_HTTPS_PORT}")
	refuses 120 "not the pinned one"
	azsim_assert 0 op=FabricToken
}

@test "sources: Service Fabric: a thumbprint that is none is an error" {
	THUMBPRINT=00112233 begin fabric
	refuses 121 IDENTITY_SERVER_THUMBPRINT "40 hexadecimal digits"
}

@test "sources: Service Fabric without TLS is not asked" {
	begin fabric
	job_env=("${job_env[@]/https:\/\/127.0.0.1:$AZSIM_SELF_PORT/http://127.0.0.1:$AZSIM_PORT}")
	refuses 121 "https only"
}

@test "sources: Service Fabric's own words are in the error" {
	begin fabric
	job_env=("${job_env[@]/#IDENTITY_HEADER=*/IDENTITY_HEADER=wrong}")
	refuses 121 ManagedIdentityNotFound
}

# ---- Arc: the challenge

@test "sources: Arc: a challenge that is not the agent's is not answered" {
	local bad
	begin arc
	for bad in 1 2 3 4 5 6 7 8 9; do
		azsim_knob arc_bad=$bad
		reads
		job_run 121 plain
		assert_in "$err" "Arc agent's"
		azsim_assert 1 op=ArcToken
		azsim_assert 0 op=ArcToken auth=secret
		azsim_assert 0 service=blob
	done
}

@test "sources: Arc: what is wrong with the challenge is said" {
	local bad
	local -A needles=([1]="not in the agent's directory" [2]="more than 4096 bytes"
	    [3]="not in the agent's directory" [4]="symbolic link" [5]="a second '='"
	    [6]="does not end in .key" [7]="expected Basic realm" [8]="not in the agent's directory"
	    [9]="No such file")
	begin arc
	for bad in "${!needles[@]}"; do
		azsim_knob arc_bad="$bad"
		reads
		job_run 121 plain
		assert_in "$err" "${needles[$bad]}"
	done
}

# ---- workload identity: the file

@test "sources: workload identity: the token's file is read again for each request" {
	local i
	begin workload
	for i in 1 2 3 4 5 6 7 8; do
		echo "$i" >"$BATS_TEST_TMPDIR/part$i"
	done
	azsim_put data/parts "$BATS_TEST_TMPDIR"/part?
	job_write <<-END
		command: i=0; until [ -e $BATS_TEST_TMPDIR/end ]; do i=\$((i % 8 + 1)); cat \${{inputs.parts}}/part\$i || exit 1; sleep 0.2; done
		inputs:
		  parts: {type: uri_folder, path: azureml://datastores/store/paths/parts/}
	END
	azsim_forget
	azsim_knob token_lifetime_s=4
	job_start plain
	wait_for 30 azsim_assert + op=EntraToken status=200
	wait_for 30 job_says 1
	azsim_app "client_id=$FIRST_ID" 'federated=federated-one;federated-two'
	echo federated-two >"$BATS_TEST_TMPDIR/new"
	mv "$BATS_TEST_TMPDIR/new" "$BATS_TEST_TMPDIR/token"
	# One that had read the old file may still be on its way; the one after it has not.
	azsim_forget
	wait_for 30 at_least 2 op=EntraToken status=200
	azsim_app "client_id=$FIRST_ID" federated=federated-two
	azsim_forget
	wait_for 30 at_least 2 op=EntraToken status=200
	: >"$BATS_TEST_TMPDIR/end"
	job_end 0
	azsim_assert 0 op=EntraToken status=401
}

@test "sources: workload identity: an empty or missing file, or a missing variable, is an error that names it" {
	begin workload
	: >"$BATS_TEST_TMPDIR/token"
	refuses 121 "$BATS_TEST_TMPDIR/token" "it is empty"
	rm "$BATS_TEST_TMPDIR/token"
	refuses 121 "$BATS_TEST_TMPDIR/token" "No such file"
	begin workload
	job_env=("${job_env[@]/#AZURE_TENANT_ID=*/AZURE_TENANT_ID=}")
	refuses 121 AZURE_TENANT_ID
	azsim_assert 0 op=ImdsToken
}

@test "sources: Entra's refusals carry code, trace and correlation id, advice, and no secret" {
	local row
	FEDERATED=federated-other begin workload
	refuses 121 AADSTS70021 "trace f0e1d2c3-0000-4000-8000-0123456789ab" \
	    "correlation c0ffee00-0000-4000-8000-ba9876543210" "az identity federated-credential create"
	refute_in "$err" federated-other
	begin
	store_use lake
	for row in "$AZSIM_TENANT $SECOND_ID wrong AADSTS7000215 az_ad_app_credential_reset" \
	    "$AZSIM_TENANT $OUTSIDER_ID wrong AADSTS700016 check_the_client_id" \
	    "99999999-0000-4000-8000-000000000009 $SECOND_ID wrong AADSTS90002 the_tenant_in_this_cloud"; do
		# shellcheck disable=SC2086 # words
		set -- $row
		job_credentials="credentials: {tenant_id: $1, client_id: $2, client_secret: ${3}secret, authority_url: 'https://localhost:$AZSIM_HTTPS_PORT'}"
		refuses 121 "$4" "${5//_/ }"
		refute_in "$err" wrongsecret
	done
	azsim_app "client_id=$SECOND_ID" expired=1
	job_credentials="credentials: {tenant_id: $AZSIM_TENANT, client_id: $SECOND_ID, client_secret: 'open~sesame+/1', authority_url: 'https://localhost:$AZSIM_HTTPS_PORT'}"
	refuses 121 AADSTS7000222
}

@test "sources: Entra's transient errors are tried again" {
	begin workload
	reads
	azsim_fault op=EntraToken status=400 count=1 type=application/json \
	    'body={"error":"temporarily_unavailable","error_description":"AADSTS90006: busy"}'
	job_run 0 plain
	assert_equal "$out" hello
	azsim_assert 2 op=EntraToken
}

# ---- several at once

@test "sources: the order of the SDKs decides where several are shown" {
	local row
	# shown (in any order); who is asked; as whom
	for row in "aml appservice:AppServiceToken:$SYSTEM_OID" \
	    "aml fabric:FabricToken:$SYSTEM_OID" \
	    "imds workload aml:AmlToken:$FIRST_OID" \
	    "arc aml:AmlToken:$FIRST_OID" \
	    "arc cloudshell:CloudShellToken:$USER_OID" \
	    "workload arc:ArcToken:$SYSTEM_OID" \
	    "imds workload:EntraToken:$FIRST_OID"; do
		IFS=: read -r shown op oid <<<"$row"
		# shellcheck disable=SC2086 # words
		begin $shown
		[ "$op" != AmlToken ] || job_env+=("DEFAULT_IDENTITY_CLIENT_ID=$FIRST_ID")
		reads
		job_run 0 plain
		assert_equal "$out" hello
		azsim_assert + "op=$op" status=200
		azsim_assert 0 service=blob "oid="
		azsim_assert "$(azsim_count service=blob)" service=blob "oid=$oid"
	done
}

@test "sources: IDENTITY_ENDPOINT alone does not hide MSI_ENDPOINT" {
	begin aml
	job_env+=("IDENTITY_ENDPOINT=http://127.0.0.1:$AZSIM_PORT/msi/token" "DEFAULT_IDENTITY_CLIENT_ID=$FIRST_ID")
	serves AmlToken "$FIRST_OID"
}

@test "sources: the job sees the broker, not the platform's endpoints" {
	begin arc workload
	job_write <<-END
		command: env
	END
	job_run 0 plain
	refute_in "$out" IMDS_ENDPOINT
	refute_in "$out" AZURE_FEDERATED_TOKEN_FILE
	assert_in "$out" MSI_SECRET
	begin fabric
	job_write <<-END
		command: env
	END
	job_run 0 plain
	refute_in "$out" IDENTITY_SERVER_THUMBPRINT
	refute_in "$out" "$AZSIM_SECRET"
	assert_in "$out" IDENTITY_ENDPOINT=http://127.0.0.1:
}

# The metadata service at its own address, in a network namespace with nothing else in it.
own_address() { # SCRIPT: runs with $SIM, azsim's words there
	SIM="$AZSIM --host 169.254.169.254 --http 80 --max-life 120 --log $BATS_TEST_TMPDIR/log" \
	    run_status "${want:-0}" unshare --net bash -c "ip link set lo up
		ip addr add 169.254.169.254/32 dev lo
		ask() { env -i \"PATH=$PATH\" \"$AMLSHIM\" token --resource https://storage.azure.com --claims; }
		$1" 3>&-
}

@test "sources: the metadata service at its own address is probed without Metadata, then asked" {
	own_address "\$SIM --port-file '$BATS_TEST_TMPDIR/ports' \
	        --identity kind=system,client_id=$SYSTEM_ID,oid=$SYSTEM_OID &
	    until [ -s '$BATS_TEST_TMPDIR/ports' ]; do sleep 0.05; done
	    ask; status=\$?
	    # It answers, then writes its log.
	    for k in {1..200}; do ! grep -q '\"status\":200' '$BATS_TEST_TMPDIR/log' || break; sleep 0.05; done
	    kill \$!; wait; exit \$status"
	assert_in "$out" "oid $SYSTEM_OID"
	assert_equal "$(grep -o '"status":[0-9]*,"code":"[a-z_0-9]*"' "$BATS_TEST_TMPDIR/log")" \
	    '"status":400,"code":"bad_request_102"
"status":200,"code":""'
}

@test "sources: no metadata service: an error at once where it refuses, soon where it is silent" {
	local want=121 began
	own_address ask
	assert_in "$err" "the metadata service does not answer"
	assert_in "$err" "assign a managed identity to the compute"
	began=$SECONDS
	# A neighbour that never answers: packets to it go nowhere.
	own_address "ip link add quiet type dummy || {
	        ip link add quiet type veth peer name far && ip link set far up; }
	    ip link set quiet up
	    ip addr del 169.254.169.254/32 dev lo
	    ip addr add 169.254.0.1/16 dev quiet; ask"
	assert_in "$err" "the metadata service does not answer"
	[ $((SECONDS - began)) -le 30 ]
}
