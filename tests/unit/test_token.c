/* The answers that token endpoints are known to give, and the claims of their tokens. */

#include <string.h>

#include "base/mem.h"
#include "base/uri.h"
#include "check.h"
#include "identity/token.h"

#define NOW INT64_C(1700000000)

static int
parse(const char *body, struct token *t, struct err *err)
{
	*err = ERR_EMPTY;
	return (token_parse_answer(body, strlen(body), NOW, t, err));
}

static void
test_expiries(void)
{
	static const struct { const char *body; int64_t expires, refresh; } good[] = {
		/* Azure ML: a number; a day: renewed at half of it */
		{ "{\"access_token\":\"t\",\"expires_on\":1700086400}", NOW + 86400, NOW + 43200 },
		/* IMDS: strings */
		{ "{\"access_token\":\"t\",\"expires_in\":\"3599\",\"expires_on\":\"1700003599\"}",
		    NOW + 3599, NOW + 3299 },
		/* App Service 2017: a date */
		{ "{\"access_token\":\"t\",\"expires_on\":\"11/14/2023 23:13:20 +00:00\"}",
		    NOW + 3600, NOW + 3300 },
		{ "{\"access_token\":\"t\",\"expires_on\":\"11/14/2023 11:13:20 PM +00:00\"}",
		    NOW + 3600, NOW + 3300 },
		/* Entra */
		{ "{\"access_token\":\"t\",\"expires_in\":3600,\"refresh_in\":1800}", NOW + 3600,
		    NOW + 1800 },
		/* On-behalf-of proxy */
		{ "{\"token\":\"t\",\"expiresOn\":\"2023-11-14T23:13:20Z\"}", NOW + 3600,
		    NOW + 3300 },
		/* a life of a minute: while 50 s are left */
		{ "{\"access_token\":\"t\",\"expires_in\":60}", NOW + 60, NOW + 10 },
		/* expires_on wins; one that is out of range does not */
		{ "{\"access_token\":\"t\",\"expires_on\":253402300800,\"expires_in\":60}",
		    NOW + 60, NOW + 10 },
	};
	struct token t = { .generation = 0 };
	struct err err;
	size_t i;

	for (i = 0; i < LENGTH(good); i++) {
		check_int(parse(good[i].body, &t, &err), 0);
		check_int(t.expires_unix_s, good[i].expires);
		check_int(t.refresh_unix_s, good[i].refresh);
		check_str(t.text.text, "t");
		token_done(&t);
	}
}

static void
test_bad_answers(void)
{
	static const struct { const char *body, *cause; } bad[] = {
		{ "", "empty" },
		{ "InternalError - :{ status code: 404 }", "InternalError" },
		{ "[]", "not a JSON object" },
		{ "{\"access_token\":\"t\"}", "expires_on" },
		{ "{\"access_token\":\"\",\"expires_in\":5}", "access_token" },
		{ "{\"access_token\":7,\"expires_in\":5}", "access_token" },
		{ "{\"access_token\":\"t\",\"expires_in\":-5}", "expires_on" },
		{ "{\"access_token\":\"t\",\"expires_on\":1600000000}", "expired" },
		{ "{\"access_token\":\"t\",\"expires_in\":5} x", "not a JSON object" },
		{ "{\"access_token\":\"t\\r\\nX: y\",\"expires_in\":5}", "blanks or control" },
		{ "{\"access_token\":\"two words\",\"expires_in\":5}", "blanks or control" },
		{ "oops eyJhbGciOi.eyJz.c2ln", "not shown" },
	};
	struct token t = { .generation = 0 };
	struct err err;
	size_t i;

	for (i = 0; i < LENGTH(bad); i++) {
		check_int(parse(bad[i].body, &t, &err), -1);
		check(strstr(err.cause, bad[i].cause) != NULL);
		check(strstr(err.cause, "eyJ") == NULL);
		check(t.text.text == NULL);
	}
	/* No more of it is read than there is. */
	check_int(token_parse_answer("shortlonger", 5, NOW, &t, &err), -1);
	check(strstr(err.cause, "\"short\"") != NULL);
}

static void
make_jwt(const char *claims, struct buf *out)
{
	buf_reset(out);
	base64url_encode(out, "{\"alg\":\"none\"}", 14);
	buf_addc(out, '.');
	base64url_encode(out, claims, strlen(claims));
	buf_adds(out, ".c2ln");
}

static void
test_claims(void)
{
	static const struct { const char *claims, *oid, *appid; int user; } rows[] = {
		{ "{\"tid\":\"T\",\"oid\":\"O\",\"appid\":\"A\",\"idtyp\":\"app\"}", "O", "A", 0 },
		{ "{\"oid\":\"O\",\"appid\":\"A\",\"scp\":\"user_impersonation\"}", "O", "A", 1 },
		{ "{\"oid\":\"O\",\"azp\":\"A\",\"idtyp\":\"user\"}", "O", "A", 1 },
		{ "{\"oid\":\"O\"}", "O", "", 0 },
	};
	auto_buf struct buf jwt = BUF_EMPTY;
	struct token_claims got;
	size_t i;

	for (i = 0; i < LENGTH(rows); i++) {
		make_jwt(rows[i].claims, &jwt);
		check_int(token_read_claims(buf_str(&jwt), jwt.len, &got), 0);
		check_str(got.oid, rows[i].oid);
		check_str(got.appid, rows[i].appid);
		check_int(got.is_user, rows[i].user);
	}
	check_int(token_read_claims("opaque", 6, &got), -1);
	check_int(token_read_claims("a.b", 3, &got), -1);
	check_int(token_read_claims("a.!!.c", 6, &got), -1);
	make_jwt("[1]", &jwt);
	check_int(token_read_claims(buf_str(&jwt), jwt.len, &got), -1);
}

/*
 * When it is renewed; and that a source that goes away for 40 s at the worst
 * moment, just before, is back while the token still serves.
 */
static void
test_renewal(void)
{
	static const struct { int life, refresh_in, renew; } rows[] = {
		{ 86400, 0, 43200 }, { 86400, 3600, 3600 }, { 7200, 0, 3600 }, { 3600, 0, 3300 },
		{ 601, 0, 301 }, { 600, 0, 300 }, { 120, 0, 60 }, { 99, 0, 49 }, { 90, 0, 40 },
		{ 60, 0, 10 }, { 60, 55, 55 }, { 59, 0, 29 }, { 4, 0, 2 }, { 60, 60, 10 },
	};
	struct token t = { .generation = 0 };
	struct err err;
	char body[128];
	size_t i;

	for (i = 0; i < LENGTH(rows); i++) {
		str_format(body, sizeof(body), "{\"access_token\":\"t\",\"expires_in\":%d%s%d}",
		    rows[i].life, ",\"refresh_in\":", rows[i].refresh_in);
		check_int(parse(body, &t, &err), 0);
		check_int(t.refresh_unix_s, NOW + rows[i].renew);
		if (rows[i].life >= 60 && (rows[i].refresh_in == 0))
			check(t.expires_unix_s - t.refresh_unix_s >= 40 + 10);
		token_done(&t);
	}
}

int
main(void)
{
	test_expiries();
	test_renewal();
	test_bad_answers();
	test_claims();
	return (check_done());
}
