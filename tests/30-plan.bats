#!/usr/bin/env bats
# The plan: each case is a folder of golden/ (job.yml, args, env) with what `amlshim plan` has to say
# about it (plan.txt, plan.json, error.txt).  scripts/golden-update.sh rewrites those for review.

bats_require_minimum_version 1.5.0

setup() {
	AMLSHIM=$(readlink -f "${AMLSHIM:-$BATS_TEST_DIRNAME/../build/amlshim}")
	export AMLSHIM
}

# Compares one stream of a case with its file; no file: there must be nothing.
same() { # CASE FILE FLAG...
	local case=$1 file=$2
	shift 2
	"$BATS_TEST_DIRNAME/golden/run.sh" "$case" "$file" "$@" >"$BATS_TEST_TMPDIR/$file"
	if [ -e "$BATS_TEST_DIRNAME/golden/$case/$file" ]; then
		diff -u "$BATS_TEST_DIRNAME/golden/$case/$file" "$BATS_TEST_TMPDIR/$file"
	else
		[ ! -s "$BATS_TEST_TMPDIR/$file" ] || { cat "$BATS_TEST_TMPDIR/$file"; return 1; }
	fi
}

golden() { # CASE
	[ -e "$BATS_TEST_DIRNAME/golden/$1/plan.txt" ] ||
	    [ -e "$BATS_TEST_DIRNAME/golden/$1/error.txt" ]
	same "$1" plan.txt
	same "$1" error.txt
	[ ! -e "$BATS_TEST_DIRNAME/golden/$1/plan.json" ] || same "$1" plan.json
}

@test "plan: credentials stored with a datastore serve it, whatever kind they are" {
	golden cached-kinds
}

@test "plan: credentials stored with a datastore win over the user's identity, with a warning" {
	golden cached-beats-user
}

@test "plan: credentials stored with a datastore win over a managed identity" {
	golden cached-beats-managed
}

@test "plan: user_identity reads as the submitter, although the compute has an identity" {
	golden user
}

@test "plan: an online deployment: its model, its server's variables, its probes" {
	golden deployment
	golden deployment-bare
}

@test "plan: user_identity works on serverless compute" {
	golden user-serverless
}

@test "plan: user_identity without on-behalf-of endpoint is an error, not the compute's identity" {
	golden user-no-obo
}

@test "plan: user_identity on Kubernetes compute is an error that says so" {
	golden user-kubernetes
}

@test "plan: user_identity on a compute instance is an error that says so" {
	golden user-instance
}

@test "plan: a managed identity named by client id is used if the compute has it" {
	golden managed-client-id
}

@test "plan: a managed identity named by object id is asked for by its client id" {
	golden managed-object-id
}

@test "plan: a managed identity named by resource id keeps it where the endpoint takes it" {
	golden managed-resource-id
}

@test "plan: a resource id that cannot be translated is an error at the Azure ML endpoint" {
	golden managed-resource-id-aml
}

@test "plan: a named identity that the compute lacks is an error that lists those it has" {
	golden managed-not-assigned
}

@test "plan: a named identity on a compute with a system-assigned one is an error" {
	golden managed-not-system
}

@test "plan: the system-assigned identity can be named by its client id" {
	golden managed-system-by-id
}

@test "plan: managed without a name is the system-assigned identity" {
	golden managed-unnamed-system
}

@test "plan: managed without a name is the one user-assigned identity" {
	golden managed-unnamed-one
}

@test "plan: managed without a name is the first of several" {
	golden managed-unnamed-two
}

@test "plan: managed on a compute without identity is an error" {
	golden managed-none
}

@test "plan: aml_token falls to the system-assigned identity for storage, with a warning" {
	golden token-system
}

@test "plan: aml_token falls to the first user-assigned identity for storage, with a warning" {
	golden token-two
}

@test "plan: aml_token on Kubernetes compute falls to its identity, with a warning" {
	golden token-kubernetes
}

@test "plan: aml_token on an unknown compute falls to its default identity, with a warning" {
	golden token-unknown
}

@test "plan: aml_token on a compute without identity is an error" {
	golden token-none
}

@test "plan: without identity in the job the system-assigned one is the fallback" {
	golden none-system
}

@test "plan: without identity in the job the user-assigned one is the fallback" {
	golden none-one
}

@test "plan: without identity in the job the first user-assigned one is the fallback" {
	golden none-two
}

@test "plan: DEFAULT_IDENTITY_CLIENT_ID says which one is the first" {
	golden none-two-default
}

@test "plan: DEFAULT_IDENTITY_CLIENT_ID gives the client id that a description lacks" {
	golden none-bare-default
}

@test "plan: a default identity whose client id nobody knows is an error at the Azure ML endpoint" {
	golden none-bare-aml
}

@test "plan: no identity anywhere is an error that says what to assign" {
	golden none-none
}

@test "plan: a compute with both kinds of identity is an error" {
	golden compute-both
}

@test "plan: Kubernetes compute with two identities is an error" {
	golden kubernetes-two
}

@test "plan: DEFAULT_IDENTITY_CLIENT_ID that is no GUID is not used, with a warning" {
	golden default-word
}

@test "plan: DEFAULT_IDENTITY_CLIENT_ID that the compute does not list is not followed, with a warning" {
	golden default-unlisted
}

@test "plan: Kubernetes compute is asked without client id" {
	golden kubernetes
}

@test "plan: Kubernetes compute is asked without client id, named or not" {
	golden kubernetes-named
}

@test "plan: an unknown compute without endpoint is asked for its default identity" {
	golden unknown-nothing
}

@test "plan: an unknown compute with an endpoint is asked for DEFAULT_IDENTITY_CLIENT_ID" {
	golden unknown-endpoint
}

@test "plan: an Arc machine is asked for its system-assigned identity" {
	golden arc
}

@test "plan: an Arc machine is known by its agent on disk, too" {
	golden arc-himds
}

@test "plan: an identity cannot be named to the Arc agent" {
	golden arc-named
}

@test "plan: Service Fabric comes before all others" {
	golden service-fabric
}

@test "plan: MSI_ENDPOINT without MSI_SECRET is Cloud Shell, and takes no client id" {
	golden cloud-shell
}

@test "plan: Cloud Shell is asked without client id, whatever the compute's description lists" {
	golden cloud-shell-assigned
}

@test "plan: aml_token falls to the one identity of an endpoint that takes no client id, with a warning" {
	golden cloud-shell-token
}

@test "plan: workload identity is the identity of AZURE_CLIENT_ID" {
	golden workload
}

@test "plan: workload identity takes client ids only" {
	golden workload-resource-id
}

@test "plan: a named identity on an unknown compute is used, unchecked" {
	golden unknown-named
}

@test "plan: a resource id on an unknown compute is an error at the Azure ML endpoint" {
	golden unknown-resource-id-aml
}

@test "plan: an online endpoint's own identity is its default" {
	golden online-endpoint
}

@test "plan: an online endpoint described as system_assigned needs no client id" {
	golden online-endpoint-system
}

@test "plan: a compute can be given as client ids" {
	golden compute-short
}

@test "plan: serverless compute without a named identity is an error" {
	golden serverless-unnamed
}

@test "plan: serverless compute uses the workspace's identity that is named" {
	golden serverless-named
}

@test "plan: a compute instance whose client id is not known brings a warning" {
	golden instance-system
}

@test "plan: the identity of a pipeline's step wins over that of the root" {
	golden pipeline-step-wins
}

@test "plan: the identity of the root serves a pipeline of plain steps" {
	golden pipeline-root
}

@test "plan: the identity of the root has no effect beside a pipeline component, with a warning" {
	golden pipeline-root-ignored
}

@test "plan: a token is never sent over plain HTTP" {
	golden http-bearer
}

@test "plan: an account key signs plain HTTP towards this machine" {
	golden http-key
}

@test "plan: an endpoint that is an address takes the account in the path" {
	golden endpoint-local
}

@test "plan: US Government: its storage, its authority, raw URIs of it" {
	golden cloud-usgov
}

@test "plan: China, by flag, which wins over the platform's variable" {
	golden cloud-china
}

@test "plan: a cloud of one's own, from a file" {
	golden cloud-custom
}

@test "plan: a cloud's file that is wrong is an error that names file and member" {
	golden cloud-custom-bad
}

@test "plan: a platform's cloud that nobody describes is an error, not the public cloud" {
	golden cloud-unknown
}

@test "plan: --cloud with neither a name nor a file is an error that lists the names" {
	golden cloud-no-file
}

@test "plan: a host that is no storage of any known cloud gets no token" {
	golden cloud-stranger
}

@test "plan: an adl host that is no store of a known cloud gets no token" {
	golden stranger-adl
}

@test "plan: an abfss host that is no storage of any known cloud gets no token" {
	golden stranger-hadoop
}

@test "plan: a datastore's secret in a Key Vault is read as the compute, also under user_identity" {
	golden key-vault-user
}

@test "plan: ADLS Gen1 in a cloud that never had it is an error that says so" {
	golden cloud-gen1
}

@test "plan: ADLS Gen1 is planned, and its retirement is named" {
	golden gen1
}

@test "plan: a raw adl URI likewise" {
	golden gen1-uri
}

@test "plan: ADLS Gen1 on this machine is planned" {
	golden gen1-local
}

@test "plan: a file share without credentials is an error: identity-based access does not have it" {
	golden file-share
}

@test "plan: a file share with a key is an error: it has a protocol of its own" {
	golden file-share-key
}

@test "plan: OneLake is read and written below its item's managed folders" {
	golden onelake
}

@test "plan: an output next to OneLake's managed folders is an error" {
	golden onelake-item
}

@test "plan: an unknown datastore is an error that lists those described" {
	golden datastore-unknown
}

@test "plan: a data asset is an error that says what to name in its place" {
	golden asset
}

@test "plan: a public address that is no file can only be passed" {
	golden https-mount
}

@test "plan: a public file is downloaded, as nobody, and the query of its address is not shown" {
	golden public
	run grep SECRET "$BATS_TEST_DIRNAME"/golden/public/plan.*
	[ "$status" -eq 1 ]
}

@test "plan: raw URIs, direct mode and local paths" {
	golden uris
}

@test "plan: outputs: default location, upload, files, places of one's own" {
	golden outputs
}

@test "plan: an output without path needs a default datastore" {
	golden output-no-default
}

@test "plan: an output must not name a storage account" {
	golden output-raw
}

@test "plan: two inputs in one place are an error" {
	golden same-place
}

@test "plan: an MLTable is mounted unevaluated, with a warning" {
	golden eval-mltable
}

@test "plan: eval modes are for MLTables only" {
	golden eval-folder
}

@test "plan: a mount without FUSE is an error that says how to give it" {
	golden fuse-missing
}

@test "plan: a mount without the privilege is an error that says how to give it" {
	golden fuse-forbidden
}

@test "plan: without FUSE mounts become copies if that is wanted, with a warning" {
	golden fuse-copy
}

@test "plan: a command of words is executed without a shell" {
	golden command-words
}

@test "plan: a command with shell syntax goes through bash" {
	golden command-shell
}

@test "plan: a command that needs a shell is an error where there is none" {
	golden command-no-shell
}

@test "plan: an unknown input in the command is an error that lists those there are" {
	golden command-unknown-input
}

@test "plan: a job without command needs one behind --" {
	golden command-none
}

@test "plan: a command behind -- is used, expanded, and the job's is not" {
	golden command-given
}

@test "plan: environment variables are expanded, and what looks like a secret is hidden" {
	golden variables
}

@test "plan: a job without data still offers tokens to its code" {
	golden no-data
}

@test "plan: a user_identity job without data and endpoint gives its code no tokens, with a warning" {
	golden no-data-user-no-obo
}

@test "plan: every golden case has its test" {
	local job case
	for job in "$BATS_TEST_DIRNAME"/golden/*/job.yml; do
		case=$(basename "$(dirname "$job")")
		grep -qx "	golden $case" "$BATS_TEST_FILENAME" || { echo "$case"; return 1; }
	done
}

@test "plan: every row and rule is in the table of docs/IDENTITY.md, with cases that show it" {
	local page=$BATS_TEST_DIRNAME/../docs/IDENTITY.md rule cases case
	local -A listed=()
	while IFS='|' read -r _ rule cases _; do
		rule=${rule//[\` ]/}
		listed[$rule]=1
		[ -n "${cases// /}" ] || { echo "$rule: no case"; return 1; }
		for case in ${cases//[\`,]/ }; do
			if [[ $case == tests/* ]]; then
				grep -q "\"$rule\"" "$BATS_TEST_DIRNAME/../$case" || { echo "$case: $rule"; return 1; }
				continue
			fi
			[ -e "$BATS_TEST_DIRNAME/golden/$case/job.yml" ] || { echo "$case"; return 1; }
			[ ! -e "$BATS_TEST_DIRNAME/golden/$case/plan.txt" ] ||
			    tr -d '\n' <"$BATS_TEST_DIRNAME/golden/$case/plan.txt" | grep -qF "[$rule]" ||
			    { echo "$case does not show $rule"; return 1; }
		done
	done < <(sed -n '/^## Rules and their cases/,/^## [^R]/s/^| `/|`/p' "$page")
	while read -r rule; do
		[ -n "${listed[$rule]:-}" ] || { echo "$rule is not listed"; return 1; }
	done < <(sed -nE 's/^\t\{ \{ "([a-z0-9-]+)".*/\1/p; s/.*deciding_(warn|note)\(d, "([a-z0-9-]+)".*/\2/p
	    s/.*warning\.rule = "([a-z0-9-]+)".*/\1/p' "$BATS_TEST_DIRNAME"/../shim/plan/*.c | sort -u)
	[ "${#listed[@]}" -gt 50 ]
}

@test "plan: JSON is one value, and holds no secret of any case" {
	local job case out
	for job in "$BATS_TEST_DIRNAME"/golden/*/job.yml; do
		case=$(basename "$(dirname "$job")")
		[ -e "$BATS_TEST_DIRNAME/golden/$case/plan.txt" ] || continue
		out=$("$BATS_TEST_DIRNAME/golden/run.sh" "$case" plan.json)
		python3 -c 'import json, sys; json.load(sys.stdin)' <<<"$out"
		out+=$("$BATS_TEST_DIRNAME/golden/run.sh" "$case" plan.txt)
		if grep -E 'not-a-real|bm90' <<<"$out"; then
			echo "$case"
			return 1
		fi
	done
}

@test "plan: without a job file there is nothing to plan" {
	run -2 "$AMLSHIM" plan
	[[ $output == *"no command"* ]]
}

# bats test_tags=root
@test "plan: what this machine has is seen by itself: memory of the container, FUSE, the right to mount" {
	[ "$(id -u)" = 0 ] || skip "needs root"
	local blank=(env -i unshare --mount --propagation private sh -c)
	cat >"$BATS_TEST_TMPDIR/job.yml" <<-'END'
		type: command
		command: train
		inputs: {d: {path: "https://acct.blob.core.windows.net/box/p/"}}
	END
	cd "$BATS_TEST_TMPDIR"
	run -0 "${blank[@]}" 'mount -t tmpfs none /sys/fs/cgroup && echo 209715200 >/sys/fs/cgroup/memory.max && exec "$0" "$@"' \
	    "$AMLSHIM" plan --job job.yml
	[[ $output == *"memory     50 MiB"* ]]
	run -0 "${blank[@]}" 'mount -t tmpfs none /sys/fs/cgroup && mkdir /sys/fs/cgroup/memory &&
	    echo 104857600 >/sys/fs/cgroup/memory/memory.limit_in_bytes && exec "$0" "$@"' "$AMLSHIM" plan --job job.yml
	[[ $output == *"memory     25 MiB"* ]]
	run -125 "${blank[@]}" 'mount -t tmpfs none /dev && exec "$0" "$@"' "$AMLSHIM" plan --job job.yml
	[[ $output == *"/dev/fuse cannot be opened"* ]]
	run -125 "${blank[@]}" 'mount -t tmpfs none /dev && mknod -m 600 /dev/fuse c 10 229 && exec setpriv --reuid 65534 \
	    --regid 65534 --clear-groups "$0" "$@"' "$AMLSHIM" plan --job job.yml
	[[ $output == *"/dev/fuse is not open to this user"* ]]
}
