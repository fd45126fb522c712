#ifndef SPEC_EXPR_H
#define SPEC_EXPR_H

/*
 * expr -- ${{inputs.x}}, ${{outputs.y}} and $[[ optional groups ]].
 *
 * ${{inputs.NAME}} and ${{outputs.NAME}} (white space inside the braces is
 * allowed) become the value that lookup gives.  $[[ text ]] stays, without its
 * brackets, when every input named in it has a value, and goes otherwise
 * (unknown names too); groups do not nest.  An optional input without a value
 * is an error outside of a group.  Names: [A-Za-z_][A-Za-z0-9_]*, dotted for input groups.
 * Anything else between ${{ and }} is an error: the service would have resolved it.
 *
 * Source: MicrosoftDocs/azure-ai-docs reference-yaml-core-syntax.md;
 * Azure/azure-sdk-for-python sdk/ml/azure-ai-ml/azure/ai/ml/_utils/_data_binding_expression.py.
 */

#include "base/err.h"
#include "base/mem.h"

enum expr_found { EXPR_VALUE, EXPR_ABSENT /* known, optional, no value */, EXPR_UNKNOWN };

/* is_output 0: inputs.NAME.  *ret_value is borrowed. */
typedef enum expr_found expr_lookup(void *arg, int is_output, const char *name,
    const char **ret_value);

#define EXPR_TEXT_MAX	(4u << 20)	/* bytes of the expanded text */

/*
 * Appends the expanded text to ret.
 *
 * fails    ERR_USAGE with cause naming the expression; naming the names that
 *          exist is left to the caller; resource is not set
 */
int	expr_expand(const char *text, expr_lookup *lookup, void *arg, struct buf *ret,
	    struct err *err);
int	expr_has(const char *text);	/* 1: contains ${{ or $[[ */

#endif
