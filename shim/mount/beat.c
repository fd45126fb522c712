#include "mount/beat.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>

#include "base/clock.h"
#include "base/mem.h"

#define EVERY_MS	1000
#define STACK		(64 * 1024)

struct beat {
	struct beat_options opt;
	int64_t		 requests, retries, bytes_read, bytes_written;	/* of earlier lives */
};

/* Returns what moved in this life. */
static int64_t
count(struct beat *b)
{
	struct vitals *v = b->opt.vitals;
	struct http_counts now;

	http_counts(b->opt.http, &now);
	atomic_store(&v->requests, b->requests + now.requests);
	atomic_store(&v->retries, b->retries + now.retries);
	atomic_store(&v->bytes_read, b->bytes_read + now.bytes_in);
	atomic_store(&v->bytes_written, b->bytes_written + now.bytes_out);
	atomic_store(&v->in_flight, now.in_flight);
	return (now.bytes_in + now.bytes_out + now.requests);
}

void
beat_count(struct beat *b)
{
	if (b != NULL)
		count(b);
}

static void *
beat_main(void *arg)
{
	struct beat *b = arg;
	int64_t moved;

	for (;;) {
		moved = count(b);
		if (b->opt.look(b->opt.arg, clock_ms(), moved))
			atomic_store(&b->opt.vitals->beat_ms, clock_ms());
		clock_sleep_ms(EVERY_MS);
	}
	return (NULL);
}

struct beat *
beat_new(const struct beat_options *o, struct err *err)
{
	struct beat *b = mem_zalloc(sizeof(*b));
	pthread_attr_t attr;
	pthread_t thread;
	int rc;

	b->opt = *o;
	b->requests = atomic_load(&o->vitals->requests);
	b->retries = atomic_load(&o->vitals->retries);
	b->bytes_read = atomic_load(&o->vitals->bytes_read);
	b->bytes_written = atomic_load(&o->vitals->bytes_written);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	rc = pthread_create(&thread, &attr, beat_main, b);
	pthread_attr_destroy(&attr);
	if (rc == 0)
		return (b);
	free(b);
	errno = rc;
	err_errno(err, "start a thread", NULL);
	return (NULL);
}
