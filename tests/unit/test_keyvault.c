/* keyvault: the challenge, whom it may be trusted with, the answer. */

#include <string.h>

#include "azure/keyvault.h"
#include "check.h"

#define VAULT	"https://myvault.vault.azure.net/secrets/name"

static struct err err;

static void
test_challenges(void)
{
	static const struct { const char *header, *resource, *authority; } rows[] = {
		{ "Bearer authorization=\"https://login.test/t\", "
		    "resource=\"https://vault.azure.net\"",
		    "https://vault.azure.net", "https://login.test/t" },
		{ "bearer resource=\"https://vault.azure.net\"", "https://vault.azure.net", "" },
		{ "Bearer authorization=\"https://login.test/t\", "
		    "scope=\"https://vault.azure.net/.default\"",
		    "https://vault.azure.net", "https://login.test/t" },
		{ "Bearer  authorization_uri=https://login.test/t,resource=https://vault.azure.net",
		    "https://vault.azure.net", "https://login.test/t" },
		{ "Bearer error=\"a \\\"quoted\\\", thing\",resource=\"https://vault.azure.net\"",
		    "https://vault.azure.net", "" },
		{ "Bearer authorization=\"x\"", NULL, NULL },		/* for what? */
		{ "Basic realm=\"x\"", NULL, NULL },
		{ "BearerX resource=\"x\"", NULL, NULL },
		{ "Bearer resource=\"https://vault.azure.net", NULL, NULL },
		{ "Bearer resource", NULL, NULL },
		{ "Bearer =x", NULL, NULL },
		{ "Bearer", NULL, NULL },
		{ "", NULL, NULL },
	};
	struct keyvault_challenge c;
	size_t i;

	for (i = 0; i < LENGTH(rows); i++) {
		err = ERR_EMPTY;
		check_int(keyvault_read_challenge(rows[i].header, &c, &err),
		    rows[i].resource != NULL ? 0 : -1);
		if (rows[i].resource == NULL) {
			check_int(err.kind, ERR_PROTOCOL);
			continue;
		}
		check_str(c.resource, rows[i].resource);
		check_str(c.authority, rows[i].authority);
	}
}

static void
test_trust(void)
{
	static const struct { const char *resource, *url; int fine; } rows[] = {
		{ "https://vault.azure.net", VAULT, 1 },
		{ "https://vault.azure.net/", VAULT, 1 },
		{ "https://VAULT.azure.net", VAULT, 1 },
		{ "https://vault.azure.net", "https://myvault.vault.azure.net:8443/secrets/n", 1 },
		{ "https://management.azure.com", VAULT, 0 },
		{ "https://storage.azure.com", VAULT, 0 },
		{ "https://vault.azure.net", "https://evil.test/secrets/n", 0 },
		{ "https://vault.azure.net", "https://vault.azure.net/secrets/n", 0 },
		{ "https://vault.azure.net", "https://evilvault.azure.net/secrets/n", 0 },
		{ "https://vault.azure.net", "https://myvault.vault.azure.net.evil.test/s/n", 0 },
		{ "https://net", VAULT, 0 },		/* anybody's */
		{ "http://vault.azure.net", VAULT, 0 },
		{ "https://vault.azure.net:444", VAULT, 0 },
		{ "https://x@vault.azure.net", VAULT, 0 },
		{ "https://vault.azure.net/path", VAULT, 0 },
		{ "https://", VAULT, 0 },
		{ "vault.azure.net", VAULT, 0 },
		{ "", VAULT, 0 },
	};
	struct keyvault_challenge c;
	size_t i;

	for (i = 0; i < LENGTH(rows); i++) {
		memset(&c, 0, sizeof(c));
		strcpy(c.resource, rows[i].resource);
		err = ERR_EMPTY;
		if (!check_int(keyvault_check_challenge(&c, rows[i].url, &err),
		    rows[i].fine ? 0 : -1))
			printf("#    %s for %s\n", rows[i].resource, rows[i].url);
		if (!rows[i].fine)
			check_int(err.kind, ERR_DENIED);
	}
}

static void
test_answers(void)
{
	static const char *const bad[] = { "", "{}", "{\"value\":\"\"}", "{\"value\":7}", "[1]" };
	static const char plain[] = "{\"value\":\"s\",\"id\":\"x\","
	    "\"attributes\":{\"enabled\":true}}";
	static const char dated[] = "{\"value\":\"s\",\"attributes\":{\"exp\":1795471920}}";
	struct keyvault_secret got = { .expires_unix_s = 7 };
	size_t i;

	check_int(keyvault_read_answer(plain, strlen(plain), &got, &err), 0);
	check_str(got.value.text, "s");
	check_int(got.expires_unix_s, 0);
	check_int(keyvault_read_answer(dated, strlen(dated), &got, &err), 0);
	check_int(got.expires_unix_s, 1795471920);
	for (i = 0; i < LENGTH(bad); i++)
		check_int(keyvault_read_answer(bad[i], strlen(bad[i]), &got, &err), -1);
	secret_done(&got.value);
}

static void
test_refusals(void)
{
	static const char body[] = "{\"error\":{\"code\":\"Forbidden\",\"message\":\"Caller is not "
	    "authorized.\\r\\nCaller: oid=1\\r\\n\","
	    "\"innererror\":{\"code\":\"ForbiddenByRbac\"}}}";
	struct rest_refusal told;
	char text[200];

	rest_read_refusal(body, strlen(body), &told);
	check_str(told.code, "Forbidden");
	check_str(told.inner, "ForbiddenByRbac");
	check_str(rest_refusal_text(&told, text, sizeof(text)),
	    "ForbiddenByRbac: Caller is not authorized. Caller: oid=1 ");
	rest_read_refusal("<html>", 6, &told);
	check_str(rest_refusal_text(&told, text, sizeof(text)), "");
	rest_read_refusal("", 0, &told);
	check_str(told.code, "");
}

int
main(void)
{
	test_challenges();
	test_trust();
	test_answers();
	test_refusals();
	return (check_done());
}
