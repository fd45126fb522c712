#include <stdlib.h>

#include "check.h"
#include "spec/dsuri.h"

static struct arena mem;

static const char *
or_dash(const char *s)
{
	return (s != NULL ? s : "-");
}

/* All fields that a form sets, or "! CAUSE". */
static const char *
show(const char *text)
{
	struct dsuri u;
	struct err err = ERR_EMPTY;

	if (dsuri_parse(&u, text, &mem, &err) != 0)
		return (err.kind != ERR_USAGE ? "! not usage" :
		    arena_printf(&mem, "! %s", err.cause));
	switch (u.form) {
	case DSURI_DATASTORE:
		return (arena_printf(&mem, "datastore %s/%s/%s %s [%s]", or_dash(u.subscription),
		    or_dash(u.resource_group), or_dash(u.workspace), u.datastore, u.path));
	case DSURI_ASSET:
		if (u.asset_name == NULL)
			return (arena_printf(&mem, "asset %s", u.asset));
		return (arena_printf(&mem, "%s %s/%s/%s%s%s %s%c%s",
		    u.is_model ? "model" : "data", or_dash(u.subscription),
		    or_dash(u.resource_group), or_dash(u.workspace),
		    u.workspace_id != NULL ? " id " : "",
		    u.workspace_id != NULL ? u.workspace_id : "", u.asset_name,
		    u.asset_version != NULL ? ':' : '@',
		    u.asset_version != NULL ? u.asset_version : u.asset_label));
	case DSURI_BLOB:
	case DSURI_GEN2:
		return (arena_printf(&mem, "%s %s %s %s %s [%s]",
		    u.form == DSURI_BLOB ? "blob" : "gen2", u.scheme, u.account, u.suffix,
		    u.container, u.path));
	case DSURI_GEN1:
		return (arena_printf(&mem, "gen1 %s %s [%s]", u.account, u.suffix, u.path));
	case DSURI_HTTP:
		return (arena_printf(&mem, "http %s %s [%s]", u.scheme, u.suffix, u.path));
	case DSURI_LOCAL:
		return (arena_printf(&mem, "local [%s]", u.path));
	}
	return ("?");
}

static const struct {
	const char *text, *want;
} rows[] = {
	{ "azureml://datastores/ds/paths/a/b.csv", "datastore -/-/- ds [a/b.csv]" },
	{ "azureml://datastores/ds/paths/a/", "datastore -/-/- ds [a/]" },
	{ "azureml://datastores/ds/paths/", "datastore -/-/- ds []" },
	{ "azureml://datastores/ds/paths", "datastore -/-/- ds []" },
	{ "azureml://datastores/ds", "datastore -/-/- ds []" },
	{ "azureml://datastores/ds/paths//a//b", "datastore -/-/- ds [a//b]" },
	{ "azureml://datastores/ds/paths/a%20b%2Bc d", "datastore -/-/- ds [a b+c d]" },
	{ "azureml://datastores/ds/paths/a?b#c", "datastore -/-/- ds [a?b#c]" },
	{ "file:azureml://datastores/ds/paths/x", "datastore -/-/- ds [x]" },
	{ "folder:azureml://datastores/ds/paths/x", "datastore -/-/- ds [x]" },
	{ "azureml:wasbs://c@acct.blob.core.windows.net/a",
	    "blob https acct core.windows.net c [a]" },
	{ "azureml:abfss://fs@acct.dfs.core.windows.net/p",
	    "gen2 https acct core.windows.net fs [p]" },
	{ "AzureML:https://acct.blob.core.windows.net/c/p",
	    "blob https acct core.windows.net c [p]" },
	{ "azureml:adl://store.azuredatalakestore.net/a", "gen1 store azuredatalakestore.net [a]" },
	{ "azureml:http://example.com/data.csv", "http http example.com [data.csv]" },
	{ "azureml:file:3", "data -/-/- file:3" },
	{ "azureml:wasbs:3", "data -/-/- wasbs:3" },
	{ "azureml://subscriptions/s/resourcegroups/g/workspaces/w/datastores/ds/paths/p",
	    "datastore s/g/w ds [p]" },
	{ "azureml://subscriptions/s/resourceGroups/g/providers/"
	    "Microsoft.MachineLearningServices/workspaces/w/datastores/ds/paths/p",
	    "datastore s/g/w ds [p]" },
	{ "azureml://subscriptions/s/resourcegroups/g/workspaces/w/data/d/versions/1",
	    "data s/g/w d:1" },
	{ "azureml://subscriptions/s/resourcegroups/g/workspaces/w/data/d/labels/latest",
	    "data s/g/w d@latest" },
	{ "azureml://subscriptions/s/resourcegroups/g/workspaces/w/models/d/versions/1",
	    "model s/g/w d:1" },
	{ "azureml://subscriptions/s/resourcegroups/g/workspaces/w/data/../versions/1",
	    "asset azureml://subscriptions/s/resourcegroups/g/workspaces/w/data/../versions/1" },
	{ "azureml:/subscriptions/s/resourceGroups/g/providers/"
	    "Microsoft.MachineLearningServices/workspaces/w/data/d/versions/1.2",
	    "data s/g/w d:1.2" },
	{ "azureml:name:3", "data -/-/- name:3" },
	{ "azureml:name:", "asset azureml:name:" },
	{ "azureml:na me:3", "asset azureml:na me:3" },
	{ "azureml:name@latest", "data -/-/- name@latest" },
	{ "azureml:/subscriptions/s/x", "asset azureml:/subscriptions/s/x" },
	{ "azureml://registries/r/data/n/versions/1",
	    "asset azureml://registries/r/data/n/versions/1" },
	{ "azureml://locations/l/workspaces/w/data/n/versions/1",
	    "asset azureml://locations/l/workspaces/w/data/n/versions/1" },
	{ "azureml://locations/l/workspaces/11111111-2222-4333-8444-555555555555/data/n/"
	    "versions/1", "data -/-/- id 11111111-2222-4333-8444-555555555555 n:1" },
	{ "azureml://jobs/j/outputs/o/paths/p", "asset azureml://jobs/j/outputs/o/paths/p" },
	{ "azureml://datastores/ds/ExperimentRun/dcid.x/y",
	    "asset azureml://datastores/ds/ExperimentRun/dcid.x/y" },
	{ "wasbs://c@acct.blob.core.windows.net/a/b", "blob https acct core.windows.net c [a/b]" },
	{ "WASB://c@Acct.blob.core.windows.net", "blob https acct core.windows.net c []" },
	{ "abfss://fs@acct.dfs.core.windows.net/p%25/", "gen2 https acct core.windows.net fs "
	    "[p%/]" },
	{ "abfs://fs@acct.dfs.core.chinacloudapi.cn/p",
	    "gen2 https acct core.chinacloudapi.cn fs [p]" },
	{ "abfss://ws@onelake.dfs.fabric.microsoft.com/i.Lakehouse/Files",
	    "gen2 https onelake fabric.microsoft.com ws [i.Lakehouse/Files]" },
	{ "https://acct.blob.core.windows.net/c/p/q", "blob https acct core.windows.net c [p/q]" },
	{ "https://acct.blob.core.windows.net/$root/x",
	    "blob https acct core.windows.net $root [x]" },
	{ "https://acct.z12.blob.storage.azure.net/c/p",
	    "blob https acct.z12 storage.azure.net c [p]" },
	{ "https://acct.dfs.core.usgovcloudapi.net/c",
	    "gen2 https acct core.usgovcloudapi.net c []" },
	{ "http://127.0.0.1:10000/devstoreaccount1/c/a%20b",
	    "blob http devstoreaccount1 127.0.0.1:10000 c [a b]" },
	{ "https://azurite:10000/acct/c/", "blob https acct azurite:10000 c []" },
	{ "http://[::1]:99/acct/c/x", "blob http acct [::1]:99 c [x]" },
	{ "adl://store.azuredatalakestore.net/a", "gen1 store azuredatalakestore.net [a]" },
	{ "https://example.com/data.csv?x=1", "http https example.com [data.csv]" },
	{ "http://example.com:8080/", "http http example.com:8080 []" },
	/* A stranger whose name looks like storage gets no token. */
	{ "https://acct.blob.core.windows.net.example.com/c/p",
	    "http https acct.blob.core.windows.net.example.com [c/p]" },
	{ "https://x.blob.example.com/c/p", "http https x.blob.example.com [c/p]" },
	{ "https://203.0.113.7/acct/c/p", "http https 203.0.113.7 [acct/c/p]" },
	{ "https://203.0.113.7:10000/acct/c/p", "http https 203.0.113.7:10000 [acct/c/p]" },
	{ "https://3405803783/acct/c/p", "http https 3405803783 [acct/c/p]" },
	{ "https://0xcb007107/acct/c/p", "http https 0xcb007107 [acct/c/p]" },
	{ "https://[2001:db8::7]/acct/c/p", "http https [2001:db8::7] [acct/c/p]" },
	{ "adl://store.example.com:99/p", "http https store.example.com:99 [p]" },
	{ "abfss://fs@acct.dfs.example.com/p", "http https acct.dfs.example.com [p]" },
	{ "wasbs://c@acct.blob.core.windows.net.example.com:99/p",
	    "http https acct.blob.core.windows.net.example.com:99 [p]" },
	{ "./data", "local [./data]" },
	{ "../up/and%20over", "local [../up/and%20over]" },
	{ "/abs/path", "local [/abs/path]" },
	{ "file:///abs/x", "local [/abs/x]" },
	{ "file:./rel", "local [./rel]" },
	{ "C:\\data", "local [C:\\data]" },

	{ "", "! \"\": the path is empty" },
	{ "file:", "! \"file:\": the path is empty" },
	{ "a\nb", "! \"a?b\": a control character in the path" },
	{ "azureml:", "! \"azureml:\": expected azureml:NAME:VERSION or azureml:NAME@latest" },
	{ "azureml:name", "! \"azureml:name\": expected azureml:NAME:VERSION or "
	    "azureml:NAME@latest" },
	{ "azureml://", "! \"azureml://\": expected azureml://datastores/NAME/paths/PATH, or the "
	    "id of an asset" },
	{ "azureml://datastore/ds/paths/x", "! \"azureml://datastore/ds/paths/x\": expected "
	    "azureml://datastores/NAME/paths/PATH, or the id of an asset" },
	{ "azureml://datastores//paths/x", "! \"azureml://datastores//paths/x\": expected "
	    "azureml://datastores/NAME/paths/PATH" },
	{ "azureml://datastores/ds/path/x", "! \"azureml://datastores/ds/path/x\": expected "
	    "/paths/ after the datastore's name" },
	{ "azureml://datastores/ds/paths/../x", "! \"azureml://datastores/ds/paths/../x\": the "
	    "path has a segment \".\" or \"..\"" },
	{ "azureml://datastores/ds/paths/a/%2e%2E", "! \"azureml://datastores/ds/paths/a/%2e%2E\": "
	    "the path has a segment \".\" or \"..\"" },
	{ "azureml://datastores/ds/paths/./x", "! \"azureml://datastores/ds/paths/./x\": the path "
	    "has a segment \".\" or \"..\"" },
	{ "azureml://datastores/ds/paths/a%zz", "! \"azureml://datastores/ds/paths/a%zz\": a % in "
	    "the path must be followed by two hexadecimal digits (write %25 for a percent "
	    "sign)" },
	{ "azureml://datastores/ds/paths/a%00", "! \"azureml://datastores/ds/paths/a%00\": a % in "
	    "the path must be followed by two hexadecimal digits (write %25 for a percent "
	    "sign)" },
	{ "azureml://datastores/ds/paths/a%0ab", "! \"azureml://datastores/ds/paths/a%0ab\": a "
	    "control character in the path" },
	{ "azureml://subscriptions/s/workspaces/w/datastores/d/paths/p",
	    "! \"azureml://subscriptions/s/workspaces/w/datastores/d/paths/p\": expected "
	    "azureml://subscriptions/ID/resourcegroups/NAME/workspaces/NAME/datastores/NAME/"
	    "paths/PATH" },
	{ "wasbs://acct.blob.core.windows.net/c", "! \"wasbs://acct.blob.core.windows.net/c\": "
	    "expected wasbs://CONTAINER@ACCOUNT.blob.core.windows.net/PATH" },
	{ "wasbs://c@acct.dfs.core.windows.net/c", "! \"wasbs://c@acct.dfs.core.windows.net/c\": "
	    "expected wasbs://CONTAINER@ACCOUNT.blob.core.windows.net/PATH" },
	{ "abfss://c@acct.blob.core.windows.net/c", "! \"abfss://c@acct.blob.core.windows.net/c\": "
	    "expected abfss://FILESYSTEM@ACCOUNT.dfs.core.windows.net/PATH" },
	{ "abfss://c@acct.dfs.core.windows.net/a b", "! \"abfss://c@acct.dfs.core.windows.net/a "
	    "b\": not a valid URL (write %20 for a space, %23 for #)" },
	{ "adl://store/x", "! \"adl://store/x\": expected "
	    "adl://STORE.azuredatalakestore.net/PATH" },
	{ "https://acct.blob.core.windows.net", "! \"https://acct.blob.core.windows.net\": the URL "
	    "names no container" },
	{ "https://acct.blob.core.windows.net/%2E%2E/p", "! \"https://acct.blob.core.windows.net/"
	    "%2E%2E/p\": the URL names no container" },
	{ "https://acct.dfs.core.windows.net/c%2Fd/p", "! \"https://acct.dfs.core.windows.net/"
	    "c%2Fd/p\": the URL names no container" },
	{ "https://acct.blob.core.windows.net/c%0Ad/p", "! \"https://acct.blob.core.windows.net/"
	    "c%0Ad/p\": the URL names no container" },
	{ "http://acct.blob.core.windows.net/c/p", "! \"http://acct.blob.core.windows.net/c/p\": "
	    "storage is reached over https only" },
	{ "s3://bucket/key", "! \"s3://bucket/key\": this scheme is not supported; known are "
	    "azureml, wasbs, abfss, adl, https and file" },
	/* Neither a SAS nor a password gets into a message. */
	{ "https://acct.blob.core.windows.net/c/p?sv=1&sig=SECRET",
	    "! \"https://acct.blob.core.windows.net/c/p\": a query (a SAS?) does not belong in a "
	    "path: put the SAS into a datastore's credentials" },
	{ "http://127.0.0.1:1/a/c/p?sig=SECRET", "! \"http://127.0.0.1:1/a/c/p\": a query (a SAS?) "
	    "does not belong in a path: put the SAS into a datastore's credentials" },
	{ "abfss://c@acct.dfs.core.windows.net/a?sig=SECRET",
	    "! \"abfss://c@acct.dfs.core.windows.net/a\": a query (a SAS?) does not belong in a "
	    "path: put the SAS into a datastore's credentials" },
	{ "https://user:SECRET@example.com/x", "! \"example.com\": a user or password does not "
	    "belong in a URL" },
};

int
main(void)
{
	struct dsuri u;
	struct err err = ERR_EMPTY;
	size_t i;

	for (i = 0; i < LENGTH(rows); i++)
		if (!check_str(show(rows[i].text), rows[i].want))
			printf("# text: %s\n", rows[i].text);
	check_int(dsuri_parse(&u, "http://a.blob.core.windows.net/c", &mem, &err), -1);
	check_int(err.remedy, REMEDY_USE_HTTPS);
	check_int(dsuri_parse(&u, "s3://b/k", &mem, NULL), -1);
	arena_done(&mem);
	return (check_done());
}
