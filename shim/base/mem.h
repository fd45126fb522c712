#ifndef BASE_MEM_H
#define BASE_MEM_H

/*
 * mem -- the three kinds of memory: arena, growing buffer, scope-bound.
 *
 * Spec, facts and plan live in one arena until the process ends: parsers
 * allocate freely and free nothing.  A struct buf is a growing byte string,
 * always NUL-terminated beyond its length.  auto_free and friends release at
 * the end of the scope.  Running out of memory here ends the process with a
 * message and 125: nothing is allocated in a steady loop.
 */

#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

struct arena_block;
struct arena {
	struct arena_block *head;
};
#define ARENA_EMPTY	{ NULL }

/* Zeroed, aligned for any type; never NULL. */
void	*arena_alloc(struct arena *, size_t size);
char	*arena_strdup(struct arena *, const char *);
char	*arena_strndup(struct arena *, const char *, size_t len);
char	*arena_printf(struct arena *, const char *fmt, ...)
	    __attribute__((format(printf, 2, 3)));
/* Wipes and frees everything. */
void	 arena_done(struct arena *);

/* malloc/calloc/strdup that do not return NULL. */
void	*mem_alloc(size_t);
void	*mem_zalloc(size_t);
void	*mem_grow(void *, size_t);
char	*mem_strdup(const char *);

struct buf {
	char	*data;		/* NULL or NUL-terminated */
	size_t	 len, cap;
	size_t	 max;		/* 0: no bound; else buf_add fails beyond it */
};
#define BUF_EMPTY	{ NULL, 0, 0, 0 }

/* Return 0, or -1 when max would be passed (nothing is added then). */
int	buf_add(struct buf *, const void *, size_t);
int	buf_adds(struct buf *, const char *);
int	buf_addc(struct buf *, char);
int	buf_printf(struct buf *, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* "" when empty. */
const char *buf_str(const struct buf *);
void	buf_reset(struct buf *);	/* len 0, memory kept */
void	buf_done(struct buf *);		/* memory wiped and freed */

void	mem_free_ptr(void *);		/* *(void **)p */
void	mem_close_fd(int *);		/* close if >= 0 */
#define auto_free	__attribute__((cleanup(mem_free_ptr)))
#define auto_close	__attribute__((cleanup(mem_close_fd)))
#define auto_buf	__attribute__((cleanup(buf_done)))

#define LENGTH(a)	(sizeof(a) / sizeof((a)[0]))

/* snprintf into a sized buffer; -1 if it does not fit (buf then holds the cut text). */
int	str_format(char *buf, size_t size, const char *fmt, ...)
	    __attribute__((format(printf, 3, 4)));
int	str_starts(const char *s, const char *prefix);
int	str_ends(const char *s, const char *suffix);
/* 1: one of its bytes is a control character (ASCII). */
int	str_has_control(const char *s);
/* The length without the blanks and line breaks at its end. */
size_t	str_trim_end(const char *s, size_t len);
/* ASCII case-insensitive equality; skip_underscores also ignores '_' (Azure's enum names). */
int	str_same(const char *, const char *);
int	str_same_loose(const char *, const char *);
/* A decimal number in [min, max] and nothing else; 0 or -1. */
int	str_to_i64(const char *, long long min, long long max, long long *ret);
/* "1.2 GiB"; lives in buf. */
const char *str_bytes(long long bytes, char buf[24]);
/* 1: visible ASCII alone, no blank, at least one: fit for a header, as tokens and keys are. */
int	str_is_visible(const char *, size_t len);
/* 8-4-4-4-12 hexadecimal digits. */
int	str_is_guid(const char *);
/*
 * Bytes of the UTF-8 character at s (1 to 4, of at most len), or 0 where it is
 * not valid (RFC 3629) or is a control character that a terminal would obey.
 */
size_t	str_utf8_printable(const char *s, size_t len);

#endif
