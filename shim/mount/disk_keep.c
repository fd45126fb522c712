#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/cond.h"
#include "base/fd.h"
#include "base/mem.h"
#include "mount/disk_parts.h"
#include "plan/tuning.h"

#define STATE		".state"
#define SLACK		4096		/* a chunk's sums and metadata at most */
#define OLDEST		2048		/* files that one look at the directory can evict */
#define PAUSE_MS	5000		/* nothing could be evicted */
#define STACK		(256 * 1024)

/* ---- eviction ------------------------------------------------------------------------ */

struct victim {
	int64_t	when_s;
	int64_t	bytes;
	char	name[DISK_NAME];
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
	char sum[DISK_SUM_NAME];

	if (str_ends(name, DISK_SUM)) {	/* one whose data is gone goes too */
		str_format(v->name, sizeof(v->name), "%.*s", DISK_NAME - 1, name);
		if (fstatat(d->dir_fd, v->name, &st, AT_SYMLINK_NOFOLLOW) != 0 &&
		    errno == ENOENT)
			unlinkat(d->dir_fd, name, 0);
		return;
	}
	if (strlen(name) != DISK_NAME - 1 ||
	    fstatat(d->dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return;
	disk_sum_name(sum, name);
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
	struct stat st;

	if (dir == NULL) {
		mem_close_fd(&fd);
		return (-1);
	}
	/* The directory and .state. */
	s->bytes = SLACK + (fstat(d->dir_fd, &st) == 0 ? (int64_t)st.st_blocks * 512 : 0);
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
	char sum[DISK_SUM_NAME];

	if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) != 0)
		return (0);
	disk_sum_name(sum, name);
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
	int has = fd_disk_free(d->dir_fd, NULL) >= d->opt.reserve_bytes + (int64_t)len;

	if (!has && !atomic_exchange(&d->told_full, 1))
		disk_note(d, 0, "the disk is full: nothing more is kept while it is");
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
write_chunk(struct disk *d, const struct disk_job *j)
{
	struct disk_entry *e = j->entry;
	size_t len = disk_chunk_len(e, j->index);
	int64_t cost = (int64_t)(len + 4095) / 4096 * 4096 + SLACK;
	uint64_t sum;

	if (disk_has(e, j->index))
		return (0);
	if (make_room(d, cost) != 0 || !disk_has_room(d, len) ||
	    (e->sums_fd < 0 && disk_open_files(e, 1) != 0))
		return (-1);
	d->used += cost;
	sum = disk_sum(e, j->index, j->data);
	if (fd_pwrite_all(e->data_fd, j->data, len, j->index * DISK_CHUNK) != 0 ||
	    fd_pwrite_all(e->sums_fd, &sum, sizeof(sum), disk_sum_at(e, j->index)) != 0)
		return (-1);
	return (0);
}

static void
serve(struct disk *d, const struct disk_job *j, int stopping)
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
	struct disk_job j;
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
				disk_check_on(d);
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
		d->queue[(d->head + d->n++) % d->size] = (struct disk_job){ e, index, data, token };
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

/* Half of what this process may have; the rest is for connections and files being written. */
static unsigned int
fds_max(void)
{
	struct rlimit r;

	if (getrlimit(RLIMIT_NOFILE, &r) != 0 || r.rlim_cur / 2 > INT_MAX)
		return (INT_MAX);
	return ((unsigned int)(r.rlim_cur / 2));
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
	d->fds_max = fds_max();
	if (d->opt.reserve_bytes < 0)	/* nobody said */
		d->opt.reserve_bytes = PLAN_DISK_RESERVE;
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
