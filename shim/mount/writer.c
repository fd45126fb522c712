#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/cond.h"
#include "base/fd.h"
#include "mount/access.h"
#include "mount/behind.h"
#include "mount/place.h"
#include "mount/staged.h"
#include "plan/tuning.h"

#define KEEP_MAX	((int64_t)1 << 30)	/* of uploaded files, or 1/8 of the free space */
#define KEEP_PART	8
#define BLOCKS_UNDER_WAY	32
#define FETCH_TIMEOUT_MS	(5 * 60 * 1000)

/* ---- the staged file's own state ----------------------------------------------------- */

struct staged *
staged_of(struct writer *w, struct inode *i)
{
	struct staged *s;

	pthread_mutex_lock(&w->opt.tree->lock);
	if ((s = i->staged) == NULL) {
		s = mem_zalloc(sizeof(*s));
		s->writer = w;
		s->inode = i;
		s->fd = -1;
		s->kept = -1;
		s->late_size = -1;
		pthread_mutex_init(&s->lock, NULL);
		cond_init(&s->idle);
		i->staged = s;
	}
	pthread_mutex_unlock(&w->opt.tree->lock);
	return (s);
}

/* What it knew of its blocks does not hold any more. */
static void
drop_stream(struct staged *s)
{
	if (s->stream != NULL)
		stream_free(s->stream);
	s->stream = NULL;
}

void
writer_drop_staged(void *arg)
{
	struct staged *s = arg;

	drop_stream(s);
	mem_close_fd(&s->fd);
	pthread_mutex_destroy(&s->lock);
	pthread_cond_destroy(&s->idle);
	free(s->why);
	free(s);
}

void
staged_wait(struct staged *s)
{
	while (s->busy)
		pthread_cond_wait(&s->idle, &s->lock);
}

static void
set_busy(struct staged *s, int busy)
{
	s->busy = busy;
	if (!busy)
		pthread_cond_broadcast(&s->idle);
}

void
staged_begin(struct staged *s)
{
	pthread_mutex_lock(&s->lock);
	staged_wait(s);
	set_busy(s, 1);
	pthread_mutex_unlock(&s->lock);
}

void
staged_end(struct staged *s)
{
	pthread_mutex_lock(&s->lock);
	set_busy(s, 0);
	pthread_mutex_unlock(&s->lock);
}

int
staged_is_dirty(const struct staged *s)
{
	return (s->is_local && !s->unlinked && s->written != s->uploaded);
}

/* ---- the list of all that are local -------------------------------------------------- */

static void
list_remove(struct writer *w, struct staged *s)
{
	*(s->prev != NULL ? &s->prev->next : &w->first) = s->next;
	*(s->next != NULL ? &s->next->prev : &w->last) = s->prev;
	s->prev = s->next = NULL;
	if (s->kept >= 0)
		w->kept_bytes -= s->kept;
	s->kept = -1;
}

static void
list_add(struct writer *w, struct staged *s, int64_t kept)
{
	s->next = NULL;
	s->prev = w->last;
	*(w->last != NULL ? &w->last->next : &w->first) = s;
	w->last = s;
	s->kept = kept;
	if (kept >= 0)
		w->kept_bytes += kept;
}

void
staged_list(struct writer *w, struct staged *s)
{
	pthread_mutex_lock(&w->lock);
	list_add(w, s, -1);
	pthread_mutex_unlock(&w->lock);
}

/* kept: its bytes, if it is here for a next use only; -1: it is in use. */
static void
list_move(struct writer *w, struct staged *s, int64_t kept)
{
	pthread_mutex_lock(&w->lock);
	list_remove(w, s);
	list_add(w, s, kept);
	pthread_mutex_unlock(&w->lock);
}

/* ---- files in the staging directory -------------------------------------------------- */

static int
path_of(struct writer *w, struct inode *i, char path[INODE_PATH_MAX], struct err *err)
{
	int gone;

	pthread_mutex_lock(&w->opt.tree->lock);
	gone = tree_path(w->opt.tree, i, path) != 0;
	pthread_mutex_unlock(&w->opt.tree->lock);
	if (!gone)
		return (0);
	errno = ESTALE;
	return (err_errno(err, "stage", "a file that is gone"));
}

static int
open_file(struct writer *w, const char *path, int flags, struct err *err)
{
	int fd;

	if ((flags & O_CREAT) != 0 && fd_mkdir_parents_at(w->staging_fd, path, 0700, err) != 0)
		return (-1);
	fd = openat(w->staging_fd, path, flags | O_RDWR | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0) {
		err_errno(err, "stage", NULL);
		err_on(err, "%s/%s", w->staging, path);
	}
	return (fd);
}

/* The same where the inode is now: no directory is moved meanwhile. */
static int
open_staged(struct writer *w, struct inode *i, int flags, char path[INODE_PATH_MAX],
    struct err *err)
{
	int fd = -1;

	pthread_rwlock_rdlock(&w->places);
	if (path_of(w, i, path, err) == 0)
		fd = open_file(w, path, flags, err);
	pthread_rwlock_unlock(&w->places);
	return (fd);
}

int
staged_have_fd(struct writer *w, struct staged *s, struct err *err)
{
	char path[INODE_PATH_MAX];

	if (s->fd < 0 && s->unlinked) {
		staged_parked_path(w, s, path);
		s->fd = open_file(w, path, 0, err);
	} else if (s->fd < 0)
		s->fd = open_staged(w, s->inode, 0, path, err);
	return (s->fd >= 0 ? 0 : -1);
}

static void
rest_fd(struct staged *s)
{
	if (s->opens == 0 && s->holds == 0 && !s->busy)
		mem_close_fd(&s->fd);
}

static void
set_local(struct writer *w, struct staged *s, int64_t size)
{
	struct tree *t = w->opt.tree;
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	pthread_mutex_lock(&t->lock);
	if (!s->is_local)
		tree_ref(s->inode);
	s->inode->local = 1;
	if (size >= 0) {		/* it was written, not only fetched */
		s->inode->size = size;
		s->inode->mtime_s = now.tv_sec;
		s->inode->mtime_ns = (uint32_t)now.tv_nsec;
	}
	pthread_mutex_unlock(&t->lock);
	if (!s->is_local) {
		s->is_local = 1;
		staged_list(w, s);
	}
	s->making = 0;
	staged_note(w, s);
}

/* An empty file for it, which a successor removes if nothing comes of it.  -1: failed. */
static int
make_file(struct writer *w, struct staged *s, char path[INODE_PATH_MAX], struct err *err)
{
	int fd;

	s->making = 1;
	staged_note(w, s);
	fd = open_staged(w, s->inode, O_CREAT | O_TRUNC, path, err);
	if (fd < 0) {
		s->making = 0;
		staged_unnote(w, s);
	}
	return (fd);
}

int
staged_make(struct writer *w, struct staged *s, struct err *err)
{
	char path[INODE_PATH_MAX];

	s->fd = make_file(w, s, path, err);
	if (s->fd < 0)
		return (-1);
	s->written++;
	s->untouched = 1;
	set_local(w, s, 0);
	return (0);
}

/* The inode is not freed while this runs: who calls has it. */
void
staged_drop(struct writer *w, struct staged *s, const char *path)
{
	struct tree *t = w->opt.tree;

	char parked[INODE_PATH_MAX];

	drop_stream(s);
	mem_close_fd(&s->fd);
	staged_unnote(w, s);
	if (s->unlinked) {
		staged_parked_path(w, s, parked);
		unlinkat(w->staging_fd, parked, 0);	/* was perhaps never there */
	} else if (path != NULL)
		unlinkat(w->staging_fd, path, 0);	/* what stays is found at the end */
	s->is_local = 0;
	s->uploaded = s->written;
	pthread_mutex_lock(&w->lock);
	list_remove(w, s);
	pthread_mutex_unlock(&w->lock);
	pthread_mutex_lock(&t->lock);
	s->inode->local = 0;
	s->inode->valid_until_ms = clock_ms() + t->opt.ttl_ms;
	s->inode->epoch = ++t->epoch;
	tree_new_key(t, s->inode);
	s->inode->noted = 0;
	tree_renote(t, s->inode);
	tree_unref(t, s->inode);
	pthread_mutex_unlock(&t->lock);
}

/* ---- room ---------------------------------------------------------------------------- */

/* A file that is only kept, with a reference to its inode; NULL: there is none. */
static struct staged *
oldest_kept(struct writer *w, int64_t bound)
{
	struct staged *s;

	pthread_mutex_lock(&w->lock);
	for (s = w->kept_bytes > bound ? w->first : NULL; s != NULL && s->kept < 0; s = s->next)
		continue;
	if (s != NULL) {
		pthread_mutex_lock(&w->opt.tree->lock);
		tree_ref(s->inode);
		pthread_mutex_unlock(&w->opt.tree->lock);
		w->kept_bytes -= s->kept;	/* not found again */
		s->kept = -1;
	}
	pthread_mutex_unlock(&w->lock);
	return (s);
}

/* Lock held.  1: it was dropped. */
static int
drop_if_unused(struct writer *w, struct staged *s)
{
	char path[INODE_PATH_MAX];

	if (!s->is_local || s->busy || s->opens > 0 || s->holds > 0 || staged_is_dirty(s) ||
	    path_of(w, s->inode, path, NULL) != 0)
		return (0);
	staged_drop(w, s, path);
	return (1);
}

/* Returns how many files were dropped. */
static int
drop_kept(struct writer *w, int64_t bound)
{
	struct staged *s;
	struct inode *i;
	int n = 0;

	while ((s = oldest_kept(w, bound)) != NULL) {
		i = s->inode;
		pthread_mutex_lock(&s->lock);
		n += drop_if_unused(w, s);
		pthread_mutex_unlock(&s->lock);
		pthread_mutex_lock(&w->opt.tree->lock);
		tree_unref(w->opt.tree, i);
		pthread_mutex_unlock(&w->opt.tree->lock);
	}
	return (n);
}

static int64_t
free_bytes(const struct writer *w)
{
	return (fd_disk_free(w->staging_fd, NULL));
}

int
staged_has_room(const struct writer *w, int64_t bytes)
{
	return (free_bytes(w) - PLAN_DISK_RESERVE >= bytes);
}

void
staged_trim(struct writer *w)
{
	drop_kept(w, w->keep_bytes);
}

/* 1: some, perhaps: try again. */
static int
make_room(struct writer *w)
{
	return (drop_kept(w, 0) > 0 || (w->behind != NULL && behind_wait(w->behind)));
}

static int
check_room(struct writer *w, int64_t bytes, struct err *err)
{
	do
		if (staged_has_room(w, bytes))
			return (0);
	while (make_room(w));
	errno = ENOSPC;
	return (err_errno(err, "stage", w->staging));
}

/* ---- fetching a file that will be changed -------------------------------------------- */

static int
write_span(int fd, const struct blocks_span *span, int64_t offset)
{
	unsigned int k;

	for (k = 0; k < span->n; k++) {
		if (fd_pwrite_all(fd, span->iov[k].iov_base, span->iov[k].iov_len, offset) != 0)
			return (-1);
		offset += (int64_t)span->iov[k].iov_len;
	}
	return (0);
}

static int
copy_part(struct writer *w, struct blocks_file *f, int fd, int64_t offset, struct err *err)
{
	struct blocks_span span;
	struct blocks_wait wait;
	int failed;

	blocks_wait_init(&wait, clock_ms() + FETCH_TIMEOUT_MS);
	failed = reader_read(w->opt.reader, f, offset, BLOCKS_READ_MAX, &wait, &span, err);
	blocks_wait_done(&wait);
	if (failed)
		return (-1);
	if (write_span(fd, &span, offset) != 0)
		failed = err_errno(err, "stage", w->staging);
	blocks_put(w->opt.blocks, &span);
	return (failed);
}

static int
copy_remote(struct writer *w, struct inode *i, int fd, char etag[HTTP_ETAG_MAX], struct err *err)
{
	char name[INODE_PATH_MAX];
	struct tree *t = w->opt.tree;
	struct blocks_file *f;
	uint64_t key;
	int64_t size, offset;
	int failed;

	pthread_mutex_lock(&t->lock);
	failed = tree_blob_name(t, i, name);
	key = i->key;
	size = i->size;
	str_format(etag, HTTP_ETAG_MAX, "%s", inode_etag(i));
	pthread_mutex_unlock(&t->lock);
	if (failed) {
		errno = ESTALE;
		return (err_errno(err, "stage", "a file that is gone"));
	}
	if (check_room(w, size, err) != 0)
		return (-1);
	f = blocks_open(w->opt.blocks, key, name, etag, size);
	for (offset = 0; offset < size && !failed; offset += BLOCKS_READ_MAX)
		failed = copy_part(w, f, fd, offset, err);
	blocks_close(w->opt.blocks, f);
	blocks_forget(w->opt.blocks, key);
	return (failed ? -1 : 0);
}

/* Lock held, given up meanwhile. */
static int
fetch(struct writer *w, struct staged *s, struct err *err)
{
	char path[INODE_PATH_MAX], etag[HTTP_ETAG_MAX];
	int fd, failed;

	fd = make_file(w, s, path, err);
	if (fd < 0)
		return (-1);
	set_busy(s, 1);
	pthread_mutex_unlock(&s->lock);
	/* An upload sets them anew: those that were not told of would be gone (Gen1 has none). */
	failed = (store_has_blocks(w->opt.store) &&
	    tree_learn_props(w->opt.tree, s->inode, err) != 0) ||
	    copy_remote(w, s->inode, fd, etag, err) != 0;
	pthread_mutex_lock(&s->lock);
	set_busy(s, 0);
	if (failed) {
		unlinkat(w->staging_fd, path, 0);
		close(fd);
		s->making = 0;
		staged_unnote(w, s);
		return (-1);
	}
	s->fd = fd;
	s->exists = 1;
	s->whole = 0;
	memcpy(s->etag, etag, sizeof(s->etag));
	set_local(w, s, -1);
	return (0);
}

/* ---- its blocks ---------------------------------------------------------------------- */

static int
has_blocks(const struct writer *w, int64_t size)
{
	return (size > STORE_SINGLE_MAX && store_has_blocks(w->opt.store));
}

static void
have_stream(struct writer *w, struct staged *s)
{
	if (s->stream == NULL)
		s->stream = stream_new(w->streams);
}

static int
blob_of(struct writer *w, struct staged *s, char blob[INODE_PATH_MAX])
{
	int gone;

	pthread_mutex_lock(&w->opt.tree->lock);
	gone = tree_blob_name(w->opt.tree, s->inode, blob);
	pthread_mutex_unlock(&w->opt.tree->lock);
	return (gone);
}

/*
 * Lock held, given up meanwhile.  Nobody has it open yet, and it is what the service
 * has: the blocks that stay as they are need not be sent again.
 */
static void
adopt_blocks(struct writer *w, struct staged *s)
{
	char blob[INODE_PATH_MAX];
	struct stat st;

	if (staged_is_dirty(s) || s->etag[0] == '\0' || fstat(s->fd, &st) != 0 ||
	    !has_blocks(w, st.st_size) || blob_of(w, s, blob) != 0)
		return;
	have_stream(w, s);
	if (stream_knows(s->stream, blob))
		return;
	set_busy(s, 1);
	pthread_mutex_unlock(&s->lock);
	stream_adopt(s->stream, blob, s->etag, st.st_size);
	pthread_mutex_lock(&s->lock);
	set_busy(s, 0);
}

/* Lock held.  Of a file of so many bytes before, these were written. */
static void
note_write(struct writer *w, struct staged *s, int64_t size, int64_t from, int64_t to)
{
	char blob[INODE_PATH_MAX];

	s->written++;
	s->untouched = 0;
	staged_note(w, s);
	if (!has_blocks(w, to > size ? to : size))
		return;
	if (s->stream == NULL) {
		have_stream(w, s);
		if (from == size)
			stream_complete(s->stream, from);
	}
	if (stream_changed(s->stream, from, to) && !s->unlinked && blob_of(w, s, blob) == 0)
		stream_send(s->stream, blob, s->fd);
}

/* Lock held. */
static void
note_zeros(struct writer *w, struct staged *s, int64_t from, int64_t to)
{
	s->written++;
	s->untouched = 0;
	staged_note(w, s);
	if (s->stream == NULL && !has_blocks(w, to))
		return;
	have_stream(w, s);
	stream_zeroed(s->stream, from, to);
}

/* ---- uploading ----------------------------------------------------------------------- */

static void
set_uploaded(struct writer *w, struct staged *s, const char *etag, uint64_t generation)
{
	struct tree *t = w->opt.tree;

	s->uploaded = generation;
	s->exists = 1;
	s->exclusive = 0;
	s->late_size = -1;
	str_format(s->etag, sizeof(s->etag), "%s", etag);
	staged_note(w, s);
	pthread_mutex_lock(&t->lock);
	tree_set_etag(s->inode, etag);
	tree_renote(t, s->inode);
	s->inode->stale = 0;
	s->inode->epoch = ++t->epoch;
	s->inode->valid_until_ms = clock_ms() + t->opt.ttl_ms;
	pthread_mutex_unlock(&t->lock);
	pthread_mutex_lock(&w->lock);
	w->uploads++;
	if (w->state != NULL)
		*state_word(w->state, STATE_META, STATE_UPLOADS) = (uint32_t)w->uploads;
	pthread_mutex_unlock(&w->lock);
}

static int
keep_failure(struct staged *s, uint64_t generation, const struct err *why, struct err *err)
{
	s->failed = generation;
	s->told = 0;
	if (s->why == NULL)
		s->why = mem_alloc(sizeof(*s->why));
	*s->why = *why;
	if (err != NULL)
		*err = *why;
	return (-1);
}

static int
upload_once(struct writer *w, struct staged *s, const char *blob, struct err *err)
{
	char etag[HTTP_ETAG_MAX], must_have[HTTP_ETAG_MAX];
	const char *if_match;
	uint64_t generation = s->written;
	struct err why = ERR_EMPTY;
	struct stat st;
	int failed = 0, blocks, refused = 0;

	if (staged_have_fd(w, s, err) != 0)
		return (-1);
	if (fstat(s->fd, &st) != 0)
		return (err_errno(err, "upload", blob));
	if (s->sending && staged_find_out(w, s, &why) != 0)
		return (keep_failure(s, generation, &why, err));
	blocks = has_blocks(w, st.st_size);
	if (blocks)
		have_stream(w, s);
	else
		drop_stream(s);
	str_format(must_have, sizeof(must_have), "%s",
	    s->exclusive ? "*" : s->whole ? "" : s->etag);
	if_match = must_have[0] != '\0' ? must_have : NULL;
	s->sending = 1;
	s->sent_size = st.st_size;
	staged_note(w, s);
	pthread_mutex_unlock(&s->lock);
	if (blocks) {
		failed = stream_commit(s->stream, blob, s->fd, st.st_size, if_match, etag, &why);
		refused = failed && store_takes_no_blocks(w->opt.store, &why);
	}
	if (!blocks || refused)
		failed = store_upload(w->opt.store, blob, s->fd, st.st_size, if_match, etag, NULL,
		    NULL, &why);
	if (!failed && w->opt.access)
		access_keep(w, s->inode, blob, etag);
	pthread_mutex_lock(&s->lock);
	s->sending = 0;
	if (refused)
		drop_stream(s);		/* what it knows is not what is there now */
	if (!failed) {
		set_uploaded(w, s, etag, generation);
		return (0);
	}
	staged_note(w, s);
	return (keep_failure(s, generation, &why, err));
}

/*
 * A dead process's request may be on its way still when its successor asks what the service has:
 * then it is found by the conflict that it makes.
 */
static int
has_arrived_late(struct writer *w, struct staged *s)
{
	char before[HTTP_ETAG_MAX];
	struct err err = ERR_EMPTY;

	if (s->late_size < 0 || s->why == NULL || s->why->kind != ERR_CHANGED)
		return (0);
	str_format(before, sizeof(before), "%s", s->exists ? s->etag : "");
	s->sending = 1;
	s->sent_size = s->late_size;
	s->late_size = -1;
	return (staged_find_out(w, s, &err) == 0 && s->exists && strcmp(before, s->etag) != 0);
}

int
staged_upload(struct writer *w, struct staged *s, const char *blob, struct err *err)
{
	int failed = upload_once(w, s, blob, err);

	return (failed && has_arrived_late(w, s) ? upload_once(w, s, blob, err) : failed);
}

int
staged_commit(struct writer *w, struct staged *s, struct err *err)
{
	char blob[INODE_PATH_MAX];
	int failed;

	staged_wait(s);
	if (!staged_is_dirty(s))
		return (0);
	if (blob_of(w, s, blob) != 0)
		return (0);		/* it has no name any more */
	set_busy(s, 1);
	failed = staged_upload(w, s, blob, err);
	set_busy(s, 0);
	return (failed);
}

static struct staged *
find_staged(struct writer *w, struct inode *i)
{
	struct staged *s;

	pthread_mutex_lock(&w->opt.tree->lock);
	s = i->staged;
	pthread_mutex_unlock(&w->opt.tree->lock);
	return (s);
}

int
writer_flush(struct writer *w, struct inode *i, struct err *err)
{
	struct staged *s = find_staged(w, i);
	int failed;

	if (s == NULL)
		return (0);
	pthread_mutex_lock(&s->lock);
	failed = staged_commit(w, s, err);
	s->told |= failed;
	rest_fd(s);
	pthread_mutex_unlock(&s->lock);
	return (failed);
}

/* Lock held.  The upload is left to the last release, or to the threads behind. */
static int
may_wait(struct writer *w, struct staged *s)
{
	if (s->untouched && !s->exclusive)
		return (1);
	return (w->behind != NULL && !behind_is_full(w->behind));
}

/* Lock held. */
static int
tell_failure(struct staged *s, struct err *err)
{
	if (s->failed <= s->uploaded || s->told)
		return (0);
	s->told = 1;
	*err = *s->why;
	return (-1);
}

int
writer_close(struct writer *w, struct inode *i, struct err *err)
{
	struct staged *s = find_staged(w, i);
	int failed;

	if (s == NULL)
		return (0);
	pthread_mutex_lock(&s->lock);
	if (may_wait(w, s))
		failed = w->behind != NULL ? tell_failure(s, err) : 0;
	else {
		failed = staged_commit(w, s, err);
		s->told |= failed;
	}
	pthread_mutex_unlock(&s->lock);
	return (failed);
}

/* ---- open, write, close -------------------------------------------------------------- */

/* Lock held. */
static int
stage(struct writer *w, struct staged *s, int truncate, struct err *err)
{
	if (!s->is_local && !truncate)
		return (fetch(w, s, err));
	if (!s->is_local) {
		s->whole = 1;
		s->exists = 1;
		return (staged_make(w, s, err));
	}
	if (staged_have_fd(w, s, err) != 0)
		return (-1);
	if (truncate) {
		if (ftruncate(s->fd, 0) != 0)
			return (err_errno(err, "stage", w->staging));
		drop_stream(s);
		s->whole = !s->exclusive;
		s->written++;
		s->untouched = 1;
		set_local(w, s, 0);
	}
	return (0);
}

int
writer_open(struct writer *w, struct inode *i, int truncate, struct err *err)
{
	struct staged *s = staged_of(w, i);
	int failed;

	pthread_mutex_lock(&s->lock);
	staged_wait(s);
	if (s->opens == 0 && s->holds == 0 && !staged_is_dirty(s))
		s->whole = 0;		/* kept: somebody may have replaced it since */
	failed = stage(w, s, truncate, err);
	if (!failed && s->opens == 0)
		adopt_blocks(w, s);
	if (!failed) {
		s->opens++;
		list_move(w, s, -1);
		staged_note(w, s);
	}
	pthread_mutex_unlock(&s->lock);
	return (failed);
}

int
staged_rest(struct writer *w, struct staged *s)
{
	struct stat st;
	int kept;

	if (s->opens > 0 || !s->is_local || s->busy)
		return (0);
	kept = !staged_is_dirty(s) && s->fd >= 0 && fstat(s->fd, &st) == 0;
	if (kept)
		list_move(w, s, st.st_size);
	rest_fd(s);
	return (kept);
}

/* Lock held.  Nobody has it open any more: upload what no flush did, or have it done. */
static int
settle(struct writer *w, struct staged *s, struct err *err)
{
	if (!staged_is_dirty(s) || s->failed == s->written)
		return (0);
	if (w->behind != NULL && behind_add(w->behind, s))
		return (0);
	return (staged_commit(w, s, err));
}

int
writer_is_direct(struct writer *w, struct inode *i)
{
	int direct;

	pthread_mutex_lock(&w->opt.tree->lock);
	direct = i->direct;
	pthread_mutex_unlock(&w->opt.tree->lock);
	return (direct);
}

int
writer_watch(struct writer *w, struct inode *i)
{
	int direct;

	pthread_mutex_lock(&w->opt.tree->lock);
	direct = i->direct;
	i->watched |= i->direct;
	pthread_mutex_unlock(&w->opt.tree->lock);
	return (direct);
}

int
writer_drop_pages(struct writer *w, struct inode *i, int64_t offset, int64_t len)
{
	struct tree *t = w->opt.tree;
	int stale;

	pthread_mutex_lock(&t->lock);
	stale = i->direct && i->watched;
	if (stale)
		t->opt.pages_stale(t->opt.arg, i, offset, len);
	pthread_mutex_unlock(&t->lock);
	return (stale);
}

static void
end_direct(struct writer *w, struct inode *i)
{
	pthread_mutex_lock(&w->opt.tree->lock);
	i->direct = i->watched = 0;
	pthread_mutex_unlock(&w->opt.tree->lock);
}

int
writer_release(struct writer *w, struct inode *i, struct err *err)
{
	struct staged *s = staged_of(w, i);
	int failed = 0, kept = 0;

	pthread_mutex_lock(&w->opt.tree->lock);
	tree_ref(i);
	pthread_mutex_unlock(&w->opt.tree->lock);
	pthread_mutex_lock(&s->lock);
	if (--s->opens == 0)
		end_direct(w, i);
	if (s->opens == 0 && s->unlinked && s->is_local && s->holds == 0)
		staged_drop(w, s, NULL);
	else if (s->opens == 0 && s->is_local) {
		failed = settle(w, s, err);
		kept = staged_rest(w, s);
	}
	pthread_mutex_unlock(&s->lock);
	pthread_mutex_lock(&w->opt.tree->lock);
	tree_unref(w->opt.tree, i);
	pthread_mutex_unlock(&w->opt.tree->lock);
	if (kept)
		staged_trim(w);
	return (failed);
}

static int
write_all(struct writer *w, int fd, const void *data, size_t len, int64_t offset)
{
	while (fd_pwrite_all(fd, data, len, offset) != 0)
		if (errno != ENOSPC)
			return (-1);
		else if (!make_room(w)) {
			errno = ENOSPC;
			return (-1);
		}
	return (0);
}

/* Returns the size that it had. */
static int64_t
set_written(struct writer *w, struct inode *i, int64_t end)
{
	struct timespec now;
	int64_t size;

	clock_gettime(CLOCK_REALTIME, &now);
	pthread_mutex_lock(&w->opt.tree->lock);
	size = i->size;
	if (size < end)
		i->size = end;
	i->mtime_s = now.tv_sec;
	i->mtime_ns = (uint32_t)now.tv_nsec;
	pthread_mutex_unlock(&w->opt.tree->lock);
	return (size);
}

int
writer_write(struct writer *w, struct inode *i, const void *data, size_t len, int64_t offset,
    struct err *err)
{
	struct staged *s = staged_of(w, i);
	int64_t size;
	int fd, failed;

	pthread_mutex_lock(&s->lock);
	fd = s->opens > 0 && staged_have_fd(w, s, NULL) == 0 ? s->fd : -1;
	pthread_mutex_unlock(&s->lock);
	failed = write_all(w, fd, data, len, offset) != 0;
	if (failed)
		err_errno(err, "stage", w->staging);
	size = set_written(w, i, failed ? 0 : offset + (int64_t)len);
	pthread_mutex_lock(&s->lock);	/* also after a failure: a part may be there */
	note_write(w, s, size, offset, offset + (int64_t)len);
	pthread_mutex_unlock(&s->lock);
	return (failed ? -1 : 0);
}

/* Lock held, nobody is busy with it. */
static int
resize(struct writer *w, struct staged *s, int64_t size, struct err *err)
{
	struct stat st;

	if (fstat(s->fd, &st) != 0 || ftruncate(s->fd, size) != 0)
		return (err_errno(err, "stage", w->staging));
	if (size < st.st_size) {
		s->written++;
		staged_note(w, s);
		if (s->stream != NULL)
			stream_cut(s->stream, size);
	} else
		note_zeros(w, s, st.st_size, size);
	set_local(w, s, size);
	return (0);
}

int
writer_truncate(struct writer *w, struct inode *i, int64_t size, struct err *err)
{
	struct staged *s = staged_of(w, i);
	struct err why = ERR_EMPTY;
	int failed = 0;

	if (writer_open(w, i, size == 0, err) != 0)
		return (-1);
	pthread_mutex_lock(&s->lock);
	staged_wait(s);
	s->untouched = 0;
	if (size > 0)
		failed = resize(w, s, size, err);
	pthread_mutex_unlock(&s->lock);
	if (writer_release(w, i, &why) != 0 && !failed) {
		failed = 1;
		*err = why;
	}
	return (failed ? -1 : 0);
}

int
writer_allocate(struct writer *w, struct inode *i, int mode, int64_t offset, int64_t len,
    struct err *err)
{
	struct staged *s = staged_of(w, i);
	struct stat before, st;
	int64_t end;
	int failed;

	pthread_mutex_lock(&s->lock);
	staged_wait(s);
	errno = EBADF;
	failed = s->opens == 0 || staged_have_fd(w, s, NULL) != 0 ||
	    fstat(s->fd, &before) != 0 || fallocate(s->fd, mode, offset, len) != 0 ||
	    fstat(s->fd, &st) != 0;
	if (failed)
		err_errno(err, "stage", w->staging);
	else if ((mode & ~FALLOC_FL_KEEP_SIZE) != 0 || st.st_size > before.st_size) {
		end = offset + len < st.st_size ? offset + len : st.st_size;
		note_zeros(w, s, offset, end);
		set_local(w, s, st.st_size);
	}
	pthread_mutex_unlock(&s->lock);
	return (failed ? -1 : 0);
}

/* Lock held.  While it is renamed its file may not be where its name says. */
static int
have_fd_for_reading(struct writer *w, struct staged *s, struct err *err)
{
	int failed = staged_have_fd(w, s, err);

	if (failed && s->busy) {
		staged_wait(s);
		failed = s->is_local ? staged_have_fd(w, s, err) : 0;
	}
	return (failed);
}

/* After the reply to a read the kernel may forget the inode: hence a reference. */
int
writer_hold(struct writer *w, struct inode *i, int *ret_fd, struct err *err)
{
	struct tree *t = w->opt.tree;
	struct staged *s;
	int local = 0;

	pthread_mutex_lock(&t->lock);
	if ((s = i->staged) != NULL)
		tree_ref(i);
	pthread_mutex_unlock(&t->lock);
	if (s == NULL)
		return (0);
	pthread_mutex_lock(&s->lock);
	if (s->is_local) {
		local = have_fd_for_reading(w, s, err) != 0 ? -1 : s->is_local;
		s->holds += local > 0;
		*ret_fd = s->fd;
	}
	pthread_mutex_unlock(&s->lock);
	if (local <= 0) {
		pthread_mutex_lock(&t->lock);
		tree_unref(t, i);
		pthread_mutex_unlock(&t->lock);
	}
	return (local);
}

void
writer_unhold(struct writer *w, struct inode *i)
{
	struct tree *t = w->opt.tree;
	struct staged *s = staged_of(w, i);

	pthread_mutex_lock(&s->lock);
	s->holds--;
	if (s->unlinked && s->is_local && s->opens == 0 && s->holds == 0)
		staged_drop(w, s, NULL);
	else
		rest_fd(s);
	pthread_mutex_unlock(&s->lock);
	pthread_mutex_lock(&t->lock);
	tree_unref(t, i);
	pthread_mutex_unlock(&t->lock);
}

int
writer_drop_stale(struct writer *w, struct inode *i)
{
	struct staged *s = staged_of(w, i);
	int dropped;

	pthread_mutex_lock(&s->lock);
	dropped = drop_if_unused(w, s);
	pthread_mutex_unlock(&s->lock);
	if (!dropped)
		return (0);
	pthread_mutex_lock(&w->opt.tree->lock);
	i->changed = 1;
	i->stale = 0;
	pthread_mutex_unlock(&w->opt.tree->lock);
	return (1);
}

int64_t
writer_dirty(struct writer *w)
{
	return (w->dirty);
}

void
writer_touch(struct writer *w)
{
	pthread_mutex_lock(&w->lock);
	pthread_mutex_unlock(&w->lock);
}

int
writer_statfs(struct writer *w, struct statvfs *v, struct err *err)
{
	if (fstatvfs(w->staging_fd, v) != 0)
		return (err_errno(err, "ask for the free space of", w->staging));
	return (0);
}

/* ---- making it ----------------------------------------------------------------------- */

struct writer *
writer_new(const struct writer_options *o, struct err *err)
{
	struct writer *w;
	int fd;

	if (place_directory(o->staging, err) != 0) {
		if (err != NULL && err->remedy == REMEDY_NONE)
			err->remedy = REMEDY_CACHE_DIR;
		return (NULL);
	}
	fd = open(o->staging, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0) {
		err_errno(err, "open the staging directory", o->staging);
		return (NULL);
	}
	w = mem_zalloc(sizeof(*w));
	w->opt = *o;
	w->state = o->tree->opt.state;
	w->staging_fd = fd;
	w->staging = mem_strdup(o->staging);
	w->keep_bytes = o->keep_bytes;
	if (w->keep_bytes < 0) {
		w->keep_bytes = free_bytes(w) / KEEP_PART;
		if (w->keep_bytes > KEEP_MAX)
			w->keep_bytes = KEEP_MAX;
	}
	pthread_mutex_init(&w->lock, NULL);
	pthread_mutex_init(&w->rename_lock, NULL);
	pthread_rwlock_init(&w->places, NULL);
	w->streams = streams_new(o->store, BLOCKS_UNDER_WAY);
	if (o->write_behind)
		w->behind = behind_new(w);
	staged_restore(w);
	return (w);
}

void
writer_free(struct writer *w)
{
	struct staged *s;
	struct inode *i;

	if (w == NULL)
		return;
	if (w->behind != NULL)
		behind_free(w->behind);
	while ((s = w->first) != NULL) {
		i = s->inode;
		pthread_mutex_lock(&w->opt.tree->lock);
		tree_ref(i);
		pthread_mutex_unlock(&w->opt.tree->lock);
		pthread_mutex_lock(&s->lock);
		staged_drop(w, s, NULL);
		pthread_mutex_unlock(&s->lock);
		pthread_mutex_lock(&w->opt.tree->lock);
		tree_unref(w->opt.tree, i);
		pthread_mutex_unlock(&w->opt.tree->lock);
	}
	streams_free(w->streams);
	mem_close_fd(&w->staging_fd);
	pthread_mutex_destroy(&w->lock);
	pthread_mutex_destroy(&w->rename_lock);
	pthread_rwlock_destroy(&w->places);
	free(w->staging);
	free(w);
}
