#!/usr/bin/env bats
# The images of images/ in real containers: a model is trained on mounts and served; and the same job
# under every restriction that people run containers with.  The store is azsim, over HTTPS.
# bats file_tags=root, release

load helpers
load lib/jobs
load lib/images

setup_file() {
	[ "$(id -u)" = 0 ] || return 0
	docker_or_skip
	jobs_begin
	images_build
	images_data
	images_fuse_device
}

teardown_file() {
	[ -z "${IMAGES_BASE-}" ] || docker_cleanup
	images_remove
	jobs_end
}

setup() {
	requires_fuse
	docker_or_skip
	store_use azsim
	job_as fallback
	images_variables
	T=$BATS_TEST_TMPDIR
	N=$BATS_TEST_NUMBER
	# What FUSE needs.  apparmor: where the host has it, its default profile forbids mount(2).
	fuse=(--device "$fuse_device:/dev/fuse" --cap-add SYS_ADMIN --security-opt apparmor=unconfined)
}

teardown() {
	docker_cleanup
	azsim_reset
}

# container STATUS [OPTION...] IMAGE [WORD...]
container() {
	local want=$1
	shift
	run_status "$want" docker run --rm --label "$docker_label" --network host "${variables[@]}" "$@"
}

# running [OPTION...] IMAGE [WORD...]: in the background, as $container.
running() {
	container=$(docker run -d --label "$docker_label" --network host "${variables[@]}" "$@")
}

container_says() {
	docker logs "$container" 2>&1 | grep -q -- "$1"
}

# ---- training

# The model that training writes: once for this file.
model() {
	[ -s "$BATS_FILE_TMPDIR/trained" ] && return 0
	container 0 "${fuse[@]}" "$TRAINING"
	silent
	azsim_get data/models/1/model.joblib >"$BATS_FILE_TMPDIR/model.joblib"
	azsim_get data/models/1/metrics.json >"$BATS_FILE_TMPDIR/metrics.json"
	echo "$out" >"$BATS_FILE_TMPDIR/trained"
}

@test "training: scikit-learn learns from a mounted input and writes the model to a mounted output" {
	model
	grep -qx 'accuracy 0\.99[0-9] on 450 digits' "$BATS_FILE_TMPDIR/trained"
	python3 - "$BATS_FILE_TMPDIR/metrics.json" <<-'END'
		import json, sys
		metrics = json.load(open(sys.argv[1]))
		assert metrics["accuracy"] > 0.98, metrics
		assert metrics["trained_on"] + metrics["tested_on"] == 1797, metrics
	END
}

@test "training: without FUSE an error names what Docker and Kubernetes need; AMLSHIM_FUSE=copy trains" {
	container 125 "$TRAINING"
	assert_in "$err" "--device /dev/fuse"
	assert_in "$err" "securityContext.privileged"
	assert_in "$err" "AMLSHIM_FUSE=copy"
	azsim_ctl DELETE "/_azsim/blob/$AZSIM_ACCOUNT/data/models/1/metrics.json" >/dev/null || true
	container 0 -e AMLSHIM_FUSE=copy "$TRAINING"
	assert_in "$out" "accuracy 0.99"
	azsim_get data/models/1/metrics.json | grep -q accuracy
}

# ---- serving

# serving [OPTION...]: the inference image as $container, on a port of its own; as images/compose.yml
# has it: no FUSE, no root, no capability, nothing to write to but tmpfs.
serving() {
	port=$(free_port)
	sed "s/port: 5001/port: $port/; s/period: 5,/period: 1,/" "$jobs_top/images/inference/deployment.yml" >"$T/deployment.yml"
	running --read-only --tmpfs /tmp --tmpfs /var/azureml-app:mode=1777 --tmpfs /mnt/amlshim:mode=1777 \
	    --cap-drop ALL --security-opt no-new-privileges --health-interval 1s --health-retries 2 \
	    -e "AMLSHIM_JOB=$(cat "$T/deployment.yml")" -e "SERVER_PORT=$port" "$@" "$INFERENCE"
}

health_is() {
	[ "$(docker inspect -f '{{.State.Health.Status}}' "$container")" = "$1" ]
}

# predict NAME: asks the server for the digits of a file of the data; the answer is $predicted.
predict() {
	predicted=$(python3 - "$port" "$BATS_FILE_TMPDIR/digits/$1" <<-'END'
		import json, sys, urllib.request
		rows = [[float(x) for x in line.split(",")[:-1]] for line in open(sys.argv[2])]
		request = urllib.request.Request(f"http://127.0.0.1:{sys.argv[1]}/score", json.dumps({"data": rows}).encode(), {"Content-Type": "application/json"})
		print(json.load(urllib.request.urlopen(request, timeout=60)))
	END
	)
}

# predict_directly NAME: the same by the model that came out of the store, without amlshim.
predict_directly() {
	docker run --rm --label "$docker_label" --network none -v "$BATS_FILE_TMPDIR:/d:ro" --entrypoint python3 \
	    "$TRAINING" -c "
import joblib, numpy
print(joblib.load('/d/model.joblib').predict(numpy.loadtxt('/d/digits/$1', delimiter=',')[:, :-1]).tolist())"
}

@test "inference: the model that was trained is served, and says what it says when it is loaded directly" {
	model
	serving
	wait_for 120 health_is healthy
	predict part-03.csv
	assert_equal "$predicted" "$(predict_directly part-03.csv)"
	# What a bad request gets is the scoring script's failure, and the server goes on.
	run_status 22 curl -sf -d nonsense "http://127.0.0.1:$port/score"
	assert_equal "$(curl -s "http://127.0.0.1:$port/")" Healthy
	run_status 0 docker exec "$container" /sbin/amlshim status
	assert_in "$out" ready
	assert_in "$out" "$FIRST_ID"
	docker stop -t 60 "$container" >/dev/null
	assert_equal "$(docker wait "$container")" 0
	container_says stopped
}

@test "inference: HEALTHCHECK turns healthy, unhealthy while the server hangs, and healthy again" {
	local server
	model
	serving
	wait_for 120 health_is healthy
	server=$(docker top "$container" -eo pid,args | awk '/serve.py/ && !/amlshim/ { print $1; exit }')
	kill -STOP "$server"
	wait_for 60 health_is unhealthy
	run_status 1 docker exec "$container" /sbin/amlshim healthcheck
	kill -CONT "$server"
	wait_for 60 health_is healthy
	predict part-00.csv
	assert_equal "$predicted" "$(predict_directly part-00.csv)"
}

# docker as the reader has it: here nothing can be fetched, the base is another, the store is
# the host's, and so is the identity.  amlshim's own image is built from the source elsewhere.
readme_docker() {
	cat >"$T/bin/docker" <<-'END'
		#!/bin/bash
		case "$1 $3" in
		"build amlshim")
			exec "$REAL" tag "$IMAGES_AMLSHIM" amlshim ;;
		"build "*)
			exec env DOCKER_BUILDKIT=0 "$REAL" build -q --network none --build-arg "DEBIAN=$IMAGES_BASE" "${@:2}" ;;
		run*)
			mapfile -t more <"$MORE"
			shift
			exec "$REAL" run --label "$LABEL" --network host "${more[@]}" "${@//3f2a7c1e-0000-4000-8000-5b7d9e1f0a21/$FIRST_ID}" ;;
		esac
		exec "$REAL" "$@"
	END
	chmod +x "$T/bin/docker"
}

@test "docs/CONTAINERS.md: the block about the two images, as written" {
	mkdir "$T/bin"
	readme_docker
	REAL=$(command -v docker) MORE=$T/more LABEL=$docker_label
	export REAL MORE LABEL
	printf '%s\n' -v "$STORE_CA:/ca.pem:ro" -e SSL_CERT_FILE=/ca.pem "${job_env[@]/#/--env=}" >"$MORE"
	sed -n '/^<!-- images:/,/^<!-- end of images/p' "$jobs_top/docs/CONTAINERS.md" | sed '1,2d;$d' | sed '$d' >"$T/block.sh"
	[ "$(grep -c docker "$T/block.sh")" -ge 7 ]
	ln -s "$jobs_top/images" "$T/images"
	cd "$T"
	run_status 0 env "PATH=$T/bin:$PATH" bash -eu block.sh
	assert_in "$out" "accuracy 0.99"
	assert_in "$out" "ready"
	[[ $out =~ \[[0-9]\] ]]
	docker rm -f digits >/dev/null
	docker rmi training inference amlshim >/dev/null
}

@test "inference: a model that is not there: an error that names it, and no server" {
	serving -e "AMLSHIM_DATASTORES=$(sed s/container_name:.*/container_name:\ nothing/ "$T/digits.yml")"
	assert_equal "$(timeout 120 docker wait "$container")" 120
	container_says nothing
	refute container_says "^ready"
}

# ---- one job under restrictions

# probe OPTION...: tests/data/container-job.py in a container; $out is what it found.  /w is a volume.
probe() {
	probe_prepare
	container 0 "${probing[@]}" "$@" "$TRAINING"
	probe_found
}

probe_prepare() {
	volume=$(mktemp -d "$T/w.XXXXXX")
	chmod 777 "$volume"		# the users of containers are others
	cat >"$T/job.yml" <<-END
		command: python3 /job.py \${{inputs.data}} \${{outputs.out}} /w/token
		inputs: {data: {type: uri_folder, path: azureml://datastores/digits/paths/data/}}
		outputs: {out: {type: uri_folder, path: azureml://datastores/digits/paths/found$N/}}
	END
	probing=(-e "AMLSHIM_JOB=$(cat "$T/job.yml")" -v "$BATS_TEST_DIRNAME/data/container-job.py:/job.py:ro"
	    -v "$volume:/w" -e AMLSHIM_AUDIT=/w/audit -e AMLSHIM_REPORT=/w/report
	    -e AMLSHIM_TOKEN_FILES=https://storage.azure.com/=/w/token)
}

# The bytes of the input, the identity of both tokens, the output in the store, the audit, no token left.
probe_found() {
	local bytes
	bytes=$(cat "$BATS_FILE_TMPDIR"/digits/* | wc -c)
	assert_in "$out" "\"bytes\": $bytes,"
	assert_in "$out" "\"broker\": \"$FIRST_OID\""
	assert_in "$out" "\"token_file\": \"$FIRST_OID\""
	assert_equal "$(azsim_get "data/found$N/found.txt")" found
	grep -q "$FIRST_ID" "$volume/audit"
	grep -q "$FIRST_ID" "$volume/report"
	[ ! -e "$volume/token" ]
}

@test "container: root with CAP_SYS_ADMIN alone" {
	probe "${fuse[@]}" --cap-drop ALL
	assert_in "$out" '"uid": 0'
	assert_in "$out" '"mounts": 2'
}

@test "container: another user, with mounts: in a user namespace" {
	probe "${fuse[@]}" --user 1000:1000
	assert_in "$out" '"uid": 1000'
	assert_in "$out" '"mounts": 2'
	# Not more than the container has to give, and no way to more.
	probe "${fuse[@]}" --user 1000:1000 --cap-drop ALL --security-opt no-new-privileges
	assert_in "$out" '"mounts": 2'
}

@test "container: no CAP_SYS_ADMIN, but user namespaces: root, and another user" {
	local allowed=(--device "$fuse_device:/dev/fuse" --security-opt seccomp=unconfined
	    --security-opt apparmor=unconfined)
	probe "${allowed[@]}"
	assert_in "$out" '"uid": 0'
	assert_in "$out" '"mounts": 2'
	probe "${allowed[@]}" --user 1000:1000 --cap-drop ALL --security-opt no-new-privileges
	assert_in "$out" '"uid": 1000'
	assert_in "$out" '"mounts": 2'
	# Root keeps all ids, and with them other users.
	container 0 "${allowed[@]}" -e "AMLSHIM_JOB=$(sed 's/^command:.*/command: touch x; chown 33:44 x; stat -c %u:%g x; grep -c . \/proc\/self\/uid_map/' "$T/job.yml")" "$TRAINING"
	assert_equal "$out" "33:44
1"
}

@test "container: a user namespace, seen from docker exec: status and healthcheck, the mount but not its files" {
	running "${fuse[@]}" --user 1000:1000 -e "AMLSHIM_JOB=
command: ls \${{inputs.d}}; sleep 300
inputs: {d: {type: uri_folder, path: azureml://datastores/digits/paths/data/}}" "$TRAINING"
	wait_for 60 container_says part-03
	run_status 0 docker exec "$container" /sbin/amlshim healthcheck
	run_status 0 docker exec "$container" /sbin/amlshim status
	assert_in "$out" /mnt/amlshim/inputs/d
	run_status 0 docker exec "$container" grep -c fuse.amlshim /proc/mounts
	run_status 2 docker exec -u 0 "$container" ls /mnt/amlshim/inputs/d
	assert_in "$err" "Permission denied"
}

@test "container: a user that no user namespace is allowed: an error that says so, or copies" {
	probe_prepare
	container 125 "${probing[@]}" --device "$fuse_device:/dev/fuse" --user 1000:1000 "$TRAINING"
	assert_in "$err" "SYS_ADMIN is missing"
	assert_in "$err" "user namespace"
	container 125 "${probing[@]}" --device /dev/full:/dev/fuse:r --user 1000:1000 "$TRAINING"
	assert_in "$err" "/dev/fuse"
	probe -e AMLSHIM_FUSE=copy --user 1000:1000 --cap-drop ALL --security-opt no-new-privileges
	assert_in "$out" '"mounts": 0'
}

@test "container: a read-only root file system, with a tmpfs, without one, and copying" {
	probe "${fuse[@]}" --read-only --tmpfs /tmp -e AMLSHIM_ROOT=/tmp/data
	assert_in "$out" '"mounts": 2'
	probe "${fuse[@]}" --read-only --tmpfs /tmp -e AMLSHIM_ROOT=/tmp/data --user 1000:1000
	assert_in "$out" '"mounts": 2'
	probe --read-only --tmpfs /tmp --tmpfs /mnt/amlshim:mode=1777 -e AMLSHIM_FUSE=copy --user 1000:1000 --cap-drop ALL
	container 125 "${probing[@]}" "${fuse[@]}" --read-only "$TRAINING"
	assert_in "$err" "AMLSHIM_ROOT"
	assert_in "$err" "--tmpfs /tmp"
	container 125 "${probing[@]}" "${fuse[@]}" --read-only --tmpfs /mnt/amlshim "$TRAINING"
	assert_in "$err" "AMLSHIM_CACHE_DIR"
}

@test "container: not PID 1: under docker run --init, and with --pid host" {
	probe "${fuse[@]}" --init
	assert_in "$out" '"parent": "amlshim"'
	assert_in "$out" '"mounts": 2'
	probe "${fuse[@]}" --pid host
	assert_in "$out" '"mounts": 2'
	probe "${fuse[@]}" --pid host --user 1000:1000
	assert_in "$out" '"mounts": 2'
}

@test "container: --network none: an error that names what cannot be reached, and no job" {
	job_as key
	images_variables
	run_status 120 docker run --rm --label "$docker_label" --network none "${variables[@]}" "${fuse[@]}" "$TRAINING"
	assert_in "$err" "https://localhost:$AZSIM_HTTPS_PORT"
	refute_in "$out" accuracy
}

# 64 MiB for the mounts, of 256: four readers of a file that is larger than the container.
@test "container: 256 MiB of memory: mounts stay within, and a job that does not is 137 and told of" {
	head -c 300M /dev/zero | openssl enc -aes-128-ctr -K 00 -iv 00 2>/dev/null >"$T/large"
	azsim_put data/large "$T/large"
	container 0 "${fuse[@]}" -m 256m --memory-swap 256m -e "AMLSHIM_JOB=
command: cd \${{inputs.d}}; for i in 1 2 3; do md5sum <large & done; wait
inputs: {d: {type: uri_folder, path: azureml://datastores/digits/paths/large/}}" "$TRAINING"
	assert_equal "$(sort -u <<<"$out")" "$(md5sum <"$T/large")"
	assert_equal "$(wc -l <<<"$out")" 3
	silent
	container 137 "${fuse[@]}" -m 256m --memory-swap 256m -e "AMLSHIM_JOB=
command: python3 -c 'b = bytearray(1 << 30)'
inputs: {d: {type: uri_folder, path: azureml://datastores/digits/paths/data/}}" "$TRAINING"
	assert_in "$err" "killed for lack of memory"
}

# ---- the life of a container

@test "docker stop: outputs are flushed within the grace period, and what a too short one does" {
	azsim_fault op=PutBlob delay=2000 >/dev/null
	stoppable -e AMLSHIM_GRACE=60s
	docker stop -t 60 "$container" >/dev/null
	assert_equal "$(docker wait "$container")" 0
	assert_equal "$(azsim_get "data/stop$N/part")" text
	# Docker's own patience ends first: nobody can say so, 137 and the staged file do.
	azsim_ctl DELETE "/_azsim/blob/$AZSIM_ACCOUNT/data/stop$N/part" >/dev/null
	azsim_faults_off
	azsim_fault op=PutBlob delay=60000 >/dev/null
	stoppable -e AMLSHIM_GRACE=60s
	docker stop -t 1 "$container" >/dev/null
	assert_equal "$(docker wait "$container")" 137
	docker cp "$container:/tmp/amlshim/out/part" "$T/part"
	assert_equal "$(cat "$T/part")" text
	# amlshim's ends before: 123, and the file is named.
	stoppable -e AMLSHIM_GRACE=10s -e AMLSHIM_FLUSH_TIMEOUT=2s -e AMLSHIM_WRITE_BEHIND=yes
	docker stop -t 120 "$container" >/dev/null
	assert_equal "$(docker wait "$container")" 123
	container_says "/tmp/amlshim/out/part"
}

# A job that has a file open, and ends when it is told to: as $container, when it is ready.
stoppable() {
	running "${fuse[@]}" "$@" -v "$BATS_TEST_DIRNAME/data/container-writer.py:/writer.py:ro" -e "AMLSHIM_JOB=
command: python3 /writer.py \${{outputs.out}}/part
outputs: {out: {type: uri_folder, path: azureml://datastores/digits/paths/stop$N/}}" "$TRAINING"
	wait_for 60 container_says ready
}

ready_times() {
	[ "$(docker logs "$container" 2>&1 | grep -c ready)" = "$1" ]
}

@test "docker restart: what the first run left is no hindrance to the second" {
	stoppable
	docker restart -t 60 "$container" >/dev/null
	wait_for 60 ready_times 2
	docker kill "$container" >/dev/null
	docker start "$container" >/dev/null
	wait_for 60 ready_times 3
	docker stop -t 60 "$container" >/dev/null
	assert_equal "$(docker wait "$container")" 0
	assert_equal "$(azsim_get "data/stop$N/part")" text
}

# ---- the files beside the images

@test "compose: the file is what docker compose takes, and an unknown field is not" {
	local compose=(docker-compose)
	"$jobs_top/scripts/apt-install.sh" docker-compose >/dev/null
	command -v docker-compose >/dev/null || compose=(docker compose)
	run_status 0 "${compose[@]}" -f "$jobs_top/images/compose.yml" config -q
	sed 's/cap_add/cap_addd/' "$jobs_top/images/compose.yml" >"$T/compose.yml"
	refute "${compose[@]}" -f "$T/compose.yml" config -q
}
