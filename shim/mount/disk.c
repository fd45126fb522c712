#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <bearssl.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/mem.h"
#include "mount/disk.h"
#include "mount/cond.h"

#define FORMAT		"amlshim cache 1"	/* another one makes other names */
#define STATE		".state"
#define SUM		".sum"
#define NAME_SIZE	33
#define RESERVE		((int64_t)150 * 1000 * 1000)	/* as Azure ML's own mounts */
#define SLACK		4096		/* a chunk's sums and metadata at most */
#define OLDEST		2048		/* files that one look at the directory can evict */
#define PAUSE_MS	5000		/* nothing could be evicted */
#define TOUCH_S		60
#define CHECKED		256		/* files that are known to be whole and right */
#define CHECK_STEP	8
#define TOLD_MAX	10
#define STACK		(256 * 1024)

struct job {
	struct disk_entry *entry;	/* a reference */
	int64_t		 index;
	const void	*data;
	void		*token;
};

struct checked {
	uint64_t	 seed;
	ino_t		 ino;
	struct timespec	 mtime;
};

struct disk {
	struct disk_options opt;
	char		*place;
	int		 dir_fd, state_fd;
	pthread_t	 thread;
	_Atomic int	 nbad;		/* told of */
	_Atomic int	 told_full;
	_Atomic int64_t	 hits, damaged;
	/* Guards the rest; innermost. */
	pthread_mutex_t	 lock;
	pthread_cond_t	 changed;
	struct job	*queue;		/* ring */
	unsigned int	 head, n, size;
	int		 busy, stopping;
	struct disk_entry *checking;	/* a reference: to be checked as a whole; NULL: none */
	struct checked	 checked[CHECKED];
	struct disk_counts counts;
	/* The thread's own. */
	int64_t		 used, pause_until_ms;
	int64_t		 check_at;		/* next chunk of checking */
	struct checked	 check_as;		/* what it was at the first */
};

struct disk_entry {
	struct disk	*disk;
	char		 name[NAME_SIZE];
	uint64_t	 seed;
	int64_t		 size, nchunks;
	_Atomic unsigned int refs;
	/* Set once, data_fd first; the same for a small file. */
	_Atomic int	 data_fd, sums_fd;
};

/* ---- sums ---------------------------------------------------------------------------- */

#define P1	UINT64_C(0x9E3779B185EBCA87)
#define P2	UINT64_C(0xC2B2AE3D27D4EB4F)
#define P3	UINT64_C(0x165667B19E3779F9)
#define P4	UINT64_C(0x85EBCA77C2B2AE63)
#define P5	UINT64_C(0x27D4EB2F165667C5)

static uint64_t
rotate(uint64_t x, int by)
{
	return (x << by | x >> (64 - by));
}

static uint64_t
load64(const unsigned char *p)
{
	uint64_t x;

	memcpy(&x, p, sizeof(x));
	return (x);
}

static uint64_t
round64(uint64_t acc, uint64_t lane)
{
	return (rotate(acc + lane * P2, 31) * P1);
}

/* XXH64; its steps of 4 bytes and 1 are one here: the rest is padded with zeros. */
static uint64_t
sum_of(const void *data, size_t len, uint64_t seed)
{
	uint64_t v[4] = { seed + P1 + P2, seed + P2, seed, seed - P1 }, h;
	unsigned char last[8] = { 0 };
	const unsigned char *p = data;
	size_t left;
	int i;

	for (left = len; left >= 32; left -= 32, p += 32)
		for (i = 0; i < 4; i++)
			v[i] = round64(v[i], load64(p + 8 * i));
	h = rotate(v[0], 1) + rotate(v[1], 7) + rotate(v[2], 12) + rotate(v[3], 18);
	for (i = 0; i < 4; i++)
		h = (h ^ round64(0, v[i])) * P1 + P4;
	for (h += len; left >= 8; left -= 8, p += 8)
		h = rotate(h ^ round64(0, load64(p)), 27) * P1 + P4;
	memcpy(last, p, left);
	h = rotate(h ^ load64(last) * P5, 11) * P1;
	h = (h ^ h >> 33) * P2;
	h = (h ^ h >> 29) * P3;
	h ^= h >> 32;
	return (h != 0 ? h : 1);
}

/* ---- places -------------------------------------------------------------------------- */

static int
is_small(const struct disk_entry *e)
{
	return (e->size <= DISK_SMALL);
}

static size_t
chunk_len(const struct disk_entry *e, int64_t index)
{
	int64_t left = e->size - index * DISK_CHUNK;

	return ((size_t)(left < DISK_CHUNK ? left : DISK_CHUNK));
}

static int64_t
sums_from(const struct disk_entry *e)
{
	return (is_small(e) ? (e->size + 4095) / 4096 * 4096 : 0);
}

static int64_t
sum_at(const struct disk_entry *e, int64_t index)
{
	return (sums_from(e) + index * (int64_t)sizeof(uint64_t));
}

static int64_t
file_size(const struct disk_entry *e)
{
	return (is_small(e) ? sum_at(e, e->nchunks) : e->size);
}

static void
sum_name(char out[NAME_SIZE + 4], const char *name)
{
	str_format(out, NAME_SIZE + 4, "%s" SUM, name);
}

/* 0: not there. */
static uint64_t
stored_sum(const struct disk_entry *e, int64_t index)
{
	int fd = e->sums_fd;
	uint64_t sum;

	if (fd < 0 || index >= e->nchunks ||
	    pread(fd, &sum, sizeof(sum), sum_at(e, index)) != (ssize_t)sizeof(sum))
		return (0);
	return (sum);
}

static void
note(struct disk *d, int is_bad, const char *text)
{
	if (d->opt.note != NULL)
		d->opt.note(d->opt.arg, is_bad, text);
}

/* ---- entries ------------------------------------------------------------------------- */

/* The lock comes with the descriptor: of a file that is being evicted nobody gets one. */
static int
open_data(struct disk_entry *e, int create, int *ret_is_new)
{
	auto_close int fd = openat(e->disk->dir_fd, e->name,
	    O_RDWR | O_CLOEXEC | O_NOFOLLOW | (create ? O_CREAT : 0), 0600);
	struct stat st;

	if (fd < 0 || flock(fd, LOCK_SH | LOCK_NB) != 0 || fstat(fd, &st) != 0 ||
	    st.st_nlink == 0)
		return (-1);
	*ret_is_new = st.st_size != file_size(e);
	if (*ret_is_new && (!create || ftruncate(fd, 0) != 0 || ftruncate(fd, file_size(e)) != 0))
		return (-1);
	return (fd_take(&fd));
}

/* create: by the thread, .state locked.  Sums of other data are none. */
static int
open_files(struct disk_entry *e, int create)
{
	char name[NAME_SIZE + 4];
	int data = e->data_fd, is_new = 0;

	if (data < 0 && (data = open_data(e, create, &is_new)) < 0)
		return (-1);
	e->data_fd = data;
	sum_name(name, e->name);
	e->sums_fd = is_small(e) ? data : openat(e->disk->dir_fd, name, O_RDWR | O_CLOEXEC |
	    O_NOFOLLOW | (create ? O_CREAT : 0) | (is_new ? O_TRUNC : 0), 0600);
	return (e->sums_fd >= 0 ? 0 : -1);
}

/* It is used: it goes later. */
static void
touch(const struct disk_entry *e)
{
	struct stat st;

	if (fstat(e->sums_fd, &st) == 0 && clock_wall_s() - st.st_mtim.tv_sec > TOUCH_S)
		futimens(e->sums_fd, NULL);	/* best effort */
}

static void
make_name(struct disk_entry *e, const char *name, const char *etag)
{
	unsigned char digest[br_sha256_SIZE];
	br_sha256_context h;
	int i;

	br_sha256_init(&h);
	br_sha256_update(&h, FORMAT, sizeof(FORMAT));
	br_sha256_update(&h, e->disk->place, strlen(e->disk->place) + 1);
	br_sha256_update(&h, name, strlen(name) + 1);
	br_sha256_update(&h, etag, strlen(etag) + 1);
	br_sha256_update(&h, &e->size, sizeof(e->size));
	br_sha256_out(&h, digest);
	for (i = 0; i < (NAME_SIZE - 1) / 2; i++)
		str_format(e->name + 2 * i, 3, "%02x", digest[i]);
	e->seed = load64(digest + 16);
}

struct disk_entry *
disk_open(struct disk *d, const char *name, const char *etag, int64_t size)
{
	struct disk_entry *e = mem_zalloc(sizeof(*e));

	e->disk = d;
	e->refs = 1;
	e->data_fd = e->sums_fd = -1;
	if (etag[0] == '\0' || size <= 0)
		return (e);
	e->size = size;
	e->nchunks = (size + DISK_CHUNK - 1) / DISK_CHUNK;
	make_name(e, name, etag);
	if (open_files(e, 0) == 0)
		touch(e);
	return (e);
}

void
disk_close(struct disk_entry *e)
{
	if (e == NULL || atomic_fetch_sub(&e->refs, 1) > 1)
		return;
	if (e->sums_fd >= 0 && e->sums_fd != e->data_fd)
		close(e->sums_fd);
	if (e->data_fd >= 0)
		close(e->data_fd);
	free(e);
}

/* ---- reading ------------------------------------------------------------------------- */

int
disk_has(const struct disk_entry *e, int64_t index)
{
	return (stored_sum(e, index) != 0);
}

static void
drop_damaged(struct disk_entry *e, int64_t index)
{
	static const uint64_t none = 0;
	struct disk *d = e->disk;

	atomic_fetch_add(&d->damaged, 1);
	fd_pwrite_all(e->sums_fd, &none, sizeof(none), sum_at(e, index));
	if (atomic_fetch_add(&d->nbad, 1) < TOLD_MAX)
		note(d, 1, "a damaged block was dropped and is fetched again");
}

int
disk_read(struct disk_entry *e, int64_t index, void *memory)
{
	uint64_t sum = stored_sum(e, index);
	size_t len;

	if (sum == 0)
		return (-1);
	len = chunk_len(e, index);
	if (fd_pread_full(e->data_fd, memory, len, index * DISK_CHUNK) != (ssize_t)len ||
	    sum_of(memory, len, e->seed + (uint64_t)index) != sum) {
		drop_damaged(e, index);
		return (-1);
	}
	atomic_fetch_add_explicit(&e->disk->hits, 1, memory_order_relaxed);
	return (0);
}

/* ---- whole files --------------------------------------------------------------------- */

static int
is_same(const struct checked *a, const struct checked *b)
{
	return (a->seed == b->seed && a->ino == b->ino && a->mtime.tv_sec == b->mtime.tv_sec &&
	    a->mtime.tv_nsec == b->mtime.tv_nsec);
}

static int
identify(const struct disk_entry *e, struct checked *ret)
{
	struct stat st;

	if (fstat(e->data_fd, &st) != 0)
		return (-1);
	*ret = (struct checked){ e->seed, st.st_ino, st.st_mtim };
	return (0);
}

static int
has_all(const struct disk_entry *e)
{
	uint64_t sums[512];
	int64_t at, n, i;

	for (at = 0; at < e->nchunks; at += n) {
		n = e->nchunks - at < (int64_t)LENGTH(sums) ? e->nchunks - at :
		    (int64_t)LENGTH(sums);
		if (fd_pread_full(e->sums_fd, sums, (size_t)n * sizeof(*sums),
		    sum_at(e, at)) != (ssize_t)((size_t)n * sizeof(*sums)))
			return (0);
		for (i = 0; i < n; i++)
			if (sums[i] == 0)
				return (0);
	}
	return (1);
}

/* 0: the chunks of [from, until) are right. */
static int
check_chunks(struct disk_entry *e, int64_t from, int64_t until)
{
	auto_free char *memory = mem_alloc(DISK_CHUNK);

	for (; from < until; from++)
		if (disk_read(e, from, memory) != 0)
			return (-1);
	return (0);
}

static void
remember(struct disk *d, const struct checked *what)
{
	pthread_mutex_lock(&d->lock);
	d->checked[what->seed % CHECKED] = *what;
	pthread_mutex_unlock(&d->lock);
}

static void
check_later(struct disk_entry *e)
{
	struct disk *d = e->disk;

	pthread_mutex_lock(&d->lock);
	if (d->checking == NULL && !d->stopping) {
		atomic_fetch_add(&e->refs, 1);
		d->checking = e;
		pthread_cond_broadcast(&d->changed);
	}
	pthread_mutex_unlock(&d->lock);
}

int
disk_whole(struct disk_entry *e)
{
	struct disk *d = e->disk;
	struct checked now;
	int known;

	if (e->sums_fd < 0 || is_small(e) || identify(e, &now) != 0)
		return (-1);
	pthread_mutex_lock(&d->lock);
	known = is_same(&d->checked[now.seed % CHECKED], &now);
	pthread_mutex_unlock(&d->lock);
	if (known)
		return (e->data_fd);
	if (!has_all(e))
		return (-1);
	if (e->size > DISK_CHECK_AT_ONCE) {
		check_later(e);
		return (-1);
	}
	if (check_chunks(e, 0, e->nchunks) != 0)
		return (-1);
	remember(d, &now);
	return (e->data_fd);
}

/* A step of what check_later() wants; 1: it was the last. */
static int
check_step(struct disk *d, struct disk_entry *e)
{
	int64_t until = d->check_at + CHECK_STEP;

	if (d->check_at == 0 && identify(e, &d->check_as) != 0)
		return (1);
	if (until > e->nchunks)
		until = e->nchunks;
	if (check_chunks(e, d->check_at, until) != 0)
		return (1);
	d->check_at = until;
	if (until < e->nchunks)
		return (0);
	remember(d, &d->check_as);
	return (1);
}

/* Lock held, given up meanwhile. */
static void
check_on(struct disk *d)
{
	struct disk_entry *e = d->checking;
	int over;

	pthread_mutex_unlock(&d->lock);
	over = check_step(d, e);
	pthread_mutex_lock(&d->lock);
	if (over) {
		d->checking = NULL;
		d->check_at = 0;
		disk_close(e);
	}
}

/* ---- eviction ------------------------------------------------------------------------ */

struct victim {
	int64_t	when_s;
	int64_t	bytes;
	char	name[NAME_SIZE];
};

struct survey {
	int64_t	 bytes;			/* all that is there */
	size_t	 n;
	struct victim oldest[2 * OLDEST];
};

static int
by_age(const void *a, const void *b)
{
	int64_t x = ((const struct victim *)a)->when_s, y = ((const struct victim *)b)->when_s;

	return (x < y ? -1 : x > y);
}

static void
look_at(struct disk *d, struct survey *s, const char *name)
{
	struct victim *v = &s->oldest[s->n];
	struct stat st, sums;
	char sum[NAME_SIZE + 4];

	if (str_ends(name, SUM)) {	/* one whose data is gone goes too */
		str_format(v->name, sizeof(v->name), "%.*s", NAME_SIZE - 1, name);
		if (fstatat(d->dir_fd, v->name, &st, AT_SYMLINK_NOFOLLOW) != 0 &&
		    errno == ENOENT)
			unlinkat(d->dir_fd, name, 0);
		return;
	}
	if (strlen(name) != NAME_SIZE - 1 ||
	    fstatat(d->dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return;
	sum_name(sum, name);
	str_format(v->name, sizeof(v->name), "%s", name);
	v->when_s = st.st_mtim.tv_sec;
	v->bytes = (int64_t)st.st_blocks * 512;
	if (fstatat(d->dir_fd, sum, &sums, AT_SYMLINK_NOFOLLOW) == 0) {
		v->bytes += (int64_t)sums.st_blocks * 512;
		if (v->when_s < sums.st_mtim.tv_sec)
			v->when_s = sums.st_mtim.tv_sec;
	}
	s->bytes += v->bytes;
	if (++s->n == LENGTH(s->oldest)) {
		qsort(s->oldest, s->n, sizeof(*s->oldest), by_age);
		s->n = OLDEST;
	}
}

static int
survey(struct disk *d, struct survey *s)
{
	int fd = openat(d->dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	struct dirent *each;

	if (dir == NULL) {
		mem_close_fd(&fd);
		return (-1);
	}
	s->bytes = 0;
	s->n = 0;
	while ((each = readdir(dir)) != NULL)
		if (each->d_name[0] != '.')
			look_at(d, s, each->d_name);
	closedir(dir);
	qsort(s->oldest, s->n, sizeof(*s->oldest), by_age);
	return (0);
}

/* 1: it is gone.  Nobody can lock it meanwhile and think that it stays. */
static int
evict(struct disk *d, const char *name)
{
	auto_close int fd = openat(d->dir_fd, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	char sum[NAME_SIZE + 4];

	if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) != 0)
		return (0);
	sum_name(sum, name);
	unlinkat(d->dir_fd, sum, 0);	/* small files have none */
	if (unlinkat(d->dir_fd, name, 0) != 0)
		return (0);
	pthread_mutex_lock(&d->lock);
	d->counts.evicted++;
	pthread_mutex_unlock(&d->lock);
	return (1);
}

/* Count what is there; with more than at_most evict down to it.  .state locked. */
static void
recount(struct disk *d, int64_t at_most)
{
	struct survey *s = mem_alloc(sizeof(*s));
	int64_t before;
	size_t i;

	do {
		if (survey(d, s) != 0)
			break;
		before = d->used = s->bytes;
		for (i = 0; i < s->n && d->used > at_most; i++)
			if (evict(d, s->oldest[i].name))
				d->used -= s->oldest[i].bytes;
	} while (d->used > at_most && d->used < before && s->n >= OLDEST);
	free(s);
}

static int64_t
low_mark(const struct disk *d)
{
	return (d->opt.bytes - d->opt.bytes / 16);
}

static int
make_room(struct disk *d, int64_t cost)
{
	if (d->used + cost <= d->opt.bytes)
		return (0);
	if (clock_ms() < d->pause_until_ms)
		return (-1);
	recount(d, low_mark(d) - cost);
	if (d->used + cost <= d->opt.bytes)
		return (0);
	d->pause_until_ms = clock_ms() + PAUSE_MS;
	return (-1);
}

/* ---- writing ------------------------------------------------------------------------- */

static int
disk_has_room(struct disk *d, size_t len)
{
	struct statvfs v;
	int has;

	has = fstatvfs(d->dir_fd, &v) == 0 &&
	    (int64_t)v.f_bavail * (int64_t)v.f_frsize >= d->opt.reserve_bytes + (int64_t)len;
	if (!has && !atomic_exchange(&d->told_full, 1))
		note(d, 0, "the disk is full: nothing more is kept while it is");
	return (has);
}

static int
lock_state(struct disk *d)
{
	int rc;

	do
		rc = flock(d->state_fd, LOCK_EX);
	while (rc != 0 && errno == EINTR);
	if (rc != 0 || pread(d->state_fd, &d->used, sizeof(d->used), 0) < 0)
		return (-1);
	return (0);
}

static void
unlock_state(struct disk *d)
{
	/* Failing, it counts too little until the next recount: of no more than one chunk. */
	fd_pwrite_all(d->state_fd, &d->used, sizeof(d->used), 0);
	flock(d->state_fd, LOCK_UN);
}

/* .state locked.  0: it is there. */
static int
write_chunk(struct disk *d, const struct job *j)
{
	struct disk_entry *e = j->entry;
	size_t len = chunk_len(e, j->index);
	int64_t cost = (int64_t)(len + 4095) / 4096 * 4096 + SLACK;
	uint64_t sum;

	if (disk_has(e, j->index))
		return (0);
	if (make_room(d, cost) != 0 || !disk_has_room(d, len) ||
	    (e->sums_fd < 0 && open_files(e, 1) != 0))
		return (-1);
	d->used += cost;
	sum = sum_of(j->data, len, e->seed + (uint64_t)j->index);
	if (fd_pwrite_all(e->data_fd, j->data, len, j->index * DISK_CHUNK) != 0 ||
	    fd_pwrite_all(e->sums_fd, &sum, sizeof(sum), sum_at(e, j->index)) != 0)
		return (-1);
	return (0);
}

static void
serve(struct disk *d, const struct job *j, int stopping)
{
	int ok = 0;

	if (!stopping && lock_state(d) == 0) {
		ok = write_chunk(d, j) == 0;
		unlock_state(d);
	}
	d->opt.kept(d->opt.arg, j->token, ok);
	disk_close(j->entry);
	pthread_mutex_lock(&d->lock);
	*(ok ? &d->counts.kept : &d->counts.dropped) += 1;
	pthread_mutex_unlock(&d->lock);
}

static void *
disk_main(void *arg)
{
	struct disk *d = arg;
	struct job j;
	int stopping;

	if (lock_state(d) == 0) {
		recount(d, d->opt.bytes);
		unlock_state(d);
	}
	pthread_mutex_lock(&d->lock);
	while (!d->stopping || d->n > 0) {
		if (d->n == 0) {
			d->busy = 0;
			pthread_cond_broadcast(&d->changed);
			if (d->checking != NULL)
				check_on(d);
			else
				pthread_cond_wait(&d->changed, &d->lock);
			continue;
		}
		j = d->queue[d->head];
		d->head = (d->head + 1) % d->size;
		d->n--;
		d->busy = 1;
		stopping = d->stopping;
		pthread_mutex_unlock(&d->lock);
		serve(d, &j, stopping);
		pthread_mutex_lock(&d->lock);
	}
	d->busy = 0;
	pthread_mutex_unlock(&d->lock);
	return (NULL);
}

int
disk_keep(struct disk_entry *e, int64_t index, const void *data, void *token)
{
	struct disk *d = e->disk;
	int room;

	if (e->size == 0)
		return (-1);
	pthread_mutex_lock(&d->lock);
	room = d->n < d->size && !d->stopping;
	if (room) {
		atomic_fetch_add(&e->refs, 1);
		d->queue[(d->head + d->n++) % d->size] = (struct job){ e, index, data, token };
		pthread_cond_broadcast(&d->changed);
	} else
		d->counts.dropped++;
	pthread_mutex_unlock(&d->lock);
	return (room ? 0 : -1);
}

/* ---- begin and end ------------------------------------------------------------------- */

/* Somebody else's directory could give us bytes of his own choice. */
static int
open_dir(struct disk *d, struct err *err)
{
	struct stat st;

	if (fd_mkdir_p(d->opt.dir, 0700, err) != 0)
		return (-1);
	d->dir_fd = open(d->opt.dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (d->dir_fd < 0 || fstat(d->dir_fd, &st) != 0)
		return (err_errno(err, "open the disk cache", d->opt.dir));
	if (st.st_uid != geteuid() || (st.st_mode & 022) != 0) {
		err_set(err, ERR_SYSTEM, REMEDY_CACHE_DIR, "open the disk cache",
		    "others may write there");
		return (err_on(err, "%s", d->opt.dir));
	}
	d->state_fd = openat(d->dir_fd, STATE, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (d->state_fd < 0)
		return (err_errno(err, "open the disk cache", d->opt.dir));
	return (0);
}

static int
start_thread(struct disk *d, struct err *err)
{
	pthread_attr_t attr;
	int rc;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK);
	rc = pthread_create(&d->thread, &attr, disk_main, d);
	pthread_attr_destroy(&attr);
	errno = rc;
	return (rc == 0 ? 0 : err_errno(err, "start a thread", NULL));
}

static void
release(struct disk *d)
{
	mem_close_fd(&d->dir_fd);
	mem_close_fd(&d->state_fd);
	pthread_mutex_destroy(&d->lock);
	pthread_cond_destroy(&d->changed);
	free(d->queue);
	free(d->place);
	free(d);
}

struct disk *
disk_new(const struct disk_options *o, struct err *err)
{
	struct disk *d = mem_zalloc(sizeof(*d));

	d->opt = *o;
	d->place = mem_strdup(o->place);
	d->dir_fd = d->state_fd = -1;
	if (d->opt.reserve_bytes == 0)
		d->opt.reserve_bytes = RESERVE;
	d->size = o->queue != 0 ? o->queue : DISK_QUEUE;
	d->queue = mem_alloc(d->size * sizeof(*d->queue));
	pthread_mutex_init(&d->lock, NULL);
	cond_init(&d->changed);
	if (open_dir(d, err) != 0 || start_thread(d, err) != 0) {
		release(d);
		return (NULL);
	}
	return (d);
}

void
disk_drain(struct disk *d, int64_t ms)
{
	int64_t until_ms = clock_ms() + ms;

	pthread_mutex_lock(&d->lock);
	while ((d->n > 0 || d->busy) && clock_ms() < until_ms)
		cond_wait_ms(&d->changed, &d->lock, until_ms - clock_ms());
	pthread_mutex_unlock(&d->lock);
}

void
disk_free(struct disk *d)
{
	if (d == NULL)
		return;
	pthread_mutex_lock(&d->lock);
	d->stopping = 1;
	pthread_cond_broadcast(&d->changed);
	pthread_mutex_unlock(&d->lock);
	pthread_join(d->thread, NULL);
	disk_close(d->checking);
	release(d);
}

int
disk_is_stacked(const struct disk *d)
{
	struct statfs fs;

	return (fstatfs(d->dir_fd, &fs) == 0 && (unsigned long)fs.f_type == OVERLAYFS_SUPER_MAGIC);
}

int
disk_probe_fd(const struct disk *d)
{
	return (openat(d->dir_fd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
}

void
disk_counts(struct disk *d, struct disk_counts *ret)
{
	pthread_mutex_lock(&d->lock);
	*ret = d->counts;
	pthread_mutex_unlock(&d->lock);
	ret->hits = d->hits;
	ret->damaged = d->damaged;
}
