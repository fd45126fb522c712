#!/usr/bin/env bats
# What is passed on: installed files, tars and packages with checksums, the SBOM and the licences, the
# same bits from another directory, and the program for arm64, which qemu runs here.
# bats file_tags=root, release

load helpers
load lib/jobs

TOP=$(cd "$BATS_TEST_DIRNAME/.." && pwd)

# The makes of a test are not those of the make that runs the tests.
build() {
	env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL make -C "$TOP" --no-print-directory "$@"
}

setup_file() {
	[ "$(id -u)" = 0 ] || return 0
	"$TOP/scripts/apt-install.sh" qemu-user
	build ARCH=arm64 build/arm64/amlshim >"$BATS_FILE_TMPDIR/arm64.log" 2>&1 ||
	    { tail -n 40 "$BATS_FILE_TMPDIR/arm64.log"; return 1; }
	# What stands for amlshim in the suites' helpers: a host of arm64 would need no such thing.
	printf '#!/bin/sh\nexec %s %s "$@"\n' "$(command -v qemu-aarch64)" "$TOP/build/arm64/amlshim" \
	    >"$BATS_FILE_TMPDIR/arm64"
	chmod +x "$BATS_FILE_TMPDIR/arm64"
	jobs_begin
	echo 'hello from the store' >"$BATS_FILE_TMPDIR/hello.txt"
	azsim_put data/in "$BATS_FILE_TMPDIR/hello.txt"
}

teardown_file() {
	[ "$(id -u)" != 0 ] || jobs_end
}

setup() {
	T=$BATS_TEST_TMPDIR
	store_use azsim
	job_as managed
}

teardown() {
	jobs_cleanup
}

# ---- what is installed and passed on

@test "package: make install puts program, man page and completions below DESTDIR, whatever the umask" {
	(umask 077 && build DESTDIR="$T/root" prefix=/opt/amlshim install)
	assert_equal "$(cd "$T/root/opt/amlshim" && find . -type f -printf '%m %p\n' | LC_ALL=C sort -k 2)" \
	    "755 ./bin/amlshim
644 ./share/bash-completion/completions/amlshim
644 ./share/man/man1/amlshim.1
644 ./share/zsh/site-functions/_amlshim"
	cd "$T/root/opt/amlshim"
	cmp bin/amlshim "$TOP/build/amlshim"
	assert_equal "$(groff -man -Tutf8 -ww share/man/man1/amlshim.1 2>&1 >"$T/page")" ""
	assert_in "$(sed 's/\x1b\[[0-9;]*m//g; s/.\x08//g' "$T/page")" "amlshim [FLAGS] [--] COMMAND [ARG...]"
	bash -n share/bash-completion/completions/amlshim
	zsh -n share/zsh/site-functions/_amlshim
}

@test "package: version -v tells of all that is linked in" {
	local name
	run_status 0 "$AMLSHIM" version -v
	assert_equal "$(head -n 1 <<<"$out")" "$("$AMLSHIM" version)"
	assert_equal "$(sed -n '2,8p' <<<"$out")" "$(cat "$TOP/build/deps/versions")"
	while read -r name _; do
		assert_in "$out" "$name $(cat "$TOP/build/src/$name.version")"
	done <"$TOP/build/deps/versions"
	# Archives that the linker took something from, and no other.
	assert_equal "$(sed -n 's/^[^ ].*\/lib\([a-z0-9]*\)\.a(.*/\1/p' "$TOP/build/amlshim.debug.map" |
	    sort -u | tr '\n' ' ')" "amlshim bearssl c cjson curl expat fuse3 gcc yaml "
	assert_in "$out" "
gcc-"
	assert_in "$out" "
ca-certificates $(dpkg-query -W -f='${Version}' ca-certificates)"
}

@test "package: make dist: tars, packages, sources and sums, the same from whoever packs them" {
	local arch dist=$TOP/build/dist version
	build dist
	version=$("$AMLSHIM" version)
	version=${version##* }
	(cd "$dist" && sha256sum --quiet --strict -c SHA256SUMS)
	assert_equal "$(find "$dist" -type f | wc -l)" $(($(wc -l <"$dist/SHA256SUMS") + 1))
	for arch in amd64 arm64; do
		mkdir "$T/$arch"
		tar -C "$T" -xf "$dist/amlshim-$version-linux-$arch.tar.xz"
		assert_equal "$(tar --utc -tvf "$dist/amlshim-$version-linux-$arch.tar.xz" | awk '{ print $2 }' | sort -u)" 0/0
		dpkg-deb -x "$dist/amlshim_$version-1_$arch.deb" "$T/$arch"
		dpkg-deb -e "$dist/amlshim_$version-1_$arch.deb" "$T/$arch/DEBIAN"
		cmp "$T/$arch/usr/sbin/amlshim" "$T/amlshim-$version-linux-$arch/amlshim"
		(cd "$T/$arch" && md5sum --quiet -c DEBIAN/md5sums)
		assert_equal "$(dpkg-deb -f "$dist/amlshim_$version-1_$arch.deb" Package Version Architecture)" \
		    "Package: amlshim
Version: $version-1
Architecture: $arch"
		gunzip -t "$T/$arch/usr/share/man/man1/amlshim.1.gz" "$T/$arch/usr/share/doc/amlshim/changelog.Debian.gz"
		assert_in "$(cat "$T/$arch/usr/share/doc/amlshim/copyright")" "GNU LESSER GENERAL PUBLIC LICENSE"
	done
	cmp "$T/amd64/usr/sbin/amlshim" "$TOP/build/amlshim"
	cmp "$T/arm64/usr/sbin/amlshim" "$TOP/build/arm64/amlshim"
	# dpkg takes it, and has nothing to complain about.
	mkdir -p "$T/debian/var/lib/dpkg/"{updates,info,triggers} && : >"$T/debian/var/lib/dpkg/status"
	dpkg --root="$T/debian" --force-script-chrootless -i "$dist/amlshim_$version-1_$(dpkg --print-architecture).deb" >/dev/null
	assert_equal "$(dpkg --root="$T/debian" --verify amlshim)" ""
	assert_equal "$("$T/debian/usr/sbin/amlshim" version)" "amlshim version $version"
	cp "$dist/SHA256SUMS" "$T/sums"
	(umask 077 && TZ=Asia/Kathmandu LC_ALL=C.UTF-8 build dist)
	diff "$T/sums" "$dist/SHA256SUMS"
}

@test "package: the SBOM is SPDX 2.3, and true of both binaries; its check sees what is not" {
	local check=$BATS_TEST_DIRNAME/lib/check_spdx.py sbom damage n=0
	[ -e "$TOP/build/dist/SHA256SUMS" ] || build dist
	sbom=$(echo "$TOP"/build/dist/*.spdx.json)
	for arch in amd64 arm64; do
		tar -C "$T" -xf "$(echo "$TOP"/build/dist/amlshim-*-linux-$arch.tar.xz)"
	done
	"$TOP/build/amlshim" version -v >"$T/amd64"
	"$BATS_FILE_TMPDIR/arm64" version -v >"$T/arm64"
	python3 "$check" "$sbom" "$T" "$T/amd64" "$T/arm64"
	for damage in 's/"STATIC_LINK"/"STATIC_LINKED"/' '0,/"relatedSpdxElement": "/s//&x/' \
	    's/Debian source package musl [^"]*/Debian source package musl 1.2.4-1/' 's/LGPL-2.1-only/LGPL/' \
	    '/"supplier"/d' 's/SPDX-2.3/SPDX-2.2/' '0,/"checksumValue": "./s//"checksumValue": "/'; do
		sed "$damage" "$sbom" >"$T/damaged"
		run_status 1 python3 "$check" "$T/damaged" "$T" "$T/amd64" "$T/arm64"
		[ -n "$out" ]
		n=$((n + 1))
	done
	assert_equal $n 7
}

@test "package: each linked library's licence text goes along" {
	local name text
	text=$("$TOP/scripts/third-party.sh" "$TOP/build/src" "$TOP/build")
	while read -r name _; do
		assert_in "$text" "
$name "
		assert_in "$(cat "$TOP/LICENSE")" "$(sed 's/^bearssl$/BearSSL/; s/^cjson$/cJSON/; s/^fuse3$/libfuse/; s/^gcc-.*/libgcc/' <<<"$name")"
	done < <("$AMLSHIM" version -v | tail -n +2)
	run_status 1 "$TOP/scripts/third-party.sh" "$TOP/build/src" "$T"
}

@test "reproducible: another directory, umask, time zone, locale and number of jobs, the same program" {
	local copy=$T/somewhere/else/altogether deps
	deps=$(readlink -f "$TOP/build/deps")
	mkdir -p "$copy/build"
	(cd "$TOP" && tar -c --exclude=__pycache__ Makefile scripts shim) | tar -C "$copy" -xp
	# The libraries are not made again (make reproducible does), but their compiler knows where it is.
	cp -a "$deps" "$copy/build/deps"
	sed -i "s|$deps|$copy/build/deps|g" "$copy"/build/deps/{bin/musl-gcc,musl/lib/musl-gcc.specs}
	ln -s "$TOP/build/src" "$copy/build/src"
	touch -r "$TOP/build/deps/versions" "$copy"/scripts/deps* "$copy"/scripts/patches/*
	(
		cd "$copy"
		umask 077
		export TZ=Asia/Kathmandu LC_ALL=C.UTF-8 HOME=$T USER=nobody
		env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL make -j3 build/amlshim >"$T/log" 2>&1 || { tail "$T/log"; exit 1; }
	)
	refute_in "$(strings -a "$copy/build/amlshim.debug")" "$T"
	cmp "$copy/build/amlshim.debug" "$TOP/build/amlshim.debug"
	cmp "$copy/build/amlshim" "$TOP/build/amlshim"
}

# ---- the program for arm64

@test "arm64: static, position-independent, and at home on pages of 4 KiB to 64 KiB" {
	local headers
	headers=$(readelf -hlW "$TOP/build/arm64/amlshim")
	assert_in "$headers" "AArch64"
	assert_in "$headers" "DYN (Position-Independent Executable file)"
	refute_in "$headers" INTERP
	assert_equal "$(awk '$1 == "LOAD" { print $NF }' <<<"$headers" | sort -u)" 0x10000
	AMLSHIM=$BATS_FILE_TMPDIR/arm64
	assert_equal "$("$AMLSHIM" version)" "$("$TOP/build/amlshim" version)"
	assert_equal "$("$AMLSHIM" help man)" "$("$TOP/build/amlshim" help man)"
}

@test "arm64: every golden plan, to the letter" {
	local case file n=0
	export AMLSHIM=$BATS_FILE_TMPDIR/arm64
	cd "$BATS_TEST_DIRNAME/golden"
	for case in */; do
		for file in plan.txt error.txt; do
			[ -e "$case$file" ] || continue
			./run.sh "${case%/}" "$file" >"$T/$file"
			diff -u "$case$file" "$T/$file"
			n=$((n + 1))
		done
	done
	[ "$n" -ge 100 ]
}

@test "arm64: as a mere init: exit codes, signals, orphans" {
	AMLSHIM=$BATS_FILE_TMPDIR/arm64
	both 7 -- sh -c 'exit 7'
	both 127 -- /nonexistent
	both 143 -- sh -c 'kill -TERM $$'
	run_status 5 "$AMLSHIM" -- sh -c 'trap "exit 5" USR1; kill -USR1 $PPID; while :; do sleep 0.1; done'
	both 0 -- sh -c '(sh -c "exit 3" & sleep 0.2 & exec sh -c "exit 0") & wait; echo over'
	assert_equal "$out" over
}

@test "arm64: a token, and whose it is" {
	AMLSHIM=$BATS_FILE_TMPDIR/arm64
	run_status 0 env "${job_env[@]}" "SSL_CERT_FILE=$STORE_CA" "$AMLSHIM" token --resource https://storage.azure.com/ \
	    --client-id "$FIRST_ID" --claims "${job_flags[@]}"
	assert_in "$out" "oid $FIRST_OID"
	azsim_assert 1 op=AmlToken
}

@test "arm64: a job with a mounted input, a mounted output and a token from the broker" {
	local how
	AMLSHIM=$BATS_FILE_TMPDIR/arm64
	for how in pid1 plain; do
		azsim_forget
		job_write <<-'END'
			command: >-
			  cat ${{inputs.in}}/hello.txt >${{outputs.out}}/copy.txt &&
			  curl -sSf -H "secret: $MSI_SECRET" "$MSI_ENDPOINT?resource=https://vault.azure.net&api-version=2017-09-01" |
			  grep -c access_token; exit 9
			inputs:
			  in: {type: uri_folder, path: azureml://datastores/store/paths/in/}
			outputs:
			  out: {type: uri_folder, path: azureml://datastores/store/paths/out/}
		END
		job_run 9 $how
		assert_equal "$out" 1
		assert_equal "$(azsim_get data/out/copy.txt)" "hello from the store"
		job_left_nothing
	done
}

# The emulator knows no seccomp(2): what workers call from there on is compared with the filter's source.
@test "arm64: workers call nothing that their filter of system calls would refuse" {
	printf '#!/bin/sh\nexec %s -strace %s "$@" 2>>%s/calls\n' "$(command -v qemu-aarch64)" \
	    "$TOP/build/arm64/amlshim" "$T" >"$T/traced"
	chmod +x "$T/traced"
	AMLSHIM=$T/traced
	job_write <<-'END'
		command: cat ${{inputs.in}}/hello.txt >${{outputs.out}}/again.txt && rm ${{outputs.out}}/again.txt
		inputs:
		  in: {type: uri_folder, path: azureml://datastores/store/paths/in/}
		outputs:
		  out: {type: uri_folder, path: azureml://datastores/store/paths/out/}
	END
	job_run 0 plain
	awk '$2 ~ /^seccomp\(/ { confined[$1] = 1; next }
	    confined[$1] && match($2, /^[a-z_0-9]+\(/) { print substr($2, 1, RLENGTH - 1) }' "$T/calls" |
	    sort -u >"$T/called"
	assert_equal "$(grep -cx -e futex -e ppoll -e sendto -e epoll_pwait "$T/called")" 4
	sed '/^static const int never/,/^};/d' "$TOP/shim/base/confine.c" | grep -o '__NR_[a-z_0-9]*' |
	    sed 's/^__NR_//' | sort -u >"$T/allowed"
	assert_equal "$(comm -23 "$T/called" "$T/allowed")" ""
}
