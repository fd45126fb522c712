#include "arc.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/fd.h"
#include "identity.h"

#define KEYS_MAX	64		/* challenges that nobody has answered yet */

/* By the knob arc_bad: what a challenge can look like.  Only the first may be answered. */
enum { GOOD, OTHER_DIR, TOO_LARGE, DOT_DOT, LINK, TWO_EQUALS, OTHER_NAME, NO_HEADER, BELOW,
	MISSING };

static struct {
	pthread_mutex_t lock;		/* guards the rest */
	char	 text[KEYS_MAX][40];
	size_t	 next;
} keys = { .lock = PTHREAD_MUTEX_INITIALIZER };

static void
make_key(char key[40], char name[32])
{
	static uint64_t number;
	uint64_t r[2] = { 0 };

	if (getrandom(r, sizeof(r), 0) != sizeof(r))
		abort();
	str_format(key, 40, "%016llx%016llx", (unsigned long long)r[0], (unsigned long long)r[1]);
	pthread_mutex_lock(&keys.lock);
	str_format(name, 32, "azsim-%llu", (unsigned long long)++number);
	memcpy(keys.text[keys.next++ % KEYS_MAX], key, 40);
	pthread_mutex_unlock(&keys.lock);
}

/* Each answers once. */
static int
use_key(const char *key)
{
	int found = 0;
	size_t i;

	pthread_mutex_lock(&keys.lock);
	for (i = 0; i < KEYS_MAX && key[0] != '\0'; i++)
		if (strcmp(keys.text[i], key) == 0) {
			keys.text[i][0] = '\0';
			found = 1;
		}
	pthread_mutex_unlock(&keys.lock);
	return (found);
}

static int
write_file(const char *path, const char *key, size_t padding)
{
	auto_buf struct buf text = BUF_EMPTY;

	buf_adds(&text, key);
	while (padding-- > 0)
		buf_addc(&text, 'x');
	return (fd_replace_file(path, text.data, text.len, 0600, NULL));
}

static int
challenge(struct exchange *ex)
{
	const char *dir = ex->sim->arc_dir, *path;
	int64_t bad = ex->sim->knobs.arc_bad;
	char key[40], name[32];

	make_key(key, name);
	path = arena_printf(&ex->mem, "%s/%s%s", dir, name, bad == OTHER_NAME ? ".txt" : ".key");
	if (bad == OTHER_DIR)
		path = arena_printf(&ex->mem, "%s.other/%s.key", dir, name);
	if (bad == BELOW)
		path = arena_printf(&ex->mem, "%s/below/%s.key", dir, name);
	if (bad == LINK) {
		const char *real = arena_printf(&ex->mem, "%s/%s.real", dir, name);

		write_file(real, key, 0);
		if (symlink(real, path) != 0)
			return (-1);
	} else if (bad != MISSING && write_file(path, key, bad == TOO_LARGE ? 4096 : 0) != 0) {
		return (-1);
	}
	if (bad == DOT_DOT)
		path = arena_printf(&ex->mem, "%s/../%s/%s.key", dir, strrchr(dir, '/') + 1, name);
	if (bad == TWO_EQUALS)
		path = arena_printf(&ex->mem, "%s=", path);
	if (bad != NO_HEADER)
		answer_header(ex, "WWW-Authenticate", "Basic realm=%s", path);
	ex->code = "challenge";
	return (answer(ex, 401, NULL, "", 0));
}

int
arc_handle(struct exchange *ex)
{
	const char *authorization = exchange_header(ex, "authorization");
	const char *metadata = exchange_header(ex, "metadata");

	if (ex->sim->arc_dir == NULL)
		return (identity_fail(ex, 404, "not_found", "This is no Arc machine"));
	if (strcmp(ex->req->method, "GET") != 0)
		return (identity_fail(ex, 405, "method_not_allowed", "The method is not allowed"));
	if (metadata == NULL || strcmp(metadata, "true") != 0)
		return (identity_fail(ex, 400, "bad_request_102",
		    "Required metadata header not specified"));
	if (authorization == NULL || !str_starts(authorization, "Basic ") ||
	    !use_key(authorization + strlen("Basic ")))
		return (challenge(ex));
	ex->auth = AUTH_SECRET;
	return (identity_give_system(ex));
}
