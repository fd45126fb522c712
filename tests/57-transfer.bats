#!/usr/bin/env bats
# Inputs that are downloaded before the job and outputs that are uploaded after it: what an interrupted
# run leaves is used by the next, and never for anything it is not.
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
	requires_root
	store_use azsim
	job_as key
	T=$BATS_TEST_TMPDIR
	# Each test has a prefix of its own.
	PREFIX=t$BATS_TEST_NUMBER
}

teardown() {
	if [ -n "${SMALL-}" ]; then
		umount -l "$SMALL" || true
	fi
	jobs_cleanup
}

noise() { # SIZE FILE
	head -c "$1" /dev/urandom >"$2"
}

download_job() {
	job_write <<-END
		command: diff -r \${{inputs.data}} $T/ours && echo same
		inputs:
		  data: {type: uri_folder, path: azureml://datastores/store/paths/$PREFIX/, mode: download}
	END
}

# upload_job SCRIPT: ${{outputs.out}} is its first word.
upload_job() {
	job_write <<-END
		command: bash -e $1 \${{outputs.out}}
		outputs:
		  out: {type: uri_folder, path: azureml://datastores/store/paths/$PREFIX/, mode: upload}
	END
}

store_holds() { # DIR
	rm -rf "$T/theirs"
	store_node "$BATS_TEST_DIRNAME/sdk/tree.mjs" "data/$PREFIX" "$T/theirs"
	diff -r "$1" "$T/theirs"
}

# The journal has a header of 32 bytes and records of 24.
has_records() { # NAME N
	[ "$(stat -c %s "$JOB/cache/$1.journal")" -ge $((32 + 24 * $2)) ]
}

job_killed() {
	kill -KILL "$job_pid"
	job_end 137
	wait_for 30 eval '[ -z "$(job_processes)" ]'
}

# ---- downloads

# Thirty small files, and a large one of eight pieces that comes first.
download_data() {
	local i
	mkdir -p "$T/ours/sub"
	noise 33000000 "$T/ours/a-large"
	for i in $(seq 30); do
		noise $((i * 999)) "$T/ours/sub/f$i"
	done
	cp -r "$T/ours" "$T/$PREFIX"
	AZSIM_TO=$STORE_ACCOUNT azsim_put data "$T/$PREFIX"
}

# Twenty requests are answered, the others are not; then it is killed.
download_cut_short() {
	azsim_fault op=GetBlob skip=20 reset=1
	job_start plain
	wait_for 30 has_records data.in 21	# and the number of the large one's temporary file
	job_killed
	refute_in "$out" same
	azsim_faults_off
	azsim_forget
}

@test "download: killed, it goes on: what is there is not fetched again" {
	local store
	for store in azsim lake; do
		store_use $store
		job_as key
		rm -rf "$T/ours" "${T:?}/$PREFIX"
		download_data
		download_job
		download_cut_short
		job_run 0 plain -v
		assert_equal "$out" same
		azsim_assert 18 op=GetBlob
		assert_equal "$(find "$JOB/cache" -type f)" ""		# nobody has to go on
		assert_equal "$(find "$JOB/mnt" -name '.amlshim*')" ""
		rm -rf "$JOB"
	done
}

@test "download: killed, and the store is another meanwhile: the next run has what it holds now" {
	download_data
	download_job
	download_cut_short
	noise 33000000 "$T/ours/a-large"
	noise 999 "$T/ours/sub/f1"
	rm "$T/ours/sub/f2"
	mv "$T/$PREFIX" "$T/before"
	mkdir "$T/$PREFIX"
	cp -r "$T/ours/." "$T/$PREFIX"
	azsim_put data "$T/$PREFIX"
	azsim_ctl DELETE "/_azsim/blob/$AZSIM_ACCOUNT/data/$PREFIX/sub/f2" >/dev/null
	# Somebody was at a file of ours.
	echo damage >>"$(find "$JOB/mnt/inputs/data/sub" -name 'f*' | head -1)"
	job_run 0 plain
	assert_equal "$out" same
}

@test "download: a job that failed finds its input there when it is run again" {
	download_data
	download_job
	sed -i 's/echo same/exit 3/' "$JOB/job.yml"
	job_run 3 plain
	azsim_forget
	download_job
	job_run 0 plain
	assert_equal "$out" same
	azsim_assert 0 op=GetBlob
}

@test "download: a disk that is too small is told before, with what is missing" {
	download_data
	download_job
	mkdir -p "$JOB/mnt"
	mount -t tmpfs -o size=30m tmpfs "$JOB/mnt"
	SMALL=$JOB/mnt
	job_run 125 plain
	assert_in "$err" "are needed"
	assert_in "$err" "are missing"
	refute_in "$out" same
	umount "$SMALL"
	mount -t tmpfs -o size=60m tmpfs "$JOB/mnt"
	job_env+=(DATASET_RESERVED_FREE_DISK_SPACE=40MB)
	job_run 125 plain
	assert_in "$err" "are missing"
	job_env+=(DATASET_RESERVED_FREE_DISK_SPACE=1MB RSLEX_DOWNLOADER_THREADS=1)
	job_run 0 plain
	assert_equal "$out" same
}

@test "download: on a terminal one line, gone before the job begins; none elsewhere" {
	download_data
	download_job
	azsim_knob rate_bytes_per_s=1500000
	job_command plain
	script -qec "$(printf '%q ' "${job_words[@]}")" "$T/terminal" </dev/null >/dev/null
	assert_in "$(cat "$T/terminal")" "download ["
	assert_in "$(cat "$T/terminal")" " MiB/s"
	# What follows the last rewriting is the job's.
	assert_equal "$(tr -d '\r' <"$T/terminal" | grep -a same | sed 's/.*\x1b\[K//')" same
	azsim_knob rate_bytes_per_s=0
	job_run 0 plain
	silent
}

@test "download: a public file: no credential is sent, redirections are followed" {
	local proxy
	noise 300000 "$T/set.csv"
	# A proxy is asked for addresses that no name service knows.
	cat >"$T/proxy.mjs" <<-END
		import { createServer } from 'node:http'
		import { readFileSync, writeFileSync } from 'node:fs'
		const server = createServer((q, r) => {
			if (q.headers.authorization !== undefined || q.url.includes('moved')) {
				r.writeHead(q.headers.authorization ? 500 : 302,
				    { location: 'http://files.example.org/v2/set.csv?key=k' }).end()
			} else if (q.url === 'http://files.example.org/v2/set.csv?key=k') {
				r.end(readFileSync('$T/set.csv'))
			} else r.writeHead(404).end()
		})
		server.listen(0, '127.0.0.1', () => writeFileSync('$T/port', String(server.address().port)))
		setTimeout(() => process.exit(1), 60000)
	END
	node "$T/proxy.mjs" 3>&- &
	proxy=$!
	wait_for 30 test -s "$T/port"
	job_write <<-END
		command: cmp \${{inputs.set}} $T/set.csv && echo same \${{inputs.set}}
		inputs:
		  set: {type: uri_file, path: "http://files.example.org/moved/set.csv", mode: download}
	END
	job_env+=("http_proxy=http://127.0.0.1:$(cat "$T/port")")
	job_run 0 plain
	assert_equal "$out" "same $JOB/mnt/inputs/set/set.csv"
	sed -i 's|moved/set.csv|absent/set.csv|' "$JOB/job.yml"
	job_run 120 plain
	assert_in "$err" 404
	kill "$proxy"
	wait "$proxy" || true
}

# ---- uploads

# Ten small files and a large one of eight blocks, made by the first run alone.
upload_script() {
	cat >"$T/script.sh" <<-END
		cd "\$1"
		[ ! -e done ] || exit 0
		head -c 60000000 /dev/urandom >large
		mkdir -p sub
		for i in \$(seq 10); do
			head -c \$((i * 999)) /dev/urandom >sub/f\$i
		done
		rm -f sparse; truncate -s 3000000 sparse; echo end >>sparse
		: >done
	END
	upload_job "$T/script.sh"
}

@test "upload: killed, it goes on: files and blocks that are there are not sent again" {
	local store
	for store in azsim lake; do
		store_use $store
		job_as key
		upload_script
		azsim_fault op=PutBlock skip=3 reset=1
		azsim_fault op=PutBlob skip=5 reset=1
		azsim_forget
		job_start plain
		wait_for 60 has_records out 6		# and the prefix of the large one's blocks
		wait_for 30 eval '[ "$(azsim_count op=PutBlock status=201)" -ge 3 ]'
		job_killed
		azsim_faults_off
		azsim_forget
		job_run 0 plain
		azsim_assert 5 op=PutBlock
		azsim_assert 7 op=PutBlob		# of 12
		azsim_assert 1 op=PutBlockList
		store_holds "$JOB/mnt/outputs/out"
		job_left_nothing
		assert_equal "$(find "$JOB/cache" -type f)" ""
		rm -rf "$JOB"
	done
}

@test "upload: killed, and a file or its blob is another meanwhile: it is sent" {
	upload_script
	azsim_fault op=PutBlock skip=3 reset=1
	job_start plain
	wait_for 60 has_records out 13
	job_killed
	azsim_faults_off
	noise 999 "$JOB/mnt/outputs/out/sub/f1"
	printf X | dd of="$JOB/mnt/outputs/out/large" bs=1 seek=5 conv=notrunc 2>/dev/null
	mkdir -p "$T/$PREFIX/sub"
	echo "somebody else's" >"$T/$PREFIX/sub/f2"
	azsim_put data "$T/$PREFIX"
	azsim_forget
	job_run 0 plain
	azsim_assert 8 op=PutBlock
	azsim_assert 2 op=PutBlob
	store_holds "$JOB/mnt/outputs/out"
}

@test "both ways: killed at any moment, again and again, the last run is right: azsim, Azurite" {
	local store round seed=$((BASHPID % 32768))
	echo "seed $seed"
	RANDOM=$seed
	for store in azsim azurite; do
		store_use $store
		job_as key
		upload_script
		for round in 1 2 3; do
			job_start plain
			sleep 0.$((RANDOM % 90 + 10))
			kill -KILL "$job_pid" || true
			wait "$job_outer" || true
			wait_for 30 eval '[ -z "$(job_processes)" ]'
		done
		job_run 0 plain
		silent
		store_holds "$JOB/mnt/outputs/out"
		rm -rf "$T/ours"
		cp -r "$JOB/mnt/outputs/out" "$T/ours"
		rm -rf "$JOB"
		download_job
		for round in 1 2 3; do
			job_start plain
			sleep 0.$((RANDOM % 50 + 10))
			kill -KILL "$job_pid" || true
			wait "$job_outer" || true
			wait_for 30 eval '[ -z "$(job_processes)" ]'
		done
		job_run 0 plain
		assert_equal "$out" same
		rm -rf "$JOB"
	done
}

@test "both ways: the service is busy, resets and cuts short" {
	upload_script
	azsim_fault status=503 code=ServerBusy percent=8
	azsim_fault reset=1 percent=8
	azsim_fault lose=1 percent=4
	azsim_fault op=GetBlob truncate=500 percent=8
	job_run 0 plain
	cp -r "$JOB/mnt/outputs/out" "$T/ours"
	rm -rf "$JOB"
	download_job
	job_run 0 plain
	assert_equal "$out" same
	azsim_faults_off
	store_holds "$T/ours"
}

@test "upload: a file that is written to meanwhile is no output: 123, named" {
	cat >"$T/script.sh" <<<'echo one >"$1/f"; echo two >"$1/g"'
	upload_job "$T/script.sh"
	azsim_fault op=PutBlob "path=/acct/data/$PREFIX/f" delay=1500
	azsim_forget
	job_start plain
	wait_for 30 azsim_assert + op=PutBlob
	echo more >>"$JOB/mnt/outputs/out/f"
	job_end 123
	assert_in "$err" "written to while it was uploaded"
	assert_in "$err" "$JOB/mnt/outputs/out/f"
	refute_in "$err" "$JOB/mnt/outputs/out/g"
}

@test "upload: what a mount would make of folders, links and pipes" {
	cat >"$T/script.sh" <<-'END'
		cd "$1"
		mkdir -p empty/inside full
		echo x >full/x; ln -s x full/inside; ln -s full again; mkfifo pipe; ln -s nothing dangling
	END
	upload_job "$T/script.sh"
	job_run 0 plain
	assert_in "$err" "pipe is not uploaded: it is no regular file"
	assert_in "$err" "dangling is not uploaded: a link to nothing"
	assert_in "$err" "again is not uploaded: a link to no regular file"
	job_write <<-END
		command: cd \${{inputs.data}} && find . | sort && cat full/inside
		inputs:
		  data: {type: uri_folder, path: azureml://datastores/store/paths/$PREFIX/, mode: download}
	END
	job_run 0 plain
	assert_equal "$out" "$(printf '%s\n' . ./empty ./empty/inside ./full ./full/inside ./full/x x)"
	echo 'ln -s /etc/hostname "$1/away"' >"$T/script.sh"
	upload_job "$T/script.sh"
	job_run 123 plain
	assert_in "$err" "not in this output"
}

# Many links lead through one that changes all the time; who made it lives on while they are uploaded.
@test "upload: a link that changes meanwhile brings nothing out that is not in this output" {
	local out=$T/job/mnt/outputs/out flipper
	mkdir -p "$T/away"
	echo SECRET >"$T/away/data"
	cat >"$T/flip.py" <<-'END'
		import os, sys, time
		out, away = sys.argv[1:]
		while not os.path.exists(out + "/ready"):
		    time.sleep(0.01)
		os.chdir(out)
		end = time.monotonic() + 60
		try:
		    while time.monotonic() < end:
		        for target in ("here", away):
		            os.symlink(target, "new")
		            os.rename("new", "way")
		except OSError:
		    pass
	END
	cat >"$T/script.sh" <<-'END'
		cd "$1"
		mkdir here && echo data >here/data && ln -s here way && ln -s /etc/hostname leads-away
		for i in $(seq 1000); do ln -s way/data l$i; done
		touch ready
		while [ ! -L new ]; do :; done
	END
	upload_job "$T/script.sh"
	rm -rf "$out"
	python3 "$T/flip.py" "$out" "$T/away" 3>&- &
	flipper=$!
	job_run 123 plain
	kill "$flipper" && wait "$flipper" || true
	store_node "$BATS_TEST_DIRNAME/sdk/tree.mjs" "data/$PREFIX" "$T/theirs"
	cmp "$T/theirs/here/data" <(echo data)
	refute grep -rl SECRET "$T/theirs"
}

# ---- direct

@test "direct: the address as it is, and nothing local is made" {
	job_write <<-END
		command: echo \${{inputs.data}} \${{inputs.blob}}
		inputs:
		  data: {type: uri_folder, path: azureml://datastores/store/paths/x/, mode: direct}
		  blob: {type: uri_file, path: "azureml:wasbs://c@contoso.blob.core.windows.net/f", mode: direct}
	END
	job_run 0 plain
	assert_equal "$out" "azureml://datastores/store/paths/x/ wasbs://c@contoso.blob.core.windows.net/f"
	[ ! -e "$JOB/mnt" ] && [ ! -e "$JOB/cache" ]
}
