/*
 * Staged files as records (state.h), and what a successor makes of them.
 *
 * The bytes are in the staging directory, where the death of a process does not touch them; a
 * record says whose they are and what the service has of them.  It is written before a change that
 * it tells of is answered.  Blocks that were sent and not yet named in a list are sent again.
 *
 * Two steps leave more than one record can tell:
 * An upload may have succeeded unseen.  The record says that one is under way, of how many bytes;
 * the successor compares what the service has with what was sent, before anybody changes it.
 * A rename moves the staged file before the inode.  The record of the move (STATE_MOVE) lets the
 * successor move it back; then the kernel's request, which had no answer, does all of it again.
 *
 * A file that is deleted or replaced while it is open has no name; it is parked in a directory
 * with a name that no blob can have (it is not UTF-8).
 */

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "mount/behind.h"
#include "mount/crew.h"
#include "mount/handle.h"
#include "mount/name.h"
#include "mount/staged.h"

#define PARKED		"\xff" "parked"
#define COMPARE_BYTES	((size_t)1 << 20)
#define COMPARERS	16

enum { EXCLUSIVE = 1, WHOLE = 2, EXISTS = 4, UNLINKED = 8, UNTOUCHED = 16, DIRTY = 32, SENDING = 64,
    MAKING = 128 };

/* ---- writing ------------------------------------------------------------------------- */

static void
make_record(const struct staged *s, struct staged_record *r)
{
	memset(r, 0, sizeof(*r));
	r->flags = (uint32_t)((s->exclusive ? EXCLUSIVE : 0) | (s->whole ? WHOLE : 0) |
	    (s->exists ? EXISTS : 0) | (s->unlinked ? UNLINKED : 0) |
	    (s->untouched ? UNTOUCHED : 0) | (s->written != s->uploaded ? DIRTY : 0) |
	    (s->sending ? SENDING : 0) | (s->making ? MAKING : 0));
	r->sent_size = s->sending ? s->sent_size : 0;
	str_format(r->etag, sizeof(r->etag), "%s", s->etag);
}

/* Its inode's number; 0: there is no room for one. */
static uint32_t
node_of(struct writer *w, const struct staged *s)
{
	struct tree *t = w->opt.tree;
	uint32_t id;

	pthread_mutex_lock(&t->lock);
	if (s->inode->node == 0)
		tree_note(t, s->inode);
	id = s->inode->node;
	pthread_mutex_unlock(&t->lock);
	return (id);
}

static void
count_dirty(struct writer *w, const struct staged *s, int by)
{
	if (s->is_noted && (s->noted.flags & (DIRTY | UNLINKED)) == DIRTY)
		w->dirty += by;
}

void
staged_note(struct writer *w, struct staged *s)
{
	struct staged_record r;
	uint32_t id;

	if (w->state == NULL || (!s->is_local && !s->making))
		return;
	make_record(s, &r);
	if (s->is_noted && memcmp(&r, &s->noted, sizeof(r)) == 0)
		return;
	id = node_of(w, s);
	if (id == 0 || state_put(w->state, STATE_STAGED, id, &r,
	    offsetof(struct staged_record, etag) + strlen(r.etag) + 1) != 0)
		return;
	count_dirty(w, s, -1);
	s->noted = r;
	s->is_noted = 1;
	count_dirty(w, s, 1);
}

void
staged_unnote(struct writer *w, struct staged *s)
{
	if (!s->is_noted)
		return;
	count_dirty(w, s, -1);
	s->is_noted = 0;
	state_drop(w->state, STATE_STAGED, node_of(w, s));
}

void
staged_begin_move(struct writer *w, struct inode *i, const char *to)
{
	uint32_t id;

	if (w->state == NULL)
		return;
	pthread_mutex_lock(&w->opt.tree->lock);
	tree_note(w->opt.tree, i);
	id = i->node;
	pthread_mutex_unlock(&w->opt.tree->lock);
	if (id != 0)
		state_put(w->state, STATE_MOVE, id, to, strlen(to) + 1);
}

void
staged_end_move(struct writer *w, struct inode *i)
{
	if (w->state != NULL && i->node != 0)
		state_drop(w->state, STATE_MOVE, i->node);
}

/* ---- files without a name ------------------------------------------------------------ */

void
staged_parked_path(struct writer *w, const struct staged *s, char path[INODE_PATH_MAX])
{
	str_format(path, INODE_PATH_MAX, PARKED "/%u", w->state != NULL ? node_of(w, s) : 0);
}

void
staged_park(struct writer *w, struct staged *s, const char *path)
{
	char parked[INODE_PATH_MAX];

	if (w->state != NULL) {
		staged_parked_path(w, s, parked);
		if ((mkdirat(w->staging_fd, PARKED, 0700) == 0 || errno == EEXIST) &&
		    renameat(w->staging_fd, path, w->staging_fd, parked) == 0)
			return;
	}
	unlinkat(w->staging_fd, path, 0);
}

void
staged_forget_parked(struct writer *w)
{
	char path[INODE_PATH_MAX];
	struct staged *s;

	for (s = w->first; s != NULL; s = s->next)
		if (s->unlinked) {
			staged_parked_path(w, s, path);
			unlinkat(w->staging_fd, path, 0);
		}
}

/* ---- a successor: moves -------------------------------------------------------------- */

static int
is_there(struct writer *w, const char *path)
{
	struct stat st;

	return (fstatat(w->staging_fd, path, &st, AT_SYMLINK_NOFOLLOW) == 0);
}

static void
undo_move(struct writer *w, uint32_t id)
{
	auto_buf struct buf to = BUF_EMPTY;
	char from[INODE_PATH_MAX];
	struct inode *i;

	if (!state_get(w->state, STATE_MOVE, id, &to))
		return;
	i = state_object(w->state, STATE_NODE, id);
	if (i != NULL && name_is_safe_path(buf_str(&to)) &&
	    tree_path(w->opt.tree, i, from) == 0 && strcmp(from, to.data) != 0 &&
	    !is_there(w, from) && fd_mkdir_parents_at(w->staging_fd, from, 0700, NULL) == 0 &&
	    renameat(w->staging_fd, to.data, w->staging_fd, from) != 0 && errno != ENOENT)
		log_warning("%s/%s: %s", w->staging, to.data, strerror(errno));
	state_drop(w->state, STATE_MOVE, id);
}

/* ---- a successor: files -------------------------------------------------------------- */

/* Where its bytes are; one that was parked for a move that is undone goes back.  -1: nowhere. */
static int
find_file(struct writer *w, struct staged *s, char path[INODE_PATH_MAX], struct stat *st)
{
	char parked[INODE_PATH_MAX];

	staged_parked_path(w, s, parked);
	if (s->unlinked || tree_path(w->opt.tree, s->inode, path) != 0)
		memcpy(path, parked, INODE_PATH_MAX);
	else if (!is_there(w, path))
		renameat(w->staging_fd, parked, w->staging_fd, path);
	return (fstatat(w->staging_fd, path, st, AT_SYMLINK_NOFOLLOW));
}

static void
set_flags(struct staged *s, const struct staged_record *r)
{
	s->exclusive = (r->flags & EXCLUSIVE) != 0;
	s->whole = (r->flags & WHOLE) != 0;
	s->exists = (r->flags & EXISTS) != 0;
	s->unlinked = (r->flags & UNLINKED) != 0;
	s->untouched = (r->flags & UNTOUCHED) != 0;
	s->sending = (r->flags & SENDING) != 0;
	s->sent_size = r->sent_size;
	s->late_size = s->sending ? r->sent_size : -1;
	s->written = 1;
	s->uploaded = (r->flags & DIRTY) != 0 ? 0 : 1;
	memcpy(s->etag, r->etag, sizeof(s->etag));
	s->noted = *r;
	s->is_noted = 1;
}

static int
read_record(struct writer *w, uint32_t id, struct staged_record *r)
{
	auto_buf struct buf b = BUF_EMPTY;

	memset(r, 0, sizeof(*r));
	if (!state_get(w->state, STATE_STAGED, id, &b) || b.len > sizeof(*r) ||
	    b.len <= offsetof(struct staged_record, etag) || b.data[b.len - 1] != '\0')
		return (-1);
	memcpy(r, b.data, b.len);
	return (0);
}

static void
take(struct writer *w, struct staged *s, const struct stat *st)
{
	struct inode *i = s->inode;

	pthread_mutex_lock(&w->opt.tree->lock);
	tree_ref(i);
	i->local = 1;
	i->size = st->st_size;
	if (!i->said_mtime) {
		i->mtime_s = st->st_mtim.tv_sec;
		i->mtime_ns = (uint32_t)st->st_mtim.tv_nsec;
	}
	if (s->exists && s->etag[0] != '\0')
		tree_set_etag(i, s->etag);
	pthread_mutex_unlock(&w->opt.tree->lock);
	s->is_local = 1;
	staged_list(w, s);
}

static void
restore(struct writer *w, uint32_t id)
{
	struct inode *i = state_object(w->state, STATE_NODE, id);
	char path[INODE_PATH_MAX];
	struct staged_record r;
	struct staged *s;
	struct stat st;

	if (read_record(w, id, &r) != 0)
		return;
	if (i == NULL || !S_ISREG(i->mode)) {
		state_drop(w->state, STATE_STAGED, id);
		return;
	}
	s = staged_of(w, i);
	set_flags(s, &r);
	s->unlinked |= tree_path(w->opt.tree, i, path) != 0;	/* died before noting it */
	count_dirty(w, s, 1);
	if (find_file(w, s, path, &st) == 0 && (r.flags & MAKING) == 0) {
		take(w, s, &st);
		return;
	}
	if ((r.flags & MAKING) != 0)
		unlinkat(w->staging_fd, path, 0);	/* nobody has it yet */
	else
		log_error("%s/%s is gone: what was written to it is lost", w->staging, path);
	staged_unnote(w, s);
	s->written = s->uploaded;
	pthread_mutex_lock(&w->opt.tree->lock);
	tree_ref(i);
	tree_unref(w->opt.tree, i);	/* it had its record for this, perhaps */
	pthread_mutex_unlock(&w->opt.tree->lock);
}

/* Who opened a direct one for reading is in no record. */
static void
count_opens(struct writer *w)
{
	uint32_t fh, top = state_top(w->state, STATE_HANDLE);
	struct inode *i;
	struct handle h;

	for (fh = 1; fh < top; fh++) {
		if (!handle_get(w->state, fh, &h) ||
		    (h.kind != HANDLE_WRITE && h.kind != HANDLE_DIRECT) ||
		    (i = state_object(w->state, STATE_NODE, h.node)) == NULL)
			continue;
		staged_of(w, i)->opens++;
		if (h.kind == HANDLE_DIRECT)
			i->direct = i->watched = 1;
	}
}

/* ---- a successor: an upload that may have succeeded ----------------------------------- */

struct comparison {
	struct writer	*writer;
	struct staged	*staged;
	const char	*blob, *etag;
	pthread_mutex_t	 lock;		/* guards the rest */
	struct err	 why;		/* it cannot be read now; ERR_NONE: it can, or is another */
};

static int
compare_part(void *arg, size_t k)
{
	auto_free char *ours = mem_alloc(COMPARE_BYTES), *theirs = mem_alloc(COMPARE_BYTES);
	struct comparison *c = arg;
	int64_t at = (int64_t)(k * COMPARE_BYTES), left = c->staged->sent_size - at;
	size_t want = left < (int64_t)COMPARE_BYTES ? (size_t)left : COMPARE_BYTES, got;
	struct err err = ERR_EMPTY;

	if (store_read(c->writer->opt.store, c->blob, c->etag, at, theirs, want, &got, NULL,
	    &err) == 0)
		return (got != want ||
		    fd_pread_full(c->staged->fd, ours, want, at) != (ssize_t)want ||
		    memcmp(ours, theirs, want) != 0);
	pthread_mutex_lock(&c->lock);
	if (err.kind != ERR_CHANGED && err.kind != ERR_NOT_FOUND)
		c->why = err;
	pthread_mutex_unlock(&c->lock);
	return (-1);
}

/* 1: the service's version is what is staged; 0: it is not; -1: that cannot be known now. */
static int
is_same(struct writer *w, struct staged *s, const char *blob, const char *etag, struct err *err)
{
	struct comparison c = { .writer = w, .staged = s, .blob = blob, .etag = etag,
	    .lock = PTHREAD_MUTEX_INITIALIZER };
	struct crew_work work = { .threads = COMPARERS, .stop_at_failure = 1,
	    .n = ((size_t)s->sent_size + COMPARE_BYTES - 1) / COMPARE_BYTES,
	    .one = compare_part, .arg = &c };
	int differs = crew_run(&work);

	pthread_mutex_destroy(&c.lock);
	if (c.why.kind != ERR_NONE) {
		*err = c.why;
		return (-1);
	}
	return (!differs);
}

/* Its lineage goes on with this version. */
static void
adopt(struct writer *w, struct staged *s, const char *etag)
{
	str_format(s->etag, sizeof(s->etag), "%s", etag);
	s->exists = 1;
	s->exclusive = 0;
	s->late_size = -1;
	pthread_mutex_lock(&w->opt.tree->lock);
	tree_set_etag(s->inode, s->etag);
	pthread_mutex_unlock(&w->opt.tree->lock);
}

int
staged_find_out(struct writer *w, struct staged *s, struct err *err)
{
	struct store_attr a = { .props = NULL };
	char blob[INODE_PATH_MAX];
	int gone, there, same = 0;

	pthread_mutex_lock(&w->opt.tree->lock);
	gone = tree_blob_name(w->opt.tree, s->inode, blob);
	pthread_mutex_unlock(&w->opt.tree->lock);
	if (!gone && staged_have_fd(w, s, NULL) == 0) {
		there = store_stat(w->opt.store, blob, 1, &a, err) == 0;
		free(a.props);
		if (!there && err->kind != ERR_NOT_FOUND)
			return (-1);
		if (there && s->whole)
			s->exists = 1;		/* it goes out without a condition */
		else if (there && strcmp(a.etag, s->etag) != 0 && a.size == s->sent_size)
			same = is_same(w, s, blob, a.etag, err);
		if (same < 0)
			return (-1);
		if (same)
			adopt(w, s, a.etag);
	}
	s->sending = 0;
	staged_note(w, s);
	return (0);
}

/* Nobody has it open: dirty ones go out behind, or at the end; the others can be fetched again. */
static void
let_rest(struct writer *w, struct staged *s)
{
	char path[INODE_PATH_MAX];
	struct stat st;

	if (staged_is_dirty(s)) {
		if (w->behind != NULL)
			behind_add(w->behind, s);
	} else if (find_file(w, s, path, &st) == 0)
		staged_drop(w, s, path);
}

static void
settle(struct writer *w, struct staged *s)
{
	struct err err = ERR_EMPTY;

	pthread_mutex_lock(&s->lock);
	if (s->sending && !s->unlinked && staged_find_out(w, s, &err) != 0)
		log_err(&err);		/* asked again before the next upload */
	if (s->opens == 0)
		let_rest(w, s);
	pthread_mutex_unlock(&s->lock);
}

/* Each with a reference: the first of them may be on its way out when the last one is looked at. */
static void
settle_all(struct writer *w)
{
	struct tree *t = w->opt.tree;
	struct staged **all = NULL, *s;
	size_t n = 0, k;

	for (s = w->first; s != NULL; s = s->next) {
		all = mem_grow(all, (n + 1) * sizeof(struct staged *));
		all[n++] = s;
		tree_ref(s->inode);
	}
	for (k = 0; k < n; k++)
		settle(w, all[k]);
	pthread_mutex_lock(&t->lock);
	for (k = 0; k < n; k++)
		tree_unref(t, all[k]->inode);
	pthread_mutex_unlock(&t->lock);
	free(all);
}

void
staged_restore(struct writer *w)
{
	uint32_t id;

	if (w->state == NULL || !state_is_resumed(w->state))
		return;
	w->uploads = *state_word(w->state, STATE_META, STATE_UPLOADS);
	for (id = 1; id < state_top(w->state, STATE_MOVE); id++)
		undo_move(w, id);
	for (id = 1; id < state_top(w->state, STATE_STAGED); id++)
		restore(w, id);
	count_opens(w);
	settle_all(w);
}
