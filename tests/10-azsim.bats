#!/usr/bin/env bats
# The simulator itself, before it judges anything: by the official clients, and by tables of what the
# services refuse.

load helpers
load lib/azsim

setup_file() {
	"$BATS_TEST_DIRNAME/../scripts/npm-tools.sh" >/dev/null	# installs on the first run
	export AZSIM_DIR=$BATS_FILE_TMPDIR/azsim
	azsim_start
	printf 'hello world' >"$BATS_FILE_TMPDIR/hello"
	head -c 3000000 /dev/urandom >"$BATS_FILE_TMPDIR/noise"
	azsim_put data "$BATS_FILE_TMPDIR/hello" "$BATS_FILE_TMPDIR/noise"
}

teardown_file() {
	azsim_stop
}

setup() {
	azsim_faults_off
	azsim_forget
	hello=$BATS_FILE_TMPDIR/hello
	noise=$BATS_FILE_TMPDIR/noise
}

node_tls() {
	NODE_OPTIONS=--dns-result-order=ipv4first NODE_EXTRA_CA_CERTS=$AZSIM_CA \
	    BLOB_KEY=$AZSIM_KEY HTTP=127.0.0.1:$AZSIM_PORT HTTPS=localhost:$AZSIM_HTTPS_PORT \
	    timeout 120 node "$@"
}

# Rows on stdin: tests/azsim/table.mjs.
table() {
	node_tls "$BATS_TEST_DIRNAME/azsim/table.mjs"
}

# sdk COMMAND [ENDPOINT]: tests/azsim/sdk.mjs in a container of this test's own.
sdk() {
	BLOB_ENDPOINT=${2:-$AZSIM_ENDPOINT} \
	    node_tls "$BATS_TEST_DIRNAME/azsim/sdk.mjs" "$1" "test-$BATS_TEST_NUMBER-$BATS_SUITE_TEST_NUMBER"
}

# whose_token KIND [ARG...]: the claims that an official credential gets.
whose_token() {
	local kind=$1
	shift
	# shellcheck disable=SC2046 # NAME=VALUE words
	env $(azsim_env "$kind") timeout 60 node "$BATS_TEST_DIRNAME/sdk/broker.mjs" token "$@"
}

# ask PATH [HEADER:VALUE...]: over plain HTTP
ask() {
	local path=$1
	shift
	azsim_ctl GET "$path" "$@"
}

@test "azsim: the official client puts, lists and gets by key, SAS and bearer token" {
	local token sas
	azsim_blob mkcontainer auth
	azsim_blob put auth/key "$hello" "$noise"
	sas=$(azsim_blob sas account)
	BLOB_SAS=$sas azsim_blob --auth sas put auth/account "$hello"
	sas=$(azsim_blob sas auth rcwl)
	BLOB_SAS=$sas azsim_blob --auth sas put auth/container "$hello"
	token=$(azsim_token "oid=$AZSIM_UAI_OID")
	BLOB_TOKEN=$token azsim_blob --auth bearer put auth/bearer "$hello"
	sas=$(BLOB_TOKEN=$token azsim_blob --auth bearer sas auth rcwl)
	BLOB_SAS=$sas azsim_blob --auth sas put auth/delegated "$hello"
	for auth in account bearer container delegated key; do
		[ "$(BLOB_TOKEN=$token azsim_blob --auth bearer get auth/$auth/hello)" = "hello world" ]
	done
	BLOB_SAS=$sas run azsim_blob --auth sas list auth
	[ "$(wc -l <<<"$output")" -eq 6 ]
	azsim_blob get auth/key/noise "$BATS_TEST_TMPDIR/noise"
	cmp "$BATS_TEST_TMPDIR/noise" "$noise"
	azsim_assert + op=PutBlob auth=account-sas status=201
	azsim_assert + op=PutBlob auth=service-sas status=201
	azsim_assert + op=PutBlob auth=user-sas "oid=$AZSIM_UAI_OID" status=201
	azsim_assert + op=PutBlob auth=bearer "oid=$AZSIM_UAI_OID" status=201
}

@test "azsim: blocks, as the official client stages, lists and commits them" {
	sdk blocks
}

@test "azsim: conditions" {
	sdk conditions
}

@test "azsim: a copy is made at once, or is pending and then done" {
	sdk copy
	azsim_assert 1 op=CopyBlob status=202
	azsim_assert 0 op=GetBlobProperties has=/from
	azsim_knob copy_pending_ms=300
	sdk copy
	azsim_knob copy_pending_ms=0
	[ "$(azsim_count op=GetBlobProperties has=copy/to)" -ge 4 ]
}

@test "azsim: names of every kind come back as they went in" {
	sdk names
	# What XML cannot hold is percent-encoded, by versions that say so.
	table <<-'END'
	201 - PUT /acct/names?restype=container key
	201 - PUT /acct/names/one%01two%25 key x-ms-blob-type:BlockBlob
	201 - PUT /acct/names/cr%0D key x-ms-blob-type:BlockBlob
	200 - GET /acct/names?restype=container&comp=list key >body:<Name+Encoded="true">one%01two%25</Name>
	200 - GET /acct/names?restype=container&comp=list key >body:<Name>cr&#xD;</Name>
	END
}

@test "azsim: listings in pages, short pages and empty pages" {
	sdk pages
	azsim_knob list_empty_pages=1 list_page_max=2
	sdk pages
	azsim_knob list_empty_pages=0 list_page_max=0
}

@test "azsim: ranges" {
	sdk ranges
}

@test "azsim: checksums" {
	sdk checksums
}

@test "azsim: metadata and stored headers" {
	sdk metadata
}

@test "azsim: directories of a hierarchical account are real" {
	sdk hns "$AZSIM_HNS_ENDPOINT"
}

@test "azsim: the official credential gets tokens from each kind of endpoint" {
	run whose_token imds
	assert_in "$output" "oid $AZSIM_SYSTEM_OID"
	assert_in "$output" "tid $AZSIM_TENANT"
	run whose_token imds --client-id "$AZSIM_UAI_CLIENT_ID"
	assert_in "$output" "oid $AZSIM_UAI_OID"
	run whose_token appservice
	assert_in "$output" "oid $AZSIM_SYSTEM_OID"
	run whose_token appservice --client-id "$AZSIM_UAI_CLIENT_ID"
	assert_in "$output" "oid $AZSIM_UAI_OID"
	DEFAULT_IDENTITY_CLIENT_ID=$AZSIM_SYSTEM_CLIENT_ID run whose_token aml
	assert_in "$output" "oid $AZSIM_SYSTEM_OID"
	run whose_token obo --obo
	assert_in "$output" "oid $AZSIM_USER_OID"
	assert_in "$output" "upn ann@example.com"
	run whose_token imds --client-id c11e0000-0000-4000-8000-00000000dead
	[ "$status" -ne 0 ]
	assert_in "$output" "Identity not found"
}

@test "azsim: what the metadata service refuses" {
	table <<-'END'
	400 * GET /metadata/identity/oauth2/token?api-version=2018-02-01&resource=https://storage.azure.com/ http >body:bad_request_102
	400 * GET /metadata/identity/oauth2/token?api-version=2018-02-01&resource=https://storage.azure.com/ http Metadata:True >body:bad_request_102
	400 * GET /metadata/identity/oauth2/token?api-version=2018-02-01&resource=https://storage.azure.com/ http Metadata:true X-Forwarded-For:1.2.3.4 >body:X-Forwarded-For
	400 * GET /metadata/identity/oauth2/token?resource=https://storage.azure.com/ http Metadata:true >body:api-version
	400 * GET /metadata/identity/oauth2/token?api-version=2018-02-01 http Metadata:true >body:invalid_request
	400 * GET /metadata/identity/oauth2/token?api-version=2018-02-01&resource=https://nowhere.example/ http Metadata:true >body:invalid_resource
	400 * GET /metadata/identity/oauth2/token?api-version=2018-02-01&resource=https://storage.azure.com/&client_id=x http Metadata:true >body:Identity
	400 * GET /metadata/identity/oauth2/token?api-version=2018-02-01&resource=https://storage.azure.com/&client_id=x&object_id=y http Metadata:true >body:invalid_request
	405 * POST /metadata/identity/oauth2/token?api-version=2018-02-01&resource=https://storage.azure.com/ http Metadata:true
	200 - GET /metadata/identity/oauth2/token?api-version=2018-02-01&resource=https://storage.azure.com/ http Metadata:true >body:"expires_on":"
	END
}

@test "azsim: the Azure ML endpoint and its traps" {
	local q="/MSI/auth?api-version=2017-09-01&resource=https://storage.azure.com/"
	run ask "$q&clientid=$AZSIM_UAI_CLIENT_ID"
	[ "$status" -eq 22 ]
	run ask "$q&clientid=$AZSIM_UAI_CLIENT_ID" secret:wrong
	[ "$status" -eq 22 ]
	azsim_assert 2 op=AmlToken status=401
	run ask "$q" "secret:$AZSIM_SECRET"
	[ "$status" -eq 0 ]
	[ -z "$output" ]
	run ask "$q&clientid=c11e0000-0000-4000-8000-00000000dead" "secret:$AZSIM_SECRET"
	[ "$status" -eq 22 ]
	assert_in "$output" "status code: 404"
	run ask "$q&clientid=$AZSIM_UAI_CLIENT_ID" "secret:$AZSIM_SECRET"
	assert_in "$output" '"expires_on":1'
	refute_in "$output" expires_in
	run ask "$q&clientid=clientid" "secret:$AZSIM_SECRET"
	azsim_assert 1 op=AmlToken "oid=$AZSIM_USER_OID" status=200
	azsim_knob compute_instance=1
	run ask "$q" "secret:$AZSIM_SECRET"
	azsim_knob compute_instance=0
	azsim_assert 2 op=AmlToken "oid=$AZSIM_USER_OID" status=200
}

@test "azsim: the App Service endpoint and the on-behalf-of endpoint" {
	local q="/msi/token?api-version=2019-08-01&resource=https://storage.azure.com/"
	run ask "$q"
	[ "$status" -eq 22 ]
	assert_in "$output" '"statusCode":401'
	run ask "$q&client_id=x" "X-IDENTITY-HEADER:$AZSIM_SECRET"
	[ "$status" -eq 22 ]
	assert_in "$output" "No Managed Identity found"
	run ask "/msi/token?resource=https://storage.azure.com/" "X-IDENTITY-HEADER:$AZSIM_SECRET"
	assert_in "$output" '"statusCode":400'
	run ask "$q&mi_res_id=$AZSIM_UAI_RESOURCE_ID" "X-IDENTITY-HEADER:$AZSIM_SECRET"
	assert_in "$output" '"expires_on":"1'
	refute_in "$output" expires_in
	azsim_assert 1 op=AppServiceToken "oid=$AZSIM_UAI_OID" status=200
	run ask "/OBO/token"
	[ "$status" -eq 22 ]
	azsim_knob obo_empty=1
	run ask "/OBO/token?resource=https://storage.azure.com/"
	azsim_knob obo_empty=0
	[ "$status" -eq 0 ]
	[ -z "$output" ]
}

@test "azsim: a token's lifetime is a knob" {
	azsim_knob token_lifetime_s=2
	run whose_token obo --obo
	azsim_knob token_lifetime_s=0
	assert_in "$output" "life "
	[ "$(sed -n 's/^life //p' <<<"$output")" -le 2 ]
}

@test "azsim: which bearer tokens storage takes" {
	GOOD=$(azsim_token "oid=$AZSIM_UAI_OID")
	OWN=$(azsim_token "oid=$AZSIM_UAI_OID" "aud=https://acct.blob.core.windows.net")
	OTHER=$(azsim_token "oid=$AZSIM_UAI_OID" "aud=https://hnsacct.blob.core.windows.net")
	ARM=$(azsim_token "oid=$AZSIM_UAI_OID" aud=https://management.azure.com/)
	OLD=$(azsim_token "oid=$AZSIM_UAI_OID" exp=-1)
	EARLY=$(azsim_token "oid=$AZSIM_UAI_OID" nbf=600)
	TENANT=$(azsim_token "oid=$AZSIM_UAI_OID" tid=11111111-0000-4000-8000-000000000000)
	STRANGER=$(azsim_token oid=0b1ec700-0000-4000-8000-00000000dead)
	FORGED=${GOOD%?????}AAAAA
	JUNK=junk
	export GOOD OWN OTHER ARM OLD EARLY TENANT STRANGER FORGED JUNK
	table <<-'END'
	200 - GET /acct/data/hello token=GOOD
	200 - GET /acct/data/hello token=OWN
	401 InvalidAuthenticationInfo GET /acct/data/hello token=OTHER >body:Audience
	401 InvalidAuthenticationInfo GET /acct/data/hello token=ARM >body:Audience >www-authenticate:72f988bf-0000-4000-8000-2d7cd011db47
	401 InvalidAuthenticationInfo HEAD /acct/data/hello token=ARM
	401 InvalidAuthenticationInfo GET /acct/data/hello token=OLD >body:expired
	401 InvalidAuthenticationInfo GET /acct/data/hello token=EARLY >body:Lifetime
	401 InvalidAuthenticationInfo GET /acct/data/hello token=TENANT >body:Issuer
	401 InvalidAuthenticationInfo GET /acct/data/hello token=FORGED >body:Signature
	401 InvalidAuthenticationInfo GET /acct/data/hello token=JUNK
	403 AuthorizationPermissionMismatch GET /acct/data/hello token=STRANGER
	403 AuthenticationFailed GET /acct/data/hello token=GOOD http >body:HTTP
	403 AuthenticationFailed GET /acct/data/hello token=GOOD x-ms-version:2017-07-29
	400 MissingRequiredHeader GET /acct/data/hello token=GOOD -x-ms-version
	400 InvalidAuthenticationInfo GET /acct/data/hello Authorization:Negotiate+abc
	401 NoAuthenticationInformation GET /acct/data/hello >www-authenticate:authorization_uri=https://login.microsoftonline.com/
	404 ResourceNotFound GET /acct/data/hello x-ms-version:2019-07-07
	END
}

@test "azsim: roles, by container and kind, and settings of the account" {
	export READER CONTRIBUTOR
	READER=$(azsim_token oid=0b1ec700-0000-4000-8000-000000000001)
	CONTRIBUTOR=$(azsim_token oid=0b1ec700-0000-4000-8000-000000000002)
	azsim_role oid=0b1ec700-0000-4000-8000-000000000001 role=reader container=data
	azsim_role oid=0b1ec700-0000-4000-8000-000000000002 role=contributor account=acct
	table <<-'END'
	200 - GET /acct/data/hello token=READER
	200 - GET /acct/data?restype=container&comp=list token=READER
	403 AuthorizationPermissionMismatch PUT /acct/data/new token=READER x-ms-blob-type:BlockBlob
	403 AuthorizationPermissionMismatch DELETE /acct/data/hello token=READER
	403 AuthorizationPermissionMismatch GET /acct/other?restype=container&comp=list token=READER
	201 - PUT /acct/data/new token=CONTRIBUTOR x-ms-blob-type:BlockBlob
	404 ContainerNotFound GET /acct/other?restype=container&comp=list token=CONTRIBUTOR
	403 AuthorizationPermissionMismatch GET /hnsacct/data?restype=container&comp=list token=CONTRIBUTOR
	END
	azsim_account name=acct network=deny
	table <<<"403 AuthorizationFailure GET /acct/data/hello token=READER"
	azsim_account name=acct network=allow shared_key=off
	table <<<"403 KeyBasedAuthenticationNotPermitted GET /acct/data/hello key"
	azsim_account name=acct shared_key=on key=b3RoZXI=
	table <<<"403 AuthenticationFailed GET /acct/data/hello key"
	table <<<"200 - GET /acct/data/hello key=b3RoZXI="
	azsim_account name=acct "key=$AZSIM_KEY" https_only=on
	table <<<"400 AccountRequiresHttps GET /acct/data/hello key http"
	azsim_account name=acct https_only=off
	azsim_roles_off oid=0b1ec700-0000-4000-8000-000000000001
	table <<<"403 AuthorizationPermissionMismatch GET /acct/data/hello token=READER"
}

@test "azsim: SharedKey: what the signature covers" {
	table <<-'END'
	200 - GET /acct/data/hello key http
	206 - GET /acct/data/hello key range:bytes=0-3
	206 - GET /acct/data/hello key x-ms-range:bytes=0-3
	403 AuthenticationFailed GET /acct/data/hello key=b3RoZXI= >body:string
	403 AuthenticationFailed GET /acct/data/hello key account=hnsacct
	403 AuthenticationFailed GET /acct/data/hello key date=-1000 >body:date
	403 AuthenticationFailed GET /acct/data/hello key date=1000
	403 AuthenticationFailed GET /acct/data/hello key x-ms-date:yesterday
	200 - GET /acct/data/hello key date=-800
	400 InvalidAuthenticationInfo GET /acct/data/hello Authorization:SharedKey+acct
	400 MissingRequiredHeader GET /acct/data/hello key -x-ms-version
	400 InvalidHeaderValue GET /acct/data/hello key x-ms-version:2021-12-03 >body:x-ms-version
	200 - GET /data/hello key account=acct host=acct.blob.test.local
	200 - GET /acct/data?restype=container&comp=list&prefix=he%20%2B key
	END
}

@test "azsim: SAS: permissions, scope, time and protocol" {
	export R W EXPIRED ACCOUNT BAD CREATE
	R=$(azsim_blob sas data/hello r)
	W=$(azsim_blob sas data w)
	CREATE=$(azsim_blob sas data c)
	EXPIRED=$(azsim_blob sas data rl -60)
	ACCOUNT=$(azsim_blob sas account rl)
	BAD=${R/sp=r/sp=rw}
	table <<-'END'
	200 - GET /acct/data/hello query=R
	200 - GET /acct/data/hello query=R -x-ms-version
	403 AuthenticationFailed GET /acct/data/noise query=R >body:Signature
	403 AuthenticationFailed GET /acct/data/hello query=BAD >body:Signature
	403 AuthenticationFailed GET /acct/data?restype=container&comp=list query=R
	403 AuthorizationPermissionMismatch DELETE /acct/data/hello query=R
	403 AuthorizationPermissionMismatch GET /acct/data/hello query=W
	403 AuthenticationFailed GET /acct/data/hello query=EXPIRED >body:time
	403 AuthorizationProtocolMismatch GET /acct/data/hello query=R http
	201 - PUT /acct/data/by-sas query=CREATE x-ms-blob-type:BlockBlob
	403 UnauthorizedBlobOverwrite PUT /acct/data/by-sas query=CREATE x-ms-blob-type:BlockBlob
	201 - PUT /acct/data/by-sas query=W x-ms-blob-type:BlockBlob
	403 AuthorizationFailure GET /acct/data?restype=container query=W
	200 - GET /acct/data?restype=container&comp=list query=ACCOUNT
	403 AuthorizationPermissionMismatch PUT /acct/data/by-sas query=ACCOUNT x-ms-blob-type:BlockBlob
	END
	azsim_assert 0 has=sig=%
}

@test "azsim: requests that the Blob service would refuse" {
	table <<-'END'
	400 MissingRequiredHeader PUT /acct/data/x key >body:x-ms-blob-type
	400 InvalidHeaderValue PUT /acct/data/x key x-ms-blob-type:Block
	501 NotImplemented PUT /acct/data/x key x-ms-blob-type:AppendBlob
	411 MissingContentLengthHeader PUT /acct/data/x key x-ms-blob-type:BlockBlob chunked body=abc
	400 UnsupportedHeader GET /acct/data/hello key x-ms-colour:red >body:x-ms-colour
	400 InvalidQueryParameterValue GET /acct/data/hello?colour=red key >body:colour
	400 InvalidQueryParameterValue GET /acct/data/hello?comp=nonsense key >body:comp
	400 InvalidQueryParameterValue GET /acct/data?restype=nonsense key
	501 NotImplemented PUT /acct/data/hello?comp=lease key
	405 UnsupportedHttpVerb PATCH /acct/data/hello key
	400 OutOfRangeQueryParameterValue GET /acct/data?restype=container&comp=list&maxresults=0 key
	400 InvalidQueryParameterValue GET /acct/data?restype=container&comp=list&maxresults=x key
	400 InvalidQueryParameterValue GET /acct/data?restype=container&comp=list&marker=made-up key
	400 InvalidQueryParameterValue GET /acct/data?restype=container&comp=list&include=permissions key
	200 - GET /hnsacct/data?restype=container&comp=list&include=permissions key
	400 InvalidQueryParameterValue GET /acct/data?restype=container&comp=list&include=everything key
	400 InvalidHeaderValue GET /acct/data/hello key range:bytes=-3
	400 InvalidHeaderValue GET /acct/data/hello key x-ms-range:bytes=0-1,3-4
	416 InvalidRange GET /acct/data/hello key range:bytes=11- >content-range:bytes
	206 - GET /acct/data/hello key range:bytes=10-100 >content-range:10-10/11
	400 InvalidHeaderValue GET /acct/data/hello key if-match:0x1
	412 ConditionNotMet GET /acct/data/hello key if-match:"0x1"
	304 ConditionNotMet GET /acct/data/hello key if-none-match:*
	400 InvalidResourceName PUT /acct/Upper?restype=container key
	400 InvalidResourceName PUT /acct/a?restype=container key
	409 ContainerAlreadyExists PUT /acct/data?restype=container key
	404 ContainerNotFound PUT /acct/absent/x key x-ms-blob-type:BlockBlob
	404 BlobNotFound HEAD /acct/data/absent key
	404 ResourceNotFound GET /nobody/data/hello key
	400 InvalidUri GET /acct/data/%ff key
	400 MissingRequiredQueryParameter PUT /acct/data/x?comp=block key body=abc
	400 InvalidQueryParameterValue PUT /acct/data/x?comp=block&blockid=not*base64 key body=abc
	400 InvalidHeaderValue PUT /acct/data/x?comp=block&blockid=YWFh key
	400 InvalidXmlDocument PUT /acct/data/x?comp=blocklist key body=<BlockList>
	400 InvalidXmlNodeValue PUT /acct/data/x?comp=blocklist key body=<BlockList><Newest>YWFh</Newest></BlockList>
	400 InvalidBlockList PUT /acct/data/x?comp=blocklist key body=<BlockList><Latest>YWFh</Latest></BlockList>
	400 InvalidMd5 PUT /acct/data/x key x-ms-blob-type:BlockBlob content-md5:abc body=abc
	400 InvalidMetadata PUT /acct/data/x key x-ms-blob-type:BlockBlob x-ms-meta-1a:x
	200 - GET /acct/data/hello key x-ms-client-request-id:abc-def >x-ms-client-request-id:abc-def >x-ms-version:2021-12-02
	END
}

@test "azsim: nobody in particular reads what is public" {
	azsim_blob mkcontainer open-blobs blob
	azsim_blob mkcontainer open-all container
	azsim_put open-blobs "$hello"
	azsim_put open-all "$hello"
	table <<-'END'
	200 - GET /acct/open-blobs/hello
	401 NoAuthenticationInformation GET /acct/open-blobs?restype=container&comp=list
	200 - GET /acct/open-all?restype=container&comp=list
	401 NoAuthenticationInformation DELETE /acct/open-all/hello
	409 PublicAccessNotPermitted PUT /hnsacct/open?restype=container key x-ms-blob-public-access:blob
	END
}

@test "azsim: faults are counted, skipped and limited" {
	local id
	id=$(azsim_fault path=/acct/data/hello skip=1 count=2 status=503 code=ServerBusy retry_after=7)
	table <<-'END'
	200 - GET /acct/data/hello key
	200 - GET /acct/data/noise key
	503 ServerBusy GET /acct/data/hello key >retry-after:7
	503 ServerBusy HEAD /acct/data/hello key
	END
	[ "$(azsim_ctl GET "/_azsim/fault?id=$id")" = '{"hits":2}' ]
	table <<<"200 - GET /acct/data/hello key"
	azsim_assert 2 status=503 fault=true
	printf '{"op": "GetBlob", "count": 1, "status": 500}' >"$BATS_TEST_TMPDIR/rule"
	azsim_ctl POST /_azsim/fault "$BATS_TEST_TMPDIR/rule"
	table <<<"500 - GET /acct/data/hello key"
	run azsim_fault op=GetBlob colour=red
	[ "$status" -ne 0 ]
	azsim_fault op=ImdsToken status=410 count=1
	azsim_fault op=ImdsToken body=oops type=text/html count=1
	table <<-'END'
	410 - GET /metadata/identity/oauth2/token http
	200 - GET /metadata/identity/oauth2/token http >body:oops >content-type:text/html
	400 * GET /metadata/identity/oauth2/token http
	END
}

@test "azsim: answers that are reset, lost, cut, stalled, late or wrong" {
	local start
	azsim_fault op=PutBlob reset=1 count=1
	run table <<<"201 - PUT /acct/data/lost key x-ms-blob-type:BlockBlob body=abc"
	[ "$status" -ne 0 ]
	table <<<"404 BlobNotFound GET /acct/data/lost key"
	azsim_fault op=PutBlob lose=1 count=1
	run table <<<"201 - PUT /acct/data/lost key x-ms-blob-type:BlockBlob body=abc"
	[ "$status" -ne 0 ]
	table <<<"200 - GET /acct/data/lost key >body:abc"
	azsim_fault op=GetBlob truncate=5 count=2
	run table <<<"200 - GET /acct/data/hello key"
	[ "$status" -ne 0 ]
	assert_in "$output" aborted
	run table <<<"200 - GET /acct/data/hello key http"
	[ "$status" -ne 0 ]
	azsim_fault op=GetBlob flip=4 count=1
	table <<<"200 - GET /acct/data/hello key >body:hellO"
	azsim_fault op=GetBlob delay=300 stall=300 after=5 count=1
	start=$(date +%s%N)
	table <<<"200 - GET /acct/data/hello key >body:hello"
	[ $(($(date +%s%N) - start)) -ge 600000000 ]
}

@test "azsim: latency, and the rate of one connection" {
	local start took
	azsim_knob latency_ms=200 rate_bytes_per_s=10000000
	start=$(date +%s%N)
	azsim_blob get data/noise "$BATS_TEST_TMPDIR/noise"
	took=$(($(date +%s%N) - start))
	azsim_knob latency_ms=0 rate_bytes_per_s=0
	cmp "$BATS_TEST_TMPDIR/noise" "$noise"
	[ "$took" -ge 480000000 ]
	[ "$(azsim_log op=GetBlob | sed 's/.*"took_ms":\([0-9]*\).*/\1/')" -ge 480 ]
}

@test "azsim: an idle connection is closed" {
	azsim_knob idle_ms=200
	azsim_blob get data/hello
	azsim_knob idle_ms=120000
	wait_for 30 eval '[ "$(azsim_ctl GET /_azsim/stats | sed "s/.*\"connections_now\":\([0-9]*\).*/\1/")" = 1 ]'
}

@test "azsim: synthetic blobs have the same bytes whoever asks and at any offset" {
	azsim_ctl POST "/_azsim/synthetic?account=acct&container=syn&name=big&size=5000001"
	azsim_ctl POST "/_azsim/synthetic?account=acct&container=syn&name=many/f&size=100&count=12000"
	azsim_blob get syn/big "$BATS_TEST_TMPDIR/a"
	azsim_get syn/big >"$BATS_TEST_TMPDIR/b"
	cmp "$BATS_TEST_TMPDIR/a" "$BATS_TEST_TMPDIR/b"
	[ "$(stat -c %s "$BATS_TEST_TMPDIR/a")" = 5000001 ]
	# Each MiB is another.
	[ "$(split -b 1M --filter='md5sum' "$BATS_TEST_TMPDIR/a" | sort -u | wc -l)" -eq 5 ]
	[ "$(azsim_blob list syn/many | wc -l)" -eq 12000 ]
	azsim_assert 3 op=ListBlobs status=200
}

@test "azsim: the RSA certificate serves as well" {
	local first=$AZSIM_DIR
	AZSIM_DIR=$BATS_TEST_TMPDIR/rsa AZSIM_CERTS=$first/certs AZSIM_LEAF=server-rsa azsim_start
	azsim_put data "$hello"
	run azsim_blob get data/hello
	AZSIM_DIR=$BATS_TEST_TMPDIR/rsa azsim_stop
	[ "$output" = "hello world" ]
}

@test "azsim: Azurite takes its tokens" {
	source "$BATS_TEST_DIRNAME/lib/azurite.bash"
	local token status=0
	token=$(azsim_token "oid=$AZSIM_UAI_OID")
	azurite_start "$BATS_TEST_TMPDIR/azurite" >/dev/null
	BLOB_TOKEN=$token azurite_blob --auth bearer mkcontainer data || status=$?
	azurite_stop "$BATS_TEST_TMPDIR/azurite"
	[ "$status" -eq 0 ]
}

@test "azsim: the journal holds no secret" {
	local sas token
	sas=$(azsim_blob sas data rl)
	token=$(azsim_token "oid=$AZSIM_UAI_OID")
	BLOB_SAS=$sas azsim_blob --auth sas list data
	BLOB_TOKEN=$token azsim_blob --auth bearer list data
	ask "/MSI/auth?api-version=2017-09-01&resource=https://storage.azure.com/&clientid=$AZSIM_UAI_CLIENT_ID" \
	    "secret:$AZSIM_SECRET" >/dev/null
	azsim_log >"$BATS_TEST_TMPDIR/log"
	[ "$(wc -l <"$BATS_TEST_TMPDIR/log")" -eq 3 ]
	cat "$AZSIM_DIR/requests" >>"$BATS_TEST_TMPDIR/log"
	for secret in "${sas##*sig=}" "$token" "${token##*.}" eyJ "$AZSIM_SECRET" "$AZSIM_KEY"; do
		if grep -F -- "${secret%%&*}" "$BATS_TEST_TMPDIR/log"; then
			return 1
		fi
	done
}

# ---- Entra ID, Arc, Service Fabric, Cloud Shell: an azsim of their own, with applications

identities_start() {
	export AZSIM_DIR=$BATS_TEST_TMPDIR/identities
	APP=aaaaaaaa-0000-4000-8000-0000000000a1 APP_OID=aaaaaaaa-1111-4000-8000-0000000000a1
	openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=app -days 30 \
	    -keyout "$BATS_TEST_TMPDIR/app.key" -out "$BATS_TEST_TMPDIR/app.crt" 2>/dev/null
	cat "$BATS_TEST_TMPDIR/app.key" "$BATS_TEST_TMPDIR/app.crt" >"$BATS_TEST_TMPDIR/app.pem"
	mkdir -p "$BATS_TEST_TMPDIR/keys"
	azsim_start --arc-keys "$BATS_TEST_TMPDIR/keys" \
	    --app "client_id=$APP,oid=$APP_OID,secret=open~sesame,cert=$BATS_TEST_TMPDIR/app.crt,federated=one"
}

entra() {
	ENTRA=localhost:$AZSIM_HTTPS_PORT TENANT=$AZSIM_TENANT CLIENT=$APP \
	    node_tls "$BATS_TEST_DIRNAME/azsim/entra.mjs" "$@"
}

teardown() {
	[ "$AZSIM_DIR" = "$BATS_FILE_TMPDIR/azsim" ] || azsim_stop
}

@test "azsim: Entra ID serves the official clients by secret, certificate and federated token" {
	identities_start
	echo one >"$BATS_TEST_TMPDIR/token"
	[ "$(entra secret 'open~sesame')" = "$APP_OID" ]
	[ "$(entra certificate "$BATS_TEST_TMPDIR/app.pem")" = "$APP_OID" ]
	printf one >"$BATS_TEST_TMPDIR/token"
	[ "$(entra workload "$BATS_TEST_TMPDIR/token")" = "$APP_OID" ]
	azsim_assert 3 op=EntraToken status=200
}

@test "azsim: Entra ID refuses the official clients what is wrong" {
	identities_start
	openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=other -days 30 \
	    -keyout "$BATS_TEST_TMPDIR/other.key" -out "$BATS_TEST_TMPDIR/other.crt" 2>/dev/null
	cat "$BATS_TEST_TMPDIR/other.key" "$BATS_TEST_TMPDIR/other.crt" >"$BATS_TEST_TMPDIR/other.pem"
	printf two >"$BATS_TEST_TMPDIR/token"
	assert_in "$(entra secret wrong || true)" AADSTS7000215
	assert_in "$(entra certificate "$BATS_TEST_TMPDIR/other.pem" || true)" AADSTS700027
	# Its certificate, signed with another key.
	cat "$BATS_TEST_TMPDIR/other.key" "$BATS_TEST_TMPDIR/app.crt" >"$BATS_TEST_TMPDIR/mixed.pem"
	assert_in "$(entra certificate "$BATS_TEST_TMPDIR/mixed.pem" || true)" AADSTS700027
	assert_in "$(entra workload "$BATS_TEST_TMPDIR/token" || true)" AADSTS
	azsim_assert 0 op=EntraToken status=200
}

@test "azsim: Entra ID refuses what the service refuses" {
	local path good want words
	identities_start
	path=/$AZSIM_TENANT/oauth2/v2.0/token
	good="grant_type=client_credentials client_id=$APP client_secret=open~sesame scope=https://storage.azure.com/.default"
	# shellcheck disable=SC2086 # words
	[ "$(entra post $path $good)" = "200 - -" ]
	while IFS='|' read -r want path words; do
		# shellcheck disable=SC2086 # words
		assert_equal "$words: $(entra post "${path:-/$AZSIM_TENANT/oauth2/v2.0/token}" $words)" "$words: $want"
	done <<-END
		400 900561 invalid_request||METHOD=GET
		400 900144 invalid_request||TYPE=application/json $good
		400 900144 invalid_request||${good#grant_type=client_credentials}
		400 900144 invalid_request||${good% scope=*}
		400 70003 unsupported_grant_type||${good/client_credentials/password}
		400 1002012 invalid_scope||${good/.default/user_impersonation}
		400 500011 invalid_resource||${good/storage.azure.com/nobody.example}
		400 700016 unauthorized_client||${good/$APP/$AZSIM_UAI_CLIENT_ID}
		400 90002 invalid_request|/contoso.example/oauth2/v2.0/token|$good
		400 90014 invalid_request||$good client_id=$APP
		401 7000218 invalid_client||${good/client_secret=open~sesame/}
		401 7000218 invalid_client||$good client_assertion=one
		401 7000218 invalid_client||${good/client_secret=open~sesame/client_assertion=one}
		401 7000215 invalid_client||${good/sesame/says-me}
	END
	refute azsim_ctl POST "/$AZSIM_TENANT/oauth2/v2.0/token"	# not without TLS
}

@test "azsim: Arc wants the key that its challenge names, once" {
	local url='/metadata/identity/oauth2/token?api-version=2020-06-01&resource=https://storage.azure.com/' key
	identities_start
	run ask "$url"
	assert_in "$output" bad_request_102
	run ask "$url" Metadata:true
	[ "$status" -ne 0 ]
	key=$(cat "$BATS_TEST_TMPDIR"/keys/*.key)
	assert_in "$(ask "$url" Metadata:true "Authorization:Basic $key")" access_token
	run ask "$url" Metadata:true "Authorization:Basic $key"
	refute_in "$output" access_token
}

@test "azsim: Cloud Shell wants a form, Metadata, and nothing but the resource" {
	identities_start
	echo -n resource=https%3A%2F%2Fstorage.azure.com%2F >"$BATS_TEST_TMPDIR/form"
	echo -n 'resource=https%3A%2F%2Fstorage.azure.com%2F&client_id=x' >"$BATS_TEST_TMPDIR/more"
	local type=Content-Type:application/x-www-form-urlencoded
	assert_in "$(azsim_ctl POST /oauth2/token "$BATS_TEST_TMPDIR/form" $type Metadata:true)" access_token
	for words in "$BATS_TEST_TMPDIR/form $type" "$BATS_TEST_TMPDIR/form Metadata:true" \
	    "$BATS_TEST_TMPDIR/more $type Metadata:true"; do
		# shellcheck disable=SC2086 # words
		run azsim_ctl POST /oauth2/token $words
		refute_in "$output" access_token
	done
	run azsim_ctl GET '/oauth2/token?resource=https://storage.azure.com/' Metadata:true
	refute_in "$output" access_token
}
