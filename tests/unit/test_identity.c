/*
 * Sources and cache against an endpoint inside the test: what is asked, what comes of each
 * answer.
 */

#include <stdio.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/uri.h"
#include "check.h"
#include "identity/cache.h"
#include "identity/source.h"
#include "tinyserver.h"

#define CLIENT_A "11111111-1111-1111-1111-111111111111"
#define CLIENT_B "22222222-2222-2222-2222-222222222222"
#define OBJECT_A "33333333-3333-3333-3333-333333333333"
#define STORAGE "https://storage.azure.com/"

/* What the endpoint does, and what it saw last; guarded by the lock. */
static struct {
	pthread_mutex_t lock;
	int	status, empty, garbage, hang_ms, cut, cut_body, as_user;
	int	fail_times;		/* answer 500 so often first */
	int	life_s;
	int	requests;
	char	target[512], secret[128], header[128], metadata[16];
	char	appid[64];
} endpoint = { .lock = PTHREAD_MUTEX_INITIALIZER };

static void
endpoint_reset(void)
{
	pthread_mutex_lock(&endpoint.lock);
	endpoint.status = 200;
	endpoint.empty = endpoint.garbage = endpoint.hang_ms = endpoint.as_user = 0;
	endpoint.cut = endpoint.cut_body = 0;
	endpoint.fail_times = endpoint.requests = 0;
	endpoint.life_s = 3600;
	str_format(endpoint.appid, sizeof(endpoint.appid), "%s", CLIENT_A);
	pthread_mutex_unlock(&endpoint.lock);
}

static int
endpoint_requests(void)
{
	int n;

	pthread_mutex_lock(&endpoint.lock);
	n = endpoint.requests;
	pthread_mutex_unlock(&endpoint.lock);
	return (n);
}

static void
note(char *to, size_t size, const char *text)
{
	str_format(to, size, "%s", text == NULL ? "" : text);
}

static void
token_body(struct buf *body)
{
	auto_buf struct buf jwt = BUF_EMPTY, claims = BUF_EMPTY;
	struct json_out out;

	buf_printf(&claims, "{\"appid\":\"%s\",\"oid\":\"o\",%s}", endpoint.appid,
	    endpoint.as_user ? "\"scp\":\"x\",\"idtyp\":\"user\"" : "\"idtyp\":\"app\"");
	base64url_encode(&jwt, "{}", 2);
	buf_addc(&jwt, '.');
	base64url_encode(&jwt, claims.data, claims.len);
	buf_printf(&jwt, ".%d", endpoint.requests);
	json_out_init(&out, body, 0);
	json_out_begin(&out, '{');
	json_out_kstring(&out, "access_token", buf_str(&jwt));
	json_out_kint(&out, "expires_on", clock_wall_s() + endpoint.life_s);
	json_out_end(&out, '}');
}

static int
answer(struct httpd_conn *conn)
{
	auto_buf struct buf body = BUF_EMPTY;
	static const char broken[] = "HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{\"acc";
	int status, hang_ms, cut, cut_body;

	pthread_mutex_lock(&endpoint.lock);
	endpoint.requests++;
	note(endpoint.target, sizeof(endpoint.target), conn->req.target);
	note(endpoint.secret, sizeof(endpoint.secret), httpd_header(&conn->req, "secret"));
	note(endpoint.header, sizeof(endpoint.header),
	    httpd_header(&conn->req, "x-identity-header"));
	note(endpoint.metadata, sizeof(endpoint.metadata), httpd_header(&conn->req, "metadata"));
	status = endpoint.fail_times > 0 ? 500 : endpoint.status;
	endpoint.fail_times -= endpoint.fail_times > 0;
	hang_ms = endpoint.hang_ms;
	cut = endpoint.cut;
	cut_body = endpoint.cut_body;
	if (endpoint.garbage)
		buf_adds(&body, "<html>no</html>");
	else if (status == 200 && !endpoint.empty)
		token_body(&body);
	else if (status != 200)
		buf_adds(&body, "{\"error\":\"invalid_request\","
		    "\"error_description\":\"Identity not found\"}");
	pthread_mutex_unlock(&endpoint.lock);
	clock_sleep_ms(hang_ms);
	if (cut_body)
		conn->send(conn->arg, broken, sizeof(broken) - 1);
	if (cut || cut_body)
		return (-1);
	return (httpd_reply(conn, status, "", buf_str(&body), body.len));
}

static char url_text[5][128];

static struct facts
facts_for(char which)
{
	struct facts f = { .cwd = "/" };
	const char *base = url_text[0];

	str_format(url_text[0], sizeof(url_text[0]), "http://127.0.0.1:%d/ep", tinyserver.port);
	if (which == 'm') {
		f.msi_endpoint = base;
		secret_set(&f.msi_secret, "s3cret", 6, NULL);
	} else if (which == 'a') {
		f.identity_endpoint = base;
		secret_set(&f.identity_header, "hdr", 3, NULL);
	} else if (which == 'o') {
		f.obo_endpoint = base;
	} else {
		f.pod_identity_authority_host = base;
	}
	return (f);
}

static const struct plan_identity managed_a = { .kind = PLAN_ID_MANAGED, .client_id = CLIENT_A,
    .label = "managed identity A" };
static const struct plan_identity by_object = { .kind = PLAN_ID_MANAGED, .object_id = "o",
    .label = "managed identity o" };
static const struct plan_identity user = { .kind = PLAN_ID_USER, .label = "the submitter" };

static struct http *http;

static int
ask(struct facts *f, const struct plan_identity *id, int wait_ms, struct token *t, struct err *err)
{
	*err = ERR_EMPTY;
	return (source_acquire(f, http, id, STORAGE, clock_ms() + wait_ms, t, err));
}

static void
test_requests(void)
{
	struct facts aml = facts_for('m'), app = facts_for('a'), obo = facts_for('o'),
	    imds = facts_for('i');
	struct token t = { .generation = 0 };
	struct err err;

	endpoint_reset();
	check_int(ask(&aml, &managed_a, 5000, &t, &err), 0);
	check_str(endpoint.target, "/ep?api-version=2017-09-01"
	    "&resource=https%3A%2F%2Fstorage.azure.com%2F&clientid=" CLIENT_A);
	check_str(endpoint.secret, "s3cret");
	token_done(&t);
	check_int(ask(&app, &by_object, 5000, &t, &err), 0);
	check_str(endpoint.target, "/ep?api-version=2019-08-01"
	    "&resource=https%3A%2F%2Fstorage.azure.com%2F&object_id=o");
	check_str(endpoint.header, "hdr");
	token_done(&t);
	check_int(ask(&imds, &managed_a, 5000, &t, &err), 0);
	check_str(endpoint.target, "/ep/metadata/identity/oauth2/token?api-version=2018-02-01"
	    "&resource=https%3A%2F%2Fstorage.azure.com%2F&client_id=" CLIENT_A);
	check_str(endpoint.metadata, "true");
	token_done(&t);
	endpoint.as_user = 1;
	check_int(ask(&obo, &user, 5000, &t, &err), 0);
	check_str(endpoint.target, "/ep?resource=https%3A%2F%2Fstorage.azure.com%2F");
	check_str(endpoint.secret, "");
	token_done(&t);
	check_int(ask(&aml, &by_object, 5000, &t, &err), -1);
	check_int(err.kind, ERR_USAGE);
	secret_done(&aml.msi_secret);
	secret_done(&app.identity_header);
}

static void
test_whose_token(void)
{
	struct facts aml = facts_for('m'), obo = facts_for('o');
	struct token t = { .generation = 0 };
	struct err err;

	endpoint_reset();
	endpoint.as_user = 1;	/* a compute instance without identity answers as a person */
	check_int(ask(&aml, &managed_a, 5000, &t, &err), -1);
	check_int(err.kind, ERR_NO_IDENTITY);
	check(strstr(err.cause, "person") != NULL);
	endpoint_reset();
	str_format(endpoint.appid, sizeof(endpoint.appid), "%s", CLIENT_B);
	check_int(ask(&aml, &managed_a, 5000, &t, &err), -1);
	check(strstr(err.cause, CLIENT_B) != NULL);
	check_int(ask(&obo, &user, 5000, &t, &err), -1);	/* pipeline steps: the wrong port */
	check_int(err.remedy, REMEDY_SUBMIT_WITH_USER_IDENTITY);
	secret_done(&aml.msi_secret);
}

static void
test_answers(void)
{
	static const struct {
		int status, empty, garbage, cut, cut_body, want_kind, most_ms;
	} rows[] = {
		{ 400, 0, 0, 0, 0, ERR_NO_IDENTITY, 2000 },
		{ 401, 0, 0, 0, 0, ERR_NO_IDENTITY, 2000 },
		{ 403, 0, 0, 0, 0, ERR_NO_IDENTITY, 2000 },
		{ 200, 1, 0, 0, 0, ERR_PROTOCOL, 2000 },
		{ 200, 0, 1, 0, 0, ERR_PROTOCOL, 2000 },
		{ 500, 0, 0, 0, 0, ERR_UNREACHABLE, 4000 },
		{ 429, 0, 0, 0, 0, ERR_UNREACHABLE, 4000 },
		{ 200, 0, 0, 1, 0, ERR_UNREACHABLE, 4000 },
		{ 200, 0, 0, 0, 1, ERR_UNREACHABLE, 4000 },	/* and no refusal to remember */
	};
	struct facts aml = facts_for('m');
	struct token t = { .generation = 0 };
	struct err err;
	int64_t began;
	size_t i;

	for (i = 0; i < LENGTH(rows); i++) {
		endpoint_reset();
		endpoint.status = rows[i].status;
		endpoint.empty = rows[i].empty;
		endpoint.garbage = rows[i].garbage;
		endpoint.cut = rows[i].cut;
		endpoint.cut_body = rows[i].cut_body;
		began = clock_ms();
		check_int(ask(&aml, &managed_a, 1500, &t, &err), -1);
		check_int(err.kind, rows[i].want_kind);
		check_str(err.identity, "managed identity A");
		check(clock_ms() - began < rows[i].most_ms);
	}
	endpoint_reset();
	endpoint.fail_times = 2;
	check_int(ask(&aml, &managed_a, 8000, &t, &err), 0);
	check_int(endpoint_requests(), 3);
	token_done(&t);
	endpoint_reset();
	endpoint.hang_ms = 3000;
	began = clock_ms();
	check_int(ask(&aml, &managed_a, 500, &t, &err), -1);
	check(clock_ms() - began < 2900);
	secret_done(&aml.msi_secret);
}

struct asker {
	struct cache *cache;
	pthread_t thread;
	int wait_ms;
	int failed;
};

static void *
ask_cache(void *arg)
{
	struct asker *a = arg;
	struct token t = { .generation = 0 };

	a->failed = cache_get(a->cache, &managed_a, STORAGE, 0, clock_ms() + a->wait_ms, &t, NULL);
	token_done(&t);
	return (NULL);
}

static void
test_cache(void)
{
	struct facts aml = facts_for('m');
	struct cache *cache = cache_new(&aml, http, NULL);
	struct token t = { .generation = 0 };
	struct asker askers[32];
	struct err err = ERR_EMPTY;
	uint64_t first;
	size_t i;
	int failed = 0;

	endpoint_reset();
	endpoint.hang_ms = 200;
	for (i = 0; i < LENGTH(askers); i++) {
		askers[i].cache = cache;
		askers[i].wait_ms = 5000;
		pthread_create(&askers[i].thread, NULL, ask_cache, &askers[i]);
	}
	for (i = 0; i < LENGTH(askers); i++) {
		pthread_join(askers[i].thread, NULL);
		failed += askers[i].failed != 0;
	}
	check_int(failed, 0);
	check_int(endpoint_requests(), 1);		/* single flight */
	endpoint.hang_ms = 0;
	check_int(cache_get(cache, &managed_a, STORAGE, 0, clock_ms() + 5000, &t, &err), 0);
	first = t.generation;
	check_int(endpoint_requests(), 1);
	check_int(cache_get(cache, &managed_a, STORAGE, first, clock_ms() + 5000, &t, &err), 0);
	check(t.generation > first);
	check_int(endpoint_requests(), 2);		/* refused: exactly one more */
	check_int(cache_get(cache, &managed_a, "https://vault.azure.net", 0, clock_ms() + 5000, &t,
	    &err), 0);
	check_int(endpoint_requests(), 3);		/* another audience */
	token_done(&t);
	cache_free(cache);
	secret_done(&aml.msi_secret);
}

/* The request that all share ends with the time of whoever began it, not with theirs. */
static void
test_cache_patience(void)
{
	struct facts aml = facts_for('m');
	struct cache *cache = cache_new(&aml, http, NULL);
	struct asker hasty = { .cache = cache, .wait_ms = 500 }, patient[4];
	int64_t until = clock_ms() + 5000;
	size_t i;

	endpoint_reset();
	endpoint.hang_ms = 1000;
	pthread_create(&hasty.thread, NULL, ask_cache, &hasty);
	while (endpoint_requests() == 0 && clock_ms() < until)
		clock_sleep_ms(5);
	for (i = 0; i < LENGTH(patient); i++) {
		patient[i] = (struct asker){ .cache = cache, .wait_ms = 5000 };
		pthread_create(&patient[i].thread, NULL, ask_cache, &patient[i]);
	}
	pthread_join(hasty.thread, NULL);
	check_int(hasty.failed, -1);
	for (i = 0; i < LENGTH(patient); i++) {
		pthread_join(patient[i].thread, NULL);
		check_int(patient[i].failed, 0);
	}
	check_int(endpoint_requests(), 2);
	cache_free(cache);
	secret_done(&aml.msi_secret);
}

/* What the job asks for once is not kept for ever, nor renewed for nobody. */
static void
test_cache_bounds(void)
{
	struct facts aml = facts_for('m');
	struct cache *cache = cache_new(&aml, http, NULL);
	struct token t = { .generation = 0 };
	struct cache_counts counts;
	struct err err = ERR_EMPTY;
	char resource[64];
	int i, failures = 0;

	endpoint_reset();
	for (i = 0; i < CACHE_ENTRIES_MAX + 50; i++) {
		str_format(resource, sizeof(resource), "https://%d.example", i);
		failures += cache_get(cache, &managed_a, resource, 0, clock_ms() + 5000, &t, &err);
	}
	check_int(failures, 0);
	cache_counts(cache, &counts);
	check_int(counts.entries, CACHE_ENTRIES_MAX);
	/* One that had to go was refused before: the next one is newer, at the first try. */
	endpoint_reset();
	check_int(cache_get(cache, &managed_a, "https://0.example", 3, clock_ms() + 5000, &t,
	    &err), 0);
	check(t.generation > 3);
	check_int(endpoint_requests(), 1);
	cache_free(cache);
	cache = cache_new(&aml, http, NULL);
	endpoint_reset();
	endpoint.life_s = 2;
	check_int(cache_get(cache, &managed_a, STORAGE, 0, clock_ms() + 5000, &t, &err), 0);
	clock_sleep_ms(4500);
	check_int(endpoint_requests(), 2);	/* renewed once: it had been used before */
	token_done(&t);
	cache_free(cache);
	secret_done(&aml.msi_secret);
}

/* A short-lived token is renewed ahead of its end, unasked, and an outage is not noticed. */
static void
test_renewal(void)
{
	struct facts aml = facts_for('m');
	struct cache *cache = cache_new(&aml, http, NULL);
	struct token t = { .generation = 0 };
	struct err err = ERR_EMPTY;
	int64_t until;
	int failures = 0;

	endpoint_reset();
	endpoint.life_s = 6;		/* of which up to a second is gone when it comes */
	check_int(cache_get(cache, &managed_a, STORAGE, 0, clock_ms() + 5000, &t, &err), 0);
	pthread_mutex_lock(&endpoint.lock);
	endpoint.status = 401;			/* the service is away: renewals fail */
	pthread_mutex_unlock(&endpoint.lock);
	until = clock_ms() + 4200;
	while (clock_ms() < until) {
		failures += cache_get(cache, &managed_a, STORAGE, 0, clock_ms() + 100, &t,
		    &err) != 0;
		clock_sleep_ms(20);
	}
	check_int(failures, 0);
	check(endpoint_requests() > 1);		/* it was tried */
	check(endpoint_requests() < 8);		/* not all the time */
	pthread_mutex_lock(&endpoint.lock);
	endpoint.status = 200;
	endpoint.life_s = 3600;
	pthread_mutex_unlock(&endpoint.lock);
	until = clock_ms() + 10000;
	do {
		clock_sleep_ms(50);
		check_int(cache_get(cache, &managed_a, STORAGE, 0, clock_ms() + 5000, &t, &err),
		    0);
	} while (t.expires_unix_s < clock_wall_s() + 1000 && clock_ms() < until);
	check(t.expires_unix_s > clock_wall_s() + 1000);
	token_done(&t);
	cache_free(cache);
	secret_done(&aml.msi_secret);
}

/* Nobody to ask, and an answer for another object than was asked for. */
static void
test_no_source(void)
{
	static const struct plan_identity sas = { .kind = PLAN_ID_SAS, .label = "the SAS" };
	struct facts none = { .cwd = "/" }, aml = facts_for('a');
	struct token t = { .generation = 0 };
	struct err err;

	check_int(ask(&none, &user, 1000, &t, &err), -1);
	check_int(err.kind, ERR_NO_IDENTITY);
	check_int(err.remedy, REMEDY_SUBMIT_WITH_USER_IDENTITY);
	check_str(err.identity, "the submitter");
	check_str(err.cause, "OBO_ENDPOINT is not set");
	check_int(ask(&none, &sas, 1000, &t, &err), -1);
	check_int(err.remedy, REMEDY_ASSIGN_IDENTITY);
	check(strstr(err.cause, "there is no source for a ") != NULL);
	endpoint_reset();
	check_int(ask(&aml, &(struct plan_identity){ .kind = PLAN_ID_MANAGED, .object_id = OBJECT_A,
	    .label = "A" }, 5000, &t, &err), -1);
	check_int(err.remedy, REMEDY_NAME_ASSIGNED_IDENTITY);
	check_str(err.cause, "asked for object id " OBJECT_A ", got o");
	secret_done(&aml.identity_header);
}

int
main(void)
{
	struct http_options options = { .max_connections = 8 };
	struct err err = ERR_EMPTY;

	log_setup(-1, LOG_TEXT);
	tinyserver_start(answer);
	http = http_new(&options, &err);
	if (!check(http != NULL))
		return (check_done());
	test_requests();
	test_whose_token();
	test_answers();
	test_no_source();
	test_cache();
	test_cache_patience();
	test_cache_bounds();
	test_renewal();
	http_free(http);
	tinyserver_stop();
	return (check_done());
}
