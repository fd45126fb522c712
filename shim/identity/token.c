#include "identity/token.h"

#include <string.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/secret.h"

#define EXPIRES_ON_MAX	INT64_C(253402300799)	/* the end of the year 9999 */
#define EXPIRES_IN_MAX	INT64_C(2147483647)
#define HALF_LIFE_FROM_S 7200	/* MSAL's rule: renew at half of a life this long or longer */
#define RENEW_BEFORE_S	300	/* shorter lives: when so much is left, but never before half */
#define SHORT_LIFE_S	60	/* from here on, renewed when at least so much is left: */
#define RIDE_OUT_S	50	/* the source may be away for 40 s, at any moment, unnoticed */

void
token_done(struct token *t)
{
	secret_done(&t->text);
	*t = (struct token){ .expires_unix_s = 0 };
}

int
token_copy(struct token *t, const struct token *from, struct err *err)
{
	struct token copy = *from;

	copy.text = (struct secret){ NULL, 0 };
	if (secret_copy(&copy.text, &from->text, err) != 0)
		return (-1);
	token_done(t);
	*t = copy;
	return (0);
}

/* Unix seconds of expires_on / expires_in / expiresOn, in that order; -1: none is usable. */
static int
find_expiry(const struct json *answer, int64_t now, int64_t *ret)
{
	const struct json *on = json_get(answer, "expires_on");
	const struct json *date = json_get(answer, "expiresOn");
	int64_t number;

	if (json_int(on, &number) == 0 && number > 0 && number <= EXPIRES_ON_MAX) {
		*ret = number;
		return (0);
	}
	if (json_string(on) != NULL && clock_parse_date(json_string(on), ret) == 0)
		return (0);
	if (json_int(json_get(answer, "expires_in"), &number) == 0 && number > 0 &&
	    number <= EXPIRES_IN_MAX) {
		*ret = now + number;
		return (0);
	}
	if (json_string(date) != NULL && clock_parse_date(json_string(date), ret) == 0)
		return (0);
	return (-1);
}

/*
 * A token whose source is away when it is due serves on until it expires, so
 * what is left then is the outage that nobody notices.  A short life is renewed
 * while RIDE_OUT_S are left: 40 s of outage, the pause until the next try, and
 * the second that whole seconds may cost.  A life too short for that: half of it.
 */
static int64_t
renew_at(const struct json *answer, int64_t now, int64_t expires)
{
	int64_t life = expires - now, in;

	if (json_int(json_get(answer, "refresh_in"), &in) == 0 && in > 0 && in < life)
		return (now + in);
	if (life >= HALF_LIFE_FROM_S)
		return (now + life / 2);
	if (life > 2 * RENEW_BEFORE_S)
		return (expires - RENEW_BEFORE_S);
	if (life >= SHORT_LIFE_S && life / 2 < RIDE_OUT_S)
		return (expires - RIDE_OUT_S);
	return (now + life / 2);
}

/* What a text/plain answer says, for the message: its first line, nothing like a token. */
static void
first_line(const char *body, size_t len, char *out, size_t size)
{
	size_t n = 0;

	while (n < len && n < 120 && body[n] != '\0' && body[n] != '\r' && body[n] != '\n')
		n++;
	str_format(out, size, "%.*s", (int)n, body);
	if (secret_in_text(out))
		str_format(out, size, "(not shown: it may hold a token)");
}

int
token_parse_answer(const char *body, size_t len, int64_t now, struct token *ret, struct err *err)
{
	struct token t = { .generation = 0 };
	const char *text, *op = "read the token endpoint's answer";
	struct json *answer;
	char line[128];
	int failed;

	if (len == 0)
		return (err_set(err, ERR_PROTOCOL, REMEDY_CHECK_ENDPOINT, op,
		    "no token received: the body is empty"));
	answer = json_parse(body, len);
	if (json_type(answer) != JSON_OBJECT) {
		json_free(answer);
		first_line(body, len, line, sizeof(line));
		return (err_set(err, ERR_PROTOCOL, REMEDY_CHECK_ENDPOINT, op,
		    "not a JSON object: \"%s\"", line));
	}
	text = json_string(json_get(answer, "access_token"));
	if (text == NULL)
		text = json_string(json_get(answer, "token"));
	if (text == NULL || text[0] == '\0') {
		failed = err_set(err, ERR_PROTOCOL, REMEDY_CHECK_ENDPOINT, op,
		    "there is no access_token in it");
	} else if (!str_is_visible(text, strlen(text))) {
		failed = err_set(err, ERR_PROTOCOL, REMEDY_CHECK_ENDPOINT, op,
		    "its access_token is no token: it holds blanks or control characters");
	} else if (find_expiry(answer, now, &t.expires_unix_s) != 0) {
		failed = err_set(err, ERR_PROTOCOL, REMEDY_CHECK_ENDPOINT, op,
		    "there is no usable expires_on or expires_in in it");
	} else if (t.expires_unix_s <= now) {
		failed = err_set(err, ERR_PROTOCOL, REMEDY_CHECK_CLOCK, op,
		    "the token has expired already");
	} else {
		t.refresh_unix_s = renew_at(answer, now, t.expires_unix_s);
		failed = secret_set(&t.text, text, strlen(text), err);
	}
	json_free(answer);
	if (failed != 0)
		return (-1);
	*ret = t;
	return (0);
}
