#!/usr/bin/env bats
# What mounts say of files besides their bytes: owners, times, links, extended attributes, options;
# names and directories of any size.
# bats file_tags=root

load helpers
load lib/jobs

setup_file() {
	jobs_begin
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

# in_of FOLDER, out_of FOLDER: the job's script, from stdin, gets it mounted as its first word.
in_of() {
	cat >"$T/script.sh"
	job_write <<-END
		command: bash $T/script.sh \${{inputs.data}}
		inputs:
		  data: {type: uri_folder, path: azureml://datastores/store/paths/$1/}
	END
}

out_of() {
	cat >"$T/script.sh"
	job_write <<-END
		command: bash $T/script.sh \${{outputs.out}}
		outputs:
		  out: {type: uri_folder, path: azureml://datastores/store/paths/$1/}
	END
}


@test "read-only: refused by the kernel, and by the mount when root remounts it writable" {
	echo text >"$T/file"
	azsim_put data/ro "$T/file"
	in_of ro <<-'END'
		file=$1/file
		refuses() { LC_ALL=C "$@" 2>&1 | grep -q 'Read-only file system' && echo "refused: $1" || "$@"; }
		all() {
			refuses touch $1/new
			refuses mkdir $1/dir
			refuses rm $file
			refuses mv $file $1/other
			refuses ln -s x $1/link
			refuses ln $file $1/hard
			refuses chmod 777 $file
			refuses truncate -s 1 $file
			refuses dd if=/dev/zero of=$file count=1 conv=notrunc
			refuses python3 -c "import os; os.setxattr('$file', 'user.mime_type', b'text/plain')"
			refuses python3 -c "import os; os.removexattr('$file', 'user.mime_type')"
		}
		all $1
		grep " $1 " /proc/self/mountinfo | grep -o 'nosuid,nodev'
		mount -i -o remount,rw $1 && echo remounted
		all $1
	END
	job_run 0 plain
	assert_equal "$(grep -c '^refused' <<<"$out")" 22
	assert_in "$out" "nosuid,nodev
remounted"
}

@test "options: owner, group, umask; others kept out" {
	echo text >"$T/file"
	azsim_put data/opt "$T/file"
	in_of opt <<-'END'
		stat -c '%u %g %a' $1 $1/file
	END
	job_run 0 plain --uid 4321 --gid 8765 --umask 0127
	assert_equal "$out" "4321 8765 450
4321 8765 450"
	in_of opt <<-'END'
		LC_ALL=C ls $1 2>&1 | sed 's/.*: //'
		setpriv --reuid 4321 --regid 8765 --clear-groups --inh-caps +dac_read_search \
		    --ambient-caps +dac_read_search cat $1/file
	END
	job_run 0 plain --uid 4321 --gid 8765 --allow-other=no
	assert_equal "$out" "Permission denied
text"
}

@test "options: --attr-ttl bounds what is believed, --io-timeout what is waited for" {
	echo one >"$T/file"
	azsim_put data/ttl "$T/file"
	echo three >"$T/file"
	in_of ttl <<-END
		cat \$1/file
		"$AZSIM" ctl $AZSIM_PORT PUT /_azsim/blob/$AZSIM_ACCOUNT/data/ttl/file $T/file >/dev/null
		[ -z "\$2" ] || sleep 0.2
		cat \$1/file
	END
	job_run 0 plain --attr-ttl never
	assert_equal "$out" "one
one"
	for flags in "--attr-ttl 100ms" "--attr-ttl 0"; do
		echo one >"$T/file"
		azsim_put data/ttl "$T/file"
		echo three >"$T/file"
		sed -i 's/script.sh \(.*\)/script.sh \1 later/' "$JOB/job.yml"
		# shellcheck disable=SC2086 # two words
		job_run 0 plain $flags
		assert_equal "$out" "one
three"
	done
	in_of ttl <<-END
		"$AZSIM" ctl $AZSIM_PORT POST '/_azsim/fault?op=GetBlob&status=503&code=ServerBusy' >/dev/null
		LC_ALL=C cat \$1/file 2>&1 | sed 's/.*: //'
	END
	job_run 0 plain --io-timeout 1s
	assert_equal "$out" "Input/output error"
}

@test "tuning: Azure ML's variables, from the job and its surroundings; flags win; the plan says so" {
	in_of tune <<<'true'
	cat >>"$JOB/job.yml" <<-'END'
		environment_variables:
		  DATASET_MOUNT_ATTRIBUTE_CACHE_TTL: "5000"
		  DATASET_MOUNT_MEMORY_CACHE_SIZE: 512MB
		  DATASET_UNMOUNT_TIMEOUT_SECONDS: "60"
	END
	job_env+=(DATASET_MOUNT_ATTRIBUTE_CACHE_TTL=7000 DATASET_MOUNT_READ_THREADS=many RSLEX_DOWNLOADER_THREADS=9)
	job_run 0 plain --dry-run --memory 64M
	assert_in "$out" "tuning     memory 64 MiB (--memory), download-connections 9 (RSLEX_DOWNLOADER_THREADS)"
	assert_in "$(tr -s ' \n' ' ' <<<"$out")" "attr-ttl 5 s (DATASET_MOUNT_ATTRIBUTE_CACHE_TTL)"
	assert_in "$out" 'DATASET_MOUNT_READ_THREADS is "many"'
	assert_in "$out" "DATASET_UNMOUNT_TIMEOUT_SECONDS: ignored"
	job_run 0 plain --dry-run --json
	assert_equal "$(python3 -c 'import json, sys; t = json.load(sys.stdin)["tuning"]; print(t["memory"], t["io-timeout"])' <<<"$out")" \
	    "{'value': 603979776, 'from': 'DATASET_MOUNT_MEMORY_CACHE_SIZE'} {'value': 300000, 'from': 'default'}"
}

@test "links: shown, read, made, moved, removed; an input's lead nowhere else" {
	mkdir -p "$T/tree/sub"
	echo text >"$T/tree/sub/file"
	printf 'sub/file' >"$T/tree/good"
	printf '../sub/file' >"$T/tree/sub/up"
	printf '/etc/passwd' >"$T/tree/bad"
	printf '../../x' >"$T/tree/sub/bad"
	printf 'good/../../x' >"$T/tree/bad2"
	azsim_put data "$T/tree"
	for link in good sub/up bad sub/bad bad2; do
		store_blob set "data/tree/$link" text/plain is_symlink=true
	done
	in_of tree <<-'END'
		cd $1
		cat good sub/up
		stat -c '%F %s %N' good
		for link in bad sub/bad bad2; do
			LC_ALL=C readlink -v $link 2>&1 | sed 's/.*: //'
		done
	END
	job_run 0 plain
	assert_equal "$out" "text
text
symbolic link 8 'good' -> 'sub/file'
Operation not permitted
Operation not permitted
Operation not permitted"
	assert_in "$err" "leads out of the input"
	out_of tree <<-'END'
		cd $1
		readlink bad
		ln -s sub new
		cat new/file
		LC_ALL=C ln -s x new/file 2>&1 | sed 's/.*: //'
		mv new moved
		rm good
		tar -cf - moved bad | tar -tvf - | awk '{ print $1 != "" ? substr($1, 1, 1) : "", $(NF - 2), $NF }'
		git init -q repo && cd repo && ln -s ../moved link && git add link &&
		    git -c user.name=a -c user.email=a@b.c commit -qm one && git ls-files -s | cut -c1-6
	END
	job_run 0 plain
	assert_equal "$out" "/etc/passwd
text
File exists
l moved sub
l bad /etc/passwd
120000"
	assert_in "$(store_blob stat data/tree/moved)" '"is_symlink": "true"'
	assert_equal "$(azsim_get data/tree/moved)" sub
	refute azsim_get data/tree/good
	assert_equal "$(azsim_get data/tree/repo/link)" ../moved
}

@test "extended attributes: read without a request, set, removed, kept when the file is edited" {
	mkdir "$T/x"
	echo text >"$T/x/file"
	echo text >"$T/x/other"
	azsim_put data "$T/x"
	store_blob set data/x/file text/csv author=ann reviewed=yes
	cat >"$T/x.py" <<-'END'
		import errno, os, sys
		f = sys.argv[1] + "/" + sys.argv[2]
		for word in sys.argv[3:]:
		    name, sign, value = word.partition("=")
		    try:
		        if name == "list":
		            print(*sorted(os.listxattr(f)))
		        elif sign and value:
		            os.setxattr(f, name, value.encode())
		        elif sign:
		            os.removexattr(f, name)
		        else:
		            print(name, os.getxattr(f, name).decode())
		    except OSError as e:
		        print(name, errno.errorcode[e.errno])
	END
	in_of x <<-END
		ls \$1 >/dev/null
		"$AZSIM" ctl $AZSIM_PORT DELETE /_azsim/log >/dev/null
		python3 $T/x.py \$1 file list user.mime_type user.azure.meta.AUTHOR user.azure.tier user.none security.selinux
		python3 $T/x.py \$1 other list user.mime_type
		ls -l \$1 | wc -l
		"$AZSIM" ctl $AZSIM_PORT GET '/_azsim/log?count=1&service=blob'
	END
	job_run 0 plain
	assert_equal "$out" "user.azure.etag user.azure.meta.author user.azure.meta.reviewed user.azure.tier user.mime_type
user.mime_type text/csv
user.azure.meta.AUTHOR ann
user.azure.tier Hot
user.none ENODATA
security.selinux ENOTSUP
user.azure.etag user.azure.tier user.mime_type
user.mime_type application/octet-stream
3
0"
	out_of x <<-END
		x() { python3 $T/x.py \$1 "\${@:2}"; }
		x \$1 file user.mime_type=text/plain user.azure.meta.author=bob user.azure.meta.Reviewed= user.azure.meta.size=9 \
		    user.azure.meta.is_symlink=true user.azure.etag=x user.azure.meta.a-b=c user.other=x user.azure.meta.gone=
		cat \$1/file
		echo more >>\$1/file
		echo new >\$1/new
		x \$1 new user.mime_type=text/html user.azure.meta.k=v
		(exec 3>\$1/open; echo data >&3; x \$1 open user.mime_type=a/b)
		echo data >\$1/plain
	END
	job_run 0 plain
	assert_equal "$out" "user.azure.meta.is_symlink EPERM
user.azure.etag EPERM
user.azure.meta.a-b EINVAL
user.other ENOTSUP
user.azure.meta.gone ENODATA
text"
	stat=$(store_blob stat data/x/file)
	assert_in "$stat" '"contentType": "text/plain"'
	assert_equal "$(grep -A3 '"metadata"' <<<"$stat" | tr -d ' \n')" '"metadata":{"author":"bob","size":"9"},'
	assert_equal "$(azsim_get data/x/file)" "text
more"
	stat=$(store_blob stat data/x/new)
	assert_in "$stat" '"contentType": "text/html"'
	assert_in "$stat" '"k": "v"'
	assert_in "$(store_blob stat data/x/open)" '"contentType": "a/b"'
	out_of x <<<"python3 $T/x.py \$1 plain user.azure.md5 user.mime_type=c/d"
	job_run 0 plain
	md5="user.azure.md5 $(printf 'data\n' | openssl md5 -binary | base64)"
	assert_equal "$out" "$md5"
	in_of x <<<"python3 $T/x.py \$1 plain user.azure.md5 user.mime_type"
	job_run 0 plain
	assert_equal "$out" "$md5
user.mime_type c/d"
}

@test "extended attributes, links: a change whose answer is lost has happened, and is not an error" {
	mkdir "$T/x"
	echo text >"$T/x/file"
	azsim_put data "$T/x"
	azsim_fault op=SetBlobMetadata lose=1 count=1 >/dev/null
	azsim_fault op=SetBlobProperties lose=1 count=1 >/dev/null
	azsim_fault op=PutBlob lose=1 count=1 >/dev/null
	cat >"$T/lost.py" <<-'END'
		import os, sys
		f = open(sys.argv[1] + "/file", "a")
		os.setxattr(f.name, "user.azure.meta.key", b"value")
		os.setxattr(f.name, "user.mime_type", b"text/csv")
		os.symlink("file", sys.argv[1] + "/link")
		f.write("more\n")
		f.close()
	END
	out_of x <<-END
		python3 $T/lost.py \$1
	END
	job_run 0 plain
	assert_equal "$(azsim_get data/x/file)" "text
more"
	assert_in "$(store_blob stat data/x/file)" '"key": "value"'
	assert_in "$(store_blob stat data/x/file)" text/csv
	assert_equal "$(azsim_get data/x/link)" file
	azsim_assert 3 service=blob fault=true
}

@test "times: one that was set before the bytes went out is there in the next mount" {
	out_of times <<-'END'
		python3 - $1/before <<-PY
			import os, sys
			with open(sys.argv[1], "w") as f:
			    f.write("x")
			    f.flush()
			    os.utime(f.fileno(), ns=(0, 981173106789000000))
		PY
		echo y >src-$$ && touch -d '2002-02-03T04:05:06.5Z' src-$$ && cp -p src-$$ $1/copied && rm src-$$
		echo z >$1/after
		touch -d '2003-01-01T00:00:00Z' $1/after
		chmod 640 $1/after
		TZ=UTC stat -c '%y %a' $1/after
	END
	job_run 0 plain
	assert_equal "$out" "2003-01-01 00:00:00.000000000 +0000 640"
	in_of times <<-'END'
		cd $1
		TZ=UTC stat -c '%n %y' before copied
		[ "$(stat -c %Y after)" -gt 1700000000 ] && echo now
	END
	job_run 0 plain
	assert_equal "$out" "before 2001-02-03 04:05:06.789000000 +0000
copied 2002-02-03 04:05:06.500000000 +0000
now"
}

@test "locks: flock and fcntl, between processes; O_EXCL; numbers that stay" {
	echo text >"$T/file"
	azsim_put data/lock "$T/file"
	cat >"$T/lock.py" <<-'END'
		import fcntl, os, sys
		path = sys.argv[1] + "/file"
		a = open(path, sys.argv[2])
		kind = fcntl.LOCK_SH if sys.argv[2] == "r" else fcntl.LOCK_EX
		for lock in fcntl.flock, fcntl.lockf:
		    lock(a, kind)
		    if os.fork() == 0:
		        b = open(path, "r+" if sys.argv[2] == "r+" else "r")
		        try:
		            lock(b, (fcntl.LOCK_EX if sys.argv[2] == "r+" else fcntl.LOCK_SH) | fcntl.LOCK_NB)
		            print("taken", flush=True)
		        except BlockingIOError:
		            print("busy", flush=True)
		        os._exit(0)
		    os.wait()
		    lock(a, fcntl.LOCK_UN)
		print(os.stat(path).st_ino, os.stat(path).st_nlink)
	END
	in_of lock <<<"python3 $T/lock.py \$1 r"
	job_run 0 plain
	read_only=$out
	assert_in "$out" "taken
taken
"
	out_of lock <<-END
		python3 $T/lock.py \$1 r+
		LC_ALL=C bash -c "set -C; echo x >\$1/file" 2>&1 | sed 's/.*: //'
		for i in 1 2 3 4; do (set -C; echo \$i >\$1/one) 2>/dev/null && echo won; done
		df --output=target \$1 | tail -n 1
	END
	job_run 0 plain
	assert_equal "$out" "busy
busy
${read_only##*$'\n'}
cannot overwrite existing file
won
$JOB/mnt/outputs/out"
}

@test "names: odd ones in a writable mount: made, read back by another mount, as they are in the store" {
	cat >"$T/names.py" <<-'END'
		import os, sys
		top, mode = sys.argv[1].encode(), sys.argv[2]
		names = [b"a b", b" lead", b"trail ", b"dot.", b"...", b"50%", b"%41", b"#?&+=;", b"q\"'", b"\\back\\slash",
		    "æøå 漢字 \U0001f600".encode(), b"n" * 255, "é".encode() * 127, b"-f", b"*[x]", b"$HOME", b"&amp;<x>", b"~"]
		deep = b"/".join([b"d" * 200] * 4 + [b"leaf"])
		if mode == "make":
		    os.makedirs(os.path.join(top, os.path.dirname(deep)))
		    for n in names + [deep]:
		        with open(os.path.join(top, n), "wb") as f:
		            f.write(n)
		    for bad, why in ((b"n" * 256, "File name too long"), (b"x" * 250 + b"/" + b"y", "No such file")):
		        try:
		            open(os.path.join(top, bad), "wb")
		            print("made", bad)
		        except OSError as e:
		            assert why in e.strerror, e
		got = sorted(os.listdir(top))
		want = sorted(names + [b"d" * 200])
		assert got == want, set(got) ^ set(want)
		for n in names + [deep]:
		    assert open(os.path.join(top, n), "rb").read() == n, n
		print("all", len(names))
	END
	out_of odd <<<"LC_ALL=C.UTF-8 python3 $T/names.py \$1 make"
	job_run 0 plain
	assert_equal "$out" "all 18"
	in_of odd <<<"LC_ALL=C.UTF-8 python3 $T/names.py \$1 read"
	job_run 0 plain
	assert_equal "$out" "all 18"
	assert_equal "$(azsim_get 'data/odd/%41')" '%41'
	assert_equal "$(azsim_get 'data/odd/\back\slash')" '\back\slash'
}

@test "large: 150,000 names in bounded memory, read-only and writable; lookups; changes" {
	azsim_ctl POST "/_azsim/synthetic?account=$AZSIM_ACCOUNT&container=data&name=large/f&size=11&count=150000" >/dev/null
	cat >"$T/tools.sh" <<-'END'
		peak() {
			for pid in $(pgrep -P "$(sed -n 's/^PPid:[^0-9]*//p' /proc/$$/status)"); do
				case $(cat /proc/$pid/comm) in
				amlshim:mount*) sed -n 's/^VmHWM:[^0-9]*\([0-9]*\).*/\1/p' /proc/$pid/status ;;
				esac
			done
		}
	END
	in_of large <<-END
		. $T/tools.sh
		ls -U \$1 | sort -u | wc -l
		stat -c '%s %F' \$1/f149999
		[ ! -e \$1/f150000 ] && cat \$1/f077777 | wc -c
		peak
	END
	job_run 0 plain --memory 16M
	assert_equal "$(head -n 3 <<<"$out")" "150000
11 regular file
11"
	echo "resident at most: $(tail -n 1 <<<"$out") KiB"
	[ "$(tail -n 1 <<<"$out")" -le $(((16 + 16 + ${USAGE_REST_MIB:-40}) * 1024)) ]
	out_of large <<-END
		ls -U \$1 | wc -l
		echo new >\$1/new
		rm \$1/f000007 \$1/f149998
		mv \$1/f000009 \$1/g
		ls -U \$1 >$T/names
		wc -l <$T/names
		grep -cx -e new -e g -e f000007 -e f149998 -e f000009 $T/names
		LC_ALL=C rmdir \$1 2>&1 | sed 's/.*: //'
	END
	job_run 0 plain --memory 16M
	assert_equal "$out" "150000
149999
2
Device or resource busy"
}

@test "stats: at the end with --stats, at once on SIGUSR1 to the mount; small writes cost no other question" {
	echo text >"$T/file"
	azsim_put data/stats "$T/file"
	out_of stats <<-'END'
		trap 'echo "the job got its own"' USR1
		cat $1/file
		python3 - $1/many <<-PY
			import os, sys
			f = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT)
			for i in range(200):
			    os.write(f, b"x" * 100)
			os.close(f)
		PY
		for pid in $(pgrep -P $PPID); do
			case $(cat /proc/$pid/comm) in amlshim:mount*) kill -USR1 $pid ;; esac
		done
		kill -USR1 $PPID
		until grep -q 'stats: requests' ERR; do sleep 0.05; done
	END
	sed -i "s|ERR|$T/err|" "$T/script.sh"
	job_run 0 plain --stats
	assert_equal "$out" "text
the job got its own"
	stats=$(grep -o 'stats: .*' <<<"$err")
	assert_equal "$(wc -l <<<"$stats")" 8
	assert_in "$stats" "written-bytes 20000"
	[ "$(sed -n 's/.*xattrs \([0-9]*\).*/\1/p' <<<"$stats" | tail -n 1)" -le 10 ]
	assert_in "$stats" '"upload" 1'
	assert_in "$stats" 'first-byte-p50-ms'
	assert_in "$stats" 'stats: pool fetches'
}
