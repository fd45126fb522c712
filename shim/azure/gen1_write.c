#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include "azure/gen1.h"
#include "azure/refusal.h"

#define PART_MAX	((int64_t)4 << 20)	/* of one request: more is refused */

struct upload {
	struct store	*store;
	const char	*name;
	struct buf	 temporary;	/* beside it: the service makes a file's parents */
	int		 fd;
	int64_t		 size;
};

/* A name that nobody else gives and that no listing shows as the file. */
static int
name_temporary(struct upload *u, struct err *err)
{
	const char *slash = strrchr(u->name, '/');
	unsigned char random[8];
	size_t i;

	if (getrandom(random, sizeof(random), 0) != (ssize_t)sizeof(random))
		return (err_errno(err, "upload", NULL));
	if (slash != NULL)
		buf_add(&u->temporary, u->name, (size_t)(slash + 1 - u->name));
	buf_adds(&u->temporary, ".amlshim-");
	for (i = 0; i < sizeof(random); i++)
		buf_printf(&u->temporary, "%02x", random[i]);
	return (0);
}

static int
is_bad_offset(const struct http_response *r)
{
	char code[96];

	refusal_code(r, code);
	return (strcmp(code, "BadOffsetException") == 0);
}

/*
 * A part that is sent again because its answer was lost is at a wrong offset: it has arrived.
 * (Nobody else writes there.)  If it has not, the next part or the length in the end tells.
 */
static int
send_part(struct upload *u, int64_t offset, int64_t len, struct err *err)
{
	auto_buf struct buf query = BUF_EMPTY;
	int rc, first = offset == 0;
	struct gen1_op op;
	struct err e;

	gen1_op_init(&op, u->store, "upload", first ? "PUT" : "POST", first ? "CREATE" : "APPEND",
	    u->temporary.data);
	if (first)
		buf_adds(&query, "&write=true&overwrite=true");
	else
		buf_printf(&query, "&append=true&offset=%lld", (long long)offset);
	buf_printf(&query, "&syncFlag=%s", offset + len == u->size ? "CLOSE" : "DATA");
	op.query = query.data;
	op.shown = u->name;
	op.body_fd = u->fd;
	op.body_offset = offset;
	op.body_len = (size_t)len;
	op.call.priority = 1;
	rc = gen1_op_run(&op, &e);
	if (rc != 0 && is_bad_offset(&op.call.response))
		rc = 0;
	if (rc != 0 && err != NULL)
		*err = e;
	gen1_op_done(&op);
	return (rc);
}

static int
send_parts(struct upload *u, void (*progress)(void *, int64_t), void *arg, struct err *err)
{
	int64_t at = 0, len;

	do {
		len = u->size - at < PART_MAX ? u->size - at : PART_MAX;
		if (send_part(u, at, len, err) != 0)
			return (-1);
		if (progress != NULL)
			progress(arg, len);
		at += len;
	} while (at < u->size);
	return (0);
}

/* Under its name it is seen at once and whole: the length is looked at before. */
static int
publish(struct upload *u, const char *if_match, char ret_etag[HTTP_ETAG_MAX], struct err *err)
{
	int is_new = if_match != NULL && strcmp(if_match, "*") == 0;
	struct store_attr sent;
	const struct store_rename r = { .from = u->temporary.data, .to = u->name,
	    .etag = sent.etag, .no_replace = is_new, .replaces = is_new ? NULL : if_match };

	if (gen1_stat(u->store, u->temporary.data, 1, &sent, err) != 0)
		return (-1);
	if (sent.size != u->size)
		return (err_set(err, ERR_PROTOCOL, REMEDY_RETRY_LATER, "upload",
		    "the service has %lld of %lld bytes", (long long)sent.size,
		    (long long)u->size));
	return (gen1_rename(u->store, &r, ret_etag, err));
}

int
gen1_upload(struct store *s, const char *name, int fd, int64_t size, const char *if_match,
    char ret_etag[HTTP_ETAG_MAX], void (*progress)(void *, int64_t), void *arg,
    struct err *err)
{
	struct upload u = { .store = s, .name = name, .fd = fd, .size = size };
	int rc = name_temporary(&u, err);

	if (rc == 0) {
		rc = send_parts(&u, progress, arg, err);
		if (rc == 0)
			rc = publish(&u, if_match, ret_etag, err);
		if (rc != 0)
			(void)gen1_delete(s, u.temporary.data, NULL);
	}
	if (rc != 0)
		gen1_failed_on(s, name, err);
	buf_done(&u.temporary);
	return (rc);
}
