/* journal: what is recorded is found by the next run, and nothing else is. */

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "base/fd.h"
#include "base/mem.h"
#include "mount/journal.h"

static char dir[64], path[96];

static int
finds(const struct journal *j, int i, uint64_t want)
{
	struct journal_key key;
	uint64_t got = 0;

	journal_key(&key, "file %d", i);
	return (journal_find(j, &key, &got) && got == want);
}

static void
add(struct journal *j, int i, uint64_t value)
{
	struct journal_key key;

	journal_key(&key, "file %d", i);
	journal_add(j, &key, value);
}

static struct journal *
opened(const char *purpose)
{
	struct err err;
	struct journal *j = journal_open(path, purpose, 0, &err);

	if (j == NULL)
		abort();
	return (j);
}

static off_t
size_of(void)
{
	struct stat st;

	return (stat(path, &st) == 0 ? st.st_size : -1);
}

static void
test_remembers(void)
{
	struct journal *j = opened("a");
	int i, missing = 0;

	check_int(journal_known(j), 0);
	for (i = 0; i < 5000; i++)
		add(j, i, (uint64_t)i * 3);
	add(j, 7, 99);				/* the later one counts */
	check(!finds(j, 1, 3));			/* of this run: not looked at */
	journal_close(j, 0);
	j = opened("a");
	check_int(journal_known(j), 5000);
	for (i = 0; i < 5000; i++)
		missing += !finds(j, i, i == 7 ? 99 : (uint64_t)i * 3);
	check_int(missing, 0);
	check(!finds(j, 5000, 15000));
	journal_close(j, 0);
	j = opened("b");			/* another purpose: anew */
	check_int(journal_known(j), 0);
	check_int(size_of(), 32);
	journal_close(j, 1);
	check_int(size_of(), -1);
	j = opened("a");			/* made with the first record */
	check_int(size_of(), -1);
	journal_close(j, 0);
	check_int(journal_known(NULL), 0);
	add(NULL, 1, 1);
	check(!finds(NULL, 1, 1));
	journal_close(NULL, 1);
}

/* Cut anywhere, as a killed writer leaves it: all whole records are there, and one can go on. */
static void
test_torn(void)
{
	struct journal *j;
	off_t cut, whole;

	for (cut = 0; cut <= 32 + 3 * 24; cut++) {
		unlink(path);
		j = opened("a");
		add(j, 0, 10);
		add(j, 1, 11);
		add(j, 2, 12);
		journal_close(j, 0);
		check_int(size_of(), 32 + 3 * 24);
		check_int(truncate(path, cut), 0);
		whole = cut < 32 ? 0 : (cut - 32) / 24;
		j = opened("a");
		check_int(journal_known(j), whole);
		check_int(finds(j, 0, 10), whole > 0);
		check_int(finds(j, 2, 12), whole > 2);
		add(j, 4, 14);
		journal_close(j, 0);
		j = opened("a");
		check_int(journal_known(j), whole + 1);
		check(finds(j, 4, 14));
		journal_close(j, 0);
	}
}

/* One process at a time. */
static void
test_lock(void)
{
	struct journal *j = opened("a");
	struct err err;
	pid_t pid;
	int status;

	add(j, 1, 1);
	pid = fork();
	if (pid == 0)
		_exit(journal_open(path, "a", 0, &err) == NULL && err.kind == ERR_USAGE ? 0 : 1);
	check(waitpid(pid, &status, 0) == pid && status == 0);
	journal_close(j, 1);
}

static void
test_other_files(void)
{
	struct journal *j;
	auto_buf struct buf text = BUF_EMPTY;
	struct err err;
	char link[128];

	check_int(fd_replace_file(path, "something else, longer than a header is", 39, 0600,
	    &err), 0);
	j = opened("a");
	check_int(journal_known(j), 0);
	add(j, 1, 1);
	journal_close(j, 0);
	j = opened("a");
	check(finds(j, 1, 1));
	journal_close(j, 1);
	str_format(link, sizeof(link), "%s/target", dir);
	check_int(fd_replace_file(link, "keep", 4, 0600, &err), 0);
	check_int(symlink(link, path), 0);
	j = opened("a");			/* never through a link */
	add(j, 1, 1);
	journal_close(j, 0);
	check_int(unlink(path), 0);
	check_int(fd_read_file(link, 100, &text, &err), 0);
	check_str(buf_str(&text), "keep");
	j = journal_open("/proc/no/such/place", "a", 0, &err);
	check(j != NULL);
	add(j, 1, 1);
	journal_close(j, 1);
}

int
main(void)
{
	struct err err;

	str_format(dir, sizeof(dir), "/tmp/test_journal.%d", (int)getpid());
	str_format(path, sizeof(path), "%s/sub/x.journal", dir);
	test_remembers();
	test_torn();
	test_lock();
	test_other_files();
	fd_remove_tree(dir, &err);
	return (check_done());
}
