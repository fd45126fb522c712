#ifndef SPEC_IO_H
#define SPEC_IO_H

/*
 * io -- inputs and outputs of a job or step.
 *
 * Inside spec/ only.  Which modes a type allows is a table (io.c); bindings of
 * steps are followed by bind.h.
 *
 * Sources: Azure/azure-sdk-for-python sdk/ml/azure-ai-ml/azure/ai/ml/_schema/job/
 * input_output_entry.py (fields, modes), entities/_job/_input_output_helpers.py
 * (names, mode names on the wire); MicrosoftDocs/azure-ai-docs
 * how-to-read-write-data-v2.md (the matrix), includes/output-path-expressions.md.
 */

#include "spec/bind.h"
#include "spec/check.h"

/* A step's or a component's object: what is given and what is declared. */
struct io_source {
	const struct scope *scope;		/* NULL: no pipeline around */
	const struct yaml_node *given;		/* or NULL */
	const struct yaml_node *declared;	/* of an inline component, or NULL */
	const char	*path;			/* of the object given; "" at the root */
	const char	*declared_path;
};

int	io_read_inputs(struct reader *, const struct io_source *, struct spec_job *);
int	io_read_outputs(struct reader *, const struct io_source *, struct spec_job *);
/* One of them: from->given and ->declared are its own nodes, the paths those of the maps. */
int	io_read_input(struct reader *, const struct io_source *, const char *name,
	    struct spec_io *);
int	io_read_output(struct reader *, const struct io_source *, const char *name,
	    struct spec_io *);

#endif
