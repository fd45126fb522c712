#!/usr/bin/env bats
# Where things end: memory, open files, long names, huge blobs, full disks.  Within the bounds it works; beyond
# them the program that asked gets an errno that says why, and the log one line.
# bats file_tags=root

load helpers
load lib/mounts

setup_file() {
	jobs_begin
}

teardown_file() {
	jobs_end
}

setup() {
	requires_fuse
}

teardown() {
	usage_cleanup
	jobs_cleanup
	[ -z "${SMALL-}" ] || umount -l "$SMALL" 2>/dev/null || true
}

noise() { # SIZE FILE
	head -c "$1" /dev/zero | openssl enc -aes-128-ctr -K "$(printf '%032x' "$1")" \
	    -iv "$(printf '%032x' 0)" >"$2"
}

# ---- memory

@test "memory: 64 readers of three files stay within --memory 64M" {
	local i
	mounts_on azsim
	mkdir "$T/$PREFIX"
	for i in 1 2 3; do
		noise $((90000000 + i)) "$T/$PREFIX/f$i"
	done
	azsim_put data "$T/$PREFIX"
	script <<-END
		for i in 1 2 3; do
			"$TOOLS/preads" "\$1/f\$i" $T/$PREFIX/f\$i \$i 3 7 25 1000000 &
		done
		wait
	END
	job_in "bash $T/script.sh \${{inputs.data}}"
	usage_begin
	job_run 0 plain --memory 64M
	usage_end 64
	assert_equal "$out" "$(printf '525 reads agree\n%.0s' 1 2 3)"
	silent
}

@test "memory: 24 writers at once stay within --memory 64M" {
	mounts_on azsim
	mkdir "$T/ours"
	script <<-END
		for i in \$(seq 24); do
			"$TOOLS/writefile" "\$1/f\$i" \$((9000000 + i * 100000)) >/dev/null || echo "f\$i failed" &
		done
		wait
	END
	job_out "bash $T/script.sh \${{outputs.out}}"
	usage_begin
	job_run 0 plain --memory 64M
	usage_end 64
	assert_equal "$out" ""
	silent
	bash "$T/script.sh" "$T/ours"
	store_holds "$T/ours"
}

# ---- open files

many_script() {
	cat >"$T/many.py" <<-'END'
		import os, resource, sys
		root, how = sys.argv[1:3]
		soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
		resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8192), hard))
		names = ["%s/f%06d" % (root, i) for i in range(int(sys.argv[3]))]
		if how == "read":
		    fds = [os.open(name, os.O_RDONLY) for name in names]
		    first = [os.pread(fd, 100, 0) for fd in fds]
		    for fd in fds:
		        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
		    assert [os.pread(fd, 100, 0) for fd in fds] == first
		    assert all(len(one) == 40 for one in first)
		else:
		    fds = [os.open(name, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o644) for name in names]
		    for i, fd in enumerate(fds):
		        os.write(fd, b"file %d\n" % i)
		    for i, fd in enumerate(fds):
		        assert os.pread(fd, 100, 0) == b"file %d\n" % i
		for fd in fds:
		    os.close(fd)
		print(len(fds))
	END
}

@test "open files: 4,096 at once are read" {
	mounts_on azsim
	azsim_ctl POST "/_azsim/synthetic?account=$AZSIM_ACCOUNT&container=data&name=$PREFIX/f&size=40&count=4096" >/dev/null
	many_script
	script <<<"python3 $T/many.py \"\$1\" read 4096"
	job_in "bash $T/script.sh \${{inputs.data}}"
	usage_begin
	job_run 0 plain --memory 64M
	usage_end 64
	assert_equal "$out" 4096
	silent
}

@test "open files: 4,096 at once are written" {
	mounts_on azsim
	mkdir "$T/ours"
	many_script
	script <<<"python3 $T/many.py \"\$1\" write 4096"
	job_out "bash $T/script.sh \${{outputs.out}}"
	usage_begin
	job_run 0 plain --memory 64M
	usage_end 64
	assert_equal "$out" 4096
	silent
	bash "$T/script.sh" "$T/ours"
	mount_holds "$T/ours"
}

# The job may open files, the mount process may not.
@test "open files: no more descriptors is an errno and a line, and the mount goes on" {
	mounts_on azsim
	script <<-END
		mount=\$($BATS_TEST_DIRNAME/lib/usage.sh | cut -d' ' -f4)
		prlimit --pid "\$mount" --nofile=80:80
		python3 - "\$1" <<-'PY'
			import errno, os, sys
			fds = []
			try:
			    for i in range(200):
			        fds.append(os.open("%s/f%d" % (sys.argv[1], i), os.O_RDWR | os.O_CREAT, 0o644))
			except OSError as e:
			    print(errno.errorcode[e.errno], len(fds) > 20)
			for fd in fds:
			    os.write(fd, b"x")
			    os.close(fd)
			with open(sys.argv[1] + "/after", "w") as f:
			    f.write("fine")
		PY
		cat "\$1/after"
	END
	job_out "bash $T/script.sh \${{outputs.out}}"
	job_run 0 plain
	assert_equal "$out" "EMFILE True
fine"
	assert_equal "$(grep -cE "No file descriptors available|Too many open files" <<<"$err")" 1	# musl, glibc
}

# ---- names

@test "names: 1,024 bytes work; longer ones are ENAMETOOLONG" {
	local store
	for store in azsim lake; do
		mounts_on $store
		script <<-END
			cd "\$1"
			left=\$((1024 - 1 - \${#PREFIX}))
			path=.
			while [ \$left -gt 250 ]; do
				segment=\$(printf 'd%.0s' \$(seq 249))
				mkdir "\$segment"
				cd "\$segment"
				left=\$((left - 250))
			done
			name=\$(printf 'n%.0s' \$(seq \$left))
			echo exactly >"\$name"
			cat "\$name"
			LC_ALL=C bash -c 'echo x >"\$1"' - "\${name}x" 2>&1 | sed 's/.*: //'
			LC_ALL=C mv "\$name" "\${name}x" 2>&1 | sed 's/.*: //'
			LC_ALL=C mkdir "\${name}x" 2>&1 | sed 's/.*: //'
			echo again >"\$name"
			ls | wc -l
		END
		job_out "PREFIX=$PREFIX bash $T/script.sh \${{outputs.out}}"
		job_run 0 plain
		assert_equal "$out" "exactly
File name too long
File name too long
File name too long
1"
		silent
		script <<-END
			cd "\$1"
			find . -type f -printf '%P' | wc -c
			find . -type f -exec cat {} +
		END
		job_in "bash $T/script.sh \${{inputs.data}}"
		job_run 0 plain
		assert_equal "$out" "$((1024 - 1 - ${#PREFIX}))
again"
	done
}

@test "names: what is no UTF-8 is refused when it is made" {
	mounts_on azsim
	script <<-'END'
		cd "$1"
		LC_ALL=C bash -c ': >"$1"' - $'bad\xff' 2>&1 | LC_ALL=C sed 's/.*: //'
		LC_ALL=C mkdir $'\xc3(' 2>&1 | LC_ALL=C sed 's/.*: //'
		ls -A
	END
	job_out "bash $T/script.sh \${{outputs.out}}"
	job_run 0 plain
	assert_equal "$out" "Invalid or incomplete multibyte or wide character
Invalid or incomplete multibyte or wide character"
	silent
}

# ---- a huge blob

@test "size: random places of a blob of 100 GiB" {
	local size=$((100 << 30)) at sas
	mounts_on azsim
	sas=$(store_sas)
	azsim_ctl POST "/_azsim/synthetic?account=$AZSIM_ACCOUNT&container=data&name=$PREFIX/huge&size=$size" >/dev/null
	for at in 0 1 4095 1048575 4294967295 4294967296 99999999999 $((size - 70000)) $((size - 1)); do
		echo $at
	done >"$T/places"
	awk -v size=$size 'BEGIN { srand(11); for (i = 0; i < 30; i++) printf "%.0f\n", rand() * (size - 70000) }' >>"$T/places"
	while read -r at; do
		curl -sf --cacert "$STORE_CA" -r "$at-$((at + 65535))" "$STORE_ENDPOINT/data/$PREFIX/huge?$sas"
	done <"$T/places" | sha256sum >"$T/want"
	script <<-END
		while read -r at; do
			dd if="\$1/huge" bs=65536 count=1 skip="\$at" iflag=skip_bytes,fullblock 2>/dev/null
		done <$T/places | sha256sum
		stat -c %s "\$1/huge"
		dd if="\$1/huge" bs=65536 count=1 skip=$size iflag=skip_bytes 2>/dev/null | wc -c
	END
	job_in "bash $T/script.sh \${{inputs.data}}"
	job_run 0 plain --memory 16M
	assert_equal "$out" "$(cat "$T/want")
$size
0"
	silent
}

# ---- full disks

# A cache on disk is filled to its bound, or to what the disk has: reads go on, and are right.
@test "disk cache: full, and its disk full: reads go on" {
	local flags
	mounts_on azsim
	SMALL=$T/job/cache
	mkdir -p "$SMALL" "$T/$PREFIX"
	mount -t tmpfs -o size=48m none "$SMALL"
	noise 60000001 "$T/$PREFIX/one"
	noise 50000001 "$T/$PREFIX/two"
	azsim_put data "$T/$PREFIX"
	script <<-END
		for i in 1 2; do
			for f in one two; do
				cmp "\$1/\$f" $T/$PREFIX/\$f && echo same
				dd if="\$1/\$f" iflag=nocache count=0 2>/dev/null
			done
		done
	END
	for flags in 20M 1G; do
		job_in "bash $T/script.sh \${{inputs.data}}"
		job_run 0 plain --memory 16M --disk-cache $flags
		assert_equal "$out" "$(printf 'same\n%.0s' 1 2 3 4)"
		[ "$(df --output=used -B1M "$SMALL" | tail -n 1)" -le 48 ]
	done
}
