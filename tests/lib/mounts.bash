# Mounts under judgement: functions for bats, on top of lib/jobs.
#
#   mounts_on STORE           store_use, with an identity that suits it, and a prefix of its own: $PREFIX
#   job_out COMMAND           the job writes: ${{outputs.out}} is $PREFIX, rw_mount
#   job_in COMMAND            the job reads: ${{inputs.data}} is $PREFIX, ro_mount
#   script                    $T/script.sh from stdin, for bash
#   store_holds DIR           the official client finds below $PREFIX what DIR holds
#   mount_holds DIR           a second job that mounts it read-only finds the same
#   usage_begin               from now on, note what the mount processes of this test's jobs use
#   usage_end MIB             print it as TAP comments; fail if one had more memory resident than
#                             that for --memory and USAGE_REST_MIB for all else
#   usage_cleanup             in teardown

# shellcheck source=tests/lib/jobs.bash
. "${BASH_SOURCE[0]%/*}/jobs.bash"

USAGE_REST_MIB=${USAGE_REST_MIB:-40}	# sanitizers want more

mounts_on()
{
	store_use "$1"
	case $1 in
	azsim) job_as key ;;
	lake) job_as managed ;;
	azurite) job_as user ;;
	esac
	T=$BATS_TEST_TMPDIR
	PREFIX=m${BATS_SUITE_TEST_NUMBER:-0}.$BATS_TEST_NUMBER.$1
}

job_out()
{
	job_write <<-END
		command: $1
		outputs:
		  out: {type: uri_folder, path: azureml://datastores/store/paths/$PREFIX/, mode: rw_mount}
	END
}

job_in()
{
	job_write <<-END
		command: $1
		inputs:
		  data: {type: uri_folder, path: azureml://datastores/store/paths/$PREFIX/, mode: ro_mount}
	END
}

script()
{
	{
		echo "trap '$jobs_top/tests/lib/usage.sh >>$T/usage' EXIT"
		cat
	} >"$T/script.sh"
}

store_holds()
{
	rm -rf "$T/theirs"
	store_node "$jobs_top/tests/sdk/tree.mjs" "data/$PREFIX" "$T/theirs" &&
	    diff -r "$1" "$T/theirs"
}

mount_holds()
{
	job_in "diff -r $1 \${{inputs.data}}"
	job_run 0 plain
}

# ---- what mount processes use

usage_begin()
{
	local top=$BASHPID
	: >"$T/usage"
	(
		while [ -d "/proc/$top" ]; do
			"$jobs_top/tests/lib/usage.sh" "$top" >>"$T/usage"
			sleep 1
		done
	) </dev/null >/dev/null 2>&1 3>&- &
	USAGE_PID=$!
}

usage_end()
{
	local peak
	kill "$USAGE_PID" 2>/dev/null || true
	wait "$USAGE_PID" 2>/dev/null || true
	USAGE_PID=
	awk -v hz="$(getconf CLK_TCK)" '
		NF == 4 && $2 > peak[$1] { peak[$1] = $2 }
		NF == 4 && $3 > ticks[$1] { ticks[$1] = $3 }
		END { for (one in peak) printf "# a mount: %d KiB resident at most, %.2f s of CPU\n",
		    peak[one], ticks[one] / hz }' "$T/usage" >&3
	peak=$(awk 'NF == 4 && $2 > most { most = $2 } END { print most + 0 }' "$T/usage")
	[ "$peak" -gt 0 ] || { echo "no mount process was seen"; return 1; }
	[ "$peak" -le $((($1 + USAGE_REST_MIB) * 1024)) ] ||
	    { echo "$peak KiB resident: more than $1 + $USAGE_REST_MIB MiB"; return 1; }
}

usage_cleanup()
{
	[ -z "${USAGE_PID-}" ] || kill "$USAGE_PID" 2>/dev/null || true
}
