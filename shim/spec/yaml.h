#ifndef SPEC_YAML_H
#define SPEC_YAML_H

/*
 * yaml -- a text as nodes that know where they stand.
 *
 * YAML 1.1/1.2 as libyaml reads it (the only user of <yaml.h>), and JSON: it is
 * flow YAML but for a few escapes, so a text in braces that libyaml refuses is
 * tried once more as strict JSON.  Merge keys (<<) are applied.  Refused, with
 * line and column: duplicate keys, keys that are not scalars, aliases to a node
 * that contains them, unknown tags, NUL characters, and everything beyond the
 * bounds below (aliases count as what they stand for).  What the nodes mean is
 * not known here.
 *
 * Scalar types are those of the YAML 1.2 core schema (yaml.org/spec/1.2.2,
 * 10.3.2); quoted and block scalars are strings.
 */

#include <stddef.h>

#include "base/err.h"
#include "base/mem.h"

#define YAML_DEPTH_MAX		64
#define YAML_NODES_MAX		200000	/* of one text, aliases and merges expanded */
#define YAML_ANCHORS_MAX	1000

enum yaml_kind { YAML_KIND_SCALAR, YAML_KIND_LIST, YAML_KIND_MAP };

enum yaml_scalar { YAML_IS_NULL, YAML_IS_BOOL, YAML_IS_INT, YAML_IS_FLOAT, YAML_IS_STRING };

struct yaml_node {
	enum yaml_kind	  kind;
	enum yaml_scalar  scalar;	/* of a scalar */
	int		  quoted;	/* not plain: "x", 'x', |, >, !!str x */
	int		  line, column;	/* from 1; column in characters */
	char		 *text;		/* of a scalar: NUL-terminated, no NUL inside */
	size_t		  len;
	struct yaml_node **keys;	/* of a map: scalars */
	struct yaml_node **values;	/* of a map or list */
	size_t		  n;		/* of a map or list */
	int		  height;	/* lists and objects nested in each other; a scalar: 0 */
	size_t		  weight;	/* nodes in it, aliases expanded; 0 while it is read */
};

struct yaml_docs {		/* the documents of a stream; empty ones are null scalars */
	struct yaml_node **docs;
	size_t		  n;
};

/*
 * fails    ERR_USAGE, resource "FILE:LINE:COLUMN", cause what is wrong there;
 *          never holds a value of the text
 * owns     nodes live in the arena; they may share children
 */
int	yaml_parse(struct yaml_docs *ret, const char *file, const char *text, size_t len,
	    struct arena *, struct err *);

/* The value of key in a map; NULL if absent or not a map. */
const struct yaml_node *yaml_get(const struct yaml_node *, const char *key);
int	yaml_is_null(const struct yaml_node *);		/* NULL counts */
/* "a list", "an object", "an integer", ...: for messages. */
const char *yaml_what(const struct yaml_node *);
/* The core schema's type of a plain scalar. */
enum yaml_scalar yaml_plain_type(const char *);

/* Fill err: ERR_USAGE, resource "FILE:LINE:COLUMN[: FIELD]".  field "" or NULL: none. */
int	yaml_err(struct err *, const char *file, int line, int column, const char *field,
	    const char *cause_fmt, ...) __attribute__((format(printf, 6, 7)));
/* A word of the text fit for one line of a message: no control characters, cut. */
const char *yaml_show(const char *, struct arena *);

#endif
