#!/usr/bin/env bats
# A long job with tokens that live a minute: it reads its mount and asks for tokens all the time, and in
# the middle the identity service is away for 40 s. LONG_SECONDS (300) is how long; it asks for little, so
# that it can run beside other suites.
# bats file_tags=root

load helpers
load lib/jobs

LONG_SECONDS=${LONG_SECONDS:-300}
AWAY_SECONDS=40
LIFE_SECONDS=60

setup_file() {
	jobs_begin
}

teardown_file() {
	jobs_end
}

setup() {
	requires_fuse
	store_use azsim
	BROKER=$BATS_TEST_DIRNAME/sdk/broker.mjs
}

teardown() {
	jobs_cleanup
}

# Blocks of a blob that nobody has read before, so that each is a request with a token; the broker by
# curl at every turn, by the official client at every twentieth.
long_script() {
	cat >"$JOB/script.sh" <<-END
		turn=0 failures=0
		end=\$((\$(date +%s) + $LONG_SECONDS))
		while [ \$(date +%s) -lt \$end ]; do
			dd if="\$1" of=/dev/null bs=4096 count=1 skip=\$((turn * 4096)) iflag=fullblock 2>$JOB/dd.err ||
			    { failures=\$((failures + 1)); echo "turn \$turn: \$(cat $JOB/dd.err)"; }
			curl -sf -m 10 -o $JOB/token -H "secret: \$MSI_SECRET" \
			    "\$MSI_ENDPOINT?resource=https://storage.azure.com/" ||
			    { failures=\$((failures + 1)); echo "turn \$turn: curl \$?"; }
			if [ \$((turn % 20)) = 0 ]; then
				node $BROKER token >$JOB/claims 2>&1 ||
				    { failures=\$((failures + 1)); echo "turn \$turn: \$(cat $JOB/claims)"; }
			fi
			rm -f $JOB/token
			turn=\$((turn + 1))
			sleep 0.5
		done
		echo "turns \$turn failures \$failures"
	END
}

@test "long: minute-long tokens, the identity service away for 40 s: nothing is noticed" {
	local asked given slash turns
	job_as fallback
	azsim_ctl POST "/_azsim/synthetic?account=$AZSIM_ACCOUNT&container=data&name=long/big&size=68719476736" >/dev/null
	azsim_knob token_lifetime_s=$LIFE_SECONDS
	JOB=$BATS_TEST_TMPDIR/job
	mkdir -p "$JOB"
	long_script
	job_write <<-END
		name: long
		command: sh $JOB/script.sh \${{inputs.data}}/big
		inputs:
		  data: {type: uri_folder, path: azureml://datastores/store/paths/long/}
	END
	LIMIT=$((LONG_SECONDS + 120))
	job_start plain -v
	# At a moment of its own choosing: any must do.
	sleep $(((LONG_SECONDS - AWAY_SECONDS) / 3 + RANDOM % 20))
	azsim_fault op=AmlToken status=503 code=ServerBusy
	sleep $AWAY_SECONDS
	azsim_faults_off
	azsim_assert + op=AmlToken status=503
	job_end 0
	assert_in "$out" "failures 0"
	turns=$(sed -n 's/^turns \([0-9]*\) .*/\1/p' <<<"$out")
	[ "$turns" -ge $((LONG_SECONDS / 4)) ]
	# The mount and curl ask for https://storage.azure.com/, the SDK for the same without the slash: two
	# tokens. Each is renewed at an age of 10 s or, after the outage, at once; that a slow machine is late
	# only makes it fewer.
	given=$(azsim_count op=AmlToken status=200)
	slash=$(azsim_count op=AmlToken status=200 has=resource=https://storage.azure.com/)
	asked=$(azsim_count op=AmlToken)
	echo "# $turns turns, $slash + $((given - slash)) tokens, $((asked - given)) requests in vain" >&3
	[ "$slash" -ge $(((LONG_SECONDS - AWAY_SECONDS) / LIFE_SECONDS)) ]
	[ "$slash" -le $((LONG_SECONDS / 10 + 3)) ]
	[ $((given - slash)) -le $((LONG_SECONDS / 10 + 3)) ]
	[ $((asked - given)) -le $((4 * AWAY_SECONDS)) ]
	azsim_assert + op=GetBlob status=206
	azsim_assert 0 op=GetBlob status=401
	job_left_nothing
}
