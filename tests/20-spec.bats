#!/usr/bin/env bats
# What may stand in a job, a datastore and a compute, and what is said about what may not: status 2,
# one line, FILE:LINE:COLUMN, the field, the cause.  No network, no privilege.

# shellcheck disable=SC2016,SC2154 # ${{...}} is not the shell's; helpers set $out and $err

load helpers

setup() {
	DATA=$BATS_TEST_DIRNAME/data/spec
	CLIENT=00000000-1111-2222-3333-444444444444
	unset "${!AMLSHIM_@}" "${!AZUREML_@}" MSI_ENDPOINT MSI_SECRET OBO_ENDPOINT IDENTITY_ENDPOINT IDENTITY_HEADER
	cd "$BATS_TEST_TMPDIR" || return 1
}

# refuse PLACE FIELD CAUSE -- ARG...: plan says "FILE:LINE:COLUMN: FIELD: CAUSE" in one line.
refuse() {
	local place=$1 field=$2 cause=$3
	shift 4
	amlshim 2 plan "$@" </dev/null || return 1
	assert_in "$err" " $place: ${field:+$field: }$cause" || return 1
	assert_equal "$(wc -l <"$BATS_TEST_TMPDIR/err")" 1 || return 1
	assert_equal "$out" ""
}

# job, datastore, compute LINE:COLUMN FIELD CAUSE [ARG...]: the text on stdin is refused.
job() {
	local at=$1 field=$2 cause=$3
	shift 3
	cat >bad.yml
	refuse "bad.yml:$at" "$field" "$cause" -- --job bad.yml "$@"
}

datastore() {
	cat >bad.yml
	echo 'command: "true"' >job.yml
	refuse "bad.yml:$1" "$2" "$3" -- --job job.yml --datastore bad.yml
}

compute() {
	cat >bad.yml
	echo 'command: "true"' >job.yml
	refuse "bad.yml:$1" "$2" "$3" -- --job job.yml --compute bad.yml
}

@test "spec: a command job with its datastores is read without a remark" {
	amlshim 0 plan --job "$DATA/job.yml" --datastore "$DATA/datastores.yml" --compute "$DATA/compute.yml"
	assert_equal "$err" ""
	assert_in "$out" images/2024
}

@test "spec: the same job as one line of JSON, datastores inline" {
	amlshim 0 plan --job '{"type": "command", "command": "echo ${{inputs.n}}", "inputs": {"n": 1}}' \
		--datastore "$(cat "$DATA/datastores.yml")" --compute none
	assert_equal "$err" ""
}

@test "spec: the job may come from standard input" {
	run_status 0 "$AMLSHIM" plan --job - --compute none <<<'command: echo from stdin'
	assert_in "$out" "from stdin"
	status=0
	run_status 2 "$AMLSHIM" plan --job - <<<'command: [echo]'
	assert_in "$err" "stdin:1:10: command: expected a string, got a list"
}

@test "spec: ARM's JSON of a job and of datastores" {
	amlshim 0 plan --job "$DATA/job-arm.json" --datastore "$DATA/datastores-arm.json" --compute system_assigned
	assert_equal "$err" ""
	assert_in "$out" hello
}

@test "spec: steps of a pipeline, with bindings to its inputs and to another step" {
	for step in prepare train; do
		amlshim 0 plan --job "$DATA/pipeline.yml" --step "$step" --datastore "$DATA/datastores.yml" --compute none
		assert_equal "$err" ""
	done
	amlshim 0 plan --job "$DATA/pipeline.yml" --step prepare --datastore "$DATA/datastores.yml" --compute none
	assert_in "$out" rate-0.1
}

@test "spec: an online deployment" {
	amlshim 0 plan --job "$DATA/deployment.yml" -- /score
	assert_equal "$err" ""
}

@test "spec: a directory of datastores" {
	mkdir stores
	cp "$DATA/datastores.yml" stores/all.yaml
	echo "not read" >stores/README.txt
	amlshim 0 plan --job "$DATA/job.yml" --datastore stores --compute none
}

@test "spec: an unknown field is a warning that names the nearest, a known one is silent" {
	amlshim 0 plan --job '{"comand": "a", "command": "true", "tags": {}}' --compute none
	assert_in "$err" 'inline job:1:2: unknown field "comand" (did you mean "command"?)'
	refute_in "$err" tags
	amlshim 0 plan -v --job '{"command": "true", "tags": {}}' --compute none
	assert_in "$err" 'inline job:1:21: field "tags" is not used'
}

@test "refused: text that is no YAML" {
	job 2:1 "" "found a tab character that violates indentation" < <(printf 'command: a\n\tb: c\n')
	job 3:2 "" "did not find expected key" <<'END'
inputs:
  a: 1
 b: 2
END
	job 2:1 "" "did not find expected ',' or ']'" <<<'inputs: [1, 2'
	job 2:1 "" "found unexpected end of stream" <<<'command: "never ends'
	job 1:10 "" "not a text: invalid leading UTF-8 octet" < <(printf 'command: \xff\n')
	job 1:10 "" "a NUL character in a string" <<<'command: "a\0b"'
	job 1:1 "" "the text is empty: expected a job" </dev/null
	job 3:1 "" "a second document: a file holds one job" <<'END'
command: a
---
command: b
END
	job 1:1 "" "expected a job (an object), got a list" <<<'- command: a'
	job 1:7 "" "the tag !python/name:os.system does not fit here" <<<'name: !python/name:os.system x'
	job 1:3 "" "a key must be a word, got a list" <<<'? [a, b]'
	job 1:10 "" "no anchor &x before this alias" <<<'command: *x'
	job 1:13 "" "the alias *a stands for what contains it" <<<'inputs: &a [*a]'
	job 1:72 "" "nested more than 64 deep" <<<"inputs: $(printf '[%.0s' {1..100})"
}

@test "refused: keys that stand twice, aliases that grow" {
	job 3:1 command "the key stands twice in one object, first in line 1" <<'END'
command: a
name: b
command: c
END
	job 4:3 DATA "the key stands twice in one object, first in line 3" <<'END'
command: a
environment_variables:
  DATA: 1
  DATA: 2
END
	{
		echo 'a0: &a0 [x, x, x, x, x, x, x, x, x, x]'
		for i in {1..9}; do
			p="*a$((i - 1))"
			echo "a$i: &a$i [$p, $p, $p, $p, $p, $p, $p, $p, $p, $p]"
		done
	} >laughs.yml
	refuse laughs.yml:5:5 "" "the text has more than 200000 values" -- --job laughs.yml
	head -c 4194305 /dev/zero | tr '\0' '\n' >big.yml
	amlshim 2 plan --job big.yml
	assert_in "$err" "big.yml: it has more than 4194304 bytes"
}

@test "refused: fields of a job" {
	job 1:10 command "expected a string, got a list" <<<'command: [python, train.py]'
	job 1:10 command "expected a string, got an integer (quote it)" <<<'command: 42'
	job 1:10 command "expected a string, got an empty one" <<<'command: ""'
	job 1:7 type "a sweep job cannot be run here" <<<'type: sweep'
	job 1:7 type "a spark job cannot be run here" <<<'type: spark'
	job 1:7 type 'expected command or pipeline, got "commnad"' <<<'type: commnad'
	job 1:7 code "expected a string, got an object" <<<'code: {path: ./src}'
	job 1:10 compute "expected a string, got an integer (quote it)" <<<'compute: 5'
	job 1:24 environment_variables "expected an object, got a list" <<<'environment_variables: [A=1]'
	job 3:5 environment_variables.A "expected text, a number or a boolean, got a list" <<'END'
environment_variables:
  A:
    - 1
END
	job 2:3 environment_variables.A=B "the name of a variable is not empty and has no '='" <<'END'
environment_variables:
  A=B: 1
END
	job 2:4 environment_variables.A "expected text, got null" <<'END'
environment_variables:
 A:
END
	job 1:9 limits "expected an object, got an integer" <<<'limits: 60'
	job 2:12 limits.timeout "expected a number of seconds, got a string" <<'END'
limits:
  timeout: 1h
END
	job 1:19 limits.timeout "expected a number of seconds from 1 to ten years" <<<'limits: {timeout: -5}'
}

@test "refused: inputs and outputs" {
	job 1:9 inputs "expected an object, got a list" <<<'inputs: [a]'
	job 2:3 inputs.my-data "a name has letters, digits and underscores only" <<'END'
inputs:
  my-data: 1
END
	job 3:5 inputs.data.path "this field is required and missing" <<'END'
inputs:
  data:
    type: uri_folder
    mode: download
END
	job 4:11 inputs.data.mode "upload is not a mode of an input of type uri_folder; it may be: ro_mount, download, direct" <<'END'
inputs:
  data:
    path: azureml://datastores/ds/paths/x
    mode: upload
END
	job 1:46 inputs.t.mode "rw_mount is not a mode of an input of type mltable; it may be: ro_mount, download, direct, eval_mount, eval_download" \
		<<<'inputs: {t: {path: ./x, type: mltable, mode: rw_mount}}'
	job 1:20 inputs.a.mode 'expected ro_mount, download, direct, eval_mount or eval_download, got "ro-mount"' \
		<<<'inputs: {a: {mode: ro-mount, path: ./x}}'
	job 1:20 inputs.a.type "expected uri_folder, uri_file, mltable" <<<'inputs: {a: {type: folder, path: ./x}}'
	job 1:20 inputs.a.path "expected a string, got a list" <<<'inputs: {a: {path: [./x]}}'
	job 1:20 inputs.a.path '"gs://b/x": this scheme is not supported' <<<'inputs: {a: {path: "gs://b/x"}}'
	job 1:20 inputs.a.path '"azureml://datastores/ds/x": expected /paths/ after the datastore' \
		<<<'inputs: {a: {path: "azureml://datastores/ds/x"}}'
	job 1:20 inputs.a.path '"azureml://datastores/ds/paths/a/../b": the path has a segment "." or ".."' \
		<<<'inputs: {a: {path: "azureml://datastores/ds/paths/a/../b"}}'
	job 1:33 inputs.a.optional "expected true or false, got a string" <<<'inputs: {a: {path: x, optional: maybe}}'
	job 1:13 inputs.a "expected a value or an object, got null" <<<'inputs: {a: }'
	job 1:13 inputs.a '${{parent...}} stands only in the steps of a pipeline' <<<'inputs: {a: "${{parent.inputs.a}}"}'
	job 1:40 inputs.a.path_on_compute "expected an absolute path below /" \
		<<<'inputs: {a: {path: x, path_on_compute: "file:data"}}'
	job 1:14 outputs.o "expected an object or null, got a string" <<<'outputs: {o: model}'
	job 1:21 outputs.o.mode "download is not a mode of an output of type uri_folder; it may be: rw_mount, upload, direct" \
		<<<'outputs: {o: {mode: download}}'
	job 1:21 outputs.o.path "the path of an output must be azureml://datastores/NAME/paths/PATH" \
		<<<'outputs: {o: {path: "wasbs://c@a.blob.core.windows.net/x"}}'
}

@test "refused: identities" {
	job 1:11 identity "expected an object, got a string" <<<'identity: user_identity'
	job 1:11 identity.type "this field is required and missing" <<<"identity: {client_id: $CLIENT}"
	job 1:18 identity.type 'expected user_identity, managed or aml_token, got "system_assigned"' \
		<<<'identity: {type: system_assigned}'
	job 3:14 identity.client_id "expected a GUID" <<'END'
identity:
  type: managed
  client_id: my-identity
END
	job 2:3 identity "at most one of client_id, object_id and resource_id names an identity" <<END
identity:
  type: managed
  client_id: $CLIENT
  resource_id: /subscriptions/s/x
END
	job 1:29 identity.msi_resource_id "expected a resource id that starts with /subscriptions/" \
		<<<'identity: {msi_resource_id: my-identity, type: managed}'
	job 1:11 identity "aml_token takes no client_id, object_id or resource_id" \
		<<<"identity: {type: aml_token, client_id: $CLIENT}"
}

@test "refused: pipelines and steps" {
	job 3:3 jobs "this is a pipeline: name one of its steps with --step; it has: a, b" <<'END'
type: pipeline
jobs:
  a: {command: a}
  b: {command: b}
END
	job 1:7 jobs "the pipeline has no step of that name; it has: a" --step b <<<'jobs: {a: {command: a}}'
	job 1:1 "" "--step names a step, but this is no pipeline" --step b <<<'command: a'
	job 1:1 jobs "this field is required and missing" --step b <<<'type: pipeline'
	job 1:18 jobs.b.type "a parallel job cannot be run here" --step b <<<'jobs: {b: {type: parallel}}'
	job 4:17 jobs.b.inputs.x "the pipeline has no input named y" --step b <<'END'
jobs:
  b:
    command: c
    inputs: {x: "${{parent.inputs.y}}"}
END
	job 3:17 jobs.b.inputs.x "step a has no output o with a path in this file" --step b <<'END'
jobs:
  b:
    inputs: {x: "${{parent.jobs.a.outputs.o}}"}
  a: {outputs: {o: }}
END
	job 1:34 jobs.b.jobs "this step is a pipeline: name one of its steps; it has: b.leaf" --step b \
		<<<'jobs: {b: {type: pipeline, jobs: {leaf: {command: x}}}}'
}

@test "refused: datastores" {
	datastore 1:1 name "this field is required and missing" <<<'type: azure_blob'
	datastore 1:1 type "this field is required and missing" <<<'name: ds'
	datastore 2:7 type 'expected azure_blob, azure_data_lake_gen2, azure_data_lake_gen1, azure_file or one_lake, got "s3"' <<'END'
name: ds
type: s3
END
	datastore 3:15 account_name "expected the name of a storage account" <<'END'
name: ds
type: azure_blob
account_name: My-Account
container_name: data
END
	datastore 4:17 container_name "expected the name of a container" <<'END'
name: ds
type: azure_blob
account_name: account
container_name: My_Data
END
	datastore 1:1 filesystem "this field is required and missing" <<'END'
name: ds
type: azure_data_lake_gen2
account_name: account
container_name: data
END
	datastore 5:11 endpoint "expected a host such as core.windows.net, got a URL" <<'END'
name: ds
type: azure_blob
account_name: account
container_name: data
endpoint: https://account.blob.core.windows.net
END
	datastore 5:11 protocol "http is for an emulator" <<'END'
name: ds
type: azure_blob
account_name: account
container_name: data
protocol: http
END
	datastore 2:5 name 'datastore "ds" is described twice, first at bad.yml:1:1' <<'END'
{name: ds, type: azure_blob, account_name: account, container_name: data}
--- {name: ds, type: azure_blob, account_name: account, container_name: data}
END
}

@test "refused: credentials, and their text is never shown" {
	bad_credentials() {
		local at=$1 field=$2 cause=$3 credentials=$4
		datastore "$at" "credentials.$field" "$cause" <<END
name: ds
type: ${5:-azure_blob}
account_name: account
container_name: data
filesystem: data
credentials: $credentials
END
		refute_in "$output" SECRET
	}
	bad_credentials 6:28 account_key "expected the base64 text of an account key" '{account_key: "SECRET!"}'
	bad_credentials 6:28 account_key "expected a string, or {key_vault_secret: URL}, got a list" '{account_key: [SECRET]}'
	bad_credentials 6:26 sas_token "this is no SAS: it has no sig=" '{sas_token: "?sv=SECRET"}'
	bad_credentials 6:49 sas_token "a datastore has one credential, here is account_key as well" \
		'{account_key: U0VDUkVU, sas_token: "sig=SECRET"}'
	bad_credentials 6:14 client_secret "this field is required and missing" \
		"{tenant_id: t.com, client_id: $CLIENT}" azure_data_lake_gen2
	bad_credentials 6:67 client_id "expected a GUID" \
		'{client_secret: SECRET, tenant_id: t.com, client_id: SECRET}' azure_data_lake_gen2
}

@test "refused: computes" {
	compute 1:7 type 'expected amlcompute, computeinstance, kubernetes or serverless, got "vm"' <<<'type: vm'
	compute 1:18 identity.type 'expected system_assigned, user_assigned, both with a comma, or none' \
		<<<'identity: {type: managed}'
	compute 1:11 identity.user_assigned_identities "this field is required and missing" \
		<<<'identity: {type: user_assigned}'
	compute 4:18 'identity.user_assigned_identities[0].client_id' "expected a GUID" <<'END'
identity:
  type: user_assigned
  user_assigned_identities:
    - client_id: reader
END
}

@test "refused: files that are not there" {
	amlshim 2 plan --job none.yml
	assert_in "$err" "none.yml: No such file or directory"
	mkdir empty
	amlshim 2 plan --job '{command: "true"}' --datastore empty
	assert_in "$err" "empty: no file *.yml, *.yaml or *.json in this directory"
	amlshim 2 plan --job '{command: "true"}' --compute none-such
	assert_in "$err" "none-such: No such file or directory"
}
