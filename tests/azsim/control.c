#include "control.h"
#include "gen1.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/uri.h"
#include "blob.h"
#include "words.h"

#define WORDS_MAX	65536

static int
say(struct exchange *ex, int status, const char *text)
{
	return (answer_text(ex, status, "text/plain", text));
}

static int
say_json(struct exchange *ex, const char *key, int64_t value)
{
	auto_buf struct buf body = BUF_EMPTY;

	buf_printf(&body, "{\"%s\":%" PRId64 "}\n", key, value);
	return (answer(ex, 200, "application/json", body.data, body.len));
}

static int
add_json_words(const char *text, size_t len, struct pairs *ret)
{
	struct json *object = json_parse(text, len);
	const struct json *member;
	int failed = json_type(object) != JSON_OBJECT;

	for (member = failed ? NULL : json_first(object); member != NULL;
	    member = json_next(member)) {
		char number[32];
		int64_t n;
		int flag;

		if (json_string(member) != NULL) {
			pairs_add(ret, json_key(member), json_string(member));
		} else if (json_int(member, &n) == 0 ||
		    (json_bool(member, &flag) == 0 && ((n = flag), 1))) {
			str_format(number, sizeof(number), "%" PRId64, n);
			pairs_add(ret, json_key(member), number);
		} else {
			failed = 1;
		}
	}
	json_free(object);
	return (failed ? -1 : 0);
}

/* From the query and, with body != 0, from a JSON object. */
static int
read_words(struct exchange *ex, int body, struct pairs *ret)
{
	auto_buf struct buf text = BUF_EMPTY;
	size_t i;

	for (i = 0; i < ex->nparams; i++)
		pairs_add(ret, ex->params[i].name, ex->params[i].value);
	if (!body || ex->req->content_length == 0 ||
	    (ex->req->content_length < 0 && !ex->req->chunked))
		return (0);
	if (exchange_read_body(ex, WORDS_MAX, &text) != 0)
		return (-1);
	return (text.len == 0 ? 0 : add_json_words(text.data, text.len, ret));
}

static int
do_fault(struct exchange *ex, const struct pairs *words)
{
	const char *id = pairs_get(words, "id");
	long long n = 0;
	int64_t made;

	if (id != NULL && str_to_i64(id, 1, INT64_MAX, &n) != 0)
		return (say(ex, 400, "id?\n"));
	if (strcmp(ex->req->method, "DELETE") == 0) {
		fault_drop(&ex->sim->faults, n);
		return (say(ex, 200, "ok\n"));
	}
	if (strcmp(ex->req->method, "GET") == 0)
		return (say_json(ex, "hits", fault_hits(&ex->sim->faults, n)));
	made = fault_add(&ex->sim->faults, words);
	return (made < 0 ? say(ex, 400, "these words are not understood\n") :
	    say_json(ex, "id", made));
}

/* NAME=VALUE becomes the text that a line with this field holds. */
static const char *
filter_text(struct exchange *ex, const char *name, const char *value)
{
	static const char *const numbers[] = { "seq", "conn", "tls", "status", "in", "out" };
	size_t i;

	if (strcmp(name, "has") == 0)
		return (value);
	for (i = 0; i < LENGTH(numbers); i++)
		if (strcmp(numbers[i], name) == 0)
			return (arena_printf(&ex->mem, "\"%s\":%s,", name, value));
	if (strcmp(name, "fault") == 0)
		return (arena_printf(&ex->mem, "\"fault\":%s", value));
	return (arena_printf(&ex->mem, "\"%s\":\"%s\"", name, value));
}

static int
do_log(struct exchange *ex, const struct pairs *words)
{
	auto_buf struct buf body = BUF_EMPTY;
	const char *texts[PARAMS_MAX];
	size_t n = 0, i;
	int count = 0;
	int64_t found;

	if (strcmp(ex->req->method, "DELETE") == 0) {
		journal_clear(&ex->sim->journal);
		return (say(ex, 200, "ok\n"));
	}
	for (i = 0; i < words->n && n < LENGTH(texts); i++) {
		if (strcmp(words->list[i].name, "count") == 0)
			count = 1;
		else
			texts[n++] = filter_text(ex, words->list[i].name, words->list[i].value);
	}
	found = journal_find(&ex->sim->journal, texts, n, count ? NULL : &body);
	if (count)
		buf_printf(&body, "%" PRId64 "\n", found);
	return (answer(ex, 200, "application/json", buf_str(&body), body.len));
}

static void
add_knob(void *arg, const char *name, int64_t value)
{
	json_out_kint(arg, name, value);
}

static int
do_knob(struct exchange *ex, const struct pairs *words)
{
	auto_buf struct buf body = BUF_EMPTY;
	struct json_out out;
	long long n;
	size_t i;

	for (i = 0; i < words->n; i++)
		if (str_to_i64(words->list[i].value, 0, INT64_MAX / 2000000, &n) != 0 ||
		    knobs_set(&ex->sim->knobs, words->list[i].name, n) != 0)
			return (say(ex, 400, "no such knob, or no number\n"));
	json_out_init(&out, &body, 0);
	json_out_begin(&out, '{');
	knobs_each(&ex->sim->knobs, add_knob, &out);
	json_out_end(&out, '}');
	buf_addc(&body, '\n');
	return (answer(ex, 200, "application/json", body.data, body.len));
}

static int
do_stats(struct exchange *ex, const struct pairs *words)
{
	const struct stats *s = &ex->sim->stats;
	auto_buf struct buf body = BUF_EMPTY;
	struct json_out out;

	(void)words;
	json_out_init(&out, &body, 0);
	json_out_begin(&out, '{');
	json_out_kint(&out, "requests", s->requests);
	json_out_kint(&out, "bytes_in", s->bytes_in);
	json_out_kint(&out, "bytes_out", s->bytes_out);
	json_out_kint(&out, "connections", s->connections);
	json_out_kint(&out, "connections_now", s->connections_now);
	json_out_kint(&out, "connections_peak", s->connections_peak);
	json_out_kint(&out, "inflight_peak", s->inflight_peak);
	json_out_kint(&out, "blobs", ex->sim->model.blobs);
	json_out_kint(&out, "stored_bytes", ex->sim->model.depot.bytes);
	json_out_end(&out, '}');
	buf_addc(&body, '\n');
	return (answer(ex, 200, "application/json", body.data, body.len));
}

/* -1: neither yes nor no. */
static int
set_flag(const struct pairs *words, const char *name, _Atomic int *flag)
{
	const char *value = pairs_get(words, name);

	if (value == NULL)
		return (0);
	if (str_same(value, "on") || str_same(value, "allow") || strcmp(value, "1") == 0)
		*flag = 1;
	else if (str_same(value, "off") || str_same(value, "deny") || strcmp(value, "0") == 0)
		*flag = 0;
	else
		return (-1);
	return (0);
}

static int
set_account(struct account *a, const struct pairs *words)
{
	const char *key = pairs_get(words, "key");

	if (key != NULL && account_set_key(a, key) != 0)
		return (-1);
	return (set_flag(words, "shared_key", &a->shared_key) |
	    set_flag(words, "network", &a->network_allow) |
	    set_flag(words, "public", &a->public_allowed) |
	    set_flag(words, "dfs", &a->dfs_allow) |
	    set_flag(words, "https_only", &a->https_only));
}

int
control_add_account(struct sim *sim, const char *text)
{
	static const char *const known[] = { "name", "key", "tenant", "hns", "shared_key",
	    "network", "public", "https_only", "onelake", "dfs", "gen1", NULL };
	/* Published with the storage emulator; everyone's test key. */
	static const char emulator_key[] = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6"
	    "IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";
	struct pairs words = { NULL, 0 };
	const char *name, *tenant;
	_Atomic int hns = 0, onelake = 0, gen1 = 0;
	struct container *c;
	struct account *a;
	int failed;

	failed = words_parse(&words, text, known);
	name = pairs_get(&words, "name");
	tenant = pairs_get(&words, "tenant");
	if (failed == 0 && name != NULL) {
		a = model_add_account(&sim->model, name);
		a->tenant = mem_strdup(tenant != NULL ? tenant : sim->people.tenant);
		failed = account_set_key(a, emulator_key) | set_account(a, &words) |
		    set_flag(&words, "hns", &hns);
		failed |= set_flag(&words, "onelake", &onelake) | set_flag(&words, "gen1", &gen1);
		a->onelake = onelake;
		a->gen1 = gen1;
		a->hns = hns || onelake || gen1;
		if (onelake)
			a->shared_key = 0;
		if (gen1)
			model_create_container(a, GEN1_CONTAINER, &c);
	}
	pairs_done(&words);
	return (failed != 0 || name == NULL ? -1 : 0);
}

static int
do_account(struct exchange *ex, const struct pairs *words)
{
	const char *name = pairs_get(words, "name");
	struct account *a = name == NULL ? NULL : model_account(&ex->sim->model, name);

	if (a == NULL)
		return (say(ex, 404, "no such account\n"));
	if (set_account(a, words) != 0)
		return (say(ex, 400, "these words are not understood\n"));
	return (say(ex, 200, "ok\n"));
}

static int
do_role(struct exchange *ex, const struct pairs *words)
{
	auto_buf struct buf text = BUF_EMPTY;
	size_t i;

	if (strcmp(ex->req->method, "DELETE") == 0) {
		people_drop_roles(&ex->sim->people, pairs_get(words, "oid"));
		return (say(ex, 200, "ok\n"));
	}
	for (i = 0; i < words->n; i++)
		buf_printf(&text, "%s=%s,", words->list[i].name, words->list[i].value);
	if (people_add_role(&ex->sim->people, buf_str(&text)) != 0)
		return (say(ex, 400, "these words are not understood\n"));
	return (say(ex, 200, "ok\n"));
}

static int
do_app(struct exchange *ex, const struct pairs *words)
{
	if (apps_change(&ex->sim->apps, words) != 0)
		return (say(ex, 404, "no such app\n"));
	return (say(ex, 200, "ok\n"));
}

static int
do_acl(struct exchange *ex, const struct pairs *words)
{
	auto_buf struct buf text = BUF_EMPTY;
	size_t i;

	if (strcmp(ex->req->method, "DELETE") == 0) {
		acl_drop_all(&ex->sim->acls);
		return (say(ex, 200, "ok\n"));
	}
	for (i = 0; i < words->n; i++)
		buf_printf(&text, "%s=%s,", words->list[i].name, words->list[i].value);
	if (acl_add(&ex->sim->acls, buf_str(&text)) != 0)
		return (say(ex, 400, "these words are not understood\n"));
	return (say(ex, 200, "ok\n"));
}

static int
do_plane(struct exchange *ex, const struct pairs *words)
{
	const char *name = pairs_get(words, "kind");
	struct pairs rest = { NULL, 0 };
	enum thing_kind kind;
	size_t i;
	int failed;

	if (strcmp(ex->req->method, "DELETE") == 0) {
		plane_drop_grants(&ex->sim->plane, pairs_get(words, "oid"));
		return (say(ex, 200, "ok\n"));
	}
	if (name == NULL || plane_kind(name, &kind) != 0)
		return (say(ex, 400, "no such kind\n"));
	for (i = 0; i < words->n; i++)
		if (strcmp(words->list[i].name, "kind") != 0)
			pairs_add(&rest, words->list[i].name, words->list[i].value);
	failed = plane_add_words(&ex->sim->plane, kind, &rest);
	pairs_done(&rest);
	return (failed != 0 ? say(ex, 400, "these words are not understood\n") :
	    say(ex, 200, "ok\n"));
}

static void
copy_word(const struct pairs *words, const char *name, const char *otherwise, char *out,
    size_t size)
{
	const char *value = pairs_get(words, name);

	str_format(out, size, "%s", value != NULL ? value : otherwise);
}

static int
copy_time(const struct pairs *words, const char *name, int64_t otherwise, int64_t *ret)
{
	const char *text = pairs_get(words, name);
	long long n = otherwise;

	if (text != NULL && str_to_i64(text, -1000000000, 1000000000, &n) != 0)
		return (-1);
	*ret = clock_wall_s() + n;
	return (0);
}

static int
do_token(struct exchange *ex, const struct pairs *words)
{
	const struct people *p = &ex->sim->people;
	auto_buf struct buf token = BUF_EMPTY;
	struct jwt_claims c;

	memset(&c, 0, sizeof(c));
	copy_word(words, "oid", "0b1ec700-0000-4000-8000-000000000000", c.oid, sizeof(c.oid));
	copy_word(words, "aud", "https://storage.azure.com/", c.aud, sizeof(c.aud));
	copy_word(words, "tid", p->tenant, c.tid, sizeof(c.tid));
	copy_word(words, "appid", "c11e0000-0000-4000-8000-000000000000", c.appid,
	    sizeof(c.appid));
	copy_word(words, "idtyp", "app", c.idtyp, sizeof(c.idtyp));
	copy_word(words, "upn", "", c.upn, sizeof(c.upn));
	str_format(c.iss, sizeof(c.iss), "https://sts.windows.net/%s/", c.tid);
	if (copy_time(words, "exp", 3600, &c.exp) != 0 || copy_time(words, "nbf", 0, &c.nbf) != 0)
		return (say(ex, 400, "exp and nbf are seconds from now\n"));
	c.iat = c.nbf;
	jwt_mint(&p->key, &c, &token);
	return (answer(ex, 200, "text/plain", token.data, token.len));
}

static uint64_t
seed_of(const char *name)
{
	return (hash_bytes(name, strlen(name)));
}

static void
add_synthetic(struct sim *sim, struct container *c, const char *name, int64_t size)
{
	struct version *v = version_new(size);

	v->is_synthetic = 1;
	v->seed = seed_of(name);
	pthread_rwlock_wrlock(&c->lock);
	model_publish(&sim->model, c, name, v);
	pthread_rwlock_unlock(&c->lock);
}

/* count < 0: one, of that name; else PREFIX000000 and on. */
static int
make_synthetic(struct sim *sim, const char *account, const char *container, const char *name,
    long long size, long long count)
{
	struct account *a = model_account(&sim->model, account);
	struct container *c;
	char each[1100];
	long long i;

	if (a == NULL || strlen(name) > 1024)
		return (-1);
	model_create_container(a, container, &c);
	if (count < 0)
		add_synthetic(sim, c, name, size);
	for (i = 0; i < count; i++) {
		str_format(each, sizeof(each), "%s%06lld", name, i);
		add_synthetic(sim, c, each, size);
	}
	return (0);
}

int
control_add_synthetic(struct sim *sim, const char *text, int many)
{
	char *copy = mem_strdup(text), *container = strchr(copy, '/'), *name, *value, *size;
	long long bytes, count = -1;
	int failed = -1;

	name = container == NULL ? NULL : strchr(container + 1, '/');
	value = name == NULL ? NULL : strrchr(name, '=');
	if (value != NULL) {
		*container++ = '\0';
		*name++ = '\0';
		*value++ = '\0';
		size = many ? strchr(value, ',') : value;
		if (many && size != NULL)
			*size++ = '\0';
		if (size != NULL && str_to_i64(size, 0, INT64_MAX / 2, &bytes) == 0 &&
		    (!many || str_to_i64(value, 0, 10000000, &count) == 0))
			failed = make_synthetic(sim, copy, container, name, bytes, count);
	}
	free(copy);
	return (failed);
}

static int
do_synthetic(struct exchange *ex, const struct pairs *words)
{
	const char *account = pairs_get(words, "account");
	const char *container = pairs_get(words, "container");
	const char *name = pairs_get(words, "name"), *size = pairs_get(words, "size");
	const char *count = pairs_get(words, "count");
	long long bytes, n = -1;

	if (account == NULL || container == NULL || name == NULL || size == NULL ||
	    str_to_i64(size, 0, INT64_MAX / 2, &bytes) != 0 ||
	    (count != NULL && str_to_i64(count, 0, 10000000, &n) != 0) ||
	    make_synthetic(ex->sim, account, container, name, bytes, n) != 0)
		return (say(ex, 400, "account, container, name, size[, count]\n"));
	return (say(ex, 200, "ok\n"));
}

struct place {
	struct account *account;
	char	*container, *blob;
};

/* ACCOUNT/CONTAINER[/NAME], encoded. */
static int
find_place(struct exchange *ex, const char *path, struct place *ret)
{
	char *account = arena_strdup(&ex->mem, path), *slash = strchr(account, '/');

	if (slash == NULL)
		return (-1);
	*slash = '\0';
	ret->account = model_account(&ex->sim->model, account);
	ret->container = slash + 1;
	slash = strchr(ret->container, '/');
	ret->blob = slash != NULL ? slash + 1 : NULL;
	if (slash != NULL)
		*slash = '\0';
	return (ret->account == NULL || uri_decode(ret->container) <= 0 ||
	    (ret->blob != NULL && uri_decode(ret->blob) <= 0) ? -1 : 0);
}

static int
put_blob(struct exchange *ex, const struct place *place, const struct pairs *words)
{
	struct container *c;
	struct version *v;
	struct extent *x;
	size_t i;
	int failed;

	if (ex->req->content_length < 0)
		return (say(ex, 411, "a length is needed\n"));
	if (blob_receive(ex, NULL, &x) != 0)
		return (-1);
	v = version_new(x->size);
	version_add_segment(v, x, NULL);
	v->is_dir = pairs_get(words, "dir") != NULL && place->account->hns;
	if (pairs_get(words, "md5") != NULL)
		pairs_add(&v->headers, "Content-MD5", pairs_get(words, "md5"));
	for (i = 0; i < words->n; i++)
		if (str_starts(words->list[i].name, "meta."))
			pairs_add(&v->meta, words->list[i].name + strlen("meta."),
			    words->list[i].value);
	model_create_container(place->account, place->container, &c);
	pthread_rwlock_wrlock(&c->lock);
	failed = model_publish(&ex->sim->model, c, place->blob, v);
	pthread_rwlock_unlock(&c->lock);
	return (failed != 0 ? say(ex, 409, "a directory is in the way\n") : say(ex, 201, "ok\n"));
}

static int
get_blob(struct exchange *ex, struct container *c, const struct place *place)
{
	struct version *v = NULL;
	struct blob *b;
	int failed;

	pthread_rwlock_rdlock(&c->lock);
	b = model_find(c, place->blob);
	if (b != NULL && b->now != NULL)
		v = version_hold(b->now);
	pthread_rwlock_unlock(&c->lock);
	if (v == NULL)
		return (say(ex, 404, "no such blob\n"));
	answer_header(ex, "Content-Type", "application/octet-stream");
	failed = answer_bytes(ex, 200, v, 0, v->size);
	version_drop(v);
	return (failed);
}

static int
do_blob(struct exchange *ex, const struct pairs *words)
{
	struct container *c;
	struct place place;

	if (find_place(ex, ex->req->path + strlen(CONTROL_PATH "blob/"), &place) != 0 ||
	    place.blob == NULL)
		return (say(ex, 404, "ACCOUNT/CONTAINER/NAME\n"));
	if (strcmp(ex->req->method, "PUT") == 0)
		return (put_blob(ex, &place, words));
	c = model_container(place.account, place.container);
	if (c == NULL)
		return (say(ex, 404, "no such container\n"));
	if (strcmp(ex->req->method, "GET") == 0)
		return (get_blob(ex, c, &place));
	pthread_rwlock_wrlock(&c->lock);
	model_remove(&ex->sim->model, c, place.blob);
	pthread_rwlock_unlock(&c->lock);
	return (say(ex, 200, "ok\n"));
}

static int
do_container(struct exchange *ex, const struct pairs *words)
{
	struct container *c;
	struct place place;

	(void)words;
	if (find_place(ex, ex->req->path + strlen(CONTROL_PATH "container/"), &place) != 0)
		return (say(ex, 404, "ACCOUNT/CONTAINER\n"));
	model_create_container(place.account, place.container, &c);
	return (say(ex, 201, "ok\n"));
}

static int
do_ping(struct exchange *ex, const struct pairs *words)
{
	(void)words;
	return (say(ex, 200, "azsim\n"));
}

static int
is_loopback(int fd)
{
	struct sockaddr_storage from = { .ss_family = AF_UNSPEC };
	socklen_t len = sizeof(from);

	if (getpeername(fd, (struct sockaddr *)&from, &len) != 0 || from.ss_family != AF_INET)
		return (0);
	return ((ntohl(((struct sockaddr_in *)&from)->sin_addr.s_addr) >> 24) == IN_LOOPBACKNET);
}

int
control_handle(struct exchange *ex)
{
	static const struct {
		const char *name;	/* ends in '/': more follows */
		int	 has_words;	/* a JSON body is words */
		int	 (*run)(struct exchange *, const struct pairs *);
	} commands[] = {
		{ "ping", 0, do_ping }, { "fault", 1, do_fault }, { "log", 0, do_log },
		{ "knob", 1, do_knob }, { "stats", 0, do_stats }, { "account", 1, do_account },
		{ "plane", 1, do_plane },
		{ "role", 1, do_role }, { "token", 1, do_token }, { "blob/", 0, do_blob },
		{ "app", 1, do_app },
		{ "acl", 1, do_acl },
		{ "container/", 0, do_container }, { "synthetic", 1, do_synthetic },
	};
	const char *name = ex->req->path + strlen(CONTROL_PATH);
	struct pairs words = { NULL, 0 };
	int failed = -1;
	size_t i;

	if (ex->peer->tls != NULL || !is_loopback(ex->peer->fd))
		return (say(ex, 403, "over plain HTTP, from loopback\n"));
	for (i = 0; i < LENGTH(commands); i++)
		if (str_ends(commands[i].name, "/") ? str_starts(name, commands[i].name) :
		    strcmp(name, commands[i].name) == 0)
			break;
	if (i == LENGTH(commands))
		failed = say(ex, 404, "no such command\n");
	else if (read_words(ex, commands[i].has_words, &words) != 0)
		failed = say(ex, 400, "these words cannot be read\n");
	else
		failed = commands[i].run(ex, &words);
	pairs_done(&words);
	return (failed);
}
