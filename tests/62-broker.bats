#!/usr/bin/env bats
# The token broker: its dialects by the official clients for JavaScript and Python, who may ask it, what
# it records; tokens in variables and files; `amlshim token`.
# bats file_tags=root

load helpers
load lib/jobs

setup_file() {
	jobs_begin azurite
	PYTHON=$("$BATS_TEST_DIRNAME/../scripts/python-sdk.sh")
	export PYTHON
}

teardown_file() {
	jobs_end
}

setup() {
	requires_root
	store_use azsim
	BROKER=$BATS_TEST_DIRNAME/sdk/broker.mjs
	PY="env PYTHONPATH=$PYTHON PYTHONDONTWRITEBYTECODE=1 /usr/bin/python3 $BATS_TEST_DIRNAME/sdk/broker.py"
	R='resource=https://storage.azure.com/'
}

teardown() {
	jobs_cleanup
}

# A script for the job; nothing is mounted.
script_job() { # script on stdin
	JOB=$BATS_TEST_TMPDIR/job
	mkdir -p "$JOB"
	cat >"$JOB/script.sh"
	job_write <<-END
		name: demo
		command: sh $JOB/script.sh
	END
}

# It tells its environment, and waits for a file that the test makes, or for the end of the test.
waiting_job() {
	script_job <<-END
		env >$BATS_TEST_TMPDIR/env.new
		mv $BATS_TEST_TMPDIR/env.new $BATS_TEST_TMPDIR/env
		while [ ! -e $BATS_TEST_TMPDIR/go ] && [ -d $BATS_TEST_TMPDIR ]; do sleep 0.1; done
	END
}

job_var() {
	sed -n "s/^$1=//p" "$BATS_TEST_TMPDIR/env"
}

# Status, then the error's words.
ask() { # URL HEADER...
	local url=$1 words=()
	shift
	while [ $# -gt 0 ]; do
		words+=(-H "$1")
		shift
	done
	curl -s -o "$BATS_TEST_TMPDIR/body" -w '%{http_code}' "${words[@]}" "$url"
	grep -o '"\(error\|message\|error_description\)":"[^"]*"' "$BATS_TEST_TMPDIR/body" || true
}

# Lines of the audit file that hold all the words.
audited() {
	local lines
	lines=$(cat "$BATS_TEST_TMPDIR/audit")
	for word; do
		lines=$(grep -F -- "$word" <<<"$lines") || return 1
	done
	wc -l <<<"$lines"
}

# ---- dialects

@test "dialects: Python's ManagedIdentityCredential and DefaultAzureCredential, each dialect" {
	job_as managed
	script_job <<-END
		set -e
		$PY token
		$PY token --client-id $FIRST_ID https://vault.azure.net/.default
		$PY token --default
	END
	for dialect in aml,appservice aml appservice imds; do
		job_run 0 plain --broker "$dialect" --audit "$BATS_TEST_TMPDIR/audit"
		assert_equal "$(grep -c "^oid $SECOND_OID$" <<<"$out") $(grep -c "^oid $FIRST_OID$" <<<"$out")" "2 1"
		assert_in "$out" "aud https://vault.azure.net"
		silent
	done
	# With both, Python's choice is App Service.
	assert_equal "$(audited '"dialect":"appservice"')" 6
	assert_equal "$(audited '"dialect":"aml"')" 3
	assert_equal "$(audited '"dialect":"imds"')" 3
	assert_equal "$(audited '"outcome":"granted"')" 12
	job_run 0 pid1
}

@test "dialects: JavaScript's ManagedIdentityCredential and DefaultAzureCredential, each dialect" {
	job_as managed
	script_job <<-END
		set -e
		node $BROKER token
		node $BROKER token --client-id $FIRST_ID
		node $BROKER token --default
	END
	for dialect in appservice,aml aml appservice imds; do
		job_run 0 plain --broker "$dialect" --audit "$BATS_TEST_TMPDIR/audit"
		assert_equal "$(grep -c "^oid $SECOND_OID$" <<<"$out") $(grep -c "^oid $FIRST_OID$" <<<"$out")" "2 1"
	done
	assert_equal "$(audited '"dialect":"appservice"')" 6
	assert_equal "$(audited '"dialect":"aml"')" 3
	assert_equal "$(audited '"dialect":"imds"')" 3
}

@test "dialects: what the clients are refused, they say" {
	local dialect reason='the compute does not have the managed identity'
	job_as managed
	script_job <<-END
		$PY token --client-id $OUTSIDER_ID
		node $BROKER token --client-id $OUTSIDER_ID
		true
	END
	for dialect in aml appservice; do
		job_run 0 plain --broker "$dialect"
		# Azure ML's dialect: MSAL for Python keeps the reason to itself since 1.31.
		assert_equal "$(grep -c '^refused: ' <<<"$err")" 2
		assert_equal "$(grep -c "token request refused: $reason" <<<"$err")" 2
		assert_in "$(grep '^refused: ManagedIdentityCredential' <<<"$err")" "$reason"
		refute_in "$out" oid
	done
	azsim_assert 0 "has=$OUTSIDER_ID"
}

@test "dialects: storage is written and read by Python: azsim and Azurite" {
	local store
	for store in azsim azurite; do
		store_use $store
		job_as fallback
		script_job <<-END
			$PY blob data/python/$store.txt
		END
		job_run 0 pid1
		assert_equal "$out" "wrote and read python/$store.txt"
	done
}

@test "dialects: an unknown word is refused before anything runs" {
	job_as managed
	script_job <<<"echo ran"
	job_run 2 plain --broker aml,arc
	assert_in "$err" "--broker"
	refute_in "$out" ran
}

@test "dialects: a platform's other endpoints do not lead past the broker" {
	job_as fallback
	script_job <<<"env"
	job_env+=(AZURE_POD_IDENTITY_AUTHORITY_HOST=http://127.0.0.1:9 IMDS_ENDPOINT=http://127.0.0.1:9
	    AZURE_FEDERATED_TOKEN_FILE=/nowhere "AZURE_CLIENT_ID=$FIRST_ID" "AZURE_TENANT_ID=$AZSIM_TENANT")
	job_run 0 plain
	for name in AZURE_POD_IDENTITY_AUTHORITY_HOST IMDS_ENDPOINT IDENTITY_SERVER_THUMBPRINT \
	    AZURE_FEDERATED_TOKEN_FILE AZURE_CLIENT_ID AZURE_TENANT_ID; do
		refute_in "$out" "$name="
	done
	assert_equal "$(sed -n 's/^IDENTITY_HEADER=//p' <<<"$out")" "$(sed -n 's/^MSI_SECRET=//p' <<<"$out")"
}

# ---- the socket

@test "socket: the same answers, in a directory of its own that is gone at the end" {
	job_as managed
	script_job <<-END
		stat -c '%a %u %F' "\$(dirname "\$AMLSHIM_BROKER_SOCKET")" "\$AMLSHIM_BROKER_SOCKET"
		curl -s --unix-socket "\$AMLSHIM_BROKER_SOCKET" -H "secret: \$MSI_SECRET" \
		    "http://x/MSI/auth?$R" | grep -c access_token
		curl -s --unix-socket "\$AMLSHIM_BROKER_SOCKET" "http://x/MSI/auth?$R"; echo
		echo "\$AMLSHIM_BROKER_SOCKET"
	END
	for how in pid1 plain; do
		job_run 0 $how
		assert_in "$out" "700 0 directory
600 0 socket
1"
		assert_in "$out" invalid_secret
		refute test -e "$(tail -n 1 <<<"$out")"
		refute test -e "$(dirname "$(tail -n 1 <<<"$out")")"
	done
}

# ---- who asks

@test "peers: children, grandchildren, orphans and daemons of the job are served" {
	job_as managed
	script_job <<-END
		t=$BATS_TEST_TMPDIR
		q="\$MSI_ENDPOINT?$R"
		curl -s -o /dev/null -w '%{http_code}\n' -H "secret: \$MSI_SECRET" "\$q"
		sh -c 'sh -c "curl -s -o /dev/null -w %{http_code} -H \"secret: \$MSI_SECRET\" \"\$1\"; echo" sh "\$1"; true' sh "\$q"
		setsid sh -c '(sleep 0.3; curl -s -o '\$t'/orphan -w %{http_code} -H "secret: \$MSI_SECRET" "\$1" >'\$t'/status) &' sh "\$q" &
		wait
		until [ -s \$t/status ]; do sleep 0.1; done
		cat \$t/status; echo
		sh -c 'exec 3<>/dev/null; curl -s --unix-socket "\$AMLSHIM_BROKER_SOCKET" -o /dev/null -w %{http_code} -H "secret: \$MSI_SECRET" "http://x/MSI/auth?$R"; echo'
	END
	for how in pid1 plain; do
		rm -f "$BATS_TEST_TMPDIR/status"
		job_run 0 $how
		assert_equal "$out" "200
200
200
200"
	done
}

@test "peers: a process outside the job's tree is refused, and recorded, although it has the secret" {
	local port header
	job_as managed
	waiting_job
	for how in pid1 plain; do
		rm -f "$BATS_TEST_TMPDIR/go" "$BATS_TEST_TMPDIR/env" "$BATS_TEST_TMPDIR/audit"
		job_start $how --broker aml,appservice,imds --audit "$BATS_TEST_TMPDIR/audit"
		wait_for 30 test -s "$BATS_TEST_TMPDIR/env"
		answer=$(ask "$(job_var MSI_ENDPOINT)?$R" "secret: $(job_var MSI_SECRET)")
		assert_in "$answer" 403
		assert_in "$answer" client_not_allowed
		assert_in "$answer" "it comes from no process of the job"
		answer=$(ask "$(job_var IDENTITY_ENDPOINT)?$R&api-version=2019-08-01" \
		    "X-IDENTITY-HEADER: $(job_var IDENTITY_HEADER)")
		assert_in "$answer" 403
		answer=$(ask "$(job_var AZURE_POD_IDENTITY_AUTHORITY_HOST)/metadata/identity/oauth2/token?$R&api-version=2018-02-01" \
		    "Metadata: true")
		assert_in "$answer" 403
		if [ $how = plain ]; then
			# In the namespace of the job its name is known; from outside there is none.
			assert_equal "$(audited '"reason":"peer"' '"comm":"curl"' '"uid":0')" 3
			answer=$(curl -s -w '%{http_code}' --unix-socket "$(job_var AMLSHIM_BROKER_SOCKET)" \
			    -H "secret: $(job_var MSI_SECRET)" "http://x/MSI/auth?$R")
			assert_in "$answer" 403
		else
			assert_equal "$(audited '"reason":"peer"' '"pid":null')" 3
			# What docker exec does.
			answer=$(nsenter -t "$job_pid" -p -m curl -s -w '%{http_code}' \
			    -H "secret: $(job_var MSI_SECRET)" "$(job_var MSI_ENDPOINT)?$R")
			assert_in "$answer" 403
			assert_equal "$(audited '"reason":"peer"' '"comm":"curl"')" 1
		fi
		touch "$BATS_TEST_TMPDIR/go"
		job_end 0
		assert_in "$err" "token request refused: the client is not a process of the job"
		refute grep -qF "$(job_var MSI_SECRET)" "$BATS_TEST_TMPDIR/audit" "$BATS_TEST_TMPDIR/err"
	done
	azsim_assert 0 op=AmlToken
}

@test "peers: another user is refused, by the port and by the socket" {
	job_as managed
	script_job <<-END
		setpriv --reuid 65534 --clear-groups curl -s -w '%{http_code}\n' -H "secret: \$MSI_SECRET" "\$MSI_ENDPOINT?$R"
		setpriv --reuid 65534 --clear-groups curl -s --unix-socket "\$AMLSHIM_BROKER_SOCKET" http://x/ || echo "no way in"
	END
	for how in pid1 plain; do
		job_run 0 $how --audit "$BATS_TEST_TMPDIR/audit"
		assert_in "$out" "it belongs to another user than the job's"
		assert_in "$out" 403
		assert_in "$out" "no way in"
	done
	assert_equal "$(audited '"reason":"peer"' '"uid":65534' '"comm":"curl"')" 2
}

@test "peers: the check works for a user that owns nothing" {
	local as=(setpriv --reuid 65534 --regid 65534 --clear-groups --inh-caps=-all --bounding-set=-all --no-new-privs)
	job_as fallback
	chmod 755 "$BATS_TEST_TMPDIR"
	cp "$AMLSHIM" "$BATS_TEST_TMPDIR/amlshim"
	cat >"$BATS_TEST_TMPDIR/ask" <<-END
		for where in "\$MSI_ENDPOINT" "--unix-socket \$AMLSHIM_BROKER_SOCKET http://x/MSI/auth"; do
			curl -s -o /dev/null -w '%{http_code}\n' -H "secret: \$MSI_SECRET" \$where?$R
		done
	END
	run_status 0 env "${job_env[@]}" "${as[@]}" "$BATS_TEST_TMPDIR/amlshim" --broker aml -- sh -c "$(cat "$BATS_TEST_TMPDIR/ask")"
	assert_equal "$out" $'200\n200'
	run_status 0 env "${job_env[@]}" "${PID1[@]}" "${as[@]}" "$BATS_TEST_TMPDIR/amlshim" --broker aml -- sh -c "$(cat "$BATS_TEST_TMPDIR/ask")"
	assert_equal "$out" $'200\n200'
}

@test "peers: without a /proc of its own the broker serves nobody, and says why" {
	job_as managed
	script_job <<-END
		curl -s -w '%{http_code}\n' -H "secret: \$MSI_SECRET" "\$MSI_ENDPOINT?$R"
	END
	job_command plain
	run_status 0 unshare --pid --fork --kill-child "${job_words[@]}"
	assert_in "$out" 403
	assert_in "$out" "/proc is missing or belongs to another PID namespace"
}

# ---- the record

@test "audit: a line for each grant and refusal, bounded, without a secret" {
	job_as managed
	script_job <<-END
		node $BROKER token --client-id $FIRST_ID https://vault.azure.net/.default
		for i in \$(seq 60); do
			curl -s -o /dev/null -H "secret: wrong" "\$MSI_ENDPOINT?$R"
		done
	END
	job_run 0 plain -v --audit "$BATS_TEST_TMPDIR/audit"
	assert_equal "$(stat -c %a "$BATS_TEST_TMPDIR/audit")" 600
	node -e 'for (const line of require("fs").readFileSync(process.argv[1], "utf8").trimEnd().split("\n")) JSON.parse(line)' \
	    "$BATS_TEST_TMPDIR/audit"
	assert_equal "$(audited '"outcome":"granted"' '"comm":"node"' "\"client_id\":\"$FIRST_ID\"" \
	    '"audience":"https://vault.azure.net"' '"expires":"20')" 1
	refused=$(audited '"outcome":"refused"' '"reason":"secret"')
	[ "$refused" -ge 20 ]
	[ "$refused" -lt 60 ]
	refute grep -qE "eyJ|$AZSIM_SECRET" "$BATS_TEST_TMPDIR/audit"
	assert_in "$err" "token granted: managed identity $FIRST_ID"
	assert_in "$err" comm=node
	# It is appended to.
	job_run 0 plain --audit "$BATS_TEST_TMPDIR/audit"
	assert_equal "$(audited '"outcome":"granted"')" 2
}

@test "audit: a file that cannot be opened ends the run before the job starts" {
	job_as managed
	script_job <<<"echo ran"
	job_run 125 plain --audit /no/such/directory/audit
	assert_in "$err" "/no/such/directory/audit"
	refute_in "$out" ran
	job_left_nothing
}

@test "two hundred clients at once, five requests each, are all served by one request upstream" {
	job_as fallback
	azsim_knob token_latency_ms=500
	script_job <<-END
		node $BROKER crowd 200 5 "\$MSI_ENDPOINT?$R" "secret:\$MSI_SECRET"
	END
	for how in pid1 plain; do
		azsim_forget
		job_run 0 $how
		assert_equal "$out" 1000
		azsim_assert 1 op=AmlToken
	done
}

# ---- tokens that the job does not ask for

@test "--export-token: in the job's environment and nowhere else, with a warning" {
	job_as managed
	waiting_job
	job_start plain --export-token https://storage.azure.com/=STORAGE_TOKEN \
	    --export-token https://vault.azure.net=VAULT_TOKEN --audit "$BATS_TEST_TMPDIR/audit"
	wait_for 30 test -s "$BATS_TEST_TMPDIR/env"
	assert_in "$(claims_of "$(job_var STORAGE_TOKEN)")" "\"oid\":\"$SECOND_OID\""
	assert_in "$(claims_of "$(job_var VAULT_TOKEN)")" '"aud":"https://vault.azure.net"'
	# init starts the job and never has its tokens.
	assert_equal "$("$TOOLS/memgrep" "$job_pid" "$(job_var STORAGE_TOKEN)")" 0
	[ "$("$TOOLS/memgrep" "$(pgrep -P "$job_pid" -x sh)" "$(job_var STORAGE_TOKEN)")" -gt 0 ]
	touch "$BATS_TEST_TMPDIR/go"
	job_end 0
	assert_in "$err" "the token in STORAGE_TOKEN expires at"
	refute_in "$err" eyJ
	assert_equal "$(audited '"dialect":"variable"' '"outcome":"granted"')" 2
	job_run 0 pid1 --export-token https://storage.azure.com/=STORAGE_TOKEN
	assert_in "$(claims_of "$(job_var STORAGE_TOKEN)")" "\"oid\":\"$SECOND_OID\""
}

claims_of() {
	node -p 'Buffer.from(process.argv[1].split(".")[1], "base64url").toString()' "$1"
}

@test "--export-token: by its variable; without a job spec; not when there is no token" {
	job_as fallback
	run_status 0 env "${job_env[@]}" AMLSHIM_EXPORT_TOKENS='https://storage.azure.com/=A https://vault.azure.net=B' \
	    "$AMLSHIM" -- sh -c 'echo ${#A} ${#B}; env'
	refute_in "$out" AMLSHIM_EXPORT_TOKENS
	[ "$(sed -n '1s/ .*//p' <<<"$out")" -gt 100 ]
	[ "$(sed -n '1s/.* //p' <<<"$out")" -gt 100 ]
	run_status 121 env "${job_env[@]}" "$AMLSHIM" --export-token https://unknown.example=A -- echo ran
	refute_in "$out" ran
	run_status 2 env "${job_env[@]}" "$AMLSHIM" --export-token https://storage.azure.com/ -- echo ran
	assert_in "$err" AUDIENCE=VARIABLE
	run_status 2 env "${job_env[@]}" "$AMLSHIM" --export-token https://storage.azure.com/=1X -- echo ran
}

@test "--token-file: 0600, replaced ahead of expiry, never half, gone at the end" {
	job_as managed
	azsim_knob token_lifetime_s=8
	waiting_job
	mkdir "$BATS_TEST_TMPDIR/tokens"
	for how in pid1 plain; do
		rm -f "$BATS_TEST_TMPDIR/go" "$BATS_TEST_TMPDIR/env"
		job_start $how --token-file "https://storage.azure.com/=$BATS_TEST_TMPDIR/tokens/storage"
		wait_for 30 test -s "$BATS_TEST_TMPDIR/env"
		first=$(cat "$BATS_TEST_TMPDIR/tokens/storage")
		assert_in "$(claims_of "$first")" "\"oid\":\"$SECOND_OID\""
		assert_equal "$(stat -c '%a %u' "$BATS_TEST_TMPDIR/tokens/storage")" "600 0"
		deadline=$((SECONDS + 60))
		now=$first
		while [ "$now" = "$first" ] && [ $SECONDS -lt $deadline ]; do
			looked=$(date +%s)
			now=$(cat "$BATS_TEST_TMPDIR/tokens/storage")
			# It has not expired, whenever one looks (a second of grace for a slow machine).
			node -e 'const c = JSON.parse(Buffer.from(process.argv[1].split(".")[1], "base64url"));
			    process.exit(c.exp + 1 > +process.argv[2] ? 0 : 1)' "$now" "$looked"
		done
		[ "$now" != "$first" ]
		touch "$BATS_TEST_TMPDIR/go"
		job_end 0
		assert_equal "$(ls "$BATS_TEST_TMPDIR/tokens")" ""
	done
}

@test "--token-file: where it cannot be written nothing runs" {
	job_as managed
	script_job <<<"echo ran"
	job_run 125 plain --token-file "https://storage.azure.com/=$BATS_TEST_TMPDIR/none/x"
	assert_in "$err" "$BATS_TEST_TMPDIR/none/x"
	refute_in "$out" ran
	job_left_nothing
}

@test "--token-file: gone as well when the run ends before the job starts; one of somebody else's stays" {
	local how place=$BATS_TEST_TMPDIR/tokens/storage
	job_as managed
	job_credentials="credentials: {tenant_id: $AZSIM_TENANT, client_id: $SECOND_ID, client_secret: some~secret, authority_url: 'https://localhost:$AZSIM_HTTPS_PORT'}"
	job_write <<-END
		command: echo ran
		inputs:
		  data: {type: uri_file, mode: download, path: azureml://datastores/store/paths/in}
	END
	mkdir "$BATS_TEST_TMPDIR/tokens"
	azsim_fault op=EntraToken delay=60000
	for how in pid1 plain; do
		job_start $how --token-file "https://storage.azure.com/=$place"
		wait_for 20 test -s "$place"
		kill -TERM "$job_pid"
		LIMIT=20 job_end 143
		assert_equal "$(ls "$BATS_TEST_TMPDIR/tokens")" ""
	done
	azsim_faults_off
	echo mine >"$place"
	azsim_fault op=AmlToken status=403
	job_run 121 plain --token-file "https://storage.azure.com/=$place"
	assert_equal "$(cat "$place")" mine
	azsim_faults_off
}

# ---- amlshim token

@test "token: on stdout the token and nothing else; whose it is under -v" {
	job_as managed
	job_write <<<"command: 'true'"
	cd "$JOB"
	run_status 0 env "${job_env[@]}" "$AMLSHIM" token --resource https://storage.azure.com/ \
	    --job "$JOB/job.yml" "${job_flags[@]}"
	assert_in "$(claims_of "$out")" "\"oid\":\"$SECOND_OID\""
	silent
	run_status 0 env "${job_env[@]}" "$AMLSHIM" token --resource https://storage.azure.com/ -v --claims \
	    --client-id "$FIRST_ID" "${job_flags[@]}"
	assert_in "$out" "oid $FIRST_OID
appid $FIRST_ID
aud https://storage.azure.com/
exp "
	assert_in "$err" "token of user-assigned identity $FIRST_ID"
	refute_in "$output" eyJ
	run_status 0 env "${job_env[@]}" "$AMLSHIM" token --resource https://vault.azure.net --json "${job_flags[@]}"
	assert_equal "$(node -p 'const t = JSON.parse(process.argv[1]); [t.resource, t.token_type, t.access_token.length > 100, t.expires_on > 1e9].join()' "$out")" \
	    https://vault.azure.net,Bearer,true,true
}

@test "token: what it refuses, and with which status" {
	job_as managed
	run_status 2 env "${job_env[@]}" "$AMLSHIM" token
	assert_in "$err" "--resource URI is missing"
	run_status 2 env "${job_env[@]}" "$AMLSHIM" token --resource https://x --client-id me
	run_status 121 env "${job_env[@]}" "$AMLSHIM" token --resource https://storage.azure.com/ \
	    --client-id "$OUTSIDER_ID" "${job_flags[@]}"
	assert_in "$err" "$OUTSIDER_ID"
	run_status 121 env "${job_env[@]}" "$AMLSHIM" token --resource https://unknown.example "${job_flags[@]}"
	[ -z "$out" ]
}

@test "token: inside a job it finds the broker as any client does" {
	job_as managed
	script_job <<-END
		"$AMLSHIM" token --resource https://storage.azure.com/ --claims
		"$AMLSHIM" token --resource https://storage.azure.com/ --claims --client-id $FIRST_ID
		"$AMLSHIM" token --resource https://storage.azure.com/ --claims --client-id $OUTSIDER_ID
		echo "status \$?"
	END
	for how in pid1 plain; do
		job_run 0 $how --audit "$BATS_TEST_TMPDIR/audit"
		assert_in "$out" "oid $SECOND_OID"
		assert_in "$out" "oid $FIRST_OID"
		assert_in "$out" "status 121"
	done
	assert_equal "$(audited '"comm":"amlshim"' '"outcome":"granted"')" 4
	job_as user
	script_job <<-END
		"$AMLSHIM" token --resource https://storage.azure.com/ --claims
	END
	job_run 0 plain
	assert_in "$out" "oid $USER_OID"
}

@test "token: as PID 1, and ended by a signal while it waits" {
	job_as fallback
	run_status 0 env "${job_env[@]}" "${PID1[@]}" "$AMLSHIM" token --resource https://storage.azure.com/ --claims
	azsim_knob token_latency_ms=20000
	run_status 143 timeout --preserve-status -s TERM 1 env "${job_env[@]}" "$AMLSHIM" token \
	    --resource https://storage.azure.com/
}
