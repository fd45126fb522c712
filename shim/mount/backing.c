#include <errno.h>
#include <pthread.h>
#include <unistd.h>

#include "base/mem.h"
#include "mount/backing.h"

#define BUCKETS	256

struct backing_open {
	struct backing_open *next;
	const void	*inode;
	struct blocks	*blocks;
	struct blocks_file *file;	/* its descriptor is the registered one */
	unsigned int	 opens;
	int		 id;		/* 0: through us */
};

struct backing {
	pthread_mutex_t	 lock;		/* guards the rest; blocks.lock is taken inside */
	struct backing_open *open[BUCKETS];
};

struct backing *
backing_new(void)
{
	struct backing *b = mem_zalloc(sizeof(*b));

	pthread_mutex_init(&b->lock, NULL);
	return (b);
}

void
backing_free(struct backing *b)
{
	if (b == NULL)
		return;
	pthread_mutex_destroy(&b->lock);
	free(b);
}

int
backing_try(fuse_req_t req, int fd)
{
	int id = 0, why;

	errno = EBADF;
	if (fd >= 0)
		id = fuse_passthrough_open(req, fd);
	why = errno;
	if (id > 0)
		fuse_passthrough_close(req, id);
	mem_close_fd(&fd);
	errno = why;
	return (id > 0);
}

static struct backing_open **
place(struct backing *b, const void *inode)
{
	struct backing_open **p = &b->open[((uintptr_t)inode >> 6) % BUCKETS];

	while (*p != NULL && (*p)->inode != inode)
		p = &(*p)->next;
	return (p);
}

struct backing_open *
backing_begin(struct backing *b, fuse_req_t req, const void *inode, struct blocks *blocks,
    struct blocks_file *f, int *ret_id)
{
	struct backing_open **p, *o;
	int fd = blocks_whole(f);	/* may read all of it: before the lock */

	pthread_mutex_lock(&b->lock);
	p = place(b, inode);
	if ((o = *p) == NULL) {
		o = *p = mem_zalloc(sizeof(*o));
		o->inode = inode;
		o->blocks = blocks;
		o->file = f;
		f = NULL;
		o->id = fd >= 0 ? fuse_passthrough_open(req, fd) : 0;
	}
	o->opens++;
	*ret_id = o->id;
	pthread_mutex_unlock(&b->lock);
	blocks_close(blocks, f);
	return (o);
}

struct backing_open *
backing_adopt(struct backing *b, const void *inode, int id)
{
	struct backing_open **p = place(b, inode), *o = *p;

	if (o == NULL) {
		o = *p = mem_zalloc(sizeof(*o));
		o->inode = inode;
		o->id = id;
	}
	o->opens++;
	return (o);
}

void
backing_end(struct backing *b, fuse_req_t req, struct backing_open *o)
{
	int last;

	pthread_mutex_lock(&b->lock);
	if ((last = --o->opens == 0)) {
		*place(b, o->inode) = o->next;
		if (o->id > 0)
			fuse_passthrough_close(req, o->id);
	}
	pthread_mutex_unlock(&b->lock);
	if (!last)
		return;
	blocks_close(o->blocks, o->file);	/* none, if it was adopted */
	free(o);
}
