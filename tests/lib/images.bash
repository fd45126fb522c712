# The images of images/, built and given something to do: functions for bats, after lib/jobs; with
# lib/docker.
#
#   images_base NAME          the Debian base that the suites share: Python with scikit-learn
#   images_build              in setup_file: $TRAINING and $INFERENCE, by their Dockerfiles
#   images_remove             in teardown_file
#   images_data               the digits that scikit-learn ships, in four files, into azsim's data/data/
#   images_fuse_device        $fuse_device: /dev/fuse as hosts have it, open to everybody
#   images_variables          $variables: what a container of an image needs to know of the store

images_top=$(cd "${BASH_SOURCE[0]%/*}/../.." && pwd)
# shellcheck source=tests/lib/docker.bash
. "$images_top/tests/lib/docker.bash"

images_base()
{
	"$images_top/scripts/base-image.sh" "$1" --include python3,python3-sklearn
}

# The build arguments: nothing is fetched, so no network either. The builder that needs no plugin.
images_docker_build()
{
	DOCKER_BUILDKIT=0 docker build -q --network none --build-arg "DEBIAN=$IMAGES_BASE" \
	    --build-arg "AMLSHIM=$IMAGES_AMLSHIM" -t "$1" "$2" >/dev/null 2>"$BATS_FILE_TMPDIR/build.err" || {
		cat "$BATS_FILE_TMPDIR/build.err"
		return 1
	}
}

images_build()
{
	export IMAGES_BASE=amlshim-test-base IMAGES_AMLSHIM=amlshim-test-amlshim-$$
	export TRAINING=amlshim-test-training-$$ INFERENCE=amlshim-test-inference-$$
	images_base "$IMAGES_BASE"
	docker_scratch_image "$IMAGES_AMLSHIM" "$AMLSHIM=/sbin/amlshim"
	images_docker_build "$TRAINING" "$images_top/images/training"
	images_docker_build "$INFERENCE" "$images_top/images/inference"
}

images_remove()
{
	[ -z "${IMAGES_BASE-}" ] ||
	    docker rmi -f "$TRAINING" "$INFERENCE" "$IMAGES_AMLSHIM" >/dev/null 2>&1 || true
}

images_data()
{
	local dir=$BATS_FILE_TMPDIR/digits id
	mkdir "$dir"
	id=$(docker create --label "$docker_label" "$IMAGES_BASE")
	docker cp "$id:/usr/lib/python3/dist-packages/sklearn/datasets/data/digits.csv.gz" "$dir.gz"
	docker rm "$id" >/dev/null
	gzip -dc "$dir.gz" | (cd "$dir" && split -l 450 -d --additional-suffix .csv - part-)
	azsim_put data/data "$dir"/*
}

# udev gives the device to everybody; a machine without udev may have it for root alone.
images_fuse_device()
{
	export fuse_device=$BATS_FILE_TMPDIR/fuse
	mknod -m 666 "$fuse_device" c 10 229
}

images_variables()
{
	job_datastore | sed '1s/.*/name: digits/' >"$BATS_TEST_TMPDIR/digits.yml"
	# shellcheck disable=SC2034 # for the tests
	variables=(-e "AMLSHIM_DATASTORES=$(cat "$BATS_TEST_TMPDIR/digits.yml")"
	    -e "AMLSHIM_COMPUTE=$FIRST_ID" -e SSL_CERT_FILE=/ca.pem -v "$STORE_CA:/ca.pem:ro"
	    "${job_env[@]/#/--env=}")
}
