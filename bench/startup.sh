#!/usr/bin/env bash
# startup.sh: how long a job with three datastores waits for its identity and its data.
#
# azsim answers each request after LATENCY_MS (20); a job with three mounted inputs is run STARTS (21)
# times as PID 1 with --trace, and the time from amlshim's first instruction to the end of the
# command's exec is read from the traces.  The bound is four round trips and 15 ms.
set -euo pipefail
cd "$(dirname "$0")/.."
STARTS=${STARTS:-21} LATENCY_MS=${LATENCY_MS:-20}
work=$(mktemp -d)
export BATS_TEST_DIRNAME=$PWD/tests BATS_TEST_TMPDIR=$work BATS_FILE_TMPDIR=$work
# shellcheck source=tests/helpers.bash
. tests/helpers.bash
# shellcheck source=tests/lib/jobs.bash
. tests/lib/jobs.bash

finish() {
	jobs_cleanup
	azsim_stop
	rm -rf --one-file-system "$work"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

three_stores() {
	local name
	for name in first second third; do
		echo "---"
		job_datastore | sed "s/^name: store/name: $name/"
	done
}

mkdir "$work/data"
echo hello >"$work/data/hello.txt"
# shellcheck disable=SC2119 # its options are not ours
jobs_begin
store_use azsim
azsim_put data "$work/data"
job_as fallback
job_write <<END
name: startup
command: "true"
inputs:
  a: {type: uri_folder, path: azureml://datastores/first/paths/data/}
  b: {type: uri_folder, path: azureml://datastores/second/paths/data/}
  c: {type: uri_file, path: azureml://datastores/third/paths/data/hello.txt}
END
three_stores >"$JOB/store.yml"
azsim_knob "latency_ms=$LATENCY_MS" "token_latency_ms=$LATENCY_MS"
for ((i = 0; i < STARTS; i++)); do
	job_run 0 pid1 --trace "$work/trace.$i"
done
python3 bench/startup.py "$LATENCY_MS" "${BENCH_RESULTS-}" "$work"/trace.*
