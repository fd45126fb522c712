#!/usr/bin/env bats
# What a newcomer sees: the README's quick start is run in order, as written, in a fresh copy; the snippets and
# manifests of the documents are built and run; links lead somewhere; pictures are what the program prints.
# bats file_tags=root, release

load helpers
load lib/jobs
load lib/images

PAGES='README.md docs/*.md docs/decisions/*.md'
QUICK_START_S=300	# what the README says, after the libraries are built

setup_file() {
	[ "$(id -u)" = 0 ] || return 0
	docker_or_skip
	export IMAGES_BASE=amlshim-test-base README_TAGS=$BATS_FILE_TMPDIR/tags
	images_base "$IMAGES_BASE"
}

teardown_file() {
	[ -n "${README_TAGS-}" ] || return 0
	"$BATS_TEST_DIRNAME/../scripts/stand-in.sh" stop "$BATS_FILE_TMPDIR/stand-in"
	if [ -s "$BATS_FILE_TMPDIR/cluster" ]; then
		. "$BATS_FILE_TMPDIR/cluster"
		images_remove
		jobs_end
	fi
	docker_cleanup
	[ ! -s "$README_TAGS" ] || sort -u "$README_TAGS" | xargs docker rmi -f >/dev/null 2>&1 || true
}

setup() {
	requires_fuse
	docker_or_skip
	cd "$BATS_TEST_DIRNAME/.." || return
	TOP=$PWD
	T=$BATS_TEST_TMPDIR
}

teardown() {
	[ ! -x "$T/copy/scripts/stand-in.sh" ] || "$T/copy/scripts/stand-in.sh" stop
	docker_cleanup
}

# base_as TAG: Debian with Python stands for an image that no registry here has. One that is there is left alone.
base_as() {
	docker image inspect "$1" >/dev/null 2>&1 && return 0
	docker tag "$IMAGES_BASE" "$1"
	echo "$1" >>"$README_TAGS"
}

# marked NAME FILE: what stands between <!-- NAME: ... --> and <!-- end of NAME -->.
marked() {
	sed -n "/^<!-- $1:/,/^<!-- end of $1 /p" "$2" | sed '1d;$d'
}

# fenced LANGUAGE: of stdin, what is in fences of this language.
fenced() {
	awk -v fence="\`\`\`$1" '$0 == fence { inside = 1; next } /^```$/ { inside = 0 } inside'
}

# A copy as a stranger has it, with the libraries that were built already. So are, to save minutes, the objects
# but for the two programs' own; README_WHOLE=yes builds all.
fresh_copy() {
	mkdir -p "$T/copy/build"
	if [ -e .git ]; then
		git -c safe.directory='*' ls-files -z | tar --null --ignore-failed-read -T - -cf -
	else
		tar --exclude ./build -cf - .
	fi | tar -C "$T/copy" -xf -
	ln -s "$(readlink -f build/deps)" "$T/copy/build/deps"
	[ -z "${README_WHOLE-}" ] || return 0
	cp -a build/obj build/flags build/members build/ca_bundle.c build/ca-bundle.pem "$T/copy/build/"
	rm "$T/copy/build/obj/shim/main.o" "$T/copy/build/obj/tests/azsim/main.o"
}

# docker as the reader has it: but what the reader has at contosodata in Azure is the stand-in here.
readers_docker() {
	mkdir -p "$T/bin"
	cat >"$T/bin/docker" <<-'END'
		#!/bin/bash
		more=()
		if [ "$1" = run ]; then
			more=(--label "$LABEL")
			if [[ $* == *AMLSHIM_DATASTORES=name:* ]]; then
				. ../stand-in/ports
				more+=(-v "$PWD/../stand-in/ca.pem:/ca.pem:ro" -e SSL_CERT_FILE=/ca.pem
				    -e "AZURE_POD_IDENTITY_AUTHORITY_HOST=http://127.0.0.1:$http")
				set -- "${@/account_name: contosodata/account_name: contosodata
		endpoint: localhost:$https}"
			fi
		fi
		exec "$REAL" "$1" "${more[@]}" "${@:2}"
	END
	chmod +x "$T/bin/docker"
	REAL=$(command -v docker) LABEL=$docker_label
	export REAL LABEL
}

@test "README: from a fresh copy to a running image of one's own, in five minutes" {
	local began=$SECONDS
	base_as python:3.12-slim
	fresh_copy
	readers_docker
	marked quick-start README.md | fenced sh >"$T/quick-start.sh"
	grep -q '^make$' "$T/quick-start.sh"
	[ "$(grep -c '^docker run' "$T/quick-start.sh")" -ge 4 ]
	cd "$T/copy"
	LIMIT=$QUICK_START_S run_status 0 env -u AMLSHIM -u TOOLS -u MAKEFLAGS "PATH=$T/bin:$PATH" bash -eu "$T/quick-start.sh"
	[ $((SECONDS - began)) -lt $QUICK_START_S ]
	echo "# quick start: $((SECONDS - began)) s" >&3
	echo hello >>"$README_TAGS"
	# The job ran twice, as two identities; plan and doctor said what the README has them say.
	printed=$(marked quick-start "$TOP/README.md" | awk '/^<!-- it prints -->$/ { want = NR + 2 } NR == want')
	[ -n "$printed" ]
	assert_equal "$(grep -cxF "$printed" "$T/out")" 2
	assert_in "$out" '{"0": [5.00'
	assert_in "$out" "as       the submitting user (OBO_ENDPOINT)"
	assert_in "$out" " 0 failed"
	assert_equal "$(cd "$T/copy" && git status --short 2>/dev/null || true)" ""
}

# ---- docs/RECIPES.md

# A base with the property that the recipe is about: NAME [DOCKERFILE-LINE...].
base_like() {
	local name=$1
	docker image inspect "$name" >/dev/null 2>&1 && return 0
	shift
	{ echo "FROM $IMAGES_BASE"; printf '%s\n' "$@"; } |
	    DOCKER_BUILDKIT=0 docker build -q --network none -t "$name" - >/dev/null 2>&1
	echo "$name" >>"$README_TAGS"
}

recipe_bases() {
	local name
	base_as python:3.12-slim
	base_as mcr.microsoft.com/azureml/openmpi4.1.0-ubuntu22.04
	base_like gcr.io/distroless/python3-debian12 'ENTRYPOINT ["/usr/bin/python3"]' \
	    'RUN ["python3", "-c", "import os; [os.remove(d + s) for d in (\"/bin/\", \"/usr/bin/\") for s in (\"sh\", \"bash\", \"dash\", \"rbash\") if os.path.lexists(d + s)]"]'
	# shellcheck disable=SC2016 # the $@ is the script's
	base_like nvidia/cuda:12.6.3-runtime-ubuntu24.04 'ENV LD_LIBRARY_PATH=/usr/local/nvidia/lib' \
	    'RUN mkdir /opt/nvidia && printf "#!/bin/bash\necho banner\nexec \"\$@\"\n" >/opt/nvidia/nvidia_entrypoint.sh && chmod +x /opt/nvidia/*' \
	    'ENTRYPOINT ["/opt/nvidia/nvidia_entrypoint.sh"]'
	# Python is in the environment that the recipe makes, and nowhere else.
	base_like condaforge/miniforge3:24.11.3-2 'ENV PATH=/opt/conda/bin:/usr/local/bin:/usr/bin:/bin' \
	    'RUN mkdir -p /opt/conda/bin && printf "#!/bin/sh -e\n[ \"\$1 \$3 \$4\" = \"create --name train\" ]\nmkdir -p /opt/conda/envs/train/bin\nln -s $(readlink -f /usr/bin/python3) /opt/conda/envs/train/bin/python3\n" >/opt/conda/bin/conda && chmod +x /opt/conda/bin/conda && rm /usr/bin/python3' \
	    'ENTRYPOINT ["tini", "--"]'
	docker image inspect amlshim >/dev/null 2>&1 || echo amlshim >>"$README_TAGS"
	docker_scratch_image amlshim "$AMLSHIM=/sbin/amlshim"
}

# stand_in: as the README starts it; $fuse and $here are the reader's. One for the file's tests.
stand_in() {
	export STAND_IN=$BATS_FILE_TMPDIR/stand-in
	fuse="--device /dev/fuse --cap-add SYS_ADMIN --security-opt apparmor=unconfined"
	here="--network host --env-file $STAND_IN/env -v $STAND_IN/ca.pem:/ca.pem:ro"
	export fuse here
	mkdir -p "$STAND_IN"
	[ -s "$STAND_IN/iris.csv" ] ||
	    docker run --rm --label "$docker_label" --network none "$IMAGES_BASE" cat /usr/lib/python3/dist-packages/sklearn/datasets/data/iris.csv >"$STAND_IN/iris.csv"
	scripts/stand-in.sh start "$STAND_IN" >/dev/null
}

# The reader's folder: train.py and job.yml of the quick start.
readers_folder() {
	local file
	mkdir -p "$1"
	for file in train.py job.yml; do
		marked quick-start README.md | awk -v head="cat >$file <<'END'" '$0 == head { inside = 1; next } /^END$/ { inside = 0 } inside' >"$1/$file"
		[ -s "$1/$file" ]
	done
	cp "$TOOLS/scratchjob" "$1/job"
}

# docker as the reader has it, but that a build may not ask for a network.
recipe_docker() {
	readers_docker
	sed -i 's/^more=()$/&\n[ "$1" != build ] || { shift; DOCKER_BUILDKIT=0 exec "$REAL" build -q --network none "$@"; }/' "$T/bin/docker"
}

@test "docs/RECIPES.md: each recipe builds and runs as written" {
	local name names want
	recipe_bases
	stand_in
	recipe_docker
	names=$(sed -n 's/^<!-- recipe: \(.*\) -->$/\1/p' docs/RECIPES.md)
	[ "$(wc -w <<<"$names")" -ge 9 ]
	assert_equal "$(grep -c '^```dockerfile$' docs/RECIPES.md)" "$(grep -c '^docker build' docs/RECIPES.md)"
	for name in $names; do
		echo "recipe $name"
		readers_folder "$T/$name"
		sed -n "/^<!-- recipe: $name -->/,/^<!-- end of recipe: $name -->/p" docs/RECIPES.md >"$T/$name/recipe"
		fenced dockerfile <"$T/$name/recipe" >"$T/$name/Dockerfile"	# empty for one that only runs otherwise
		fenced sh <"$T/$name/recipe" >"$T/$name/run.sh"
		sed -n 's/^docker build -t \([^ ]*\).*/\1/p' "$T/$name/run.sh" >>"$README_TAGS"
		run_status 0 env -C "$T/$name" "PATH=$T/bin:$PATH" bash -eu run.sh
		case $name in
		scratch) want="copied $(wc -c <"$STAND_IN/iris.csv") bytes, pid is not 1, parent 1" ;;
		init) want='parent 1' ;;
		*) want='139 of 150 flowers recognised' ;;
		esac
		assert_in "$out" "$want"
	done
	# shellcheck disable=SC2086 # words
	run_status 2 docker run --rm --label "$docker_label" $here -e AMLSHIM_FUSE=copy -e AMLSHIM_JOB='{command: echo $HOME | cat}' distroless
	assert_in "$err" "neither /bin/bash nor /bin/sh"
}

# ---- images/kubernetes, images/azureml

# A store and an application with a federated credential, as Kubernetes has it: once for the file.
cluster() {
	[ ! -s "$BATS_FILE_TMPDIR/cluster" ] || { . "$BATS_FILE_TMPDIR/cluster"; return 0; }
	CLUSTER_APP=$(sed -n 's|.*azure.workload.identity/client-id: ||p' images/kubernetes/workload-identity.yaml)
	jobs_begin --app "client_id=$CLUSTER_APP,oid=$USER_OID,federated=of-the-kubelet"
	images_build >/dev/null
	images_data
	NPM_DIR=$(scripts/npm-tools.sh)
	# shellcheck disable=SC2086 # names
	declare -p CLUSTER_APP NPM_DIR IMAGES_AMLSHIM TRAINING INFERENCE ${!AZSIM_*} | sed 's/^declare -[^ ]*/declare -gx/' >"$BATS_FILE_TMPDIR/cluster"
	. "$BATS_FILE_TMPDIR/cluster"
}

# The manifests as words of docker run, in $pods/NAME.args; their datastore is azsim's.
pods() {
	local name
	pods=$T/pods
	mkdir -p "$pods/secrets/digits-datastores"
	echo of-the-kubelet >"$pods/azure-identity-token"
	mknod -m 666 "$T/fuse" c 10 229
	env NPM_DIR="$NPM_DIR" FUSE_DEVICE="$T/fuse" IMAGE_training="$TRAINING" IMAGE_inference="$INFERENCE" \
	    AZURE_TENANT_ID="$AZSIM_TENANT" AZURE_AUTHORITY_HOST="https://localhost:$AZSIM_HTTPS_PORT/" \
	    node "$BATS_TEST_DIRNAME/sdk/pod.mjs" "$pods" images/kubernetes/*.yaml >"$T/names"
	store_use azsim
	job_as key
	job_datastore | sed '1s/.*/name: digits/' >"$pods/secrets/digits-datastores/digits.yml"
	sed -i "s/contosodata/$AZSIM_ACCOUNT/; s/container_name: .*/container_name: data\nendpoint: $STORE_HOST/" \
	    "$pods/configmaps/digits-datastores/digits.yml"
	chmod -R a+rX "$pods"
}

# pod_words NAME: $words are those of docker run.
pod_words() {
	mapfile -t words <"$pods/$1.args"
	words=(--label "$docker_label" --network host -v "$STORE_CA:/ca.pem:ro" -e SSL_CERT_FILE=/ca.pem "${words[@]}")
}

@test "kubernetes: the manifests are what the API's schemas take, and unknown fields and wrong types are not" {
	NPM_DIR=$(scripts/npm-tools.sh)
	export NPM_DIR
	awk 'FNR == 1 && NR > 1 { print "---" } { print }' images/kubernetes/*.yaml >"$T/all.yaml"
	run_status 0 node "$BATS_TEST_DIRNAME/sdk/kubernetes.mjs" "$T/all.yaml"
	assert_equal "$out" "Job, ConfigMap, Job, Job, Service, Deployment, ServiceAccount, ConfigMap, Job: valid"
	sed 's/readOnlyRootFilesystem/readOnlyRootFilesystemm/; s/replicas: 2/replicas: two/' images/kubernetes/serving.yaml >"$T/bad.yaml"
	run_status 1 node "$BATS_TEST_DIRNAME/sdk/kubernetes.mjs" "$T/bad.yaml"
	assert_in "$out" "replicas must be integer"
	assert_in "$out" "'\"readOnlyRootFilesystemm\"' does not exist"
}

@test "kubernetes: the containers of the jobs run: workload identity, privileged, a device, copies, keys" {
	local name
	cluster
	pods
	while read -r name; do
		echo "job $name"
		pod_words "$name"
		azsim_ctl DELETE "/_azsim/blob/$AZSIM_ACCOUNT/data/models/1/metrics.json" >/dev/null || true
		run_status 0 docker run --rm "${words[@]}" </dev/null
		assert_in "$out" "accuracy 0.99"
		azsim_get data/models/1/metrics.json | grep -q accuracy
	done < <(grep ^train "$T/names")
	assert_equal "$(sort "$T/names" | xargs)" "serve train train-with-copies train-with-device train-with-keys"
	# Status 121, for which podFailurePolicy gives up: the credential is not there.
	azsim_app "client_id=$CLUSTER_APP" federated=of-another
	pod_words train
	run_status 121 docker run --rm "${words[@]}"
	assert_in "$err" "az identity federated-credential create"
}

@test "kubernetes: serving is probed, stays in reach while it drains, and ends within its grace period" {
	local container probe
	cluster
	pods
	azsim_app "client_id=$CLUSTER_APP" federated=of-the-kubelet
	sed -i s/AMLSHIM_DRAIN=10s/AMLSHIM_DRAIN=3s/ "$pods/serve.args"
	pod_words serve
	container=$(docker run -d "${words[@]}")
	[ "$(wc -l <"$pods/serve.probes")" = 3 ]
	# shellcheck disable=SC2046 # words
	wait_for 120 docker exec "$container" $(head -n 1 "$pods/serve.probes")
	while read -r probe; do
		# shellcheck disable=SC2086 # words
		run_status 0 docker exec "$container" $probe </dev/null
	done <"$pods/serve.probes"
	run_status 0 curl -sf -d "{\"data\": [[$(seq -s, 64)]]}" http://127.0.0.1:5001/score
	[[ $out =~ ^\[[0-9]\]$ ]]
	docker stop "$container" >/dev/null 3>&- &
	wait_for 30 refute_ready "$container"
	run_status 0 curl -sf http://127.0.0.1:5001/
	wait %%
	assert_equal "$(docker wait "$container")" 0
}

refute_ready() {
	docker exec "$1" /sbin/amlshim healthcheck --live && ! docker exec "$1" /sbin/amlshim healthcheck
}

# environments FILE...: each has a name, and either an image or a folder with its Dockerfile; no field that is not known.
environments() {
	NPM_DIR=$NPM_DIR node - "$@" <<-'END'
		const { join, dirname } = require('path');
		const fs = require('fs');
		const yaml = require(join(process.env.NPM_DIR, 'node_modules/js-yaml'));
		const known = ['$schema', 'name', 'version', 'description', 'tags', 'image', 'build', 'conda_file', 'os_type', 'inference_config'];
		for (const file of process.argv.slice(2)) {
		  const e = yaml.load(fs.readFileSync(file, 'utf8'));
		  const odd = Object.keys(e).filter((k) => !known.includes(k));
		  if (odd.length || !e.name || !e.$schema.endsWith('/environment.schema.json') || !e.image === !e.build)
		    throw new Error(`${file}: ${odd}`);
		  if (e.build)
		    fs.accessSync(join(dirname(file), e.build.path, e.build.dockerfile_path));
		  for (const [name, route] of Object.entries(e.inference_config ?? {}))
		    if (!/^(liveness|readiness|scoring)_route$/.test(name) || !Number.isInteger(route.port) || route.path[0] !== '/')
		      throw new Error(`${file}: ${name}`);
		}
	END
}

@test "Azure ML: the environments are complete, job and deployment plan, and the job's command trains in its image" {
	local command
	cluster
	environments images/azureml/environment.yml images/azureml/environment-inference.yml
	sed 's/^image:/imag:/' images/azureml/environment-inference.yml >"$T/environment.yml"
	refute environments "$T/environment.yml" 2>/dev/null
	store_use azsim
	job_as fallback
	images_variables
	run_status 0 env -i "PATH=$PATH" "${job_env[@]}" "$AMLSHIM" plan --job images/azureml/deployment.yml --datastore "$T/digits.yml" -- python3 serve.py
	assert_in "$out" "AZUREML_MODEL_DIR=/var/azureml-app/azureml-models/digits/1"
	assert_in "$out" "readiness  http://127.0.0.1:5001/"
	run_status 0 env -i "PATH=$PATH" "${job_env[@]}" "$AMLSHIM" plan --job images/azureml/job.yml
	# As the platform does it: a shell in the container runs the job's command.
	command=$(sed -n 's/^command: \([^#]*\).*/\1/p' images/azureml/job.yml)
	[[ $command = /sbin/amlshim* ]]
	run_status 0 docker run --rm --label "$docker_label" --network host --device /dev/fuse --cap-add SYS_ADMIN \
	    --security-opt apparmor=unconfined "${variables[@]}" -e AMLSHIM_JOB=/app/job.yml --tmpfs /run/code/outputs -w /run/code \
	    --entrypoint /bin/bash "$TRAINING" -c "$command && cat outputs/amlshim.json"
	assert_in "$out" "accuracy 0.99"
	assert_in "$out" '"status": 0'
}

# ---- docs/MIGRATION.md and the other pages

# left_column NAME: the first column of the table that is marked so, its first word.
left_column() {
	marked "$1" docs/MIGRATION.md | sed -nE 's/^\| `([^` ]*).*/\1/p' | sort
}

@test "docs/MIGRATION.md: tini and dumb-init have these flags, amlshim has its own, and each spec plans" {
	local words
	assert_equal "$(left_column tini)" "$(tini -h 2>&1 | sed -nE 's/^  (-[-a-z]+|TINI_[A-Z_]+)[: ].*/\1/p' | sort)"
	assert_equal "$(left_column dumb-init)" "$(dumb-init -h 2>&1 | sed -nE 's/^   (-[a-zA-Z]),.*/\1/p' | sort)"
	# What stands beside a flag of theirs does something here: the command runs, or help is printed.
	while read -r words; do
		# shellcheck disable=SC2086 # words
		case $words in
		-h | --version) run_status 0 "$AMLSHIM" "$words" ;;
		*) run_status 0 "$AMLSHIM" $words -- true ;;
		esac
	done < <({ marked tini docs/MIGRATION.md; marked dumb-init docs/MIGRATION.md; } | sed -nE 's/^\| `[^`]*` \| `(-[^`]*)` .*/\1/p')
	"$AMLSHIM" help man >"$T/man"
	grep -q AMLSHIM_VERBOSE "$T/man"
	grep -q AMLSHIM_GROUP "$T/man"
	printf 'name: images\ntype: azure_blob\naccount_name: contosodata\ncontainer_name: images\n' >"$T/images.yml"
	awk '/^<!-- spec -->$/ { n++ } { print > ("'"$T"'/part" n + 0) }' docs/MIGRATION.md
	[ -s "$T/part2" ]
	[ ! -e "$T/part3" ]
	for words in "$T"/part[1-9]; do
		fenced yaml <"$words" >"$words.yml"
		run_status 0 env -i "PATH=$PATH" "$AMLSHIM" plan --fuse copy --job "$words.yml" --datastore "$T/images.yml"
		assert_in "$out" "INPUT data"
	done
}

@test "every flag and variable of amlshim's that a page names is one" {
	local flag help known='' word
	for word in '' init mount commands; do
		known+=" $("$AMLSHIM" help $word)"
	done
	known+=" $("$AMLSHIM" help man)"
	# Flags in code spans that begin with one, or with amlshim.
	# shellcheck disable=SC2013 # words
	for flag in $(grep -ohE '`(amlshim [^`]*)?--[a-z][a-z-]+' README.md docs/[A-Z]*.md | grep -oE -- '--[a-z][a-z-]+' | sort -u); do
		case $flag in
		--device | --cap-add | --cap-drop | --security-opt | --init | --pid | --user | --network | --read-only | --tmpfs | --username | --help | --version | --trace-children)
			continue ;;	# docker's, az's, valgrind's, everybody's
		esac
		case ${known//\\-/-} in
		*"$flag"*) ;;
		*) echo "no such flag: $flag"; return 1 ;;
		esac
	done
	# shellcheck disable=SC2013 # words
	for word in $(grep -ohE 'AMLSHIM_[A-Z_]+[A-Z]' README.md docs/[A-Z]*.md images/*/* images/compose.yml | sort -u); do
		grep -qaF "$word" "$AMLSHIM" || { echo "no such variable: $word"; return 1; }
	done
}

@test "docs/CONTRIBUTING.md: its tree of folders is the tree there is, and the files that it names are there" {
	local file
	diff <(grep -oE '^\| `shim/[a-z]+`' docs/CONTRIBUTING.md | tr -d '|` ' | sort) <(find shim -mindepth 1 -maxdepth 1 -type d | sort)
	for file in $(grep -ohE '`(shim|tests|scripts)/[a-z0-9_/.-]+`' README.md docs/[A-Z]*.md | tr -d '`' | sort -u); do
		[ "$file" = tests/unit/test_x.c ] || [ -e "$file" ] || [ -e "$file.h" ] || { echo "no such file: $file"; return 1; }
	done
}

@test "links, pictures and anchors of the pages lead somewhere" {
	# shellcheck disable=SC2086 # words
	run_status 0 python3 tests/lib/check_links.py $PAGES
	printf '[x](README.md#nowhere) [y](nothing.md)\n' >"$T/page.md"
	run_status 1 python3 tests/lib/check_links.py "$T/page.md"
}

@test "docs/TROUBLESHOOTING.md: each message is the program's, each remedy its table's, each refusal has a row" {
	run_status 0 python3 tests/lib/check_troubleshooting.py "$AMLSHIM"
}

@test "pictures of the terminal are what the program prints" {
	scripts/pictures.sh "$T/pictures"
	[ "$(find "$T/pictures" -name '*.svg' | wc -l)" -ge 2 ]
	for picture in "$T"/pictures/*.svg; do
		diff "docs/pictures/${picture##*/}" "$picture"
	done
	for picture in docs/pictures/*.svg; do
		python3 -c 'import sys, xml.dom.minidom; xml.dom.minidom.parse(sys.argv[1])' "$picture"
	done
}

@test "docs/GUIDE.md: the job plans with the datastore beside it, also when its key is in a vault" {
	awk -v to="$T/part" '$0 == "```yaml" { n++; inside = 1; next } /^```$/ { inside = 0 } inside { print > (to n ".yml") }' docs/GUIDE.md
	run_status 0 env -i "PATH=$PATH" OBO_ENDPOINT=http://127.0.0.1:9/OBO/token "$AMLSHIM" plan --fuse copy --job "$T/part1.yml" --datastore "$T/part2.yml"
	assert_in "$out" "to       https://contosodata.blob.core.windows.net/images/models/run1/"
	assert_in "$out" "as       the submitting user (OBO_ENDPOINT)"
	cat "$T/part2.yml" "$T/part3.yml" >"$T/vault.yml"
	run_status 0 env -i "PATH=$PATH" OBO_ENDPOINT=http://127.0.0.1:9/OBO/token "$AMLSHIM" plan --fuse copy --job "$T/part1.yml" --datastore "$T/vault.yml"
	assert_in "$out" "https://contoso.vault.azure.net/secrets/images-key"
}
