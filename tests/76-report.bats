#!/usr/bin/env bats
# --report: what it says is what happened, in the form of docs/REPORT.md, whatever became of the run;
# --hold-on-failure: all is kept as it was, and the end is the same.
# bats file_tags=root

load helpers
load lib/jobs

setup_file() {
	jobs_begin
	mkdir -p "$BATS_FILE_TMPDIR/in"
	echo hello >"$BATS_FILE_TMPDIR/in/hello.txt"
	head -c 3000000 /dev/urandom >"$BATS_FILE_TMPDIR/in/large"
	store_use azsim
	store_blob put data "$BATS_FILE_TMPDIR/in"
}

teardown_file() {
	jobs_end
}

setup() {
	requires_fuse
	store_use azsim
	report=$BATS_TEST_TMPDIR/report.json
}

teardown() {
	jobs_cleanup
	[ -z "${cgroup-}" ] || rmdir "$cgroup" || true
	[ -z "${closed-}" ] || rm -r "$closed"
}

# reported EXPRESSION...: see tests/lib/check_report.py.
reported() {
	python3 "$BATS_TEST_DIRNAME/lib/check_report.py" "$report" "$@"
}

# An input and an output; what the command does comes from stdin.
data_job() {
	local command
	command=$(cat)
	job_write <<-END
		name: told
		command: $command
		inputs:
		  data: {type: uri_folder, path: azureml://datastores/store/paths/in/}
		outputs:
		  model: {type: uri_folder, path: azureml://datastores/store/paths/$BATS_TEST_NUMBER/}
	END
}

@test "report: docs/REPORT.md has each key, and docs/TROUBLESHOOTING.md each message of the data commands" {
	cd "$BATS_TEST_DIRNAME/.."
	for key in $(python3 tests/lib/check_report.py --keys); do
		grep -qF "\`$key\`" docs/REPORT.md || { echo "not in docs/REPORT.md: $key"; return 1; }
	done
	found=0
	while read -r message; do
		grep -qF "\"$message\"" docs/TROUBLESHOOTING.md || { echo "not in docs/TROUBLESHOOTING.md: $message"; return 1; }
		found=$((found + 1))
	done < <(cat shim/cli/place.c shim/cli/copy.c | tr -d '\n' | grep -oE '(refuse\(err, [^"]*|: |\? )"(it is [^"]*|an input is [^"]*|the job has [^"]*|there is no job[^"]*|a public [^"]*|one of the places [^"]*)"' |
	    sed 's/^[^"]*"//; s/"$//' | grep -v "^it is no regular file\|^it is a file" | sort -u)
	[ $found -ge 8 ]
}

@test "report: a job with data, as whom and why, bytes, requests, phases, the command's end" {
	job_as managed
	for how in pid1 plain; do
		rm -f "$report"
		data_job <<<'"cat ${{inputs.data}}/large >/dev/null; head -c 123456 /dev/zero >${{outputs.model}}/out; exit 7"'
		job_run 7 $how --report "$report"
		reported "r['status'] == 7 and r['ended_by'] == 'command' and r['failure'] is None" \
		    "r['child']['exit_code'] == 7 and r['child']['signal'] is None" \
		    "r['job'] == 'told' and r['command'][1] == '-c'" \
		    "p == ['planning', 'preparing', 'running', 'draining']" \
		    "3000000 <= a['data']['bytes_read'] < 3100000 and a['data']['requests'] >= 2" \
		    "a['model']['bytes_written'] == 123456 and a['model']['direction'] == 'output'" \
		    "all(x['state'] == 'ready' and '$SECOND_ID' in x['identity']['label'] for x in r['accesses'])" \
		    "a['data']['identity']['kind'] == 'managed' and a['data']['identity']['reason']" \
		    "a['data']['container'] == 'data' and a['data']['prefix'] == 'in'" \
		    "r['usage']['max_rss_bytes'] > 0 and r['tokens']['requests'] >= 1" \
		    "r['outputs_lost'] == 0 and r['accesses_left_out'] == 0"
	done
}

@test "report: without a job spec; a signal's end; orphans; exec that fails" {
	both 3 --report "$report" -- sh -c 'exit 3'
	reported "r['child'] == dict(started=True, exit_code=3, signal=None, core_dumped=False, restarts=0)" \
	    "p == ['planning', 'running', 'draining'] and r['accesses'] == []"
	amlshim 3 --report "$report" --restart on-failure:2 -- sh -c 'exit 3'
	reported "r['child']['restarts'] == 2 and r['child']['exit_code'] == 3"
	amlshim 137 --report "$report" -- sh -c 'kill -9 $$'
	reported "r['child']['signal'] == 9 and r['child']['exit_code'] is None and r['status'] == 137"
	amlshim 0 --report "$report" -- sh -c 'for i in 1 2 3; do (sh -c "sleep 0.05 & exit 0"); done; sleep 1'
	reported "r['orphans_reaped'] == 3"
	amlshim 127 --report "$report" -- no-such-command
	reported "r['child']['started'] is False and r['status'] == 127 and r['command'] == ['no-such-command']"
	amlshim 0 -e 5 --report "$report" -- sh -c 'exit 5'
	reported "r['status'] == 0 and r['child']['exit_code'] == 5"
	amlshim 0 --report "$report" -- sh -c 'i=0; while [ $i -lt 300000 ]; do i=$((i + 1)); done'
	reported "r['usage']['user_ms'] > 0"
}

@test "report: who sent the stop signal; the time limit" {
	local me=$BASHPID
	for how in pid1 plain; do
		job_as key
		data_job <<<'trap "exit 4" TERM; echo up; while :; do sleep 0.05; done'
		job_start $how --report "$report"
		wait_for 60 job_says '^up$'
		kill -TERM "$job_pid"
		job_end 4
		reported "r['ended_by'] == 'stop_signal' and r['stop_signal']['signal'] == 15" \
		    "r['stop_signal']['uid'] == 0 and 'stopping' in p" \
		    "r['stop_signal']['pid'] == $([ $how = pid1 ] && echo 0 || echo $me)"
	done
	job_write <<-END
		command: sleep 600
		limits: {timeout: 1}
	END
	job_run 124 plain --report "$report"
	reported "r['ended_by'] == 'time_limit' and r['status'] == 124 and r['child']['signal'] == 15"
}

@test "report: runs that end before the command: bad usage, no identity, access denied, changed code" {
	refuted() {
		reported "r['ended_by'] == 'failure' and r['child']['started'] is False" \
		    "r['failure']['remedy'] and r['failure']['cause']" "$@"
	}
	amlshim 2 --report "$report"
	refuted "r['status'] == 2 and r['failure']['kind'] == 'usage'"
	job_as key
	data_job <<<'"true"'
	echo 'comand: true' >"$JOB/job.yml"
	job_run 2 plain --report "$report"
	refuted "'job.yml' in r['failure']['on'] and r['status'] == 2"
	job_as outsider
	data_job <<<'"true"'
	job_run 122 pid1 --report "$report"
	refuted "r['status'] == 122 and r['failure']['kind'] == 'denied' and r['failure']['http_status'] == 403" \
	    "'$OUTSIDER_ID' in r['failure']['as']" \
	    "a['data']['state'] == 'failed' and p == ['planning', 'preparing', 'draining']"
	job_as managed
	data_job <<<'"true"'
	job_env=()
	job_run 121 plain --report "$report"
	refuted "r['status'] == 121"
	cd "$BATS_TEST_TMPDIR"
	echo nothing >snapshot
	amlshim 2 --report "$report" --snapshot "$BATS_TEST_TMPDIR/snapshot" -- true
	refuted "r['failure']['kind'] == 'usage' and r['status'] == 2"
}

@test "report: outputs that did not get out are named, and counted" {
	job_as reader
	data_job <<<'for i in 1 2 3 4 5 6 7 8 9 10 11; do echo $i >${{outputs.model}}/$i; done; true'
	sed -i 's/type: uri_folder, path: azureml:..datastores.store.paths.[0-9]*.}/type: uri_folder, mode: upload, path: azureml:\/\/datastores\/store\/paths\/lost\/}/' "$JOB/job.yml"
	job_run 123 plain --report "$report"
	reported "r['status'] == 123 and r['child']['exit_code'] == 0" \
	    "r['outputs_lost'] == 11 and len(r['lost']) == 8" \
	    "all(x['kind'] == 'output' and x['http_status'] == 403 for x in r['lost']) and a['model']['files_failed'] == 11"
}

@test "report: it appears at once: whoever has the old one open keeps that" {
	echo old >"$report"
	exec 5<"$report"
	amlshim 0 --report "$report" -- true
	assert_equal "$(cat <&5)" old
	exec 5<&-
	reported "r['status'] == 0"
	assert_equal "$(find "$BATS_TEST_TMPDIR" -name 'report.json*' | wc -l)" 1
	cd "$BATS_TEST_TMPDIR"
	rm "$report"
	amlshim 0 --report report.json -- sh -c 'cd /; true'
	reported "r['status'] == 0"
}

@test "report: a file that cannot be replaced is written in place, with at most 4096 bytes" {
	job_as key
	data_job <<<'"true"'
	{
		echo "command: echo ran"
		echo "inputs:"
		for i in $(seq 20); do
			echo "  data$i: {type: uri_folder, mode: direct, path: azureml://datastores/store/paths/in/}"
		done
	} >"$JOB/job.yml"
	head -c 9000 /dev/zero | tr '\0' x >"$report"
	touch "$BATS_TEST_TMPDIR/log"
	# As Kubernetes does with /dev/termination-log: the file is a mount.
	unshare --mount --propagation "${PID1[-1]}" sh -c 'mount --bind "$1" "$2" && shift 2 && exec "$@"' sh \
	    "$report" "$BATS_TEST_TMPDIR/log" env "SSL_CERT_FILE=$STORE_CA" "$AMLSHIM" --job "$JOB/job.yml" \
	    --datastore "$JOB/store.yml" --report "$BATS_TEST_TMPDIR/log" >/dev/null
	[ "$(stat -c %s "$report")" -le 4096 ]
	reported "r['accesses_left_out'] > 0 and len(r['accesses']) + r['accesses_left_out'] == 20" \
	    "r['status'] == 0"
	amlshim 0 --report /dev/stdout -- true
	cp "$BATS_TEST_TMPDIR/out" "$report"
	reported "r['status'] == 0"
	amlshim 3 --report /nowhere/report -- sh -c 'exit 3'
	assert_in "$err" "cannot write the report /nowhere/report"
	closed=$(mktemp -d)
	chmod 755 "$closed"
	report=$closed/report
	echo '{}' >"$report"
	chmod 666 "$report"
	setpriv --reuid 4711 --clear-groups "$AMLSHIM" --report "$report" -- true
	reported "r['status'] == 0"
}

@test "report: a process that the memory limit killed is counted" {
	local limit=memory.max files=cgroup.procs base=/sys/fs/cgroup
	if [ -e /sys/fs/cgroup/memory/memory.limit_in_bytes ]; then
		base=/sys/fs/cgroup/memory limit=memory.limit_in_bytes
	else
		echo +memory >/sys/fs/cgroup/cgroup.subtree_control || true
	fi
	cgroup=$base/amlshim-$$-$BATS_TEST_NUMBER
	mkdir "$cgroup"
	echo $((64 << 20)) >"$cgroup/$limit"
	# As a container sees it: the cgroup is the root.  The command is killed for what it holds.
	amlshim_in() {
		sh -c 'echo $$ >"$1" && shift && exec "$@"' sh "$cgroup/$files" unshare --cgroup --mount \
		    --propagation "${PID1[-1]}" sh -c 'mount --bind "$1" "$2" && shift 2 && exec "$@"' sh "$cgroup" "$base" \
		    "$AMLSHIM" "$@"
	}
	amlshim_in --report "$report" -- python3 -c 'x = bytearray(200 << 20)' || true
	reported "r['memory_kills'] == 1 and r['child']['signal'] == 9"
	amlshim_in --report "$report" -- true
	reported "r['memory_kills'] == 0"
}

@test "report, trace and log: no secret that was given anywhere is told" {
	secret=hunter2hunter2
	job_as managed
	data_job <<-'END'
		"cat ${{inputs.data}}/hello.txt --password hunter2hunter2 --api-key=hunter2hunter2 'https://x/?sv=1&sig=hunter2hunter2&se=1' 2>/dev/null || true"
	END
	cat >>"$JOB/store.yml" <<-END
		---
		name: other
		type: azure_blob
		account_name: $STORE_ACCOUNT
		container_name: data
		endpoint: $STORE_HOST
		credentials: {account_key: "$(printf %s $secret | base64)"}
		---
		name: third
		type: azure_blob
		account_name: $STORE_ACCOUNT
		container_name: data
		endpoint: $STORE_HOST
		credentials: {sas_token: "sv=2021-08-06&ss=b&srt=sco&sp=rl&se=2030-01-01T00:00:00Z&sig=$secret"}
	END
	for input in store other third; do
		sed "s/datastores.store.paths.in/datastores\/$input\/paths\/in/" "$JOB/job.yml" >"$JOB/next.yml"
		for format in text json; do
			job_command plain -vv --log-format $format --trace "$BATS_TEST_TMPDIR/trace" --report "$report"
			job_words=("${job_words[@]/job.yml/next.yml}")
			"${job_words[@]}" >/dev/null 2>"$BATS_TEST_TMPDIR/log" || true
			[ -s "$BATS_TEST_TMPDIR/log" ]
			reported "r['command'][1] == '-c'"
			refute grep -E "$secret|$(printf %s $secret | base64)|eyJ|$AZSIM_SECRET" \
			    "$BATS_TEST_TMPDIR/log" "$BATS_TEST_TMPDIR/trace" "$report"
			if [ $format = json ]; then
				python3 -c 'import json, sys
for line in sys.stdin:
    d = json.loads(line); assert d["time"] and d["level"] in ("error", "warning", "notice", "info", "debug"), d' \
				    <"$BATS_TEST_TMPDIR/log"
			fi
		done
	done
	amlshim 0 --report "$report" -- true --token hunter2hunter2 -H "Authorization: Bearer hunter2hunter2" \
	    "AccountKey=hunter2hunter2;x" eyJhbGciOi.hunter2hunter2 design monkey key
	refute grep -q hunter2 "$report"
	reported "r['command'][-3:] == ['design', 'monkey', 'key']"
}

# ---- holding

@test "hold: after a failed command the mounts and the broker stay; a stop signal ends it with the same status" {
	for how in pid1 plain; do
		job_as managed
		data_job <<<'"echo partial >${{outputs.model}}/part; echo $MSI_ENDPOINT; exit 9"'
		job_start $how --hold-on-failure --report "$report" -v
		wait_for 60 job_says 'failed with 9; all is kept as it is until a stop signal'
		assert_in "$(cat "$BATS_TEST_TMPDIR/err")" "docker exec CONTAINER amlshim status"
		# From inside its namespaces, as docker exec does.
		assert_equal "$(nsenter -t "$job_pid" -m cat "$JOB/mnt/inputs/data/hello.txt")" hello
		[ "$(nsenter -t "$job_pid" -m cat "$JOB/mnt/outputs/model/part")" = partial ]
		# The broker answers, if only that nobody of the job asks.
		endpoint=$(grep -o 'http://127[^ ]*' "$BATS_TEST_TMPDIR/out")
		assert_equal "$(curl -s -o /dev/null -w '%{http_code}' "$endpoint?resource=https://storage.azure.com&api-version=2017-09-01")" 403
		kill -TERM "$job_pid"
		job_end 9
		store_has "$BATS_TEST_NUMBER/part" <(echo partial)
		reported "r['status'] == 9 and r['ended_by'] == 'command' and 'holding' in p" \
		    "p[-1] == 'draining' and r['stop_signal']['signal'] == 15"
		job_left_nothing
	done
}

@test "hold: for a time; not after success, nor when it was told to stop" {
	amlshim 3 --hold-on-failure=200ms --report "$report" -- sh -c 'exit 3'
	assert_in "$err" "failed with 3; all is kept as it is for 0.2 s, or until a stop signal"
	reported "[x for x in r['phases'] if x['name'] == 'holding'][0]['duration_ms'] >= 199"
	AMLSHIM_HOLD_ON_FAILURE=yes amlshim 0 -- true
	silent
	amlshim 0 --hold-on-failure -e 3 -- sh -c 'exit 3'
	silent
	both 7 --hold-on-failure -- sh -c 'trap "exit 7" TERM; kill -TERM $PPID; while :; do sleep 0.05; done'
	silent
}

@test "hold: what fails before the command is held as well" {
	job_as outsider
	data_job <<<'"true"'
	job_run 122 pid1 --hold-on-failure=100ms --report "$report"
	assert_in "$err" "failed with 122; all is kept"
	reported "p == ['planning', 'preparing', 'holding', 'draining'] and r['failure']['kind'] == 'denied'"
	job_left_nothing
	echo 'comand: x' >"$JOB/job.yml"
	job_start plain --hold-on-failure
	wait_for 30 job_says 'failed with 2; all is kept'
	kill -TERM "$job_pid"
	job_end 2
	amlshim 127 --hold-on-failure=100ms -- no-such-command
	assert_in "$err" "failed with 127; all is kept"
	# Nobody is left unreaped meanwhile.
	run_status 4 "${PID1[@]}" "$AMLSHIM" --hold-on-failure=300ms -- sh -c 'sh -c "sleep 0.1 & exit 0"; exit 4'
}
