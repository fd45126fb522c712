#include "plane.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "words.h"

/* Which words make up what a thing is found by. */
static const struct {
	const char *name;
	const char *in, *id, *version;
	const char *known[16];
} kinds[] = {
	[THING_WORKSPACE] = { "workspace", NULL, "name", NULL,
	    { "subscription", "group", "name", NULL } },
	[THING_DATASTORE] = { "datastore", "in", "name", NULL,
	    { "in", "name", "type", "account", "container", "endpoint", "credential", "default",
	    "tenant", "client", "thumbprint", "authority", "secret", NULL } },
	[THING_ASSET] = { "asset", "in", "name", "version",
	    { "in", "name", "version", "uri", "type", NULL } },
	[THING_VAULT] = { "vault", NULL, "name", NULL, { "name", "resource", "network", NULL } },
	[THING_SECRET] = { "secret", "in", "name", "version",
	    { "in", "name", "version", "value", "exp", "enabled", NULL } },
	[THING_MODEL] = { "model", "in", "name", "version",
	    { "in", "name", "version", "uri", "type", NULL } },
	[THING_GRANT] = { "grant", "in", "oid", "role", { "oid", "role", "in", NULL } },
};

int
plane_kind(const char *name, enum thing_kind *ret)
{
	size_t i;

	for (i = 0; i < LENGTH(kinds); i++)
		if (strcmp(kinds[i].name, name) == 0) {
			*ret = (enum thing_kind)i;
			return (0);
		}
	return (-1);
}

const char *
thing_word(const struct thing *t, const char *word)
{
	const char *value = pairs_get(t->words, word);

	return (value != NULL ? value : "");
}

static const char *
word_of(const struct thing *t, const char *word)
{
	return (word != NULL ? pairs_get(t->words, word) : NULL);
}

static int
fits(const char *have, const char *want)
{
	return (want == NULL || (have != NULL && str_same(have, want)));
}

const struct thing *
plane_find(struct plane *p, enum thing_kind kind, const char *in, const char *name,
    const char *version)
{
	const struct thing *t, *found = NULL;

	pthread_rwlock_rdlock(&p->lock);
	for (t = p->list; t != NULL; t = t->next)
		if (t->kind == kind && fits(t->in, in) && fits(t->name, name) &&
		    fits(t->version, version))
			found = t;
	pthread_rwlock_unlock(&p->lock);
	return (found);
}

/* Out of the list, not freed: somebody may be reading it. */
static void
unlink_same(struct plane *p, const struct thing *t)
{
	struct thing **at;

	for (at = &p->list; *at != NULL;)
		if ((*at)->kind == t->kind && fits((*at)->in, t->in) &&
		    fits((*at)->name, t->name) && fits((*at)->version, t->version))
			*at = (*at)->next;
		else
			at = &(*at)->next;
}

static int
keep(struct plane *p, struct thing *t)
{
	struct thing **at;

	t->in = word_of(t, kinds[t->kind].in);
	t->name = word_of(t, kinds[t->kind].id);
	t->version = word_of(t, kinds[t->kind].version);
	t->made_unix_s = clock_wall_s();
	if (t->name == NULL || (kinds[t->kind].in != NULL && t->in == NULL) ||
	    (kinds[t->kind].version != NULL && t->version == NULL))
		return (-1);
	pthread_rwlock_wrlock(&p->lock);
	unlink_same(p, t);
	for (at = &p->list; *at != NULL; at = &(*at)->next)
		;
	*at = t;
	pthread_rwlock_unlock(&p->lock);
	return (0);
}

int
plane_add(struct plane *p, enum thing_kind kind, const char *text)
{
	struct thing *t = mem_zalloc(sizeof(*t));

	t->kind = kind;
	t->words = mem_zalloc(sizeof(*t->words));
	if (words_parse(t->words, text, kinds[kind].known) == 0 && keep(p, t) == 0)
		return (0);
	pairs_done(t->words);
	free(t->words);
	free(t);
	return (-1);
}

int
plane_add_words(struct plane *p, enum thing_kind kind, const struct pairs *words)
{
	struct thing *t = mem_zalloc(sizeof(*t));
	size_t i, j;

	t->kind = kind;
	t->words = mem_zalloc(sizeof(*t->words));
	for (i = 0; i < words->n; i++) {
		for (j = 0; kinds[kind].known[j] != NULL; j++)
			if (strcmp(kinds[kind].known[j], words->list[i].name) == 0)
				break;
		if (kinds[kind].known[j] == NULL)
			break;
		pairs_add(t->words, words->list[i].name, words->list[i].value);
	}
	if (i == words->n && keep(p, t) == 0)
		return (0);
	pairs_done(t->words);
	free(t->words);
	free(t);
	return (-1);
}

void
plane_drop_grants(struct plane *p, const char *oid)
{
	struct thing **at;

	pthread_rwlock_wrlock(&p->lock);
	for (at = &p->list; *at != NULL;)
		if ((*at)->kind == THING_GRANT && fits((*at)->name, oid))
			*at = (*at)->next;
		else
			at = &(*at)->next;
	pthread_rwlock_unlock(&p->lock);
}
