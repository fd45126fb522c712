#!/usr/bin/env bats
# Containers: amlshim as the entry point of an image that holds nothing else but the job, and of a
# Debian one; all it needs to know comes in AMLSHIM_ variables.  The store is azsim, over HTTPS.
# bats file_tags=root, release

load helpers
load lib/jobs
load lib/images

setup_file() {
	[ "$(id -u)" = 0 ] || return 0
	docker_or_skip
	jobs_begin
	printf 'hello from the store\n' >"$BATS_FILE_TMPDIR/hello.txt"
	printf 'HELLO FROM THE STORE\n' >"$BATS_FILE_TMPDIR/upper.txt"
	azsim_put data/in "$BATS_FILE_TMPDIR/hello.txt"
	export SCRATCH=amlshim-test-scratch-$$ DEBIAN=amlshim-test-debian-$$
	docker_scratch_image "$SCRATCH" "$AMLSHIM=/sbin/amlshim" "$TOOLS/scratchjob=/job"
	entrypoint "$SCRATCH"
}

teardown_file() {
	if [ -n "${SCRATCH-}" ]; then
		docker_cleanup
		docker rmi -f "$SCRATCH" "$DEBIAN" >/dev/null 2>&1 || true
	fi
	jobs_end
}

setup() {
	requires_fuse
	docker_or_skip
	store_use azsim
	job_as managed
	T=$BATS_TEST_TMPDIR
}

teardown() {
	docker_cleanup
	azsim_reset
}

# The line that an image's builder writes: ENTRYPOINT ["/sbin/amlshim", "--"].
entrypoint() { # IMAGE
	local id
	id=$(docker create --label "$docker_label" "$1" x)
	docker commit --change 'ENTRYPOINT ["/sbin/amlshim", "--"]' --change 'CMD []' "$id" "$1" >/dev/null
	docker rm "$id" >/dev/null
}

debian_image() {
	local id
	docker image inspect "$DEBIAN" >/dev/null 2>&1 && return 0
	images_base "$DEBIAN"
	id=$(docker create --label "$docker_label" "$DEBIAN" x)
	docker cp "$AMLSHIM" "$id:/sbin/amlshim"
	docker commit "$id" "$DEBIAN" >/dev/null
	docker rm "$id" >/dev/null
	entrypoint "$DEBIAN"
}

# image_job COMMAND: reads a file, writes a folder.
image_job() {
	job_write <<-END
		command: $1
		inputs:
		  data: {type: uri_file, path: azureml://datastores/store/paths/in/hello.txt}
		outputs:
		  out: {type: uri_folder, path: azureml://datastores/store/paths/image$BATS_TEST_NUMBER/}
	END
	job_variables=(-e "AMLSHIM_JOB=$(cat "$JOB/job.yml")"
	    -e "AMLSHIM_DATASTORES=$(cat "$JOB/store.yml")" -e "AMLSHIM_COMPUTE=$FIRST_ID,$SECOND_ID"
	    -e SSL_CERT_FILE=/ca.pem -v "$STORE_CA:/ca.pem:ro" "${job_env[@]/#/--env=}")
}

# delivered FILE NAME
delivered() {
	store_has "image$BATS_TEST_NUMBER/$2" "$1"
}

# container STATUS [OPTION...] IMAGE [WORD...]: docker run with no privilege but the host's network.
container() {
	local want=$1
	shift
	run_status "$want" docker run --rm --label "$docker_label" --network host "$@"
}

# The same with what FUSE needs.
fuse=(--device /dev/fuse --cap-add SYS_ADMIN --security-opt apparmor=unconfined)

@test "scratch: an image of amlshim and a static job: mounted input, mounted output, managed identity" {
	image_job '/job copy'
	container 0 "${fuse[@]}" "${job_variables[@]}" "$SCRATCH"
	assert_equal "$out" "copied 21 bytes, pid is not 1, parent 1"
	silent
	delivered "$BATS_FILE_TMPDIR/upper.txt" upper.txt
	[ "$(azsim_count "oid=$SECOND_OID" op=PutBlob)" -ge 1 ]
}

@test "scratch: the same with a key, and the command given to docker run" {
	job_as key
	image_job '/no/such/command'
	container 0 "${fuse[@]}" "${job_variables[@]}" "$SCRATCH" /job copy
	assert_equal "$out" "copied 21 bytes, pid is not 1, parent 1"
	delivered "$BATS_FILE_TMPDIR/upper.txt" upper.txt
}

@test "scratch: a command that needs a shell is refused with a reason" {
	image_job '/job copy && /job exit 3'
	container 2 "${fuse[@]}" "${job_variables[@]}" "$SCRATCH"
	assert_in "$err" "/bin/sh"
}

@test "scratch: without a job spec it is just an init" {
	container 5 "${fuse[@]}" "$SCRATCH" /job exit 5
	silent
	container 127 "${fuse[@]}" "$SCRATCH" /nothing
	assert_in "$err" /nothing
}

@test "docker: without --device /dev/fuse: an error that names the flag, and no job" {
	image_job '/job copy'
	container 125 "${job_variables[@]}" "$SCRATCH"
	assert_in "$err" "--device /dev/fuse"
	refute_in "$out" copied
}

@test "docker: with the device and without CAP_SYS_ADMIN: an error that names the flag" {
	image_job '/job copy'
	container 125 --device /dev/fuse "${job_variables[@]}" "$SCRATCH"
	assert_in "$err" "SYS_ADMIN"
	refute_in "$out" copied
}

@test "docker: AMLSHIM_FUSE=copy needs no device, no capability, no root, no writable root file system" {
	image_job '/job copy'
	container 0 -e AMLSHIM_FUSE=copy "${job_variables[@]}" "$SCRATCH"
	delivered "$BATS_FILE_TMPDIR/upper.txt" upper.txt
	azsim_ctl DELETE "/_azsim/blob/$AZSIM_ACCOUNT/data/image$BATS_TEST_NUMBER/upper.txt" >/dev/null
	container 0 -e AMLSHIM_FUSE=copy -e AMLSHIM_ROOT=/w/mnt -e AMLSHIM_CACHE_DIR=/w/cache \
	    --user 1000:1000 --cap-drop ALL --security-opt no-new-privileges --read-only \
	    --tmpfs /w:mode=1777 "${job_variables[@]}" "$SCRATCH"
	delivered "$BATS_FILE_TMPDIR/upper.txt" upper.txt
}

# running IMAGE ARG...: a container in the background, in $container.
running() {
	container=$(docker run -d --label "$docker_label" --network host "${fuse[@]}" "$@")
}

container_says() {
	docker logs "$container" 2>&1 | grep -q -- "$1"
}

@test "docker stop: SIGTERM reaches the job, its status is the container's, outputs are delivered" {
	debian_image
	image_job "trap 'exit 7' TERM; echo part >\${{outputs.out}}/part; echo ready; while :; do sleep 0.1; done"
	running "${job_variables[@]}" "$DEBIAN"
	wait_for 30 container_says ready
	docker stop -t 30 "$container" >/dev/null
	assert_equal "$(docker wait "$container")" 7
	echo part >"$T/part"
	delivered "$T/part" part
}

@test "docker stop: also in the scratch image, and without a job spec" {
	image_job '/job wait'
	running "${job_variables[@]}" "$SCRATCH"
	wait_for 30 container_says waiting
	docker stop -t 30 "$container" >/dev/null
	assert_equal "$(docker wait "$container")" 7
	running "$SCRATCH" /job wait
	wait_for 30 container_says waiting
	docker stop -t 30 "$container" >/dev/null
	assert_equal "$(docker wait "$container")" 7
}

@test "docker stop: a job that ignores it is killed after --grace, before Docker loses patience" {
	debian_image
	image_job "trap '' TERM; echo part >\${{outputs.out}}/part; echo ready; while :; do sleep 0.1; done"
	running -e AMLSHIM_GRACE=1s "${job_variables[@]}" "$DEBIAN"
	wait_for 30 container_says ready
	docker stop -t 30 "$container" >/dev/null
	assert_equal "$(docker wait "$container")" 137
	echo part >"$T/part"
	delivered "$T/part" part
}

@test "debian: a job for the shell, an input downloaded, orphans reaped, nothing left mounted" {
	debian_image
	job_write <<-END
		command: >-
		  for f in \${{inputs.copy}}/*; do tr a-z A-Z <"\$f" >\${{outputs.out}}/upper.txt; done &&
		  (setsid sleep 0.2 &) && cat /proc/1/comm && grep -c fuse.amlshim /proc/mounts
		inputs:
		  copy: {type: uri_folder, path: azureml://datastores/store/paths/in/, mode: download}
		  data: {type: uri_folder, path: azureml://datastores/store/paths/in/}
		outputs:
		  out: {type: uri_folder, path: azureml://datastores/store/paths/image$BATS_TEST_NUMBER/}
	END
	job_variables=(-e "AMLSHIM_JOB=$(cat "$JOB/job.yml")"
	    -e "AMLSHIM_DATASTORES=$(cat "$JOB/store.yml")" -e "AMLSHIM_COMPUTE=$FIRST_ID,$SECOND_ID"
	    -e SSL_CERT_FILE=/ca.pem -v "$STORE_CA:/ca.pem:ro" "${job_env[@]/#/--env=}")
	container 0 "${fuse[@]}" "${job_variables[@]}" "$DEBIAN"
	assert_equal "$out" "amlshim
2"
	delivered "$BATS_FILE_TMPDIR/upper.txt" upper.txt
}

@test "debian: in a running container, as Azure ML's training compute starts jobs: docker exec" {
	debian_image
	image_job 'cat ${{inputs.data}} && cp ${{inputs.data}} ${{outputs.out}}/copy && exit 4'
	running "${job_variables[@]}" --entrypoint /bin/sleep "$DEBIAN" 100
	run_status 4 docker exec "$container" /sbin/amlshim
	assert_equal "$out" "hello from the store"
	delivered "$BATS_FILE_TMPDIR/hello.txt" copy
	run_status 1 docker exec "$container" grep fuse.amlshim /proc/mounts
	docker rm -f "$container" >/dev/null
}

@test "image: amlshim is one static file, of at most 1.5 MiB" {
	[ "$(stat -c %s "$AMLSHIM")" -le $((3 << 19)) ]
	run_status 0 readelf -ldW "$AMLSHIM"
	refute_in "$out" INTERP
	refute_in "$out" NEEDED
}
