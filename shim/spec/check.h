#ifndef SPEC_CHECK_H
#define SPEC_CHECK_H

/*
 * check -- reads objects whose fields are known, and complains with their place.
 *
 * Inside spec/ only.  A reader carries what every complaint needs; an object is
 * a map with a table of the names it may have.  Opening it adds remarks for
 * names that are unknown or of no use here; getting a field checks its type.
 * A field that is null counts as absent, as in Azure ML.
 */

#include "spec/spec.h"
#include "spec/yaml.h"

struct reader {
	const char	*file;
	struct arena	*arena;		/* what the spec keeps */
	struct arena	*scratch;	/* nodes and paths; wiped when loading ends */
	struct spec	*spec;		/* gets the remarks */
	struct err	*err;
	int		 arm;		/* names as ARM spells them, case and '_' ignored */
	int		 bindings;	/* that are being followed */
	size_t		 copied;	/* bytes of text kept so far, see reader_charge */
};

struct field {
	const char	*name;		/* in YAML */
	const char	*arm;		/* in ARM JSON, if it differs by more than case and '_' */
	int		 used;		/* 0: Azure ML knows it, we do not read it */
};

struct object {
	struct reader	*r;
	const struct yaml_node *node;
	const char	*path;		/* "inputs.data"; "" for the whole text */
	const struct field *fields;
	size_t		 nfields;
};

/* fails: node is no map. */
int	object_open(struct object *ret, struct reader *, const struct yaml_node *,
	    const char *path, const struct field *, size_t nfields);

/* The value of a field of the table; NULL if absent or null. */
const struct yaml_node *object_find(const struct object *, const char *name);
/* "inputs.data.mode", as the text spells it. */
const char *object_path(const struct object *, const char *name);
/* Absent: *ret is NULL.  The text is a copy in the spec's arena. */
int	object_string(const struct object *, const char *name, const char **ret);
/* As object_string; absent or empty is a complaint. */
int	object_need_string(const struct object *, const char *name, const char **ret);
/* Absent: *ret is left alone. */
int	object_bool(const struct object *, const char *name, int *ret);
/* A GUID in lower or upper case; absent: NULL. */
int	object_guid(const struct object *, const char *name, const char **ret);

/* Complaints; all return -1.  field NULL: the object itself. */
int	object_fail(const struct object *, const char *name, const char *fmt, ...)
	    __attribute__((format(printf, 3, 4)));
int	object_missing(const struct object *, const char *name);
int	reader_fail(struct reader *, const struct yaml_node *at, const char *path,
	    const char *fmt, ...) __attribute__((format(printf, 4, 5)));
int	reader_wrong_type(struct reader *, const struct yaml_node *at, const char *path,
	    const char *expected);

/* Bounds what aliases and bindings can copy of one text over and over.  -1: too much. */
int	reader_charge(struct reader *, const struct yaml_node *at, const char *path, size_t len);
/* A string; anything else is a complaint. */
int	reader_string(struct reader *, const struct yaml_node *, const char *path,
	    const char **ret);
void	reader_remark(struct reader *, enum spec_remark_kind, const struct yaml_node *at,
	    const char *fmt, ...) __attribute__((format(printf, 4, 5)));
struct spec_at	reader_at(const struct reader *, const struct yaml_node *);
/* "parent.name", printable. */
const char *reader_path(struct reader *, const char *parent, const char *name);

/* The name in the table nearest to a misspelt one, or NULL. */
const char *check_nearest(const char *word, const struct field *, size_t n);
/* [A-Za-z_][A-Za-z0-9_]*, dotted ones too if allowed; at most 255 bytes. */
int	check_is_name(const char *, int dots);

/*
 * A growing array in an arena: call before writing element n.
 * Powers of two, so old copies cost at most as much again.
 */
void	*check_grow(struct arena *, void *old, size_t n, size_t element_size);
#define CHECK_GROW(arena, array, n)	((array) = check_grow((arena), (array), (n), \
	    sizeof(*(array))))

#endif
