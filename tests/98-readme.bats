#!/usr/bin/env bats
# What a newcomer sees: the README's quick start is run in order, as written, in a fresh copy; the snippets and
# manifests of the documents are built and run; links lead somewhere; pictures are what the program prints.
# bats file_tags=root

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
	docker_cleanup
	[ ! -s "$README_TAGS" ] || sort -u "$README_TAGS" | xargs docker rmi -f >/dev/null
}

setup() {
	requires_fuse
	docker_or_skip
	cd "$BATS_TEST_DIRNAME/.."
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
