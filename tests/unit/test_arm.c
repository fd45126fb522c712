/* arm: what a workspace answers, and what of it is refused. */

#include <string.h>

#include "azure/arm.h"
#include "check.h"

static struct err err;

static int
datastore(const char *body, struct wire_datastore *ret)
{
	err = ERR_EMPTY;
	return (arm_read_datastore(body, strlen(body), ret, &err));
}

static void
test_datastores(void)
{
	struct wire_datastore ds;

	check_int(datastore("{\"name\":\"a\",\"properties\":{\"datastoreType\":\"AzureBlob\","
	    "\"isDefault\":true,\"accountName\":\"acct\",\"containerName\":\"c\",\"endpoint\":null,"
	    "\"protocol\":\"https\",\"credentials\":{\"credentialsType\":\"accountkey\"}}}", &ds),
	    0);
	check_str(ds.name, "a");
	check_int(ds.type, SPEC_BLOB);
	check_int(ds.credential, SPEC_CRED_ACCOUNT_KEY);
	check_int(ds.is_default, 1);
	check_str(ds.endpoint, "");		/* of the cloud we are in */
	check_int(datastore("{\"name\":\"b\",\"properties\":{"
	    "\"datastoreType\":\"AzureDataLakeGen2\",\"accountName\":\"acct\","
	    "\"filesystem\":\"f\",\"endpoint\":\"core.chinacloudapi.cn\","
	    "\"credentials\":{\"credentialsType\":\"ServicePrincipal\",\"tenantId\":\"t\","
	    "\"clientId\":\"i\",\"authorityUrl\":\"https://login.test\"}}}", &ds), 0);
	check_int(ds.type, SPEC_GEN2);
	check_str(ds.container, "f");
	check_str(ds.endpoint, "core.chinacloudapi.cn");
	check_str(ds.tenant_id, "t");
	check_str(ds.client_id, "i");
	check_str(ds.authority_url, "https://login.test");
	check_str(ds.resource_url, "");		/* some SDK drops it: the default */
	check_int(datastore("{\"name\":\"c\",\"properties\":{\"datastoreType\":\"AzureBlob\","
	    "\"accountName\":\"acct\",\"containerName\":\"c\"}}", &ds), 0);
	check_int(ds.credential, SPEC_CRED_NONE);
	check_int(datastore("{\"name\":\"d\",\"properties\":{\"datastoreType\":\"OneLake\","
	    "\"oneLakeWorkspaceName\":\"My sales\",\"endpoint\":"
	    "\"onelake.dfs.fabric.microsoft.com\",\"artifact\":{\"artifactType\":\"LakeHouse\","
	    "\"artifactName\":\"lake.Lakehouse\"}}}", &ds), 0);
	check_int(ds.type, SPEC_ONELAKE);
	check_str(ds.container, "My sales");
	check_str(ds.artifact, "lake.Lakehouse");
	check_str(ds.account, "");
}

static void
test_bad_datastores(void)
{
	static const char *const bad[] = { "", "[]", "null", "{}", "{\"properties\":[]}",
	    "{\"properties\":{}}", "{\"properties\":{\"datastoreType\":7}}",
	    "{\"name\":7,\"properties\":{\"datastoreType\":\"AzureBlob\"}}",
	    "{\"properties\":{\"datastoreType\":\"AzureBlob\",\"accountName\":{}}}",
	    "{\"properties\":{\"datastoreType\":\"AzureBlob\",\"accountName\":\"a\\nb\"}}",
	    "{\"properties\":{\"datastoreType\":\"AzureBlob\",\"accountName\":\""
	    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"}}",
	    "{\"properties\":{\"datastoreType\":\"AzureBlob\",\"credentials\":{}}}",
	    "{\"properties\":{\"datastoreType\":\"AzureBlob\",\"credentials\":"
	    "{\"credentialsType\":\"Kerberos\"}}}" };
	struct wire_datastore ds;
	size_t i;

	for (i = 0; i < LENGTH(bad); i++) {
		check_int(datastore(bad[i], &ds), -1);
		check_int(err.kind, ERR_PROTOCOL);
	}
	check_int(datastore("{\"properties\":{\"datastoreType\":\"TapeRobot\"}}", &ds), -1);
	check_int(err.kind, ERR_USAGE);
}

static void
test_default_and_assets(void)
{
	static const char list[] = "{\"value\":[{\"name\":\"a\",\"properties\":{\"datastoreType\":"
	    "\"AzureBlob\",\"accountName\":\"acct\",\"containerName\":\"c\"}}],\"nextLink\":null}";
	static const char asset[] = "{\"properties\":{\"dataType\":\"UriFile\",\"dataUri\":\"u\"}}";
	static const char assets[] = "{\"value\":[{\"properties\":{\"dataType\":\"mltable\","
	    "\"dataUri\":\"v\"}},{\"properties\":{\"dataUri\":\"w\"}}]}";
	static const char none[] = "{\"value\":[]}";
	struct wire_datastore ds;
	struct wire_asset found;

	check_int(arm_read_default(list, strlen(list), &ds, &err), 0);
	check_str(ds.name, "a");
	check_int(ds.is_default, 1);
	check_int(arm_read_default(none, strlen(none), &ds, &err), -1);
	check_int(err.kind, ERR_NOT_FOUND);
	check_int(arm_read_default("{}", 2, &ds, &err), -1);
	check_int(err.kind, ERR_PROTOCOL);
	check_int(arm_read_asset(asset, strlen(asset), 0, &found, &err), 0);
	check_str(found.uri, "u");
	check_int(found.type, SPEC_URI_FILE);
	check_int(arm_read_asset(assets, strlen(assets), 1, &found, &err), 0);
	check_str(found.uri, "v");
	check_int(found.type, SPEC_MLTABLE);
	check_int(arm_read_asset(none, strlen(none), 1, &found, &err), -1);
	check_int(err.kind, ERR_NOT_FOUND);
	check_int(arm_read_asset("{\"properties\":{}}", 17, 0, &found, &err), -1);
}

static int
secret(const char *body, struct arm_secret *ret)
{
	err = ERR_EMPTY;
	secret_done(&ret->text);
	return (arm_read_secret(body, strlen(body), ret, &err));
}

static void
test_secrets(void)
{
	static const char *const bad[] = { "", "{}", "{\"secretsType\":\"None\"}",
	    "{\"secretsType\":\"AccountKey\"}",
	    "{\"secretsType\":\"AccountKey\",\"key\":\"!SECRET\"}",
	    "{\"secretsType\":\"Sas\",\"key\":\"c2VjcmV0\"}",
	    "{\"secretsType\":\"Sas\",\"sasToken\":\"SECRET\"}",
	    "{\"secretsType\":\"ServicePrincipal\",\"clientSecret\":\"\"}" };
	struct arm_secret got = { .kind = SPEC_CRED_NONE };
	size_t i;

	check_int(secret("{\"secretsType\":\"AccountKey\",\"key\":\"c2VjcmV0\"}", &got), 0);
	check_int(got.kind, SPEC_CRED_ACCOUNT_KEY);
	check_str(got.text.text, "c2VjcmV0");
	check_int(secret("{\"secretsType\":\"Sas\",\"sasToken\":\"?sv=1&sig=x\"}", &got), 0);
	check_int(got.kind, SPEC_CRED_SAS);
	check_str(got.text.text, "sv=1&sig=x");
	check_int(secret("{\"secretsType\":\"Certificate\",\"certificate\":\"PEM\"}", &got), 0);
	check_int(got.kind, SPEC_CRED_CERTIFICATE);
	for (i = 0; i < LENGTH(bad); i++) {
		check_int(secret(bad[i], &got), -1);
		check_int(err.kind, ERR_PROTOCOL);
		check(strstr(err.cause, "SECRET") == NULL);
	}
}

static void
test_denials(void)
{
	char oid[64], action[128];

	check_int(arm_read_denial("The client 'c' with object id 'o-1' does not have authorization "
	    "to perform action 'P/workspaces/datastores/read' over scope '/s'", oid, action), 0);
	check_str(oid, "o-1");
	check_str(action, "P/workspaces/datastores/read");
	check_int(arm_read_denial("with object id '' to perform action 'x'", oid, action), -1);
	check_int(arm_read_denial("with object id 'x", oid, action), -1);
	check_int(arm_read_denial("", oid, action), -1);
}

/* A token never leaves without TLS, and no name climbs in the path. */
static void
test_urls(void)
{
	const struct spec_workspace w = { "s", "g", "w" }, climbing = { "s", "..", "w" };
	struct arm arm = { .endpoint = "http://127.0.0.1:1", .api_version = "2024-10-01" };
	struct wire_datastore ds;

	check_int(arm_datastore(&arm, &w, "d", &ds, &err), -1);
	check_int(err.remedy, REMEDY_USE_HTTPS);
	check_str(err.resource, "http://127.0.0.1:1/subscriptions/s/resourceGroups/g/providers/"
	    "Microsoft.MachineLearningServices/workspaces/w/datastores/d");
	check_int(arm_datastore(&arm, &climbing, "d", &ds, &err), -1);
	check_int(err.remedy, REMEDY_CHECK_WORKSPACE);
	err = ERR_EMPTY;
	check_int(arm_datastore(&arm, &w, "..", &ds, &err), -1);
	check_int(err.remedy, REMEDY_CHECK_WORKSPACE);
	check_int(arm_datastore(&arm, &w, "a/../b c", &ds, &err), -1);
	check(strstr(err.resource, "/datastores/a%2F..%2Fb%20c") != NULL);
}

int
main(void)
{
	test_datastores();
	test_bad_datastores();
	test_default_and_assets();
	test_secrets();
	test_denials();
	test_urls();
	return (check_done());
}
