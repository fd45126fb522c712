#!/usr/bin/env bats
# A datastore whose service principal has a certificate: signed as asked, and judged by the simulated
# directory; what is said of a credential that cannot sign.

load helpers
load lib/jobs

setup_file() {
	local name
	cd "$BATS_FILE_TMPDIR" || return
	for name in own other; do
		openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=$name -days 30 -keyout $name.key -out $name.crt 2>/dev/null
		openssl x509 -in $name.crt -noout -fingerprint -sha1 | sed 's/.*=//' >$name.sha1
	done
	openssl rsa -in own.key -traditional -out own.rsa 2>/dev/null
	jobs_begin --app "client_id=$SECOND_ID,oid=$SECOND_OID,cert=$BATS_FILE_TMPDIR/own.crt"
	echo hello >hello.txt
	AZSIM_TO=$AZSIM_HNS_ACCOUNT azsim_put data hello.txt
}

teardown_file() {
	jobs_end
}

setup() {
	azsim_reset
	store_use lake
	WHO=certificate job_identity='' job_env=() job_flags=()
}

teardown() {
	jobs_cleanup
}

# credential THUMBPRINT-FILE PEM-FILE...
credential() {
	local print=$1
	shift
	# shellcheck disable=SC2034 # for jobs.bash
	job_credentials="credentials: {tenant_id: $AZSIM_TENANT, client_id: $SECOND_ID, thumbprint: '$(cat "$BATS_FILE_TMPDIR/$print")',
    authority_url: 'https://localhost:$AZSIM_HTTPS_PORT', certificate: \"$(cat "${@/#/$BATS_FILE_TMPDIR/}" | awk '{ printf "%s\\n", $0 }')\"}"
	job_write <<-END
		command: cat \${{inputs.data}}/hello.txt
		inputs:
		  data: {type: uri_folder, mode: download, path: azureml://datastores/store/paths/}
	END
}

signs() { # ALG
	azsim_forget
	job_run 0 plain -vv
	assert_in "$out" hello
	azsim_assert 1 op=EntraToken status=200 "oid=$SECOND_OID"
	azsim_assert + service=blob "oid=$SECOND_OID"
	refute_in "$err" "$(sed -n 2p "$BATS_FILE_TMPDIR/own.key")"
	refute_in "$err" eyJ
}

@test "certificate: PKCS#8 and PKCS#1 keys, before or behind the certificate, as PS256" {
	credential own.sha1 own.crt own.key
	signs
	credential own.sha1 own.rsa other.crt own.crt
	signs
}

@test "certificate: as RS256 where that is asked for" {
	credential own.sha1 own.crt own.key
	job_env=(AMLSHIM_CERTIFICATE_ALG=RS256)
	signs
}

cannot() { # STATUS TEXT
	azsim_forget
	job_run "$1" plain -vv
	refute_in "$out" hello
	assert_in "$err" "$2"
	assert_in "$err" "service principal $SECOND_ID (certificate) of datastore store"
	refute_in "$err" "$(sed -n 2p "$BATS_FILE_TMPDIR/own.key")"
}

@test "certificate: what the credential lacks is named, and nothing is sent" {
	credential own.sha1 own.crt
	cannot 2 "the certificate credential holds no private key"
	credential own.sha1 own.key
	cannot 2 "the certificate credential holds no certificate"
	credential own.sha1 own.key other.crt
	cannot 2 "do not belong together"
	credential other.sha1 own.crt own.key
	cannot 2 "its thumbprint is $(tr -d : <"$BATS_FILE_TMPDIR/own.sha1"), the datastore says $(tr -d : <"$BATS_FILE_TMPDIR/other.sha1")"
	azsim_assert 0 op=EntraToken
}

@test "certificate: one that the application does not have is refused, with what to do" {
	credential other.sha1 other.crt other.key
	cannot 121 AADSTS700027
	assert_in "$err" "to its app registration"
	azsim_assert 1 op=EntraToken
	azsim_assert 0 service=blob
}
