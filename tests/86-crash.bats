#!/usr/bin/env bats
# A mount process that is killed is replaced by another one on the same mount: the job sees a pause.
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

# on STORE [FLAG...]: start a job that runs $T/script.sh with the output as its first word.
start() {
	job_out "bash -e $T/script.sh \${{outputs.out}}"
	job_start plain "$@"
}

# The script of the job waits here until the test has done what it wants.
sync_here='here() { touch "$T/at.$1"; until [ -e "$T/go.$1" ]; do sleep 0.02; done; }'

at() { # NAME
	wait_for 30 test -e "$T/at.$1"
}

go() { # NAME
	touch "$T/go.$1"
}

writes_on() {
	mounts_on "$1"
	shift
	cat >"$T/script.sh" <<-END
		T=$T
		$sync_here
		cd "\$1"
		mkdir -p dir/sub
		echo one >dir/one
		exec 3>>dir/open
		echo before >&3
		here 1
		echo after >&3
		cat dir/one
		here 2
		exec 3>&-
		cat dir/open
		mv dir/one dir/sub/uno
		rm dir/open
		here 3
		ls dir dir/sub
		mkdir empty; rmdir empty
		echo end >>dir/sub/uno
	END
	start "$@"
	local n
	for n in 1 2 3; do
		at "$n"
		worker_kill "$job_pid" mount
		go "$n"
	done
	job_end 0
	mkdir -p "$T/ours/dir/sub"
	printf 'one\nend\n' >"$T/ours/dir/sub/uno"
	store_holds "$T/ours"
	assert_equal "$(grep -c 'starting it again' <<<"$err")" 3
}

@test "crash: between operations: names, contents, open files stay: flat" {
	writes_on azsim
}
