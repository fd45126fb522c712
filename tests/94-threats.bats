#!/usr/bin/env bats
# docs/THREAT-MODEL.md: each promise has tests, and those that no other suite has are here.
# bats file_tags=root

load helpers
load lib/jobs

setup_file() {
	jobs_begin
	mkdir "$BATS_FILE_TMPDIR/in"
	echo "what was read" >"$BATS_FILE_TMPDIR/in/f"
	azsim_put data "$BATS_FILE_TMPDIR/in"
}

teardown_file() {
	jobs_end
}

setup() {
	requires_fuse
	chmod 755 "$BATS_RUN_TMPDIR" "$BATS_TEST_TMPDIR"	# for a job of another user
	store_use azsim
	T=$BATS_TEST_TMPDIR
	R='resource=https://storage.azure.com/'
}

teardown() {
	jobs_cleanup
}

# ---- the document

# has SUITE TEXT: a test whose name begins so.
has() {
	case $1 in
	unit\ *) grep -qx "$2(void)" "$BATS_TEST_DIRNAME/unit/test_${1#unit }.c" ;;
	*) grep -qF "@test \"$2" "$BATS_TEST_DIRNAME/$1"-*.bats ;;
	esac
}

@test "promises: each names tests, and each of them exists" {
	local row tests check n=0
	sed -n '/^<!-- promises/,/^<!-- end of promises/p' "$BATS_TEST_DIRNAME/../docs/THREAT-MODEL.md" |
	    grep '^|' | sed 1,2d >"$T/table"
	while IFS= read -r row; do
		tests=$(grep -oE '`([0-9]{2}|unit [a-z_]+): [^`]*`' <<<"${row##* | }" | tr -d '`')
		[ -n "$tests" ] || { echo "no test: $row"; return 1; }
		while IFS= read -r check; do
			has "${check%%: *}" "${check#*: }" || { echo "no such test: $check"; return 1; }
			n=$((n + 1))
		done <<<"$tests"
	done <"$T/table"
	[ "$n" -ge 40 ]
	refute has 94 "no such test"
	refute has "unit confine" no_such_function
}

# ---- workers

workers() {
	pgrep -P "$job_pid" '^amlshim:'
}

# A job with an agent, a mount that has a disk cache, a writable mount and an upload.
many_job() { # [LINE OF SHELL]
	job_write <<-END
		command: echo ready; ${1-true}; while [ ! -e $T/go ] && [ -d $T ]; do sleep 0.1; done
		inputs:
		  in: {type: uri_folder, path: azureml://datastores/store/paths/in/}
		outputs:
		  mount: {type: uri_folder, path: azureml://datastores/store/paths/m$BATS_TEST_NUMBER/, mode: rw_mount}
		  copy: {type: uri_folder, path: azureml://datastores/store/paths/u$BATS_TEST_NUMBER/, mode: upload}
	END
}

# The job gets a token for storage, some times, as its mounts do.
asking() {
	cat >"$T/ask.sh" <<-END
		for i in 1 2 3 4 5; do
			curl -s -H "secret: \$MSI_SECRET" "\$MSI_ENDPOINT?$R" >$T/answer.new
		done
		mv $T/answer.new $T/answer
	END
}

# The middle of its signature: the rest is no secret.
part_of_token() {
	local token
	token=$(sed 's/.*"access_token":"\([^"]*\)".*/\1/' "$T/answer")
	token=${token##*.}
	[ ${#token} -gt 40 ]
	echo "${token:4:24}"
}

start_many() { # pid1|plain FLAG...
	rm -f "$T/go"
	job_start "$@"
	wait_for 30 grep -qx ready "$T/out"
}

end_many() {
	: >"$T/go"
	job_end 0
}

# The command's process.
the_job() {
	local pid
	for pid in $(pgrep -P "$job_pid"); do
		case $(cat "/proc/$pid/comm") in
		amlshim:*) ;;
		*) echo "$pid" ;;
		esac
	done
}

status_of() { # PID FIELD
	sed -n "s/^$2:[[:space:]]*//p" "/proc/$1/status"
}

# bats test_tags=release
@test "workers: filtered, without new privileges, without a core" {
	local how pid n
	job_as managed
	many_job
	for how in pid1 plain; do
		start_many $how
		n=0
		for pid in $(workers); do
			assert_equal "$(status_of "$pid" Seccomp)" 2
			assert_equal "$(status_of "$pid" NoNewPrivs)" 1
			grep -qE '^Max core file size +[01] +[01] ' "/proc/$pid/limits"
			n=$((n + 1))
		done
		assert_equal $n 4
		# The job is as it would be without us.
		assert_equal "$(status_of "$(the_job)" Seccomp)" "$(status_of $$ Seccomp)"
		end_many
	done
}

# What has addresses that were written at the start: whole pages of PT_GNU_RELRO, as far as they are mapped.
tables_are_read_only() { # PID
	local exe range mode rest at size base='' begin end from to n=0
	exe=$(readlink "/proc/$1/exe")
	read -r at size < <(readelf -lW "$exe" | awk '$1 == "GNU_RELRO" { print $3, $6 }')
	while read -r range mode rest; do
		[ "${rest##* }" = "$exe" ] || continue
		from=$((0x${range%-*})) to=$((0x${range#*-}))
		base=${base:-$from}
		begin=$(((base + at) / 4096 * 4096)) end=$(((base + at + size) / 4096 * 4096))
		[ $to -gt $begin ] && [ $from -lt $end ] || continue
		assert_equal "$mode" r--p
		n=$((n + 1))
	done <"/proc/$1/maps"
	[ $n -gt 0 ]
}

@test "tables: what holds addresses is read-only, in init, in workers and in their successors" {
	local pid n=0
	job_as managed
	many_job
	start_many pid1
	for pid in "$job_pid" $(workers); do
		tables_are_read_only "$pid"
		n=$((n + 1))
	done
	assert_equal $n 5
	pid=$(job_worker "mount i")
	kill -USR2 "$pid"
	wait_for 30 eval '[ "$(job_worker "mount i")" -ne '"$pid"' ]'
	tables_are_read_only "$(job_worker "mount i")"
	end_many
	"$AMLSHIM" -- sleep 60 &
	pid=$!
	wait_for 30 pgrep -P $pid sleep
	tables_are_read_only $pid
	kill $pid
	wait $pid || true
}

# In hexadecimal: what of these capabilities this machine has.
of_ours() { # NUMBER...
	local mask=0 n
	for n; do
		mask=$((mask | 1 << n))
	done
	printf '%016x\n' $((mask & 0x$(status_of self CapPrm)))
}

caps_are() { # PID CAPS
	local field
	for field in CapPrm CapEff CapBnd; do
		assert_equal "$field $(status_of "$1" $field)" "$field $2"
	done
	for field in CapInh CapAmb; do
		assert_equal "$field $(status_of "$1" $field)" "$field 0000000000000000"
	done
}

@test "workers: capabilities: what each needs and no more" {
	local how
	local chown=0 override=1 setgid=6 setuid=7 ipc_lock=14 ptrace=19 admin=21
	job_as managed
	many_job
	for how in pid1 plain; do
		start_many $how --disk-cache 64M
		caps_are "$(job_worker "mount i")" "$(of_ours $override $ipc_lock $admin)"
		caps_are "$(job_worker "mount m")" "$(of_ours $override $ipc_lock)"
		caps_are "$(job_worker "upload ")" "$(of_ours $override $ipc_lock)"
		caps_are "$(job_worker agent)" "$(of_ours $override $ipc_lock $ptrace)"
		end_many
		start_many $how --user nobody
		caps_are "$(job_worker "mount i")" "$(of_ours $override $ipc_lock)"
		caps_are "$(job_worker agent)" "$(of_ours $chown $override $setgid $setuid $ipc_lock)"
		end_many
	done
}

@test "workers: the agent knows the job's processes, whatever capabilities both have" {
	local how
	job_as managed
	cat >"$T/ask.sh" <<-END
		curl -s -o /dev/null -w 'answer %{http_code}\n' -H "secret: \$MSI_SECRET" "\$MSI_ENDPOINT?$R"
	END
	job_write <<<"command: sh $T/ask.sh"
	for how in pid1 plain; do
		job_run 0 $how
		assert_equal "$out" "answer 200"
		job_run 0 $how --cap-drop all
		assert_equal "$out" "answer 200"
		job_run 0 $how --user nobody
		assert_equal "$out" "answer 200"
		job_command $how
		run_status 0 setpriv --bounding-set=-sys_ptrace --inh-caps=-sys_ptrace "${job_words[@]}"
		assert_equal "$out" "answer 200"
	done
}

@test "workers: not dumpable: who has their user, and no more, cannot look into them" {
	local pid
	local as=(setpriv --reuid 65534 --regid 65534 --clear-groups --inh-caps=-all --bounding-set=-all --no-new-privs)
	job_as managed
	cp "$AMLSHIM" "$T/amlshim"
	job_write <<<"command: echo ready; while [ ! -e $T/go ] && [ -d $T ]; do sleep 0.1; done"
	AMLSHIM="${as[*]} $T/amlshim"
	job_command plain
	# shellcheck disable=SC2206 # the words of AMLSHIM
	job_words=(${job_words[@]})
	"${job_words[@]}" >"$T/out" 2>"$T/err" 3>&- &
	job_outer=$! job_pid=$!
	wait_for 30 grep -qx ready "$T/out"
	for pid in $job_pid $(job_worker agent); do
		assert_equal "$(status_of "$pid" Uid | cut -f1)" 65534
		refute "${as[@]}" cat "/proc/$pid/environ"
		refute "${as[@]}" ls "/proc/$pid/fd"
	done
	"${as[@]}" cat "/proc/$(the_job)/environ" >/dev/null	# so it could
	end_many
}

@test "workers: the broker refuses them" {
	local pid
	job_as managed
	many_job "env >$T/env.new; mv $T/env.new $T/env"
	start_many plain
	wait_for 30 test -e "$T/env"
	# A worker's process, but with a program of ours: its child is no descendant of the job.
	for pid in $(workers); do
		assert_equal "$(status_of "$pid" PPid)" "$job_pid"
	done
	answer=$(curl -s -w '%{http_code}' -H "secret: $(sed -n 's/^MSI_SECRET=//p' "$T/env")" \
	    "$(sed -n 's/^MSI_ENDPOINT=//p' "$T/env")?$R")
	assert_in "$answer" "it comes from no process of the job"
	end_many
}

# bats test_tags=release
@test "workers: the credential of one mount is not in another" {
	local part
	job_as managed
	asking
	job_write <<-END
		command: sh $T/ask.sh; echo ready; while [ ! -e $T/go ] && [ -d $T ]; do sleep 0.1; done
		inputs:
		  in: {type: uri_folder, path: azureml://datastores/keyed/paths/in/}
		outputs:
		  copy: {type: uri_folder, path: azureml://datastores/store/paths/u/, mode: upload}
	END
	sed "s/^name: .*/name: keyed/" "$JOB/store.yml" >"$JOB/keyed.yml"
	echo "credentials: {account_key: \"$STORE_KEY\"}" >>"$JOB/keyed.yml"
	job_store+=(--datastore "$JOB/keyed.yml")
	start_many plain
	part=$(part_of_token)
	assert_equal "$("$TOOLS/memgrep" "$(job_worker "upload ")" "$part")" 1
	assert_equal "$("$TOOLS/memgrep" "$(job_worker "mount i")" "$part")" 0
	assert_equal "$("$TOOLS/memgrep" "$(job_worker "mount i")" "${STORE_KEY:20:16}")" 1
	assert_equal "$("$TOOLS/memgrep" "$(job_worker "upload ")" "${STORE_KEY:20:16}")" 0
	end_many
}

# ---- memory

# bats test_tags=release
@test "memory: locked, also in successors" {
	local pid how
	job_as managed
	many_job
	start_many plain
	for how in first second; do
		for pid in $(workers); do
			wait_for 30 eval "[ \"\$(status_of $pid VmLck | tr -dc 0-9)\" -ge 16 ]"
		done
		pid=$(job_worker agent)
		kill -KILL "$pid"
		wait_for 30 eval "job_worker agent | grep -vqx $pid"
	done
	end_many
}

# bats test_tags=release
@test "memory: a token is in the agent once, and once in each mount that has it" {
	local part
	job_as managed
	asking
	many_job "cat \${{inputs.in}}/f; sh $T/ask.sh"
	start_many plain
	wait_for 30 test -s "$T/answer"
	part=$(part_of_token)
	assert_equal "$("$TOOLS/memgrep" "$(job_worker agent)" "$part")" 1
	assert_equal "$("$TOOLS/memgrep" "$(job_worker "mount i")" "$part")" 1
	assert_equal "$("$TOOLS/memgrep" "$(job_worker "mount m")" "$part")" 1
	assert_equal "$("$TOOLS/memgrep" "$(job_worker "upload ")" "$part")" 1
	assert_equal "$("$TOOLS/memgrep" "$job_pid" "$part")" 0
	end_many
}

# ---- a job of another user

@test "user: nothing of amlshim's is open to the job" {
	local how
	job_as managed
	cat >"$T/look.py" <<-END
		import os
		def parent(pid):
		    try:
		        return int(open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()[1])
		    except (FileNotFoundError, ProcessLookupError):
		        return 0		# it has ended
		top = os.getppid()
		while open(f"/proc/{top}/comm").read().strip() != "amlshim":
		    top = parent(top)
		ours = [top] + [int(p) for p in os.listdir("/proc") if p.isdigit() and parent(p) == top and
		    open(f"/proc/{p}/comm").read().startswith("amlshim:")]
		def refused(what):
		    try:
		        what()
		    except PermissionError:
		        return True
		    return False
		bad = []
		for pid in ours:
		    for name in ("environ", "maps", "mem", "auxv"):
		        if not refused(lambda: open(f"/proc/{pid}/{name}", "rb").read(1)):
		            bad.append((pid, name))
		    if not refused(lambda: os.listdir(f"/proc/{pid}/fd")):
		        bad.append((pid, "fd"))
		    for fd in range(64):
		        try:
		            os.open(f"/proc/{pid}/fd/{fd}", os.O_RDONLY)
		            bad.append((pid, fd))
		        except (PermissionError, FileNotFoundError):
		            pass
		    if not refused(lambda: os.kill(pid, 0)):
		        bad.append((pid, "kill"))
		print("looked at", len(ours), "open", bad, flush=True)
	END
	many_job "python3 $T/look.py"
	for how in pid1 plain; do
		start_many $how --user nobody
		wait_for 30 job_says "looked at"
		end_many
		assert_in "$out" "looked at 5 open []"
	done
}

@test "user: the report does not go where a link of the job points" {
	local how
	mkdir "$T/dir"
	chown nobody "$T/dir"
	chmod 755 "$T/dir"
	echo "root's own" >"$T/victim"
	for how in "${PID1[*]}" ""; do
		# shellcheck disable=SC2086 # words
		run_status 0 $how "$AMLSHIM" --user nobody --report "$T/dir/report" -- ln -sf "$T/victim" "$T/dir/report"
		assert_equal "$(cat "$T/victim")" "root's own"
		assert_in "$err" "cannot write the report $T/dir/report"
	done
}

@test "user: a token file does not go where a link of the job points" {
	local how
	job_as managed
	azsim_knob token_lifetime_s=8
	mkdir "$T/home" "$T/victim"
	chown nobody "$T/home"
	cat >"$T/swap.sh" <<-END
		mv $T/home/dir $T/home/old && ln -s $T/victim $T/home/dir && echo ready
		while [ ! -e $T/go ] && [ -d $T ]; do sleep 0.1; done
	END
	job_write <<<"command: sh $T/swap.sh"
	for how in pid1 plain; do
		rm -rf "${T:?}"/home/*
		mkdir "$T/home/dir"
		chown nobody "$T/home/dir"
		start_many $how --user nobody --token-file "https://storage.azure.com/=$T/home/dir/token"
		wait_for 30 job_says "$T/home/dir/token"
		echo kept >"$T/victim/token"
		end_many
		assert_in "$err" "$T/home/dir/token"
		assert_equal "$(cat "$T/victim"/*)" kept
		assert_equal "$(ls "$T/victim")" token
		rm "$T/victim/token"
	done
}

# ---- files, mounts

@test "files: modes of what is written for people" {
	job_as managed
	job_write <<<"command: 'true'"
	umask 022
	job_run 0 plain --trace "$T/trace" --audit "$T/audit" --report "$T/report"
	assert_equal "$(stat -c %a "$T/trace" "$T/audit" "$T/report")" "600
600
644"
}

@test "mounts: nosuid and nodev, inputs read-only" {
	job_as key
	many_job "cat /proc/self/mounts"
	start_many plain
	end_many
	assert_equal "$(grep -c "^[^ ]* $JOB/mnt/[^ ]* fuse[^ ]* r[ow],nosuid,nodev," <<<"$out")" 2
	assert_in "$(grep " $JOB/mnt/inputs/in " <<<"$out")" " ro,"
}
