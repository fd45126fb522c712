#include <bearssl_ssl.h>
#include <bearssl_x509.h>
#include <string.h>

#include "azure/ca.h"
#include "azure/trust.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/mem.h"
#include "base/uri.h"

#define BUNDLE_MAX	(8 << 20)
#define CERTIFICATE_MAX	65536
#define DAYS_TO_1970	719528		/* BearSSL counts from 1 January of the year 0 */

struct trust {
	char	*file;
	int	 is_read;
	struct err why;			/* it was not */
	struct arena mem;		/* names and keys */
	br_x509_trust_anchor *anchors;
	size_t	 n, size;
};

/* An X.509 engine of BearSSL: vtable comes first. */
struct pin {
	const br_x509_class *vtable;
	unsigned char	 want[TRUST_PIN_SIZE];
	int		 ncerts;		/* that have begun */
	int		 fits;
	br_sha1_context	 sha1;
	br_x509_decoder_context decoder;	/* of the first: the server's own */
};

/* An engine's verifier: BearSSL's own, and a look at the server's certificate in passing. */
struct trust_slot {
	const br_x509_class *vtable;		/* first: BearSSL finds the slot by it */
	br_x509_minimal_context x509;
	br_x509_decoder_context leaf;
	int	 ncertificates;
	int64_t	 expiry_unix_s, begin_unix_s;	/* of the server's own; 0: not seen */
	unsigned int verdict;			/* BR_ERR_OK or BR_ERR_X509_... */
	struct pin	 pin;
};

static unsigned char *
copy(struct trust *t, const unsigned char *bytes, size_t len)
{
	return ((unsigned char *)arena_strndup(&t->mem, (const char *)bytes, len));
}

static int
copy_key(struct trust *t, const br_x509_pkey *from, br_x509_pkey *to)
{
	*to = *from;
	switch (from->key_type) {
	case BR_KEYTYPE_RSA:
		to->key.rsa.n = copy(t, from->key.rsa.n, from->key.rsa.nlen);
		to->key.rsa.e = copy(t, from->key.rsa.e, from->key.rsa.elen);
		return (0);
	case BR_KEYTYPE_EC:
		to->key.ec.q = copy(t, from->key.ec.q, from->key.ec.qlen);
		return (0);
	default:
		return (-1);
	}
}

static void
add_name(void *arg, const void *bytes, size_t len)
{
	buf_add(arg, bytes, len);
}

/* One that BearSSL cannot read is left out: it could not be verified with either. */
static void
add_certificate(struct trust *t, const unsigned char *der, size_t len)
{
	auto_buf struct buf name = BUF_EMPTY;
	br_x509_decoder_context dc;
	br_x509_trust_anchor *a;
	br_x509_pkey *key;

	br_x509_decoder_init(&dc, add_name, &name);
	br_x509_decoder_push(&dc, der, len);
	if ((key = br_x509_decoder_get_pkey(&dc)) == NULL)
		return;
	if (t->n == t->size) {
		t->size = t->size > 0 ? 2 * t->size : 32;
		t->anchors = mem_grow(t->anchors, t->size * sizeof(*t->anchors));
	}
	a = &t->anchors[t->n];
	if (copy_key(t, key, &a->pkey) != 0)
		return;
	a->dn.data = copy(t, (const unsigned char *)name.data, name.len);
	a->dn.len = name.len;
	a->flags = br_x509_decoder_isCA(&dc) ? BR_X509_TA_CA : 0;
	t->n++;
}

static int
is_line_break(char c)
{
	return (c == '\n' || c == '\r' || c == ' ' || c == '\t');
}

/* The base64 text from p to the next line of dashes; returns where that is. */
static const char *
add_encoded(struct trust *t, const char *p, const char *end, struct buf *text)
{
	size_t room;
	ssize_t n;

	buf_reset(text);
	for (; p < end && *p != '-'; p++)
		if (!is_line_break(*p) && text->len < CERTIFICATE_MAX)
			buf_addc(text, *p);
	room = text->len;
	n = text->len > 0 ? base64_decode((unsigned char *)text->data, room, text->data,
	    text->len) : -1;
	if (n > 0)
		add_certificate(t, (const unsigned char *)text->data, (size_t)n);
	return (p);
}

static void
add_bundle(struct trust *t, const char *pem, size_t len)
{
	static const char *const heads[] = { "-----BEGIN CERTIFICATE-----",
	    "-----BEGIN X509 CERTIFICATE-----" };
	auto_buf struct buf text = BUF_EMPTY;
	const char *p = pem, *end = pem + len;
	size_t i, n;

	while (p < end && (p = memmem(p, (size_t)(end - p), "-----BEGIN ", 11)) != NULL) {
		for (i = 0; i < LENGTH(heads); i++) {
			n = strlen(heads[i]);
			if ((size_t)(end - p) > n && memcmp(p, heads[i], n) == 0) {
				p = add_encoded(t, p + n, end, &text);
				break;
			}
		}
		if (i == LENGTH(heads))
			p += 11;
	}
}

static void
read_roots(struct trust *t)
{
	auto_buf struct buf pem = BUF_EMPTY;

	t->why = ERR_EMPTY;
	if (t->file == NULL)
		add_bundle(t, amlshim_ca_bundle_pem, amlshim_ca_bundle_pem_len);
	else if (fd_read_file(t->file, BUNDLE_MAX, &pem, &t->why) == 0)
		add_bundle(t, pem.data, pem.len);
	t->is_read = t->why.kind == ERR_NONE;
}

const struct err *
trust_failure(const struct trust *t)
{
	return (t->why.kind != ERR_NONE ? &t->why : NULL);
}

struct trust *
trust_new(const char *file)
{
	struct trust *t = mem_zalloc(sizeof(*t));

	t->file = file != NULL ? mem_strdup(file) : NULL;
	return (t);
}

void
trust_free(struct trust *t)
{
	if (t == NULL)
		return;
	arena_done(&t->mem);
	free(t->anchors);
	free(t->file);
	free(t);
}

size_t
trust_count(struct trust *t)
{
	if (!t->is_read)
		read_roots(t);
	return (t->n);
}

struct trust_slot *
trust_slot_new(void)
{
	return (mem_zalloc(sizeof(struct trust_slot)));
}

void
trust_slot_free(struct trust_slot *slot)
{
	free(slot);
}

int64_t
trust_slot_expiry(const struct trust_slot *slot)
{
	return (slot->expiry_unix_s);
}

enum trust_fault
trust_slot_fault(const struct trust_slot *slot)
{
	switch (slot->verdict) {
	case BR_ERR_OK:
		return (TRUST_NO_FAULT);
	case BR_ERR_X509_EXPIRED:
		return (slot->begin_unix_s > clock_wall_s() ? TRUST_NOT_YET : TRUST_ENDED);
	case BR_ERR_X509_BAD_SERVER_NAME:
		return (TRUST_OTHER_NAME);
	case BR_ERR_X509_NOT_TRUSTED:
		return (TRUST_NO_ISSUER);
	default:
		return (TRUST_BAD_CHAIN);
	}
}

static struct trust_slot *
slot_of(const br_x509_class **vtable)
{
	return ((struct trust_slot *)(void *)vtable);
}

static void
start_chain(const br_x509_class **vtable, const char *server_name)
{
	struct trust_slot *slot = slot_of(vtable);

	slot->ncertificates = 0;
	slot->verdict = BR_ERR_OK;
	slot->x509.vtable->start_chain(&slot->x509.vtable, server_name);
}

static void
start_cert(const br_x509_class **vtable, uint32_t length)
{
	struct trust_slot *slot = slot_of(vtable);

	if (slot->ncertificates++ == 0)
		br_x509_decoder_init(&slot->leaf, NULL, NULL);
	slot->x509.vtable->start_cert(&slot->x509.vtable, length);
}

static void
append(const br_x509_class **vtable, const unsigned char *bytes, size_t len)
{
	struct trust_slot *slot = slot_of(vtable);

	if (slot->ncertificates == 1)
		br_x509_decoder_push(&slot->leaf, bytes, len);
	slot->x509.vtable->append(&slot->x509.vtable, bytes, len);
}

static int64_t
unix_s(uint32_t days, uint32_t seconds)
{
	return (((int64_t)days - DAYS_TO_1970) * 86400 + seconds);
}

static void
end_cert(const br_x509_class **vtable)
{
	struct trust_slot *slot = slot_of(vtable);

	if (slot->ncertificates == 1 && br_x509_decoder_get_pkey(&slot->leaf) != NULL) {
		slot->expiry_unix_s = unix_s(slot->leaf.notafter_days, slot->leaf.notafter_seconds);
		slot->begin_unix_s = unix_s(slot->leaf.notbefore_days,
		    slot->leaf.notbefore_seconds);
	}
	slot->x509.vtable->end_cert(&slot->x509.vtable);
}

static unsigned
end_chain(const br_x509_class **vtable)
{
	struct trust_slot *slot = slot_of(vtable);

	slot->verdict = slot->x509.vtable->end_chain(&slot->x509.vtable);
	return (slot->verdict);
}

static const br_x509_pkey *
get_pkey(const br_x509_class *const *vtable, unsigned *usages)
{
	const struct trust_slot *slot = (const struct trust_slot *)(const void *)vtable;

	return (slot->x509.vtable->get_pkey(&slot->x509.vtable, usages));
}

static const br_x509_class slot_class = {
	sizeof(struct trust_slot), start_chain, start_cert, append, end_cert, end_chain, get_pkey
};

int
trust_apply(struct trust *t, struct trust_slot *slot, void *tls)
{
	br_x509_minimal_context *x = &slot->x509;
	br_ssl_client_context *client = tls;
	br_ssl_engine_context *eng;
	int id;

	if (trust_count(t) == 0)
		return (-1);
	/* The algorithms that libcurl's backend has set: the fastest for this processor. */
	eng = &client->eng;
	br_x509_minimal_init(x, &br_sha256_vtable, t->anchors, t->n);
	br_x509_minimal_set_rsa(x, br_ssl_engine_get_rsavrfy(eng));
	br_x509_minimal_set_ecdsa(x, br_ssl_engine_get_ec(eng), br_ssl_engine_get_ecdsa(eng));
	for (id = br_sha1_ID; id <= br_sha512_ID; id++)
		br_x509_minimal_set_hash(x, id, br_ssl_engine_get_hash(eng, id));
	slot->vtable = &slot_class;
	slot->expiry_unix_s = slot->begin_unix_s = 0;
	slot->verdict = BR_ERR_OK;
	br_ssl_engine_set_x509(eng, &slot->vtable);
	br_ssl_engine_add_flags(eng, BR_OPT_NO_RENEGOTIATION);
	return (0);
}

/* ---- one certificate, known by its hash ---- */

static struct pin *
pin_of(const br_x509_class **ctx)
{
	return ((struct pin *)(void *)ctx);
}

static void
pin_start_chain(const br_x509_class **ctx, const char *server_name)
{
	struct pin *p = pin_of(ctx);

	(void)server_name;
	p->ncerts = p->fits = 0;
	br_sha1_init(&p->sha1);
	br_x509_decoder_init(&p->decoder, NULL, NULL);
}

static void
pin_start_cert(const br_x509_class **ctx, uint32_t len)
{
	(void)len;
	pin_of(ctx)->ncerts++;
}

static void
pin_append(const br_x509_class **ctx, const unsigned char *bytes, size_t len)
{
	struct pin *p = pin_of(ctx);

	if (p->ncerts != 1)
		return;
	br_sha1_update(&p->sha1, bytes, len);
	br_x509_decoder_push(&p->decoder, bytes, len);
}

static void
pin_end_cert(const br_x509_class **ctx)
{
	struct pin *p = pin_of(ctx);
	unsigned char got[br_sha1_SIZE];

	if (p->ncerts != 1)
		return;
	br_sha1_out(&p->sha1, got);
	p->fits = memcmp(got, p->want, sizeof(got)) == 0;
}

static unsigned
pin_end_chain(const br_x509_class **ctx)
{
	struct pin *p = pin_of(ctx);
	int bad;

	if (p->ncerts == 0)
		return (BR_ERR_X509_EMPTY_CHAIN);
	if (!p->fits)
		return (BR_ERR_X509_NOT_TRUSTED);
	bad = br_x509_decoder_last_error(&p->decoder);
	return ((unsigned)bad);
}

static const br_x509_pkey *
pin_get_pkey(const br_x509_class *const *ctx, unsigned *usages)
{
	const struct pin *p = (const struct pin *)(const void *)ctx;
	br_x509_decoder_context *decoder = (br_x509_decoder_context *)(uintptr_t)&p->decoder;

	if (!p->fits)
		return (NULL);
	if (usages != NULL)
		*usages = BR_KEYTYPE_KEYX | BR_KEYTYPE_SIGN;
	return (br_x509_decoder_get_pkey(decoder));
}

static const br_x509_class pin_class = {
	sizeof(struct pin), pin_start_chain, pin_start_cert, pin_append, pin_end_cert,
	pin_end_chain, pin_get_pkey
};

void
trust_apply_pin(struct trust_slot *slot, const unsigned char pin[TRUST_PIN_SIZE], void *tls)
{
	br_ssl_engine_context *eng = &((br_ssl_client_context *)tls)->eng;

	slot->pin.vtable = &pin_class;
	memcpy(slot->pin.want, pin, TRUST_PIN_SIZE);
	slot->expiry_unix_s = slot->begin_unix_s = 0;
	slot->verdict = BR_ERR_OK;
	br_ssl_engine_set_x509(eng, &slot->pin.vtable);
	br_ssl_engine_add_flags(eng, BR_OPT_NO_RENEGOTIATION);
}
