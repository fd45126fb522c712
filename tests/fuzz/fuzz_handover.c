/*
 * What a worker of another binary is told.  The input is what follows the head that both agree on.
 * What is taken can be handed over again, and is then the same to the last byte.
 */

#include <fcntl.h>
#include <sys/stat.h>

#include "fuzz.h"
#include "init/handover.c"

static void
add_head(struct buf *to)
{
	struct io io = { .out = to };

	agree(&io, MAGIC);
	agree(&io, HANDOVER_FORMAT);
	agree(&io, sizeof(struct wire_msg));
	agree(&io, sizeof(struct wire_ask));
	agree(&io, sizeof(struct wire_cred));
	agree(&io, sizeof(struct vitals));
}

static void
must_hold(const struct workers *w)
{
	const struct plan *p = w->opt.plan;
	size_t i;

	for (i = 0; i < w->n; i++) {
		must(w->list[i].name != NULL && (w->list[i].access == NULL) == (i == 0));
		must(i == 0 || (size_t)(w->list[i].access - p->accesses) < p->naccesses);
	}
	for (i = 0; i < p->naccesses; i++)
		must(p->accesses[i].action == PLAN_PASS || p->accesses[i].target != NULL);
	for (i = 0; i < p->nfiles_with_token; i++)
		must(p->files_with_token[i].place != NULL);
}

/* What h is as bytes. */
static int
written(const struct handover *h, struct buf *ret)
{
	int fd = handover_write(h, NULL);
	struct stat st;

	if (fd < 0)
		return (-1);
	must(fstat(fd, &st) == 0);
	buf_reset(ret);
	while (ret->len < (size_t)st.st_size)
		buf_addc(ret, '\0');
	must(pread(fd, ret->data, ret->len, 0) == (ssize_t)ret->len);
	close(fd);
	return (0);
}

static int
parse(const struct buf *bytes, struct workers *w, struct handover *h)
{
	struct err err = ERR_EMPTY;

	memset(w, 0, sizeof(*w));
	*h = (struct handover){ .workers = w };
	if (handover_parse(bytes->data, bytes->len, h, &err) == 0) {
		must_hold(w);
		return (0);
	}
	must_complain(&err, ERR_SYSTEM);
	return (-1);
}

static void
release(struct workers *w)
{
	secret_done(&w->broker_secret);
	arena_done(&w->mem);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	auto_buf struct buf bytes = BUF_EMPTY, once = BUF_EMPTY, twice = BUF_EMPTY;
	static struct workers w, v;
	struct handover h, g;

	add_head(&bytes);
	buf_add(&bytes, data, size);
	if (parse(&bytes, &w, &h) == 0 && written(&h, &once) == 0) {
		must(parse(&once, &v, &g) == 0);
		must(written(&g, &twice) == 0);
		must(once.len == twice.len && memcmp(once.data, twice.data, once.len) == 0);
		release(&v);
	}
	release(&w);
	return (0);
}
