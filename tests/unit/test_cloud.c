/* cloud: the table; descriptions of one's own, strict, with file and member in each complaint. */

#include "check.h"
#include "spec/cloud.h"
#include "spec/dsuri.h"

static const char good[] = "{\"name\":\"X\",\"authority\":\"https://login.x\","
    "\"arm\":\"https://arm.x:8443\",\"storage_suffix\":\"core.x\","
    "\"storage_resource\":\"https://storage.x/\",\"vault_suffix\":\"vault.x\","
    "\"vault_resource\":\"https://vault.x\",\"registry_suffix\":\"cr.x\","
    "\"registry_resource\":\"https://cr.x\",\"aml_resource\":\"https://ml.x/\"}";

static void
test_table(void)
{
	const struct cloud *c;
	size_t i;

	for (i = 0; (c = cloud_row(i)) != NULL; i++) {
		check(cloud_find(c->name) == c);
		check(cloud_of_authority(c->authority) == c);
		check(c->arm != NULL && c->storage_suffix != NULL && c->storage_resource != NULL &&
		    c->vault_suffix != NULL && c->vault_resource != NULL &&
		    c->registry_suffix != NULL && c->registry_resource != NULL &&
		    c->aml_resource != NULL);
		check((c->gen1_suffix == NULL) == (c->gen1_resource == NULL));
	}
	check_int(i, 3);
	check(cloud_find("AZURECLOUD") == &cloud_public && cloud_find("public") == &cloud_public);
	check(cloud_find("AzureGermanCloud") == NULL);
	check(cloud_of_authority("login.chinacloudapi.cn/") == cloud_find("china"));
	check(cloud_of_authority("https://login.partner.microsoftonline.cn/") ==
	    cloud_find("china"));
	check(cloud_of_authority("HTTPS://Login.MicrosoftOnline.US") == cloud_find("usgov"));
	check(cloud_of_authority("https://login.microsoftonline.us.example/") == NULL);
}

static void
test_good(void)
{
	struct arena mem = ARENA_EMPTY;
	struct err err = ERR_EMPTY;
	const struct cloud *c = cloud_load(good, &mem, &err);
	struct dsuri u;

	if (!check(c != NULL))
		return;
	check_str(c->name, "X");
	check_str(c->arm, "https://arm.x:8443");
	check_str(c->storage_suffix, "core.x");
	check(c->gen1_suffix == NULL);
	/* Its storage is known with it, and a stranger without. */
	check_int(dsuri_parse_in(c, &u, "https://a.blob.core.x/c/p", &mem, &err), 0);
	check_int(u.form, DSURI_BLOB);
	check_int(dsuri_parse(&u, "https://a.blob.core.x/c/p", &mem, &err), 0);
	check_int(u.form, DSURI_HTTP);
	check_int(dsuri_parse_in(c, &u, "https://a.blob.core.xx/c/p", &mem, &err), 0);
	check_int(u.form, DSURI_HTTP);
	check_int(dsuri_parse_in(c, &u, "https://a.dfs.core.usgovcloudapi.net/c/p", &mem, &err), 0);
	check_int(u.form, DSURI_GEN2);
	arena_done(&mem);
}

/* The good text with one piece replaced. */
static const char *
changed(const char *from, const char *to, struct arena *mem)
{
	const char *at = strstr(good, from);

	return (arena_printf(mem, "%.*s%s%s", (int)(at - good), good, to, at + strlen(from)));
}

static void
test_bad(void)
{
	static const struct { const char *from, *to, *resource, *cause; } rows[] = {
		{ "{", "[", "inline", "not JSON" },
		{ "}", "", "inline", "not JSON" },
		{ "}", ",\"colour\":\"red\"}", "inline: colour", "no such member" },
		{ "}", ",\"name\":\"Y\"}", "inline: name", "twice" },
		{ "\"name\":\"X\",", "", "inline: name", "missing" },
		{ "\"vault_suffix\":\"vault.x\",", "", "inline: vault_suffix", "missing" },
		{ "\"X\"", "\"\"", "inline: name", "expected a name" },
		{ "\"X\"", "7", "inline: name", "expected a name" },
		{ "\"X\"", "\"X\\u0002\"", "inline: name", "expected a name" },
		{ "\"https://login.x\"", "\"http://login.x\"", "inline: authority", "https" },
		{ "\"https://login.x\"", "\"https://login.x/\"", "inline: authority", "https://" },
		{ "\"https://login.x\"", "\"https://u@login.x\"", "inline: authority", "https://" },
		{ "\"https://login.x\"", "\"https://@login.x\"", "inline: authority", "https://" },
		{ "\"https://login.x\"", "\"https://login.x?\"", "inline: authority", "https://" },
		{ "\"https://login.x\"", "\"login.x\"", "inline: authority", "https://HOST" },
		{ "\"core.x\"", "\".core.x\"", "inline: storage_suffix", "host name" },
		{ "\"core.x\"", "\"https://core.x\"", "inline: storage_suffix", "host name" },
		{ "\"core.x\"", "\"core..x\"", "inline: storage_suffix", "host name" },
		{ "\"core.x\"", "\"core.x:0\"", "inline: storage_suffix", "host name" },
		{ "\"https://ml.x/\"", "null", "inline: aml_resource", "https URL" },
		{ "}", ",\"gen1_suffix\":\"g.x\"}", "inline: gen1_suffix", "go together" },
	};
	struct arena mem = ARENA_EMPTY;
	struct err err;
	const char *text;
	size_t i;

	for (i = 0; i < LENGTH(rows); i++) {
		err = ERR_EMPTY;
		text = changed(rows[i].from, rows[i].to, &mem);
		check(cloud_parse(text, strlen(text), "inline", &mem, &err) == NULL);
		check_int(err.kind, ERR_USAGE);
		check_str(err.resource, rows[i].resource);
		check(strstr(err.cause, rows[i].cause) != NULL);
	}
	check(cloud_parse("[]", 2, "list.json", &mem, &err) == NULL);
	check_str(err.resource, "list.json");
	check(cloud_load("/no/such/file", &mem, &err) == NULL);
	check(strstr(err.cause, "AzureUSGovernment") != NULL);
	arena_done(&mem);
}

int
main(void)
{
	test_table();
	test_good();
	test_bad();
	return (check_done());
}
