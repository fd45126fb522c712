#!/usr/bin/env bats
# Reading through a mount: every byte right, cold and while the service fails; names as they are;
# attributes and absence without requests; memory within its bound.
# bats file_tags=root

load helpers
load lib/jobs

setup_file() {
	jobs_begin
	export BIG_SIZE=$((1 << 30))
	azsim_ctl POST "/_azsim/synthetic?account=$AZSIM_ACCOUNT&container=data&name=big/big.bin&size=$BIG_SIZE" >/dev/null
	BIG_SUM=$(azsim_get data/big/big.bin | sha256sum)
	export BIG_SUM
}

teardown_file() {
	jobs_end
}

setup() {
	requires_fuse
	store_use azsim
	job_as key
	T=$BATS_TEST_TMPDIR
}

teardown() {
	jobs_cleanup
}

# noise SIZE FILE: bytes that do not repeat, the same for the same size.
noise() {
	head -c "$1" /dev/zero | openssl enc -aes-128-ctr -K "$(printf '%032x' "$1")" \
	    -iv "$(printf '%032x' 0)" >"$2"
}

# job_of FOLDER COMMAND: the folder of the store is mounted as ${{inputs.data}}.
job_of() {
	job_write <<-END
		command: $2
		inputs:
		  data: {type: uri_folder, path: azureml://datastores/store/paths/$1/}
	END
}

# A shell script for the job, from stdin; its first word is the mount.
script() {
	cat >"$T/script.sh"
}

# What the job's scripts may call.
script_tools() {
	cat >"$T/tools.sh" <<-'END'
		count() { # FIELD=VALUE: requests so far
			"$AZSIM" ctl "$AZSIM_PORT" GET "/_azsim/log?count=1&$1"
		}
		forget() {
			"$AZSIM" ctl "$AZSIM_PORT" DELETE /_azsim/log >/dev/null
		}
		memory_peak() { # KiB that the mount process had resident at most
			for pid in $(pgrep -P "$(sed -n 's/^PPid:[^0-9]*//p' /proc/$$/status)"); do
				case $(cat /proc/$pid/comm) in
				amlshim:mount*) sed -n 's/^VmHWM:[^0-9]*\([0-9]*\).*/\1/p' /proc/$pid/status ;;
				esac
			done
		}
	END
}

# ---- bytes

@test "read: 1 GiB, cold, is byte-identical, and memory stays within its bound" {
	script_tools
	script <<-END
		. $T/tools.sh
		sha256sum <\$1/big.bin
		stat -c %s \$1/big.bin
		memory_peak
	END
	job_of big "sh $T/script.sh \${{inputs.data}}"
	job_run 0 plain --memory 64M
	assert_equal "$(head -n 2 <<<"$out")" "$BIG_SUM
$BIG_SIZE"
	peak=$(tail -n 1 <<<"$out")
	echo "resident at most: $peak KiB"
	[ "$peak" -gt 0 ]
	[ "$peak" -le $(((64 + ${USAGE_REST_MIB:-40}) * 1024)) ]
	silent
	job_left_nothing
}

@test "read: 1 GiB is byte-identical while the service is busy, resets, stalls and cuts short" {
	job_of big 'sha256sum \${{inputs.data}}/big.bin | cut -d" " -f1'
	azsim_fault op=GetBlob status=503 code=ServerBusy retry_after=1 skip=3 count=2
	azsim_fault op=GetBlob status=503 code=ServerBusy percent=4
	azsim_fault op=GetBlob status=500 code=OperationTimedOut percent=2
	azsim_fault op=GetBlob reset=1 percent=4
	azsim_fault op=GetBlob lose=1 percent=2
	azsim_fault op=GetBlob truncate=300000 percent=4
	azsim_fault op=GetBlob truncate=0 percent=2
	azsim_fault op=GetBlob stall=1500 count=3 skip=20
	azsim_fault op=GetBlob stall=600000 count=1 skip=30
	job_run 0 pid1 --memory 64M -v
	assert_equal "$out  -" "$BIG_SUM"
	[ "$(azsim_count op=GetBlob fault=true)" -ge 10 ]
	assert_in "$err" "closed: read 1.0 GiB"
}

@test "read: sizes around every boundary" {
	local size
	mkdir "$T/sizes"
	for size in 0 1 4095 4096 4097 131071 131072 131073 262144 1048575 1048576 1048577 \
	    4194304 8388607 8388608 8388609 20000000; do
		noise $size "$T/sizes/$size"
	done
	azsim_put data "$T/sizes"
	script <<-END
		diff -r \$1 $T/sizes && stat -c '%s %n' \$1/* | awk '{ sub(".*/", "", \$2) } \$1 == \$2' | wc -l
	END
	job_of sizes "sh $T/script.sh \${{inputs.data}}"
	for how in pid1 plain; do
		job_run 0 $how --memory 16M
		assert_equal "$out" 17
		job_left_nothing
	done
}

@test "read: random places, from several threads and processes, small memory" {
	noise 41000003 "$T/noise"
	azsim_put data/random "$T/noise"
	job_of random "$TOOLS/preads \${{inputs.data}}/noise $T/noise 7 2 4 120 300000"
	job_run 0 plain --memory 16M
	assert_equal "$out" "960 reads agree"
	job_of random "$TOOLS/preads \${{inputs.data}}/noise $T/noise 8 2 8 200 5000"
	job_run 0 pid1 --memory 64M
	assert_equal "$out" "3200 reads agree"
}

@test "read: random places while the service fails now and then" {
	noise 9000001 "$T/noise"
	azsim_put data/random "$T/noise"
	job_of random "$TOOLS/preads \${{inputs.data}}/noise $T/noise 9 1 4 100 70000"
	azsim_fault op=GetBlob status=503 code=ServerBusy percent=5
	azsim_fault op=GetBlob truncate=1000 percent=5
	azsim_fault op=GetBlob reset=1 percent=5
	job_run 0 plain --memory 16M
	assert_equal "$out" "400 reads agree"
}

@test "read: a random 4 KiB costs no more than a little around it" {
	script_tools
	azsim_ctl POST "/_azsim/synthetic?account=$AZSIM_ACCOUNT&container=data&name=one/wide.bin&size=$((256 << 20))" >/dev/null
	script <<-END
		. $T/tools.sh
		for i in 50000 10000 61000 23000 42000 3000 33000 58000; do
			dd if=\$1/wide.bin bs=4096 skip=\$i count=1 iflag=direct 2>/dev/null | wc -c
		done | sort | uniq -c
		"$AZSIM" ctl $AZSIM_PORT GET '/_azsim/log?op=GetBlob' |
		    sed 's/.*"out":\([0-9]*\).*/\1/' | awk '{ s += \$1 } END { print NR, s }'
	END
	job_of one "sh $T/script.sh \${{inputs.data}}"
	azsim_forget
	job_run 0 plain
	read -r times bytes < <(head -n 1 <<<"$out")
	assert_equal "$times $bytes" "8 4096"
	read -r requests bytes < <(tail -n 1 <<<"$out")
	[ "$requests" -le 16 ]
	[ "$bytes" -le $((8 * 256 * 1024)) ]
}

@test "read: what was read once is not fetched again" {
	script_tools
	noise 3000000 "$T/again"
	azsim_put data/again "$T/again"
	script <<-END
		. $T/tools.sh
		cat \$1/again >/dev/null
		forget
		cmp \$1/again $T/again && cmp \$1/again $T/again && count service=blob
	END
	job_of again "sh $T/script.sh \${{inputs.data}}"
	job_run 0 plain
	assert_equal "$out" 0
}

# ---- the disk cache

# cached_job FLAG...: all of the folder "cached", twice over, is what $T/cached holds.
cached_job() {
	job_of cached "cmp \${{inputs.data}}/big $T/cached/big && cat \${{inputs.data}}/small/* | cmp - $T/all"
	job_run 0 plain --memory 32M "$@"
}

cached_files() {
	mkdir -p "$T/cached/small"
	noise 9000001 "$T/cached/big"
	for i in $(seq 10 29); do
		noise $((i * 1777)) "$T/cached/small/f$i"
	done
	cat "$T/cached/small"/* >"$T/all"
	azsim_put data "$T/cached"
}

@test "disk cache: another run reads without fetching; no name is on the disk; damage is mended" {
	cached_files
	cached_job --disk-cache 64M
	silent
	assert_equal "$(stat -c %a "$JOB/cache/.blocks")" 700
	refute grep -rqa -e small -e f10 <(ls -R "$JOB/cache")
	azsim_forget
	cached_job --disk-cache 64M
	silent
	azsim_assert 0 op=GetBlob
	azsim_assert + op=ListBlobs
	for file in "$JOB/cache/.blocks"/*; do
		case $file in
		*.sum) ;;
		*) printf '\0\1' | dd of="$file" bs=1 seek=3000 conv=notrunc status=none ;;
		esac
	done
	cached_job --disk-cache 64M
	assert_in "$err" "a damaged block was dropped and is fetched again"
	azsim_forget
	cached_job --disk-cache 64M
	silent
	azsim_assert 0 op=GetBlob
	cached_job			# without: all is as ever
	azsim_assert + op=GetBlob
}

@test "disk cache: its bound holds, for what two inputs and later runs read" {
	mkdir "$T/one" "$T/two"
	for i in 1 2 3 4; do
		noise $((7000000 + i)) "$T/one/$i"
		noise $((7100000 + i)) "$T/two/$i"
	done
	azsim_put data/bound "$T/one" "$T/two"
	job_write <<-END
		command: cat \${{inputs.one}}/* | cmp - $T/1 && cat \${{inputs.two}}/* | cmp - $T/2
		inputs:
		  one: {type: uri_folder, path: azureml://datastores/store/paths/bound/one/}
		  two: {type: uri_folder, path: azureml://datastores/store/paths/bound/two/}
	END
	cat "$T/one"/* >"$T/1"
	cat "$T/two"/* >"$T/2"
	for size in 20M 64M 16M; do
		job_run 0 plain --disk-cache $size
		used=$(du -s --block-size=1 "$JOB/cache/.blocks" | cut -f1)
		echo "$size: $used"
		[ "$used" -le $((${size%M} << 20)) ]
		[ "$used" -gt 7000000 ]
	done
}

@test "disk cache: what it has whole, the kernel reads without the mount process" {
	cached_files
	cached_job --disk-cache 64M
	script <<-END
		exec 3<\$1/big
		for pid in \$(pgrep -P "\$(sed -n 's/^PPid:[^0-9]*//p' /proc/\$\$/status)"); do
			case \$(cat /proc/\$pid/comm) in
			amlshim:mount*) mount=\$pid ;;
			esac
		done
		kill -STOP \$mount
		timeout 20 cmp - $T/cached/big <&3 && echo "read while it stood still"
		kill -CONT \$mount
		exec 3<&-
		cmp \$1/big $T/cached/big && echo "and again"
	END
	job_of cached "sh $T/script.sh \${{inputs.data}}"
	job_run 0 plain --disk-cache 64M -v
	case $err in
	*"does not read from the disk cache by itself"*) skip "this kernel or machine cannot" ;;
	esac
	assert_equal "$out" "read while it stood still
and again"
	assert_equal "$(job_mounts)" ""
}

# ---- slow answers

# slow_job FAULT-WORDS: random places of a file, so that it is known what is usual; then the fault,
# and one read more.
slow_job() {
	noise 41000003 "$T/noise"
	azsim_put data/slow "$T/noise"
	script <<-END
		for i in 5 40 9 33 14 28 19 36 2 30; do
			dd if=\$1/noise bs=4096 skip=\$((i * 250)) count=1 iflag=direct status=none
		done >/dev/null
		"\$AZSIM" ctl \$AZSIM_PORT DELETE /_azsim/log >/dev/null
		"\$AZSIM" ctl \$AZSIM_PORT POST "/_azsim/fault?op=GetBlob&count=1&$1" >/dev/null
		dd if=\$1/noise bs=1M skip=24 count=1 iflag=direct status=none | cmp - $T/piece && echo right
	END
	dd if="$T/noise" of="$T/piece" bs=1M skip=24 count=1 status=none
	job_of slow "sh $T/script.sh \${{inputs.data}}"
	job_run 0 plain -v
	assert_in "$out" right
}

@test "slow: a read without an answer is asked for once more, the first answer counts" {
	slow_job 'delay=4000'
	assert_in "$err" " 0 retries"
	# The slow one is recorded when it is over: the same read, by the same name.
	wait_for 30 azsim_assert 2 op=GetBlob range=bytes=25165824-26214399
	assert_equal "$(azsim_log op=GetBlob | sed 's/.*"client_request_id":"\([^"]*\)".*/\1/' | sort -u | wc -l)" 1
	azsim_assert 1 op=GetBlob fault=true
}

@test "slow: a body that stands still goes on over another connection, from where it was" {
	slow_job 'stall=60000&after=300000'
	assert_in "$err" " 1 retries"
	azsim_log op=GetBlob | grep -c 'range":"bytes=25[0-9]*-26214399' | grep -qx 1
}

@test "read: a hundred GiB at random places, 64 files at once, 4,096 open: memory stays within its bound" {
	azsim_ctl POST "/_azsim/synthetic?account=$AZSIM_ACCOUNT&container=data&name=vast/wide.bin&size=$((100 << 30))" >/dev/null
	azsim_ctl POST "/_azsim/synthetic?account=$AZSIM_ACCOUNT&container=data&name=vast/part&size=$((3 << 20))&count=64" >/dev/null
	azsim_ctl POST "/_azsim/synthetic?account=$AZSIM_ACCOUNT&container=data&name=vast/tiny&size=9&count=4096" >/dev/null
	script_tools
	script <<-END
		. $T/tools.sh
		ulimit -n 5000
		python3 - \$1 <<-'PY'
			import os, sys
			top = sys.argv[1]
			held = [open(f"{top}/tiny{i:06}", "rb") for i in range(4096)]
			print(sum(len(f.read()) for f in held))
			wide = os.open(f"{top}/wide.bin", os.O_RDONLY)
			places = [i * 999999937 % (100 << 30) for i in range(1, 40)]
			again = [os.pread(wide, 100, p) for p in places]
			print(all(len(b) == 100 for b in again), len(set(again)) == len(places))
			open("$T/places", "w").writelines(f"{p} {b.hex()}\\n" for p, b in zip(places, again))
		PY
		ls \$1/part* | xargs -P 64 -n 1 md5sum | cut -d' ' -f1 | sort | md5sum
		memory_peak
	END
	job_of vast "sh $T/script.sh \${{inputs.data}}"
	job_run 0 plain --memory 16M
	assert_equal "$(head -n 2 <<<"$out")" "36864
True True"
	token=$(azsim_token "oid=$FIRST_OID")
	while read -r place bytes; do
		got=$(curl -sf --cacert "$AZSIM_CA" -r "$place-$((place + 99))" -H "Authorization: Bearer $token" -H "x-ms-version: 2021-12-02" \
		    "$AZSIM_ENDPOINT/data/vast/wide.bin" | od -An -tx1 | tr -d " \n")
		assert_equal "$got" "$bytes"
	done < <(head -n 8 "$T/places")
	peak=$(tail -n 1 <<<"$out")
	echo "resident at most: $peak KiB"
	[ "$peak" -le $(((16 + ${USAGE_REST_MIB:-40}) * 1024)) ]
}

# ---- one version

@test "read: a blob replaced while it is read is an error, never mixed bytes" {
	noise 100000000 "$T/first"
	noise 100000001 "$T/second"
	cp "$T/first" "$T/blob"
	azsim_put data/replaced "$T/blob"
	cp "$T/second" "$T/blob"
	script <<-END
		exec 3<\$1/blob
		dd bs=1M count=2 iflag=fullblock <&3 2>/dev/null >$T/head
		"$AZSIM" ctl $AZSIM_PORT PUT /_azsim/blob/$AZSIM_ACCOUNT/data/replaced/blob $T/blob >/dev/null
		LC_ALL=C cat <&3 >$T/rest || echo "reading ended with an error"
		exec 3<&-
		cat $T/head $T/rest | cmp - $T/first 2>&1 | sed 's/.*EOF on -.*/a part of the first/'
		LC_ALL=C cmp \$1/blob $T/second && echo "opened again: the second"
	END
	job_of replaced "sh $T/script.sh \${{inputs.data}}"
	for how in plain pid1; do
		job_run 0 $how --memory 16M
		assert_equal "$out" "reading ended with an error
a part of the first
opened again: the second"
		assert_in "$err" "Stale file handle"
		cp "$T/first" "$T/blob"
		azsim_put data/replaced "$T/blob"
		cp "$T/second" "$T/blob"
	done
}

@test "read: a blob deleted while it is read is an error" {
	noise 100000000 "$T/blob"
	azsim_put data/deleted "$T/blob"
	script <<-END
		exec 3<\$1/blob
		dd bs=1M count=2 iflag=fullblock <&3 2>/dev/null | wc -c
		"$AZSIM" ctl $AZSIM_PORT DELETE /_azsim/blob/$AZSIM_ACCOUNT/data/deleted/blob >/dev/null
		cat <&3 >$T/rest || echo "reading ended with an error"
	END
	job_of deleted "sh $T/script.sh \${{inputs.data}}"
	job_run 0 plain --memory 16M
	assert_equal "$out" "2097152
reading ended with an error"
}

# ---- names

@test "list: 10,000 names: three pages, and stat and absence cost no request" {
	azsim_ctl POST "/_azsim/synthetic?account=$AZSIM_ACCOUNT&container=data&name=many/file&size=11&count=10000" >/dev/null
	script_tools
	script <<-END
		. $T/tools.sh
		forget
		ls -f \$1 | grep -c file
		echo "lists \$(count op=ListBlobs)"
		forget
		ls -l \$1 | awk '\$5 == 11 { n++ } END { print n }'
		stat -c %s \$1/file000000 \$1/file009999 | sort -u
		for i in \$(seq 200); do
			[ ! -e \$1/file\$i ] && [ ! -e \$1/none\$i/x ] || echo "\$i is there"
		done
		echo "requests \$(count service=blob)"
		cat \$1/file005000 | wc -c
	END
	job_of many "sh $T/script.sh \${{inputs.data}}"
	job_run 0 plain
	assert_equal "$(grep -v ^lists <<<"$out")" "10000
10000
11
requests 0
11"
	[ "$(sed -n 's/^lists //p' <<<"$out")" -le 3 ]
}

@test "list: small pages, and empty ones in between, lose nothing" {
	azsim_ctl POST "/_azsim/synthetic?account=$AZSIM_ACCOUNT&container=data&name=pages/file&size=1&count=95" >/dev/null
	azsim_knob list_page_max=10 list_empty_pages=1
	job_of pages 'ls ${{inputs.data}} | md5sum'
	job_run 0 plain
	assert_equal "$out" "$(seq -f 'file%06g' 0 94 | md5sum)"
}

# Names that a URL, a listing's XML or a shell could trip over.
odd_names() { # DIR
	mkdir -p "$1/dir with space/ünïcode" "$1/a+b" "$1/100%" "$1/deep/er/and/deeper"
	local name
	for name in 'plain.txt' 'with space.txt' ' leading' 'trailing ' '100%.txt' '%41.txt' '%2F' \
	    'a#b.txt' 'a?b=c&d.txt' 'a+b.txt' 'semi;colon' "quote'\"s" '<tag>&amp;' '[x]' '{y}' \
	    'back~tick`' 'co:lon' 'comma,' 'at@' '日本語.txt' 'é.txt' 'dot.' '.hidden' \
	    'dir with space/ünïcode/ñ 漢字' 'a+b/c+d' '100%/25%' 'deep/er/and/deeper/leaf' '-n' \
	    "$(printf 'x%.0s' $(seq 240))"; do
		echo "I am $name" >"$1/$name"
	done
}

@test "names: spaces, percent signs, hashes, plus signs, quotes, unicode: mounted and downloaded, both accounts" {
	local store
	odd_names "$T/odd"
	for store in azsim lake; do
		store_use $store
		job_as key
		store_blob put data "$T/odd"
		job_write <<-END
			command: diff -r \${{inputs.data}} $T/odd && diff -r \${{inputs.copy}} $T/odd && cat "\${{inputs.data}}/%2F"
			inputs:
			  data: {type: uri_folder, path: azureml://datastores/store/paths/odd/}
			  copy: {type: uri_folder, path: azureml://datastores/store/paths/odd/, mode: download}
		END
		job_run 0 plain
		assert_equal "$out" "I am %2F"
	done
}

@test "names: an input's own path may be odd: a folder, a file" {
	odd_names "$T/odd"
	store_blob put data "$T/odd"
	job_write <<-END
		command: 'cat "\${{inputs.folder}}/ñ 漢字" "\${{inputs.file}}" "\${{inputs.percent}}"'
		inputs:
		  folder: {type: uri_folder, path: azureml://datastores/store/paths/odd/dir with space/ünïcode/}
		  file: {type: uri_file, path: azureml://datastores/store/paths/odd/with space.txt}
		  percent: {type: uri_file, path: azureml://datastores/store/paths/odd/a+b/c+d}
	END
	job_run 0 plain
	assert_equal "$out" "I am dir with space/ünïcode/ñ 漢字
I am with space.txt
I am a+b/c+d"
}

@test "names: folders: virtual, nested, empty with a marker, of a hierarchical account" {
	local account
	echo x >"$T/x"
	for account in "$AZSIM_ACCOUNT" "$AZSIM_HNS_ACCOUNT"; do
		: >"$T/none"
		AZSIM_TO=$account azsim_put data/tree/a/b/c "$T/x"
		if [ "$account" = "$AZSIM_HNS_ACCOUNT" ]; then
			store_use lake
			job_as managed
			azsim_ctl PUT "/_azsim/blob/$account/data/tree/empty?dir=1" "$T/none" >/dev/null
			azsim_ctl PUT "/_azsim/blob/$account/data/tree/full?dir=1" "$T/none" >/dev/null
		else
			azsim_ctl PUT "/_azsim/blob/$account/data/tree/empty?meta.hdi_isfolder=true" "$T/none" >/dev/null
			azsim_ctl PUT "/_azsim/blob/$account/data/tree/full?meta.hdi_isfolder=true" "$T/none" >/dev/null
		fi
		AZSIM_TO=$account azsim_put data/tree/full "$T/x"
		job_of tree "cd \${{inputs.data}} && find . -printf '%y %p\\n' | sort -k2 && ls -A empty | wc -l"
		job_run 0 plain
		assert_equal "$out" "d .
d ./a
d ./a/b
d ./a/b/c
f ./a/b/c/x
d ./empty
d ./full
f ./full/x
0"
	done
}

@test "names: a blob and a folder of one name show as the folder; names that no file can have are hidden" {
	echo x >"$T/x"
	for name in both both/inside 'ok' 'a//b' 'dots/../up' 'dots/fine' './dot'; do
		azsim_ctl PUT "/_azsim/blob/$AZSIM_ACCOUNT/data/strange/$(azsim_path "$name")" "$T/x" >/dev/null
	done
	azsim_ctl PUT "/_azsim/blob/$AZSIM_ACCOUNT/data/strange/$(printf 'y%.0s' $(seq 300))" "$T/x" >/dev/null
	job_of strange 'cd ${{inputs.data}} && find . -type f | sort'
	job_run 0 plain
	assert_equal "$out" "./both/inside
./dots/fine
./ok"
}

# ---- attributes and absence

@test "attributes: a mount is read-only, its files are the caller's, times are the store's" {
	echo x >"$T/x"
	azsim_put data/attr "$T/x"
	script <<-END
		cd \$1
		stat -c '%a %u %F %s' x
		echo y 2>&1 >x | sed 's/.*: //'
		touch new 2>&1 | sed 's/.*: //'
		rm x 2>&1 | sed 's/.*: //'
		mkdir d 2>&1 | sed 's/.*: //'
		[ \$((\$(date +%s) - \$(stat -c %Y x))) -le 120 ] && echo recent
	END
	job_of attr "LC_ALL=C bash $T/script.sh \${{inputs.data}}"
	job_run 0 plain
	assert_equal "$(tail -n +2 <<<"$out")" "Read-only file system
Read-only file system
Read-only file system
Read-only file system
recent"
	[[ "$(head -n 1 <<<"$out")" =~ ^[45][45][45]\ 0\ regular\ file\ 2$ ]]
}

@test "absence: a name that is not there is asked for once at most" {
	echo x >"$T/x"
	azsim_put data/absent "$T/x"
	script_tools
	script <<-END
		. $T/tools.sh
		forget
		for i in 1 2 3 4 5; do
			cat \$1/missing.py \$1/missing.so 2>/dev/null
		done
		[ \$(count service=blob) -le 1 ] && echo few
	END
	job_of absent "sh $T/script.sh \${{inputs.data}}"
	job_run 0 plain
	assert_equal "$out" few
}

# ---- one file as an input

@test "uri_file: mounted: the file, and nothing else of its folder" {
	echo one >"$T/one"
	echo two >"$T/two"
	azsim_put data/single "$T/one" "$T/two"
	job_write <<-END
		command: ls \$(dirname \${{inputs.one}}) && cat \${{inputs.one}}
		inputs:
		  one: {type: uri_file, path: azureml://datastores/store/paths/single/one}
	END
	for how in pid1 plain; do
		job_run 0 $how
		assert_equal "$out" "one
one"
	done
}

@test "uri_file: with a SAS for that blob alone" {
	echo one >"$T/one"
	azsim_put data/single "$T/one"
	job_as key
	job_credentials="credentials: {sas_token: \"$(store_blob sas data/single/one r)\"}"
	for mode in ro_mount download; do
		job_write <<-END
			command: cat \${{inputs.one}}
			inputs:
			  one: {type: uri_file, path: azureml://datastores/store/paths/single/one, mode: $mode}
		END
		job_run 0 plain
		assert_equal "$out" one
	done
}

@test "container: read as a whole, and with a SAS that may list and read it" {
	echo top >"$T/top"
	azsim_put data "$T/top"
	job_credentials="credentials: {sas_token: \"$(store_blob sas data rl)\"}"
	job_write <<-END
		command: cat \${{inputs.all}}/top
		inputs:
		  all: {type: uri_folder, path: azureml://datastores/store/paths/}
	END
	job_run 0 plain
	assert_equal "$out" top
}

# ---- download

@test "download: large and many files, while the service fails now and then" {
	mkdir "$T/copied"
	noise 30000000 "$T/copied/large"
	for i in $(seq 60); do
		noise $((i * 777)) "$T/copied/f$i"
	done
	azsim_put data "$T/copied"
	job_write <<-END
		command: diff -r \${{inputs.data}} $T/copied && echo same
		inputs:
		  data: {type: uri_folder, path: azureml://datastores/store/paths/copied/, mode: download}
	END
	azsim_fault op=GetBlob status=503 code=ServerBusy percent=8
	azsim_fault op=GetBlob truncate=500 percent=8
	azsim_fault op=GetBlob reset=1 percent=8
	job_run 0 plain
	assert_equal "$out" same
}
