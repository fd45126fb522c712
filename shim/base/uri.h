#ifndef BASE_URI_H
#define BASE_URI_H

/*
 * uri -- URLs and the encodings that ride on them.
 *
 * Percent-encoding: unreserved characters (RFC 3986) stay, all else becomes
 * %XX in upper case; '/' stays when asked.  Names are encoded once and the
 * encoded path is what is signed and sent.
 */

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/mem.h"

struct uri {
	char	*scheme;	/* lower case */
	char	*user;		/* "" if none: CONTAINER of abfss://CONTAINER@HOST */
	char	*host;		/* lower case; [..] kept for IPv6 */
	int	 port;		/* 0: none given */
	char	*path;		/* still encoded, starts with '/' or is "" */
	char	*query;		/* still encoded, without '?'; "" if none */
};

/*
 * -1: not SCHEME://HOST...; control characters, spaces and a fragment are
 * refused ('#' in a name is written %23).
 */
int	uri_parse(struct uri *, const char *text, struct arena *);
/* 1: an IP address, "localhost" or a name without a dot: account is the first path segment. */
int	uri_is_path_style_host(const char *host);
int	uri_is_loopback_host(const char *host);

int	uri_encode(struct buf *, const char *text, size_t len, int keep_slash);
/* NAME=VALUE of a form or query, behind a '&' unless it is the first; the value is encoded. */
void	uri_add_field(struct buf *, const char *name, const char *value);
/* In place; returns the new length or -1 on a bad escape or a NUL byte. */
ssize_t	uri_decode(char *text);
/* The value of name in an encoded query string, decoded; NULL if absent. */
char	*uri_query_get(const char *query, const char *name, struct arena *);

/*
 * Standard base64 with padding; url: base64url without (decode takes either).
 * decode: out may equal in; -1 if invalid or out is too small.
 */
int	base64_encode(struct buf *, const void *, size_t);
int	base64url_encode(struct buf *, const void *, size_t);
ssize_t	base64_decode(unsigned char *out, size_t out_size, const char *text, size_t len);
ssize_t	base64url_decode(unsigned char *out, size_t out_size, const char *text, size_t len);

/* 64-bit FNV-1a: stable hash of names. */
uint64_t hash_bytes(const void *, size_t);

#endif
