#!/usr/bin/env bats
# Minutes of reading and writing while one request in a hundred fails in each way that azsim knows, with
# tokens that live a minute: no wrong byte, no lost write, nothing hangs, nothing is noticed. FAULTS_SECONDS
# (300) is how long; it asks for little, so that it can run beside other suites.
#
# What it does not do: flip a byte. Ranged reads carry no checksum, so only TLS guards what is on its way.
# bats file_tags=root

load helpers
load lib/mounts
load lib/faults

FAULTS_SECONDS=${FAULTS_SECONDS:-300}
FAULTS_SEED=${FAULTS_SEED:-20261128}
LIFE_SECONDS=60
BOUND_SECONDS=300	# of one operation: docs/SEMANTICS.md

setup_file() {
	jobs_begin
}

teardown_file() {
	jobs_end
}

setup() {
	requires_fuse
}

teardown() {
	usage_cleanup
	jobs_cleanup
}

known_content() { # DIR
	local i
	mkdir -p "$1"
	for i in 1 300 4096 100000 1048577 9000001 33000003; do
		head -c $i /dev/zero | openssl enc -aes-128-ctr -K "$(printf '%032x' $i)" \
		    -iv "$(printf '%032x' 0)" >"$1/f$i"
	done
	for i in $(seq 60); do
		head -c $((i * 333)) "$1/f1048577" >"$1/small$i"
	done
}

both_stores_job() {
	mounts_on azsim
	job_as fallback
	job_write <<-END
		name: faults
		command: bash $T/script.sh \${{inputs.data}} \${{outputs.flat}} \${{outputs.lake}}
		inputs:
		  data: {type: uri_folder, path: azureml://datastores/store/paths/known/, mode: ro_mount}
		outputs:
		  flat: {type: uri_folder, path: azureml://datastores/store/paths/faults/, mode: rw_mount}
		  lake: {type: uri_folder, path: azureml://datastores/lake/paths/faults/, mode: rw_mount}
	END
	store_use lake
	job_datastore | sed 's/^name: store/name: lake/' >"$JOB/lake.yml"
	store_use azsim
	job_store+=(--datastore "$JOB/lake.yml")
}

count_faults() {
	printf '# %s requests, ' "$(azsim_count service=blob)"
	printf '%s of them with a fault\n' "$(azsim_count service=blob fault=true)"
}

@test "faults: minutes of load, one request in a hundred fails in each way, tokens live a minute: nothing is noticed" {
	local store failed
	both_stores_job
	known_content "$T/known"
	azsim_put data "$T/known"
	azsim_knob token_lifetime_s=$LIFE_SECONDS
	script <<-END
		mkdir -p "\$2/fsx" "\$3/fsx" "\$2/load" "\$3/load"
		fsx() {
			"$TOOLS/fsx" -s $FAULTS_SEED -t 2 -n 0 -l $FAULTS_SECONDS -p 10 -c 5 -w $BOUND_SECONDS -Z 9000000 -o "\$1" "\$2"
		}
		mkdir -p $T/flat/fsx $T/lake/fsx
		fsx $T/flat/fsx "\$2/fsx" & one=\$!
		fsx $T/lake/fsx "\$3/fsx" & two=\$!
		python3 $BATS_TEST_DIRNAME/lib/load.py $FAULTS_SECONDS $BOUND_SECONDS "\$1" $T/known $T/load "\$2/load" "\$3/load" & three=\$!
		failed=0
		for pid in \$one \$two \$three; do
			wait \$pid || failed=1
		done
		exit \$failed
	END
	fail_one_in_a_hundred "$AZSIM_ACCOUNT" >/dev/null
	fail_one_in_a_hundred "$AZSIM_HNS_ACCOUNT" >/dev/null
	azsim_fault op=AmlToken percent=5 status=503 code=ServerBusy >/dev/null
	LIMIT=$((FAULTS_SECONDS + 2 * BOUND_SECONDS))
	usage_begin
	job_run 0 plain --memory 64M -v
	usage_end 64
	printf '# %s\n' "${out//$'\n'/$'\n# '}" >&3
	count_faults >&3
	# Errors that the job saw would be lines of this level.
	refute grep -E '^amlshim\S* error' <<<"$err"
	azsim_assert 0 service=blob status=401
	[ "$(azsim_count op=AmlToken status=200)" -ge $((FAULTS_SECONDS / LIFE_SECONDS)) ]
	[ "$(azsim_count service=blob fault=true)" -ge $((FAULTS_SECONDS / 2)) ]
	job_left_nothing
	azsim_faults_off
	azsim_knob token_lifetime_s=0
	PREFIX=faults
	for store in flat lake; do
		if [ $store = flat ]; then
			store_use azsim
			mv "$T/load/0" "$T/$store/load"
		else
			store_use lake
			mv "$T/load/1" "$T/$store/load"
		fi
		store_holds "$T/$store"
	done
}
