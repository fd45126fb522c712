#include "mount/notify.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/cond.h"
#include "base/mem.h"

#define SETTLE_MS		100

struct notice {
	struct notice	*next;
	struct inode	*inode;		/* a reference */
	int64_t		 offset, len;	/* of pages, if name is "" */
	char		 name[];	/* in that directory */
};

struct notifier {
	struct fuse_session *se;
	struct tree	*tree;
	/* Guards the rest; innermost (taken with the tree's held). */
	pthread_mutex_t	 lock;
	pthread_cond_t	 posted, told;
	struct notice	*first, **last;
	uint64_t	 nposted, ntold;
};

struct notifier *
notifier_new(void)
{
	struct notifier *f = mem_zalloc(sizeof(*f));

	f->last = &f->first;
	pthread_mutex_init(&f->lock, NULL);
	cond_init(&f->posted);
	cond_init(&f->told);
	return (f);
}

static struct notice *
make(struct inode *i, const char *name)
{
	size_t size = strlen(name) + 1;
	struct notice *n = mem_zalloc(sizeof(*n) + size);

	memcpy(n->name, name, size);
	n->inode = i;
	tree_ref(i);
	return (n);
}

static void
post(struct notifier *f, struct notice *n)
{
	pthread_mutex_lock(&f->lock);
	*f->last = n;
	f->last = &n->next;
	f->nposted++;
	pthread_cond_signal(&f->posted);
	pthread_mutex_unlock(&f->lock);
}

void
notifier_name(struct notifier *f, struct inode *parent, const char *name)
{
	post(f, make(parent, name));
}

void
notifier_pages(struct notifier *f, struct inode *i, int64_t offset, int64_t len)
{
	struct notice *n = make(i, "");

	n->offset = offset;
	n->len = len;
	post(f, n);
}

static struct notice *
next_notice(struct notifier *f)
{
	struct notice *n;

	pthread_mutex_lock(&f->lock);
	while ((n = f->first) == NULL)
		pthread_cond_wait(&f->posted, &f->lock);
	f->first = n->next;
	if (f->first == NULL)
		f->last = &f->first;
	pthread_mutex_unlock(&f->lock);
	return (n);
}

/* ENOENT: it has forgotten by itself. */
static void
tell(struct notifier *f, const struct notice *n)
{
	uint32_t id;

	pthread_mutex_lock(&f->tree->lock);
	id = n->inode->node;
	pthread_mutex_unlock(&f->tree->lock);
	if (id == 0)
		return;
	if (n->name[0] != '\0')
		fuse_lowlevel_notify_inval_entry(f->se, id, n->name, strlen(n->name));
	else
		fuse_lowlevel_notify_inval_inode(f->se, id, n->offset, n->len);
}

static void *
notify_main(void *arg)
{
	struct notifier *f = arg;
	struct notice *n;

	for (;;) {
		n = next_notice(f);
		tell(f, n);
		pthread_mutex_lock(&f->tree->lock);
		tree_unref(f->tree, n->inode);
		pthread_mutex_unlock(&f->tree->lock);
		free(n);
		pthread_mutex_lock(&f->lock);
		f->ntold++;
		pthread_cond_broadcast(&f->told);
		pthread_mutex_unlock(&f->lock);
	}
	return (NULL);
}

int
notifier_start(struct notifier *f, struct fuse_session *se, struct tree *tree, struct err *err)
{
	pthread_attr_t attr;
	pthread_t thread;
	int rc;

	f->se = se;
	f->tree = tree;
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	rc = pthread_create(&thread, &attr, notify_main, f);
	pthread_attr_destroy(&attr);
	errno = rc;
	return (rc == 0 ? 0 : err_errno(err, "serve the mount", NULL));
}

void
notifier_settle(struct notifier *f)
{
	int64_t until_ms = clock_ms() + SETTLE_MS;
	uint64_t mine;

	pthread_mutex_lock(&f->lock);
	mine = f->nposted;
	while (f->ntold < mine)
		if (cond_wait_ms(&f->told, &f->lock, until_ms - clock_ms()) != 0)
			break;
	pthread_mutex_unlock(&f->lock);
}
