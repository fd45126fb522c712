#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/mem.h"
#include "base/secret.h"
#include "base/secret_mem.h"

/* An empty secret with room for len bytes and a NUL. */
static int
make(struct secret *s, size_t len, struct err *err)
{
	if (len > SECRET_MAX) {
		err_set(err, ERR_PROTOCOL, REMEDY_NONE, "keep a secret",
		    "it has %zu bytes, more than %d", len, SECRET_MAX);
		return (-1);
	}
	s->text = secret_mem_new(len + 1);
	if (s->text == NULL) {
		err_errno(err, "keep a secret", NULL);
		return (-1);
	}
	s->len = len;
	return (0);
}

int
secret_set(struct secret *s, const char *text, size_t len, struct err *err)
{
	struct secret new = { 0 };

	if (make(&new, len, err) != 0)
		return (-1);
	if (len > 0)
		memcpy(new.text, text, len);
	if (strlen(new.text) != len) {
		secret_done(&new);
		return (err_set(err, ERR_PROTOCOL, REMEDY_NONE, "keep a secret",
		    "it has a NUL byte"));
	}
	secret_done(s);
	*s = new;
	return (0);
}

int
secret_copy(struct secret *s, const struct secret *from, struct err *err)
{
	return (secret_set(s, from->text, from->len, err));
}

void
secret_done(struct secret *s)
{
	secret_mem_free(s->text, s->len + 1);
	s->text = NULL;
	s->len = 0;
}

void
secret_wipe(void *memory, size_t size)
{
	if (size > 0)
		explicit_bzero(memory, size);
}

void
secret_free(void *memory)
{
	if (memory != NULL)
		secret_wipe(memory, malloc_usable_size(memory));
	free(memory);
}

void *
secret_grow(void *memory, size_t size)
{
	size_t have = memory != NULL ? malloc_usable_size(memory) : 0;
	void *new;

	if (memory != NULL && size <= have)
		return (memory);
	new = mem_alloc(size);
	if (have != 0)
		memcpy(new, memory, have);
	secret_free(memory);
	return (new);
}

int
secret_equal(const struct secret *s, const char *text, size_t len)
{
	unsigned char differ = 0;
	size_t i;

	if (s->len != len)
		return (0);
	for (i = 0; i < len; i++)
		differ |= (unsigned char)(s->text[i] ^ text[i]);
	return (differ == 0);
}

int
secret_in_text(const char *text)
{
	return (strstr(text, "eyJ") != NULL);
}

int
secret_random_bytes(void *to, size_t bytes, struct err *err)
{
	unsigned char *raw = to;
	size_t done;
	ssize_t n;

	for (done = 0; done < bytes; done += (size_t)n) {
		n = getrandom(raw + done, bytes - done, 0);
		if (n < 0 && errno == EINTR)
			n = 0;
		else if (n <= 0)
			return (err_errno(err, "get random bytes", NULL));
	}
	return (0);
}

int
secret_random_hex(struct secret *s, size_t bytes, struct err *err)
{
	static const char digits[] = "0123456789abcdef";
	struct secret new = { 0 };
	unsigned char *raw;
	size_t i;

	if (make(&new, bytes > SECRET_MAX ? bytes : 2 * bytes, err) != 0)
		return (-1);
	raw = (unsigned char *)new.text + bytes;	/* the half that is written last */
	if (secret_random_bytes(raw, bytes, err) != 0) {
		secret_done(&new);
		return (-1);
	}
	for (i = 0; i < bytes; i++) {
		unsigned char byte = raw[i];

		new.text[2 * i] = digits[byte >> 4];
		new.text[2 * i + 1] = digits[byte & 15];
	}
	secret_done(s);
	*s = new;
	return (0);
}
