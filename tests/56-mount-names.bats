#!/usr/bin/env bats
# Names on accounts with a hierarchical namespace, and on OneLake: renames are one request, modes go
# to the service where that is wanted; on flat accounts a rename copies.
# bats file_tags=root

load helpers
load lib/jobs

setup_file() {
	jobs_begin --account name=onelake,onelake=1 --container onelake/sales
}

teardown_file() {
	jobs_end
}

setup() {
	requires_fuse
	store_use lake
	job_as managed
	T=$BATS_TEST_TMPDIR
	PREFIX=n$BATS_TEST_NUMBER
}

teardown() {
	azsim_knob dfs_batch=0
	azsim_account name="$AZSIM_HNS_ACCOUNT" dfs=allow
	jobs_cleanup
}

# The script on stdin is the job's; it begins in its output, $1 is this directory.
job_in() {
	cat >"$T/script.sh"
	job_write <<-END
		command: cd \${{outputs.out}} && bash -e $T/script.sh $T
		outputs:
		  out: {type: uri_folder, path: azureml://datastores/store/paths/$PREFIX/}
	END
}

# A datastore that does not say what kind its account is.
as_blob() {
	STORE_TYPE=azure_blob STORE_CONTAINER_FIELD=container_name
}

# what PREFIX/NAME [SIZE]: files over there that nobody wrote through the mount.
many() { # NAME COUNT
	azsim_ctl POST "/_azsim/synthetic?account=$STORE_ACCOUNT&container=data&name=$PREFIX/$1&size=10&count=$2" >/dev/null
}

there() { # NAME
	azsim_ctl GET "/_azsim/blob/$STORE_ACCOUNT/data/$PREFIX/$1"
}

@test "names: a directory of 3000 files is renamed by one request, and what is open in it follows" {
	many big/f 3000
	job_in <<-'END'
		exec 4>big/open; echo before >&4
		mv big renamed
		echo after >&4; exec 4>&-
		[ "$(ls renamed | wc -l)" = 3001 ]
		cat renamed/f002999 >copy
		mkdir -p deep/er; mv renamed deep/er/again
		[ "$(stat -c %s deep/er/again/f000000)" = 10 ]
	END
	job_run 0 pid1
	silent
	azsim_assert 2 op=RenamePath
	azsim_assert 0 op=CopyBlob
	azsim_assert 0 op=DeleteBlob
	assert_equal "$(there deep/er/again/open)" "before
after"
	assert_equal "$(there copy | wc -c)" 10
	job_left_nothing
}

@test "names: on a flat account the same is copied, many at once, and said" {
	store_use azsim
	job_as key
	many big/f 1000
	azsim_knob latency_ms=20
	job_in <<<'mv big renamed; [ "$(ls renamed | wc -l)" = 1000 ]'
	job_run 0 plain
	azsim_assert 1000 op=CopyBlob
	azsim_assert 1000 op=DeleteBlob status=202
	azsim_assert 1 op=ListBlobs has=permissions	# what kind it is, asked for once
	assert_in "$err" "1000 blobs are copied"
	[ "$(azsim_ctl GET /_azsim/stats | sed 's/.*"inflight_peak":\([0-9]*\).*/\1/')" -ge 24 ]
}

@test "names: checkpoints, written aside and renamed over the last one" {
	local store want
	for store in lake azsim; do
		store_use $store
		azsim_forget
		job_in <<-'END'
			for i in 1 2 3 4 5; do
				echo "step $i" >ckpt.tmp
				mv ckpt.tmp ckpt
				[ "$(cat ckpt)" = "step $i" ] && [ ! -e ckpt.tmp ]
			done
			python3 - <<-PY
				import os
				f = os.open("last.tmp", os.O_RDWR | os.O_CREAT)
				os.write(f, b"still ")
				os.fsync(f)
				os.write(f, b"open")
				os.rename("last.tmp", "last")
				assert os.pread(f, 20, 0) == b"still open"
				os.close(f)
			PY
		END
		job_run 0 plain
		silent
		assert_equal "$(there ckpt)" "step 5"
		assert_equal "$(there last)" "still open"
		want=0
		[ $store = azsim ] || want=6
		azsim_assert $want op=RenamePath
		assert_equal "$(azsim_count op=CopyBlob)" $((6 - want))
	done
}

@test "names: RENAME_NOREPLACE holds against others, RENAME_EXCHANGE is refused" {
	echo a >"$T/a"
	azsim_ctl PUT "/_azsim/blob/$STORE_ACCOUNT/data/$PREFIX/a" "$T/a" >/dev/null
	job_in <<-END
		ls >/dev/null; [ ! -e b ]; echo d >d
		"$AZSIM" ctl "$AZSIM_PORT" PUT "/_azsim/blob/$STORE_ACCOUNT/data/$PREFIX/b" "$AZSIM_CA" >/dev/null
		python3 - <<-PY
			import ctypes, os
			libc = ctypes.CDLL(None, use_errno=True)
			def rename(a, b, flags):
			    at = -100
			    failed = libc.renameat2(at, a, at, b, flags)
			    return os.strerror(ctypes.get_errno()) if failed else "ok"
			print(rename(b"a", b"b", 1))
			print(rename(b"a", b"d", 2))
			print(rename(b"a", b"c", 1))
			print(rename(b"c", b"b", 0))
		PY
	END
	job_run 0 plain
	assert_equal "$out" "File exists
Invalid argument
ok
ok"
	assert_equal "$(there b)" a
}

@test "names: a parent that somebody took away is made again, a directory in the way goes if it is empty" {
	job_in <<-END
		mkdir d e f; echo x >x; echo y >e/y
		"$AZSIM" ctl "$AZSIM_PORT" DELETE "/_azsim/blob/$STORE_ACCOUNT/data/$PREFIX/d"
		mv x d/x
		mv -T e f
		mkdir g; mv -T g f 2>&1 || true
	END
	job_run 0 plain
	assert_in "$out" "Directory not empty"
	assert_equal "$(there d/x)" x
	assert_equal "$(there f/y)" y
}

@test "names: a rename whose answer is lost has happened, and is not an error" {
	many dir/f 20
	azsim_fault op=RenamePath lose=1 count=1
	azsim_fault op=RenamePath lose=1 skip=1 count=1 >/dev/null
	job_in <<-'END'
		mv dir moved
		[ "$(ls moved | wc -l)" = 20 ]
		echo x >tmp; mv tmp final
		[ "$(cat final)" = x ]
	END
	job_run 0 plain
	silent
	azsim_assert 2 op=RenamePath code=SourcePathNotFound
	assert_equal "$(there final)" x
}

@test "names: a rename in parts goes on to the end" {
	many dir/f 25
	azsim_knob dfs_batch=10
	job_in <<<'mv dir moved; [ "$(ls moved | wc -l)" = 25 ]'
	job_run 0 plain
	azsim_assert 3 op=RenamePath status=201
}

@test "names: an access control list that refuses is EACCES, with its remedy" {
	many open/f 1
	many sealed/f 1
	job_as outsider
	for path in '' "$PREFIX" "$PREFIX/open"; do
		azsim_acl oid="$OUTSIDER_OID" account="$STORE_ACCOUNT" container=data path="$path" permissions=rwx >/dev/null
	done
	azsim_acl oid="$OUTSIDER_OID" account="$STORE_ACCOUNT" container=data path="$PREFIX/open/f000000" permissions=rw- >/dev/null
	azsim_acl oid="$OUTSIDER_OID" account="$STORE_ACCOUNT" container=data path="$PREFIX/sealed" permissions=r-x >/dev/null
	job_in <<-'END'
		mv open/f000000 sealed/g 2>&1 || true
		mv open/f000000 open/g
	END
	job_run 0 plain
	assert_in "$out" "Permission denied"
	assert_in "$err" "AuthorizationPermissionMismatch"
	assert_in "$err" "or by access control lists rwx on the path"
	assert_equal "$(there open/g | wc -c)" 10
}

@test "names: a datastore of type azure_blob on a hierarchical account" {
	as_blob
	many dir/f 5
	job_in <<-'END'
		mv dir moved; mkdir new; mkdir new/empty
		echo x >new/x; mv new renamed; rmdir renamed/empty
	END
	job_run 0 plain
	silent
	azsim_assert 2 op=RenamePath
	azsim_assert 2 op=CreatePath
	azsim_assert 0 op=CopyBlob
	azsim_assert 0 op=ListBlobs has=permissions	# the first listing told
	assert_equal "$(there renamed/x)" x
	# Nothing is there that could tell.
	PREFIX=$PREFIX-new
	azsim_forget
	job_in <<<'mkdir d; echo x >d/x; mv d e'
	job_run 0 plain
	silent
	azsim_assert 1 op=RenamePath
	assert_equal "$(there e/x)" x
}

@test "names: --acl shows and sets the modes and owners of the service" {
	azsim_dfs put "data/$PREFIX/theirs" x
	azsim_dfs chmod "data/$PREFIX/theirs" 604
	azsim_dfs chown "data/$PREFIX/theirs" 1234 4321
	job_in <<-'END'
		stat -c '%a %u %g' theirs
		(umask 077; echo new >mine); chmod 751 mine; stat -c %a mine
		cat mine; echo more >>mine; cat mine
		mkdir -m 710 dir; mv mine dir/mine; stat -c '%a' dir dir/mine
		chmod 600 theirs 2>&1 || true
	END
	azsim_forget
	job_run 0 plain --acl
	assert_equal "$out" "604 1234 4321
751
new
new
more
710
751
chmod: changing permissions of 'theirs': Permission denied"
	assert_in "$err" "the role \"Storage Blob Data Owner\""
	assert_in "$(azsim_dfs access "data/$PREFIX/dir/mine")" '"mode":"rwxr-x--x"'
	assert_in "$(azsim_dfs access "data/$PREFIX/dir")" '"mode":"rwx--x---"'
	assert_equal "$(there dir/mine)" "new
more"
	# Without it they are the mount's own, and nothing is asked or sent.
	azsim_forget
	job_in <<<'stat -c %a theirs; chmod 600 theirs; stat -c %a theirs'
	job_run 0 plain
	assert_equal "$out" "755
600"
	azsim_assert 0 op=SetAccessControl
	azsim_assert 0 has=permissions
	# A flat account has none.
	store_use azsim
	job_as key
	job_in <<<'echo x >x; chmod 640 x; stat -c %a x'
	job_run 0 plain --acl
	assert_equal "$out" 640
	silent
}

@test "names: files that the dfs endpoint has written are replaced, small and large" {
	azsim_dfs put "data/$PREFIX/small" old
	azsim_dfs put "data/$PREFIX/large" old
	job_in <<-END
		echo new >small
		"$TOOLS/writefile" large 20000001 >/dev/null
	END
	job_run 0 plain
	silent
	assert_equal "$(there small)" new
	"$TOOLS/writefile" "$T/large" 20000001 >/dev/null
	there large >"$T/got"
	cmp "$T/got" "$T/large"
	assert_equal "$(azsim_dfs list "data/$PREFIX" | wc -l)" 2
}

@test "names: OneLake: read, written, renamed in one step; it takes no modes" {
	AZSIM_TO=onelake azsim_put sales/lake.Lakehouse/Files/in "$AZSIM_CA"
	job_in <<-END
		cmp $T/job/mnt/inputs/in/ca.pem $AZSIM_CA
		mkdir d; echo x >d/x; mv d e; "$TOOLS/writefile" e/large 20000001 >/dev/null
		chmod 600 e/x
	END
	cat >>"$JOB/job.yml" <<-END
		inputs:
		  in: {type: uri_folder, path: azureml://datastores/store/paths/Files/in/}
	END
	sed -i "s|paths/$PREFIX/|paths/Files/out/|" "$JOB/job.yml"
	cat >"$JOB/store.yml" <<-END
		name: store
		type: one_lake
		one_lake_workspace_name: sales
		endpoint: $STORE_HOST
		artifact: {name: lake, type: lake_house}
	END
	job_run 0 plain --acl
	assert_equal "$out" ""
	azsim_assert + op=RenamePath account=onelake
	assert_equal "$(azsim_ctl GET /_azsim/blob/onelake/sales/lake.Lakehouse/Files/out/e/x)" x
	job_left_nothing
}
