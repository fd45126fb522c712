#ifndef SPEC_DSURI_H
#define SPEC_DSURI_H

/*
 * dsuri -- the forms in which a job names data.
 *
 *   azureml://datastores/DS/paths/P                      DSURI_DATASTORE
 *   azureml://subscriptions/.../workspaces/W/datastores/DS/paths/P
 *                                                        DSURI_DATASTORE (workspace set)
 *   azureml:NAME:VERSION, azureml:NAME@LABEL, .../data/NAME/versions/V, .../labels/L,
 *   the same with models in place of data,
 *   registries, jobs                                     DSURI_ASSET
 *   wasb[s]://CONTAINER@ACCOUNT.blob.SUFFIX/P            DSURI_BLOB
 *   abfs[s]://FS@ACCOUNT.dfs.SUFFIX/P                    DSURI_GEN2
 *   https://ACCOUNT.blob.SUFFIX/CONTAINER/P              DSURI_BLOB (path-style hosts too)
 *   https://ACCOUNT.dfs.SUFFIX/FS/P                      DSURI_GEN2
 *   adl://STORE.azuredatalakestore.net/P                 DSURI_GEN1
 *   https://other/...                                    DSURI_HTTP
 *   file:PATH, anything without a scheme                 DSURI_LOCAL
 * SUFFIX must be one of a known cloud, or of this machine or the network around it (path-style:
 * localhost, a name without a dot); strangers, any other IP address among them, are DSURI_HTTP,
 * whatever the scheme, and get no token.
 * A URL with a query (a SAS) is refused, but for DSURI_HTTP; no message shows one.
 * A leading "file:" or "folder:" before azureml:// is dropped, as the SDK does, and the
 * "azureml:" that how-to-read-write-data-v2.md has before the URL of a storage account
 * (azureml:wasbs://...).
 * The path is decoded once and has no leading '/'; "." and ".." segments are refused.
 *
 * Source: MicrosoftDocs/azure-ai-docs reference-yaml-core-syntax.md,
 * Azure/azure-sdk-for-python sdk/ml/azure-ai-ml/azure/ai/ml/_utils/_storage_utils.py.
 */

#include "base/err.h"
#include "base/mem.h"
#include "spec/cloud.h"

enum dsuri_form { DSURI_DATASTORE, DSURI_ASSET, DSURI_BLOB, DSURI_GEN2, DSURI_GEN1, DSURI_HTTP,
	DSURI_LOCAL };

struct dsuri {
	enum dsuri_form	 form;
	const char	*datastore;		/* DSURI_DATASTORE */
	const char	*subscription, *resource_group, *workspace;	/* or NULL */
	const char	*asset;			/* DSURI_ASSET: as written */
	/* A data asset or model of a workspace, by version or by label; else asset_name is NULL. */
	const char	*asset_name, *asset_version, *asset_label;
	int		 is_model;		/* .../models/NAME/...; a short name does not say */
	const char	*workspace_id;		/* .../locations/L/workspaces/ID/...: a GUID */
	const char	*scheme;		/* "https" or "http" for BLOB, GEN2, GEN1 */
	const char	*account;
	const char	*suffix;		/* "core.windows.net", "azuredatalakestore.net" or
						   HOST:PORT (path-style) */
	const char	*container;
	const char	*path;			/* "" if none; may end in '/' for a folder */
};

/* The text behind the words that are dropped. */
const char *dsuri_bare(const char *text);
int	dsuri_parse(struct dsuri *, const char *text, struct arena *, struct err *);
/* The same; the storage suffix of this cloud is known, too (one that no table has). */
int	dsuri_parse_in(const struct cloud *, struct dsuri *, const char *text, struct arena *,
	    struct err *);

#endif
