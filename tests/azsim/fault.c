#include "fault.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"

#define BODY_MAX	65536

static char *
copy_or_null(const char *s)
{
	return (s == NULL ? NULL : mem_strdup(s));
}

static int
get_number(const struct pairs *words, const char *name, int64_t otherwise, int64_t *ret)
{
	const char *text = pairs_get(words, name);
	long long n;

	*ret = otherwise;
	if (text == NULL)
		return (0);
	if (str_to_i64(text, 0, INT64_MAX, &n) != 0)
		return (-1);
	*ret = n;
	return (0);
}

static int
get_small(const struct pairs *words, const char *name, int otherwise, int *ret)
{
	int64_t n;

	if (get_number(words, name, otherwise, &n) != 0 || n > 1000000)
		return (-1);
	*ret = (int)n;
	return (0);
}

static int
parse_action(const struct pairs *words, struct fault_action *a)
{
	const char *code = pairs_get(words, "code"), *type = pairs_get(words, "type");

	a->body = pairs_get(words, "body");
	if (get_small(words, "status", a->body != NULL ? 200 : 0, &a->status) != 0 ||
	    get_small(words, "retry_after", -1, &a->retry_after_s) != 0 ||
	    get_small(words, "reset", 0, &a->reset) != 0 ||
	    get_small(words, "lose", 0, &a->lose) != 0 ||
	    get_number(words, "late", 0, &a->late_ms) != 0 ||
	    get_number(words, "delay", 0, &a->delay_ms) != 0 ||
	    get_number(words, "stall", 0, &a->stall_ms) != 0 ||
	    get_number(words, "after", -1, &a->stall_after) != 0 ||
	    get_number(words, "truncate", -1, &a->truncate_after) != 0 ||
	    get_number(words, "flip", -1, &a->flip_at) != 0 ||
	    str_format(a->code, sizeof(a->code), "%s", code != NULL ? code : "") != 0 ||
	    str_format(a->type, sizeof(a->type), "%s", type != NULL ? type : "text/plain") != 0)
		return (-1);
	if (a->body != NULL)
		a->body = strlen(a->body) <= BODY_MAX ? mem_strdup(a->body) : NULL;
	return (0);
}

static int
knows_all(const struct pairs *words)
{
	static const char *const known[] = { "method", "op", "path", "query", "count", "skip",
	    "percent", "status", "code", "retry_after", "body", "type", "reset", "lose", "late",
	    "delay", "stall", "after", "truncate", "flip" };
	size_t i, k;

	for (i = 0; i < words->n; i++) {
		for (k = 0; k < LENGTH(known); k++)
			if (strcmp(words->list[i].name, known[k]) == 0)
				break;
		if (k == LENGTH(known))
			return (0);
	}
	return (1);
}

int64_t
fault_add(struct faults *fs, const struct pairs *words)
{
	struct fault *f = mem_zalloc(sizeof(*f)), **at;

	if (!knows_all(words) || parse_action(words, &f->action) != 0 ||
	    get_number(words, "skip", 0, &f->skip) != 0 ||
	    get_number(words, "count", -1, &f->count) != 0 ||
	    get_number(words, "percent", 100, &f->percent) != 0) {
		free(f);
		return (-1);
	}
	f->method = copy_or_null(pairs_get(words, "method"));
	f->op = copy_or_null(pairs_get(words, "op"));
	f->path = copy_or_null(pairs_get(words, "path"));
	f->query = copy_or_null(pairs_get(words, "query"));
	pthread_mutex_lock(&fs->lock);
	f->id = ++fs->last_id;
	for (at = &fs->list; *at != NULL; at = &(*at)->next)
		;
	*at = f;
	fs->n++;
	pthread_mutex_unlock(&fs->lock);
	return (f->id);
}

void
fault_drop(struct faults *fs, int64_t id)
{
	struct fault **at, *f;

	pthread_mutex_lock(&fs->lock);
	for (at = &fs->list; (f = *at) != NULL;) {
		if (id != 0 && f->id != id) {
			at = &f->next;
			continue;
		}
		*at = f->next;
		fs->n--;
		free(f->method);
		free(f->op);
		free(f->path);
		free(f->query);
		free(f);	/* its body stays: an answer may be using it */
	}
	pthread_mutex_unlock(&fs->lock);
}

int64_t
fault_hits(struct faults *fs, int64_t id)
{
	int64_t hits = -1;
	struct fault *f;

	pthread_mutex_lock(&fs->lock);
	for (f = fs->list; f != NULL; f = f->next)
		if (f->id == id)
			hits = f->hits;
	pthread_mutex_unlock(&fs->lock);
	return (hits);
}

static int
is_due(struct fault *f)
{
	if (f->count == 0)
		return (0);
	if (f->percent < 100 && clock_jitter(1, 100) > f->percent)
		return (0);
	if (f->skip > 0) {
		f->skip--;
		return (0);
	}
	if (f->count > 0)
		f->count--;
	f->hits++;
	return (1);
}

int
fault_match(struct faults *fs, const char *method, const char *op, const char *path,
    const char *query, struct fault_action *ret)
{
	struct fault *f;
	int found = 0;

	if (fs->n == 0)
		return (0);
	pthread_mutex_lock(&fs->lock);
	for (f = fs->list; f != NULL && !found; f = f->next) {
		if ((f->method != NULL && strcmp(f->method, method) != 0) ||
		    (f->op != NULL && strcmp(f->op, op) != 0) ||
		    (f->path != NULL && !str_starts(path, f->path)) ||
		    (f->query != NULL && strstr(query, f->query) == NULL))
			continue;
		found = is_due(f);
		if (found)
			*ret = f->action;
	}
	pthread_mutex_unlock(&fs->lock);
	return (found);
}
