#include "mount/journal.h"

#include <bearssl_hash.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/mem.h"

#define VERSION		"amlshim journal 1"
#define BOOT_ID		"/proc/sys/kernel/random/boot_id"
#define HEADER_SIZE	br_sha256_SIZE
#define SLOTS_FIRST	1024
#define READ_RECORDS	4096

struct record {
	struct journal_key key;
	unsigned char	value[8];
};

struct journal_slot {
	struct journal_key key;
	uint64_t	 value;
	uint64_t	 is_used;
};

struct journal {
	char		*path;
	unsigned char	 header[HEADER_SIZE];
	struct journal_map map;		/* of earlier runs; does not change */
	pthread_mutex_t	 lock;		/* guards the rest; nothing is locked inside */
	int		 fd;		/* -1: made with the first record */
	int		 is_broken;	/* a write failed, nothing more is recorded */
};

static void
digest(unsigned char out[br_sha256_SIZE], const void *text, size_t len)
{
	br_sha256_context c;

	br_sha256_init(&c);
	br_sha256_update(&c, text, len);
	br_sha256_out(&c, out);
}

void
journal_key(struct journal_key *ret, const char *fmt, ...)
{
	unsigned char sum[br_sha256_SIZE];
	auto_free char *text = NULL;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&text, fmt, ap);
	va_end(ap);
	digest(sum, text, n < 0 ? 0 : (size_t)n);
	memcpy(ret->bytes, sum, sizeof(ret->bytes));
}

/* ---- the map ----------------------------------------------------------- */

/* The keys are hashes already. */
static struct journal_slot *
slot_of(const struct journal_map *m, const struct journal_key *key)
{
	uint64_t at;
	size_t i;

	memcpy(&at, key->bytes, sizeof(at));
	for (i = (size_t)at & (m->size - 1);; i = (i + 1) & (m->size - 1))
		if (!m->slots[i].is_used || memcmp(&m->slots[i].key, key, sizeof(*key)) == 0)
			return (&m->slots[i]);
}

static void
grow(struct journal_map *m)
{
	struct journal_map larger = { .size = m->size == 0 ? SLOTS_FIRST : 2 * m->size };
	size_t i;

	larger.slots = mem_zalloc(larger.size * sizeof(*larger.slots));
	for (i = 0; i < m->size; i++)
		if (m->slots[i].is_used)
			*slot_of(&larger, &m->slots[i].key) = m->slots[i];
	larger.n = m->n;
	free(m->slots);
	*m = larger;
}

void
journal_map_put(struct journal_map *m, const struct journal_key *key, uint64_t value)
{
	struct journal_slot *s;

	if (m->n >= m->size / 4 * 3)
		grow(m);
	s = slot_of(m, key);
	m->n += !s->is_used;
	*s = (struct journal_slot){ .key = *key, .value = value, .is_used = 1 };
}

int
journal_map_get(const struct journal_map *m, const struct journal_key *key, uint64_t *ret)
{
	const struct journal_slot *s;

	if (m->n == 0)
		return (0);
	s = slot_of(m, key);
	if (!s->is_used)
		return (0);
	*ret = s->value;
	return (1);
}

void
journal_map_done(struct journal_map *m)
{
	free(m->slots);
	*m = (struct journal_map){ .slots = NULL };
}

/* ---- the file ---------------------------------------------------------- */

/* -1: this kernel's id cannot be read. */
static int
make_header(unsigned char header[HEADER_SIZE], const char *purpose)
{
	auto_buf struct buf text = BUF_EMPTY, boot = BUF_EMPTY;

	if (fd_read_file(BOOT_ID, 4096, &boot, NULL) != 0 || boot.len == 0)
		return (-1);
	buf_printf(&text, "%s\n%s\n%s", VERSION, buf_str(&boot), purpose);
	digest(header, text.data, text.len);
	return (0);
}

static int
lock_file(int fd, const char *path, int wait_ms, struct err *err)
{
	int64_t deadline = clock_ms() + wait_ms;

	while (flock(fd, LOCK_EX | LOCK_NB) != 0) {
		if (errno != EWOULDBLOCK || clock_ms() >= deadline) {
			err_set(err, ERR_USAGE, REMEDY_NONE, "copy",
			    "another run of amlshim is at the same data");
			return (err_on(err, "%s", path));
		}
		clock_sleep_ms(50);
	}
	return (0);
}

/* 0: the header is ours and all whole records are in the map. */
static int
load(struct journal *j)
{
	auto_free struct record *r = mem_alloc(READ_RECORDS * sizeof(*r));
	unsigned char found[HEADER_SIZE];
	off_t at = HEADER_SIZE;
	uint64_t value;
	size_t i, n;
	ssize_t got;

	if (fd_pread_full(j->fd, found, HEADER_SIZE, 0) != HEADER_SIZE ||
	    memcmp(found, j->header, HEADER_SIZE) != 0)
		return (-1);
	for (;; at += (off_t)(n * sizeof(*r))) {
		got = fd_pread_full(j->fd, r, READ_RECORDS * sizeof(*r), at);
		if (got < 0)
			return (-1);
		n = (size_t)got / sizeof(*r);
		for (i = 0; i < n; i++) {
			memcpy(&value, r[i].value, sizeof(value));
			journal_map_put(&j->map, &r[i].key, value);
		}
		if (n < READ_RECORDS)
			return (ftruncate(j->fd, at + (off_t)(n * sizeof(*r))));
	}
}

/* Not the map: others may be looking things up. */
static int
begin_anew(struct journal *j)
{
	if (ftruncate(j->fd, 0) != 0)
		return (-1);
	return (fd_write_all(j->fd, j->header, HEADER_SIZE));
}

static int
open_file(const char *path, int flags)
{
	return (open(path, O_RDWR | O_APPEND | O_NOFOLLOW | O_CLOEXEC | flags, 0600));
}

static int
make_file(struct journal *j)
{
	auto_free char *folder = mem_strdup(j->path);
	char *slash = strrchr(folder, '/');

	if (slash != NULL && slash != folder) {
		*slash = '\0';
		if (fd_mkdir_p(folder, 0700, NULL) != 0)
			return (-1);
	}
	j->fd = open_file(j->path, O_CREAT);
	if (j->fd < 0 || flock(j->fd, LOCK_EX | LOCK_NB) != 0)
		return (-1);
	return (begin_anew(j));
}

static void
forgo(struct journal *j)
{
	j->is_broken = 1;
	log_info("%s: %s: an interruption would not be survived", j->path, strerror(errno));
}

struct journal *
journal_open(const char *path, const char *purpose, int wait_ms, struct err *err)
{
	struct journal *j = mem_zalloc(sizeof(*j));

	*err = ERR_EMPTY;
	j->fd = -1;
	pthread_mutex_init(&j->lock, NULL);
	j->path = mem_strdup(path != NULL ? path : "");
	if (path == NULL || make_header(j->header, purpose) != 0) {
		j->is_broken = 1;
		return (j);
	}
	j->fd = open_file(path, 0);
	if (j->fd >= 0 && lock_file(j->fd, path, wait_ms, err) != 0) {
		journal_close(j, 0);
		return (NULL);
	}
	if (j->fd < 0 && errno != ENOENT)
		forgo(j);
	if (j->fd >= 0 && load(j) != 0) {
		journal_map_done(&j->map);
		if (begin_anew(j) != 0)
			forgo(j);
	}
	return (j);
}

size_t
journal_known(const struct journal *j)
{
	return (j != NULL ? j->map.n : 0);
}

int
journal_find(const struct journal *j, const struct journal_key *key, uint64_t *ret)
{
	return (j != NULL && journal_map_get(&j->map, key, ret));
}

/* A record that is not whole would shift those after it: it is the last. */
void
journal_add(struct journal *j, const struct journal_key *key, uint64_t value)
{
	struct record r = { .key = *key };

	if (j == NULL)
		return;
	memcpy(r.value, &value, sizeof(value));
	pthread_mutex_lock(&j->lock);
	if (!j->is_broken && ((j->fd < 0 && make_file(j) != 0) ||
	    write(j->fd, &r, sizeof(r)) != (ssize_t)sizeof(r)))
		forgo(j);
	pthread_mutex_unlock(&j->lock);
}

void
journal_close(struct journal *j, int remove_it)
{
	if (j == NULL)
		return;
	if (remove_it && j->fd >= 0 && unlink(j->path) != 0 && errno != ENOENT)
		log_info("%s: %s", j->path, strerror(errno));
	mem_close_fd(&j->fd);
	journal_map_done(&j->map);
	pthread_mutex_destroy(&j->lock);
	free(j->path);
	free(j);
}
