#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/secret.h"

#define ARENA_BLOCK	16384
#define BUF_FIRST	64

struct arena_block {
	struct arena_block *next;
	size_t	size, used;
	max_align_t data[];
};

static void __attribute__((noreturn))
out_of_memory(void)
{
	static const char text[] = "amlshim error out of memory; give the container more\n";

	if (write(STDERR_FILENO, text, sizeof(text) - 1) < 0)
		_exit(125);	/* nothing else can be told */
	_exit(125);
}

static size_t
add_size(size_t a, size_t b)
{
	if (a > SIZE_MAX / 2 || b > SIZE_MAX / 2)
		out_of_memory();
	return (a + b);
}

void *
mem_alloc(size_t size)
{
	void *p = malloc(size > 0 ? size : 1);

	if (p == NULL)
		out_of_memory();
	return (p);
}

void *
mem_zalloc(size_t size)
{
	void *p = calloc(1, size > 0 ? size : 1);

	if (p == NULL)
		out_of_memory();
	return (p);
}

void *
mem_grow(void *old, size_t size)
{
	void *p = realloc(old, size > 0 ? size : 1);

	if (p == NULL)
		out_of_memory();
	return (p);
}

char *
mem_strdup(const char *s)
{
	size_t size = strlen(s) + 1;

	return (memcpy(mem_alloc(size), s, size));
}

void *
arena_alloc(struct arena *a, size_t size)
{
	struct arena_block *b = a->head;
	size_t align = _Alignof(max_align_t);
	void *p;

	size = add_size(size, align - 1) / align * align;
	if (b == NULL || b->size - b->used < size) {
		size_t room = size > ARENA_BLOCK ? size : ARENA_BLOCK;

		b = mem_zalloc(add_size(sizeof(*b), room));
		b->size = room;
		b->next = a->head;
		a->head = b;
	}
	p = (char *)b->data + b->used;
	b->used += size;
	return (p);
}

char *
arena_strndup(struct arena *a, const char *s, size_t len)
{
	char *p = arena_alloc(a, add_size(len, 1));

	if (len > 0)
		memcpy(p, s, len);
	return (p);
}

char *
arena_strdup(struct arena *a, const char *s)
{
	return (arena_strndup(a, s, strlen(s)));
}

char *
arena_printf(struct arena *a, const char *fmt, ...)
{
	va_list ap;
	char *p;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n < 0)
		out_of_memory();
	p = arena_alloc(a, (size_t)n + 1);
	va_start(ap, fmt);
	vsnprintf(p, (size_t)n + 1, fmt, ap);
	va_end(ap);
	return (p);
}

void
arena_done(struct arena *a)
{
	struct arena_block *b, *next;

	for (b = a->head; b != NULL; b = next) {
		next = b->next;
		secret_wipe(b->data, b->used);
		free(b);
	}
	a->head = NULL;
}

/* Room for extra bytes and a NUL.  The old memory is wiped: it can hold a token. */
static int
buf_reserve(struct buf *b, size_t extra)
{
	size_t need = add_size(add_size(b->len, extra), 1);
	size_t cap = b->cap > 0 ? b->cap : BUF_FIRST;
	char *data;

	if (b->max != 0 && need - 1 > b->max)
		return (-1);
	if (need <= b->cap)
		return (0);
	while (cap < need)
		cap = add_size(cap, cap);
	data = mem_alloc(cap);
	if (b->data != NULL) {
		memcpy(data, b->data, b->len + 1);
		secret_wipe(b->data, b->cap);
		free(b->data);
	}
	b->data = data;
	b->cap = cap;
	return (0);
}

int
buf_add(struct buf *b, const void *bytes, size_t n)
{
	if (buf_reserve(b, n) != 0)
		return (-1);
	if (n > 0)
		memcpy(b->data + b->len, bytes, n);
	b->len += n;
	b->data[b->len] = '\0';
	return (0);
}

int
buf_adds(struct buf *b, const char *s)
{
	return (buf_add(b, s, strlen(s)));
}

int
buf_addc(struct buf *b, char c)
{
	return (buf_add(b, &c, 1));
}

int
buf_printf(struct buf *b, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n < 0 || buf_reserve(b, (size_t)n) != 0)
		return (-1);
	va_start(ap, fmt);
	vsnprintf(b->data + b->len, (size_t)n + 1, fmt, ap);
	va_end(ap);
	b->len += (size_t)n;
	return (0);
}

const char *
buf_str(const struct buf *b)
{
	return (b->data != NULL ? b->data : "");
}

void
buf_reset(struct buf *b)
{
	b->len = 0;
	if (b->data != NULL)
		b->data[0] = '\0';
}

void
buf_done(struct buf *b)
{
	if (b->data != NULL) {
		secret_wipe(b->data, b->cap);
		free(b->data);
	}
	b->data = NULL;
	b->len = b->cap = 0;
}

void
mem_free_ptr(void *p)
{
	void *memory;

	memcpy(&memory, p, sizeof(memory));
	free(memory);
}

void
mem_close_fd(int *fd)
{
	int saved = errno;

	if (*fd >= 0)
		close(*fd);
	*fd = -1;
	errno = saved;
}

int
str_format(char *buf, size_t size, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(buf, size, fmt, ap);
	va_end(ap);
	return (n >= 0 && (size_t)n < size ? 0 : -1);
}

int
str_starts(const char *s, const char *prefix)
{
	return (strncmp(s, prefix, strlen(prefix)) == 0);
}

int
str_ends(const char *s, const char *suffix)
{
	size_t n = strlen(s), m = strlen(suffix);

	return (n >= m && memcmp(s + n - m, suffix, m) == 0);
}

/* The locale has no say in what Azure's names mean. */
static int
lower(char c)
{
	return (c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : (unsigned char)c);
}

int
str_same(const char *a, const char *b)
{
	while (*a != '\0' && lower(*a) == lower(*b))
		a++, b++;
	return (*a == '\0' && *b == '\0');
}

int
str_same_loose(const char *a, const char *b)
{
	for (;;) {
		while (*a == '_')
			a++;
		while (*b == '_')
			b++;
		if (lower(*a) != lower(*b))
			return (0);
		if (*a == '\0')
			return (1);
		a++, b++;
	}
}

int
str_to_i64(const char *s, long long min, long long max, long long *ret)
{
	int negative = *s == '-';
	long long v = 0;

	s += negative;
	if (*s == '\0')
		return (-1);
	for (; *s != '\0'; s++) {
		if (*s < '0' || *s > '9' || __builtin_mul_overflow(v, 10, &v) ||
		    (negative ? __builtin_sub_overflow(v, *s - '0', &v) :
		    __builtin_add_overflow(v, *s - '0', &v)))
			return (-1);
	}
	if (v < min || v > max)
		return (-1);
	*ret = v;
	return (0);
}

int
str_has_control(const char *s)
{
	for (; *s != '\0'; s++)
		if ((unsigned char)*s < 0x20 || *s == 0x7f)
			return (1);
	return (0);
}

size_t
str_trim_end(const char *s, size_t len)
{
	while (len > 0 && s[len - 1] != '\0' && strchr(" \t\r\n", s[len - 1]) != NULL)
		len--;
	return (len);
}

int
str_is_visible(const char *s, size_t len)
{
	size_t i;

	for (i = 0; i < len && (unsigned char)s[i] > ' ' && (unsigned char)s[i] < 0x7f; i++)
		continue;
	return (len > 0 && i == len);
}

int
str_is_guid(const char *s)
{
	size_t i;

	for (i = 0; i < 36; i++) {
		int c = lower(s[i]);

		if (i == 8 || i == 13 || i == 18 || i == 23) {
			if (c != '-')
				return (0);
		} else if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f')))
			return (0);
	}
	return (s[36] == '\0');
}

const char *
str_bytes(long long bytes, char buf[24])
{
	static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB" };
	double value = (double)bytes;
	size_t unit = 0;

	while (value >= 1024 && unit + 1 < LENGTH(units)) {
		value /= 1024;
		unit++;
	}
	str_format(buf, 24, unit == 0 ? "%.0f %s" : "%.1f %s", value, units[unit]);
	return (buf);
}

size_t
str_utf8_printable(const char *s, size_t len)
{
	const unsigned char *u = (const unsigned char *)s;
	size_t n, i;

	if (len == 0 || u[0] < 0x20 || u[0] == 0x7f)
		return (0);
	if (u[0] < 0x80)
		return (1);
	n = u[0] >= 0xf0 ? 4 : u[0] >= 0xe0 ? 3 : 2;
	if (u[0] < 0xc2 || u[0] > 0xf4 || len < n)
		return (0);
	for (i = 1; i < n; i++)
		if ((u[i] & 0xc0) != 0x80)
			return (0);
	/* C1 controls, overlong forms, surrogates, beyond U+10FFFF. */
	if ((u[0] == 0xc2 && u[1] < 0xa0) || (u[0] == 0xe0 && u[1] < 0xa0) ||
	    (u[0] == 0xed && u[1] > 0x9f) || (u[0] == 0xf0 && u[1] < 0x90) ||
	    (u[0] == 0xf4 && u[1] > 0x8f))
		return (0);
	return (n);
}
