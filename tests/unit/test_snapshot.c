/* Code snapshots: the manifest's text, what is ignored, and what a check finds. */

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "check.h"
#include "init/ignore.h"
#include "init/manifest.h"
#include "init/snapshot.h"

#define H "0123456789abcdef0123456789abcdef0123456789abcdef0123456789ABCDEF"
#define TOP MANIFEST_HEADER "\n"

static char dir[64];

static void
test_manifest(void)
{
	static const struct { const char *text, *resource, *cause; } rows[] = {
		{ TOP, NULL, "" },
		{ TOP "# words\n" H "  a\n" H " *b\n#link " H "  c\n", NULL, "" },
		{ TOP "\\" H "  a\\nb\\\\\n", NULL, "" },
		{ TOP H "  ...\n", NULL, "" },
		{ "", "M:1", "expected the line" },
		{ MANIFEST_HEADER, "M:1", "expected the line" },
		{ "# amlshim snapshot 2\n", "M:1", "expected the line" },
		{ H "  a\n", "M:1", "expected the line" },
		{ TOP H "  a", "M:2", "cut off" },
		{ TOP H "  a\n\n", "M:3", "expected 64" },
		{ TOP H "\n", "M:2", "expected 64" },
		{ TOP H "  \n", "M:2", "expected 64" },
		{ TOP H " a\n", "M:2", "expected 64" },
		{ TOP "g" H "  a\n", "M:2", "expected 64" },
		{ TOP "#skip " H "  a\n", "M:2", "expected 64" },
		{ TOP "\\" H "  a\\t\n", "M:2", "after a \\" },
		{ TOP "\\" H "  a\\\n", "M:2", "after a \\" },
		{ TOP H "  /a\n", "M:2", "below the code's folder" },
		{ TOP H "  a/\n", "M:2", "below the code's folder" },
		{ TOP H "  a//b\n", "M:2", "below the code's folder" },
		{ TOP H "  ./a\n", "M:2", "below the code's folder" },
		{ TOP H "  a/../../b\n", "M:2", "below the code's folder" },
		{ TOP H "  b\n" H "  a\n#link " H "  b\n", "M", "b is there twice" },
	};
	static const char nul[] = TOP H "  a\0b\n";
	struct arena mem = ARENA_EMPTY;
	struct manifest m;
	struct err err;
	size_t i;

	for (i = 0; i < LENGTH(rows); i++) {
		int failed;

		err = ERR_EMPTY;
		failed = manifest_parse(&m, "M", rows[i].text, strlen(rows[i].text), &mem, &err);
		if (!check_int(failed, rows[i].resource == NULL ? 0 : -1) ||
		    !check(strstr(err.cause, rows[i].cause) != NULL))
			printf("# row %zu: %s\n", i, err.cause);
		check_str(failed == 0 ? NULL : err.resource, rows[i].resource);
	}
	check_int(manifest_parse(&m, "M", nul, sizeof(nul) - 1, &mem, &err), -1);
	check_int(manifest_parse(&m, "M", MANIFEST_HEADER, sizeof(MANIFEST_HEADER), &mem, &err),
	    -1);			/* it ends in a NUL instead of a line's end */
	check_int(manifest_parse(&m, "M", rows[1].text, strlen(rows[1].text), &mem, &err), 0);
	check_int(m.n, 3);
	check(manifest_find(&m, "b") != NULL && !manifest_find(&m, "b")->is_link);
	check(manifest_find(&m, "c") != NULL && manifest_find(&m, "c")->is_link);
	check(manifest_find(&m, "d") == NULL);
	check_int(manifest_find(&m, "a")->sum[31], 0xef);
	arena_done(&mem);
}

static void
test_escapes(void)
{
	static const char *const paths[] = { "plain", "with space", "line\nbreak", "back\\slash",
	    "\\n", "cr\rlf\n", " leading", "trailing ", "\xff\xfe", "dir/\\\n/x" };
	auto_buf struct buf text = BUF_EMPTY;
	struct arena mem = ARENA_EMPTY;
	struct manifest m;
	size_t i;

	buf_adds(&text, TOP);
	for (i = 0; i < LENGTH(paths); i++)
		manifest_add_line(&text, &(struct manifest_entry){ .path = paths[i],
		    .is_link = i % 2 == 1 });
	check_int(manifest_parse(&m, "M", text.data, text.len, &mem, NULL), 0);
	check_int(m.n, LENGTH(paths));
	for (i = 0; i < LENGTH(paths); i++)
		check(manifest_find(&m, paths[i]) != NULL &&
		    manifest_find(&m, paths[i])->is_link == (i % 2 == 1));
	arena_done(&mem);
}

static void
test_ignore(void)
{
	static const char rules[] =
	    "# comment\n\n*.pyc\n__pycache__/\n/top.txt\ndata/raw\n!keep.pyc\n"
	    "logs/**/old\n**/cache\ndeep/**\n[ab].bin\n\\#odd\ntrail   \ncr\r\n";
	static const struct { const char *path; int directory, ignored; } rows[] = {
		{ "a.pyc", 0, 1 }, { "sub/a.pyc", 0, 1 }, { "keep.pyc", 0, 0 },
		{ "sub/keep.pyc", 0, 0 }, { "a.py", 0, 0 }, { "__pycache__", 1, 1 },
		{ "sub/__pycache__", 1, 1 }, { "__pycache__", 0, 0 }, { "top.txt", 0, 1 },
		{ "sub/top.txt", 0, 0 }, { "data/raw", 1, 1 }, { "x/data/raw", 1, 0 },
		{ "data/rawer", 1, 0 }, { "logs/old", 0, 1 }, { "logs/a/b/old", 0, 1 },
		{ "logs/a/b/older", 0, 0 }, { "cache", 1, 1 }, { "x/y/cache", 0, 1 },
		{ "deep", 1, 0 }, { "deep/x", 0, 1 }, { "a.bin", 0, 1 }, { "c.bin", 0, 0 },
		{ "#odd", 0, 1 }, { "trail", 0, 1 }, { "cr", 0, 1 }, { "comment", 0, 0 },
		{ ".pyc", 0, 1 },
	};
	struct arena mem = ARENA_EMPTY;
	struct ignore ig;
	size_t i;

	ignore_parse(&ig, rules, sizeof(rules) - 1, &mem);
	check_int(ig.n, 12);
	for (i = 0; i < LENGTH(rows); i++)
		if (!check_int(ignore_matches(&ig, rows[i].path, rows[i].directory),
		    rows[i].ignored))
			printf("# %s\n", rows[i].path);
	ignore_parse(&ig, "", 0, &mem);
	check_int(ignore_matches(&ig, "a", 0), 0);
	arena_done(&mem);
}

/* --- trees ---------------------------------------------------------------------------- */

static const char *
at(const char *name)
{
	static char path[4][256];
	static unsigned n;

	n = (n + 1) % 4;
	str_format(path[n], sizeof(path[n]), "%s/%s", dir, name);
	return (path[n]);
}

static void
put(const char *name, const char *text)
{
	if (fd_mkdir_p(dir, 0755, NULL) != 0 ||
	    fd_replace_file(at(name), text, strlen(text), 0644, NULL) != 0)
		abort();
}

/* A fresh tree and its manifest in dir.m. */
static void
plant(const char *manifest)
{
	auto_buf struct buf text = BUF_EMPTY;

	fd_remove_tree(dir, NULL);
	if (mkdir(dir, 0755) != 0 || mkdir(at("sub"), 0755) != 0 ||
	    mkdir(at("hollow"), 0755) != 0 || symlink("a.py", at("link")) != 0)
		abort();
	put("a.py", "print(1)\n");
	put("sub/b c.py", "print(2)\n");
	put("sub/empty", "");
	if (snapshot_write(dir, &text, NULL) != 0 ||
	    fd_replace_file(manifest, text.data, text.len, 0644, NULL) != 0)
		abort();
}

static int
finds(const char *manifest, size_t changed, size_t missing, size_t extra, const char *first)
{
	struct snapshot_report r;
	struct arena mem = ARENA_EMPTY;
	struct err err = ERR_EMPTY;
	int failed = snapshot_verify(dir, manifest, NULL, &r, &mem, &err);
	int ok = r.counts[SNAPSHOT_CHANGED] == changed && r.counts[SNAPSHOT_MISSING] == missing &&
	    r.counts[SNAPSHOT_EXTRA] == extra &&
	    (failed == 0) == (changed + missing + extra == 0) &&
	    (failed == 0 || err.kind == ERR_USAGE) &&
	    (first == NULL || (r.nnamed > 0 && strcmp(r.named[0].path, first) == 0));

	if (!ok)
		printf("# %zu changed, %zu missing, %zu extra, first %s; %s\n",
		    r.counts[SNAPSHOT_CHANGED], r.counts[SNAPSHOT_MISSING],
		    r.counts[SNAPSHOT_EXTRA], r.nnamed > 0 ? r.named[0].path : "none", err.cause);
	arena_done(&mem);
	return (ok);
}

static void
test_verify(void)
{
	char m[80], own[128];
	int i;

	str_format(m, sizeof(m), "%s.m", dir);
	plant(m);
	check(finds(m, 0, 0, 0, NULL));
	check(chmod(at("a.py"), 0755) == 0 && finds(m, 0, 0, 0, NULL));
	check(rmdir(at("hollow")) == 0 && finds(m, 0, 0, 0, NULL));
	put("a.py", "print(3)\n");
	check(finds(m, 1, 0, 0, "a.py"));
	put("x.py", "");
	check(finds(m, 1, 0, 1, NULL));
	check(unlink(at("sub/b c.py")) == 0 && finds(m, 1, 1, 1, NULL));

	plant(m);
	check(unlink(at("link")) == 0 && symlink("sub/empty", at("link")) == 0);
	check(finds(m, 1, 0, 0, "link"));
	check(unlink(at("link")) == 0);
	put("link", "print(1)\n");		/* what the link showed, but a file */
	check(finds(m, 1, 0, 0, "link"));

	plant(m);
	put("real.py", "print(1)\n");
	check(unlink(at("a.py")) == 0 && symlink("real.py", at("a.py")) == 0);
	check(finds(m, 1, 0, 1, NULL));

	plant(m);		/* a folder becomes a link to another with the same content */
	check(rename(at("sub"), at("other")) == 0 && symlink("other", at("sub")) == 0);
	check(finds(m, 0, 2, 3, NULL));

	plant(m);
	check(mkfifo(at("sub/pipe"), 0644) == 0 && finds(m, 0, 0, 1, "sub/pipe"));
	check(unlink(at("sub/pipe")) == 0 && unlink(at("a.py")) == 0 &&
	    mkfifo(at("a.py"), 0644) == 0 && finds(m, 1, 0, 0, "a.py"));

	plant(m);
	for (i = 0; i < 25; i++) {
		char name[16];

		str_format(name, sizeof(name), "x%d", i);
		put(name, "x");
	}
	check(finds(m, 0, 0, 25, NULL));

	str_format(own, sizeof(own), "%s/" SNAPSHOT_NAME, dir);
	plant(m);
	plant(own);
	check(finds(own, 0, 0, 0, NULL));
	check(finds(m, 0, 0, 0, NULL));		/* a copy of the manifest is no part of the code */
	put(SNAPSHOT_NAME, TOP);
	check(finds(m, 0, 0, 1, SNAPSHOT_NAME));
	check(finds(own, 0, 0, 4, NULL));
	unlink(m);
}

static int
stopped(void)
{
	return (1);
}

static void
test_failures(void)
{
	auto_buf struct buf text = BUF_EMPTY;
	struct snapshot_report r;
	struct arena mem = ARENA_EMPTY;
	struct err err = ERR_EMPTY;
	char m[80];

	str_format(m, sizeof(m), "%s.m", dir);
	plant(m);
	check_int(snapshot_verify(dir, "/nonexistent/m", NULL, &r, &mem, &err), -1);
	check_int(err.kind, ERR_USAGE);
	check_str(err.resource, "/nonexistent/m");
	err = ERR_EMPTY;
	check_int(snapshot_verify("/nonexistent", m, NULL, &r, &mem, &err), -1);
	check_int(err.kind, ERR_SYSTEM);
	err = ERR_EMPTY;
	check_int(snapshot_verify(dir, m, stopped, &r, &mem, &err), -1);
	check_int(err.kind, ERR_SYSTEM);
	check(mkfifo(at("pipe"), 0644) == 0);
	err = ERR_EMPTY;
	check_int(snapshot_write(dir, &text, &err), -1);
	check_int(err.kind, ERR_USAGE);
	check(strstr(err.resource, "/pipe") != NULL);
	arena_done(&mem);
	unlink(m);
}

/* Nothing of an ignored file is in the manifest, and one that is there anyway is extra. */
static void
test_ignored(void)
{
	auto_buf struct buf text = BUF_EMPTY;
	char m[80];

	str_format(m, sizeof(m), "%s.m", dir);
	plant(m);
	put(".gitignore", "*.py\n");
	put(".amlignore", "sub/\n");
	check_int(snapshot_write(dir, &text, NULL), 0);
	check(strstr(text.data, "  a.py\n") != NULL);
	check(strstr(text.data, "sub/") == NULL);
	check(strstr(text.data, "  .amlignore\n") != NULL);
	check_int(fd_replace_file(m, text.data, text.len, 0644, NULL), 0);
	check(finds(m, 0, 0, 2, NULL));
	check(unlink(at(".amlignore")) == 0 && snapshot_write(dir, &text, NULL) == 0);
	check(strstr(text.data, "  a.py\n") == NULL);
	check(strstr(text.data, "  sub/empty\n") != NULL);
	unlink(m);
}

int
main(void)
{
	str_format(dir, sizeof(dir), "/tmp/snapshot.XXXXXX");
	if (mkdtemp(dir) == NULL)
		abort();
	test_manifest();
	test_escapes();
	test_ignore();
	test_verify();
	test_failures();
	test_ignored();
	fd_remove_tree(dir, NULL);
	return (check_done());
}
