#!/usr/bin/env bats
# ADLS Gen1: mounts, copies and doctor through WebHDFS, on the simulator alone (the service is retired).
# bats file_tags=root

load helpers
load lib/jobs

setup_file() {
	jobs_begin --account name=oldlake,gen1=1 --app "client_id=$SECOND_ID,oid=$SECOND_OID,secret=open~sesame+/1"
	export AZSIM_TO=oldlake
}

teardown_file() {
	jobs_end
}

setup() {
	requires_fuse
	store_use gen1
	job_as fallback
	T=$BATS_TEST_TMPDIR
}

teardown() {
	azsim_knob gen1_open_max=0
	jobs_cleanup
}

# noise SIZE FILE: bytes that do not repeat, the same for the same size.
noise() {
	head -c "$1" /dev/zero | openssl enc -aes-128-ctr -K "$(printf '%032x' "$1")" \
	    -iv "$(printf '%032x' 0)" >"$2"
}

# job_of FOLDER COMMAND: the folder of the store is mounted as ${{inputs.data}}.
job_of() {
	job_write <<-END
		command: $2
		inputs:
		  data: {type: uri_folder, path: azureml://datastores/store/paths/$1/}
	END
}

# job_to FOLDER MODE COMMAND: its output is ${{outputs.out}}.
job_to() {
	job_write <<-END
		command: $3
		outputs:
		  out: {type: uri_folder, mode: $2, path: azureml://datastores/store/paths/$1/}
	END
}

script() {
	cat >"$T/script.sh"
}

# doctor STATUS [FLAG...]: as job_run.
doctor() {
	local want=$1 i
	shift
	job_command plain "$@"
	for i in "${!job_words[@]}"; do
		[ "${job_words[i]}" = "$AMLSHIM" ] && break
	done
	run_status "$want" "${job_words[@]:0:i+1}" doctor "${job_words[@]:i+1}"
}

# gen1_has NAME FILE
gen1_has() {
	azsim_get "root/$1" >"$T/got" && cmp "$T/got" "$2"
}

# ---- the simulator, by the service's own client

sdk_begin() {
	local package=python3-azure-datalake-store
	"$BATS_TEST_DIRNAME/../scripts/apt-install.sh" $package >/dev/null 2>&1 3>&- ||
	    { [ -n "$(apt-cache policy $package)" ] && return 1; skip "this Debian has no $package"; }
	SDK_TOKEN=$(azsim_token "oid=$1" aud=https://datalake.azure.net/)
}

# sdk STATUS WORD...: tests/sdk/gen1.py; $out is what it says.
sdk() {
	local want=$1
	shift
	run_status "$want" env "GEN1_URL=https://localhost:$AZSIM_HTTPS_PORT/oldlake/" \
	    "GEN1_TOKEN=$SDK_TOKEN" "REQUESTS_CA_BUNDLE=$STORE_CA" no_proxy=localhost \
	    /usr/bin/python3 "$BATS_TEST_DIRNAME/sdk/gen1.py" "$@"
}

@test "gen1: the simulator satisfies the official client, and what it writes a mount reads" {
	sdk_begin "$FIRST_OID"
	noise 9000001 "$T/large"
	noise 77 "$T/small é"
	sdk 0 mkdir sdk/empty
	sdk 0 put "$T/large" sdk/sub/large
	sdk 0 put "$T/small é" "sdk/small é"
	azsim_knob list_page_max=1
	sdk 0 ls sdk
	assert_equal "$out" "sdk/empty
sdk/small é
sdk/sub"
	sdk 0 walk sdk
	assert_equal "$out" "sdk/small é
sdk/sub/large"
	sdk 0 info sdk/sub/large
	assert_equal "$out" "FILE 9000001"
	sdk 0 mv sdk/sub/large sdk/moved
	sdk 3 info sdk/sub/large
	assert_equal "$out" FileNotFoundError
	sdk 3 rm sdk/nothing
	job_of sdk "cmp \${{inputs.data}}/moved $T/large && cmp '\${{inputs.data}}/small é' '$T/small é' && ls \${{inputs.data}}"
	job_run 0 plain
	assert_equal "$out" "empty
moved
small é
sub"
	job_to sdk rw_mount "cp $T/large \${{outputs.out}}/ours"
	job_run 0 plain
	sdk 0 get sdk/ours
	cmp "$T/large" "$BATS_TEST_TMPDIR/out"
	sdk 0 rm sdk/ours
	sdk 0 rmtree sdk
	sdk 3 ls sdk
	assert_equal "$out" FileNotFoundError
	azsim_assert 0 service=gen1 code=IllegalArgumentException
	sdk_begin "$OUTSIDER_OID"
	sdk 3 ls read
	assert_equal "$out" PermissionError
}

# ---- jobs

@test "gen1: a mount reads every byte, also of answers that are short, cut and refused" {
	mkdir -p "$T/set/sub dir"
	noise 9000001 "$T/set/large"
	noise 4096 "$T/set/sub dir/small é#%+&"
	: >"$T/set/sub dir/empty"
	azsim_put root/read "$T/set"
	job_of read/set "diff -r \${{inputs.data}} $T/set && echo same"
	azsim_knob gen1_open_max=700000 list_page_max=1
	azsim_fault op=OPEN truncate=100000 count=2
	azsim_fault op=OPEN status=403 code=ThrottledException count=2
	azsim_fault op=OPEN status=429 code=ThrottledException retry_after=1 count=1
	azsim_fault op=LISTSTATUS status=503 code=RuntimeException count=1
	azsim_fault op=GETFILESTATUS reset=1 count=1
	for how in plain pid1; do
		job_run 0 $how
		assert_equal "$out" same
		job_left_nothing
	done
	azsim_assert 0 service=blob
	azsim_assert + op=OPEN code=ThrottledException fault=true
	azsim_assert + op=OPEN auth=bearer "oid=$FIRST_OID"
	azsim_assert + op=LISTSTATUS has=listAfter
	# A range and, when its bytes are here, the file's status.
	azsim_faults_off
	azsim_knob gen1_open_max=0
	azsim_forget
	job_of read/set "wc -c <\"\${{inputs.data}}/sub dir/small é#%+&\""
	job_run 0 plain
	assert_equal "$out" 4096
	azsim_assert 1 op=OPEN "range=0+4096" status=200
}

@test "gen1: a file replaced while it is read is ESTALE, never mixed bytes" {
	noise 40000000 "$T/first"
	noise 40000001 "$T/second"
	cp "$T/first" "$T/blob"
	script <<-END
		exec 3<\$1/blob
		dd bs=1M count=2 iflag=fullblock <&3 2>/dev/null >$T/head
		"$AZSIM" ctl $AZSIM_PORT PUT /_azsim/blob/oldlake/root/replaced/blob $T/second >/dev/null
		LC_ALL=C cat <&3 >$T/rest || echo "reading ended with an error"
		exec 3<&-
		cat $T/head $T/rest | cmp - $T/first 2>&1 | sed 's/.*EOF on -.*/a part of the first/'
		LC_ALL=C cmp \$1/blob $T/second && echo "opened again: the second"
	END
	job_of replaced "sh $T/script.sh \${{inputs.data}}"
	for how in plain pid1; do
		azsim_put root/replaced "$T/blob"
		job_run 0 $how --memory 16M
		assert_equal "$out" "reading ended with an error
a part of the first
opened again: the second"
		assert_in "$err" "Stale file handle"
	done
}

@test "gen1: a file that became shorter while it is read is ESTALE" {
	noise 40000000 "$T/blob"
	script <<-END
		exec 3<\$1/blob
		dd bs=1M count=1 iflag=fullblock <&3 2>/dev/null | wc -c
		"$AZSIM" ctl $AZSIM_PORT PUT /_azsim/blob/oldlake/root/shorter/blob $T/script.sh >/dev/null
		LC_ALL=C tail -c 1000 <&3 >/dev/null || echo "reading ended with an error"
	END
	azsim_put root/shorter "$T/blob"
	job_of shorter "sh $T/script.sh \${{inputs.data}}"
	job_run 0 plain --memory 16M
	assert_equal "$out" "1048576
reading ended with an error"
	assert_in "$err" "Stale file handle"
}

@test "gen1: a writable mount: create, overwrite, directories, rename, delete" {
	noise 9000001 "$T/large"
	noise 5000 "$T/small"
	script <<-END
		set -e
		cd \$1
		mkdir -p a/b
		cp $T/large a/b/large
		cp $T/small a/tmp
		mv a/tmp a/final
		echo one >a/over && echo two >a/over && cat a/over
		cp $T/small a/gone && rm a/gone
		mkdir a/empty a/left && rmdir a/left
		mv a moved
		cp $T/small new && mv new moved/final
		ls -R moved
	END
	for how in plain pid1; do
		job_to written-$how rw_mount "sh $T/script.sh \${{outputs.out}}"
		job_run 0 $how
		assert_equal "$out" "two
moved:
b
empty
final
over

moved/b:
large

moved/empty:"
		job_left_nothing
		gen1_has written-$how/moved/b/large "$T/large"
		gen1_has written-$how/moved/final "$T/small"
		assert_equal "$(azsim_get root/written-$how/moved/over)" two
		refute azsim_get root/written-$how/moved/gone
		refute azsim_get root/written-$how/new
		azsim_assert + op=RENAME "path=/oldlake/webhdfs/v1/written-$how/a" status=200
	done
}

@test "gen1: an upload whose answers are lost comes out once and whole; one that fails leaves nothing" {
	noise 9000001 "$T/large"
	job_to lost rw_mount "cp $T/large \${{outputs.out}}/large"
	azsim_fault op=CREATE lose=1 count=1
	azsim_fault op=APPEND lose=1 count=2
	azsim_fault op=RENAME lose=1 count=1
	azsim_fault op=APPEND status=403 code=ThrottledException count=1 skip=2
	job_run 0 plain
	gen1_has lost/large "$T/large"
	azsim_assert + op=APPEND code=BadOffsetException
	azsim_faults_off
	azsim_forget
	azsim_fault op=APPEND status=403 code=IOException
	job_to fails rw_mount "cp $T/large \${{outputs.out}}/large"
	job_run 1 plain
	assert_in "$err" "IOException"
	refute azsim_get root/fails/large
	azsim_assert + op=CREATE status=201
	azsim_assert "$(azsim_count op=CREATE)" op=DELETE has=.amlshim- status=200
}

@test "gen1: what the service only answers with false is an error" {
	noise 5000 "$T/small"
	job_to false rw_mount "cp $T/small \${{outputs.out}}/small"
	azsim_fault op=RENAME 'body={"boolean":false}' type=application/json
	job_run 1 plain
	assert_in "$err" "did not rename it"
}

@test "gen1: download and upload, as service principal and as the submitter" {
	local how
	mkdir -p "$T/set/sub"
	noise 5000001 "$T/set/sub/one"
	noise 77 "$T/set/two"
	azsim_put root/down "$T/set"
	for how in user principal; do
		if [ $how = user ]; then
			job_as user
		else
			job_as fallback
			job_identity='' job_env=()
			job_credentials="credentials: {tenant_id: $AZSIM_TENANT, client_id: $SECOND_ID, client_secret: 'open~sesame+/1', authority_url: 'https://localhost:$AZSIM_HTTPS_PORT'}"
		fi
		job_write <<-END
			command: cp -r \${{inputs.data}}/. \${{outputs.out}}
			inputs:
			  data: {type: uri_folder, mode: download, path: azureml://datastores/store/paths/down/set/}
			outputs:
			  out: {type: uri_folder, mode: upload, path: azureml://datastores/store/paths/up-$how/}
		END
		job_run 0 pid1
		job_left_nothing
		gen1_has "up-$how/sub/one" "$T/set/sub/one"
		gen1_has "up-$how/two" "$T/set/two"
	done
	azsim_assert + op=OPEN "oid=$USER_OID"
	azsim_assert + op=OPEN "oid=$SECOND_OID"
}

@test "gen1: an adl URI, host-style, in a cloud of one's own" {
	noise 5000 "$T/small"
	azsim_put root/adl "$T/small"
	job_write <<-END
		command: cmp \${{inputs.data}}/small $T/small && echo same
		inputs:
		  data: {type: uri_folder, path: "adl://oldlake.vault.localhost:$AZSIM_HTTPS_PORT/adl/"}
	END
	cat >"$T/cloud.json" <<-END
		{ "name": "Local", "authority": "https://localhost:$AZSIM_HTTPS_PORT",
		"arm": "https://management.azure.com", "storage_suffix": "core.windows.net",
		"storage_resource": "https://storage.azure.com/", "gen1_suffix": "vault.localhost",
		"gen1_resource": "https://datalake.azure.net/", "vault_suffix": "vault.test.local",
		"vault_resource": "https://vault.azure.net", "registry_suffix": "cr.test.local",
		"registry_resource": "https://containerregistry.azure.net",
		"aml_resource": "https://ml.azure.com/" }
	END
	job_run 0 plain --cloud "$T/cloud.json"
	assert_equal "$out" same
	azsim_assert + op=OPEN "path=/webhdfs/v1/adl/small"
}

@test "gen1: denied: the access control list to change is named; an entry in it is enough" {
	noise 5000 "$T/small"
	azsim_put root/acl/set "$T/small"
	job_as outsider
	job_of acl/set "cat \${{inputs.data}}/small | cmp - $T/small && echo same"
	job_run 122 plain
	assert_in "$err" "403 AccessControlException"
	assert_in "$err" "object id $OUTSIDER_OID"
	assert_in "$err" "access control lists r-x on https://localhost:$AZSIM_HTTPS_PORT/oldlake/acl/set"
	azsim_acl "oid=$OUTSIDER_OID" account=oldlake container=root path= permissions=--x
	azsim_acl "oid=$OUTSIDER_OID" account=oldlake container=root path=acl permissions=--x
	azsim_acl "oid=$OUTSIDER_OID" account=oldlake container=root path=acl/set permissions=r-x default=1
	job_run 0 plain
	assert_equal "$out" same
	job_to acl/set rw_mount "cp $T/small \${{outputs.out}}/new"
	job_run 1 plain
	assert_in "$err" "Permission denied"
	refute azsim_get root/acl/set/new
}

@test "gen1: a name that is not there, and a token for another audience, are told apart" {
	job_of missing 'exit 0'
	job_run 120 plain
	assert_in "$err" "/oldlake/missing"
	job_credentials="credentials: {tenant_id: $AZSIM_TENANT, client_id: $SECOND_ID, client_secret: 'open~sesame+/1', authority_url: 'https://localhost:$AZSIM_HTTPS_PORT', resource_url: 'https://storage.azure.com/'}"
	job_of missing 'exit 0'
	job_run 122 plain
	assert_in "$err" "401 SecurityException"
	assert_in "$err" "does not take tokens of the audience"
}

@test "gen1: doctor looks, puts and deletes a small file; of the retired service it says so" {
	noise 5 "$T/small"
	azsim_put root/doctor "$T/small"
	job_to doctor rw_mount 'exit 0'
	doctor 0 --write
	assert_in "$out" "lists https://localhost:$AZSIM_HTTPS_PORT/oldlake/doctor"
	assert_in "$out" "a small blob was put and deleted"
	# The name itself, reached through a proxy that is not there.
	sed -i '/^endpoint/d' "$JOB/store.yml"
	job_env+=(https_proxy=http://127.0.0.1:9 no_proxy=127.0.0.1)
	doctor 120
	assert_in "$out" "Gen1 was retired on 29 February 2024"
}
