#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "mount/report.h"

#define KINDS		32
#define AGAIN_MS	30000

struct seen {
	enum err_kind	kind;
	int	http_status, sys_errno;
	char	op[sizeof(((struct err *)0)->op)];
	int64_t	when_ms;
	unsigned int left_out;
};

struct report {
	const char	*label;
	pthread_mutex_t	 lock;		/* guards the rest; nothing is locked inside */
	struct seen	 seen[KINDS];
};

struct report *
report_new(const char *label)
{
	struct report *r = mem_zalloc(sizeof(*r));

	r->label = label;
	pthread_mutex_init(&r->lock, NULL);
	return (r);
}

void
report_free(struct report *r)
{
	if (r == NULL)
		return;
	pthread_mutex_destroy(&r->lock);
	free(r);
}

static int
is_same(const struct seen *s, const struct err *e)
{
	return (s->kind == e->kind && s->http_status == e->http_status &&
	    s->sys_errno == e->sys_errno && strcmp(s->op, e->op) == 0);
}

/* 1: it is time to tell; *ret_left_out like it were not told. */
static int
is_due(struct report *r, const struct err *e, unsigned int *ret_left_out)
{
	int64_t now_ms = clock_ms();
	struct seen *s = r->seen, *oldest = r->seen;

	for (; s < r->seen + KINDS && !is_same(s, e); s++)
		if (s->when_ms < oldest->when_ms)
			oldest = s;
	if (s < r->seen + KINDS && now_ms - s->when_ms < AGAIN_MS) {
		s->left_out++;
		return (0);
	}
	if (s == r->seen + KINDS) {
		s = oldest;
		s->kind = e->kind;
		s->http_status = e->http_status;
		s->sys_errno = e->sys_errno;
		memcpy(s->op, e->op, sizeof(s->op));
		s->left_out = 0;
	}
	*ret_left_out = s->left_out;
	s->left_out = 0;
	s->when_ms = now_ms;
	return (1);
}

void
report_failure(struct report *r, const struct err *e)
{
	struct err full = *e;
	unsigned int left_out = 0;
	int due;

	pthread_mutex_lock(&r->lock);
	due = is_due(r, e, &left_out);
	pthread_mutex_unlock(&r->lock);
	if (!due)
		return;
	err_as(&full, r->label);
	log_err(&full);
	if (left_out > 0)
		log_error("the same %u more times since it was told last", left_out);
}
