#!/usr/bin/env bats
# The images of images/ in real containers: a model is trained on mounts and served; and the same job
# under every restriction that people run containers with.  The store is azsim, over HTTPS.
# bats file_tags=root

load helpers
load lib/jobs
load lib/docker
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

# ---- training and serving

# The model that training writes: once for this file.
model() {
	[ -s "$BATS_FILE_TMPDIR/trained" ] && return 0
	container 0 "${fuse[@]}" "$TRAINING"
	echo "$out" >"$BATS_FILE_TMPDIR/trained"
	azsim_get data/models/1/model.joblib >"$BATS_FILE_TMPDIR/model.joblib"
	azsim_get data/models/1/metrics.json >"$BATS_FILE_TMPDIR/metrics.json"
}

@test "training: scikit-learn learns from a mounted input and writes the model to a mounted output" {
	model
	grep -q '^accuracy 0\.9[0-9]* on 450 digits$' "$BATS_FILE_TMPDIR/trained"
	python3 - "$BATS_FILE_TMPDIR/metrics.json" <<-'END'
		import json, sys
		metrics = json.load(open(sys.argv[1]))
		assert metrics["accuracy"] > 0.98, metrics
		assert metrics["trained_on"] + metrics["tested_on"] == 1797, metrics
	END
	[ "$(azsim_count "oid=$FIRST_OID" op=GetBlob)" -ge 4 ]
}
