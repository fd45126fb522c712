/* transfer: download before the job, upload after it; each runs in a process of its own. */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "check.h"
#include "fakestore.h"
#include "base/wire.h"
#include "mount/transfer.h"

static char dir[64], target[96], sent[96];

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

static void
run(const char *prefix, int is_file, int upload)
{
	struct plan_access access = { .name = "x", .base_url = "http://127.0.0.1:1/acct",
	    .account = "acct", .container = "c", .prefix = prefix, .is_file = is_file,
	    .target = target, .is_output = upload,
	    .action = upload ? PLAN_UPLOAD : PLAN_DOWNLOAD };
	struct transfer_options o = { .access = &access, .memory_bytes = 16 << 20 };
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
		if (upload)
			transfer_upload_main(&o);
		transfer_download_main(&o);
	}
	close(init[1]);
	close(agent[1]);
	pthread_create(&thread, NULL, agent_main, &agent[0]);
	listen_to(init[0]);
	waitpid(pid, &told.status, 0);
	pthread_join(thread, NULL);
	close(init[0]);
	close(agent[0]);
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
	begin();
	fake_put_text("in/f", "x");
	fake_fail_with(ERR_DENIED, 403, 0);
	fake_set(fail_reads, 1);
	run("in", 0, 0);
	check_int(told.ready, 0);
	check_int(told.err.kind, ERR_DENIED);
	check(WIFEXITED(told.status) && WEXITSTATUS(told.status) == 122);
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
	test_download();
	test_download_one();
	test_download_fails();
	test_upload();
	test_upload_fails();
	fd_remove_tree(dir, &err);
	return (check_done());
}
