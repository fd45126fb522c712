#!/usr/bin/env bats
# Programs of everyday use on mounts: git, tar, SQLite, zipfile, numpy, a trainer's checkpoints.  What they
# left is byte for byte there after a remount.
# bats file_tags=root

load helpers
load lib/mounts

# Debian's, which has numpy: another may be first in the path.
PYTHON=/usr/bin/python3

setup_file() {
	jobs_begin azurite
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
}

# program HOW: the script runs on a new mount ($1) and on a local directory; what is there after a remount is
# the same, and what the official client finds.
program() {
	mkdir -p "$T/ours"
	usage_begin
	job_out "bash -e $T/script.sh \${{outputs.out}}"
	job_run 0 "$1" --memory 64M
	usage_end 64
	silent
	job_left_nothing
	bash -e "$T/script.sh" "$T/ours" >/dev/null
	[ -n "${too_many-}" ] || store_holds "$T/ours"
	mount_holds "$T/ours"
}

# ---- git

# A few hundred files, three branches, a tag, packed references.
make_repository() { # DIR
	local i branch
	git init -q -b main "$1"
	git -C "$1" config user.name Test
	git -C "$1" config user.email test@test.local
	for branch in main one two; do
		[ $branch = main ] || git -C "$1" checkout -q -b $branch main
		for i in $(seq 80); do
			mkdir -p "$1/$branch/d$((i % 9))"
			seq "$i" $((i * 7)) >"$1/$branch/d$((i % 9))/f$i"
		done
		git -C "$1" add .
		git -C "$1" commit -qm "$branch"
	done
	git -C "$1" checkout -q main
	git -C "$1" tag v1
	git -C "$1" pack-refs --all
	git -C "$1" gc -q
}

# Clone it onto the mount, work there, clone the result from a second, read-only mount.  The store keeps no
# modes: git is told not to look at them.
git_on() {
	mounts_on "$1"
	make_repository "$T/repository"
	script <<-END
		export GIT_AUTHOR_NAME=A GIT_AUTHOR_EMAIL=a@b GIT_COMMITTER_NAME=A GIT_COMMITTER_EMAIL=a@b
		git clone -q -c core.fileMode=false file://$T/repository "\$1/clone"
		cd "\$1/clone"
		git checkout -q two
		[ "\$(find . -name .git -prune -o -type f -print | wc -l)" = 160 ]
		git merge -q -m merged origin/one
		git rm -q -r main/d1
		git mv two/d2 two/moved
		echo more >>one/d0/f9
		git add . && git commit -qm work
		git branch topic && git pack-refs --all && git gc -q
		git status --porcelain
		git fsck --no-progress 2>&1
		git rev-parse 'HEAD^{tree}'
	END
	usage_begin
	job_out "bash -e $T/script.sh \${{outputs.out}}"
	job_run 0 "$2" --memory 64M
	usage_end 64
	tree=$out
	silent
	job_left_nothing
	script <<-END
		cd "\$1/clone"
		export GIT_OPTIONAL_LOCKS=0
		git fsck --no-progress 2>&1
		git clone -q -b two "\$1/clone" $T/again
		git -C $T/again rev-parse 'HEAD^{tree}'
	END
	job_in "bash -e $T/script.sh \${{inputs.data}}"
	job_run 0 "$2"
	assert_equal "$out" "$tree"
	# The same work on a local disk ends in the same tree.
	[ "$(git -C "$T/again" ls-files | wc -l)" -eq $((240 - 9)) ]
	[ -z "$(git -C "$T/again" status --porcelain)" ]
}

@test "git: clone, work and clone again: flat" {
	git_on azsim plain
}

@test "git: clone, work and clone again: hierarchical" {
	git_on lake pid1
}

@test "git: clone, work and clone again: Azurite" {
	git_on azurite plain
}

# ---- tar

tar_on() { # STORE HOW FILES
	mounts_on "$1"
	mkdir "$T/tree"
	awk -v dir="$T/tree" -v n="$3" 'BEGIN {
		for (i = 0; i < n; i++) {
			sub_dir = sprintf("%s/d%02d/e%d", dir, i % 50, i % 3)
			if (!(sub_dir in made))
				system("mkdir -p " sub_dir)
			made[sub_dir] = 1
			file = sprintf("%s/f%05d", sub_dir, i)
			for (k = 0; k < i % 40; k++)
				print i, k, i * k >file
			printf "%d", i >file
			close(file)
		}
	}'
	tar -C "$T/tree" -cf "$T/archive.tar" .
	script <<-END
		tar -C "\$1" --no-same-owner -xf $T/archive.tar
	END
	program "$2"
	diff -r "$T/ours" "$T/tree"
}

@test "tar: 5,000 files unpacked: flat" {
	tar_on azsim plain 5000
}

# Another 5,000 downloads by the official client would show nothing new.
@test "tar: 5,000 files unpacked: hierarchical" {
	too_many=1
	tar_on lake pid1 5000
}

@test "tar: 500 files unpacked: Azurite" {
	tar_on azurite plain 500
}

# ---- SQLite

# In place, with each kind of journal.
sqlite_script() {
	script <<-'END'
		cd "$1"
		for mode in delete truncate persist wal memory; do
			sqlite3 $mode.db "pragma journal_mode=$mode; create table t(n integer primary key, s text);" >/dev/null
			for i in 1 2 3; do
				sqlite3 $mode.db "begin; with recursive c(n) as (select 1 union all select n + 1 from c where n < 2000)
				    insert into t(s) select 'row ' || n || ' of $i' from c; commit;"
				sqlite3 $mode.db "begin; update t set s = s || '!' where n % 3 = 0; delete from t where n % 7 = $i; commit;"
				sqlite3 $mode.db "begin; delete from t; rollback;"
			done
			sqlite3 $mode.db 'create index i on t(s); vacuum; pragma integrity_check' >$mode.check
			sqlite3 $mode.db 'pragma journal_mode=delete' >/dev/null
			sqlite3 $mode.db 'select count(*), sum(length(s)) from t' >>$mode.check
		done
		rm -f ./*-journal
	END
}

sqlite_on() {
	mounts_on "$1"
	sqlite_script
	program "$2"
	script <<-END
		for mode in delete truncate persist wal memory; do
			sqlite3 "file:\$1/\$mode.db?mode=ro" 'pragma integrity_check; select count(*), sum(length(s)) from t'
		done
	END
	job_in "bash -e $T/script.sh \${{inputs.data}}"
	job_run 0 plain
	assert_equal "$(sort -u <<<"$out" | wc -l) $(grep -c '^ok$' <<<"$out")" "2 5"
}

@test "sqlite: written in place with each journal, read from a read-only mount: flat" {
	sqlite_on azsim pid1
}

@test "sqlite: written in place with each journal, read from a read-only mount: hierarchical" {
	sqlite_on lake plain
}

@test "sqlite: written in place with each journal, read from a read-only mount: Azurite" {
	sqlite_on azurite plain
}

# ---- Python: archives and arrays

python_script() {
	cat >"$T/write.py" <<-'END'
		import os, sys, zipfile
		import numpy as np
		os.chdir(sys.argv[1])
		rng = np.random.default_rng(5)
		when = (2026, 1, 1, 0, 0, 0)
		with zipfile.ZipFile("archive.zip", "w", zipfile.ZIP_DEFLATED) as z:
		    for i in range(60):
		        z.writestr(zipfile.ZipInfo("d%d/m%d" % (i % 5, i), when), rng.integers(0, 9, i * 997, np.uint8).tobytes())
		with zipfile.ZipFile("archive.zip", "a") as z:
		    z.writestr(zipfile.ZipInfo("added", when), b"later")
		np.save("array.npy", rng.standard_normal((700, 900)))
		np.savez("several.npz", a=np.arange(50000), b=np.ones((40, 40)))
		m = np.lib.format.open_memmap("mapped.npy", mode="w+", dtype=np.int32, shape=(1000, 700))
		for i in range(0, 1000, 13):
		    m[i] = i
		m.flush()
		del m
		m = np.load("mapped.npy", mmap_mode="r+")
		m[::7, 5] += 1
		m.flush()
		raw = np.memmap("raw.bin", dtype=np.uint16, mode="w+", shape=(300000,))
		raw[:] = np.arange(300000) % 65521
		raw.flush()
	END
	cat >"$T/read.py" <<-'END'
		import os, sys, zipfile
		import numpy as np
		def view(root):
		    out = []
		    with zipfile.ZipFile(root + "/archive.zip") as z:
		        names = z.namelist()
		        out += [z.testzip(), len(names)] + [hash(z.read(n)) for n in reversed(names)]
		    for name in ("array.npy", "mapped.npy"):
		        a = np.load(root + "/" + name, mmap_mode="r")
		        out += [float(a[-1].sum()), float(a[::17, ::5].sum()), float(np.asarray(a).sum())]
		    with np.load(root + "/several.npz") as z:
		        out += [int(z["a"].sum()), float(z["b"].sum())]
		    raw = np.memmap(root + "/raw.bin", dtype=np.uint16, mode="r")
		    out += [len(raw)] + [int(raw[i]) for i in np.random.default_rng(7).integers(0, len(raw), 2000)]
		    return out
		assert view(sys.argv[1]) == view(sys.argv[2])
		print("same")
	END
	script <<-END
		$PYTHON $T/write.py "\$1"
	END
}

python_on() {
	mounts_on "$1"
	python_script
	program "$2"
	job_in "$PYTHON $T/read.py \${{inputs.data}} $T/ours"
	job_run 0 plain --memory 64M
	assert_equal "$out" same
}

@test "python: zipfile and numpy's maps: flat" {
	python_on azsim plain
}

@test "python: zipfile and numpy's maps: hierarchical" {
	python_on lake pid1
}

@test "python: zipfile and numpy's maps: Azurite" {
	python_on azurite plain
}

# ---- checkpoints

# Thirty rounds: write, fsync, rename over, delete the oldest; "latest" is whole at every moment.
checkpoint_script() {
	cat >"$T/train.py" <<-'END'
		import hashlib, os, sys
		root, rounds = sys.argv[1], int(sys.argv[2])
		def content(i):
		    head = hashlib.sha256(b"%d" % i).digest()
		    return head + (head * 300000)[:(9_500_000 if i % 10 == 3 else 100_000 + i * 1009) if i % 4 else 300]
		def save(name, data):
		    with open(name + ".tmp", "wb") as f:
		        for at in range(0, len(data), 70_000):
		            f.write(data[at:at + 70_000])
		        f.flush()
		        os.fsync(f.fileno())
		    os.rename(name + ".tmp", name)
		for i in range(rounds):
		    save("%s/epoch%03d.pt" % (root, i), content(i))
		    save(root + "/latest.pt", content(i))
		    os.makedirs(root + "/logs", exist_ok=True)
		    with open(root + "/logs/events", "a") as f:
		        f.write("round %d done\n" % i)
		    if i >= 3:
		        os.remove("%s/epoch%03d.pt" % (root, i - 3))
		    with open(root + "/latest.pt", "rb") as f:
		        assert f.read() == content(i), i
		    assert len(os.listdir(root)) == min(i + 1, 3) + 2, os.listdir(root)
	END
	script <<-END
		$PYTHON $T/train.py "\$1" $1
	END
}

checkpoints_on() { # STORE HOW ROUNDS
	mounts_on "$1"
	checkpoint_script "$3"
	program "$2"
}

@test "checkpoints: 30 rounds of write, fsync, rename over, delete: flat" {
	checkpoints_on azsim pid1 30
}

@test "checkpoints: 30 rounds of write, fsync, rename over, delete: hierarchical" {
	checkpoints_on lake plain 30
}

@test "checkpoints: 10 rounds of write, fsync, rename over, delete: Azurite" {
	checkpoints_on azurite plain 10
}
