#ifndef BASE_XML_H
#define BASE_XML_H

/*
 * xml -- stream an XML answer as (path, text) events.  The only user of expat.
 *
 * Used for Blob listings and error bodies.  Document types and entities other
 * than the five and numeric ones are refused; depth, name and text lengths are
 * bounded.  Feed chunks as they arrive; a byte order mark is fine.
 */

#include <stddef.h>

#include "base/err.h"

#define XML_DEPTH_MAX	16
#define XML_TEXT_MAX	65536

struct xml;

struct xml_handler {
	/* Attributes as name, value, ..., NULL.  Names have no namespace prefix. */
	void	(*begin)(void *arg, const char *name, const char **attributes);
	/* text: everything between begin and end of an element without children. */
	void	(*end)(void *arg, const char *name, const char *text, size_t len);
};

struct xml *xml_new(const struct xml_handler *, void *arg);	/* handler borrowed */
/* final: no more will come.  -1: not well-formed, or a bound was passed. */
int	xml_feed(struct xml *, const char *, size_t len, int final, struct err *);
void	xml_free(struct xml *);

#endif
