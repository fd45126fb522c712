#include "jwt.h"

#include <string.h>
#include <sys/random.h>

#include <bearssl.h>

#include "base/json.h"
#include "base/uri.h"

#define HEADER	"{\"typ\":\"JWT\",\"alg\":\"RS256\",\"x5t\":\"YXpzaW0gc2ltdWxhdG9yIGtleQ\"," \
		"\"kid\":\"YXpzaW0gc2ltdWxhdG9yIGtleQ\"}"
#define PAYLOAD_MAX	8192

int
jwt_key_init(struct jwt_key *key)
{
	return (getrandom(key->bytes, sizeof(key->bytes), 0) == sizeof(key->bytes) ? 0 : -1);
}

static void
sign(const struct jwt_key *key, const char *text, size_t len, unsigned char out[32])
{
	br_hmac_key_context k;
	br_hmac_context h;

	br_hmac_key_init(&k, &br_sha256_vtable, key->bytes, sizeof(key->bytes));
	br_hmac_init(&h, &k, 0);
	br_hmac_update(&h, text, len);
	br_hmac_out(&h, out);
}

static void
add_claim(struct json_out *out, const char *name, const char *value)
{
	if (value[0] != '\0')
		json_out_kstring(out, name, value);
}

static void
write_claims(const struct jwt_claims *c, struct buf *to)
{
	struct json_out out;

	json_out_init(&out, to, 0);
	json_out_begin(&out, '{');
	add_claim(&out, "aud", c->aud);
	add_claim(&out, "iss", c->iss);
	json_out_kint(&out, "iat", c->iat);
	json_out_kint(&out, "nbf", c->nbf);
	json_out_kint(&out, "exp", c->exp);
	add_claim(&out, "appid", c->appid);
	json_out_kstring(&out, "appidacr", "2");
	add_claim(&out, "idp", c->iss);
	add_claim(&out, "idtyp", c->idtyp);
	add_claim(&out, "oid", c->oid);
	add_claim(&out, "scp", c->scp);
	add_claim(&out, "sub", c->oid);
	add_claim(&out, "tid", c->tid);
	add_claim(&out, "upn", c->upn);
	json_out_kstring(&out, "ver", "1.0");
	add_claim(&out, "xms_mirid", c->mirid);
	json_out_end(&out, '}');
}

void
jwt_mint(const struct jwt_key *key, const struct jwt_claims *c, struct buf *ret)
{
	auto_buf struct buf payload = BUF_EMPTY;
	unsigned char mac[32];

	write_claims(c, &payload);
	buf_reset(ret);
	base64url_encode(ret, HEADER, strlen(HEADER));
	buf_addc(ret, '.');
	base64url_encode(ret, payload.data, payload.len);
	sign(key, ret->data, ret->len, mac);
	buf_addc(ret, '.');
	base64url_encode(ret, mac, sizeof(mac));
}

static void
get_claim(const struct json *claims, const char *name, char *out, size_t size)
{
	const char *value = json_string(json_get(claims, name));

	str_format(out, size, "%s", value != NULL ? value : "");
}

static int
read_claims(const char *text, size_t len, struct jwt_claims *ret)
{
	struct json *claims = json_parse(text, len);
	int failed = 0;

	memset(ret, 0, sizeof(*ret));
	get_claim(claims, "aud", ret->aud, sizeof(ret->aud));
	get_claim(claims, "iss", ret->iss, sizeof(ret->iss));
	get_claim(claims, "tid", ret->tid, sizeof(ret->tid));
	get_claim(claims, "oid", ret->oid, sizeof(ret->oid));
	get_claim(claims, "appid", ret->appid, sizeof(ret->appid));
	get_claim(claims, "idtyp", ret->idtyp, sizeof(ret->idtyp));
	get_claim(claims, "upn", ret->upn, sizeof(ret->upn));
	get_claim(claims, "scp", ret->scp, sizeof(ret->scp));
	get_claim(claims, "xms_mirid", ret->mirid, sizeof(ret->mirid));
	failed |= json_int(json_get(claims, "iat"), &ret->iat);
	failed |= json_int(json_get(claims, "nbf"), &ret->nbf);
	failed |= json_int(json_get(claims, "exp"), &ret->exp);
	json_free(claims);
	return (failed != 0 ? -1 : 0);
}

int
jwt_verify(const struct jwt_key *key, const char *text, size_t len, struct jwt_claims *ret)
{
	const char *first = memchr(text, '.', len), *second;
	unsigned char payload[PAYLOAD_MAX], mac[32], got[64];
	ssize_t n, nmac;

	if (first == NULL)
		return (-1);
	first++;
	second = memchr(first, '.', len - (size_t)(first - text));
	if (second == NULL)
		return (-1);
	n = base64url_decode(payload, sizeof(payload), first, (size_t)(second - first));
	nmac = base64url_decode(got, sizeof(got), second + 1,
	    len - (size_t)(second + 1 - text));
	if (n <= 0 || nmac < 0 || read_claims((char *)payload, (size_t)n, ret) != 0)
		return (-1);
	sign(key, text, (size_t)(second - text), mac);
	return (nmac == sizeof(mac) && memcmp(got, mac, sizeof(mac)) == 0 ? 0 : -2);
}
