#!/usr/bin/env bats
# The soak of docs/SOAK.md, for a minute; and that its watcher sees what grows.
# bats file_tags=root

load helpers

# series KEY=EXPRESSION...: half an hour of a process, a sample each 5 s, n counts them. What is not said stays.
series() {
	python3 - "$@" <<-'END' >"$BATS_TEST_TMPDIR/samples"
		import json, random, sys
		random.seed(1)
		said = dict(word.split("=", 1) for word in sys.argv[1:])
		value = lambda key, n, default: int(eval(said.get(key, str(default)), {"n": n, "random": random}))
		for n in range(360):
		    noise = random.randrange(0, 400)
		    print(json.dumps({"t": 5.0 * n, "zombies": value("zombies", n, 0), "tcp": 20 + n % 3, "time_wait": 5,
		        "shared": value("shared", n, 200), "cache": value("cache", n, 9000), "processes": [
		        {"name": "amlshim", "pid": 1, "start": "7", "threads": value("init_threads", n, 1), "rss": 700, "pss": 300, "private": 88,
		         "fds": {"socket": 16, "memfd": 5}},
		        {"name": "amlshim:mount d", "pid": value("pid", n, 9), "start": str(value("pid", n, 9)),
		         "threads": value("threads", n, 13), "rss": 30000, "pss": 20000,
		         "private": noise + value("private", n, 18000),
		         "fds": {"socket": value("socket", n, 9) + n % 4, "file": value("file", n, 3)}}]}))
	END
	python3 "$BATS_TEST_DIRNAME/soak/watch.py" judge "$BATS_TEST_TMPDIR/samples" >"$BATS_TEST_TMPDIR/table"
}

grows() { # WHAT KEY=EXPRESSION...
	local what=$1
	shift
	refute series "$@" || { cat "$BATS_TEST_TMPDIR/table"; return 1; }
	grep -q "GREW.*$what" "$BATS_TEST_TMPDIR/table" || { cat "$BATS_TEST_TMPDIR/table"; return 1; }
}

@test "soak: the watcher sees what grows, and takes nothing else for it" {
	# One a run is enough of what does not come and go; memory: one or two KiB a second.
	grows file 'file=3 + (n > 250)'
	grows threads 'init_threads=1 + n // 200'
	grows threads 'threads=13 + n // 5'
	grows socket 'socket=9 + n // 40'
	grows zombies 'zombies=n // 50'
	grows private 'private=18000 + 5 * n'
	grows shared 'shared=200 + 8 * n'
	grows cache 'cache=9000 + 8 * n'
	grows private 'private=18000 + 5 * n + 30000 * (n % 9 == 0)'
	grows private 'pid=9 + n // 180' 'private=18000 + 8 * (n % 180)'	# one generation is enough
	series
	series 'threads=min(73, 13 + n // 2)'	# a pool that fills up
	series 'private=min(18000, 300 * n)' 'init_threads=min(24, n)' 'file=3 + (n < 60)'	# warm-up
	series 'private=18000 + 9000 * (n % 7 == 0)' 'file=3 + random.randrange(9)' 'zombies=n % 5'
	series 'pid=9 + n // 90' 'private=18000 + 900 * (n // 90)'	# each begins anew
	refute python3 "$BATS_TEST_DIRNAME/soak/watch.py" judge /dev/null
}

@test "soak: a minute of load, deaths and faults: no failed call, no wrong byte, no lost write, no growth" {
	requires_fuse
	SOAK_DIR=$BATS_TEST_TMPDIR/soak timeout 300 "$BATS_TEST_DIRNAME/../scripts/soak.sh" 1 >"$BATS_TEST_TMPDIR/out" 2>&1 3>&- ||
	    { cat "$BATS_TEST_TMPDIR/out"; return 1; }
	sed 's/^/# /' "$BATS_TEST_TMPDIR/out" >&3
	grep -q '^no growth, no failed call, no wrong byte, no lost write$' "$BATS_TEST_TMPDIR/out"
	python3 - "$BATS_TEST_TMPDIR/soak/summary.json" <<-'END'
		import json, sys
		summary = json.load(open(sys.argv[1]))
		figures, load = summary["figures"], summary["figures"]["load"]
		assert figures["killed"] >= 1 and figures["outages"] == 1 and figures["unauthorized"] >= 2, figures
		assert load["lives"] == 2 and figures["orphans"] >= 1000, figures
		for kind in "epochs loaders sequential places batches checkpoints logs folders tokens polls orphans".split():
		    assert load[kind] > 0, (kind, load)
		assert figures["retries"] > 20, figures
		assert len(summary["series"]) >= 7, summary["series"]
	END
}
