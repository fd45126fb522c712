#include "fault.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define WORDS_MAX	16384
#define PATH_SIZE	256

enum action { FAIL, COUNT, CLOCK, SUSPEND };

struct rule {
	uint64_t	 functions;		/* bit n: function n */
	unsigned int	 roles;			/* bit n: role n; 0: all */
	enum action	 action;
	int		 error;			/* errno, or FAULT_SHORT */
	int		 each;
	long long	 nth, from, one, seed, after_ms, seconds;
	char		 path[PATH_SIZE], once[PATH_SIZE];
	char		 kind;			/* 0: any */
	int		 has_begun;		/* once: it is there */
	uint64_t	 own;			/* matched in this process */
};

#define NAME(f)	#f,
static const char *const functions[] = { FAULT_FUNCTIONS(NAME) };

static const char *const roles[] = {
	"init", "child", "agent", "mount", "download", "upload", "resolver", "prober"
};

#define F(f)	UINT64_C(1) << FAULT_F_##f
static const struct {
	const char	*name;
	uint64_t	 functions;
} families[] = {
	{ "alloc", F(malloc) | F(calloc) | F(realloc) | F(aligned_alloc) | F(posix_memalign) },
	{ "desc", F(open) | F(openat) | F(fopen) | F(socket) | F(socketpair) | F(accept4) |
	    F(pipe2) | F(epoll_create1) | F(eventfd) | F(memfd_create) | F(dup) |
	    F(sys_signalfd) },
	{ "in", F(read) | F(pread) | F(recv) | F(recvmsg) },
	{ "out", F(write) | F(pwrite) | F(writev) | F(send) | F(sendmsg) },
	{ "disk", F(write) | F(pwrite) | F(fsync) | F(ftruncate) | F(fallocate) | F(mkdir) |
	    F(mkdirat) | F(rename) | F(renameat) },
	{ "wait", F(poll) | F(epoll_wait) | F(wait4) | F(waitpid) | F(nanosleep) | F(sigwait) },
	{ "intr", F(read) | F(pread) | F(recv) | F(recvmsg) | F(write) |
	    F(pwrite) | F(writev) | F(send) | F(sendmsg) | F(accept4) | F(poll) | F(epoll_wait) |
	    F(wait4) | F(waitpid) | F(nanosleep) | F(flock) },
	{ "process", F(fork) | F(pthread_create) },
};
#undef F

static const struct {
	const char	*name;
	int		 error;
} errors[] = {
	{ "ENOMEM", ENOMEM }, { "ENOSPC", ENOSPC }, { "EIO", EIO }, { "EMFILE", EMFILE },
	{ "ENFILE", ENFILE }, { "EINTR", EINTR }, { "EAGAIN", EAGAIN }, { "EPERM", EPERM },
	{ "EACCES", EACCES }, { "EDQUOT", EDQUOT }, { "EROFS", EROFS }, { "EBADF", EBADF },
	{ "ENOBUFS", ENOBUFS }, { "ENODEV", ENODEV }, { "short", FAULT_SHORT }
};

static struct rule rules[FAULT_RULES];
static size_t nrules;
static struct fault_page *page;
static enum fault_role role;

extern const char program_begin[] __asm__("__ehdr_start") __attribute__((visibility("hidden")));

/* The first word that is not understood ends the run: a test that injects nothing is none. */
static void __attribute__((noreturn))
bad(const char *word)
{
	fprintf(stderr, "AMLSHIM_FAULT: \"%s\" is not understood\n", word);
	_exit(99);
}

static uint64_t
read_functions(const char *word)
{
	size_t i;

	for (i = 0; i < sizeof(families) / sizeof(families[0]); i++)
		if (strcmp(word, families[i].name) == 0)
			return (families[i].functions);
	for (i = 0; i < FAULT_FUNCTION_COUNT; i++)
		if (strcmp(word, functions[i]) == 0)
			return (UINT64_C(1) << i);
	bad(word);
}

static void
read_action(struct rule *r, const char *first, const char *word)
{
	size_t i;

	if (strcmp(first, "clock") == 0 || strcmp(first, "suspend") == 0) {
		r->action = first[0] == 'c' ? CLOCK : SUSPEND;
		r->seconds = strtoll(word, NULL, 10);
		return;
	}
	r->functions = read_functions(first);
	for (i = 0; i < sizeof(errors) / sizeof(errors[0]); i++)
		if (strcmp(word, errors[i].name) == 0) {
			r->error = errors[i].error;
			return;
		}
	bad(word);
}

static unsigned int
read_roles(char *words)
{
	unsigned int mask = 0;
	char *word, *rest = words;
	size_t i;

	while ((word = strsep(&rest, "+")) != NULL) {
		for (i = 0; i < FAULT_ROLES && strcmp(word, roles[i]) != 0; i++)
			;
		if (i == FAULT_ROLES)
			bad(word);
		mask |= 1u << i;
	}
	return (mask);
}

static void
read_option(struct rule *r, char *word)
{
	static const struct {
		const char *name;
		size_t offset;
	} numbers[] = {
		{ "nth", offsetof(struct rule, nth) }, { "from", offsetof(struct rule, from) },
		{ "one", offsetof(struct rule, one) }, { "seed", offsetof(struct rule, seed) },
		{ "after", offsetof(struct rule, after_ms) }
	};
	char *value = strchr(word, '=');
	long long number;
	size_t i;

	if (strcmp(word, "each") == 0) {
		r->each = 1;
		return;
	}
	if (strcmp(word, "count") == 0) {
		r->action = COUNT;
		return;
	}
	if (value == NULL || strlen(value + 1) >= PATH_SIZE)
		bad(word);
	*value++ = '\0';
	if (strcmp(word, "role") == 0) {
		r->roles = read_roles(value);
		return;
	}
	if (strcmp(word, "path") == 0) {
		memcpy(r->path, value, strlen(value) + 1);
		return;
	}
	if (strcmp(word, "once") == 0) {
		memcpy(r->once, value, strlen(value) + 1);
		return;
	}
	if (strcmp(word, "kind") == 0) {
		r->kind = value[0];
		return;
	}
	number = strtoll(value, NULL, 10);
	for (i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		if (strcmp(word, numbers[i].name) == 0) {
			memcpy((char *)r + numbers[i].offset, &number, sizeof(number));
			return;
		}
	bad(word);
}

static void
read_rule(char *words)
{
	struct rule *r = &rules[nrules];
	char *first = strsep(&words, ":"), *word = strsep(&words, ":");

	if (word == NULL || nrules == FAULT_RULES)
		bad(first);
	read_action(r, first, word);
	while ((word = strsep(&words, ":")) != NULL)
		read_option(r, word);
	nrules++;
}

static int64_t
now_ms(void)
{
	struct timespec t = { 0 };

	syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &t);
	return ((int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000);
}

static struct fault_page *
map_page(const char *path)
{
	int fd = path != NULL ? (int)syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CREAT |
	    O_CLOEXEC, 0600) : -1;
	int flags = MAP_SHARED | (path == NULL ? MAP_ANONYMOUS : 0);
	void *p = MAP_FAILED;

	if (path == NULL || (fd >= 0 && syscall(SYS_ftruncate, fd, sizeof(struct fault_page)) == 0))
		p = (void *)syscall(SYS_mmap, NULL, sizeof(struct fault_page),
		    PROT_READ | PROT_WRITE, flags, fd, 0);
	if (p == MAP_FAILED)
		bad(path != NULL ? path : "memory");
	if (fd >= 0)
		close(fd);
	return (p);
}

static void __attribute__((constructor))
begin(void)
{
	const char *words = getenv("AMLSHIM_FAULT");
	static char text[WORDS_MAX];
	char *rest = text, *one;
	struct fault_page *mapped;

	if (words == NULL)
		return;
	if (strlen(words) >= sizeof(text))
		bad(words);
	memcpy(text, words, strlen(words) + 1);
	while ((one = strsep(&rest, ",")) != NULL)
		if (*one != '\0')
			read_rule(one);
	mapped = map_page(getenv("AMLSHIM_FAULT_COUNTS"));
	if (mapped->start_ms == 0)
		mapped->start_ms = now_ms();
	page = mapped;
}

static char
kind_of(int fd)
{
	struct stat st;

	if (fstat(fd, &st) != 0)
		return ('x');
	switch (st.st_mode & S_IFMT) {
	case S_IFREG:
	case S_IFDIR:
		return ('f');
	case S_IFIFO:
		return ('p');
	case S_IFSOCK:
		return ('s');
	case S_IFCHR:
		return ('d');
	default:
		return ('a');
	}
}

/* What /proc calls the descriptor.  The kernel is asked directly: our own questions do not fail. */
static const char *
link_of(int fd, char *target, size_t size)
{
	char link[32];
	long n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = syscall(SYS_readlinkat, AT_FDCWD, link, target, size - 1);
	target[n > 0 ? n : 0] = '\0';
	return (target);
}

/* What the kernel would not do is no fault. */
static int
can_happen(const struct rule *r, enum fault_function f, int fd)
{
	int on_disk = r->error == ENOSPC || r->error == EIO || r->error == EDQUOT ||
	    r->error == EROFS;
	int writes = f == FAULT_F_write || f == FAULT_F_writev;
	char kind, target[4096];

	if (fd < 0)
		return (1);
	if (fd <= 2)
		return (0);
	kind = kind_of(fd);
	if (on_disk)
		return (kind == 'f');
	if (r->error == EINTR && kind == 'f' &&
	    strncmp(link_of(fd, target, sizeof(target)), "/proc/", 6) == 0)
		return (0);
	return (kind == 'a' ? f != FAULT_F_read && !writes : kind != 'd' || !writes);
}

static int
is_at(const char *path, int fd, const char *part)
{
	char target[4096];

	if (path != NULL && strstr(path, part) != NULL)
		return (1);
	return (fd >= 0 && strstr(link_of(fd, target, sizeof(target)), part) != NULL);
}

static int
has_begun(struct rule *r)
{
	if (r->once[0] != '\0' && !r->has_begun)
		r->has_begun = syscall(SYS_faccessat, AT_FDCWD, r->once, F_OK) == 0;
	return ((r->once[0] == '\0' || r->has_begun) &&
	    (r->after_ms == 0 || now_ms() - page->start_ms >= r->after_ms));
}

static int
fits(struct rule *r, enum fault_function f, const char *path, int fd)
{
	if ((r->functions >> f & 1) == 0 || (r->roles != 0 && (r->roles >> role & 1) == 0))
		return (0);
	if (!can_happen(r, f, fd) || (r->kind != 0 && (fd < 0 || kind_of(fd) != r->kind)))
		return (0);
	if (!has_begun(r))
		return (0);
	return (r->path[0] == '\0' || is_at(path, fd, r->path));
}

/* The finaliser of splitmix64: the same run draws the same. */
static uint64_t
draw(uint64_t seed, uint64_t n)
{
	uint64_t x = seed * UINT64_C(0x9e3779b97f4a7c15) + n;

	x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
	return (x ^ (x >> 31));
}

static int
is_chosen(const struct rule *r, uint64_t n)
{
	if (r->nth != 0)
		return (n == (uint64_t)r->nth);
	if (r->from != 0)
		return (n >= (uint64_t)r->from);
	return (r->one == 0 || draw((uint64_t)r->seed, n) % (uint64_t)r->one == 0);
}

int
fault_at(enum fault_function f, const char *path, int fd, const void *caller)
{
	int saved = errno, verdict = FAULT_NONE;
	uint64_t n;
	size_t i;

	if (page == NULL)
		return (FAULT_NONE);
	for (i = 0; i < nrules; i++) {
		struct rule *r = &rules[i];

		if (!fits(r, f, path, fd))
			continue;
		n = __atomic_add_fetch(&page->matched[i], 1, __ATOMIC_RELAXED);
		if (r->each)
			n = __atomic_add_fetch(&r->own, 1, __ATOMIC_RELAXED);
		if (r->action != FAIL || verdict != FAULT_NONE || !is_chosen(r, n))
			continue;
		__atomic_add_fetch(&page->fired[i], 1, __ATOMIC_RELAXED);
		page->caller[i] = (uint64_t)((const char *)caller - program_begin);
		verdict = r->error;
	}
	errno = saved;
	return (verdict);
}

int64_t
fault_clock(int with_boot_time)
{
	int64_t shift = 0;
	size_t i;

	for (i = 0; page != NULL && i < nrules; i++) {
		const struct rule *r = &rules[i];

		if (r->action != SUSPEND && (r->action != CLOCK || with_boot_time))
			continue;
		if ((r->roles == 0 || (r->roles >> role & 1) != 0) && has_begun(&rules[i]))
			shift += r->seconds;
	}
	return (shift);
}

void
fault_forked(void)
{
	size_t i;

	role = FAULT_CHILD;
	for (i = 0; i < nrules; i++)
		rules[i].own = 0;
}

void
fault_named(const char *name)
{
	static const char prefix[] = "amlshim:";
	size_t i, n = sizeof(prefix) - 1;

	if (strncmp(name, prefix, n) != 0)
		return;
	for (i = 0; i < FAULT_ROLES; i++)
		if (strncmp(name + n, roles[i], strlen(roles[i])) == 0)
			role = (enum fault_role)i;
}
