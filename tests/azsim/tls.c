#include "tls.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <bearssl.h>

#include "base/fd.h"
#include "base/mem.h"

#define PEM_MAX		65536
#define CHAIN_MAX	8
#define CACHE_BYTES	(256 * 1024)	/* about 100 bytes a session */

struct tls_server {
	br_x509_certificate chain[CHAIN_MAX];
	size_t	 nchain;
	unsigned issuer_key_type;
	br_skey_decoder_context key;
	/* BearSSL's cache is not for threads: the class below takes lock around it. */
	const br_ssl_session_cache_class *cache_vtable;
	pthread_mutex_t lock;
	br_ssl_session_cache_lru cache;
	unsigned char cache_bytes[CACHE_BYTES];
};

struct tls_conn {
	int	 fd;
	br_ssl_server_context ssl;
	unsigned char io[BR_SSL_BUFSIZE_BIDI];
};

static struct tls_server *
server_of(const br_ssl_session_cache_class **vtable)
{
	char *p = (char *)(uintptr_t)vtable;

	return ((struct tls_server *)(void *)(p - offsetof(struct tls_server, cache_vtable)));
}

static void
cache_save(const br_ssl_session_cache_class **vtable, br_ssl_server_context *ssl,
    const br_ssl_session_parameters *session)
{
	struct tls_server *s = server_of(vtable);

	pthread_mutex_lock(&s->lock);
	s->cache.vtable->save(&s->cache.vtable, ssl, session);
	pthread_mutex_unlock(&s->lock);
}

static int
cache_load(const br_ssl_session_cache_class **vtable, br_ssl_server_context *ssl,
    br_ssl_session_parameters *session)
{
	struct tls_server *s = server_of(vtable);
	int found;

	pthread_mutex_lock(&s->lock);
	found = s->cache.vtable->load(&s->cache.vtable, ssl, session);
	pthread_mutex_unlock(&s->lock);
	return (found);
}

static const br_ssl_session_cache_class cache_class = {
	sizeof(struct tls_server), cache_save, cache_load
};

static void
append(void *arg, const void *data, size_t len)
{
	buf_add(arg, data, len);
}

static void
feed_key(void *arg, const void *data, size_t len)
{
	br_skey_decoder_push(arg, data, len);
}

static void
add_certificate(struct tls_server *s, struct buf *der)
{
	br_x509_certificate *c;

	if (s->nchain == CHAIN_MAX || der->len == 0)
		return;
	c = &s->chain[s->nchain++];
	c->data = (unsigned char *)der->data;
	c->data_len = der->len;
	*der = (struct buf)BUF_EMPTY;		/* the chain has it now, for good */
}

/* Calls for each object of the file whose label ends in suffix. */
static int
read_pem(struct tls_server *s, const char *file, const char *suffix, struct err *err)
{
	auto_buf struct buf text = BUF_EMPTY, der = BUF_EMPTY;
	int is_key = strcmp(suffix, "PRIVATE KEY") == 0, wanted = 0, found = 0;
	br_pem_decoder_context pem;
	size_t at = 0;

	if (fd_read_file(file, PEM_MAX, &text, err) != 0)
		return (-1);
	buf_addc(&text, '\n');
	br_pem_decoder_init(&pem);
	while (at < text.len) {
		at += br_pem_decoder_push(&pem, text.data + at, text.len - at);
		switch (br_pem_decoder_event(&pem)) {
		case BR_PEM_BEGIN_OBJ:
			wanted = str_ends(br_pem_decoder_name(&pem), suffix);
			buf_reset(&der);
			if (wanted && is_key)
				br_pem_decoder_setdest(&pem, feed_key, &s->key);
			else
				br_pem_decoder_setdest(&pem, append, &der);
			break;
		case BR_PEM_END_OBJ:
			found += wanted;
			if (wanted && !is_key)
				add_certificate(s, &der);
			break;
		case BR_PEM_ERROR:
			return (err_set(err, ERR_USAGE, REMEDY_NONE, "read PEM", "%s: bad PEM",
			    file));
		}
	}
	if (found == 0)
		return (err_set(err, ERR_USAGE, REMEDY_NONE, "read PEM", "%s: no %s in it", file,
		    suffix));
	return (0);
}

static unsigned
issuer_key_type(const br_x509_certificate *c)
{
	br_x509_decoder_context x;

	br_x509_decoder_init(&x, NULL, NULL);
	br_x509_decoder_push(&x, c->data, c->data_len);
	return ((unsigned)br_x509_decoder_get_signer_key_type(&x));
}

struct tls_server *
tls_server_new(const char *cert_file, const char *key_file, struct err *err)
{
	struct tls_server *s = mem_zalloc(sizeof(*s));

	br_skey_decoder_init(&s->key);
	if (read_pem(s, cert_file, "CERTIFICATE", err) != 0 ||
	    read_pem(s, key_file, "PRIVATE KEY", err) != 0) {
		free(s);
		return (NULL);
	}
	if (br_skey_decoder_last_error(&s->key) != 0) {
		err_set(err, ERR_USAGE, REMEDY_NONE, "read the key", "%s: error %d of BearSSL",
		    key_file, br_skey_decoder_last_error(&s->key));
		free(s);
		return (NULL);
	}
	s->issuer_key_type = issuer_key_type(&s->chain[0]);
	s->cache_vtable = &cache_class;
	pthread_mutex_init(&s->lock, NULL);
	br_ssl_session_cache_lru_init(&s->cache, s->cache_bytes, sizeof(s->cache_bytes));
	return (s);
}

struct tls_conn *
tls_conn_new(struct tls_server *s, int fd)
{
	static const uint16_t suites[] = {
		BR_TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
		BR_TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
		BR_TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
		BR_TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
		BR_TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
		BR_TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
	};
	static const char *protocols[] = { "http/1.1" };
	struct tls_conn *c = mem_zalloc(sizeof(*c));

	c->fd = fd;
	if (br_skey_decoder_key_type(&s->key) == BR_KEYTYPE_RSA)
		br_ssl_server_init_full_rsa(&c->ssl, s->chain, s->nchain,
		    br_skey_decoder_get_rsa(&s->key));
	else
		br_ssl_server_init_full_ec(&c->ssl, s->chain, s->nchain, s->issuer_key_type,
		    br_skey_decoder_get_ec(&s->key));
	br_ssl_engine_set_versions(&c->ssl.eng, BR_TLS12, BR_TLS12);
	br_ssl_engine_set_suites(&c->ssl.eng, suites, LENGTH(suites));
	br_ssl_engine_add_flags(&c->ssl.eng, BR_OPT_ENFORCE_SERVER_PREFERENCES |
	    BR_OPT_NO_RENEGOTIATION);
	br_ssl_engine_set_protocol_names(&c->ssl.eng, protocols, LENGTH(protocols));
	br_ssl_server_set_cache(&c->ssl, &s->cache_vtable);
	br_ssl_engine_set_buffer(&c->ssl.eng, c->io, sizeof(c->io), 1);
	if (!br_ssl_server_reset(&c->ssl)) {
		free(c);
		return (NULL);
	}
	return (c);
}

void
tls_conn_free(struct tls_conn *c)
{
	free(c);
}

static int
send_records(struct tls_conn *c)
{
	size_t len;
	unsigned char *record = br_ssl_engine_sendrec_buf(&c->ssl.eng, &len);
	ssize_t n;

	do
		n = send(c->fd, record, len, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	if (n <= 0)
		return (-1);
	br_ssl_engine_sendrec_ack(&c->ssl.eng, (size_t)n);
	return (0);
}

static int
recv_records(struct tls_conn *c)
{
	size_t len;
	unsigned char *record = br_ssl_engine_recvrec_buf(&c->ssl.eng, &len);
	ssize_t n;

	do
		n = recv(c->fd, record, len, 0);
	while (n < 0 && errno == EINTR);
	if (n <= 0)
		return (-1);
	br_ssl_engine_recvrec_ack(&c->ssl.eng, (size_t)n);
	return (0);
}

/* Moves records until the engine is in the wanted state: 1; 0: closed; -1: error. */
static int
run_until(struct tls_conn *c, unsigned wanted)
{
	for (;;) {
		unsigned state = br_ssl_engine_current_state(&c->ssl.eng);

		if (state & BR_SSL_CLOSED)
			return (br_ssl_engine_last_error(&c->ssl.eng) == BR_ERR_OK ? 0 : -1);
		if (state & BR_SSL_SENDREC) {
			if (send_records(c) != 0)
				return (-1);
			continue;
		}
		if (state & wanted)
			return (1);
		if ((state & BR_SSL_RECVREC) == 0)
			return (-1);	/* data that nobody reads is in the way */
		if (recv_records(c) != 0)
			return (-1);
	}
}

ssize_t
tls_recv(struct tls_conn *c, void *out, size_t size)
{
	unsigned char *data;
	size_t len;
	int state = run_until(c, BR_SSL_RECVAPP);

	if (state <= 0)
		return (state);
	data = br_ssl_engine_recvapp_buf(&c->ssl.eng, &len);
	if (len > size)
		len = size;
	memcpy(out, data, len);
	br_ssl_engine_recvapp_ack(&c->ssl.eng, len);
	return ((ssize_t)len);
}

static int
flush_records(struct tls_conn *c)
{
	br_ssl_engine_flush(&c->ssl.eng, 0);
	while (br_ssl_engine_current_state(&c->ssl.eng) & BR_SSL_SENDREC)
		if (send_records(c) != 0)
			return (-1);
	return (0);
}

int
tls_send(struct tls_conn *c, const void *data, size_t len, int more)
{
	const char *p = data;

	while (len > 0) {
		unsigned char *room;
		size_t n;

		if (run_until(c, BR_SSL_SENDAPP) != 1)
			return (-1);
		room = br_ssl_engine_sendapp_buf(&c->ssl.eng, &n);
		if (n > len)
			n = len;
		memcpy(room, p, n);
		br_ssl_engine_sendapp_ack(&c->ssl.eng, n);
		p += n;
		len -= n;
	}
	return (more ? 0 : flush_records(c));
}

int
tls_send_file(struct tls_conn *c, int fd, int64_t offset, int64_t len, int more)
{
	while (len > 0) {
		unsigned char *room;
		size_t n;

		if (run_until(c, BR_SSL_SENDAPP) != 1)
			return (-1);
		room = br_ssl_engine_sendapp_buf(&c->ssl.eng, &n);
		if ((int64_t)n > len)
			n = (size_t)len;
		if (fd_pread_full(fd, room, n, offset) != (ssize_t)n)
			return (-1);
		br_ssl_engine_sendapp_ack(&c->ssl.eng, n);
		offset += (int64_t)n;
		len -= (int64_t)n;
	}
	return (more ? 0 : flush_records(c));
}

void
tls_close(struct tls_conn *c)
{
	if (br_ssl_engine_current_state(&c->ssl.eng) & BR_SSL_CLOSED)
		return;
	br_ssl_engine_close(&c->ssl.eng);
	while (br_ssl_engine_current_state(&c->ssl.eng) & BR_SSL_SENDREC)
		if (send_records(c) != 0)
			return;
}
