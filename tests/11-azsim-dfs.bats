#!/usr/bin/env bats
# The simulator's dfs endpoint: by the official Data Lake client, and by tables of what the service
# refuses.

load helpers
load lib/azsim

setup_file() {
	"$BATS_TEST_DIRNAME/../scripts/npm-tools.sh" >/dev/null	# installs on the first run
	export AZSIM_DIR=$BATS_FILE_TMPDIR/azsim
	azsim_start --account name=onelake,onelake=1 --container onelake/sales
}

teardown_file() {
	azsim_stop
}

setup() {
	azsim_faults_off
	azsim_knob list_page_max=0 dfs_batch=0
	azsim_forget
	# Each test writes below a directory of its own.
	D=d$BATS_TEST_NUMBER
}

# Rows on stdin: tests/azsim/table.mjs.
table() {
	NODE_OPTIONS=--dns-result-order=ipv4first NODE_EXTRA_CA_CERTS=$AZSIM_CA \
	    BLOB_KEY=$AZSIM_KEY HTTP=127.0.0.1:$AZSIM_PORT HTTPS=localhost:$AZSIM_HTTPS_PORT \
	    timeout 120 node "$BATS_TEST_DIRNAME/azsim/table.mjs"
}

# The client is refused with this.
refused() { # "STATUS CODE" COMMAND...
	local want=$1
	shift
	run -1 azsim_dfs "$@"
	assert_equal "$output" "$want"
}

bats_require_minimum_version 1.5.0

@test "azsim dfs: files and directories are made, appended to, read, listed, deleted" {
	azsim_dfs put "data/$D/a/file" hello
	azsim_dfs append "data/$D/a/file" ' world'
	assert_equal "$(azsim_dfs get "data/$D/a/file")" 'hello world'
	azsim_dfs mkdir "data/$D/a/dir"
	refused '409 PathAlreadyExists' mkdir "data/$D/a/dir"
	assert_equal "$(azsim_dfs list "data/$D" 1)" "$(printf 'd\t0\t%s\n' "$D/a" "$D/a/dir"
	    printf 'f\t11\t%s\n' "$D/a/file")"
	azsim_assert 3 op=ListPaths
	refused '409 DirectoryNotEmpty' rm "data/$D/a"
	azsim_dfs rm "data/$D/a" all
	refused '404 PathNotFound' list "data/$D/a"
	refused '404 PathNotFound' rm "data/$D/a"
}

@test "azsim dfs: renames of files and directories, over what and where not" {
	azsim_dfs put "data/$D/a/one" 1
	azsim_dfs put "data/$D/two" 2
	azsim_dfs mkdir "data/$D/full/empty"
	etag=$(azsim_dfs stat "data/$D/a/one" | grep -o '"etag":"[^,]*')
	azsim_dfs mv "data/$D/a" "$D/b"
	assert_equal "$(azsim_dfs get "data/$D/b/one")" 1
	assert_equal "$(azsim_dfs stat "data/$D/b/one" | grep -o '"etag":"[^,]*')" "$etag"
	refused '404 SourcePathNotFound' mv "data/$D/a" "$D/c"
	azsim_dfs mv "data/$D/two" "$D/b/one"
	assert_equal "$(azsim_dfs get "data/$D/b/one")" 2
	azsim_dfs put "data/$D/two" 3
	refused '409 PathAlreadyExists' mv "data/$D/two" "$D/b/one" new
	refused '404 RenameDestinationParentPathNotFound' mv "data/$D/two" "$D/nowhere/two"
	refused '409 InvalidSourceOrDestinationResourceType' mv "data/$D/two" "$D/full/empty"
	refused '409 PathAlreadyExists' mv "data/$D/b" "$D/full"
	refused '409 InvalidRenameSourcePath' mv "data/$D/b" "$D/b/below"
	azsim_dfs mv "data/$D/b" "$D/full/empty"
	assert_equal "$(azsim_dfs get "data/$D/full/empty/one")" 2
}

@test "azsim dfs: a large rename or delete goes on where the one before stopped" {
	for i in 1 2 3 4 5; do
		azsim_dfs put "data/$D/a/f$i" $i
	done
	azsim_knob dfs_batch=2
	azsim_forget
	azsim_dfs rm "data/$D/a" all		# the client asks until nothing is left
	azsim_assert 3 op=DeletePath status=200
	refused '404 PathNotFound' stat "data/$D/a"
}

@test "azsim dfs: owners, modes, access control lists, and who may set them" {
	local token
	token=$(azsim_token "oid=$AZSIM_UAI_OID")
	BLOB_TOKEN=$token azsim_dfs --auth bearer put "data/$D/mine" x
	azsim_dfs put "data/$D/theirs" x
	assert_equal "$(azsim_dfs access "data/$D/mine")" \
	    "{\"owner\":\"$AZSIM_UAI_OID\",\"group\":\"\$superuser\",\"mode\":\"rw-r-----\",\"acl\":\"user::rw-,group::r--,other::---\"}"
	BLOB_TOKEN=$token azsim_dfs --auth bearer chmod "data/$D/mine" 751
	assert_in "$(azsim_dfs access "data/$D/mine")" '"mode":"rwxr-x--x"'
	BLOB_TOKEN=$token refused '403 AuthorizationPermissionMismatch' --auth bearer chmod "data/$D/theirs" 777
	azsim_role "oid=$AZSIM_UAI_OID" role=owner account="$AZSIM_HNS_ACCOUNT"
	BLOB_TOKEN=$token azsim_dfs --auth bearer chown "data/$D/theirs" 1000 1001
	assert_in "$(azsim_dfs access "data/$D/theirs")" '"owner":"1000","group":"1001"'
	assert_equal "$(azsim_dfs acl "data/$D" 'user::rwx,group::r-x,other::---,user:abc:r-x' all)" \
	    '{"failedChangesCount":0,"changedDirectoriesCount":1,"changedFilesCount":2}'
	assert_in "$(azsim_dfs access "data/$D/mine")" 'user:abc:r-x'
	assert_in "$(azsim_dfs access data/)" '"mode":"rwxr-x---"'
	# The other endpoint tells the same, and an upload there starts anew.
	AZSIM_TO=$AZSIM_HNS_ACCOUNT azsim_put "data/$D" "$AZSIM_CA"
	assert_in "$(azsim_dfs access "data/$D/ca.pem")" '"mode":"rw-r-----"'
}

@test "azsim dfs: SAS of a filesystem and of a directory" {
	local sas
	sas=$(azsim_dfs sas data racwdlm)
	BLOB_SAS=$sas azsim_dfs --auth sas put "data/$D/s/f" x
	BLOB_SAS=$sas azsim_dfs --auth sas mv "data/$D/s/f" "$D/s/g"
	sas=$(azsim_dfs sas "data/$D/s" rl)
	assert_equal "$(BLOB_SAS=$sas azsim_dfs --auth sas get "data/$D/s/g")" x
	BLOB_SAS=$sas refused '403 AuthorizationPermissionMismatch' --auth sas mv "data/$D/s/g" "$D/s/h"
	sas=$(azsim_dfs sas data rwcl)		# creating there is allowed, taking away here is not
	BLOB_SAS=$sas refused '403 AuthorizationPermissionMismatch' --auth sas mv "data/$D/s/g" "$D/s/h"
}

@test "azsim dfs: both endpoints see each other's files, and neither takes the other's writing on" {
	azsim_dfs put "data/$D/by-dfs" text
	export BLOB_ENDPOINT=$AZSIM_HNS_ENDPOINT
	assert_equal "$(azsim_blob get "data/$D/by-dfs")" text
	azsim_blob put "data/$D" "$AZSIM_CA"
	cmp <(azsim_dfs get "data/$D/ca.pem") "$AZSIM_CA"
	refused '409 InvalidFlushOperation' append "data/$D/ca.pem" more
	table <<-END
	409 InvalidBlobType PUT /hnsacct/data/$D/by-dfs?comp=block&blockid=AAAA key body=x
	201 - PUT /hnsacct/data/$D/by-dfs key x-ms-blob-type:BlockBlob body=whole
	201 - PUT /hnsacct/data/$D/by-dfs?comp=block&blockid=AAAA key body=x
	END
}

@test "azsim dfs: what the service refuses" {
	azsim_dfs put "data/$D/f" x
	table <<-END
	400 MissingRequiredHeader GET /hnsacct/data?resource=filesystem&recursive=true key -x-ms-version
	400 InvalidHeaderValue GET /hnsacct/data?resource=filesystem&recursive=true key x-ms-version:2021-12-03
	400 UnsupportedRestVersion GET /hnsacct/data?resource=filesystem&recursive=true key x-ms-version:2018-03-28
	400 MissingRequiredQueryParameter GET /hnsacct/data?resource=filesystem key
	400 InvalidQueryParameterValue GET /hnsacct/data?resource=filesystem&recursive=maybe key
	400 UnsupportedQueryParameter GET /hnsacct/data?resource=filesystem&recursive=true&prefix=a key
	404 FilesystemNotFound GET /hnsacct/nodata?resource=filesystem&recursive=true key >body:{"error":{"code":"FilesystemNotFound"
	404 PathNotFound GET /hnsacct/data?resource=filesystem&recursive=true&directory=no key
	409 ResourceTypeMismatch GET /hnsacct/data?resource=filesystem&recursive=true&directory=$D/f key
	401 NoAuthenticationInformation GET /hnsacct/data?resource=filesystem&recursive=true >www-authenticate:Bearer
	400 UnsupportedHeader PUT /hnsacct/data/$D/g?resource=file key x-ms-blob-type:BlockBlob
	411 MissingContentLengthHeader PATCH /hnsacct/data/$D/f?action=append&position=0 key body=x chunked
	400 ContentLengthMustBeZero PUT /hnsacct/data/$D/g?resource=file key body=x
	400 InvalidHeaderValue PUT /hnsacct/data/$D/g?resource=file key x-ms-permissions:999
	400 MissingRequiredQueryParameter PATCH /hnsacct/data/$D/f?action=append key body=x
	400 InvalidFlushPosition PATCH /hnsacct/data/$D/f?action=flush&position=9 key
	202 - PATCH /hnsacct/data/$D/f?action=append&position=5 key body=gap
	400 InvalidFlushPosition PATCH /hnsacct/data/$D/f?action=flush&position=8 key
	400 MissingRequiredHeader PATCH /hnsacct/data/$D/f?action=setAccessControl key
	400 InvalidInput PATCH /hnsacct/data/$D/f?action=setAccessControl key x-ms-permissions:0700 x-ms-acl:user::rwx,group::---,other::---
	400 InvalidInput PATCH /hnsacct/data/$D/f?action=setAccessControl key x-ms-acl:user::rwx
	412 ConditionNotMet PATCH /hnsacct/data/$D/f?action=setAccessControl key x-ms-permissions:0700 if-match:"0x1"
	400 MissingRequiredQueryParameter DELETE /hnsacct/data/$D?continuation= key
	400 InvalidSourceUri PUT /hnsacct/data/$D/g?mode=posix key x-ms-rename-source:$D/f
	400 InvalidQueryParameterValue PUT /hnsacct/data/$D/g?mode=dos key x-ms-rename-source:/hnsacct/data/$D/f
	412 SourceConditionNotMet PUT /hnsacct/data/$D/g?mode=posix key x-ms-rename-source:/hnsacct/data/$D/f x-ms-source-if-match:"0x1"
	400 HierarchicalNamespaceNotEnabled HEAD /acct/data/f?action=getAccessControl key
	END
}

@test "azsim dfs: OneLake keeps its own folders, takes tokens alone, ignores owners and says so" {
	local token
	azsim_role "oid=$AZSIM_UAI_OID" role=contributor account=onelake
	token=$(azsim_token "oid=$AZSIM_UAI_OID")
	export TOKEN=$token BLOB_TOKEN=$token DFS_ENDPOINT=https://onelake.dfs.test.local:$AZSIM_HTTPS_PORT
	AZSIM_TO=onelake azsim_put sales/l.Lakehouse/Files "$AZSIM_CA"
	azsim_dfs --auth bearer put sales/l.Lakehouse/Files/f text
	azsim_dfs --auth bearer mv sales/l.Lakehouse/Files/f l.Lakehouse/Files/g
	assert_equal "$(azsim_dfs --auth bearer get sales/l.Lakehouse/Files/g)" text
	refused '403 OperationNotAllowedOnManagedFolder' --auth bearer mkdir sales/l.Lakehouse/Other
	refused '403 OperationNotAllowedOnManagedFolder' --auth bearer mv sales/l.Lakehouse/Files l.Lakehouse/Files/x/y
	refused '403 OperationNotAllowedOnManagedFolder' --auth bearer rm sales/l.Lakehouse all
	refused '400 UnsupportedQueryParameter' --auth bearer chmod sales/l.Lakehouse/Files/g 777
	table <<-END
	403 KeyBasedAuthenticationNotPermitted GET /onelake/sales?resource=filesystem&recursive=true key
	201 - PUT /onelake/sales/l.Lakehouse/Files/d?resource=directory token=TOKEN x-ms-permissions:0777 content-length:0 >x-ms-rejected-headers:x-ms-permissions
	400 UnsupportedQueryParameter PUT /onelake/more?restype=container token=TOKEN content-length:0
	200 - GET /onelake/sales?restype=container&comp=list&prefix=l.Lakehouse/ token=TOKEN >body:l.Lakehouse/Files/g
	END
}
