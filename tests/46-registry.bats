#!/usr/bin/env bats
# The credential helper for Azure Container Registry: its protocol as docker speaks it, whose tokens it
# uses, and a pull by the real client.

load helpers
load lib/azsim
load lib/docker
load lib/registry

setup_file() {
	export AZSIM_DIR=$BATS_FILE_TMPDIR/azsim
	azsim_start --container acct/registry
	export REG=localhost:$AZSIM_HTTPS_PORT
	ln -s "$(readlink -f "$AMLSHIM")" "$BATS_FILE_TMPDIR/docker-credential-amlshim"
}

teardown_file() {
	azsim_stop
	docker_cleanup
}

setup() {
	local oid word
	azsim_forget
	azsim_roles_off
	azsim_knob registry_no_arm=0 registry_only_arm=0
	for oid in $AZSIM_SYSTEM_OID $AZSIM_UAI_OID $AZSIM_USER_OID; do
		azsim_role "oid=$oid" role=acrpull "account=$REG"
	done
	for word in $(azsim_env aml) SSL_CERT_FILE="$AZSIM_CA" AMLSHIM_REGISTRIES="$REG" \
	    DEFAULT_IDENTITY_CLIENT_ID="$AZSIM_UAI_CLIENT_ID"; do
		export "${word?}"
	done
	T=$BATS_TEST_TMPDIR
}

# A test's own azsim, should it have failed.
teardown() {
	AZSIM_DIR=$T/azsim azsim_stop
}

# helper STATUS ACTION INPUT: as docker runs it.
helper() {
	printf '%s' "$3" >"$T/in"
	run_status "$1" "$BATS_FILE_TMPDIR/docker-credential-amlshim" "$2" <"$T/in"
}

# The claims of the token in $out name this person, for this registry.
secret_is_of() { # OID
	local payload=${out##*\"Secret\":\"}
	payload=$(cut -d. -f2 <<<"$payload" | tr -- -_ +/)
	while [ $((${#payload} % 4)) -ne 0 ]; do payload+="="; done
	payload=$(base64 -d <<<"$payload")
	assert_in "$payload" "\"oid\":\"$1\""
	assert_in "$payload" "\"aud\":\"$REG\""
}

@test "registry: get gives the null GUID and the registry's refresh token, whatever the server's spelling" {
	local server
	for server in "$REG" "https://$REG" "https://$REG/v2/" "$REG/train/hello" "HTTPS://LOCALHOST:${REG#*:}"; do
		helper 0 get "$server"
		silent
		[[ $out == "{\"ServerURL\":\"$server\",\"Username\":\"00000000-0000-0000-0000-000000000000\",\"Secret\":\"eyJ"*'"}' ]]
		secret_is_of "$AZSIM_UAI_OID"
	done
	helper 0 get $'  https://local\nhost:'"${REG#*:}"$' \r\n'
	assert_in "$out" "\"ServerURL\":\"https://$REG\""
	azsim_assert 6 op=RegistryBase status=401
	azsim_assert 6 op=RegistryExchange status=200 "oid=$AZSIM_UAI_OID"
	assert_in "$(azsim_log service=aml)" 'resource=https://containerregistry.azure.net&'
}

@test "registry: the texts that clients compare with, on standard output, exit 1" {
	local server
	helper 1 get ''
	assert_equal "$out" "no credentials server URL"
	helper 1 get $' \r\n'
	assert_equal "$out" "no credentials server URL"
	silent
	for server in index.docker.io https://index.docker.io/v1/ localhost:1 "http://$REG" evilazurecr.io \
	    azurecr.io contoso.azurecr.io.evil.com 'me@contoso.azurecr.io' 'contoso azurecr.io'; do
		helper 1 get "$server"
		assert_equal "$out" "credentials not found in native keychain"
		silent
	done
	helper 1 erase ''
	assert_equal "$out" "no credentials server URL"
	helper 1 store '{"ServerURL":"","Username":"u","Secret":"s"}'
	assert_equal "$out" "no credentials server URL"
	helper 1 store "{\"ServerURL\":\"$REG\",\"Username\":\"\",\"Secret\":\"s\"}"
	assert_equal "$out" "no credentials username"
	azsim_assert 0 service=registry
}

@test "registry: a registry of another cloud, and one by a name of its own, are ours only when said so" {
	AZUREML_CURRENT_CLOUD=AzureChinaCloud helper 1 get contoso.azurecr.io
	assert_equal "$out" "credentials not found in native keychain"
	AMLSHIM_REGISTRIES='' helper 1 get "$REG"
	assert_equal "$out" "credentials not found in native keychain"
	echo "$REG" >"$T/in"
	AMLSHIM_REGISTRIES='' amlshim 0 docker-credential --registry "other.example.com,$REG" get <"$T/in"
	secret_is_of "$AZSIM_UAI_OID"
	AMLSHIM_REGISTRIES='a b' helper 1 get "$REG"
	assert_in "$out" "--registry"
}

@test "registry: store takes back what get gave and nothing else; erase, list, version, usage" {
	helper 0 get "$REG"
	helper 0 store "$out"
	assert_equal "$output" ""
	helper 1 store "{\"ServerURL\":\"$REG\",\"Username\":\"ann\",\"Secret\":\"s\"}"
	assert_in "$out" "stores no credentials"
	helper 1 store 'not json'
	assert_in "$out" "expected a JSON object"
	helper 0 erase "https://$REG"
	assert_equal "$output" ""
	helper 0 list ''
	assert_equal "$out" "{\"https://$REG\":\"00000000-0000-0000-0000-000000000000\"}"
	AMLSHIM_REGISTRIES='' helper 0 list ''
	assert_equal "$out" "{}"
	for word in version --version -v; do
		helper 0 "$word" ''
		[[ $out =~ ^docker-credential-amlshim\ \(amlshim\)\ [0-9.]+$ ]]
	done
	helper 1 push ''
	assert_equal "$out" "docker-credential-amlshim: unknown action: push"
	run_status 1 "$BATS_FILE_TMPDIR/docker-credential-amlshim"
	assert_in "$out" "Usage: docker-credential-amlshim <store|get|erase|list|version>"
	run_status 1 "$BATS_FILE_TMPDIR/docker-credential-amlshim" get get
	assert_in "$out" "Usage:"
	amlshim 0 docker-credential version
	amlshim 1 docker-credential
}

@test "registry: a registry that refuses one audience gets a token for the other" {
	azsim_knob registry_only_arm=1
	helper 0 get "$REG"
	azsim_assert 1 op=RegistryExchange status=401
	assert_in "$(azsim_log service=aml)" 'resource=https://management.azure.com&'
	azsim_forget
	azsim_knob registry_only_arm=0 registry_no_arm=1
	helper 0 get "$REG"
	azsim_assert 0 op=RegistryExchange status=401
}

refused_twice() {
	[ "$(azsim_count op=RegistryExchange status=401)" -ge 2 ]
}

@test "registry: a role that is given while docker waits is waited for" {
	azsim_roles_off
	(
		# shellcheck disable=SC2030
		wait_for 30 refused_twice
		azsim_role "oid=$AZSIM_UAI_OID" role=acrpull "account=$REG"
	) 3>&- &
	helper 0 get "$REG"
	secret_is_of "$AZSIM_UAI_OID"
	wait
	azsim_assert 2 service=aml	# one token an audience, however often it was shown
}

@test "registry: without AcrPull the refusal names registry, identity and role, for docker and for people; no token in it" {
	azsim_roles_off
	AMLSHIM_VERBOSE=2 helper 1 get "$REG"
	assert_in "$out" "cannot sign in to registry $REG as managed identity $AZSIM_UAI_CLIENT_ID"
	assert_in "$out" "401 UNAUTHORIZED"
	assert_in "$out" 'the role "AcrPull" on registry'
	assert_equal "$(wc -l <<<"$out")" 1
	assert_in "$err" AcrPull
	refute_in "$output" eyJ
	refute_in "$output" "$AZSIM_SECRET"
}

@test "registry: a challenge that sends us elsewhere gets no token" {
	export AZSIM_DIR=$T/azsim
	azsim_start --registry-realm registry.example.com --role "oid=$AZSIM_UAI_OID,role=acrpull"
	SSL_CERT_FILE=$AZSIM_CA AMLSHIM_REGISTRIES=localhost:$AZSIM_HTTPS_PORT helper 1 get "localhost:$AZSIM_HTTPS_PORT"
	assert_in "$out" "https://registry.example.com/oauth2/token"
	azsim_assert 0 op=RegistryExchange
	azsim_stop
}

@test "registry: as whom is what the job's code is: named, submitter, compute's; none is an error" {
	local job=$'command: "true"\ncompute: azureml:c\nidentity: '
	AMLSHIM_JOB=$job"{type: managed, client_id: $AZSIM_UAI_CLIENT_ID}" AMLSHIM_COMPUTE=$AZSIM_UAI_CLIENT_ID helper 0 get "$REG"
	secret_is_of "$AZSIM_UAI_OID"
	OBO_ENDPOINT=$(azsim_env obo | cut -d= -f2-) AMLSHIM_JOB=$job"{type: user_identity}" helper 0 get "$REG"
	secret_is_of "$AZSIM_USER_OID"
	azsim_assert 0 service=aml "oid=$AZSIM_USER_OID"
	DEFAULT_IDENTITY_CLIENT_ID=$AZSIM_SYSTEM_CLIENT_ID AMLSHIM_COMPUTE=system_assigned helper 0 get "$REG"
	secret_is_of "$AZSIM_SYSTEM_OID"
	azsim_forget
	AMLSHIM_JOB=$job"{type: user_identity}" helper 1 get "$REG"
	assert_in "$err" OBO_ENDPOINT
	AMLSHIM_COMPUTE=none helper 1 get "$REG"
	assert_in "$out" "cannot choose an identity"
	AMLSHIM_JOB='{"command": 3, "bad"' helper 1 get "$REG"
	assert_in "$out" "cannot"
	AMLSHIM_JOB='{"command": 3, "bad"' helper 1 get index.docker.io
	assert_equal "$out" "credentials not found in native keychain"
	azsim_assert 0 service=registry
}

@test "registry: inside a job of the submitter, without a spec, it is the submitter" {
	unset MSI_ENDPOINT MSI_SECRET DEFAULT_IDENTITY_CLIENT_ID
	OBO_ENDPOINT=$(azsim_env obo | cut -d= -f2-) helper 0 get "$REG"
	secret_is_of "$AZSIM_USER_OID"
}

# bats test_tags=root
@test "registry: docker pulls and runs an image with it, and docker login needs no password" {
	requires_root
	docker_or_skip
	registry_image train/hello v1 "$TOOLS/exit7"
	mkdir "$T/docker"
	echo "{\"credHelpers\":{\"$REG\":\"amlshim\"}}" >"$T/docker/config.json"
	export DOCKER_CONFIG=$T/docker PATH=$BATS_FILE_TMPDIR:$PATH
	run_status 0 docker pull "$REG/train/hello:v1"
	azsim_assert 1 op=RegistryToken status=200 "oid=$AZSIM_UAI_OID"
	azsim_assert + op=RegistryPull status=200 "oid=$AZSIM_UAI_OID"
	run_status 7 docker run --rm --label "$docker_label" --network host "$REG/train/hello:v1"
	run_status 0 docker rmi "$REG/train/hello:v1"
	run_status 0 docker login "$REG"
	run_status 0 docker logout "$REG"
	run_status 1 grep -q auth\" "$T/docker/config.json"
	AMLSHIM_REGISTRIES='' run_status 1 docker pull "$REG/train/hello:v1"
	azsim_assert 0 op=RegistryPull auth=anonymous status=200
}
