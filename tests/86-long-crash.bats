#!/usr/bin/env bats
# A long mixed load on mounts whose processes are killed all the time: zero failed system calls, all
# bytes right, in the job and in the store.  CRASH_S says how long each test takes.
# bats file_tags=root

load helpers
load lib/crash

CRASH_S=${CRASH_S:-600}
MOUNT_EVERY=${MOUNT_EVERY:-10}
AGENT_EVERY=${AGENT_EVERY:-15}

setup_file() {
	jobs_begin
}

teardown_file() {
	jobs_end
}

setup() {
	requires_fuse
	azsim_reset
	LIMIT=$((CRASH_S + 300))
}

teardown() {
	jobs_cleanup
}

# Mount processes die every 10 s, the agent every 15 s, as long as the job works.
kill_them() {
	local begin=$SECONDS next_mount=$((SECONDS + MOUNT_EVERY)) next_agent=$((SECONDS + AGENT_EVERY)) pid comm children=()
	mounts=0 agents=0
	while [ $((SECONDS - begin)) -lt "$CRASH_S" ] && kill -0 "$job_pid" 2>/dev/null; do
		sleep 0.2
		read -ra children <"/proc/$job_pid/task/$job_pid/children" || true
		for pid in "${children[@]}"; do
			read -r comm <"/proc/$pid/comm" || continue
			case $comm in
			amlshim:mount*)
				[ $SECONDS -lt $next_mount ] || { kill -KILL "$pid" && mounts=$((mounts + 1)); } ;;
			amlshim:agent*)
				[ $SECONDS -lt $next_agent ] || { kill -KILL "$pid" && agents=$((agents + 1)); } ;;
			esac
		done
		[ $SECONDS -lt $next_mount ] || next_mount=$((SECONDS + MOUNT_EVERY))
		if [ $SECONDS -ge $next_agent ]; then
			next_agent=$((SECONDS + AGENT_EVERY))
			azsim_forget
		fi
	done
}

survives() { # STORE [FLAG...]
	churn_job "$CRASH_S" "$@"
	kill_them
	job_end 0
	azsim_knob latency_ms=0
	echo "# $out, $mounts mount processes and $agents agents killed in $CRASH_S s" >&3
	assert_in "$out" "failed=0 wrong=0"
	[ "$mounts" -ge $((CRASH_S / MOUNT_EVERY - 2)) ]
	[ "$CRASH_S" -lt $((2 * AGENT_EVERY)) ] || [ "$agents" -ge 1 ]
	store_holds "$T/ours"
	job_left_nothing
}

@test "crash: a mixed load while mounts and agent are killed: not one call fails, no byte is wrong" {
	survives azsim
}

# The requests come out of shared memory, as on Linux before 6.9.
@test "crash: the same where the kernel cannot send requests again" {
	CRASH_S=$((CRASH_S / 5)) NO_RESEND=1 survives azsim
}
