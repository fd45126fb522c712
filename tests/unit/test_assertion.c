/*
 * Client assertions: what openssl says of the signatures, and what is said of bad credentials.
 * Keys and certificates are made by openssl in a directory of the test's own.
 */

#include <stdlib.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/json.h"
#include "base/uri.h"
#include "check.h"
#include "identity/assertion.h"

#define CLIENT "ffffffff-0000-4000-8000-00000000000f"
#define ENDPOINT "https://login.microsoftonline.com/contoso.com/oauth2/v2.0/token"
#define NOW 1795471920

static char dir[64];
static const unsigned char noise[ASSERTION_RANDOM_SIZE] = "0123456789abcdefSALTsaltSALTsaltSALT";

static const char make_keys[] =
	"set -e; cd %s; "
	"openssl req -x509 -newkey rsa:2048 -nodes -keyout a.key -out a.crt -days 2 -subj /CN=a; "
	"openssl req -x509 -newkey rsa:3072 -nodes -keyout b.key -out b.crt -days 2 -subj /CN=b; "
	"openssl rsa -in a.key -traditional -out a.rsa; "
	"openssl rsa -in a.key -aes128 -passout pass:x -traditional -out a.legacy; "
	"openssl pkcs8 -topk8 -in a.key -passout pass:x -out a.enc; "
	"openssl req -x509 -newkey rsa:1024 -nodes -keyout s.key -out s.crt -days 2 -subj /CN=s; "
	"openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout e.key "
	"  -out e.crt -days 2 -subj /CN=e; "
	"openssl ec -in e.key -out e.ec; "
	"openssl pkcs12 -export -inkey a.key -in a.crt -passout pass: -out a.p12; "
	"base64 -w 0 a.p12 >a.b64; "
	"openssl pkcs12 -in a.p12 -passin pass: -nodes -out a.bag; "
	"head -n 10 a.key >cut.key; "
	"for x in a b; do openssl x509 -in $x.crt -pubkey -noout >$x.pub; "
	"openssl x509 -in $x.crt -fingerprint -sha1 -noout | sed 's/.*=//' >$x.sha1; done; "
	"cat a.crt a.key >pkcs8.pem; cat b.crt a.rsa a.crt >pkcs1.pem; "
	"sed 's/$/\\r/' pkcs8.pem >dos.pem; cat a.crt a.legacy >legacy.pem; "
	"cat a.crt a.enc >encrypted.pem; cat b.crt a.key >foreign.pem; "
	"cat a.crt a.key b.key >two.pem; "
	"cat s.crt s.key >short.pem; cat e.crt e.key >ec8.pem; cat e.crt e.ec >ec1.pem; "
	"cat a.crt cut.key >cut.pem; cat b.crt b.key >big.pem; "
	"printf %%s \"$(cat pkcs8.pem)\" >bare.pem; "
	"sed '/BEGIN PRIVATE/{n;s/^...../AAAAA/}' pkcs8.pem >broken.pem; "
	"sed '/BEGIN CERT/{n;s/^...../AAAAA/}' pkcs8.pem >noise.pem; "
	"cat e.crt a.key >mixed.pem; cat e.crt a.crt a.key >both.pem; "
	/* The last number of a key, which a signature is made with, in its last bytes. */
	"openssl rsa -in a.key -traditional -outform DER -out a.der; "
	"{ head -c -8 a.der; printf abcdefgh; } >d.der; "
	"{ cat a.crt; echo '-----BEGIN RSA PRIVATE KEY-----'; base64 d.der; "
	"echo '-----END RSA PRIVATE KEY-----'; } >damaged.pem; "
	"sed '/BEGIN PRIVATE/{n;s/^...../!!!!!/}' pkcs8.pem >odd.pem";

static int
shell(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

static int
shell(const char *fmt, ...)
{
	char words[4096], command[4200];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(words, sizeof(words), fmt, ap);
	va_end(ap);
	str_format(command, sizeof(command), "( %s ) >>%s/log 2>&1", words, dir);
	return (system(command));
}

static void
load(const char *file, struct buf *ret)
{
	char path[160];

	str_format(path, sizeof(path), "%s/%s", dir, file);
	if (fd_read_file(path, 1 << 20, ret, NULL) != 0)
		abort();
}

static void
save(const char *file, const void *data, size_t len)
{
	char path[160];

	str_format(path, sizeof(path), "%s/%s", dir, file);
	if (fd_replace_file(path, data, len, 0600, NULL) != 0)
		abort();
}

static int
make(const char *file, enum assertion_alg alg, const char *thumbprint, struct secret *ret,
    struct err *err)
{
	auto_buf struct buf pem = BUF_EMPTY;
	struct assertion_request req = { .thumbprint = thumbprint, .client_id = CLIENT,
	    .audience = ENDPOINT, .alg = alg, .now_unix_s = NOW };

	load(file, &pem);
	req.pem = buf_str(&pem);
	req.pem_len = pem.len;
	return (assertion_make(&req, noise, ret, err));
}

/* openssl's opinion of the signature, the i-th byte of the text or signature flipped. */
static int
openssl_takes(const struct secret *jwt, const char *pub, enum assertion_alg alg, int flip_text,
    int flip_signature)
{
	const char *dot = strrchr(jwt->text, '.');
	auto_buf struct buf text = BUF_EMPTY;
	unsigned char sig[1024];
	ssize_t n;

	buf_add(&text, jwt->text, (size_t)(dot - jwt->text));
	n = base64url_decode(sig, sizeof(sig), dot + 1, strlen(dot + 1));
	if (n <= 0)
		return (0);
	if (flip_text >= 0)
		text.data[flip_text] ^= 1;
	if (flip_signature >= 0)
		sig[flip_signature] ^= 1;
	save("text", text.data, text.len);
	save("sig", sig, (size_t)n);
	return (shell("cd %s && openssl dgst -sha256 -verify %s %s -signature sig text", dir, pub,
	    alg == ASSERTION_RS256 ? "" :
	    "-sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:32 -sigopt rsa_mgf1_md:sha256")
	    == 0);
}

static struct json *
part(const struct secret *jwt, int i)
{
	const char *p = jwt->text;
	unsigned char bytes[2048];
	ssize_t n;

	if (i == 1)
		p = strchr(p, '.') + 1;
	n = base64url_decode(bytes, sizeof(bytes), p, strcspn(p, "."));
	return (n < 0 ? NULL : json_parse((const char *)bytes, (size_t)n));
}

static void
test_signatures(void)
{
	static const struct { const char *file, *pub; } rows[] = {
		{ "pkcs8.pem", "a.pub" }, { "pkcs1.pem", "a.pub" }, { "dos.pem", "a.pub" },
		{ "bare.pem", "a.pub" }, { "a.bag", "a.pub" }, { "big.pem", "b.pub" },
	};
	enum assertion_alg alg;
	struct err err;
	size_t i;

	for (i = 0; i < LENGTH(rows); i++)
		for (alg = ASSERTION_PS256; alg <= ASSERTION_RS256; alg++) {
			struct secret jwt = { NULL, 0 };

			err = ERR_EMPTY;
			if (!check_int(make(rows[i].file, alg, NULL, &jwt, &err), 0)) {
				printf("# %s: %s\n", rows[i].file, err.cause);
				continue;
			}
			check(openssl_takes(&jwt, rows[i].pub, alg, -1, -1));
			check(!openssl_takes(&jwt, rows[i].pub, alg, 5, -1));
			check(!openssl_takes(&jwt, rows[i].pub, alg, -1, 100));
			check(!openssl_takes(&jwt, rows[i].pub, alg == ASSERTION_PS256 ?
			    ASSERTION_RS256 : ASSERTION_PS256, -1, -1));
			secret_done(&jwt);
		}
}

static void
check_print(const struct json *header, const char *name, const char *digest)
{
	auto_buf struct buf want = BUF_EMPTY;
	char file[16];

	str_format(file, sizeof(file), "%s.b64u", digest);
	if (shell("cd %s && openssl x509 -in a.crt -outform der | openssl dgst -%s -binary | "
	    "base64 -w 0 | tr +/ -_ | tr -d = >%s", dir, digest, file) != 0)
		abort();
	load(file, &want);
	check_str(json_string(json_get(header, name)), buf_str(&want));
}

static void
test_words(void)
{
	struct secret jwt = { NULL, 0 };
	struct json *header, *claims;
	int64_t number;

	check_int(make("pkcs8.pem", ASSERTION_PS256, NULL, &jwt, NULL), 0);
	check(strchr(jwt.text, '=') == NULL);
	header = part(&jwt, 0);
	claims = part(&jwt, 1);
	check_str(json_string(json_get(header, "alg")), "PS256");
	check_str(json_string(json_get(header, "typ")), "JWT");
	check(json_get(header, "x5t") == NULL);
	check_print(header, "x5t#S256", "sha256");
	check_str(json_string(json_get(claims, "aud")), ENDPOINT);
	check_str(json_string(json_get(claims, "iss")), CLIENT);
	check_str(json_string(json_get(claims, "sub")), CLIENT);
	check(str_is_guid(json_string(json_get(claims, "jti"))));
	check(json_int(json_get(claims, "nbf"), &number) == 0 && number == NOW);
	check(json_int(json_get(claims, "iat"), &number) == 0 && number == NOW);
	check(json_int(json_get(claims, "exp"), &number) == 0 && number == NOW + 600);
	json_free(header);
	json_free(claims);
	check_int(make("pkcs8.pem", ASSERTION_RS256, NULL, &jwt, NULL), 0);
	header = part(&jwt, 0);
	check_str(json_string(json_get(header, "alg")), "RS256");
	check(json_get(header, "x5t#S256") == NULL);
	check_print(header, "x5t", "sha1");
	json_free(header);
	secret_done(&jwt);
}

static void
test_thumbprint(void)
{
	auto_buf struct buf own = BUF_EMPTY, other = BUF_EMPTY;
	struct secret jwt = { NULL, 0 };
	struct err err = ERR_EMPTY;
	char plain[48] = "";
	size_t i, n = 0;

	load("a.sha1", &own);
	load("b.sha1", &other);
	own.data[strcspn(own.data, "\n")] = other.data[strcspn(other.data, "\n")] = '\0';
	for (i = 0; own.data[i] != '\0'; i++)
		if (own.data[i] != ':')
			plain[n++] = own.data[i] | 0x20;
	check_int(make("pkcs8.pem", ASSERTION_PS256, own.data, &jwt, &err), 0);
	check_int(make("pkcs8.pem", ASSERTION_PS256, plain, &jwt, &err), 0);
	check_int(make("pkcs8.pem", ASSERTION_PS256, other.data, &jwt, &err), -1);
	check_int(err.kind, ERR_USAGE);
	check(strstr(err.cause, "its thumbprint is") != NULL);
	for (i = 0; plain[i] != '\0'; i++)
		if (plain[i] >= 'a' || (plain[i] | 0x20) == plain[i])
			plain[i] = (char)(plain[i] >= 'a' ? plain[i] - 32 : plain[i]);
	check(strstr(err.cause, plain) != NULL);
	secret_done(&jwt);
}

static void
test_refused(void)
{
	static const struct { const char *file, *cause; } rows[] = {
		{ "a.crt", "the certificate credential holds no private key" },
		{ "a.key", "the certificate credential holds no certificate" },
		{ "two.pem", "holds 2 private keys" },
		{ "foreign.pem", "do not belong together" },
		{ "encrypted.pem", "is encrypted" },
		{ "legacy.pem", "is encrypted" },
		{ "ec8.pem", "is an EC key" },
		{ "ec1.pem", "is an EC key" },
		{ "short.pem", "has 1024 bits" },
		{ "mixed.pem", "do not belong together" },
		{ "noise.pem", "do not belong together" },
		{ "damaged.pem", "is damaged: it makes no valid signature" },
		{ "a.b64", "is no PEM text" },
		{ "a.p12", "is no PEM text" },
		{ "cut.pem", "is cut off" },
		{ "odd.pem", "is damaged" },
		{ "broken.pem", "cannot be read" },
		{ "a.pub", "holds no private key" },
	};
	struct secret jwt = { NULL, 0 };
	struct err err;
	size_t i;

	for (i = 0; i < LENGTH(rows); i++) {
		err = ERR_EMPTY;
		check_int(make(rows[i].file, ASSERTION_PS256, NULL, &jwt, &err), -1);
		check_int(err.kind, ERR_USAGE);
		if (!check(strstr(err.cause, rows[i].cause) != NULL))
			printf("# %s: %s\n", rows[i].file, err.cause);
		check(jwt.text == NULL);
	}
	check_int(make("damaged.pem", ASSERTION_RS256, NULL, &jwt, &err), -1);
	check(strstr(err.cause, "is damaged: it makes no valid signature") != NULL);
	check_int(make("both.pem", ASSERTION_PS256, NULL, &jwt, &err), 0);
	secret_done(&jwt);
}

int
main(void)
{
	str_format(dir, sizeof(dir), "%s/assertion.XXXXXX", "/tmp");
	if (mkdtemp(dir) == NULL)
		abort();
	if (shell("command -v openssl") != 0) {
		check_skip("openssl is not there");
		return (check_done());
	}
	if (!check_int(shell(make_keys, dir), 0)) {
		printf("# see %s/log\n", dir);
		return (check_done());
	}
	test_signatures();
	test_words();
	test_thumbprint();
	test_refused();
	fd_remove_tree(dir, NULL);
	return (check_done());
}
