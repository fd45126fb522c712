#!/usr/bin/env bats
# What docs/SEMANTICS.md promises of a mount, on a flat account, a hierarchical one and Azurite: random
# operations against a model, fio's verification, and cases one by one.
# bats file_tags=root

load helpers
load lib/mounts

FSX_SEED=${FSX_SEED:-20261128}
FSX_COUNT=${FSX_COUNT:-18000}

setup_file() {
	jobs_begin azurite
}

teardown_file() {
	jobs_end
}

setup() {
	requires_fuse
	run_flags=()
}

teardown() {
	usage_cleanup
	jobs_cleanup
	[ -z "${SMALL-}" ] || umount -l "$SMALL" 2>/dev/null || true
}

# fsx STORE COUNT [FLAG...]: threads, then what is left compared in three ways.
fsx_on() {
	local store=$1 count=$2 how=$3
	shift 3
	mounts_on "$store"
	mkdir -p "$T/ours"
	usage_begin
	script <<-END
		${before_fsx-}
		"$TOOLS/fsx" -s $FSX_SEED -n $count -o $T/ours $* "\$1"
	END
	job_out "bash -e $T/script.sh \${{outputs.out}}"
	job_run 0 "$how" --memory 64M "${run_flags[@]}"
	usage_end 64
	printf '# %s\n' "${out//$'\n'/$'\n# '}" >&3
	fetches=$(azsim_count op=GetBlob)
	echo "# $fetches reads of blobs" >&3
	silent
	[ -n "${SMALL-}" ] || job_left_nothing
	store_holds "$T/ours"
	mount_holds "$T/ours"
}

@test "fsx: random operations on a flat account" {
	fsx_on azsim "$FSX_COUNT" plain -t 6 -Z 9000000
}

@test "fsx: random operations on a hierarchical account" {
	fsx_on lake $((FSX_COUNT * 3 / 4)) pid1 -t 6 -Z 9000000
}

# Larger files, so that blocks are on their way while all else goes on.
@test "fsx: random operations on large files, uploaded behind" {
	run_flags=(--write-behind)
	fsx_on azsim $((FSX_COUNT / 40)) plain -t 4 -f 4 -z 12000000 -c 10
}

# The mount keeps an eighth of what is free at its start: a megabyte.  What was uploaded is soon dropped, and
# fetched again when it is read or changed.
@test "fsx: random operations with little room for staged files" {
	mounts_on azsim
	SMALL=$T/job/cache
	mkdir -p "$SMALL"
	mount -t tmpfs -o size=400m none "$SMALL"
	head -c $((392 << 20)) /dev/zero >"$SMALL/filler"
	before_fsx="rm $SMALL/filler;"
	fsx_on azsim $((FSX_COUNT / 5)) pid1 -t 4 -f 16 -z 400000 -c 20
	[ "$fetches" -ge $((FSX_COUNT / 100)) ]
}

@test "fsx: random operations on Azurite" {
	fsx_on azurite $((FSX_COUNT / 15)) plain -t 4
}

# ---- case by case

# posix STORE: all cases on a new mount; then what they left, in a second one.
posix_on() {
	mounts_on "$1"
	script <<-END
		"$TOOLS/posix" "\$1"
		mkdir -p "\$1/kept/empty"
		: >"\$1/kept/zero"
	END
	job_out "bash -e $T/script.sh \${{outputs.out}}"
	job_run 0 "$2"
	assert_equal "$(grep -vc '^ok ' <<<"$out")" 0
	assert_equal "$(wc -l <<<"$out")" "$("$TOOLS/posix" -l | grep -vc '^readonly$')"
	silent
	job_left_nothing
	script <<-END
		cd "\$1"
		[ "\$(stat -c '%F %s' kept/zero)" = 'regular empty file 0' ] && [ -z "\$(ls -A kept/empty)" ]
		[ "\$(ls append-together visible vectors)" = "\$(printf '%s\n' append-together: log '' vectors: file '' visible: file)" ]
		[ "\$(cat rename-open/final rename-open/tmp)" = 'before afterother' ]
		[ "\$(cat rename-directory/empty/top rename-directory/sub/file)" = tDeep ]
		[ "\$(readlink symlink/kept) \$(cat symlink/kept)" = 'file text' ]
		[ "\$(python3 -c 'import os; print(os.getxattr("xattr/file", "user.azure.meta.note").decode())')" = kept ]
		[ "\$(wc -c <holes/file) \$(wc -l <append-together/log)" = '3 400' ]
	END
	job_in "bash -e $T/script.sh \${{inputs.data}}"
	job_run 0 "$2"
}

@test "posix: case by case on a flat account" {
	posix_on azsim plain
}

@test "posix: case by case on a hierarchical account" {
	posix_on lake pid1
}

@test "posix: case by case on Azurite" {
	posix_on azurite plain
}

@test "posix: a read-only mount refuses all that would change it" {
	mounts_on azsim
	mkdir -p "$T/$PREFIX/dir"
	echo x >"$T/$PREFIX/file"
	echo x >"$T/$PREFIX/dir/file"
	azsim_put data "$T/$PREFIX"
	job_in "$TOOLS/posix \${{inputs.data}} readonly"
	job_run 0 plain
	assert_equal "$out" "ok readonly"
}

# ---- fio

# Every block carries a checksum, and is read back when all were written; the files are kept.
fio_jobs() { # DIR KIND: write | read
	cat <<-END
		[global]
		directory=$1
		ioengine=psync
		fallocate=none
		verify=crc32c
		verify_fatal=1
		verify_state_save=0
		randrepeat=1
		create_serialize=0
		unlink=0
		[sequential]
		filename=sequential
		rw=$2
		bs=1m
		size=${FIO_MIB}m
		end_fsync=1
		[small]
		filename=small
		rw=rand$2
		bs=4k
		size=$((FIO_MIB / 4))m
		[patched]
		filename=patched
		rw=rand$2
		bs=64k
		size=$((FIO_MIB / 2))m
		fsync=$([ "$2" = write ] && echo 64 || echo 0)
		[mapped]
		filename=mapped
		ioengine=mmap
		rw=rand$2
		bs=4k
		size=$((FIO_MIB / 8))m
	END
}

fio_on() { # STORE HOW MIB
	local FIO_MIB=$3
	mounts_on "$1"
	usage_begin
	fio_jobs out write >"$T/write.fio"
	script <<-END
		sed "s|^directory=.*|directory=\$1|" $T/\$2.fio >$T/this.fio
		fio --minimal --output=$T/fio.out $T/this.fio || cat $T/fio.out
		ls -A "\$1" | tr '\n' ' '
	END
	job_out "bash $T/script.sh \${{outputs.out}} write"
	job_run 0 "$2" --memory 64M
	assert_equal "$out" "mapped patched sequential small "
	silent
	job_left_nothing
	fio_jobs out read >"$T/read.fio"
	job_in "bash $T/script.sh \${{inputs.data}} read"
	job_run 0 "$2" --memory 64M
	assert_equal "$out" "mapped patched sequential small "
	silent
	usage_end 64
}

@test "fio: verified on a flat account, and again after remount" {
	fio_on azsim plain 64
}

@test "fio: verified on a hierarchical account, and again after remount" {
	fio_on lake pid1 64
}

@test "fio: verified on Azurite, and again after remount" {
	fio_on azurite plain 16
}

# ---- others, who write to the same store

# What was not read before is gone: an errno, never other bytes.
@test "others: a file that is only read, deleted or replaced by a rename here, is ESTALE where it was not read yet" {
	local store
	for store in azsim lake; do
		mounts_on $store
		mkdir -p "$T/$PREFIX"
		for f in deleted replaced; do
			"$TOOLS/writefile" "$T/$PREFIX/$f" 40000000 >/dev/null
		done
		AZSIM_TO=$STORE_ACCOUNT azsim_put data "$T/$PREFIX"
		cat >"$T/stale.py" <<-'END'
			import errno, os, sys
			root, copy = sys.argv[1:]
			for name in "deleted", "replaced":
			    fd = os.open(root + "/" + name, os.O_RDONLY)
			    mine = os.open(copy + "/" + name, os.O_RDONLY)
			    assert os.pread(fd, 5000, 0) == os.pread(mine, 5000, 0)
			    if name == "deleted":
			        os.remove(root + "/" + name)
			    else:
			        with open(root + "/new", "w") as f:
			            f.write("new")
			        os.rename(root + "/new", root + "/replaced")
			    try:
			        os.pread(fd, 5000, 30000000)
			        print("read")
			    except OSError as e:
			        print(errno.errorcode[e.errno])
			    os.close(fd)
			print(sorted(os.listdir(root)), open(root + "/replaced").read())
		END
		script <<<"python3 $T/stale.py \"\$1\" $T/$PREFIX"
		job_out "bash $T/script.sh \${{outputs.out}}"
		job_run 0 plain
		assert_equal "$out" "ESTALE
ESTALE
['replaced'] new"
		printf new >"$T/new"
		store_has "$PREFIX/replaced" "$T/new"
	done
}

@test "others: O_EXCL, and somebody else is first to upload: EEXIST at close, theirs stays, ours is kept and named" {
	local kept
	mounts_on azsim
	echo theirs >"$T/f"
	script <<-END
		python3 - "\$1" <<-'PY'
			import errno, os, sys, urllib.request
			fd = os.open(sys.argv[1] + "/f", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
			os.write(fd, b"ours")
			urllib.request.urlopen(urllib.request.Request("http://127.0.0.1:$AZSIM_PORT/_azsim/blob/"
			    "$AZSIM_ACCOUNT/data/$PREFIX/f", data=b"theirs\\n", method="PUT"))
			try:
			    os.close(fd)
			    print("closed")
			except OSError as e:
			    print(errno.errorcode[e.errno])
		PY
	END
	job_out "bash $T/script.sh \${{outputs.out}}"
	job_run 123 plain
	assert_equal "$out" EEXIST
	store_has "$PREFIX/f" "$T/f"
	kept=$(grep -o "$JOB/cache/[^ ;:]*" <<<"$err" | head -n 1)
	assert_equal "$(cat "$kept")" ours
}

@test "others: two mounts write whole files of one name: the last to close wins, and no file is a mix" {
	local store
	for store in azsim lake; do
		mounts_on $store
		job_write <<-END
			command: bash $T/script.sh \${{outputs.one}} \${{outputs.two}}
			outputs:
			  one: {type: uri_folder, path: azureml://datastores/store/paths/$PREFIX/, mode: rw_mount}
			  two: {type: uri_folder, path: azureml://datastores/store/paths/$PREFIX/, mode: rw_mount}
		END
		script <<-'END'
			write() { # DIR TEXT
				for i in $(seq 20); do
					yes "$2 $i" | head -n $((i * 5000)) >"$1/f"
				done
			}
			write "$1" one &
			write "$2" two &
			wait
			python3 - "$1/last" "$2/last" <<-'PY'
				import sys
				one, two = open(sys.argv[1], "w"), open(sys.argv[2], "w")
				one.write("one\n")
				two.write("two\n")
				two.close()
				one.close()
			PY
		END
		job_run 0 plain
		silent
		store_blob get "data/$PREFIX/f" "$T/f"
		assert_equal "$(sort -u "$T/f" | wc -l) $(wc -l <"$T/f")" "1 100000"
		echo one >"$T/last"
		store_has "$PREFIX/last" "$T/last"
	done
}

# ---- the table

@test "docs/SEMANTICS.md: each check that it names exists, and it names each case" {
	local check doc=$BATS_TEST_DIRNAME/../docs/SEMANTICS.md names
	sed -n '/^<!-- promises/,/^<!-- end of promises/p' "$doc" >"$BATS_TEST_TMPDIR/table"
	names=$("$TOOLS/posix" -l)
	while IFS= read -r check; do
		case $check in
		posix\ *) grep -qxF "${check#posix }" <<<"$names" || { echo "no such case: $check"; return 1; } ;;
		[0-9][0-9]:\ *)
			grep -qF "@test \"${check#*: }" "$BATS_TEST_DIRNAME/${check%%:*}"-*.bats ||
			    { echo "no such test: $check"; return 1; } ;;
		esac
	done < <(grep -o '`[^`]*`' "$BATS_TEST_TMPDIR/table" | tr -d '`')
	for check in $names; do
		[ "$check" = readonly ] || grep -qF "\`posix $check\`" "$BATS_TEST_TMPDIR/table" ||
		    { echo "not in the table: $check"; return 1; }
	done
}
