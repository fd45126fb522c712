#ifndef SPEC_BIND_H
#define SPEC_BIND_H

/*
 * bind -- ${{parent.inputs.NAME}}, ${{parent.outputs.NAME}}, ${{parent.jobs.STEP.outputs.NAME}}.
 *
 * Inside spec/ only.  A step's bindings are followed through the pipelines
 * around it as far as this one text goes; what only the service knows is a
 * complaint.  Other expressions are left alone.
 *
 * Source: MicrosoftDocs/azure-ai-docs reference-yaml-core-syntax.md (binding
 * inputs and outputs between steps in a pipeline job).
 */

#include "spec/check.h"

struct scope {			/* a pipeline as its steps see it */
	const struct yaml_node *inputs, *outputs, *jobs;	/* or NULL */
	const struct yaml_node *declared;	/* a pipeline component's inputs, or NULL */
	const char	*path;			/* "" or "jobs.NAME" */
	const struct scope *parent;		/* the pipeline around it, or NULL */
};

/* 1: text is one binding, *ret is what it stands for.  0: it is none.  -1: complaint. */
int	bind_whole(struct reader *, const struct scope *, const struct yaml_node *at,
	    const char *path, const char *text, struct spec_io *ret);
/* text with each ${{parent.inputs.NAME}} replaced by its plain value. */
int	bind_text(struct reader *, const struct scope *, const struct yaml_node *at,
	    const char *path, const char *text, const char **ret);
/* What stands between the ${{ at s and }}, trimmed; NULL if there is no }}. */
char	*bind_expression_at(const char *s, struct arena *, const char **ret_end);

#endif
