# Jobs for the end-to-end suites: functions for bats.
#
#   jobs_begin [azurite] [OPTION...]
#                             in setup_file: azsim with a directory of identities and these options
#                             besides, and Azurite too
#   jobs_end                  in teardown_file
#   azsim_reset               no faults, knobs as at the start, the journal empty
#   store_use STORE           azsim, lake, azurite or gen1 (azsim's account "oldlake", which the suite
#                             has to ask for: --account name=oldlake,gen1=1): the store of what
#                             follows; STORE_* tell more
#   store_blob ARG...         tests/sdk/blob.mjs against it
#   store_has NAME FILE       its container "data" holds the bytes of FILE under NAME
#   job_as WHO                key, sas, user, managed, fallback (Azure ML's default identity),
#                             metadata (the VM's default identity), reader, outsider
#   job_write                 job.yml in $JOB from stdin, with the identity of WHO
#   job_run STATUS pid1|plain [FLAG...]    run it; $out, $err, $output as in helpers.bash
#   job_start pid1|plain [FLAG...]         the same in the background; $job_pid is amlshim's
#   job_worker NAME           the pid of its process of that name: the kernel keeps 15 bytes, "amlshim:" and
#                             seven more
#   job_end STATUS            wait for it
#   job_left_nothing          no mount, no process, no staged data
#   job_spy_script FILE NEEDLES             a script that says "LEAK: ..." of each process of the job's
#                             tree that shows a line of NEEDLES in /proc, then how many it looked at
#   jobs_cleanup              in teardown: whatever a failed test left
#
# The datastore of the jobs is called "store", its container "data".  $JOB/mnt and $JOB/cache are
# amlshim's --root and --cache-dir.

jobs_top=$(cd "${BASH_SOURCE[0]%/*}/../.." && pwd)
# shellcheck source=tests/lib/azsim.bash
. "$jobs_top/tests/lib/azsim.bash"
# shellcheck source=tests/lib/azurite.bash
. "$jobs_top/tests/lib/azurite.bash"

# The simulated directory: client id and object id of each.
SYSTEM_ID=55555555-0000-4000-8000-000000000005 SYSTEM_OID=55555555-1111-4000-8000-000000000005
FIRST_ID=aaaaaaaa-0000-4000-8000-00000000000a FIRST_OID=aaaaaaaa-1111-4000-8000-00000000000a
SECOND_ID=bbbbbbbb-0000-4000-8000-00000000000b SECOND_OID=bbbbbbbb-1111-4000-8000-00000000000b
READER_ID=cccccccc-0000-4000-8000-00000000000c READER_OID=cccccccc-1111-4000-8000-00000000000c
OUTSIDER_ID=dddddddd-0000-4000-8000-00000000000d OUTSIDER_OID=dddddddd-1111-4000-8000-00000000000d
USER_OID=eeeeeeee-1111-4000-8000-00000000000e
export SYSTEM_ID FIRST_ID SECOND_ID READER_ID OUTSIDER_ID
export SYSTEM_OID FIRST_OID SECOND_OID READER_OID OUTSIDER_OID USER_OID

jobs_begin()
{
	local oid secret roles=() azurite=''
	if [ "${1-}" = azurite ]; then
		azurite=1
		shift
	fi
	for oid in $SYSTEM_OID $FIRST_OID $SECOND_OID $USER_OID; do
		roles+=(--role "oid=$oid,role=contributor")
	done
	secret=$(openssl rand -hex 16)
	export AZSIM_DIR=$BATS_FILE_TMPDIR/azsim
	azsim_start --secret "$secret" \
	    --identity "kind=system,client_id=$SYSTEM_ID,oid=$SYSTEM_OID" \
	    --identity "kind=user-assigned,client_id=$FIRST_ID,oid=$FIRST_OID" \
	    --identity "kind=user-assigned,client_id=$SECOND_ID,oid=$SECOND_OID" \
	    --identity "kind=user-assigned,client_id=$READER_ID,oid=$READER_OID" \
	    --identity "kind=user-assigned,client_id=$OUTSIDER_ID,oid=$OUTSIDER_OID" \
	    --user "oid=$USER_OID,upn=person@test.local" \
	    --role "oid=$READER_OID,role=reader" "${roles[@]}" "$@"
	export AZSIM_SECRET=$secret
	if [ -n "$azurite" ]; then
		azurite_start "$BATS_FILE_TMPDIR/azurite" >/dev/null
		store_use azurite
		store_blob mkcontainer data
	fi
}

jobs_end()
{
	azsim_stop
	azurite_stop "$BATS_FILE_TMPDIR/azurite"
}

# ---- stores

# What a test turned is turned back.
azsim_reset()
{
	azsim_faults_off
	azsim_knob latency_ms=0 token_latency_ms=0 rate_bytes_per_s=0 token_lifetime_s=0 \
	    list_page_max=0 list_empty_pages=0 copy_pending_ms=0 clock_ahead_s=0
	azsim_ctl DELETE /_azsim/acl >/dev/null
	azsim_forget
}

store_use()
{
	STORE=$1 STORE_TYPE=azure_blob STORE_CONTAINER_FIELD=container_name
	case $1 in
	azurite)
		STORE_HOST=localhost:$AZURITE_PORT STORE_ACCOUNT=$AZURITE_ACCOUNT
		STORE_KEY=$AZURITE_KEY STORE_CA=$AZURITE_CA ;;
	azsim)
		STORE_HOST=localhost:$AZSIM_HTTPS_PORT STORE_ACCOUNT=$AZSIM_ACCOUNT
		STORE_KEY=$AZSIM_KEY STORE_CA=$AZSIM_CA ;;
	lake)
		STORE_HOST=localhost:$AZSIM_HTTPS_PORT STORE_ACCOUNT=$AZSIM_HNS_ACCOUNT
		STORE_KEY=$AZSIM_KEY STORE_CA=$AZSIM_CA
		STORE_TYPE=azure_data_lake_gen2 STORE_CONTAINER_FIELD=filesystem ;;
	gen1)
		STORE_HOST=localhost:$AZSIM_HTTPS_PORT STORE_ACCOUNT=oldlake
		STORE_CA=$AZSIM_CA STORE_TYPE=azure_data_lake_gen1 STORE_CONTAINER_FIELD= ;;
	esac
	STORE_ENDPOINT=https://$STORE_HOST/$STORE_ACCOUNT
}

# The servers listen on 127.0.0.1 alone, and Node 18 tries only the first address of localhost.
store_node()
{
	NODE_OPTIONS=--dns-result-order=ipv4first NODE_EXTRA_CA_CERTS=$STORE_CA \
	    BLOB_ENDPOINT=$STORE_ENDPOINT BLOB_KEY=$STORE_KEY timeout 120 node "$@"
}

store_blob()
{
	store_node "$jobs_top/tests/sdk/blob.mjs" "$@"
}

store_has()
{
	store_blob get "data/$1" "$BATS_TEST_TMPDIR/got" || return 1
	cmp "$BATS_TEST_TMPDIR/got" "$2"
}

# ---- jobs

# An account SAS for all that a job does, made once a store.
store_sas()
{
	local file=$BATS_FILE_TMPDIR/sas-$STORE
	[ -s "$file" ] || store_blob sas account rwdlac 3600 >"$file"
	cat "$file"
}

job_as()
{
	local msi=http://127.0.0.1:$AZSIM_PORT/MSI/auth
	# shellcheck disable=SC2034 # for the tests
	WHO=$1 job_credentials='' job_identity='' job_env=() job_flags=()
	case $1 in
	key)
		job_credentials="credentials: {account_key: \"$STORE_KEY\"}" ;;
	sas)
		job_credentials="credentials: {sas_token: \"$(store_sas)\"}" ;;
	user)
		job_identity='identity: {type: user_identity}'
		job_env=("OBO_ENDPOINT=http://127.0.0.1:$AZSIM_PORT/OBO/token") ;;
	managed)
		job_identity="identity: {type: managed, client_id: $SECOND_ID}"
		job_flags=(--compute "$FIRST_ID,$SECOND_ID")
		job_env=("MSI_ENDPOINT=$msi" "MSI_SECRET=$AZSIM_SECRET") ;;
	fallback)
		job_env=("MSI_ENDPOINT=$msi" "MSI_SECRET=$AZSIM_SECRET"
		    "DEFAULT_IDENTITY_CLIENT_ID=$FIRST_ID") ;;
	metadata)
		job_flags=(--compute system_assigned)
		job_env=("AZURE_POD_IDENTITY_AUTHORITY_HOST=http://127.0.0.1:$AZSIM_PORT") ;;
	reader)
		job_flags=(--compute "$READER_ID")
		job_env=("MSI_ENDPOINT=$msi" "MSI_SECRET=$AZSIM_SECRET") ;;
	outsider)
		job_flags=(--compute "$OUTSIDER_ID")
		job_env=("MSI_ENDPOINT=$msi" "MSI_SECRET=$AZSIM_SECRET") ;;
	esac
}

job_datastore()
{
	if [ -z "$STORE_CONTAINER_FIELD" ]; then
		printf 'name: store\ntype: %s\nstore_name: %s\nendpoint: %s\n%s\n' "$STORE_TYPE" \
		    "$STORE_ACCOUNT" "$STORE_HOST" "$job_credentials"
		return
	fi
	cat <<-END
		name: store
		type: $STORE_TYPE
		account_name: $STORE_ACCOUNT
		$STORE_CONTAINER_FIELD: ${STORE_CONTAINER:-data}
		endpoint: $STORE_HOST
		$job_credentials
	END
}

job_write()
{
	JOB=$BATS_TEST_TMPDIR/job
	mkdir -p "$JOB"
	{ cat; echo "$job_identity"; } >"$JOB/job.yml"
	job_datastore >"$JOB/store.yml"
	job_store=(--datastore "$JOB/store.yml")
}

# The words that run it, in $job_words.  The environment is a container's: bare.
job_command()
{
	local how=$1
	shift
	job_words=(env -i "PATH=$PATH" "HOME=$JOB" LANG=C.UTF-8 "JOB_MARK=$JOB"
	    "SSL_CERT_FILE=$STORE_CA" NODE_OPTIONS=--dns-result-order=ipv4first
	    "NODE_EXTRA_CA_CERTS=$STORE_CA" "BLOB_ENDPOINT=$STORE_ENDPOINT"
	    "AZSIM=$AZSIM" "AZSIM_PORT=$AZSIM_PORT" "TOOLS=$TOOLS" "${job_env[@]}")
	[ "$how" != pid1 ] || job_words+=("${PID1[@]}")
	job_words+=("$AMLSHIM" --job "$JOB/job.yml" --root "$JOB/mnt" --cache-dir "$JOB/cache")
	job_words+=("${job_store[@]}" "${job_flags[@]}" "$@")
}

job_run()
{
	local want=$1
	shift
	job_command "$@"
	run_status "$want" "${job_words[@]}"
}

job_start()
{
	job_command "$@"
	rm -f "$BATS_TEST_TMPDIR/out" "$BATS_TEST_TMPDIR/err"	# what the run before said
	"${job_words[@]}" >"$BATS_TEST_TMPDIR/out" 2>"$BATS_TEST_TMPDIR/err" 3>&- &
	job_outer=$! job_pid=$!
	if [ "$1" = pid1 ]; then
		wait_for 30 pgrep -P "$job_outer"
		job_pid=$(pgrep -P "$job_outer")
	fi
}

job_worker()
{
	local pid
	for pid in $(pgrep -P "$job_pid"); do
		if [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = "amlshim:$1" ]; then
			echo "$pid"
		fi
	done
}

job_says()
{
	grep -q -- "$1" "$BATS_TEST_TMPDIR/out" "$BATS_TEST_TMPDIR/err"
}

# Bounded: after LIMIT seconds it is killed, and the status is wrong.
job_end()
{
	local want=$1 watchdog
	(sleep "$LIMIT" && kill -KILL "$job_pid" "$job_outer") >/dev/null 2>&1 3>&- &
	watchdog=$!
	status=0
	wait "$job_outer" || status=$?
	pkill -P "$watchdog" 2>/dev/null || true
	kill "$watchdog" 2>/dev/null || true
	wait "$watchdog" 2>/dev/null || true
	out=$(cat "$BATS_TEST_TMPDIR/out")
	err=$(cat "$BATS_TEST_TMPDIR/err")
	# shellcheck disable=SC2034 # for the tests
	output=$out$err
	if [ "$status" -ne "$want" ]; then
		printf 'status: %s, wanted %s\nstdout: %s\nstderr: %s\n' "$status" "$want" "$out" "$err"
		return 1
	fi
}

# Processes that were started with this test's mark, whatever became of their parents.
job_processes()
{
	local file
	# shellcheck disable=SC2013 # paths without blanks
	for file in $(grep -lsxz -- "JOB_MARK=$JOB" /proc/[0-9]*/environ); do
		file=${file#/proc/}
		echo "${file%/environ}"
	done
}

job_mounts()
{
	awk -v under="$JOB/" 'index($5, under) == 1 { print $5 }' /proc/self/mountinfo
}

job_left_nothing()
{
	local left
	left=$(job_mounts)
	[ -z "$left" ] || { echo "left mounted: $left"; return 1; }
	left=$(job_processes)
	[ -z "$left" ] || { echo "left running:"; ps -fp "${left//$'\n'/,}"; return 1; }
	# A run that did not succeed leaves the journal of its copies for the next (57-transfer.bats).
	left=$(find "$JOB/cache" -mindepth 1 ! -name '*.journal' 2>/dev/null || true)
	[ -z "$left" ] || { echo "left in the cache directory: $left"; return 1; }
}

# In a namespace of its own these are all processes there are.
job_spy_script()
{
	sed "s|NEEDLES|$2|" >"$1" <<-'END'
		amlshim=$PPID
		until [ "$(cat /proc/$amlshim/comm)" = amlshim ]; do
			amlshim=$(sed -n 's/^PPid:[^0-9]*//p' /proc/$amlshim/status)
		done
		if [ "$amlshim" = 1 ]; then
			pids=$(cd /proc && echo [0-9]*)
		else
			pids="$amlshim $(pgrep -P $amlshim)"
		fi
		set -- $pids
		echo "looked at $# processes"
		for pid; do
			for file in environ cmdline; do
				if tr '\0' '\n' </proc/$pid/$file 2>/dev/null | grep -qFf "NEEDLES"; then
					echo "LEAK: $file of $(cat /proc/$pid/comm)"
				fi
			done
		done
	END
}

jobs_cleanup()
{
	local pid path
	[ -n "${JOB-}" ] || return 0
	for pid in $(job_processes); do
		kill -KILL "$pid" 2>/dev/null || true
	done
	while read -r path; do
		umount -l "$path" 2>/dev/null || true
	done < <(job_mounts)
	if [ -n "${AZSIM_PORT-}" ]; then
		azsim_reset
	fi
}
