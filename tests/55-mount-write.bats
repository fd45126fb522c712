#!/usr/bin/env bats
# Writing through a mount, and uploads after the job: what the job wrote is in the store when amlshim
# ends, or amlshim says what is not, and keeps it.
# bats file_tags=root

load helpers
load lib/jobs

setup_file() {
	jobs_begin azurite
}

teardown_file() {
	jobs_end
}

setup() {
	requires_fuse
	store_use azsim
	job_as key
	T=$BATS_TEST_TMPDIR
	# Each test writes below a prefix of its own.
	PREFIX=w$BATS_TEST_NUMBER
}

teardown() {
	if [ -n "${SMALL-}" ]; then
		umount -l "$SMALL" || true
	fi
	jobs_cleanup
}

# job_to COMMAND [MODE]: ${{outputs.out}} is a folder of the store.
job_to() {
	job_write <<-END
		command: $1
		outputs:
		  out: {type: uri_folder, path: azureml://datastores/store/paths/$PREFIX/, mode: ${2:-rw_mount}}
	END
}

# A shell script for the job, from stdin.  Its first word is the output.
script() {
	cat >"$T/script.sh"
}

# The official client finds the tree that DIR holds.
store_holds() { # DIR
	rm -rf "$T/theirs"
	store_node "$BATS_TEST_DIRNAME/sdk/tree.mjs" "data/$PREFIX" "$T/theirs"
	diff -r "$1" "$T/theirs"
}

# Run the script on the mount and on a local directory: the store has to hold what the latter holds.
same_as_local() { # pid1|plain [FLAG...]
	job_to "bash -e $T/script.sh \${{outputs.out}}"
	job_run 0 "$@"
	silent
	job_left_nothing
	mkdir -p "$T/ours"
	TOOLS=$TOOLS bash -e "$T/script.sh" "$T/ours" >/dev/null
	store_holds "$T/ours"
}

# ---- what jobs do with files

every_operation() {
	script <<-'END'
		cd "$1"
		echo one >append; echo two >>append; echo three >>append
		echo old >overwritten; echo new >overwritten
		printf 0123456789 >shorter; truncate -s 4 shorter
		printf abc >longer; truncate -s 100000 longer; printf xyz >>longer
		seq 100000 >patched
		printf PATCH | dd of=patched bs=1 seek=123456 conv=notrunc 2>/dev/null
		echo gone >gone; rm gone
		mkdir empty; rmdir empty
		mkdir -p dir/sub/deep; echo x >dir/x; echo y >dir/sub/deep/y; mv dir moved
		echo a >name; mv name renamed
		echo first >target; echo second >source; mv source target
		mkdir into; mv renamed into/
		echo 1 >ckpt.tmp; mv ckpt.tmp ckpt; echo 2 >ckpt.tmp; mv ckpt.tmp ckpt
		cp -r moved copied
		: >zero
		mkdir 'odd %23 +dir'; echo odd >'odd %23 +dir/ü #1?&'
		mv 'odd %23 +dir' 'odd again'
		mkdir kept
		exec 4>held; echo before >&4; mv held held.moved; echo after >&4; exec 4>&-
		cat append >again; cmp append again
		[ "$(ls | wc -l)" -eq 15 ]
	END
}

@test "write: create, append, overwrite, truncate, patch, rename, unlink, mkdir, rmdir: azsim" {
	every_operation
	same_as_local pid1
}

@test "write: the same on a hierarchical account" {
	store_use lake
	job_as managed
	every_operation
	same_as_local plain
}

@test "write: the same on Azurite" {
	store_use azurite
	job_as user
	every_operation
	same_as_local plain
}

@test "write: existing files are there, and can be changed, appended to, deleted, renamed" {
	local how
	script <<-'END'
		cd "$1"
		cat keep/a >>changed
		printf B | dd of=keep/b bs=1 seek=3 conv=notrunc 2>/dev/null
		rm deleted; mv old new; mv folder renamed
		echo added >keep/c
		[ "$(cat untouched)" = same ]
	END
	for how in pid1 plain; do
		rm -rf "$T/ours" "$T/${PREFIX:?}"
		mkdir -p "$T/ours/keep" "$T/ours/folder/deep"
		echo hello >"$T/ours/keep/a"
		echo abcdefg >"$T/ours/keep/b"
		echo change >"$T/ours/changed"
		echo delete >"$T/ours/deleted"
		echo old >"$T/ours/old"
		echo same >"$T/ours/untouched"
		echo leaf >"$T/ours/folder/deep/leaf"
		cp -r "$T/ours" "$T/$PREFIX"
		PREFIX=$PREFIX$how
		mv "$T/${PREFIX%"$how"}" "$T/$PREFIX"
		azsim_put data "$T/$PREFIX"
		same_as_local $how
	done
}

@test "write: a file of 300 MiB goes out in blocks, within the memory bound" {
	script <<-END
		"$TOOLS/writefile" "\$1/large" 314572801 >/dev/null
		pid=\$(pgrep -f 'no such' || true)
		for pid in \$(ls /proc | grep '^[0-9]'); do
			if [ "\$(cat /proc/\$pid/comm 2>/dev/null)" = "amlshim:mount o" ]; then
				sed -n 's/^VmHWM:[^0-9]*\([0-9]*\).*/\1/p' /proc/\$pid/status
			fi
		done
	END
	job_to "sh $T/script.sh \${{outputs.out}}"
	job_run 0 pid1 --memory 64M
	[ "$out" -le $(((64 + ${USAGE_REST_MIB:-40}) * 1024)) ]
	"$TOOLS/writefile" "$T/large" 314572801 >/dev/null
	store_has "$PREFIX/large" "$T/large"
	azsim_assert 1 op=PutBlockList
	job_left_nothing
}

@test "write: a copied SQLite database, and one that is written in place" {
	sqlite3 "$T/local.db" 'create table t(n); with recursive c(n) as (select 1 union all select n+1 from c where n < 20000) insert into t select n from c;'
	script <<-END
		cp "$T/local.db" "\$1/copied.db"
		sqlite3 "\$1/placed.db" 'create table t(n); insert into t values(1),(2),(3);'
		sqlite3 "\$1/placed.db" 'update t set n = n * 10; delete from t where n = 20;'
		sqlite3 "\$1/copied.db" 'select count(*) from t'
	END
	job_to "bash -e $T/script.sh \${{outputs.out}}"
	job_run 0 plain
	assert_equal "$out" 20000
	store_has "$PREFIX/copied.db" "$T/local.db"
	store_blob get "data/$PREFIX/placed.db" "$T/placed.db"
	assert_equal "$(sqlite3 "$T/placed.db" 'pragma integrity_check; select group_concat(n) from t')" "ok
10,30"
	assert_equal "$(store_blob list "data/$PREFIX/" | wc -l)" 2
}

@test "write: a tar archive of 400 files is unpacked into it" {
	mkdir -p "$T/ours"
	for i in $(seq 400); do
		mkdir -p "$T/ours/d$((i % 20))"
		head -c $((i * 37)) /dev/urandom >"$T/ours/d$((i % 20))/f$i"
	done
	tar -C "$T/ours" -cf "$T/archive.tar" .
	job_to "tar -C \${{outputs.out}} --no-same-owner -xf $T/archive.tar"
	job_run 0 pid1
	store_holds "$T/ours"
	job_left_nothing
}

@test "write: many writers at once" {
	script <<-'END'
		cd "$1"
		for w in 1 2 3 4 5 6 7 8; do
			(for i in $(seq 25); do seq $w $((w * i * 10)) >w$w.$i; done) &
		done
		wait
	END
	same_as_local plain
}

@test "write: memory-mapped, and read back by another process before it is uploaded" {
	script <<-'END'
		python3 - "$1/mapped" <<-'PY'
			import mmap, sys
			with open(sys.argv[1], "w+b") as f:
			    f.truncate(300000)
			    with mmap.mmap(f.fileno(), 300000) as m:
			        m[100000:100005] = b"hello"
			        m.flush()
			        with open(sys.argv[1], "rb") as g:
			            g.seek(100000)
			            assert g.read(5) == b"hello"
		PY
		python3 - "$1/late" <<-'PY'
			import mmap, os, sys
			f = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)
			os.posix_fallocate(f, 0, 300000)
			m = mmap.mmap(f, 300000)
			m[10:15] = b"early"
			os.close(f)
			m[200000:200004] = b"late"
			m.close()
		PY
		exec 5>"$1/open"; echo "not closed yet" >&5
		cat "$1/open" >"$1/seen"; exec 5>&-
	END
	same_as_local plain
}

# requests COUNT OP FILE: so many were made for that file.
requests() {
	azsim_assert "$1" "op=$2" "has=/data/$PREFIX/$3\""
}

# By pread, read, private and shared mappings; by those who opened it before, and again and again.
@test "write: what is written is what others see, while it is written and after" {
	script <<-END
		python3 $BATS_TEST_DIRNAME/lib/watch.py "\$1" 1 >/dev/null
	END
	same_as_local plain
}

@test "write: what each way to write costs: requests" {
	script <<-'END'
		cd "$1"
		echo data >redirected
		{ /bin/echo one; /bin/echo two; } >group
		: >empty
		"$TOOLS/writefile" streamed 20000000
		"$TOOLS/writefile" shrunk 20000000; truncate -s 1000 shrunk
		# Small reads and writes with a seek back to the header, as archives are written.
		python3 - <<-'PY'
			with open("archive", "wb") as f:
			    for i in range(2500):
			        f.write(bytes([i % 251]) * 10000)
			    f.seek(4)
			    f.write(b"header")
			f = open("appended", "wb", buffering=0)
			f.write(b"x" * 20000000)
			import os
			for i in range(5):
			    os.fsync(f)
			    f.write(b"event %d" % i)
			f.close()
		PY
	END
	same_as_local plain
	requests 1 PutBlob redirected
	requests 2 PutBlob group		# each process that had it closes it
	requests 1 PutBlob empty
	requests 0 PutBlob streamed
	requests 3 PutBlock streamed
	requests 1 PutBlockList streamed
	requests 1 PutBlob shrunk
	requests 0 PutBlob archive
	requests 4 PutBlock archive		# three, and the first one again
	requests 1 PutBlockList archive
	requests 8 PutBlock appended		# three, and the last one each time
	requests 6 PutBlockList appended
	azsim_assert 0 op=GetBlockList
}

# By another node, or by a run before: blocks that are not touched stay as they are.
changes_of_large_files() {
	script <<-'END'
		cd "$1"
		printf PATCH | dd of=patched bs=1 seek=9000000 conv=notrunc 2>/dev/null
		echo more >>appended
		truncate -s 17000000 cut
		mv moved renamed; echo more >>renamed
		"$TOOLS/writefile" overwritten 20000000
	END
	mkdir -p "$T/ours"
	for i in patched appended cut moved overwritten; do
		"$TOOLS/writefile" "$T/ours/$i" 18000000 >/dev/null
	done
	job_to "cp -r $T/ours/. \${{outputs.out}}/" upload
	job_run 0 plain
	[ "$STORE" = azurite ] || azsim_forget
	same_as_local plain
}

@test "write: large files that are there are changed by the block" {
	changes_of_large_files
	requests 1 PutBlock patched
	requests 1 PutBlock appended
	requests 1 PutBlock cut
	requests 1 PutBlock renamed
	requests 3 PutBlock overwritten
	azsim_assert 0 op=PutBlob
}

# put_blocks NAME FILE PREFIX: as another program would, in blocks of 5 MB with ids of its own.
put_blocks() {
	local url list='' id i
	url=$STORE_ENDPOINT/data/$PREFIX/$1 sas=$(store_sas)
	split -b 5000000 -d "$2" "$T/piece."
	for i in "$T"/piece.*; do
		id=$(printf '%s%s' "$3" "${i##*.}" | base64)
		curl -sSf --cacert "$STORE_CA" -T "$i" -H 'x-ms-version: 2021-12-02' \
		    "$url?comp=block&blockid=${id//=/%3D}&$sas"
		list+="<Latest>$id</Latest>"
	done
	rm "$T"/piece.*
	curl -sSf --cacert "$STORE_CA" -X PUT -d "<BlockList>$list</BlockList>" \
	    -H 'x-ms-version: 2021-12-02' "$url?comp=blocklist&$sas"
}

@test "write: blocks that another program made are kept; ids of any length are no obstacle" {
	script <<-'END'
		cd "$1"
		echo more >>kept
		"$TOOLS/writefile" replaced 17000000
	END
	mkdir -p "$T/ours"
	"$TOOLS/writefile" "$T/ours/kept" 18000000 >/dev/null
	cp "$T/ours/kept" "$T/ours/replaced"
	put_blocks kept "$T/ours/kept" another-program-
	put_blocks replaced "$T/ours/replaced" another-program-
	azsim_forget
	same_as_local plain
	requests 1 PutBlock kept
	azsim_assert 1 op=PutBlock "has=/data/$PREFIX/kept\"" in=3000005
	azsim_assert 3 op=PutBlock "has=/data/$PREFIX/replaced\"" status=201
}

@test "write: another writer throws away the blocks that were sent: they are sent again" {
	"$TOOLS/writefile" "$T/f" 18000000 >/dev/null
	script <<-END
		import sys, time, urllib.request
		sim = "http://127.0.0.1:$AZSIM_PORT/_azsim/"
		data = open("$T/f", "rb").read()
		with open(sys.argv[1] + "/f", "wb") as f:
		    f.write(data)
		    f.flush()
		    while int(urllib.request.urlopen(sim + "log?count=1&op=PutBlock").read()) < 2:
		        time.sleep(0.01)
		    urllib.request.urlopen(urllib.request.Request(
		        sim + "blob/$AZSIM_ACCOUNT/data/$PREFIX/f", data=b"theirs", method="PUT"))
	END
	job_to "python3 $T/script.sh \${{outputs.out}}"
	job_run 0 plain
	store_has "$PREFIX/f" "$T/f"
	azsim_assert 1 op=PutBlockList code=InvalidBlockList
	azsim_assert 1 op=PutBlockList status=201
}

@test "write: the same on Azurite, by the block" {
	store_use azurite
	job_as key
	changes_of_large_files
}

@test "write: --write-behind: close does not wait, fsync does, all is there at the end" {
	azsim_knob latency_ms=200
	script <<-'END'
		cd "$1"
		for i in $(seq 100); do echo $i >f$i; done
		echo 1 >tmp; mv tmp final; echo gone >gone; rm gone
		mkdir d; echo 2 >d/moved; mv d e
		dd if=/dev/zero of=large bs=1M count=20 2>/dev/null
		echo sync >synced; sync synced
	END
	same_as_local pid1 --write-behind
	requests 1 PutBlob f100
	requests 0 PutBlob gone
	requests 1 PutBlob synced
}

@test "write: --write-behind: what fails is logged and tried again; at last it is 123 with the path" {
	"$TOOLS/writefile" "$T/f" 1000 >/dev/null
	azsim_fault op=PutBlob status=403 code=AuthorizationPermissionMismatch
	job_to "$TOOLS/writefile \${{outputs.out}}/f 1000"
	job_run 123 plain --write-behind
	assert_in "$out" "close ok"
	assert_in "$err" AuthorizationPermissionMismatch
	kept "$T/f"
	rm -rf "$JOB/cache"
	job_to "$TOOLS/writefile \${{outputs.out}}/f 1000 fsync"
	job_run 1 plain --write-behind
	assert_in "$out" "fsync E"
}

# python_looks NAME: the job is the Python script on stdin; there() prints what the store has of NAME.
python_looks() {
	script <<-END
		import fcntl, os, sys, urllib.error, urllib.request
		path = sys.argv[1] + "/$1"
		def there():
		    try:
		        print(urllib.request.urlopen("http://127.0.0.1:$AZSIM_PORT/_azsim/blob/"
		            "$AZSIM_ACCOUNT/data/$PREFIX/$1").read(), flush=True)
		    except urllib.error.HTTPError:
		        print("nothing", flush=True)
		$(cat)
	END
	job_to "python3 $T/script.sh \${{outputs.out}}"
	job_run 0 plain
}

@test "write: fsync and close upload; what is open and not synced is not there yet" {
	python_looks open <<-'END'
		f = os.open(path, os.O_WRONLY | os.O_CREAT)
		os.write(f, b"one")
		there()
		os.fsync(f)
		there()
		os.write(f, b" two")
		there()
		os.close(f)
		there()
	END
	assert_equal "$out" "nothing
b'one'
b'one'
b'one two'"
}

@test "write: with O_SYNC and O_DSYNC each write is there; who opens a new file so, too" {
	python_looks synced <<-'END'
		for way in os.O_SYNC, os.O_DSYNC:
		    f = os.open(path, os.O_WRONLY | os.O_CREAT | way)
		    os.write(f, b"one")
		    there()
		    os.close(f)
		    os.unlink(path)
		plain = os.open(path, os.O_WRONLY | os.O_CREAT)
		os.write(plain, b"one")
		there()
		f = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_DSYNC)
		os.write(f, b" two")
		there()
		os.pwritev(plain, [b" three"], 7, os.RWF_DSYNC)
		there()
		os.write(plain, b"ONE")
		there()
	END
	assert_equal "$out" "b'one'
b'one'
nothing
b'one two'
b'one two three'
b'one two three'"
}

@test "write: the store has the file's length in df and nothing of ours besides the files" {
	job_to 'df --output=avail ${{outputs.out}} | tail -n 1; echo x >${{outputs.out}}/x'
	job_run 0 plain
	[ "$out" -gt 0 ]
	assert_equal "$(store_blob list "data/$PREFIX/")" "$(printf '2\t%s/x' "$PREFIX")"
}

@test "write: an output nobody wrote to costs nothing in the store" {
	job_to 'ls -A ${{outputs.out}}'
	job_run 0 pid1
	assert_equal "$out" ""
	assert_equal "$(store_blob list "data/$PREFIX/")" ""
	job_left_nothing
}

# ---- other shapes of outputs

@test "outputs: two folders, a mounted file and an uploaded one" {
	job_write <<-END
		command: >-
		  echo 1 >\${{outputs.a}}/one && echo 2 >\${{outputs.b}}/two &&
		  echo 3 >\${{outputs.file}} && echo 4 >\${{outputs.up}} &&
		  basename \${{outputs.file}} \${{outputs.up}}
		outputs:
		  a: {type: uri_folder, path: azureml://datastores/store/paths/$PREFIX/a/}
		  b: {type: uri_folder, path: azureml://datastores/store/paths/$PREFIX/b/, mode: upload}
		  file: {type: uri_file, path: azureml://datastores/store/paths/$PREFIX/f/model.bin}
		  up: {type: uri_file, path: azureml://datastores/store/paths/$PREFIX/u/score.json, mode: upload}
	END
	mkdir -p "$T/ours/a" "$T/ours/b" "$T/ours/f" "$T/ours/u"
	echo 1 >"$T/ours/a/one"
	echo 2 >"$T/ours/b/two"
	echo 3 >"$T/ours/f/model.bin"
	echo 4 >"$T/ours/u/score.json"
	for how in pid1 plain; do
		job_run 0 $how
		assert_equal "$out" model.bin
		store_holds "$T/ours"
		job_left_nothing
	done
}

@test "outputs: an output without a path goes to the default place of the default datastore" {
	job_write <<-END
		name: run_42
		command: echo hi >\${{outputs.model}}/x
		outputs:
		  model: {}
	END
	sed -i 's/^name: store/name: workspaceblobstore/' "$JOB/store.yml"
	job_run 0 plain
	echo hi >"$T/x"
	store_has azureml/run_42/model/x "$T/x"
}

@test "upload: a tree after the job, large files in blocks, empty ones too" {
	mkdir -p "$T/ours/deep/er"
	"$TOOLS/writefile" "$T/ours/large" 30000000 >/dev/null
	: >"$T/ours/empty"
	for i in $(seq 50); do
		seq "$i" >"$T/ours/deep/er/f $i"
	done
	job_to "cp -r $T/ours/. \${{outputs.out}}/" upload
	for how in pid1 plain; do
		job_run 0 $how
		silent
		job_left_nothing
	done
	store_holds "$T/ours"
}

@test "upload: the job's own failure is the status; what it had written is uploaded all the same" {
	job_to 'echo part >${{outputs.out}}/part; exit 9' upload
	job_run 9 plain
	echo part >"$T/part"
	store_has "$PREFIX/part" "$T/part"
	job_to 'echo part >${{outputs.out}}/part2; kill -9 $$'
	job_run 137 plain
	store_has "$PREFIX/part2" "$T/part"
}

# ---- what goes wrong

# No copy of ours is thrown away: where it is stands on stderr, and it is whole.
kept() { # FILE
	local path
	path=$(grep -o "$JOB/[^ ;:]*" <<<"$err" | while read -r path; do
		[ -f "$path" ] && echo "$path" && break
	done)
	[ -n "$path" ] || { echo "no path of a kept file in: $err"; return 1; }
	cmp "$path" "$1"
}

@test "failure: the writer's close is told, and a job that minds fails by itself" {
	azsim_fault op=PutBlob status=403 code=AuthorizationPermissionMismatch
	job_to "$TOOLS/writefile \${{outputs.out}}/f 1000"
	for how in pid1 plain; do
		job_run 1 $how
		assert_in "$out" "write ok"
		assert_in "$out" "close E"
	done
}

@test "failure: fsync is told" {
	azsim_fault op=PutBlob status=403 code=AuthorizationPermissionMismatch
	job_to "$TOOLS/writefile \${{outputs.out}}/f 1000 fsync"
	job_run 1 plain
	assert_in "$out" "fsync E"
}

@test "failure: a job that does not mind ends with 123, the file is kept and named" {
	"$TOOLS/writefile" "$T/f" 1000 >/dev/null
	azsim_fault op=PutBlob status=403 code=AuthorizationPermissionMismatch
	job_to "$TOOLS/writefile \${{outputs.out}}/f 1000; true"
	for how in pid1 plain; do
		job_run 123 $how
		assert_in "$err" AuthorizationPermissionMismatch
		assert_in "$err" "Storage Blob Data Contributor"
		kept "$T/f"
		rm -rf "$JOB/cache"
	done
}

@test "failure: an upload after the job that is refused: 123, the file is kept and named" {
	"$TOOLS/writefile" "$T/f" 1000 >/dev/null
	azsim_fault op=PutBlob status=403 code=AuthorizationPermissionMismatch
	job_to "$TOOLS/writefile \${{outputs.out}}/f 1000" upload
	for how in pid1 plain; do
		job_run 123 $how
		assert_in "$err" AuthorizationPermissionMismatch
		kept "$T/f"
		rm -rf "${JOB:?}/cache" "${JOB:?}/mnt"
	done
}

@test "failure: an identity that may only read: the mount says so before the job, or the close does" {
	job_as reader
	"$TOOLS/writefile" "$T/f" 1000 >/dev/null
	job_to "$TOOLS/writefile \${{outputs.out}}/f 1000; true"
	job_run 123 plain
	assert_in "$out" "close E"
	assert_in "$err" "Storage Blob Data Contributor"
	assert_in "$err" "$READER_ID"
	kept "$T/f"
}

@test "failure: one that passes by itself is not even seen" {
	azsim_fault op=PutBlob status=503 code=ServerBusy count=2
	azsim_fault op=PutBlob status=500 code=OperationTimedOut count=2
	azsim_fault op=PutBlob reset=1 count=1
	azsim_fault op=PutBlob lose=1 count=1
	azsim_fault op=PutBlock status=503 code=ServerBusy percent=20
	azsim_fault op=PutBlock lose=1 count=1
	azsim_fault op=PutBlockList status=500 code=InternalError count=1
	azsim_fault op=PutBlockList lose=1 count=1
	"$TOOLS/writefile" "$T/small" 5000 >/dev/null
	"$TOOLS/writefile" "$T/large" 40000000 >/dev/null
	job_to "$TOOLS/writefile \${{outputs.out}}/small 5000 && $TOOLS/writefile \${{outputs.out}}/large 40000000"
	job_run 0 plain
	silent
	store_has "$PREFIX/small" "$T/small"
	store_has "$PREFIX/large" "$T/large"
}

@test "failure: what could not go out at close goes out at the end" {
	"$TOOLS/writefile" "$T/f" 1000 >/dev/null
	azsim_fault op=PutBlob status=403 code=AuthorizationPermissionMismatch
	script <<-END
		"$TOOLS/writefile" "\$1/f" 1000
		"$AZSIM" ctl $AZSIM_PORT DELETE /_azsim/fault >/dev/null
		true
	END
	job_to "bash $T/script.sh \${{outputs.out}}"
	job_run 0 plain
	assert_in "$out" "close E"
	store_has "$PREFIX/f" "$T/f"
	job_left_nothing
}

@test "failure: a full disk for staging is ENOSPC, not silence" {
	SMALL=$T/job/cache
	mkdir -p "$SMALL"
	mount -t tmpfs -o size=4m none "$SMALL"
	job_to "$TOOLS/writefile \${{outputs.out}}/f 20000000"
	job_run 1 plain
	assert_in "$out" "write ENOSPC"
	job_to "$TOOLS/writefile \${{outputs.out}}/g 2000000 && rm \${{outputs.out}}/g && $TOOLS/writefile \${{outputs.out}}/h 3000000"
	job_run 0 plain
	"$TOOLS/writefile" "$T/h" 3000000 >/dev/null
	store_has "$PREFIX/h" "$T/h"
}

@test "failure: somebody else changed the file meanwhile: theirs stays, ours is kept and named" {
	echo base >"$T/f"
	azsim_put "data/$PREFIX" "$T/f"
	echo theirs >"$T/f"
	script <<-END
		import sys, urllib.request
		with open(sys.argv[1] + "/f", "a") as f:
		    f.write("ours\\n")
		    f.flush()
		    urllib.request.urlopen(urllib.request.Request(
		        "http://127.0.0.1:$AZSIM_PORT/_azsim/blob/$AZSIM_ACCOUNT/data/$PREFIX/f",
		        data=b"theirs\\n", method="PUT"))
	END
	job_to "python3 $T/script.sh \${{outputs.out}} || true"
	job_run 123 plain
	store_has "$PREFIX/f" "$T/f"
	printf 'base\nours\n' >"$T/ours"
	kept "$T/ours"
}

@test "failure: --flush-timeout bounds the end: upload" {
	job_to "$TOOLS/writefile \${{outputs.out}}/f 1000" upload
	azsim_fault op=PutBlob status=503 code=ServerBusy
	local began=$SECONDS
	job_run 123 plain --flush-timeout 2s
	[ $((SECONDS - began)) -le 45 ]
	"$TOOLS/writefile" "$T/f" 1000 >/dev/null
	assert_in "$err" "$JOB/mnt/outputs/out"
	kept "$T/f"
}

# A job that is killed with a file open that was not uploaded.
dirty_job() {
	"$TOOLS/writefile" "$T/f" 1000 >/dev/null
	script <<-END
		import os, signal, sys
		f = os.open(sys.argv[1] + "/f", os.O_WRONLY | os.O_CREAT)
		os.write(f, open("$T/f", "rb").read())
		os.kill(os.getpid(), signal.SIGKILL)
	END
	job_to "python3 $T/script.sh \${{outputs.out}}"
}

@test "failure: --flush-timeout bounds the end: mount" {
	"$TOOLS/writefile" "$T/f" 1000 >/dev/null
	job_to "$TOOLS/writefile \${{outputs.out}}/f 1000; true"
	azsim_fault op=PutBlob status=403 code=AuthorizationPermissionMismatch count=1
	azsim_fault op=PutBlob status=503 code=ServerBusy
	local began=$SECONDS
	job_run 123 plain --flush-timeout 2s
	[ $((SECONDS - began)) -le 45 ]
	kept "$T/f"
}

@test "end: --flush-timeout never waits, and does not give up at once" {
	dirty_job
	azsim_knob latency_ms=300
	job_run 137 plain --flush-timeout never
	azsim_knob latency_ms=0
	store_has "$PREFIX/f" "$T/f"
	job_left_nothing
}

# ---- stopped

@test "stop: a job that ignores SIGTERM is killed after --grace, what it wrote is uploaded, closed or not" {
	script <<-'END'
		trap '' TERM
		echo closed >"$1/closed"
		exec 3>"$1/open"
		echo open >&3
		echo ready
		while :; do sleep 0.1; done
	END
	echo closed >"$T/closed"
	echo open >"$T/open"
	for how in pid1 plain; do
		PREFIX=w$BATS_TEST_NUMBER$how
		job_to "bash $T/script.sh \${{outputs.out}}"
		job_start $how --grace 500ms
		wait_for 30 job_says ready
		kill -TERM "$job_pid"
		job_end 137
		store_has "$PREFIX/closed" "$T/closed"
		store_has "$PREFIX/open" "$T/open"
		job_left_nothing
	done
}

@test "stop: a process that outlived the job with a file open does not lose it" {
	script <<-'END'
		(exec 3>"$1/late"; echo begun >&3; trap 'echo asked >&3; exit' TERM; : >"$2"; while :; do sleep 0.1; done) &
		until [ -e "$2" ]; do sleep 0.05; done
	END
	job_to "bash $T/script.sh \${{outputs.out}} $T/up"
	job_run 0 pid1
	printf 'begun\nasked\n' >"$T/late"
	store_has "$PREFIX/late" "$T/late"
}
