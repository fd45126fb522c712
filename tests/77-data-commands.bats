#!/usr/bin/env bats
# amlshim ls, cat and cp: data as the job has it, as whom the job has it, without running the job.
# bats file_tags=root
# shellcheck disable=SC2086 # addresses, ranges and commands have no blanks, or are meant to be split

load helpers
load lib/jobs

SUB=5ab5c21b-0000-4000-8000-000000000000

setup_file() {
	local store
	jobs_begin azurite --workspace "subscription=$SUB,group=rg,name=ws" \
	    --grant "oid=$FIRST_OID,role=data-scientist,in=ws"
	azsim_ctl POST "/_azsim/plane$(azsim_query kind=datastore in=ws name=keyed type=AzureBlob \
	    "account=$AZSIM_ACCOUNT" container=data "endpoint=localhost:$AZSIM_HTTPS_PORT" credential=AccountKey default=1)" >/dev/null
	in=$BATS_FILE_TMPDIR/in
	mkdir -p "$in/sub/deep" "$BATS_FILE_TMPDIR/many"
	printf 0123456789 >"$in/digits"
	: >"$in/empty"
	echo hello >"$in/sub/hello.txt"
	head -c 20000000 /dev/urandom >"$in/sub/deep/large"
	for i in $(seq 300); do echo "file $i" >"$BATS_FILE_TMPDIR/many/$i"; done
	for store in azsim lake azurite; do
		store_use $store
		store_blob put data "$in"
	done
	store_use azsim
	store_blob put data "$BATS_FILE_TMPDIR/many"
}

teardown_file() {
	jobs_end
}

setup() {
	requires_root
	store_use azsim
	in=$BATS_FILE_TMPDIR/in
	DS=azureml://datastores/store/paths
}

teardown() {
	jobs_cleanup
}

a_job() {
	job_write <<-END
		command: "true"
		inputs:
		  data: {type: uri_folder, path: $DS/in/}
		  one: {type: uri_file, path: $DS/in/digits}
		  number: 7
		outputs:
		  model: {type: uri_folder, path: $DS/out/$BATS_TEST_NUMBER/}
	END
}

# data STATUS [plain|pid1] COMMAND WORD...: amlshim COMMAND WORD..., in the job's environment.
data() {
	local want=$1 how=plain word words=()
	shift
	case $1 in plain | pid1) how=$1; shift ;; esac
	job_command "$how" "${@:2}"
	for word in "${job_words[@]}"; do
		words+=("$word")
		[ "$word" != "$AMLSHIM" ] || words+=("$1")
	done
	run_status "$want" "${words[@]}"
}

@test "ls: inputs, outputs and URIs; folders, files, everything below; on each store" {
	for store in azsim lake azurite; do
		store_use $store
		for who in key managed; do
			case $store$who in azuritemanaged | lakekey) continue ;; esac
			job_as $who
			a_job
			for place in inputs.data '${{inputs.data}}' '${{ inputs.data }}/' $DS/in $DS/in/ \
			    "$STORE_ENDPOINT/data/in"; do
				[ "$who$place" != "key$STORE_ENDPOINT/data/in" ] || continue	# nobody's key
				data 0 ls "$place"
				assert_equal "$(sort <<<"$out")" $'digits\nempty\nsub/'
				silent
			done
		done
	done
	store_use azsim
	job_as managed
	a_job
	data 0 pid1 ls inputs.data/sub
	assert_equal "$out" $'deep/\nhello.txt'
	data 0 ls inputs.data/sub/hello.txt inputs.one
	assert_equal "$out" $'inputs.data/sub/hello.txt:\nhello.txt\ninputs.one:\ndigits'
	data 0 ls -R inputs.data
	assert_equal "$out" $'digits\nempty\nsub/deep/large\nsub/hello.txt'
	data 0 ls inputs.data -l
	assert_in "$out" "            10  20"
	assert_in "$out" "Z  digits"
	data 0 ls $DS/
	assert_in "$out" many/
	data 0 ls -R $DS/many
	assert_equal "$(wc -l <<<"$out")" 300
	data 0 ls --json -R inputs.data
	python3 -c 'import json, sys
found = {e["name"]: e for e in map(json.loads, sys.stdin)}
assert set(found) == {"digits", "empty", "sub/deep/large", "sub/hello.txt"}, found
e = found["sub/deep/large"]
assert e["size"] == 20000000 and e["type"] == "file" and e["modified"].endswith("Z") and e["etag"][0] == chr(34)' <<<"$out"
}

@test "ls: without a job, by datastore files alone, or by the workspace" {
	job_as managed
	a_job
	rm "$JOB/job.yml"
	job_command plain
	env -i PATH="$PATH" "SSL_CERT_FILE=$STORE_CA" "${job_env[@]}" "$AMLSHIM" ls "${job_flags[@]}" \
	    --datastore "$JOB/store.yml" $DS/in >"$BATS_TEST_TMPDIR/out"
	assert_equal "$(cat "$BATS_TEST_TMPDIR/out")" $'digits\nempty\nsub/'
	# Raw addresses need no datastore.
	env -i PATH="$PATH" "SSL_CERT_FILE=$STORE_CA" "${job_env[@]}" "$AMLSHIM" ls "${job_flags[@]}" \
	    "$STORE_ENDPOINT/data/in/sub" >"$BATS_TEST_TMPDIR/out"
	assert_equal "$(cat "$BATS_TEST_TMPDIR/out")" $'deep/\nhello.txt'
	# Nothing but the workspace, which has the account key as well.
	job_as fallback
	a_job
	env -i PATH="$PATH" "SSL_CERT_FILE=$STORE_CA" "${job_env[@]}" \
	    "AMLSHIM_ARM_ENDPOINT=https://localhost:$AZSIM_HTTPS_PORT" \
	    "$AMLSHIM" ls -v --workspace "$SUB/rg/ws" azureml://datastores/keyed/paths/in >"$BATS_TEST_TMPDIR/out" 2>"$BATS_TEST_TMPDIR/err"
	assert_equal "$(cat "$BATS_TEST_TMPDIR/out")" $'digits\nempty\nsub/'
	assert_in "$(cat "$BATS_TEST_TMPDIR/err")" "reached as account key of datastore keyed"
	refute grep -qF "$STORE_KEY" "$BATS_TEST_TMPDIR/err"
}

@test "ls: as whom is said with -v; a failure is the job's, with its remedy and status" {
	job_as managed
	a_job
	data 0 ls -v inputs.data
	assert_in "$err" "reached as managed identity $SECOND_ID (named by the job)"
	refute_in "$err" eyJ
	job_as outsider
	a_job
	data 122 ls inputs.data
	assert_in "$err" "$OUTSIDER_ID"
	assert_in "$err" 'the role "Storage Blob Data Reader"'
	assert_equal "$(wc -l <"$BATS_TEST_TMPDIR/err")" 1
	job_as key
	a_job
	data 120 ls inputs.data/nothing
	assert_in "$err" "nothing"
	# The first failure counts, the other places are listed all the same.
	data 120 ls inputs.data/nothing inputs.one
	assert_in "$out" digits
	job_as managed
	a_job
	job_env=()
	data 121 ls inputs.data
	for bad in inputs.nope outputs.nope inputs.number inputs.one/below /tmp some/path azureml://datastores/other/paths/x; do
		job_as key
		a_job
		data 2 ls $bad
		[ "$(wc -l <"$BATS_TEST_TMPDIR/err")" = 1 ]
	done
	data 2 ls
	# An address with a SAS is refused, and not shown.
	for command in ls cat 'cp -R'; do
		data 2 $command "$STORE_ENDPOINT/data/in?sv=1&sig=hunter2" x
		refute_in "$out$err" hunter2
		[ "$command" = 'cp -R' ] || data 2 $command "https://files.example.org/in?sig=hunter2"
		refute_in "$out$err" hunter2
	done
	amlshim 2 ls inputs.data
	assert_in "$err" "--job names one"
}

@test "cat: bytes, ranges, several; what cannot be read is named" {
	job_as key
	a_job
	data 0 cat inputs.one
	assert_equal "$out" 0123456789
	data 0 pid1 cat inputs.data/sub/deep/large
	cmp "$BATS_TEST_TMPDIR/out" "$in/sub/deep/large"
	data 0 cat inputs.one inputs.data/empty inputs.data/sub/hello.txt
	assert_equal "$out" 0123456789hello
	while read -r range want; do
		data 0 cat --range $range inputs.one
		assert_equal "$out" "$want"
		silent
	done <<-END
		0-0 0
		2-5 2345
		7- 789
		-3 789
		-30 0123456789
		8-100 89
	END
	data 0 cat inputs.data/sub/deep/large --range 4194300-8388700
	tail -c +4194301 "$in/sub/deep/large" | head -c 4194401 | cmp - "$BATS_TEST_TMPDIR/out"
	for range in 5-2 10- x-y - 1; do
		data 2 cat --range $range inputs.one
	done
	data 2 cat inputs.data
	assert_in "$err" "amlshim ls lists it"
	data 120 cat inputs.data/missing
	store_use lake
	job_as managed
	a_job
	data 2 cat inputs.data/sub
	data 0 cat inputs.data/sub/hello.txt
	assert_equal "$out" hello
}

@test "cat and ls: a reader that goes away is no error; a full disk is" {
	job_as key
	a_job
	for command in "cat $DS/in/sub/deep/large" "ls -R $DS/many"; do
		# shellcheck disable=SC2086 # words
		{ status=0; env "SSL_CERT_FILE=$STORE_CA" "$AMLSHIM" $command --datastore "$JOB/store.yml" 2>"$BATS_TEST_TMPDIR/err" ||
		    status=$?; echo $status >"$BATS_TEST_TMPDIR/status"; } | head -c 1 >/dev/null
		[ ! -s "$BATS_TEST_TMPDIR/err" ]
		# What was printed before the reader went may have been all.
		[ "$command" != "cat $DS/in/sub/deep/large" ] || assert_equal "$(cat "$BATS_TEST_TMPDIR/status")" 141
	done
	env "SSL_CERT_FILE=$STORE_CA" "$AMLSHIM" cat $DS/in/sub/deep/large --datastore "$JOB/store.yml" 2>"$BATS_TEST_TMPDIR/err" \
	    >/dev/full && false
	assert_in "$(cat "$BATS_TEST_TMPDIR/err")" "cannot write standard output: No space left on device"
}

# bats test_tags=release
@test "cat: memory stays small beside what is read" {
	job_as key
	a_job
	data 0 cat inputs.data/sub/deep/large
	/usr/bin/env "SSL_CERT_FILE=$STORE_CA" python3 - "$AMLSHIM" cat $DS/in/sub/deep/large $DS/in/sub/deep/large \
	    $DS/in/sub/deep/large $DS/in/sub/deep/large \
	    --datastore "$JOB/store.yml" <<-'END' >"$BATS_TEST_TMPDIR/peak"
		import resource, subprocess, sys
		subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)
		print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
	END
	# 80 MB were read; under the sanitizers it is some 29 MB.
	[ "$(cat "$BATS_TEST_TMPDIR/peak")" -lt 40000 ] || { cat "$BATS_TEST_TMPDIR/peak"; return 1; }
}

@test "cp: a file from a store, by its own name or another, into a folder; as PID 1 too" {
	for how in plain pid1; do
		job_as managed
		a_job
		there=$BATS_TEST_TMPDIR/there-$how
		mkdir "$there"
		data 0 $how cp inputs.data/sub/deep/large "$there"
		cmp "$there/large" "$in/sub/deep/large"
		data 0 $how cp inputs.one "$there/renamed"
		assert_equal "$(cat "$there/renamed")" 0123456789
		data 0 $how cp inputs.data/sub/hello.txt "$there/new/"
		assert_equal "$(cat "$there/new/hello.txt")" hello
		silent
		assert_equal "$(find "$there" -type f | wc -l)" 3
		[ -z "$(job_processes)" ]
	done
	cd "$BATS_TEST_TMPDIR"
	data 0 cp inputs.one here
	assert_equal "$(cat here)" 0123456789
	data 2 cp inputs.data x
	assert_in "$err" "-R copies all"
	data 120 cp inputs.data/missing x
	data 120 cp inputs.data/sub x
	data 2 cp /etc/passwd x
	data 2 cp inputs.one outputs.model
	data 2 cp inputs.one
	refute test -e x
}

@test "cp -R: a folder from a store, and once more what an interruption left" {
	job_as key
	a_job
	data 0 cp -R inputs.data "$BATS_TEST_TMPDIR/copy"
	diff -r "$in" "$BATS_TEST_TMPDIR/copy" | { grep -v 'Only in .*/sub/deep$' || true; }
	cmp "$in/sub/deep/large" "$BATS_TEST_TMPDIR/copy/sub/deep/large"
	# One of the 300 files is slow: the rest is there when it is told to stop.
	azsim_fault op=GetBlob path=/$STORE_ACCOUNT/data/many/177 delay=60000
	job_command plain -R $DS/many "$BATS_TEST_TMPDIR/many"
	words=()
	for word in "${job_words[@]}"; do
		words+=("$word")
		[ "$word" != "$AMLSHIM" ] || words+=(cp)
	done
	"${words[@]}" 2>"$BATS_TEST_TMPDIR/err" 3>&- &
	pid=$!
	all_but_one() { [ "$(find "$BATS_TEST_TMPDIR/many" -type f -name '[0-9]*' | wc -l)" = 299 ]; }
	wait_for 60 all_but_one
	kill -INT $pid
	status=0
	wait $pid || status=$?
	assert_equal $status 130
	azsim_faults_off
	azsim_forget
	data 0 cp -R $DS/many "$BATS_TEST_TMPDIR/many"
	diff -r "$BATS_FILE_TMPDIR/many" "$BATS_TEST_TMPDIR/many"
	[ "$(azsim_count op=GetBlob)" -le 2 ]
}

@test "cp: files and folders to a store; what is here stays here" {
	job_as managed
	a_job
	data 0 cp "$in/digits" outputs.model
	store_has "out/$BATS_TEST_NUMBER/digits" "$in/digits"
	data 0 pid1 cp "$in/digits" outputs.model/other
	store_has "out/$BATS_TEST_NUMBER/other" "$in/digits"
	data 0 cp "$in/sub/deep/large" $DS/out/$BATS_TEST_NUMBER/up/
	store_has "out/$BATS_TEST_NUMBER/up/large" "$in/sub/deep/large"
	data 0 cp -R "$in" outputs.model/tree
	store_has "out/$BATS_TEST_NUMBER/tree/sub/deep/large" "$in/sub/deep/large"
	data 0 ls -R outputs.model/tree
	assert_equal "$out" $'digits\nempty\nsub/deep/large\nsub/hello.txt'
	assert_equal "$(find "$in" -type f | wc -l)" 4
	data 2 cp "$in/digits" "$STORE_ENDPOINT/data/out/$BATS_TEST_NUMBER/raw"	# as an output of a job
	assert_in "$err" "$STORE_ENDPOINT/data/out/$BATS_TEST_NUMBER/raw: an output's path has to name a datastore"
	data 2 cp "$in" outputs.model
	data 125 cp /no/such/file outputs.model
	data 2 cp "$in/digits" inputs.data/x
	job_as reader
	a_job
	data 122 cp "$in/digits" outputs.model
	assert_in "$err" "Storage Blob Data Contributor"
	data 123 cp -R "$in" outputs.model
	assert_in "$err" "Storage Blob Data Contributor"
}

@test "cp: on a terminal it says how far it is" {
	job_as key
	a_job
	printf 'cd %q; export SSL_CERT_FILE=%q\n' "$BATS_TEST_TMPDIR" "$STORE_CA" >"$BATS_TEST_TMPDIR/run"
	printf '%q ' "$AMLSHIM" cp --cache-dir "$JOB/cache" --datastore "$JOB/store.yml" "$in/sub/deep/large" $DS/out/tty/ >>"$BATS_TEST_TMPDIR/run"
	script -qec "sh $BATS_TEST_TMPDIR/run" /dev/null >"$BATS_TEST_TMPDIR/shown" </dev/null
	assert_in "$(cat "$BATS_TEST_TMPDIR/shown")" "upload ["
	store_has out/tty/large "$in/sub/deep/large"
	printf 'export SSL_CERT_FILE=%q\n' "$STORE_CA" >"$BATS_TEST_TMPDIR/run"
	printf '%q ' "$AMLSHIM" cp --cache-dir "$JOB/cache" --datastore "$JOB/store.yml" -R $DS/many "$BATS_TEST_TMPDIR/many" >>"$BATS_TEST_TMPDIR/run"
	script -qec "sh $BATS_TEST_TMPDIR/run" /dev/null >"$BATS_TEST_TMPDIR/shown" </dev/null
	assert_in "$(cat "$BATS_TEST_TMPDIR/shown")" "download ["
	assert_in "$(cat "$BATS_TEST_TMPDIR/shown")" "300/300 files"
	data 0 cp -R $DS/many "$BATS_TEST_TMPDIR/again"
	silent
}

@test "cp: what it says with -v is JSON, and no secret; a public address is asked without a credential" {
	job_as key
	a_job
	data 0 cp -R -vv --log-format json $DS/many "$BATS_TEST_TMPDIR/many"
	refute_in "$err" "$STORE_KEY"
	python3 -c 'import json, sys; assert len([json.loads(l) for l in sys.stdin]) > 3' <"$BATS_TEST_TMPDIR/err"
	# A proxy is asked for addresses that no name service knows.
	cat >"$BATS_TEST_TMPDIR/proxy.py" <<-'END'
		import http.server, sys
		class Handler(http.server.BaseHTTPRequestHandler):
		    def do_GET(self):
		        self.send_response(500 if "authorization" in self.headers else 200)
		        self.send_header("Content-Length", "7")
		        self.end_headers()
		        self.wfile.write(b"public\n")
		server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
		open(sys.argv[1], "w").write(str(server.server_port))
		server.serve_forever()
	END
	python3 "$BATS_TEST_TMPDIR/proxy.py" "$BATS_TEST_TMPDIR/port" 2>/dev/null 3>&- &
	proxy=$!
	wait_for 30 test -s "$BATS_TEST_TMPDIR/port"
	job_env+=("http_proxy=http://127.0.0.1:$(cat "$BATS_TEST_TMPDIR/port")")
	data 0 cp http://files.example.org/page.txt "$BATS_TEST_TMPDIR/page"
	assert_equal "$(cat "$BATS_TEST_TMPDIR/page")" public
	data 2 cat http://files.example.org/page.txt
	assert_in "$err" "(cp)"
	kill $proxy
	wait $proxy || true
}
