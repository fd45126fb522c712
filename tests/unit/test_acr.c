/* Azure Container Registry: names and challenges as bytes. */

#include "azure/acr.h"
#include "base/mem.h"
#include "check.h"

static void
test_host(void)
{
	static const struct { const char *url, *host; } rows[] = {
		{ "contoso.azurecr.io", "contoso.azurecr.io" },
		{ "https://contoso.azurecr.io", "contoso.azurecr.io" },
		{ "HTTPS://Contoso.AzureCR.io/", "contoso.azurecr.io" },
		{ "https://contoso.azurecr.io/v2/train?x=1", "contoso.azurecr.io" },
		{ "contoso.azurecr.io/train:1", "contoso.azurecr.io" },
		{ "localhost:5000", "localhost:5000" },
		{ "https://localhost:5000/v1/", "localhost:5000" },
		{ "http://contoso.azurecr.io", NULL },
		{ "ftp://contoso.azurecr.io", NULL },
		{ "https://evil@contoso.azurecr.io", NULL },
		{ "https://contoso.azurecr.io:x", NULL },
		{ "contoso.azurecr.io:0", NULL },
		{ "contoso.azurecr.io:65536", NULL },
		{ "contoso.azurecr.io:", NULL },
		{ "contoso..azurecr.io", NULL },
		{ ".azurecr.io", NULL },
		{ "contoso.azurecr.io.", NULL },
		{ "contoso azurecr.io", NULL },
		{ "contoso\\evil.azurecr.io", NULL },
		{ "con%74oso.azurecr.io", NULL },
		{ "[::1]:5000", NULL },
		{ "https://", NULL },
		{ "", NULL },
	};
	char host[ACR_HOST_SIZE], text[400];
	size_t i;

	for (i = 0; i < LENGTH(rows); i++) {
		int failed = acr_host(rows[i].url, host);

		if (!check_str(failed != 0 ? NULL : host, rows[i].host))
			printf("# %s\n", rows[i].url);
	}
	memset(text, 'a', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	check_int(acr_host(text, host), -1);
}

static void
test_registry(void)
{
	char host[ACR_HOST_SIZE];

	check(acr_is_registry("contoso.azurecr.io", "azurecr.io", NULL));
	check(acr_is_registry("contoso.azurecr.cn", "azurecr.cn", NULL));
	check(!acr_is_registry("contoso.azurecr.cn", "azurecr.io", NULL));
	check(!acr_is_registry("azurecr.io", "azurecr.io", NULL));
	check(!acr_is_registry("evilazurecr.io", "azurecr.io", NULL));
	check(!acr_is_registry("contoso.azurecr.io.evil.com", "azurecr.io", NULL));
	check(!acr_is_registry("contoso.azurecr.io:8443", "azurecr.io", NULL));
	check(!acr_is_registry("index.docker.io", "azurecr.io", ""));
	check(acr_is_registry("images.contoso.com", "azurecr.io",
	    "localhost:5000,https://Images.contoso.com"));
	check(acr_is_registry("localhost:5000", "azurecr.io", ",localhost:5000,"));
	check(!acr_is_registry("localhost:5001", "azurecr.io", "localhost:5000"));
	check(!acr_is_registry("contoso.com", "azurecr.io", "images.contoso.com"));
	check_int(acr_named("a.com,,b.com", 1, host), 1);
	check_str(host, "b.com");
	check_int(acr_named("a.com,,b.com", 2, host), 0);
	check_int(acr_named("a.com,b/@,:", 2, host), -1);
	check_int(acr_named(NULL, 0, host), 0);
}

static void
test_challenge(void)
{
	static const struct { const char *text, *realm, *service; } rows[] = {
		{ "Bearer realm=\"https://c.azurecr.io/oauth2/token\",service=\"c.azurecr.io\"",
		    "https://c.azurecr.io/oauth2/token", "c.azurecr.io" },
		{ "bearer  service=c.azurecr.io , realm = \"x\"", NULL, NULL },
		{ "Bearer service=c.azurecr.io ,realm=\"x\",scope=\"repository:a:pull,push\"",
		    "x", "c.azurecr.io" },
		{ "Bearer realm=\"a\\\"b\",service=\"s\"", "a\"b", "s" },
		{ "Bearer Realm=\"x\",SERVICE=\"s\"", "x", "s" },
		{ "Basic realm=\"x\",service=\"s\"", NULL, NULL },
		{ "Bearer realm=\"x\"", NULL, NULL },
		{ "Bearer service=\"x\"", NULL, NULL },
		{ "Bearer realm=\"x\",realm=\"y\",service=\"s\"", NULL, NULL },
		{ "Bearer realm=\"x,service=\"s\"", NULL, NULL },
		{ "Bearer realm=\"x\",service=\"s", NULL, NULL },
		{ "Bearer realm=\"x\",service=\"s\\", NULL, NULL },
		{ "Bearer realm=\"x\",service=\"s\" junk", NULL, NULL },
		{ "Bearer realm=\"x\",service=\"\"", NULL, NULL },
		{ "Bearer realm=\"x\",service=\"s\",", NULL, NULL },
		{ "Bearer ", NULL, NULL },
		{ "", NULL, NULL },
	};
	struct acr_challenge c;
	size_t i;

	for (i = 0; i < LENGTH(rows); i++) {
		int failed = acr_read_challenge(rows[i].text, &c);

		if (!check_str(failed != 0 ? NULL : c.realm, rows[i].realm))
			printf("# %s\n", rows[i].text);
		check_str(failed != 0 ? NULL : c.service, rows[i].service);
	}
}

int
main(void)
{
	test_host();
	test_registry();
	test_challenge();
	return (check_done());
}
