#include "apps.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/uri.h"
#include "words.h"

#define PEM_MAX		65536
#define JWT_MAX		16384
#define MODULUS_MAX	512		/* bytes: RSA 4096 */
#define SKEW_S		300

enum {	/* AADSTS; entra-docs reference-error-codes.md */
	MALFORMED = 50027, NOT_REGISTERED = 700027, OUT_OF_TIME = 700024, WRONG_AUDIENCE = 700023,
	WRONG_CLIENT = 700021,
};

static void
append(void *arg, const void *data, size_t len)
{
	buf_add(arg, data, len);
}

/* The first certificate of a PEM file. */
static int
read_der(const char *file, struct buf *der)
{
	auto_buf struct buf text = BUF_EMPTY;
	br_pem_decoder_context pem;
	int wanted = 0, event;
	size_t at = 0;

	if (fd_read_file(file, PEM_MAX, &text, NULL) != 0)
		return (-1);
	buf_addc(&text, '\n');
	br_pem_decoder_init(&pem);
	while (at < text.len) {
		at += br_pem_decoder_push(&pem, text.data + at, text.len - at);
		event = br_pem_decoder_event(&pem);
		if (event == BR_PEM_BEGIN_OBJ) {
			wanted = strcmp(br_pem_decoder_name(&pem), "CERTIFICATE") == 0;
			buf_reset(der);
			br_pem_decoder_setdest(&pem, append, der);
		} else if (event == BR_PEM_END_OBJ && wanted) {
			return (0);
		} else if (event == BR_PEM_ERROR) {
			return (-1);
		}
	}
	return (-1);
}

static unsigned char *
copy_bytes(const unsigned char *bytes, size_t len)
{
	return (memcpy(mem_alloc(len), bytes, len));
}

static int
set_cert(struct app *app, const char *file)
{
	auto_buf struct buf der = BUF_EMPTY;
	br_x509_decoder_context x;
	const br_x509_pkey *key;
	br_sha256_context sha256;
	br_sha1_context sha1;

	if (read_der(file, &der) != 0)
		return (-1);
	br_x509_decoder_init(&x, NULL, NULL);
	br_x509_decoder_push(&x, der.data, der.len);
	key = br_x509_decoder_get_pkey(&x);
	if (key == NULL || key->key_type != BR_KEYTYPE_RSA || key->key.rsa.nlen > MODULUS_MAX)
		return (-1);
	app->key.n = copy_bytes(key->key.rsa.n, key->key.rsa.nlen);
	app->key.nlen = key->key.rsa.nlen;
	app->key.e = copy_bytes(key->key.rsa.e, key->key.rsa.elen);
	app->key.elen = key->key.rsa.elen;
	br_sha1_init(&sha1);
	br_sha1_update(&sha1, der.data, der.len);
	br_sha1_out(&sha1, app->sha1);
	br_sha256_init(&sha256);
	br_sha256_update(&sha256, der.data, der.len);
	br_sha256_out(&sha256, app->sha256);
	app->has_cert = 1;
	return (0);
}

static char *
word_or(const struct pairs *words, const char *name, const char *otherwise)
{
	const char *value = pairs_get(words, name);

	return (mem_strdup(value != NULL ? value : otherwise));
}

static void
set_proofs(struct app *app, const struct pairs *words)
{
	const char *expired = pairs_get(words, "expired");

	if (pairs_get(words, "secret") != NULL)	/* the old one stays: it may be in use */
		app->secret = word_or(words, "secret", "");
	if (pairs_get(words, "federated") != NULL)
		app->federated = word_or(words, "federated", "");
	if (expired != NULL)
		app->secret_expired = strcmp(expired, "1") == 0;
}

int
apps_add(struct apps *apps, const char *text, const char *tenant)
{
	static const char *const known[] = { "client_id", "oid", "tenant", "secret", "federated",
	    "cert", "expired", NULL };
	struct pairs words = { NULL, 0 };
	struct app *app = mem_zalloc(sizeof(*app));
	int failed = words_parse(&words, text, known);

	if (failed == 0 && (pairs_get(&words, "client_id") == NULL ||
	    pairs_get(&words, "oid") == NULL))
		failed = -1;
	if (failed == 0 && pairs_get(&words, "cert") != NULL)
		failed = set_cert(app, pairs_get(&words, "cert"));
	if (failed == 0) {
		app->secret = app->federated = mem_strdup("");
		set_proofs(app, &words);
		app->person = (struct person){ .kind = PERSON_ASSIGNED,
		    .client_id = word_or(&words, "client_id", ""),
		    .object_id = word_or(&words, "oid", ""), .resource_id = mem_strdup(""),
		    .upn = mem_strdup(""), .tenant = word_or(&words, "tenant", tenant) };
		app->next = apps->list;
		apps->list = app;
	} else {
		free(app);
	}
	pairs_done(&words);
	return (failed);
}

struct app *
apps_find(struct apps *apps, const char *client_id)
{
	struct app *app = apps->list;

	while (app != NULL && !str_same(app->person.client_id, client_id))
		app = app->next;
	return (app);
}

int
apps_change(struct apps *apps, const struct pairs *words)
{
	const char *id = pairs_get(words, "client_id");
	struct app *app = id == NULL ? NULL : apps_find(apps, id);

	if (app == NULL)
		return (-1);
	pthread_mutex_lock(&apps->lock);
	set_proofs(app, words);
	pthread_mutex_unlock(&apps->lock);
	return (0);
}

enum proof
apps_check_secret(struct apps *apps, const struct app *app, const char *secret)
{
	int expired, right;

	pthread_mutex_lock(&apps->lock);
	right = app->secret[0] != '\0' && strcmp(app->secret, secret) == 0;
	expired = app->secret_expired;
	pthread_mutex_unlock(&apps->lock);
	return (!right ? PROOF_WRONG : expired ? PROOF_EXPIRED : PROOF_OK);
}

int
apps_is_federated(struct apps *apps, const struct app *app, const char *token)
{
	size_t len = strlen(token), n;
	const char *each;
	int right = 0;

	pthread_mutex_lock(&apps->lock);
	for (each = app->federated; *each != '\0' && !right; each += n + (each[n] == ';')) {
		n = strcspn(each, ";");
		right = n != 0 && n == len && memcmp(each, token, n) == 0;
	}
	pthread_mutex_unlock(&apps->lock);
	return (right);
}

/* ---- client assertions ---- */

struct assertion {
	unsigned char signature[MODULUS_MAX];
	size_t	 signature_len;
	unsigned char hash[br_sha256_SIZE];	/* of what is signed */
	struct json *header, *claims;
};

static struct json *
decode(const char *text, size_t len)
{
	unsigned char bytes[JWT_MAX];
	ssize_t n = base64url_decode(bytes, sizeof(bytes), text, len);

	return (n <= 0 ? NULL : json_parse((const char *)bytes, (size_t)n));
}

static int
split(struct assertion *a, const char *jwt)
{
	const char *first = strchr(jwt, '.');
	const char *second = first == NULL ? NULL : strchr(first + 1, '.');
	br_sha256_context sha;
	ssize_t n;

	if (second == NULL || strlen(jwt) > JWT_MAX)
		return (-1);
	n = base64url_decode(a->signature, sizeof(a->signature), second + 1, strlen(second + 1));
	if (n <= 0)
		return (-1);
	a->signature_len = (size_t)n;
	br_sha256_init(&sha);
	br_sha256_update(&sha, jwt, (size_t)(second - jwt));
	br_sha256_out(&sha, a->hash);
	a->header = decode(jwt, (size_t)(first - jwt));
	a->claims = decode(first + 1, (size_t)(second - first - 1));
	return (json_type(a->header) == JSON_OBJECT && json_type(a->claims) == JSON_OBJECT ?
	    0 : -1);
}

/* base64url of the certificate's hash, with padding or not (MSAL for Python pads). */
static int
is_hash(const char *text, const unsigned char *hash, size_t len)
{
	unsigned char bytes[64];
	size_t n = strlen(text);

	while (n > 0 && text[n - 1] == '=')
		n--;
	return (base64url_decode(bytes, sizeof(bytes), text, n) == (ssize_t)len &&
	    memcmp(bytes, hash, len) == 0);
}

static int
names_cert(const struct app *app, const struct json *header)
{
	const char *x5t = json_string(json_get(header, "x5t"));
	const char *x5t256 = json_string(json_get(header, "x5t#S256"));

	return ((x5t != NULL || x5t256 != NULL) &&
	    (x5t == NULL || is_hash(x5t, app->sha1, sizeof(app->sha1))) &&
	    (x5t256 == NULL || is_hash(x5t256, app->sha256, sizeof(app->sha256))));
}

static int
is_rs256(const struct app *app, const struct assertion *a)
{
	unsigned char hash[br_sha256_SIZE];

	return (br_rsa_pkcs1_vrfy_get_default()(a->signature, a->signature_len,
	    BR_HASH_OID_SHA256, sizeof(hash), &app->key, hash) == 1 &&
	    memcmp(hash, a->hash, sizeof(hash)) == 0);
}

/* MGF1 with SHA-256 over to (RFC 8017, B.2.1). */
static void
unmask(unsigned char *to, size_t len, const unsigned char *seed)
{
	unsigned char block[br_sha256_SIZE], counter[4] = { 0 };
	br_sha256_context sha;
	size_t i;

	for (i = 0; i < len; i++) {
		if (i % sizeof(block) == 0) {
			counter[3] = (unsigned char)(i / sizeof(block));
			br_sha256_init(&sha);
			br_sha256_update(&sha, seed, br_sha256_SIZE);
			br_sha256_update(&sha, counter, sizeof(counter));
			br_sha256_out(&sha, block);
		}
		to[i] ^= block[i % sizeof(block)];
	}
}

/* EMSA-PSS with SHA-256 and a salt of 32 bytes (RFC 8017, 9.1.2); moduli of whole bytes. */
static int
is_ps256(const struct app *app, const struct assertion *a)
{
	enum { H = br_sha256_SIZE, SALT = 32 };
	unsigned char em[MODULUS_MAX], hash[H];
	static const unsigned char zeros[8];
	size_t len = app->key.nlen, db = len - H - 1, pad, i;
	br_sha256_context sha;

	if (a->signature_len != len || len < H + SALT + 2)
		return (0);
	memcpy(em, a->signature, len);
	if (br_rsa_public_get_default()(em, len, &app->key) != 1 || em[len - 1] != 0xbc ||
	    (em[0] & 0x80) != 0)
		return (0);
	unmask(em, db, em + db);
	em[0] &= 0x7f;
	pad = db - SALT - 1;
	for (i = 0; i < pad; i++)
		if (em[i] != 0)
			return (0);
	if (em[pad] != 1)
		return (0);
	br_sha256_init(&sha);
	br_sha256_update(&sha, zeros, sizeof(zeros));
	br_sha256_update(&sha, a->hash, sizeof(a->hash));
	br_sha256_update(&sha, em + pad + 1, SALT);
	br_sha256_out(&sha, hash);
	return (memcmp(hash, em + db, H) == 0);
}

static int
is_signed(const struct app *app, const struct assertion *a)
{
	const char *alg = json_string(json_get(a->header, "alg"));

	if (alg == NULL)
		return (0);
	return ((strcmp(alg, "RS256") == 0 && is_rs256(app, a)) ||
	    (strcmp(alg, "PS256") == 0 && is_ps256(app, a)));
}

static int
is_claim(const struct assertion *a, const char *name, const char *value)
{
	const char *text = json_string(json_get(a->claims, name));

	return (text != NULL && strcmp(text, value) == 0);
}

static int
is_timely(const struct assertion *a)
{
	int64_t now = clock_wall_s(), exp, nbf = now;
	const struct json *from = json_get(a->claims, "nbf");

	if (json_type(json_get(a->claims, "exp")) != JSON_NUMBER ||
	    json_int(json_get(a->claims, "exp"), &exp) != 0 ||
	    (from != NULL && json_int(from, &nbf) != 0))
		return (0);
	return (exp > now && nbf <= now + SKEW_S);
}

static int
check(const struct app *app, const struct assertion *a, const char *audience)
{
	const char *typ = json_string(json_get(a->header, "typ"));
	const char *jti = json_string(json_get(a->claims, "jti"));

	if ((typ != NULL && !str_same(typ, "JWT")) || jti == NULL || jti[0] == '\0')
		return (MALFORMED);
	if (!app->has_cert || !names_cert(app, a->header) || !is_signed(app, a))
		return (NOT_REGISTERED);
	if (!is_claim(a, "iss", app->person.client_id) ||
	    !is_claim(a, "sub", app->person.client_id))
		return (WRONG_CLIENT);
	if (!is_claim(a, "aud", audience))
		return (WRONG_AUDIENCE);
	return (is_timely(a) ? 0 : OUT_OF_TIME);
}

int
apps_check_assertion(const struct app *app, const char *jwt, const char *audience)
{
	struct assertion a = { .signature_len = 0 };
	int code = split(&a, jwt) != 0 ? MALFORMED : check(app, &a, audience);

	json_free(a.header);
	json_free(a.claims);
	return (code);
}
