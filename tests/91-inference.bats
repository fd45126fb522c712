#!/usr/bin/env bats
# Serving a model: an online deployment's model where Azure ML puts it, the variables of its server,
# probes of it and of us, drain before the stop, the restart policy; and what a distributed job's
# launcher put into the environment.
# bats file_tags=root

load helpers
load lib/jobs

SUB=5ab5c21b-0000-4000-8000-000000000000

setup_file() {
	jobs_begin --workspace "subscription=$SUB,group=rg,name=ws" \
	    --grant "oid=$FIRST_OID,role=data-scientist,in=ws"
	echo sunny >"$BATS_FILE_TMPDIR/weather.pkl"
	echo other >"$BATS_FILE_TMPDIR/other.txt"
	azsim_put data/models "$BATS_FILE_TMPDIR/weather.pkl"
	azsim_put data/models "$BATS_FILE_TMPDIR/other.txt"
	azsim_put data/models/forest/deep "$BATS_FILE_TMPDIR/weather.pkl"
	plane datastore in=ws name=plain type=AzureBlob "account=$AZSIM_ACCOUNT" container=data \
	    "endpoint=localhost:$AZSIM_HTTPS_PORT" credential=None
	local uri=azureml://subscriptions/$SUB/resourcegroups/rg/workspaces/ws/datastores/plain/paths/models
	plane model in=ws name=weather version=1 type=custom_model "uri=$uri/forest"
	plane model in=ws name=weather version=3 type=custom_model "uri=$uri/weather.pkl"
}

teardown_file() {
	jobs_end
}

setup() {
	requires_fuse
	store_use azsim
	job_as fallback
	job_env+=("AZUREML_ARM_SUBSCRIPTION=$SUB" AZUREML_ARM_RESOURCEGROUP=rg AZUREML_ARM_WORKSPACE_NAME=ws
	    "AMLSHIM_ARM_ENDPOINT=https://localhost:$AZSIM_HTTPS_PORT")
	T=$BATS_TEST_TMPDIR
	mkdir "$T/notes"
	PORT=$(free_port)
}

teardown() {
	jobs_cleanup
}

plane() { # KIND WORD=VALUE...
	local kind=$1
	shift
	azsim_ctl POST "/_azsim/plane$(azsim_query "kind=$kind" "$@")" >/dev/null
}

# deployment MODEL [LINE...]: the file, with probes of a second and the test's server.
deployment() {
	local model=$1
	shift
	JOB=$T/job
	mkdir -p "$JOB"
	{
		cat <<-END
			name: blue
			endpoint_name: weather
			model: $model
			model_mount_path: $JOB/models
			environment:
			  image: none
			  inference_config:
			    liveness_route: {port: $PORT, path: /live}
			    readiness_route: {port: $PORT, path: /ready}
			    scoring_route: {port: $PORT, path: /score}
			liveness_probe: {initial_delay: 1, period: 1, timeout: 1, failure_threshold: 2}
			readiness_probe: {initial_delay: 0, period: 1, timeout: 1, failure_threshold: 1}
			instance_type: Standard_DS3_v2
			instance_count: 1
		END
		[ $# = 0 ] || printf '%s\n' "$@"
	} >"$JOB/job.yml"
	job_datastore >"$JOB/store.yml"
	job_store=(--datastore "$JOB/store.yml")
}

# ask pid1|plain WORD...: as `docker exec` would, or from beside.
ask() {
	local how=$1
	shift
	if [ "$how" = pid1 ]; then
		run_status_any nsenter -t "$job_pid" -p -m "$AMLSHIM" "$@"
	else
		run_status_any "$AMLSHIM" "$@" "$job_pid"
	fi
}

run_status_any() {
	status=0
	out=$(timeout 30 "$@" 2>&1 3>&-) || status=$?
}

is_ready() {
	ask "$1" healthcheck
	[ "$status" = 0 ] && [ "$out" = ready ]
}

is_unready() { # HOW REASON
	ask "$1" healthcheck
	[ "$status" = 1 ] && [[ $out == "not ready: $2"* ]]
}

get() { # PORT PATH: status and body
	python3 - "$1" "$2" <<-'END'
		import sys, urllib.error, urllib.request
		try:
		    answer = urllib.request.urlopen("http://127.0.0.1:%s%s" % (sys.argv[1], sys.argv[2]), timeout=10)
		except urllib.error.HTTPError as error:
		    answer = error
		print(answer.status, answer.read().decode().strip())
	END
}

says() { # PORT PATH ANSWER
	[ "$(get "$1" "$2")" = "$3" ]
}

serve=(python3 "$BATS_TEST_DIRNAME/lib/server.py")

@test "azsim: a model's versions want a role, and are told like a data asset's" {
	local base=/subscriptions/$SUB/resourceGroups/rg/providers/Microsoft.MachineLearningServices/workspaces/ws
	export GOOD NOBODY
	GOOD=$(azsim_token "oid=$FIRST_OID" aud=https://management.azure.com)
	NOBODY=$(azsim_token "oid=$OUTSIDER_OID" aud=https://management.azure.com)
	HTTP=127.0.0.1:$AZSIM_PORT HTTPS=localhost:$AZSIM_HTTPS_PORT store_node "$BATS_TEST_DIRNAME/azsim/table.mjs" <<-END
		200 * GET $base/models/weather/versions/3?api-version=2024-10-01 token=GOOD >body:"modelUri":"azureml: >body:"modelType":"custom_model"
		404 * GET $base/models/weather/versions/9?api-version=2024-10-01 token=GOOD >body:UserError
		404 * GET $base/data/weather/versions/3?api-version=2024-10-01 token=GOOD
		403 * GET $base/models/weather/versions/3?api-version=2024-10-01 token=NOBODY >body:models/versions/read
		200 * GET $base/models/weather/versions?api-version=2024-10-01&\$orderBy=createdtime+desc&\$top=1 token=GOOD >body:"name":"3"
	END
}

@test "model: of the workspace, a file or a folder, by version and latest, keeps its last name and stands alone" {
	local how model place files
	for how in pid1 plain; do
		while IFS="|" read -r model place files; do
			deployment "$model"
			job_run 0 $how -- sh -c 'cd "$AZUREML_MODEL_DIR" && pwd && find . -type f | sort | tr "\n" " " && cat $(find . -name weather.pkl)'
			assert_equal "$out" "$JOB/models/$place"$'\n'"$files sunny"
			silent
			job_left_nothing
			rm -r "$JOB/models"
		done <<-END
			azureml:weather:1|weather/1|./forest/deep/weather.pkl
			azureml:weather:3|weather/3|./weather.pkl
			"azureml:weather@latest"|weather/3|./weather.pkl
			{path: azureml://datastores/store/paths/models/weather.pkl}|blue/1|./weather.pkl
			{path: azureml://datastores/store/paths/models/forest/, name: f, version: 12}|f/12|./forest/deep/weather.pkl
		END
	done
}

@test "model: mounted with --model mount; a local one is used where it is; one that is missing ends the start" {
	local how
	for how in pid1 plain; do
		deployment azureml:weather:3
		job_run 0 $how --model mount -- sh -c 'cat $AZUREML_MODEL_DIR/weather.pkl; grep -c " $AZUREML_MODEL_DIR " /proc/self/mountinfo'
		assert_equal "$out" $'sunny\n1'
		deployment '{path: azureml://datastores/store/paths/models/forest, type: mlflow_model}'
		job_run 0 $how --model mount -- sh -c 'cd $AZUREML_MODEL_DIR && find . -type f'
		assert_equal "$out" ./forest/deep/weather.pkl
		deployment '{path: ../local/weather.pkl}'
		mkdir -p "$T/local"
		echo local >"$T/local/weather.pkl"
		job_run 0 $how -- sh -c 'cat "$AZUREML_MODEL_DIR/weather.pkl"'
		assert_equal "$out" local
		deployment '{path: azureml://datastores/store/paths/models/none.pkl}'
		job_run 120 $how -- echo started
		assert_equal "$out" ""
		assert_in "$err" models/none.pkl
		job_left_nothing
	done
}

@test "server: the variables that azureml-inference-server-http reads, and where it starts" {
	deployment '{path: ./m/w.pkl}' 'code_configuration: {code: ./src, scoring_script: v2/score.py}' \
	    'request_settings: {request_timeout_ms: 4000}' 'app_insights_enabled: false' \
	    'environment_variables: {WORKER_COUNT: 2}'
	mkdir -p "$JOB/src/v2"
	job_run 0 plain -- sh -c 'echo "$AML_APP_ROOT $AZUREML_ENTRY_SCRIPT $AZUREML_MODEL_DIR $SCORING_TIMEOUT_MS $AML_APP_INSIGHTS_ENABLED $WORKER_COUNT ${AZURE_ML_INPUT_model-none}"; pwd'
	assert_equal "$out" "$JOB/src/v2 score.py $JOB/m 4000 false 2 none"$'\n'"$JOB/src/v2"
}

@test "probes: ready when model, identity and server are, and again when it is well again" {
	local how health
	for how in pid1 plain; do
		health=$(free_port)
		touch "$T/notes/unready"
		deployment azureml:weather:3
		job_start $how --health-listen "$health" -- "${serve[@]}" "$PORT" "$T/notes"
		wait_for 60 says "$PORT" /score "200 sunny" || { cat "$BATS_TEST_TMPDIR/err"; return 1; }
		is_unready $how "the command"
		ask $how healthcheck --live
		assert_equal "$out" live
		assert_equal "$(get "$health" /live)" "200 live"
		[[ $(get "$health" /ready) == "503 the command"* ]]
		[[ $(get "$health" /) == 404* ]]
		rm "$T/notes/unready"
		wait_for 60 is_ready $how
		assert_equal "$(get "$health" /ready)" "200 ready"
		touch "$T/notes/unready"
		wait_for 60 is_unready $how "the command fails its readiness probe"
		[[ $(get "$health" /ready) == 503* ]]
		rm "$T/notes/unready"
		wait_for 60 is_ready $how
		kill -TERM "$job_pid"
		job_end 0
		job_left_nothing
	done
}

@test "probes: a server that fails its liveness probe ends the container with 120" {
	local how
	for how in pid1 plain; do
		deployment azureml:weather:3
		rm -f "$T/notes/sick"
		job_start $how -- "${serve[@]}" "$PORT" "$T/notes"
		wait_for 60 is_ready $how
		touch "$T/notes/sick"
		job_end 120
		assert_in "$err" "liveness probe /live on port $PORT failed 2 times in a row"
		assert_in "$err" "cannot keep the command running port $PORT, path /live: it failed its liveness probe"
		job_left_nothing
	done
}

@test "probes: with --restart it is replaced, one that does not answer at all, too, and the model stays" {
	local how
	for how in pid1 plain; do
		rm -f "$T"/notes/*
		deployment azureml:weather:3
		azsim_forget
		job_start $how --restart on-failure -- "${serve[@]}" "$PORT" "$T/notes"
		wait_for 60 is_ready $how
		touch "$T/notes/mute"
		wait_for 60 job_says "it is started again"
		rm "$T/notes/mute"
		wait_for 60 is_ready $how
		assert_equal "$(get "$PORT" /score)" "200 sunny"
		ask $how status --json
		[ "$(python3 -c 'import json, sys; print(json.load(sys.stdin)["command"]["restarts"])' <<<"$out")" -ge 1 ]
		azsim_assert 1 op=ArmGetModelVersion
		kill -TERM "$job_pid"
		job_end 0
		job_left_nothing
	done
}

@test "probes: the prober dies: it is back, and nobody else notices" {
	local how health prober
	for how in pid1 plain; do
		health=$(free_port)
		deployment azureml:weather:3
		job_start $how --health-listen "$health" -- "${serve[@]}" "$PORT" "$T/notes"
		wait_for 60 says "$health" /ready "200 ready"
		prober=$(pgrep -P "$job_pid" -x amlshim:prober)
		kill -KILL "$prober"
		wait_for 60 job_says "the prober ended"
		wait_for 60 says "$health" /ready "200 ready"
		[ "$(pgrep -P "$job_pid" -x amlshim:prober)" != "$prober" ]
		kill -TERM "$job_pid"
		job_end 0
		assert_equal "$(wc -l <"$T/notes/starts")" 1
		rm "$T/notes/starts"
		job_left_nothing
	done
}

@test "probes: /ready answers while others send garbage, too much, or nothing; a port that is taken ends the start" {
	local health
	health=$(free_port)
	deployment azureml:weather:3
	job_start plain --health-listen "$health" -- "${serve[@]}" "$PORT" "$T/notes"
	wait_for 60 says "$health" /ready "200 ready"
	python3 - "$health" <<-'END'
		import socket, sys, urllib.request
		port = int(sys.argv[1])
		def connect():
		    return socket.create_connection(("127.0.0.1", port), timeout=20)
		idle = [connect() for _ in range(200)]
		for text in (b"\r\n\r\n", b"GET\r\n\r\n", b"\0" * 100 + b"\r\n\r\n", b"x" * 100000,
		             b"POST /ready HTTP/1.1\r\n\r\n"):
		    s = connect()
		    try:
		        s.sendall(text)
		        answer = s.recv(1000)
		        assert answer[9:10] == b"4" or answer == b"", answer
		    except ConnectionError:
		        pass
		    assert urllib.request.urlopen("http://127.0.0.1:%d/ready" % port).status == 200
	END
	amlshim 125 --health-listen "$health" --report "$T/report" -- echo started
	python3 "$BATS_TEST_DIRNAME/lib/check_report.py" "$T/report" "r['ended_by'] == 'failure' and r['status'] == 125" \
	    "r['child']['started'] is False and 'port $health' in r['failure']['on']"
	assert_in "$err" "port $health (--health-listen)"
	assert_equal "$out" ""
	kill -TERM "$job_pid"
	job_end 0
}

@test "drain: a stop signal makes it unready, it serves on, then it is told; a second signal tells it at once" {
	local how
	for how in pid1 plain; do
		deployment azureml:weather:3
		job_start $how -v --drain 3s -- "${serve[@]}" "$PORT" "$T/notes"
		wait_for 60 is_ready $how
		kill -TERM "$job_pid"
		wait_for 30 is_unready $how "it is stopping"
		assert_equal "$(get "$PORT" /score)" "200 sunny"
		ask $how healthcheck --live
		assert_equal "$out" live
		job_end 0
		job_start $how --drain 1h -- "${serve[@]}" "$PORT" "$T/notes"
		wait_for 60 is_ready $how
		kill -TERM "$job_pid"
		wait_for 30 is_unready $how "it is stopping"
		kill -TERM "$job_pid"
		job_end 0
		job_left_nothing
	done
}

@test "restart: as often as it says, mounts and environment stay, outputs of every run go out" {
	local how
	job_as key
	for how in pid1 plain; do
		job_write <<-END
			command: echo run >>\${{outputs.out}}/runs; cat \${{inputs.data}}/weather.pkl; exit 7
			inputs:
			  data: {type: uri_folder, path: azureml://datastores/store/paths/models/forest/deep/}
			outputs:
			  out: {type: uri_folder, path: azureml://datastores/store/paths/out-$how/}
		END
		job_run 7 $how --restart on-failure:2
		assert_equal "$out" $'sunny\nsunny\nsunny'
		assert_equal "$(azsim_get "data/out-$how/runs")" $'run\nrun\nrun'
		assert_equal "$(grep -c "is started again" <<<"$err")" 2
		job_left_nothing
	done
	both 0 --restart on-failure -- true
	silent
	both 0 -e 5 --restart on-failure -- sh -c 'exit 5'
	silent
}

@test "restart: always also after success, never after a stop signal, not of what cannot run" {
	local how
	job_as key
	job_write <<<'command: sh -c "echo x >>'"$T"'/notes/runs"'
	for how in pid1 plain; do
		rm -f "$T/notes/runs"
		job_start $how --control --restart always
		wait_for 60 grep -qz 'x.x.x' "$T/notes/runs"
		kill -TERM "$job_pid"
		wait "$job_outer" || status=$?
		job_left_nothing
	done
	both 127 --restart always -- /no/such/program
	both 126 --restart always -- /
	refute_in "$err" "started again"
	both 143 --restart on-failure -- sh -c 'kill -TERM $PPID; sleep 60'
	refute_in "$err" "started again"
}

@test "restart: descriptors, directory and environment of the first start are those of the next" {
	local how
	cd "$T"
	SOME=thing both 0 --restart on-failure -- \
	    sh -c 'echo "$PWD $SOME" >&5; [ -e once ] || { touch once; exit 1; }; rm once' 5>>"$T/five"
	assert_equal "$(cat "$T/five")" "$(for how in 1 2 3 4; do echo "$T thing"; done)"
}

@test "restart: each run has the terminal that the first had" {
	python3 - "$AMLSHIM" <<-'END'
		import os, pty, sys
		script = "ps -o stat= -p $$ >>log; exit 3"
		os.chdir(os.environ["BATS_TEST_TMPDIR"])
		pid, fd = pty.fork()
		if pid == 0:
		    os.execv(sys.argv[1], [sys.argv[1], "--restart", "on-failure:2", "--", "sh", "-c", script])
		try:
		    while os.read(fd, 1000):
		        pass
		except OSError:
		    pass
		assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 3
		states = open("log").read().split()
		assert len(states) == 3 and all("+" in s for s in states), states
	END
}

@test "job: what a distributed launcher put into the environment arrives as it is" {
	local how line
	job_as key
	job_write <<<'command: env'
	local -a given=(RANK=3 LOCAL_RANK=1 WORLD_SIZE=16 MASTER_ADDR=10.0.0.4 MASTER_PORT=6105 NODE_RANK=2
	    AZUREML_RUN_ID=run_1 AZUREML_NODE_COUNT=4 AZ_BATCH_MASTER_NODE=10.0.0.4:6000
	    "AZ_BATCH_HOST_LIST=10.0.0.4,10.0.0.5" AZ_BATCHAI_JOB_MASTER_NODE_IP=10.0.0.4 AZ_BATCHAI_MPI_HOST_FILE=/x
	    OMPI_COMM_WORLD_RANK=3 OMPI_COMM_WORLD_SIZE=16 OMPI_MCA_btl=^openib NCCL_DEBUG=INFO
	    NCCL_IB_PCI_RELAXED_ORDERING=1 PMI_RANK=3 "TF_CONFIG={\"cluster\": {\"worker\": [\"a:1\"]}}" "UCX_TLS=tcp  " EMPTY=)
	job_env+=("${given[@]}")
	for how in pid1 plain; do
		job_run 0 $how
		for line in "${given[@]}"; do
			grep -qxF -- "$line" <<<"$out" || { echo "not there: $line"; false; }
		done
	done
}

@test "job: limits.timeout is over all restarts, and its status 124" {
	local how
	job_as key
	job_write <<<$'command: sh -c "sleep 1; exit 1"\nlimits: {timeout: 3}'
	for how in pid1 plain; do
		job_run 124 $how --restart on-failure
		assert_in "$err" "time limit of 3 s"
	done
}
