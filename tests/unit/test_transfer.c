/* transfer: download before the job, upload after it; each runs in a process of its own. */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "check.h"
#include "fakestore.h"
#include "base/wire.h"
#include "mount/transfer.h"

#define KILLS_SEED	20261128u

static char dir[64], target[96], sent[96], journal[96];

/* What the worker said. */
static struct {
	int	ready, done, failed, progress, lost, status;
	struct err err;			/* of WIRE_FAILED */
	struct wire_stats stats;	/* last */
	char	lost_what[1024];	/* resources, each behind a space */
} told;

static void *
agent_main(void *arg)
{
	struct wire_cred *c = mem_zalloc(sizeof(*c));
	struct wire_ask ask;

	while (wire_recv(*(int *)arg, &ask, sizeof(ask), 10000) == 1) {
		c->kind = WIRE_CRED_ANONYMOUS;
		c->generation = ask.generation + 1;
		c->serial = ask.serial;
		if (wire_send(*(int *)arg, c, sizeof(*c)) != 0)
			break;
	}
	free(c);
	return (NULL);
}

/* A copy of what the child uploads, '/' in names as '%'. */
static void
on_upload(const char *name, const char *data, int64_t size)
{
	char path[2048], *p;
	struct err err;

	str_format(path, sizeof(path), "%s/%s", sent, name);
	for (p = path + strlen(sent) + 1; *p != '\0'; p++)
		if (*p == '/')
			*p = '%';
	if (fd_replace_file(path, data, (size_t)size, 0600, &err) != 0)
		abort();
}

static void
listen_to(int fd)
{
	struct wire_msg m;

	memset(&told, 0, sizeof(told));
	while (wire_recv(fd, &m, sizeof(m), 20000) == 1) {
		told.stats = m.stats;
		told.progress += m.type == WIRE_PROGRESS;
		told.done += m.type == WIRE_DONE;
		if (m.type == WIRE_READY) {
			told.ready++;
			m = (struct wire_msg){ .type = WIRE_STOP, .value = 5000 };
			if (wire_send(fd, &m, sizeof(m)) != 0 && errno != EPIPE)
				break;
		} else if (m.type == WIRE_FAILED) {
			told.failed++;
			told.err = m.err;
		} else if (m.type == WIRE_LOST) {
			told.lost++;
			strncat(told.lost_what, " ", sizeof(told.lost_what) - 1 -
			    strlen(told.lost_what));
			strncat(told.lost_what, m.err.resource, sizeof(told.lost_what) - 1 -
			    strlen(told.lost_what));
		}
	}
}

/* kill_us >= 0: the worker is killed so many microseconds after its start. */
static void
run_killed(const char *prefix, int is_file, int upload, int64_t kill_us)
{
	struct plan_access access = { .name = "x", .base_url = "http://127.0.0.1:1/acct",
	    .account = "acct", .container = "c", .prefix = prefix, .is_file = is_file,
	    .target = target, .is_output = upload, .journal = journal,
	    .action = upload ? PLAN_UPLOAD : PLAN_DOWNLOAD };
	static const struct plan_tuning tuning = PLAN_TUNING_UNSAID;
	static struct vitals vitals;
	struct transfer_options o = { .access = &access, .tuning = &tuning, .vitals = &vitals,
	    .memory_bytes = 16 << 20 };
	int init[2], agent[2];
	struct err err;
	pthread_t thread;
	pid_t pid;

	access.identity.label = "the test";
	if (wire_pair(init, &err) != 0 || wire_pair(agent, &err) != 0 || (pid = fork()) < 0)
		abort();
	if (pid == 0) {
		close(init[0]);
		close(agent[0]);
		o.init_fd = init[1];
		o.agent_fd = agent[1];
		fake.on_upload = on_upload;
		fake_begin();
		if (upload)
			transfer_upload_main(&o);
		transfer_download_main(&o);
	}
	close(init[1]);
	close(agent[1]);
	pthread_create(&thread, NULL, agent_main, &agent[0]);
	if (kill_us >= 0) {
		usleep((useconds_t)kill_us);
		kill(pid, SIGKILL);
	}
	listen_to(init[0]);
	waitpid(pid, &told.status, 0);
	pthread_join(thread, NULL);
	close(init[0]);
	close(agent[0]);
}

static void
run(const char *prefix, int is_file, int upload)
{
	run_killed(prefix, is_file, upload, -1);
}

static void
begin(void)
{
	struct err err;

	fd_remove_tree(dir, &err);
	if (fd_mkdir_p(sent, 0700, &err) != 0 || fd_mkdir_p(target, 0700, &err) != 0)
		abort();
	fake_reset();
}

static const char *
file_text(const char *base, const char *name)
{
	static struct buf text;
	char path[512];
	struct err err;

	str_format(path, sizeof(path), "%s/%s", base, name);
	return (fd_read_file(path, 1 << 20, &text, &err) == 0 ? buf_str(&text) : NULL);
}

static int
write_file(const char *name, const char *text)
{
	char path[512];
	struct err err;

	str_format(path, sizeof(path), "%s/%s", target, name);
	return (fd_replace_file(path, text, strlen(text), 0644, &err));
}

static int
count_entries(const char *path)
{
	struct dirent *e;
	DIR *d = opendir(path);
	int n = 0;

	while (d != NULL && (e = readdir(d)) != NULL)
		n += e->d_name[0] != '.';
	if (d != NULL)
		closedir(d);
	return (n);
}

static void
test_download(void)
{
	char path[256];
	struct stat st;
	unsigned char *bytes;
	int fd, ok = 1;
	int64_t i;

	begin();
	fake_put_text("in/a.txt", "hello");
	fake_put_text("in/sub/deep/b.txt", "b");
	fake_put_text("in/empty", "");
	fake_put_text("in-other/c", "c");
	fake_put_pattern("in/big", 9000001);
	run("in", 0, 0);
	check_int(told.ready, 1);
	check_int(told.failed, 0);
	check(WIFEXITED(told.status) && WEXITSTATUS(told.status) == 0);
	check_int(told.stats.files_done, 4);
	check_int(told.stats.bytes_read, 9000001 + 6);
	check_str(file_text(target, "a.txt"), "hello");
	check_str(file_text(target, "sub/deep/b.txt"), "b");
	check_str(file_text(target, "empty"), "");
	check(file_text(target, "c") == NULL);
	check_int(count_entries(target), 4);		/* and no temporary file */
	str_format(path, sizeof(path), "%s/big", target);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	check(fstat(fd, &st) == 0 && st.st_size == 9000001);
	bytes = mem_alloc(9000001);
	check_int(fd_pread_full(fd, bytes, 9000001, 0), 9000001);
	for (i = 0; i < 9000001; i++)
		ok &= bytes[i] == fake_byte(i);
	check(ok);
	free(bytes);
	close(fd);
}

static void
test_download_one(void)
{
	begin();
	fake_put_text("in/a.txt", "hello");
	fake_put_text("in/b.txt", "b");
	run("in/a.txt", 1, 0);
	check_int(told.ready, 1);
	check_str(file_text(target, "a.txt"), "hello");
	check_int(count_entries(target), 1);
}

static void
test_download_fails(void)
{
	static const char *const strays[] = { "x", "beside/in", "in/deeper", "in" };
	int i;

	begin();
	run("nothing", 0, 0);
	check_int(told.ready, 0);
	check_int(told.failed, 1);
	check_int(told.err.kind, ERR_NOT_FOUND);
	check(WIFEXITED(told.status) && WEXITSTATUS(told.status) == 120);
	begin();
	fake_put_text("in/../../../tmp/evil", "x");
	fake_put_text("in/good", "x");
	run("in", 0, 0);
	check_int(told.failed, 1);
	check(strstr(told.err.resource, "evil") != NULL);
	for (i = 0; i < (int)LENGTH(strays); i++) {	/* not below what was asked for */
		begin();
		fake_put_text("in/deep/good", "x");
		fake_put_text(strays[i], "x");
		fake_set(stray, strays[i]);
		run("in/deep", 0, 0);
		check_int(told.failed, 1);
		check(str_ends(told.err.resource, strays[i]));
	}
	begin();
	fake_put_text("in/f", "x");
	fake_fail_with(ERR_DENIED, 403, 0);
	fake_set(fail_reads, 1);
	run("in", 0, 0);
	check_int(told.ready, 0);
	check_int(told.err.kind, ERR_DENIED);
	check(WIFEXITED(told.status) && WEXITSTATUS(told.status) == 122);
}

static int
has_pattern(const char *name, int64_t size, int64_t shift)
{
	auto_buf struct buf bytes = BUF_EMPTY;
	char path[512];
	struct err err;
	int64_t i;

	str_format(path, sizeof(path), "%s/%s", target, name);
	if (fd_read_file(path, (size_t)size + 1, &bytes, &err) != 0 ||
	    bytes.len != (size_t)size)
		return (0);
	for (i = 0; i < size; i++)
		if ((unsigned char)bytes.data[i] != fake_byte(i + shift))
			return (0);
	return (1);
}

static void
put_shifted(const char *name, int64_t size, int64_t shift)
{
	unsigned char *data = mem_alloc((size_t)size + 1);
	int64_t i;

	for (i = 0; i < size; i++)
		data[i] = fake_byte(i + shift);
	fake_put(name, data, size);
	free(data);
}

/* What is whole and untouched is not fetched again; all else is. */
static void
test_download_again(void)
{
	char path[256];

	begin();
	fake_put_text("in/a", "hello");
	fake_put_text("in/sub/b", "b");
	fake_put_text("in/gone", "x");
	fake_put_text("in/damaged", "right");
	fake_put_pattern("in/big", 9000001);
	fake_put_text("in/.amlshim-snapshot", "a blob");
	run("in", 0, 0);
	check_int(told.stats.files_done, 6);
	run("in", 0, 0);
	check_int(told.ready, 1);
	check_int(told.stats.files_kept, 6);
	check_str(file_text(target, ".amlshim-snapshot"), "a blob");
	check_int(told.stats.bytes_read, 0);
	fake_put_text("in/sub/b", "B");			/* same size, other version */
	fake_delete("in/gone");
	check_int(write_file("damaged", "wrong"), 0);
	str_format(path, sizeof(path), "%s/sub/.amlshim-0123456789abcdef", target);
	check_int(close(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600)), 0);
	run("in", 0, 0);
	check_int(told.ready, 1);
	check_int(told.stats.files_kept, 3);
	check_int(told.stats.bytes_read, 6);
	check_str(file_text(target, "sub/b"), "B");
	check_str(file_text(target, "damaged"), "right");
	check(file_text(target, "gone") == NULL);	/* it was ours */
	check_int(access(path, F_OK), -1);
	check(has_pattern("big", 9000001, 0));
	/* A file written to in place: the size is right, its time can be set back. */
	str_format(path, sizeof(path), "%s/a", target);
	{
		struct timespec times[2];
		struct stat st;
		int fd = open(path, O_WRONLY | O_CLOEXEC);

		check_int(fstat(fd, &st), 0);
		times[0] = st.st_atim;
		times[1] = st.st_mtim;
		check_int(fd_pwrite_all(fd, "J", 1, 0) | futimens(fd, times), 0);
		close(fd);
	}
	run("in", 0, 0);
	check_int(told.stats.bytes_read, 5);
	check_str(file_text(target, "a"), "hello");
	/* Another source: nothing of the journal counts. */
	fake_put_text("other/a", "OTHER");
	run("other", 0, 0);
	check_int(told.stats.files_kept, 0);
	check_str(file_text(target, "a"), "OTHER");
}

static void
test_download_replaced(void)
{
	begin();
	fake_put_text("in/f", "x");
	fake_put_pattern("in/big", 13000000);
	fake_fail_with(ERR_CHANGED, 412, 0);
	fake_set(fail_reads, 2);
	run("in", 0, 0);
	check_int(told.ready, 1);
	check(has_pattern("big", 13000000, 0));
	check_str(file_text(target, "f"), "x");
	begin();
	fake_put_text("in/f", "x");
	fake_set(fail_reads, 99);		/* it never stands still */
	run("in", 0, 0);
	check_int(told.ready, 0);
	check_int(told.err.kind, ERR_CHANGED);
}

/* Of a large file only the pieces that are missing are fetched, unless it is another one now. */
static void
test_download_pieces(void)
{
	begin();
	put_shifted("in/large", 41000000, 5);		/* ten pieces */
	fake_set(kill_in, 8);
	run("in", 0, 0);
	check_int(told.ready, 0);
	fake_set(kill_in, 0);
	run("in", 0, 0);
	check_int(told.ready, 1);
	check(told.stats.bytes_read < 41000000);
	check(has_pattern("large", 41000000, 5));
	begin();
	put_shifted("in/large", 41000000, 5);
	fake_set(kill_in, 8);
	run("in", 0, 0);
	put_shifted("in/large", 41000000, 6);
	fake_set(kill_in, 0);
	run("in", 0, 0);
	check_int(told.stats.bytes_read, 41000000);
	check(has_pattern("large", 41000000, 6));
}

/* Kill it anywhere, change blobs in between: the run after has the right bytes. */
static void
test_download_killed(void)
{
	unsigned seed = KILLS_SEED;
	int64_t shift = 0;
	int round, kills, i, wrong = 0, whole = 0, pieces = 0;
	char name[32];

	printf("seed %u\n", seed);
	for (round = 0; round < 3; round++) {
		begin();
		for (i = 0; i < 12; i++) {
			str_format(name, sizeof(name), "in/d%d/f%d", i % 7, i);
			put_shifted(name, 100 + 777 * i, i);
		}
		put_shifted("in/a-large", 29000001, shift = 0);
		for (kills = 0; kills < 4; kills++) {
			i = rand_r(&seed) % 19;		/* a piece, or a moment */
			fake_set(kill_in, kills % 2 == 0 ? i + 1 : 0);
			run_killed("in", 0, 0, kills % 2 == 0 ? -1 : 2000 * i);
			if (rand_r(&seed) % 5 == 0)
				put_shifted("in/a-large", 29000001, shift = rand_r(&seed) % 1000);
			if (rand_r(&seed) % 3 == 0)
				put_shifted("in/d0/f7", 100 + 777 * 7, 7);
		}
		fake_set(kill_in, 0);
		run("in", 0, 0);
		whole += told.stats.files_kept > 0;
		pieces += told.stats.bytes_read < 29000000;
		wrong += told.ready != 1 || !has_pattern("a-large", 29000001, shift);
		for (i = 0; i < 12; i++) {
			str_format(name, sizeof(name), "d%d/f%d", i % 7, i);
			wrong += !has_pattern(name, 100 + 777 * i, i);
		}
		wrong += count_entries(target) != 8;
	}
	check_int(wrong, 0);
	check(whole > 0 && pieces > 0);		/* what an earlier run had was used */
	printf("of 3 rounds %d had whole files before, %d pieces\n", whole, pieces);
}

static void
test_upload(void)
{
	char path[256], link[256];
	struct err err;

	begin();
	str_format(path, sizeof(path), "%s/sub/deep", target);
	check_int(fd_mkdir_p(path, 0755, &err), 0);
	check_int(write_file("a.txt", "hello") | write_file("sub/deep/b", "b") |
	    write_file("empty", ""), 0);
	str_format(link, sizeof(link), "%s/link", target);
	check_int(symlink("a.txt", link), 0);		/* inside: the file once more */
	str_format(link, sizeof(link), "%s/outside", target);
	check_int(symlink("/etc/passwd", link), 0);
	run("out/run", 0, 1);
	check_int(told.ready, 1);
	check_int(told.done, 1);
	check_str(file_text(sent, "out%run%a.txt"), "hello");
	check_str(file_text(sent, "out%run%sub%deep%b"), "b");
	check_str(file_text(sent, "out%run%empty"), "");
	check_str(file_text(sent, "out%run%link"), "hello");
	check_int(count_entries(sent), 4);
	check_int(told.stats.files_done, 4);
	check_int(told.stats.bytes_written, 11);
	check_int(told.lost, 1);			/* never what a link points to elsewhere */
	check(strstr(told.lost_what, "/outside") != NULL);
}

/* Beside files and links: what has no bytes, what no blob can be called. */
static void
test_upload_odd(void)
{
	char path[256], link[256];
	struct err err;

	begin();
	str_format(path, sizeof(path), "%s/sub/empty", target);
	check_int(fd_mkdir_p(path, 0755, &err), 0);
	check_int(write_file("a", "hello") | write_file("sub/line\nfeed", "x") |
	    write_file("not\xff", "x"), 0);
	str_format(path, sizeof(path), "%s/pipe", target);
	check_int(mkfifo(path, 0600), 0);
	str_format(link, sizeof(link), "%s/dangling", target);
	check_int(symlink("nothing", link), 0);
	str_format(link, sizeof(link), "%s/folder", target);
	check_int(symlink("sub", link), 0);
	str_format(link, sizeof(link), "%s/up", target);
	check_int(symlink("..", link), 0);
	run("out", 0, 1);
	check_int(told.done, 1);
	check_int(told.stats.files_done, 1);
	check_str(file_text(sent, "out%a"), "hello");
	check_int(count_entries(sent), 1);
	check_int(told.lost, 3);
	check(strstr(told.lost_what, "/up") != NULL);
	check(strstr(told.lost_what, "feed") != NULL);
	check(strstr(told.lost_what, "/not") != NULL);
	check_int(access(journal, F_OK), 0);		/* another run may go on */
}

static int
write_pattern(const char *name, int64_t size)
{
	char path[512];
	unsigned char *data = mem_alloc((size_t)size);
	struct err err;
	int64_t i;
	int rc;

	for (i = 0; i < size; i++)
		data[i] = fake_byte(i);
	str_format(path, sizeof(path), "%s/%s", target, name);
	rc = fd_replace_file(path, data, (size_t)size, 0644, &err);
	free(data);
	return (rc);
}

static int
same_files(const char *a, const char *b)
{
	auto_buf struct buf one = BUF_EMPTY, two = BUF_EMPTY;
	struct err err;

	return (fd_read_file(a, 64 << 20, &one, &err) == 0 &&
	    fd_read_file(b, 64 << 20, &two, &err) == 0 && one.len == two.len &&
	    memcmp(one.data, two.data, one.len) == 0);
}

static void
test_upload_blocks(void)
{
	static const char *const ids[] = { "QUFBQQ==" };
	struct store_put other = { .name = "large", .len = 3 };
	char ours[128], theirs[128];
	int round;

	str_format(ours, sizeof(ours), "%s/large", target);
	str_format(theirs, sizeof(theirs), "%s/large", sent);
	for (round = 0; round < 3; round++) {
		begin();
		check_int(write_pattern("large", 17000001) | write_file("small", "s"), 0);
		if (round == 1) {		/* somebody's block has an id of another length */
			str_format(other.id, sizeof(other.id), "%s", ids[0]);
			check_int(fake_put_block(&other, mem_zalloc(3), NULL), 0);
		} else if (round == 2) {
			fake_fail_with(ERR_UNREACHABLE, 503, 0);
			fake_set(fail_puts, 1);
		}
		run("", 0, 1);
		check_int(told.done, 1);
		check_int(told.lost, round == 2);
		check_int(told.stats.files_done, round == 2 ? 1 : 2);
		check_int(same_files(ours, theirs), round != 2);
		/* All is out: nothing to go on with. */
		check_int(access(journal, F_OK), round == 2 ? 0 : -1);
	}
}

static void
test_upload_fails(void)
{
	begin();
	check_int(write_file("a", "hello") | write_file("b", "x"), 0);
	fake_fail_with(ERR_UNREACHABLE, 503, 0);
	fake_set(fail_uploads, 1);
	run("", 0, 1);
	check_int(told.done, 1);
	check_int(told.lost, 1);
	check_int(told.stats.files_failed, 1);
	check(str_starts(told.lost_what + 1, target));	/* where it stays */
	check_int(count_entries(target), 2);
	check_int(count_entries(sent), 1);
}

int
main(void)
{
	struct err err;

	str_format(dir, sizeof(dir), "/tmp/test_transfer.%d", (int)getpid());
	str_format(target, sizeof(target), "%s/target", dir);
	str_format(sent, sizeof(sent), "%s/sent", dir);
	str_format(journal, sizeof(journal), "%s/cache/x.journal", dir);
	test_download();
	test_download_one();
	test_download_fails();
	test_download_again();
	test_download_replaced();
	test_download_pieces();
	test_download_killed();
	test_upload();
	test_upload_odd();
	test_upload_blocks();
	test_upload_fails();
	fd_remove_tree(dir, &err);
	return (check_done());
}
