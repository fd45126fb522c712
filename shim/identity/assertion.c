#include "identity/assertion.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <bearssl.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/uri.h"

#define CHAIN_MAX	16
#define KEY_MAX		512		/* bytes of a modulus: 4096 bits */
#define KEY_BITS_MIN	2048		/* what Entra ID takes */
#define HASH		br_sha256_SIZE
#define SALT		32
#define THUMBPRINT	br_sha1_SIZE

/* What stands in the PEM text. */
struct found {
	br_pem_decoder_context pem;
	br_skey_decoder_context key;
	struct buf key_der;
	int	 nkeys, ec_key, encrypted_key;
	struct buf certificates[CHAIN_MAX];	/* DER */
	size_t	 ncertificates;
	int	 inside;		/* an object has begun and not ended */
};

/* What is needed of it. */
struct signer {
	const br_rsa_private_key *key;
	unsigned char e[KEY_MAX], n[KEY_MAX];
	br_rsa_public_key public;
	unsigned char sha1[THUMBPRINT], sha256[HASH];	/* of the certificate */
};

static int __attribute__((format(printf, 2, 3)))
refuse(struct err *err, const char *fmt, ...)
{
	char cause[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(cause, sizeof(cause), fmt, ap);
	va_end(ap);
	err_set(err, ERR_USAGE, REMEDY_RENEW_KEY, "use the certificate of", "%s", cause);
	return (err_on(err, "the datastore"));
}

/* --- PEM ---------------------------------------------------------------------- */

static void
add_to_certificate(void *arg, const void *data, size_t len)
{
	struct found *f = arg;

	buf_add(&f->certificates[f->ncertificates], data, len);
}

static void
add_to_key(void *arg, const void *data, size_t len)
{
	struct found *f = arg;

	buf_add(&f->key_der, data, len);
}

static void
begin_object(struct found *f)
{
	const char *name = br_pem_decoder_name(&f->pem);

	f->inside = 1;
	br_pem_decoder_setdest(&f->pem, NULL, NULL);
	if (strcmp(name, "CERTIFICATE") == 0 || strcmp(name, "X509 CERTIFICATE") == 0) {
		if (f->ncertificates < CHAIN_MAX)
			br_pem_decoder_setdest(&f->pem, add_to_certificate, f);
	} else if (strcmp(name, "PRIVATE KEY") == 0 || strcmp(name, "RSA PRIVATE KEY") == 0) {
		if (f->nkeys++ == 0)
			br_pem_decoder_setdest(&f->pem, add_to_key, f);
	} else if (strcmp(name, "EC PRIVATE KEY") == 0) {
		f->ec_key = 1;
	} else if (strcmp(name, "ENCRYPTED PRIVATE KEY") == 0) {
		f->encrypted_key = 1;
	}
}

/* Lines that end in \n, also the last: BearSSL's decoder knows no others. */
static void
copy_lines(struct buf *to, const char *pem, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++)
		if (pem[i] != '\r')
			buf_addc(to, pem[i]);
	buf_addc(to, '\n');
}

static int
read_pem(struct found *f, const char *pem, size_t len, struct err *err)
{
	auto_buf struct buf text = BUF_EMPTY;
	size_t at = 0;

	copy_lines(&text, pem, len);
	br_skey_decoder_init(&f->key);
	br_pem_decoder_init(&f->pem);
	while (at < text.len) {
		at += br_pem_decoder_push(&f->pem, text.data + at, text.len - at);
		switch (br_pem_decoder_event(&f->pem)) {
		case BR_PEM_BEGIN_OBJ:
			begin_object(f);
			break;
		case BR_PEM_END_OBJ:
			f->inside = 0;
			if (f->ncertificates < CHAIN_MAX &&
			    f->certificates[f->ncertificates].len > 0)
				f->ncertificates++;
			break;
		case BR_PEM_ERROR:
			return (refuse(err, memmem(pem, len, "ENCRYPTED", 9) != NULL ?
			    "its private key is encrypted: it has to be stored without a password" :
			    "its PEM text is damaged"));
		}
	}
	if (f->inside)
		return (refuse(err, "its PEM text is cut off"));
	/* At once: BearSSL's decoder does not survive bytes that come after the key's end. */
	if (f->key_der.len > 0)
		br_skey_decoder_push(&f->key, f->key_der.data, f->key_der.len);
	return (0);
}

static int
check_found(const struct found *f, const char *pem, size_t len, struct err *err)
{
	int failed = br_skey_decoder_last_error(&f->key);

	if (memmem(pem, len, "-----BEGIN ", 11) == NULL)
		return (refuse(err, "it is no PEM text (openssl pkcs12 -in FILE -nodes makes one "
		    "of a PKCS#12 file)"));
	if (f->encrypted_key)
		return (refuse(err, "its private key is encrypted: it has to be stored without a "
		    "password"));
	if (f->ec_key || (f->nkeys > 0 && failed == 0 &&
	    br_skey_decoder_key_type(&f->key) != BR_KEYTYPE_RSA))
		return (refuse(err, "its private key is an EC key: Entra ID takes RSA keys only"));
	if (f->nkeys == 0)
		return (refuse(err, "the certificate credential holds no private key"));
	if (f->nkeys > 1)
		return (refuse(err, "the certificate credential holds %d private keys", f->nkeys));
	if (f->ncertificates == 0)
		return (refuse(err, "the certificate credential holds no certificate"));
	if (failed != 0)
		return (refuse(err, "its private key cannot be read (error %d of BearSSL)",
		    failed));
	return (0);
}

static void
found_done(struct found *f)
{
	size_t i;

	for (i = 0; i < CHAIN_MAX; i++)
		buf_done(&f->certificates[i]);
	buf_done(&f->key_der);
	secret_wipe(f, sizeof(*f));
}

/* --- the certificate of the key ------------------------------------------------- */

/* 1: this certificate is for that modulus; its key is then in s->public. */
static int
is_certificate_of(struct signer *s, const struct buf *der, const unsigned char *n, size_t nlen)
{
	br_x509_decoder_context dc;
	const br_x509_pkey *key;

	br_x509_decoder_init(&dc, NULL, NULL);
	br_x509_decoder_push(&dc, der->data, der->len);
	key = br_x509_decoder_get_pkey(&dc);
	if (key == NULL || key->key_type != BR_KEYTYPE_RSA)
		return (0);
	if (key->key.rsa.nlen != nlen || memcmp(key->key.rsa.n, n, nlen) != 0 ||
	    key->key.rsa.elen > sizeof(s->e))
		return (0);
	memcpy(s->n, n, nlen);
	memcpy(s->e, key->key.rsa.e, key->key.rsa.elen);
	s->public = (br_rsa_public_key){ s->n, nlen, s->e, key->key.rsa.elen };
	return (1);
}

static void
hash_certificate(struct signer *s, const struct buf *der)
{
	br_sha1_context one;
	br_sha256_context two;

	br_sha1_init(&one);
	br_sha1_update(&one, der->data, der->len);
	br_sha1_out(&one, s->sha1);
	br_sha256_init(&two);
	br_sha256_update(&two, der->data, der->len);
	br_sha256_out(&two, s->sha256);
}

static int
find_certificate(struct signer *s, const struct found *f, struct err *err)
{
	unsigned char modulus[KEY_MAX];
	br_rsa_compute_modulus compute = br_rsa_compute_modulus_get_default();
	size_t len, i;

	if (s->key->n_bitlen < KEY_BITS_MIN || s->key->n_bitlen > 8 * KEY_MAX)
		return (refuse(err, "its private key has %u bits: Entra ID takes RSA keys of "
		    "%d to %d bits", (unsigned)s->key->n_bitlen, KEY_BITS_MIN, 8 * KEY_MAX));
	len = compute(modulus, s->key);
	for (i = 0; len > 0 && i < f->ncertificates; i++)
		if (is_certificate_of(s, &f->certificates[i], modulus, len)) {
			hash_certificate(s, &f->certificates[i]);
			return (0);
		}
	return (refuse(err, "its private key and its certificate do not belong together"));
}

static int
check_thumbprint(const struct signer *s, const char *wanted, struct err *err)
{
	char want[2 * THUMBPRINT + 1] = "", got[2 * THUMBPRINT + 1] = "";
	size_t i, n = 0;

	if (wanted == NULL)
		return (0);
	for (i = 0; i < THUMBPRINT; i++)
		str_format(got + 2 * i, 3, "%02X", s->sha1[i]);
	for (; *wanted != '\0' && n < sizeof(want) - 1; wanted++)
		if (*wanted != ':' && *wanted != ' ')
			want[n++] = *wanted;
	want[n] = '\0';
	return (str_same(want, got) ? 0 : refuse(err,
	    "its thumbprint is %s, the datastore says %s", got, want));
}

/* --- signatures ------------------------------------------------------------------- */

static void
sha256(const void *data, size_t len, unsigned char out[HASH])
{
	br_sha256_context h;

	br_sha256_init(&h);
	br_sha256_update(&h, data, len);
	br_sha256_out(&h, out);
}

/* MGF1 of RFC 8017, B.2.1, over what is there. */
static void
mgf1_xor(unsigned char *data, size_t len, const unsigned char seed[HASH])
{
	unsigned char block[HASH], counter[4] = { 0 };
	br_sha256_context h;
	size_t i;

	for (i = 0; i < len; i++) {
		if (i % HASH == 0) {
			br_sha256_init(&h);
			br_sha256_update(&h, seed, HASH);
			br_sha256_update(&h, counter, sizeof(counter));
			br_sha256_out(&h, block);
			counter[3]++;	/* at most 16 blocks */
		}
		data[i] ^= block[i % HASH];
	}
}

/* EMSA-PSS-ENCODE into the k bytes of a modulus. */
static void
pss_encode(const unsigned char hash[HASH], const unsigned char salt[SALT], size_t bits,
    unsigned char *out)
{
	unsigned char inner[8 + HASH + SALT] = { 0 };
	size_t k = (bits + 7) / 8, len = (bits - 1 + 7) / 8, db = len - HASH - 1;
	unsigned char *em = out + (k - len), *h = em + db;

	memcpy(inner + 8, hash, HASH);
	memcpy(inner + 8 + HASH, salt, SALT);
	memset(out, 0, k);
	sha256(inner, sizeof(inner), h);
	em[db - SALT - 1] = 1;
	memcpy(em + db - SALT, salt, SALT);
	mgf1_xor(em, db, h);
	em[0] &= (unsigned char)(0xff >> (8 * len - (bits - 1)));
	em[len - 1] = 0xbc;
}

static int
sign_pss(const struct signer *s, const unsigned char hash[HASH], const unsigned char salt[SALT],
    unsigned char *sig)
{
	br_rsa_private private_op = br_rsa_private_get_default();
	br_rsa_public public_op = br_rsa_public_get_default();
	unsigned char encoded[KEY_MAX], again[KEY_MAX];
	size_t k = (s->key->n_bitlen + 7) / 8;
	uint32_t made;

	pss_encode(hash, salt, s->key->n_bitlen, encoded);
	memcpy(sig, encoded, k);
	made = private_op(sig, s->key);
	memcpy(again, sig, k);
	return (made && public_op(again, k, &s->public) && memcmp(again, encoded, k) == 0 ? 0 : -1);
}

static int
sign_pkcs1(const struct signer *s, const unsigned char hash[HASH], unsigned char *sig)
{
	br_rsa_pkcs1_sign sign = br_rsa_pkcs1_sign_get_default();
	br_rsa_pkcs1_vrfy verify = br_rsa_pkcs1_vrfy_get_default();
	unsigned char again[HASH];
	size_t k = (s->key->n_bitlen + 7) / 8;

	return (sign(BR_HASH_OID_SHA256, hash, HASH, s->key, sig) &&
	    verify(sig, k, BR_HASH_OID_SHA256, HASH, &s->public, again) &&
	    memcmp(again, hash, HASH) == 0 ? 0 : -1);
}

/* --- the JWT ---------------------------------------------------------------------- */

static void
add_header(const struct assertion_request *req, const struct signer *s, struct buf *jwt)
{
	auto_buf struct buf text = BUF_EMPTY, print = BUF_EMPTY;
	struct json_out out;

	if (req->alg == ASSERTION_RS256)
		base64url_encode(&print, s->sha1, sizeof(s->sha1));
	else
		base64url_encode(&print, s->sha256, sizeof(s->sha256));
	json_out_init(&out, &text, 0);
	json_out_begin(&out, '{');
	json_out_kstring(&out, "alg", req->alg == ASSERTION_RS256 ? "RS256" : "PS256");
	json_out_kstring(&out, "typ", "JWT");
	json_out_kstring(&out, req->alg == ASSERTION_RS256 ? "x5t" : "x5t#S256", buf_str(&print));
	json_out_end(&out, '}');
	base64url_encode(jwt, text.data, text.len);
}

static void
add_claims(const struct assertion_request *req, const unsigned char random[16], struct buf *jwt)
{
	auto_buf struct buf text = BUF_EMPTY;
	const unsigned char *r = random;
	char guid[37];
	struct json_out out;

	str_format(guid, sizeof(guid), "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-"
	    "%02x%02x%02x%02x%02x%02x", r[0], r[1], r[2], r[3], r[4], r[5],
	    (r[6] & 0x0f) | 0x40, r[7], (r[8] & 0x3f) | 0x80, r[9], r[10], r[11], r[12], r[13],
	    r[14], r[15]);
	json_out_init(&out, &text, 0);
	json_out_begin(&out, '{');
	json_out_kstring(&out, "aud", req->audience);
	json_out_kstring(&out, "iss", req->client_id);
	json_out_kstring(&out, "sub", req->client_id);
	json_out_kstring(&out, "jti", guid);
	json_out_kint(&out, "nbf", req->now_unix_s);
	json_out_kint(&out, "iat", req->now_unix_s);
	json_out_kint(&out, "exp", req->now_unix_s + ASSERTION_LIFE_S);
	json_out_end(&out, '}');
	base64url_encode(jwt, text.data, text.len);
}

static int
write_jwt(const struct assertion_request *req, const struct signer *s,
    const unsigned char random[ASSERTION_RANDOM_SIZE], struct secret *ret, struct err *err)
{
	auto_buf struct buf jwt = BUF_EMPTY;
	unsigned char hash[HASH], sig[KEY_MAX];

	add_header(req, s, &jwt);
	buf_addc(&jwt, '.');
	add_claims(req, random, &jwt);
	sha256(jwt.data, jwt.len, hash);
	if ((req->alg == ASSERTION_RS256 ? sign_pkcs1(s, hash, sig) :
	    sign_pss(s, hash, random + 16, sig)) != 0)
		return (refuse(err, "its private key is damaged: it makes no valid signature"));
	buf_addc(&jwt, '.');
	base64url_encode(&jwt, sig, (s->key->n_bitlen + 7) / 8);
	return (secret_set(ret, jwt.data, jwt.len, err));
}

int
assertion_make(const struct assertion_request *req,
    const unsigned char random[ASSERTION_RANDOM_SIZE], struct secret *ret, struct err *err)
{
	struct found *f = mem_zalloc(sizeof(*f));
	struct signer s = { .key = NULL };
	int failed = -1;

	if (read_pem(f, req->pem, req->pem_len, err) == 0 &&
	    check_found(f, req->pem, req->pem_len, err) == 0) {
		s.key = br_skey_decoder_get_rsa(&f->key);
		if (s.key != NULL)	/* check_found() has seen to it */
			failed = find_certificate(&s, f, err);
		if (failed == 0)
			failed = check_thumbprint(&s, req->thumbprint, err);
		if (failed == 0)
			failed = write_jwt(req, &s, random, ret, err);
	}
	found_done(f);
	free(f);
	return (failed);
}
