/*
 * Answers of token endpoints, of a Key Vault, and the tokens themselves.  A token that is taken can
 * be sent in a header and lasts into the future; its claims are those of the text; and whatever is
 * refused, the complaint holds no token.
 */

#include "azure/keyvault.h"
#include "base/json.h"
#include "base/uri.h"
#include "fuzz.h"
#include "identity/token.h"

#define NOW	INT64_C(1795471920)

static void
endpoint(const char *body, size_t len)
{
	struct token t = { .generation = 0 }, copy = { .generation = 0 };
	struct err err = ERR_EMPTY;

	if (token_parse_answer(body, len, NOW, &t, &err) != 0) {
		must_complain(&err, ERR_PROTOCOL);
		must(strstr(err.cause, "eyJ") == NULL && t.text.text == NULL);
		return;
	}
	must(str_is_visible(t.text.text, t.text.len) && strlen(t.text.text) == t.text.len);
	must(t.expires_unix_s > NOW);
	must(t.refresh_unix_s >= NOW && t.refresh_unix_s <= t.expires_unix_s);
	must(token_copy(&copy, &t, NULL) == 0);
	must(secret_equal(&copy.text, t.text.text, t.text.len));
	token_done(&copy);
	token_done(&t);
	must(t.text.text == NULL);
}

static void
vault(const char *body, size_t len)
{
	struct keyvault_secret s = { .expires_unix_s = -1 };
	struct err err = ERR_EMPTY;

	if (keyvault_read_answer(body, len, &s, &err) == 0) {
		must(s.value.len > 0 && s.expires_unix_s >= 0);
		secret_done(&s.value);
	} else
		must_complain(&err, err.kind);
}

static void
must_end(const struct token_claims *c)
{
	must(memchr(c->tid, '\0', sizeof(c->tid)) != NULL);
	must(memchr(c->oid, '\0', sizeof(c->oid)) != NULL);
	must(memchr(c->upn, '\0', sizeof(c->upn)) != NULL);
	must(memchr(c->xms_mirid, '\0', sizeof(c->xms_mirid)) != NULL);
}

/* The body as a token's claims: they are what it says. */
static void
claims(const char *body, size_t len)
{
	auto_buf struct buf jwt = BUF_EMPTY;
	struct json *j = json_parse(body, len);
	const char *oid = json_string(json_get(j, "oid"));
	struct token_claims c;

	if (token_read_claims(body, len, &c) == 0)
		must_end(&c);
	buf_adds(&jwt, "eyJhbGciOiJub25lIn0.");
	base64url_encode(&jwt, body, len);
	buf_adds(&jwt, ".c2ln");
	if (len < 8192)
		must((token_read_claims(jwt.data, jwt.len, &c) == 0) ==
		    (json_type(j) == JSON_OBJECT));
	if (len < 8192 && json_type(j) == JSON_OBJECT) {
		must_end(&c);
		must(oid == NULL || strncmp(c.oid, oid, strlen(c.oid)) == 0);
	}
	json_free(j);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	auto_free char *body = input_exact(data, size);

	endpoint(body, size);
	vault(body, size);
	claims(body, size);
	return (0);
}
