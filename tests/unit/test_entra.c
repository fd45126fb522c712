/*
 * Entra ID before and after the request: what an endpoint and a client have to be, what of a
 * refusal becomes a message, what the files and numbers are that a proof is made of.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/mem.h"
#include "check.h"
#include "denied.h"
#include "identity/aadsts.h"
#include "identity/arc.h"
#include "identity/entra.h"
#include "identity/source.h"

#define TENANT	"contoso.onmicrosoft.com"
#define STORAGE	"https://storage.azure.com/"

static void
test_endpoints(void)
{
	static const struct { const char *authority, *tenant, *url; } good[] = {
		{ NULL, TENANT, "https://login.microsoftonline.com/" TENANT "/oauth2/v2.0/token" },
		{ "login.test/", "t-1", "https://login.test/t-1/oauth2/v2.0/token" },
		{ "https://login.test:8443", "t", "https://login.test:8443/t/oauth2/v2.0/token" },
	};
	static const struct {
		const char *authority, *tenant;
		enum err_remedy remedy;
		const char *cause;
	} bad[] = {
		{ "http://login.test", "t", REMEDY_USE_HTTPS, "a credential goes over https only" },
		{ "https://login.test/t", "t", REMEDY_FIX_SPEC, "an authority is https://HOST" },
		{ "https://me@login.test", "t", REMEDY_FIX_SPEC, "an authority is https://HOST" },
		{ "https://login.test?x=1", "t", REMEDY_FIX_SPEC, "an authority is https://HOST" },
		{ "https://", "t", REMEDY_FIX_SPEC, "an authority is https://HOST" },
		{ "login.test", NULL, REMEDY_FIX_SPEC, "the tenant is missing" },
		{ "login.test", "", REMEDY_FIX_SPEC, "the tenant is missing" },
		{ "login.test", "../t", REMEDY_FIX_SPEC, "neither a GUID nor a domain" },
	};
	struct arena mem = ARENA_EMPTY;
	struct err err;
	size_t i;

	for (i = 0; i < LENGTH(good); i++)
		check_str(entra_endpoint(good[i].authority, good[i].tenant, &mem, &err),
		    good[i].url);
	for (i = 0; i < LENGTH(bad); i++) {
		err = ERR_EMPTY;
		check(entra_endpoint(bad[i].authority, bad[i].tenant, &mem, &err) == NULL);
		check_int(err.kind, ERR_USAGE);
		check_int(err.remedy, bad[i].remedy);
		check(strstr(err.cause, bad[i].cause) != NULL);
		check(err.resource[0] != '\0');
	}
	arena_done(&mem);
}

/* Refused before anything is sent: no client, nothing that proves it, or two things. */
static void
test_requests(void)
{
	static char text[] = "s3cret";
	const struct secret secret = { text, 6 }, empty = { text, 0 };
	const struct entra_request rows[] = {
		{ .tenant = NULL, .client_id = "c", .secret = &secret },
		{ .tenant = "t", .client_id = NULL, .secret = &secret },
		{ .tenant = "t", .client_id = "c" },
		{ .tenant = "t", .client_id = "c", .secret = &empty },
	};
	struct token t = { .generation = 0 };
	struct err err;
	size_t i;

	for (i = 0; i < LENGTH(rows); i++) {
		err = ERR_EMPTY;
		check_int(entra_acquire(NULL, &rows[i], clock_ms() + 1000, &t, &err), -1);
		check_int(err.kind, ERR_USAGE);
		check_int(err.remedy, REMEDY_FIX_SPEC);
		check(strstr(err.resource, "https://login.microsoftonline.com") != NULL);
	}
	check_int(entra_acquire(NULL, &rows[0], clock_ms() + 1000, &t, NULL), -1);
}

#define GUID	"11111111-2222-4333-8444-555555555555"

/* A refusal's texts, as they come: what of them is shown. */
static void
test_texts(void)
{
	static const struct { const char *answer; int code; const char *cause; } rows[] = {
		{ "{\"error_codes\":[700016],\"error\":\"unauthorized_client\","
		    "\"error_description\":\"AADSTS700016: no such application. Trace ID: x\"}",
		    700016, "unauthorized_client: AADSTS700016: no such application." },
		{ "{\"error\":\"e\",\"error_description\":\"AADSTS7000215: wrong secret\\nmore\"}",
		    7000215, "e: AADSTS7000215: wrong secret" },
		{ "{\"error\":\"e\",\"error_description\":\"AADSTS: no number\"}", 0,
		    "e: AADSTS: no number" },
		{ "{\"error\":\"e\",\"error_description\":\"AADSTS7777777777777: long\"}", 0,
		    "e: AADSTS7777777777777: long" },
		{ "{\"error\":\"e\",\"error_description\":\"AADSTS99999999999: big\"}", 0,
		    "e: AADSTS99999999999: big" },
		{ "{\"error_codes\":[50034],\"error\":\"e\"}", 50034, "e (AADSTS50034)" },
		{ "{\"error_codes\":[50034],\"error\":\"e\",\"error_description\":\"gone\"}", 50034,
		    "e (AADSTS50034): gone" },
		{ "{\"error\":\"e\",\"error_description\":\"it was eyJhbGciOi\"}", 0, "e" },
		{ "{\"error\":\"e\",\"trace_id\":\"" GUID "\",\"correlation_id\":\"" GUID "\"}", 0,
		    "e; trace " GUID ", correlation " GUID },
		{ "{\"error\":\"e\",\"trace_id\":\"eyJ\"}", 0, "e" },
		{ "{}", 0, "" },
	};
	struct json *answer;
	char cause[256];
	size_t i;

	for (i = 0; i < LENGTH(rows); i++) {
		answer = json_parse(rows[i].answer, strlen(rows[i].answer));
		check_int(aadsts_code(answer), rows[i].code);
		aadsts_cause(answer, json_string(json_get(answer, "error")),
		    json_string(json_get(answer, "error_description")), cause, sizeof(cause));
		check_str(cause, rows[i].cause);
		json_free(answer);
	}
}

/* --- the agent's key of Arc --- */

static void
test_arc_keys(void)
{
	static const struct { const char *name, *content, *cause; } bad[] = {
		{ "none.key", NULL, "No such file" },
		{ "empty.key", "", "it is no key" },
		{ "blank.key", "two words", "it is no key" },
		{ "binary.key", "a\001b", "it is no key" },
	};
	auto_buf struct buf endless = BUF_EMPTY;
	char dir[] = "/tmp/entra.XXXXXX", path[64], to[64];
	struct secret key = { NULL, 0 };
	struct err err;
	size_t i;

	check(mkdtemp(dir) != NULL);
	for (i = 0; i < LENGTH(bad); i++) {
		str_format(path, sizeof(path), "%s/%s", dir, bad[i].name);
		if (bad[i].content != NULL)
			check_int(fd_replace_file(path, bad[i].content, strlen(bad[i].content),
			    0600, NULL), 0);
		err = ERR_EMPTY;
		check_int(arc_read_key(dir, bad[i].name, &key, &err), -1);
		check_int(err.remedy, REMEDY_READ_ARC_KEY);
		check_str(err.resource, path);
		check(strstr(err.cause, bad[i].cause) != NULL);
	}
	str_format(path, sizeof(path), "%s/nul.key", dir);
	check_int(fd_replace_file(path, "key\0\n\0", 6, 0600, NULL), 0);
	check_int(arc_read_key(dir, "nul.key", &key, &err), -1);
	str_format(path, sizeof(path), "%s/good.key", dir);
	check_int(fd_replace_file(path, "key\r\n", 5, 0600, NULL), 0);
	check_int(arc_read_key(dir, "good.key", &key, &err), 0);
	check_str(key.text, "key");
	str_format(to, sizeof(to), "%s/link.key", dir);
	check_int(symlink(path, to), 0);
	check_int(arc_read_key(dir, "link.key", &key, &err), -1);
	check_str(err.cause, "it is a symbolic link");
	str_format(path, sizeof(path), "%s/folder.key", dir);
	check_int(mkdir(path, 0700), 0);
	check_int(arc_read_key(dir, "folder.key", &key, &err), -1);
	check_str(err.cause, "it is no regular file");
	for (i = 0; i <= ARC_KEY_MAX; i++)
		buf_addc(&endless, 'k');
	str_format(path, sizeof(path), "%s/long.key", dir);
	check_int(fd_replace_file(path, endless.data, endless.len, 0600, NULL), 0);
	check_int(arc_read_key(dir, "long.key", &key, &err), -1);
	check_str(err.cause, "it has more than 4096 bytes");
	check_str(key.text, "key");		/* none of them took its place */
	secret_done(&key);
	fd_remove_tree(dir, NULL);
}

/* --- sources that cannot begin --- */

static void
test_sources(void)
{
	const struct plan_identity pod = { .kind = PLAN_ID_MANAGED, .label = "the pod" };
	struct plan_identity principal = { .kind = PLAN_ID_CERTIFICATE, .label = "the principal",
	    .client_id = "c", .tenant_id = "t" };
	struct facts f = { .cwd = "/", .federated_token_file = "/nowhere/token" };
	static const struct http_options options = { .max_connections = 2 };
	struct http *http = http_new(&options, NULL);
	struct token t = { .generation = 0 };
	struct err err = ERR_EMPTY;

	check_int(source_acquire(&f, http, &pod, STORAGE, clock_ms() + 5000, &t, &err), -1);
	check_int(err.remedy, REMEDY_PROJECT_TOKEN);
	check_str(err.cause, "AZURE_FEDERATED_TOKEN_FILE is set, AZURE_TENANT_ID is not");
	f.tenant_id = "t";
	err = ERR_EMPTY;
	check_int(source_acquire(&f, http, &pod, STORAGE, clock_ms() + 5000, &t, &err), -1);
	check_str(err.cause, "AZURE_FEDERATED_TOKEN_FILE is set, AZURE_CLIENT_ID is not");
	check_str(err.resource, "AZURE_CLIENT_ID");
	check_str(err.identity, "the pod");
	/* No random number, no signature. */
	secret_set(&principal.secret, "pem", 3, NULL);
	err = ERR_EMPTY;
	deny(DENIED_GETRANDOM, 0, 0, ENOSYS);
	check_int(source_acquire(&f, http, &principal, STORAGE, clock_ms() + 5000, &t, &err), -1);
	check(denied_count() > 0);
	deny_nothing();
	check_int(err.sys_errno, ENOSYS);
	check_str(err.identity, "the principal");
	secret_done(&principal.secret);
	http_free(http);
}

int
main(void)
{
	test_endpoints();
	test_requests();
	test_texts();
	test_arc_keys();
	test_sources();
	return (check_done());
}
