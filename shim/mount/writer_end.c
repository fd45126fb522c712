#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "mount/crew.h"
#include "mount/staged.h"

#define UPLOADS		32	/* files; how many blocks of large ones: see writer.c */
#define DEPTH_MAX	512	/* a path has fewer components */

/* One file or empty directory that has still to go out. */
struct piece {
	struct inode	*inode;		/* a reference */
	int		 is_dir;
	enum { WAITING, WORKING, DONE, LOST } state;
	struct err	 why;
};

struct ending {
	struct writer	*writer;
	pthread_mutex_t	 lock;		/* guards the rest */
	int		 over;		/* what is not done now is lost */
	int		 holders;	/* who ends, and the crew */
	struct piece	*pieces;
	size_t		 n, size;
};

static void
add_piece(struct ending *e, struct inode *i, int is_dir)
{
	if (e->n == e->size) {
		e->size = e->size > 0 ? e->size * 2 : 64;
		e->pieces = mem_grow(e->pieces, e->size * sizeof(*e->pieces));
	}
	memset(&e->pieces[e->n], 0, sizeof(*e->pieces));
	tree_ref(i);
	e->pieces[e->n].inode = i;
	e->pieces[e->n++].is_dir = is_dir;
}

/* With the tree's mutex held. */
static void
add_directories(struct ending *e, struct inode *dir)
{
	struct inode *i;

	for (i = dir->dir != NULL ? dir->dir->children : NULL; i != NULL; i = i->next)
		if (inode_is_dir(i)) {
			if (i->local && (i->dir == NULL || i->dir->nchildren == 0))
				add_piece(e, i, 1);
			else
				add_directories(e, i);
		}
}

static void
collect(struct ending *e)
{
	struct writer *w = e->writer;
	struct staged *s;

	pthread_mutex_lock(&w->lock);
	pthread_mutex_lock(&w->opt.tree->lock);
	for (s = w->first; s != NULL; s = s->next)
		add_piece(e, s->inode, 0);
	add_directories(e, &w->opt.tree->root);
	pthread_mutex_unlock(&w->opt.tree->lock);
	pthread_mutex_unlock(&w->lock);
}

static int
path_of(struct writer *w, struct inode *i, char path[INODE_PATH_MAX], int blob)
{
	int gone;

	pthread_mutex_lock(&w->opt.tree->lock);
	gone = blob ? tree_blob_name(w->opt.tree, i, path) : tree_path(w->opt.tree, i, path);
	pthread_mutex_unlock(&w->opt.tree->lock);
	return (gone);
}

static int
make_directory(struct ending *e, struct piece *p, struct err *why)
{
	char blob[INODE_PATH_MAX];

	if (path_of(e->writer, p->inode, blob, 1) != 0)
		return (0);
	return (store_mkdir(e->writer->opt.store, blob, why));
}

/* Uploaded: its staged file goes, unless the time was over before. */
static void
remove_staged(struct ending *e, struct piece *p)
{
	char path[INODE_PATH_MAX];

	if (!p->is_dir && path_of(e->writer, p->inode, path, 0) == 0)
		unlinkat(e->writer->staging_fd, path, 0);
}

static int
send_piece(void *arg, size_t k)
{
	struct ending *e = arg;
	struct piece *p = &e->pieces[k];
	struct err why = ERR_EMPTY;
	int failed, over;

	pthread_mutex_lock(&e->lock);
	over = e->over;
	p->state = over ? p->state : WORKING;
	pthread_mutex_unlock(&e->lock);
	if (over)
		return (-1);
	failed = p->is_dir ? make_directory(e, p, &why) :
	    writer_flush(e->writer, p->inode, &why);
	pthread_mutex_lock(&e->lock);
	if (!e->over) {
		p->state = failed ? LOST : DONE;
		p->why = why;
		if (!failed)
			remove_staged(e, p);
	}
	pthread_mutex_unlock(&e->lock);
	return (failed);
}

static void
tell_lost(struct ending *e, const struct piece *p, void (*lost)(void *, const struct err *),
    void *arg)
{
	char path[INODE_PATH_MAX];
	struct err err = p->why;

	if (p->state != LOST)
		err_set(&err, ERR_OUTPUT, REMEDY_NONE, "upload", "the time for it was over");
	if (path_of(e->writer, p->inode, path, 0) != 0)
		path[0] = '\0';
	err_fold_remedy(&err);
	err.kind = ERR_OUTPUT;
	err.remedy = REMEDY_UPLOAD_BY_HAND;
	err.resource[0] = '\0';
	err_on(&err, "%s/%s", e->writer->staging, path);
	lost(arg, &err);
}

/* Directories that have become empty, deepest first. */
static void
remove_empty(int fd, int depth)
{
	struct dirent *d;
	struct stat st;
	DIR *dir = fdopendir(fd);
	int below;

	if (dir == NULL) {
		close(fd);
		return;
	}
	while ((d = readdir(dir)) != NULL) {
		if (strcmp(d->d_name, ".") == 0 || strcmp(d->d_name, "..") == 0 ||
		    fstatat(dirfd(dir), d->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0 ||
		    !S_ISDIR(st.st_mode) || depth >= DEPTH_MAX)
			continue;
		below = openat(dirfd(dir), d->d_name,
		    O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (below >= 0)
			remove_empty(below, depth + 1);
		unlinkat(dirfd(dir), d->d_name, AT_REMOVEDIR);	/* fails if it is not empty */
	}
	closedir(dir);
}

static void
clean_staging(struct writer *w)
{
	int fd = open(w->staging, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	staged_forget_parked(w);
	if (fd >= 0)
		remove_empty(fd, 0);
	rmdir(w->staging);		/* fails if a file was kept */
}

static void
let_go(struct ending *e, int holders)
{
	struct tree *t = e->writer->opt.tree;
	size_t k;

	pthread_mutex_lock(&e->lock);
	holders = e->holders -= holders;
	pthread_mutex_unlock(&e->lock);
	if (holders > 0)
		return;
	pthread_mutex_lock(&t->lock);
	for (k = 0; k < e->n; k++)
		tree_unref(t, e->pieces[k].inode);
	pthread_mutex_unlock(&t->lock);
	pthread_mutex_destroy(&e->lock);
	free(e->pieces);
	free(e);
}

static void
late(void *arg)
{
	let_go(arg, 1);
}

void
writer_finish(struct writer *w, int64_t deadline_ms, void (*lost)(void *, const struct err *),
    void *arg, struct writer_end *ret)
{
	struct ending *e = mem_zalloc(sizeof(*e));
	struct crew_work work = { .threads = UPLOADS, .deadline_ms = deadline_ms,
	    .one = send_piece, .late = late, .arg = e };
	size_t k;
	int rc;

	memset(ret, 0, sizeof(*ret));
	e->writer = w;
	e->holders = 2;
	pthread_mutex_init(&e->lock, NULL);
	collect(e);
	work.n = e->n;
	rc = crew_run(&work);
	pthread_mutex_lock(&e->lock);
	e->over = 1;
	pthread_mutex_unlock(&e->lock);
	for (k = 0; k < e->n; k++)
		if (e->pieces[k].state != DONE) {
			ret->failed++;
			tell_lost(e, &e->pieces[k], lost, arg);
		}
	pthread_mutex_lock(&w->lock);
	ret->files = w->uploads;
	pthread_mutex_unlock(&w->lock);
	clean_staging(w);
	let_go(e, rc < 0 ? 1 : 2);
}
