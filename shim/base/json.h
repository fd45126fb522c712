#ifndef BASE_JSON_H
#define BASE_JSON_H

/*
 * json -- read answers, write reports.  The only user of cJSON.
 *
 * Reading: json_parse makes a tree; pointers into it live until json_free.
 * Input is bounded by its length, nesting by JSON_DEPTH_MAX.
 * Writing: struct json_out appends to a buf; the caller balances begin/end.
 */

#include <stddef.h>
#include <stdint.h>

#include "base/mem.h"

#define JSON_DEPTH_MAX	64

struct json;				/* a value; opaque */

/*
 * NULL if the text is not one JSON value (trailing white space is fine), or
 * has a string with a NUL: C would see another string than the sender.
 */
struct json *json_parse(const char *text, size_t len);
void	json_free(struct json *);	/* wipes strings (they can be tokens) */

/* A member of an object (exact case), or NULL.  NULL in, NULL out. */
const struct json *json_get(const struct json *, const char *key);
const struct json *json_first(const struct json *);	/* of array or object */
const struct json *json_next(const struct json *);
const char *json_key(const struct json *);		/* of a member; NULL else */
const char *json_string(const struct json *);		/* NULL if it is no string */
/* A whole number within 2^53, or a string that holds an int64 in decimal; -1 otherwise. */
int	json_int(const struct json *, int64_t *ret);
int	json_bool(const struct json *, int *ret);
enum json_type { JSON_NULL, JSON_BOOL, JSON_NUMBER, JSON_STRING, JSON_ARRAY, JSON_OBJECT };
enum json_type json_type(const struct json *);
double	json_double(const struct json *);

struct json_out {
	struct buf	*to;
	int		 depth;
	int		 pretty;	/* two-space indentation */
	unsigned char	 used[32];	/* something was written at this depth */
	int		 after_key;
};
void	json_out_init(struct json_out *, struct buf *to, int pretty);
void	json_out_begin(struct json_out *, char bracket);	/* '{' or '[' */
void	json_out_end(struct json_out *, char bracket);		/* '}' or ']' */
void	json_out_key(struct json_out *, const char *);
void	json_out_string(struct json_out *, const char *);	/* NULL: null */
void	json_out_int(struct json_out *, int64_t);
void	json_out_bool(struct json_out *, int);
/* key + value in one. */
void	json_out_kstring(struct json_out *, const char *key, const char *);
void	json_out_kint(struct json_out *, const char *key, int64_t);
void	json_out_kbool(struct json_out *, const char *key, int);
/*
 * The character at *text as it stands inside a JSON string; moves *text behind
 * it and returns the bytes written (no NUL).  Bytes that are no UTF-8 become
 * U+FFFD.
 */
#define JSON_ESCAPE_SIZE	8
size_t	json_escape_char(const char **text, char out[JSON_ESCAPE_SIZE]);

#endif
