/* state, inflight: what a killed process had written is there, and nothing happens twice. */

#include <errno.h>
#include <linux/fuse.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "base/clock.h"
#include "base/sys.h"
#include "mount/handle.h"
#include "mount/inflight.h"

#define RESENT		(UINT64_C(1) << 63)
#define KILLS		40
#define RECORDS		200

static struct err err;

static struct state *
opened(int fd)
{
	struct state *st = state_open(fd, &err);

	if (st == NULL)
		abort();
	return (st);
}

static int
holds(struct state *st, uint32_t id, const char *want)
{
	auto_buf struct buf b = BUF_EMPTY;

	return (state_get(st, STATE_NODE, id, &b) && b.len == strlen(want) &&
	    memcmp(b.data, want, b.len) == 0);
}

static void
test_records(void)
{
	auto_close int fd = sys_memfd("test");
	struct state *st = opened(fd);
	auto_buf struct buf large = BUF_EMPTY;
	uint32_t a, b;
	int64_t before;

	check(!state_is_resumed(st));
	a = state_new_id(st, STATE_NODE);
	b = state_new_id(st, STATE_NODE);
	check(a == 2 && b == 3);
	check_int(state_put(st, STATE_NODE, a, "one", 3), 0);
	check_int(state_put(st, STATE_NODE, b, "two", 3), 0);
	check_int(state_put(st, STATE_NODE, a, "another", 7), 0);
	*state_word(st, STATE_NODE, a) = 7;
	while (large.len < 10000)
		buf_adds(&large, "0123456789");
	before = state_bytes(st);
	check_int(state_put(st, STATE_NODE, b, large.data, large.len), 0);
	check(state_bytes(st) - before < 11000);
	check(state_memory(st) >= state_bytes(st) && state_memory(st) < 12000);
	state_close(st);

	st = opened(fd);
	check(holds(st, a, "another"));
	check(holds(st, b, buf_str(&large)));
	check_int(*state_word(st, STATE_NODE, a), 7);
	state_drop(st, STATE_NODE, b);
	check_int(state_bytes(st), 64);
	check(state_memory(st) > 10000);	/* it is not given back */
	state_close(st);

	st = opened(fd);
	check(!holds(st, b, buf_str(&large)));
	check_int(state_new_id(st, STATE_NODE), b);	/* it is free again */
	check(state_new_id(st, STATE_NODE) > b);
	check_int(state_put(st, STATE_NODE, 1U << 30, "x", 1), -1);
	state_close(st);
}

/* The bytes of all records are written over. */
static void
test_damage(void)
{
	auto_close int fd = sys_memfd("test");
	struct state *st = opened(fd);
	char text[] = "a record that is looked for in the memory", other[] = "x";
	off_t size, at;
	char *p;

	state_put(st, STATE_NODE, state_new_id(st, STATE_NODE), text, sizeof(text));
	state_close(st);
	size = lseek(fd, 0, SEEK_END);
	p = mmap(NULL, (size_t)size, PROT_READ, MAP_SHARED, fd, 0);
	/* Only what was written takes memory: the holes are passed over. */
	for (at = lseek(fd, 0, SEEK_DATA); at >= 0; at = lseek(fd, at, SEEK_DATA)) {
		off_t end = lseek(fd, at, SEEK_HOLE);
		char *found = memmem(p + at, (size_t)(end - at), text, sizeof(text));

		if (found != NULL)
			check_int(pwrite(fd, other, 1, found - p + 3), 1);
		at = end;
	}
	munmap(p, (size_t)size);
	check(state_open(fd, &err) == NULL);
	check(strstr(err.cause, "damaged") != NULL);
}

/* Records of all sizes whose bytes tell whose they are. */
static void __attribute__((noreturn))
write_for_ever(int fd, unsigned int seed)
{
	struct state *st = opened(fd);
	char text[1200];
	uint32_t id;
	size_t len;

	srandom(seed);
	for (;;) {
		id = 2 + (uint32_t)random() % RECORDS;
		len = 8 + (size_t)random() % (sizeof(text) - 8);
		memset(text, 'a' + (int)(id % 26), len);
		if (random() % 4 == 0)
			state_drop(st, STATE_NODE, id);
		else if (state_put(st, STATE_NODE, id, text, len) != 0)
			_exit(1);
	}
}

static int
is_true(struct state *st, uint32_t id)
{
	auto_buf struct buf b = BUF_EMPTY;
	size_t k;

	if (!state_get(st, STATE_NODE, id, &b))
		return (1);
	for (k = 0; k < b.len; k++)
		if (b.data[k] != 'a' + (int)(id % 26))
			return (0);
	return (b.len >= 8);
}

static void
test_killed(void)
{
	auto_close int fd = sys_memfd("test");
	int k, status, wrong = 0, lost = 0;
	struct state *st;
	uint32_t id;
	pid_t pid;

	for (k = 0; k < KILLS; k++) {
		if ((pid = fork()) == 0)
			write_for_ever(fd, (unsigned int)k);
		clock_sleep_ms(1 + k % 5);
		kill(pid, SIGKILL);
		lost += waitpid(pid, &status, 0) != pid || !WIFSIGNALED(status);
		st = state_open(fd, &err);
		if (st == NULL) {
			wrong++;
			break;
		}
		for (id = 2; id < 2 + RECORDS; id++)
			wrong += !is_true(st, id);
		wrong += state_bytes(st) > RECORDS * 1300;	/* nothing leaks */
		state_close(st);
	}
	check_int(lost, 0);
	check_int(wrong, 0);
}

/* ---- requests: one end of a socket is the kernel's ----------------------------------- */

struct request {
	struct fuse_in_header h;
	char	body[64];
};

static int kernel, ours, memory;

static void
ask(uint32_t opcode, uint64_t unique)
{
	struct request r = { .h = { .len = sizeof(r), .opcode = opcode, .unique = unique } };

	if (send(kernel, &r, sizeof(r), 0) != (ssize_t)sizeof(r))
		abort();
}

/* INIT of a kernel that sends again. */
static void
ask_init(void)
{
	struct {
		struct fuse_in_header h;
		struct fuse_init_in in;
	} r = { .h = { .len = sizeof(r), .opcode = FUSE_INIT, .unique = 1 },
	    .in = { .major = 7, .minor = 45, .flags = 1U << 30, .flags2 = 1U << 7 } };

	if (send(kernel, &r, sizeof(r), 0) != (ssize_t)sizeof(r))
		abort();
}

static uint64_t
take(struct inflight *f, uint32_t *opcode)
{
	char buf[4096];
	struct request r;

	if (inflight_read(f, buf, sizeof(buf)) < (ssize_t)sizeof(r.h))
		_exit(20);
	memcpy(&r, buf, sizeof(r));
	*opcode = r.h.opcode;
	return (r.h.unique);
}

static void
answer(struct inflight *f, uint64_t unique, int error)
{
	struct fuse_out_header out = { .len = sizeof(out), .unique = unique, .error = error };
	struct iovec iov = { &out, sizeof(out) };

	if (inflight_writev(f, &iov, 1) < 0)
		_exit(21);
}

/* What the kernel is told: 1 an answer is there. */
static int
told(struct fuse_out_header *out)
{
	return (recv(kernel, out, sizeof(*out), MSG_DONTWAIT) == (ssize_t)sizeof(*out));
}

/* One life: INIT, then what it has to do; its end is a death. */
static int
live(void (*life)(struct inflight *))
{
	struct inflight *f;
	uint32_t opcode;
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		f = inflight_new(opened(memory), ours);
		answer(f, take(f, &opcode), 0);
		life(f);
		_exit(opcode == FUSE_INIT ? 0 : 22);
	}
	waitpid(pid, &status, 0);
	return (WIFEXITED(status) ? WEXITSTATUS(status) : -1);
}

static void
begins(struct inflight *f)
{
	uint32_t opcode;

	take(f, &opcode);
	if (inflight_is_again() || inflight_is_repeat())
		_exit(1);
	inflight_begin();
}

static void
begins_again(struct inflight *f)
{
	uint32_t opcode;
	uint64_t unique = take(f, &opcode);

	if (!inflight_is_again() || !inflight_is_repeat() || inflight_unique() != 2)
		_exit(1);
	answer(f, unique, -EEXIST);
}

static void
only_reads(struct inflight *f)
{
	uint32_t opcode;

	take(f, &opcode);
}

static void
is_new(struct inflight *f)
{
	uint32_t opcode;
	uint64_t unique = take(f, &opcode);

	if (inflight_is_repeat())
		_exit(1);
	answer(f, unique, 0);
}

static void
new_kernel(void)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair) != 0)
		abort();
	kernel = pair[0];
	ours = pair[1];
	memory = sys_memfd("test");
	ask_init();
}

static void
end_kernel(void)
{
	close(kernel);
	close(ours);
	close(memory);
}

static void
test_resent(void)
{
	struct fuse_out_header out;

	new_kernel();
	ask(FUSE_MKDIR, 2);
	check_int(live(begins), 0);
	check(told(&out) && out.unique == 1);			/* INIT */
	check(!told(&out));
	ask(FUSE_MKDIR, 2 | RESENT);
	check_int(live(begins_again), 0);
	check(told(&out) && out.unique == 0 && out.error == 7);	/* send it again */
	check(told(&out) && out.unique == (2 | RESENT) && out.error == -EEXIST);
	check(!told(&out));
	ask(FUSE_LOOKUP, 3);
	check_int(live(is_new), 0);
	check(told(&out) && told(&out) && out.unique == 3 && !told(&out));
	end_kernel();
}

/* It dies while it writes the answer: the answer is all that comes of the same request. */
static void
dies_answering(struct inflight *f)
{
	uint32_t opcode;
	uint64_t unique = take(f, &opcode);

	inflight_begin();
	shutdown(ours, SHUT_RDWR);
	signal(SIGPIPE, SIG_DFL);
	answer(f, unique, -EXDEV);
}

static void
test_answered(void)
{
	struct fuse_out_header out;
	int pair[2], old;

	new_kernel();
	ask(FUSE_RENAME2, 2);
	check_int(live(dies_answering), 21);
	old = kernel;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair) != 0)
		abort();
	close(old);
	close(ours);
	kernel = pair[0];
	ours = pair[1];
	ask(FUSE_RENAME2, 2 | RESENT);
	ask(FUSE_GETATTR, 3);
	check_int(live(is_new), 0);			/* only the second one comes through */
	check(told(&out) && out.error == 7);
	check(told(&out) && out.unique == (2 | RESENT) && out.error == -EXDEV);
	check(told(&out) && out.unique == 3 && !told(&out));
	end_kernel();
}

/* Nothing is sent again: it comes out of memory. */
static void
test_replayed(void)
{
	struct fuse_out_header out;

	setenv("AMLSHIM_TEST_NO_RESEND", "1", 1);
	new_kernel();
	ask(FUSE_MKDIR, 2);
	check_int(live(begins), 0);
	check(told(&out) && out.unique == 1);
	check_int(live(begins_again), 0);
	check(told(&out) && out.unique == 2 && out.error == -EEXIST);
	ask(FUSE_READ, 3);
	check_int(live(only_reads), 0);
	check_int(live(only_reads), 0);			/* as often as it takes */
	check_int(live(is_new), 0);
	check(told(&out) && out.unique == 3 && !told(&out));
	unsetenv("AMLSHIM_TEST_NO_RESEND");
	end_kernel();
}

/* FUSE_PASSTHROUGH, bit 37 of the flags. */
static void
test_agreed(void)
{
	struct {
		struct fuse_out_header h;
		struct fuse_init_out out;
	} r = { .out = { .flags2 = 1U << 5 } };
	struct state *st = opened(-1);
	struct inflight *f = inflight_new(st, -1);
	uint32_t depth = 2;

	check_int(inflight_stack_depth(f), -1);
	memcpy((char *)&r.out + 36, &depth, sizeof(depth));	/* max_stack_depth */
	state_put(st, STATE_META, STATE_INIT_REPLY, &r, sizeof(r));
	check_int(inflight_stack_depth(f), 2);
	r.out.flags2 = 0;
	state_put(st, STATE_META, STATE_INIT_REPLY, &r, sizeof(r));
	check_int(inflight_stack_depth(f), 0);
	free(f);
	state_close(st);
}

/* A process that ran wild has written over an answer's length: it is not given again. */
static void
test_wild_answer(void)
{
	/* As inflight.c has them in the room. */
	struct { _Atomic uint64_t unique; _Atomic uint32_t step; uint32_t len; } *note;
	struct fuse_out_header out;
	struct state *st;

	new_kernel();
	ask(FUSE_MKDIR, 2);
	check_int(live(begins), 0);
	check(told(&out) && out.unique == 1);
	st = opened(memory);
	note = state_room(st);
	check_int(note->unique, 2);
	note->step = 3;
	note->len = 1 << 20;
	state_close(st);
	ask(FUSE_MKDIR, 2 | RESENT);
	check_int(live(begins_again), 0);
	check(told(&out) && out.error == 7 && told(&out) && out.error == -EEXIST && !told(&out));
	end_kernel();
}

/* Records that no life of ours has written: their sums are right, their numbers are not. */
static void
test_wild_names(void)
{
	struct { uint32_t fh, unused; uint64_t first, hash; } given = { .fh = 1,
	    .first = UINT64_MAX - 1, .hash = 7 };
	struct handle_names n = { .given = 0 };
	struct state *st = opened(-1);

	check_int(state_put(st, STATE_GIVEN, 1, &given, sizeof(given)), 0);
	check(handle_names_restore(&n, st, 1) == NULL && n.nids == 0 && n.given == 0);
	state_close(st);
}

static void
test_names(void)
{
	struct inode dir = { .node = 1 };
	struct handle_names n = { .given = 0 }, again = { .given = 0 };
	struct state *st = opened(-1);
	uint64_t *hashes;
	struct handle h;
	uint32_t fh;

	fh = handle_open(st, HANDLE_DIR, &dir, 0, &dir);
	check(fh == 1 && handle_get(st, fh, &h) && h.kind == HANDLE_DIR && h.node == 1);
	check(state_object(st, STATE_HANDLE, fh) == &dir);
	handle_names_add(&n, 0, "a");
	handle_names_add(&n, 1, "b");
	handle_names_save(&n, st, fh);
	handle_names_add(&n, 1, "b");			/* once more: it is known */
	handle_names_add(&n, 2, "c");
	handle_names_save(&n, st, fh);
	hashes = handle_names_restore(&again, st, fh);
	check_int(again.given, 3);
	check(hashes[0] == handle_hash("a") && hashes[2] == handle_hash("c"));
	check_int(state_count(st, STATE_GIVEN), 2);
	handle_names_drop(&again, st);
	check_int(state_count(st, STATE_GIVEN), 0);
	handle_close(st, fh);
	check(!handle_get(st, fh, &h));
	check(handle_open(st, HANDLE_DIR, &dir, 0, &dir) != fh);	/* not before the answer */
	handle_reuse(st, fh);
	check(handle_open(st, HANDLE_DIR, &dir, 0, &dir) == fh);
	free(hashes);
	free(n.ids);
	free(n.pending);
	state_close(st);
}

int
main(void)
{
	signal(SIGPIPE, SIG_IGN);
	test_records();
	test_damage();
	test_killed();
	test_resent();
	test_answered();
	test_replayed();
	test_agreed();
	test_names();
	test_wild_answer();
	test_wild_names();
	return (check_done());
}
