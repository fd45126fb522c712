#!/usr/bin/env bats
# Calls that fail inside amlshim: build/fault/amlshim (tests/fault/fault.h). docs/FAULTS.md has the table; make faults
# fails each call by turns.
# bats file_tags=root

load helpers
load lib/mounts

FAULTY=$(readlink -f "${FAULTY:-$BATS_TEST_DIRNAME/../build/fault/amlshim}")
FAULTS=$BATS_TEST_DIRNAME/fault

setup_file() {
	jobs_begin
	export DATA=$BATS_FILE_TMPDIR/in/data
	mkdir -p "$DATA/deep"
	seq 200000 >"$DATA/large"
	echo small >"$DATA/small"
	echo deep >"$DATA/deep/one"
	azsim_put data/in "$DATA"
}

teardown_file() {
	jobs_end
}

setup() {
	requires_fuse
	azsim_reset
	T=$BATS_TEST_TMPDIR
	mkdir "$T/runs"
}

# faults NAME WORD...: tests/fault/NAME.py, bounded; FAULT_LOG gets what it says at once.
faults() {
	local name=$1
	shift
	AMLSHIM=$AMLSHIM timeout "${FAULT_LIMIT:-300}" "$FAULTS/$name.py" "$@" 2>&1 |
	    tee "${FAULT_LOG:-/dev/null}"
	[ "${PIPESTATUS[0]}" = 0 ]
}

@test "build: nothing of it is in amlshim" {
	refute grep -q AMLSHIM_FAULT "$AMLSHIM"
	grep -q AMLSHIM_FAULT "$FAULTY"
	refute_in "$(nm "$AMLSHIM.debug")" __wrap_
	# Each function that can fail is one that the linker has put aside, where anybody calls it.
	local name names
	names=$(nm "$FAULTY")
	for name in $(sed -n '/define FAULT_FUNCTIONS/,/^$/p' "$FAULTS/fault.h" | grep -o 'F([a-z0-9_]*)' | tr -d 'F()'); do
		grep -qw "__wrap_$name" <<<"$names" || ! grep -qw "$name" <<<"$names" || { echo "no $name"; return 1; }
	done
	AMLSHIM_FAULT=malloc:nonsense run_status 99 "$FAULTY" -- true
}

@test "table: each cell of docs/FAULTS.md" {
	azsim_knob token_lifetime_s=2
	# shellcheck disable=SC2086
	faults table ${FAULT_TABLE-} "$FAULTY" "$T/runs" "$DATA" "$BATS_TEST_DIRNAME/../docs/FAULTS.md"
}

# one SCENARIO RULE...: the outcome of a run with these rules (tests/fault/run.py, which judges it, too).
one() {
	local scenario=$1 IFS=,
	shift
	faults sweep --only "$scenario" --rule "$*" "$FAULTY" "$T/runs" "$DATA" >"$T/told" || {
		cat "$T/told"
		return 1
	}
	outcome=$(tail -n 1 "$T/told")
}

# Once the job has begun: the mount's next allocation.
DEATH=malloc:ENOMEM:role=mount:once=@DIR@/began:nth=1

@test "successor: one that cannot begin for want of descriptors has a successor, too" {
	one reads $DEATH epoll_create1:EMFILE:role=mount:once=@DIR@/began:nth=1
	assert_equal "$outcome" replaced
	grep -q 'successor no. 2 starts' "$T/told"
}

@test "successor: if none can begin, the run ends, and says where the data is" {
	one writes malloc:ENOMEM:role=mount:once=@DIR@/began:nth=40 epoll_create1:EMFILE:role=mount:once=@DIR@/began
	assert_equal "$outcome" 125
	grep -q 'error keep a process running\|error cannot keep a process running' "$T/told"
	grep -q "data in $T/runs/r1/cache/out" "$T/told"
}

@test "successor: init cannot start it: for a moment nothing is seen of it; else the run ends" {
	local gone=fork:EAGAIN:role=init:once=@DIR@/began
	one reads $DEATH $gone:nth=1
	assert_equal "$outcome" replaced
	one reads $DEATH $gone
	assert_equal "$outcome" 125
	grep -q "its successor could not be started" "$T/told"
	assert_equal "$(grep -c "cannot start a worker process" "$T/told")" 1
}

# As a machine that sleeps, or a container that is paused: for longer than the watchdog waits.
@test "slept: all processes stand still for a while: nobody is blamed" {
	store_use azsim
	job_as managed
	job_write <<-END
		command: cmp \${{inputs.data}}/large $DATA/large; touch $T/began; until [ -e $T/go ]; do sleep 0.05; done; cat \${{inputs.data}}/deep/one >\${{outputs.out}}/one
		inputs:
		  data: {type: uri_folder, path: azureml://datastores/store/paths/in/data/}
		outputs:
		  out: {type: uri_folder, path: azureml://datastores/store/paths/slept/}
	END
	job_start plain --watchdog 2s
	wait_for 60 test -e "$T/began"
	local workers
	workers=$(pgrep -P "$job_pid" -x 'amlshim:.*')
	assert_equal "$(wc -w <<<"$workers")" 3
	# shellcheck disable=SC2086
	kill -STOP "$job_pid" $workers
	sleep 5
	# shellcheck disable=SC2086
	kill -CONT "$job_pid" $workers
	touch "$T/go"
	job_end 0
	silent
	store_has slept/one "$DATA/deep/one"
	job_left_nothing
}

@test "descriptors: hundreds of failures later the mount has as many as before" {
	local AMLSHIM=$FAULTY
	mounts_on azsim
	job_env+=("AMLSHIM_FAULT=desc:EMFILE:role=mount:one=4:seed=1:once=$T/go,disk:ENOSPC:role=mount:one=4:seed=2:once=$T/go,in:EIO:role=mount:one=4:seed=3:once=$T/go,intr:EINTR:role=mount:one=4:seed=4:once=$T/go")
	job_env+=("AMLSHIM_FAULT_COUNTS=$T/page")
	script <<-END
		mount=\$($BATS_TEST_DIRNAME/lib/usage.sh | cut -d' ' -f4)
		held() { find /proc/\$mount/fd -type l -printf '%l\n' | grep -vc '^socket:'; }
		work() {
			for i in \$(seq \$1); do
				cat $DATA/small >"\$out/a\$i"
				cat "\$out/a\$i"
				mv "\$out/a\$i" "\$out/b"
				cat $DATA/deep/one >>"\$out/b"
				rm -f "\$out/b" "\$out/a\$i"
			done >/dev/null 2>&1
		}
		out=\$1
		work 3
		before=\$(held)
		touch $T/go
		work 60
		echo \$((\$(held) - before))
	END
	job_out "bash $T/script.sh \${{outputs.out}}"
	job_command plain
	status=0
	timeout -k 5 120 "${job_words[@]}" >"$T/out" 2>"$T/err" 3>&- || status=$?
	echo "status $status"; head -n 5 "$T/err"
	assert_equal "$(tail -n 1 "$T/out")" 0
	[ "$status" = 0 ] || [ "$status" = 123 ]
	# They did fail: struct fault_page has the counts behind the time.
	[ "$(od -A n -t d8 -j 8 -N 32 "$T/page" | awk '{ for (i = 1; i <= NF; i++) n += $i } END { print n }')" -gt 100 ]
}

@test "sweep: each call fails, by turns" {
	# shellcheck disable=SC2086
	faults sweep ${FAULT_SWEEP---sample 60} "$FAULTY" "$T/runs" "$DATA"
}
