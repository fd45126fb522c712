#!/usr/bin/env bats
# Code snapshots: what amlshim snapshot writes, and that a job does not start on other code.

load helpers
load lib/azsim

setup_file() {
	export AZSIM_DIR=$BATS_FILE_TMPDIR/azsim
	azsim_start
}

teardown_file() {
	azsim_stop
}

setup() {
	azsim_forget
	T=$BATS_TEST_TMPDIR
	mkdir -p "$T/src/lib dir"
	echo 'echo ran' >"$T/src/train.sh"
	echo data >"$T/src/lib dir/help er.py"
	: >"$T/src/"$'odd\nname\\x'
	ln -s train.sh "$T/src/start"
	job user
	amlshim 0 snapshot "$T/src" --output "$T/manifest"
	silent
	unset AMLSHIM_SNAPSHOT
}

job() { # user|managed
	case $1 in
	user) identity=user_identity environment=$(azsim_env obo) ;;
	managed) identity=managed environment=$(azsim_env aml) ;;
	esac
	printf 'command: sh train.sh\ncode: src\nidentity: {type: %s}\n' "$identity" >"$T/job.yml"
}

run_job() { # STATUS [FLAG...]
	local want=$1
	shift
	# shellcheck disable=SC2086 # NAME=VALUE words
	run_status "$want" env $environment SSL_CERT_FILE="$AZSIM_CA" "$AMLSHIM" --job "$T/job.yml" "$@"
}

# The job did not start, nobody was asked for anything, and the file is named.
stopped_by() { # TEXT
	run_job 2 --snapshot "$T/manifest"
	refute_in "$out" ran
	assert_in "$err" "$1"
	assert_in "$err" "cannot trust the code in $T/src"
	azsim_assert 0
	job managed		# whoever the job runs as
	run_job 2 --snapshot "$T/manifest"
	refute_in "$out" ran
	assert_in "$err" "$1"
	azsim_assert 0
}

@test "snapshot: the manifest is what sha256sum -c takes, sorted, and the same each time" {
	assert_equal "$(head -n 1 "$T/manifest")" "# amlshim snapshot 1"
	(cd "$T/src" && sha256sum --check --quiet --strict "$T/manifest")
	(cd "$T/src" && LC_ALL=C find . -type f -printf '%P\0' | LC_ALL=C sort -z | xargs -0 sha256sum) >"$T/want"
	diff "$T/want" <(grep -v '^#' "$T/manifest")
	assert_in "$(cat "$T/manifest")" "#link $(printf train.sh | sha256sum | cut -d' ' -f1)  start"
	touch "$T/src/train.sh" && chmod 600 "$T/src/train.sh"
	amlshim 0 snapshot "$T/src"
	diff "$T/manifest" "$T/out"
	amlshim 2 snapshot
	amlshim 2 snapshot "$T/src" other
	amlshim 125 snapshot "$T/nothing"
	assert_in "$err" "$T/nothing"
}

@test "snapshot: unchanged code runs, as the submitter and as the compute, as PID 1 and not" {
	local who
	for who in user managed; do
		job $who
		run_job 0 --snapshot "$T/manifest"
		assert_equal "$out" ran
		silent
		AMLSHIM_SNAPSHOT=$T/manifest run_job 0
		assert_equal "$out" ran
		AMLSHIM_SNAPSHOT=$T/manifest run_job 0 -- env
		refute_in "$out" AMLSHIM_SNAPSHOT
	done
	# shellcheck disable=SC2086 # NAME=VALUE words
	[ "$(id -u)" != 0 ] || run_status 0 "${PID1[@]}" env $environment "$AMLSHIM" --job "$T/job.yml" --snapshot "$T/manifest"
}

@test "snapshot: a changed file stops the job" {
	echo 'echo ran; cat /etc/shadow' >"$T/src/train.sh"
	stopped_by "code changed: train.sh"
}

@test "snapshot: one bit, the length and the times being the same, stops the job" {
	touch -r "$T/src/train.sh" "$T/when"
	printf 'echo raN\n' >"$T/src/train.sh"
	touch -r "$T/when" "$T/src/train.sh"
	stopped_by "code changed: train.sh"
}

@test "snapshot: a missing file stops the job" {
	rm "$T/src/lib dir/help er.py"
	stopped_by "code missing: lib dir/help er.py"
}

@test "snapshot: an extra file stops the job, also one that git would ignore, or a hidden one" {
	echo '*.pyc' >"$T/src/.gitignore"
	amlshim 0 snapshot "$T/src" --output "$T/manifest"
	mkdir "$T/src/__pycache__"
	: >"$T/src/__pycache__/train.pyc"
	stopped_by "code extra: __pycache__/train.pyc"
}

@test "snapshot: a link that leads elsewhere stops the job" {
	ln -sfn /etc/passwd "$T/src/start"
	stopped_by "code changed: start"
}

@test "snapshot: a file swapped for a link to the same bytes stops the job" {
	mv "$T/src/train.sh" "$T/elsewhere"
	ln -s "$T/elsewhere" "$T/src/train.sh"
	stopped_by "code changed: train.sh"
}

@test "snapshot: a folder swapped for a link to the same files stops the job" {
	mv "$T/src/lib dir" "$T/elsewhere"
	ln -s "$T/elsewhere" "$T/src/lib dir"
	stopped_by "code missing: lib dir/help er.py"
	assert_in "$err" "code extra: lib dir"
}

@test "snapshot: a pipe in the code stops the job and holds nobody up" {
	rm "$T/src/train.sh"
	mkfifo "$T/src/train.sh"
	stopped_by "code changed: train.sh"
}

@test "snapshot: the first ten are named, all are counted, names cannot forge log lines" {
	local i
	for i in {1..30}; do
		: >"$T/src/extra$i"
	done
	rm "$T/src/extra30"
	: >"$T/src/$(printf 'a\namlshim error forged')"
	run_job 2 --snapshot "$T/manifest"
	assert_in "$err" "0 changed, 0 missing, 30 extra"
	assert_equal "$(grep -c 'code extra: ' <<<"$err")" 10
	refute grep -q '^amlshim error forged' <<<"$err"
}

@test "snapshot: under user identity the code's own manifest is found; without one there is a warning" {
	run_job 0
	assert_equal "$out" ran
	assert_equal "$(grep -c 'has no snapshot to be checked against' <<<"$err")" 1
	job managed
	run_job 0
	silent
	amlshim 0 snapshot "$T/src" --output "$T/src/.amlshim-snapshot"
	diff "$T/manifest" "$T/src/.amlshim-snapshot"
	job user
	run_job 0
	silent
	: >"$T/src/extra"
	run_job 2
	assert_in "$err" "code extra: extra"
	job managed
	run_job 0		# not asked for
	silent
}

@test "snapshot: a pipe in the place of the code's own manifest holds nobody up" {
	job user
	mkfifo "$T/src/.amlshim-snapshot"
	LIMIT=20 run_job 2
	refute_in "$out" ran
	assert_in "$err" "$T/src/.amlshim-snapshot"
	assert_in "$err" "no regular file"
}

@test "snapshot: a manifest that is not there, or is none, is an error before anything is asked for" {
	run_job 2 --snapshot "$T/nothing"
	assert_in "$err" "$T/nothing"
	: >"$T/empty"
	run_job 2 --snapshot "$T/empty"
	assert_in "$err" "$T/empty:1"
	head -c -1 "$T/manifest" >"$T/cut"
	run_job 2 --snapshot "$T/cut"
	assert_in "$err" "cut off"
	sed 's|  train.sh|  ../train.sh|' "$T/manifest" >"$T/up"
	run_job 2 --snapshot "$T/up"
	assert_in "$err" "below the code's folder"
	azsim_assert 0
}

@test "snapshot: without a job spec --snapshot is about the current directory" {
	cd "$T/src"
	amlshim 0 --snapshot ../manifest -- sh train.sh
	assert_equal "$out" ran
	: >extra
	amlshim 2 --snapshot ../manifest -- sh train.sh
	refute_in "$out" ran
}

@test "snapshot: plan and --dry-run read no code" {
	: >"$T/src/extra"
	run_job 0 --snapshot "$T/manifest" --dry-run
	run_job 2 --snapshot "$T/manifest" --explain
}

# A signal that comes before PID 1 has blocked it is lost: again, then.
ended() {
	pkill -TERM -P "$pid" -x amlshim
	! kill -0 "$pid" 2>/dev/null
}

# bats test_tags=root
@test "snapshot: a stop signal ends a check that takes long" {
	requires_root
	mkdir "$T/huge"
	for i in {1..8}; do truncate -s 100G "$T/huge/$i"; done
	{ printf '# amlshim snapshot 1\n'; for i in {1..8}; do printf '%064d  %s\n' 0 "$i"; done; } >"$T/zeros"
	(cd "$T/huge" && exec "${PID1[@]}" "$AMLSHIM" --snapshot ../zeros -- echo ran) >"$T/log" 2>&1 3>&- &
	pid=$!
	wait_for 30 ended
	status=0
	wait "$pid" || status=$?
	assert_equal "$status" 143
	refute_in "$(cat "$T/log")" ran
}
