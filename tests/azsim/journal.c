#include "journal.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/fd.h"

#define KEPT_MAX	500000		/* later ones are dropped: about 200 MB */

void
journal_add(struct journal *j, const char *line, size_t len, uint64_t seq)
{
	struct entry *e;

	if (j->fd >= 0)
		fd_write_all(j->fd, line, len);
	if (j->kept >= KEPT_MAX)
		return;
	j->kept++;
	e = mem_alloc(sizeof(*e) + len + 1);
	e->seq = seq;
	e->len = len;
	memcpy(e->line, line, len);
	e->line[len] = '\0';
	e->next = atomic_load(&j->last);
	while (!atomic_compare_exchange_weak(&j->last, &e->next, e))
		;
}

void
journal_clear(struct journal *j)
{
	struct entry *e, *next;

	pthread_mutex_lock(&j->lock);
	for (e = atomic_exchange(&j->last, NULL); e != NULL; e = next) {
		next = e->next;
		free(e);
		j->kept--;
	}
	pthread_mutex_unlock(&j->lock);
}

static int
by_seq(const void *a, const void *b)
{
	const struct entry *x = *(const struct entry *const *)a;
	const struct entry *y = *(const struct entry *const *)b;

	return (x->seq < y->seq ? -1 : x->seq > y->seq);
}

static int
holds_all(const char *line, const char *const texts[], size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (strstr(line, texts[i]) == NULL)
			return (0);
	return (1);
}

int64_t
journal_find(struct journal *j, const char *const texts[], size_t n, struct buf *ret)
{
	const struct entry **found = NULL, *e;
	size_t nfound = 0, cap = 0, i;

	pthread_mutex_lock(&j->lock);
	for (e = atomic_load(&j->last); e != NULL; e = e->next) {
		if (!holds_all(e->line, texts, n))
			continue;
		if (nfound == cap) {
			cap = cap == 0 ? 64 : 2 * cap;
			found = mem_grow(found, cap * sizeof(*found));
		}
		found[nfound++] = e;
	}
	if (ret != NULL && nfound > 0) {
		qsort(found, nfound, sizeof(*found), by_seq);
		for (i = 0; i < nfound; i++)
			buf_add(ret, found[i]->line, found[i]->len);
	}
	pthread_mutex_unlock(&j->lock);
	free(found);
	return ((int64_t)nfound);
}
