#!/usr/bin/env bats
# A mount process that is killed is replaced by another one on the same mount: the job sees a pause.
# Each test kills it a few times, at a moment of its own: five quick deaths in a row are a crash loop.
# bats file_tags=root

load helpers
load lib/crash

setup_file() {
	jobs_begin
}

teardown_file() {
	jobs_end
}

setup() {
	requires_fuse
	azsim_reset
}

teardown() {
	jobs_cleanup
}

# steps STORE [FLAG...]: a job whose script is stdin.  It stands in the output and waits at "here N" until
# the test says "go N".
steps() {
	mounts_on "$1"
	shift
	[ -z "${NO_RESEND-}" ] || job_env+=(AMLSHIM_TEST_NO_RESEND=1)
	{
		echo "here() { touch $T/at.\$1; until [ -e $T/go.\$1 ]; do sleep 0.02; done; }"
		echo 'cd "$1"'
		cat
	} >"$T/script.sh"
	job_out "bash -e $T/script.sh \${{outputs.out}}"
	job_start plain "$@"
}

at() { # N
	wait_for 60 test -e "$T/at.$1" || { cat "$BATS_TEST_TMPDIR/err"; return 1; }
}

go() { # N
	touch "$T/go.$1"
}

# cut N WORD=VALUE...: while the job's step N waits for a request that meets these words, the mount is killed.
# "delay": the service has done it, the answer is lost; "status": it has not.
cut() {
	local n=$1 id
	shift
	at "$n"
	id=$(azsim_fault "$@")
	go "$n"
	wait_for 30 fault_hit "$id"
	worker_kill "$job_pid" mount
	azsim_faults_off
}

# ends COUNT: all is well, after COUNT deaths; the store has what $T/ours has.
ends() {
	job_end 0
	assert_equal "$(grep -c 'mount out ended by signal 9.* its successor no\. ' <<<"$err")" "$1"
	assert_equal "$(wc -l <<<"$err")" "$1"
	store_holds "$T/ours"
	job_left_nothing
}

# The deaths fall where they fall.
written_and_read() {
	mounts_on azsim
	[ -z "${NO_RESEND-}" ] || job_env+=(AMLSHIM_TEST_NO_RESEND=1)
	job_out "python3 $BATS_TEST_DIRNAME/lib/watch.py \${{outputs.out}} 4"
	job_start plain
	local n
	for n in 1 2 3; do
		sleep 1.5
		worker_kill "$job_pid" mount
	done
	mkdir -p "$T/ours"
	python3 "$BATS_TEST_DIRNAME/lib/watch.py" "$T/ours" >/dev/null
	ends 3
}

@test "crash: new files that are read while they are written" {
	written_and_read
}

@test "crash: the same where the kernel cannot send again" {
	NO_RESEND=1 written_and_read
}

between() {
	steps "$@" <<-'END'
		mkdir -p dir/sub
		echo one >dir/one
		exec 3>>dir/open
		echo before >&3
		exec 4<>dir/deleted 5<dir/one
		echo deleted >&4
		rm dir/deleted
		here 1
		echo after >&3
		cat dir/one
		printf 1234567 >&4
		here 2
		[ "$(stat -L -c %s /proc/$$/fd/4)" = 15 ]
		exec 3>&- 4>&-
		[ "$(cat dir/open)" = "before
		after" ]
		mv dir/one dir/sub/uno
		[ "$(cat <&5)" = one ]
		exec 5<&-
		rm dir/open
		here 3
		[ "$(ls dir dir/sub | tr '\n' ,)" = "dir:,sub,,dir/sub:,uno," ]
		mkdir empty; rmdir empty
		mkdir stays
		here 4
		echo end >>dir/sub/uno
		echo x >stays/x
	END
	local n
	for n in 1 2 3 4; do
		at "$n"
		worker_kill "$job_pid" mount
		go "$n"
	done
	mkdir -p "$T/ours/dir/sub" "$T/ours/stays"
	printf 'one\nend\n' >"$T/ours/dir/sub/uno"
	echo x >"$T/ours/stays/x"
	ends 4
}

@test "crash: between operations: names, contents and what is open stay: flat" {
	between azsim
}

@test "crash: between operations: names, contents and what is open stay: hierarchical" {
	between lake
}

@test "crash: between operations: names, contents and what is open stay: write-behind" {
	between azsim --write-behind
}

# in_service HOW...: what the service does while the answer does not come.
in_service() {
	steps azsim <<-'END'
		echo old >old
		echo doomed >doomed
		here 1
		echo new >new
		here 2
		rm doomed
		here 3
		mv old renamed
		here 4
		(set -C; echo mine >exclusive)
		[ "$(cat new renamed exclusive | tr '\n' ,)" = new,old,mine, ]
		[ "$(ls | tr '\n' ,)" = exclusive,new,renamed, ]
	END
	cut 1 op=PutBlob "$@"
	cut 2 op=DeleteBlob "$@"
	cut 3 op=CopyBlob "$@"
	cut 4 op=PutBlob "$@"
	mkdir -p "$T/ours"
	echo new >"$T/ours/new"
	echo old >"$T/ours/renamed"
	echo mine >"$T/ours/exclusive"
	ends 4
}

@test "crash: close, unlink, rename, exclusive create whose answer is lost" {
	in_service delay=20000
}

@test "crash: close, unlink, rename, exclusive create that the service had not done" {
	in_service status=503
}

@test "crash: close, unlink, rename, exclusive create, where the kernel cannot send again" {
	NO_RESEND=1 in_service delay=20000
}

# Only the first part of a rename: the copy is there, the original too.
@test "crash: a rename between copy and delete, of a file and of a directory; a change with a condition" {
	steps azsim <<-'END'
		mkdir d; echo 1 >d/1; echo 2 >d/2; echo old >old
		echo first >edited
		here 1
		mv old renamed
		here 2
		mv d moved
		here 3
		echo second >>edited
		here 4
		echo third >>edited
		[ "$(cat edited renamed moved/1 moved/2 | tr '\n' ,)" = first,second,third,old,1,2, ]
		[ "$(ls | tr '\n' ,)" = edited,moved,renamed, ]
	END
	cut 1 op=DeleteBlob delay=20000
	cut 2 op=DeleteBlob delay=20000
	cut 3 op=PutBlob delay=20000
	cut 4 op=PutBlob status=503
	mkdir -p "$T/ours/moved"
	echo 1 >"$T/ours/moved/1"
	echo 2 >"$T/ours/moved/2"
	echo old >"$T/ours/renamed"
	printf 'first\nsecond\nthird\n' >"$T/ours/edited"
	ends 4
}

# The dead process's request comes to the service's mind when the successor has looked, and before its own.
@test "crash: an upload that the service carries out after the successor has looked" {
	steps azsim <<-'END'
		echo first >edited
		here 1
		echo second >>edited
		here 2
		(set -C; echo mine >exclusive)
		here 3
		echo third >>edited
	END
	local n id
	for n in 1 2; do
		at "$n"
		id=$(azsim_fault op=PutBlob late=2000 count=2)
		go "$n"
		wait_for 30 fault_hit "$id"
		worker_kill "$job_pid" mount
		at $((n + 1))
		azsim_faults_off
	done
	go 3
	mkdir -p "$T/ours"
	printf 'first\nsecond\nthird\n' >"$T/ours/edited"
	echo mine >"$T/ours/exclusive"
	ends 2
}

hierarchical() {
	steps lake <<-'END'
		echo old >old
		here 1
		mkdir d
		here 2
		mv old d/new
		here 3
		mv d e
		mkdir f
		here 4
		rmdir f
		[ "$(cat e/new)" = old ]
		[ "$(ls)" = e ]
	END
	cut 1 op=CreatePath "$@"
	cut 2 op=RenamePath "$@"
	cut 3 op=RenamePath "$@"
	cut 4 method=DELETE "$@"
	mkdir -p "$T/ours/e"
	echo old >"$T/ours/e/new"
	ends 4
}

@test "crash: hierarchical: mkdir, rename, rmdir whose answer is lost" {
	hierarchical delay=20000
}

@test "crash: hierarchical: mkdir, rename, rmdir that the service had not done" {
	hierarchical status=503
}

@test "crash: a large file: a block, the list of blocks, symlink, extended attribute" {
	seq 3000000 >"$BATS_TEST_TMPDIR/large"
	steps azsim <<-END
		exec 3>large
		head -c 9000000 $BATS_TEST_TMPDIR/large >&3
		here 1
		tail -c +9000001 $BATS_TEST_TMPDIR/large >&3
		here 2
		exec 3>&-
		cmp large $BATS_TEST_TMPDIR/large
		rm large
		cp $BATS_TEST_TMPDIR/large again
		here 3
		ln -s again link
		here 4
		python3 -c 'import os; os.setxattr("again", "user.azure.meta.key", b"value", os.XATTR_CREATE)'
		[ "\$(readlink link)" = again ]
		python3 -c 'import os; assert os.getxattr("again", "user.azure.meta.key") == b"value"'
		rm link
	END
	cut 1 op=PutBlock delay=20000
	cut 2 op=PutBlockList delay=20000
	cut 3 op=PutBlob delay=20000
	cut 4 op=SetBlobMetadata delay=20000
	mkdir -p "$T/ours"
	cp "$BATS_TEST_TMPDIR/large" "$T/ours/again"
	ends 4
}

@test "crash: write-behind: what was closed and is not sent yet is sent by the next process" {
	steps azsim --write-behind <<-'END'
		for i in $(seq 50); do echo $i >f$i; done
		here 1
		here 2
		sync f50
	END
	azsim_fault op=PutBlob status=503 >/dev/null
	at 1
	worker_kill "$job_pid" mount
	go 1
	at 2
	worker_kill "$job_pid" mount
	azsim_faults_off
	go 2
	mkdir -p "$T/ours"
	local i
	for i in $(seq 50); do echo "$i" >"$T/ours/f$i"; done
	ends 2
}

# A directory is read by one process in small steps, deleted from meanwhile, and nothing is missed.
slow_readdir() {
	steps "$1" <<-'END'
		mkdir d
		cd d
		touch $(seq -f '%0200.f' 400)
		cd ..
		here 1
		python3 - <<-'PY'
			import os, time
			from pathlib import Path
			seen, top = [], Path(os.environ["JOB_MARK"]).parent
			with os.scandir("d") as entries:
			    for e in entries:
			        seen.append(e.name)
			        os.unlink("d/" + e.name)
			        if len(seen) in (50, 250):
			            n = "2" if len(seen) == 50 else "3"
			            (top / ("at." + n)).touch()
			            while not (top / ("go." + n)).exists():
			                time.sleep(0.02)
			assert len(seen) == len(set(seen)) == 400, len(seen)
			os.rmdir("d")
		PY
	END
	go 1
	at 2
	worker_kill "$job_pid" mount
	go 2
	at 3
	worker_kill "$job_pid" mount
	go 3
	mkdir -p "$T/ours"
	ends 2
}

@test "crash: a directory that is half read and deleted from: no name missed, none twice: flat" {
	slow_readdir azsim
}

@test "crash: a directory that is half read and deleted from: no name missed, none twice: hierarchical" {
	slow_readdir lake
}

# reads [FLAG...]: an input of one large and many small files, mapped and read while it is killed.
reads() {
	mounts_on azsim
	seq 2000000 >"$T/large"
	mkdir -p "$T/ours/many"
	cp "$T/large" "$T/ours/large"
	local i
	for i in $(seq 300); do echo "$i" >"$T/ours/many/$i"; done
	job_out "cp -r $T/ours/. \${{outputs.out}}"
	job_run 0 plain
	[ -z "${NO_RESEND-}" ] || job_env+=(AMLSHIM_TEST_NO_RESEND=1)
	cat >"$T/script.sh" <<-END
		here() { touch $T/at.\$1; until [ -e $T/go.\$1 ]; do sleep 0.02; done; }
		cd "\$1"
		[ "\$(ls many | wc -l)" = 300 ]
		exec 3<large
		head -c 1000000 <&3 >$T/first
		here 1
		cat <&3 >$T/rest
		cat $T/first $T/rest | cmp - large
		here 2
		diff -r . $T/ours
		here 3
		sha256sum large many/* >/dev/null
		[ ! -e none ]
	END
	job_in "bash -e $T/script.sh \${{inputs.data}}"
	job_start plain "$@"
	local id
	at 1
	id=$(azsim_fault op=GetBlob delay=20000)
	go 1
	wait_for 30 fault_hit "$id" || true	# all of it may be here already
	worker_kill "$job_pid" mount
	azsim_faults_off
	at 2
	worker_kill "$job_pid" mount
	go 2
	at 3
	worker_kill "$job_pid" mount
	go 3
	job_end 0
}

@test "crash: a read-only mount: reads under way, pages, listings" {
	reads
}

@test "crash: a read-only mount with a disk cache that the kernel reads by itself" {
	reads --disk-cache 1G
}

# The kernel goes on with the INIT and the descriptors that it has.
@test "crash: a read-only mount whose disk cache cannot be opened again" {
	mounts_on azsim
	mkdir -p "$T/ours"
	seq 2000000 >"$T/ours/large"
	seq 1000000 >"$T/ours/other"
	job_out "cp -r $T/ours/. \${{outputs.out}}"
	job_run 0 plain
	cat >"$T/script.sh" <<-END
		here() { touch $T/at.\$1; until [ -e $T/go.\$1 ]; do sleep 0.02; done; }
		cd "\$1"
		cat large >/dev/null
		until [ -n "\$(find $JOB/cache/.blocks -type f -size +10M)" ]; do sleep 0.05; done
		exec 3<large 4<large
		head -c 1000000 <&3 >$T/first
		here 1
		cat <&3 >$T/rest
		cat $T/first $T/rest | cmp - $T/ours/large
		cmp large $T/ours/large
		cmp other $T/ours/other
		exec 3<&-
		cmp - $T/ours/large <&4
		exec 4<&-
		cmp large $T/ours/large
	END
	job_in "bash -e $T/script.sh \${{inputs.data}}"
	job_start plain --disk-cache 1G
	at 1
	mv "$JOB/cache/.blocks" "$T/away"
	touch "$JOB/cache/.blocks"
	worker_kill "$job_pid" mount
	go 1
	job_end 0
	assert_in "$err" "no disk cache"
	rm "$JOB/cache/.blocks"
}

@test "crash: a read-only mount where the kernel cannot send requests again" {
	NO_RESEND=1 reads
}

@test "crash: a mount of one file shows no other one, also after a death" {
	mounts_on azsim
	job_out "cp -r /etc/hostname \${{outputs.out}}/a; echo b >\${{outputs.out}}/b"
	job_run 0 plain
	cat >"$T/script.sh" <<-END
		here() { touch $T/at.\$1; until [ -e $T/go.\$1 ]; do sleep 0.02; done; }
		cat "\$1"
		here 1
		[ "\$(ls "\$(dirname "\$1")")" = b ]
		[ "\$(cat "\$1")" = b ]
	END
	job_write <<-END
		command: bash -e $T/script.sh \${{inputs.data}}
		inputs:
		  data: {type: uri_file, path: azureml://datastores/store/paths/$PREFIX/b, mode: ro_mount}
	END
	job_start plain
	at 1
	worker_kill "$job_pid" mount
	go 1
	job_end 0
}

@test "crash: no token for its successor: the job waits, and goes on when there is one" {
	steps lake <<-'END'
		echo one >one
		here 1
		echo two >two
		[ "$(cat one)" = one ]
	END
	at 1
	local id
	id=$(azsim_fault op=AmlToken status=400 code=invalid_request)
	worker_kill "$job_pid" agent
	worker_kill "$job_pid" mount
	go 1
	wait_for 30 fault_hit "$id"
	sleep 2				# refused in the meantime: once would be the end
	azsim_faults_off
	mkdir -p "$T/ours"
	echo one >"$T/ours/one"
	echo two >"$T/ours/two"
	job_end 0
	assert_equal "$(grep -c 'mount out ended by signal 9' <<<"$err")" 1
	store_holds "$T/ours"
}

@test "crash: somebody else's change meanwhile is still a conflict, not overwritten" {
	mounts_on azsim
	echo before >"$T/file"
	store_blob put "data/$PREFIX" "$T/file"
	steps azsim <<-'END'
		exec 3>>file
		echo more >&3
		here 1
		echo late >&3 || true
		exec 3>&-
		here 2
	END
	at 1
	worker_kill "$job_pid" mount
	echo theirs >"$T/file"
	store_blob put "data/$PREFIX" "$T/file"
	go 1
	at 2
	go 2
	job_end 123
	store_has "$PREFIX/file" "$T/file"
	assert_in "$err" "cache/out/file"
}
