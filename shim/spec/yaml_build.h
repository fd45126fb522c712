#ifndef SPEC_YAML_BUILD_H
#define SPEC_YAML_BUILD_H

/*
 * yaml_build -- makes nodes within the bounds of yaml.h; shared by the two
 * readers, libyaml's events (yaml.c) and strict JSON (yaml_json.c).
 */

#include "spec/yaml.h"

struct yaml_builder {
	const char	*file;
	struct arena	*arena;
	struct err	*err;
	size_t		 nodes;		/* made so far, aliases counted as expanded */
	int		 not_json;	/* strict JSON was tried: the text is none */
};

struct yaml_children {		/* of a collection that is being read */
	struct yaml_node **keys, **values;
	size_t	n, cap;
};

/* NULL: too many nodes. */
struct yaml_node *yaml_new(struct yaml_builder *, enum yaml_kind, int line, int column);
/* Sets text and type; plain: by the core schema, else a string.  -1: NUL in it. */
int	yaml_set_text(struct yaml_builder *, struct yaml_node *, const char *, size_t, int plain);
/* Charges the budget for an alias or a merged value.  -1: too many. */
int	yaml_charge(struct yaml_builder *, const struct yaml_node *at, size_t weight);
/* key NULL: list. */
void	yaml_add(struct yaml_builder *, struct yaml_children *, struct yaml_node *key,
	    struct yaml_node *value);
/* Closes a collection: duplicate keys, merge keys, weight. */
int	yaml_close(struct yaml_builder *, struct yaml_node *, struct yaml_children *);

/* One strict JSON value (RFC 8259) with positions. */
int	yaml_parse_json(struct yaml_builder *, struct yaml_node **ret, const char *text,
	    size_t len);

#endif
