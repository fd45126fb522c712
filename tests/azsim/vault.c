#include "vault.h"

#include <string.h>

#include "arm.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/uri.h"
#include "plane.h"

#define JSON_TYPE	"application/json; charset=utf-8"

static const char versions[] = " 2015-06-01 2016-10-01 7.0 7.1 7.2 7.3 7.4 7.5 7.6 2025-07-01 ";

/* The vault of the Host header; NULL: it names none. */
static const struct thing *
find_vault(struct exchange *ex)
{
	const char *host = exchange_header(ex, "host");
	size_t len = host != NULL ? strcspn(host, ":") : 0, n = strlen(VAULT_SUFFIX);
	char name[128];

	if (len <= n || len - n >= sizeof(name) || strncmp(host + len - n, VAULT_SUFFIX, n) != 0)
		return (NULL);
	memcpy(name, host, len - n);
	name[len - n] = '\0';
	return (plane_find(&ex->sim->plane, THING_VAULT, NULL, name, NULL));
}

int
vault_route(struct exchange *ex)
{
	if (find_vault(ex) == NULL)
		return (-1);
	ex->service = SERVICE_VAULT;
	ex->op = "VaultGetSecret";
	return (0);
}

static int
challenge(struct exchange *ex, const struct thing *vault, const char *message)
{
	const char *lie = thing_word(vault, "resource");

	answer_header(ex, "WWW-Authenticate", "Bearer authorization=\"https://login."
	    "microsoftonline.com/%s\", resource=\"%s\"", ex->sim->people.tenant,
	    lie[0] != '\0' ? lie : VAULT_RESOURCE);
	return (arm_fail(ex, 401, "Unauthorized", NULL, "%s", message));
}

static int
forbid(struct exchange *ex, const struct jwt_claims *who, const struct thing *vault)
{
	if (strcmp(thing_word(vault, "network"), "deny") == 0)
		return (arm_fail(ex, 403, "Forbidden", "ForbiddenByFirewall", "Client address is "
		    "not authorized and caller is not a trusted service.\r\nClient address: "
		    "127.0.0.1\r\nCaller: appid=%s;oid=%s;iss=%s\r\nVault: %s;location=localhost",
		    who->appid, who->oid, who->iss, vault->name));
	return (arm_fail(ex, 403, "Forbidden", "ForbiddenByRbac", "Caller is not authorized to "
	    "perform action on resource.\r\nIf role assignments, deny assignments or role "
	    "definitions were changed recently, please observe propagation time.\r\nCaller: "
	    "appid=%s;oid=%s;iss=%s\r\nAction: 'Microsoft.KeyVault/vaults/secrets/getSecret/action'"
	    "\r\nAssignment: (not found)\r\nVault: %s;location=localhost\r\n", who->appid,
	    who->oid, who->iss, vault->name));
}

/* 0: *who may read; 1: answered. */
static int
check_caller(struct exchange *ex, const struct thing *vault, struct jwt_claims *who)
{
	static const char *const audiences[] = { VAULT_RESOURCE, NULL };
	const char *why;

	if (arm_bearer(ex, who, &why) != 0) {
		challenge(ex, vault, why != NULL ? why :
		    "AKV10000: Request is missing a Bearer or PoP token.");
		return (1);
	}
	if (!arm_is_audience(who->aud, audiences)) {
		challenge(ex, vault, "AKV10022: Invalid audience.");
		return (1);
	}
	if (strcmp(thing_word(vault, "network"), "deny") != 0 && plane_find(&ex->sim->plane,
	    THING_GRANT, vault->name, who->oid, "secrets-user") != NULL)
		return (0);
	forbid(ex, who, vault);
	return (1);
}

static int
check_version(struct exchange *ex)
{
	const char *version = exchange_param(ex, "api-version");
	char spaced[64];

	if (version != NULL && strchr(version, ' ') == NULL &&
	    str_format(spaced, sizeof(spaced), " %s ", version) == 0 &&
	    strstr(versions, spaced) != NULL)
		return (0);
	arm_fail(ex, 400, "BadParameter", NULL, version == NULL ?
	    "api-version must be specified" : "The specified version is not recognized.");
	return (1);
}

static int
give(struct exchange *ex, const struct thing *vault, const struct thing *secret)
{
	auto_buf struct buf body = BUF_EMPTY;
	const char *exp = thing_word(secret, "exp");
	struct json_out out;
	long long life;

	json_out_init(&out, &body, 0);
	json_out_begin(&out, '{');
	json_out_kstring(&out, "value", thing_word(secret, "value"));
	json_out_kstring(&out, "id", arena_printf(&ex->mem, "https://%s/secrets/%s/%s",
	    exchange_header(ex, "host"), secret->name, secret->version));
	json_out_key(&out, "attributes");
	json_out_begin(&out, '{');
	json_out_kbool(&out, "enabled", 1);
	if (str_to_i64(exp, -1000000000, 1000000000, &life) == 0)
		json_out_kint(&out, "exp", secret->made_unix_s + life);
	json_out_kint(&out, "created", secret->made_unix_s);
	json_out_kint(&out, "updated", secret->made_unix_s);
	json_out_kstring(&out, "recoveryLevel", "Recoverable+Purgeable");
	json_out_kint(&out, "recoverableDays", 90);
	json_out_end(&out, '}');
	json_out_end(&out, '}');
	(void)vault;
	return (answer(ex, 200, JSON_TYPE, body.data, body.len));
}

/* /secrets/NAME, /secrets/NAME/ or /secrets/NAME/VERSION */
int
vault_handle(struct exchange *ex)
{
	const struct thing *vault = find_vault(ex), *secret;
	char *name = arena_strdup(&ex->mem, ex->req->path), *version;
	struct jwt_claims who;

	if (vault == NULL)
		return (-1);
	if (ex->peer->tls == NULL)
		return (arm_fail(ex, 400, "HttpsRequired", NULL, "Vaults are reached over https."));
	if (strcmp(ex->req->method, "GET") != 0 || !str_starts(name, "/secrets/"))
		return (arm_fail(ex, 501, "NotImplemented", NULL, "azsim reads secrets only"));
	if (check_version(ex) != 0 || check_caller(ex, vault, &who) != 0)
		return (0);
	name += strlen("/secrets/");
	version = strchr(name, '/');
	if (version != NULL)
		*version++ = '\0';
	secret = plane_find(&ex->sim->plane, THING_SECRET, vault->name, name,
	    version != NULL && version[0] != '\0' ? version : NULL);
	if (secret == NULL)
		return (arm_fail(ex, 404, "SecretNotFound", NULL, "A secret with (name/id) %s was "
		    "not found in this key vault.", name));
	if (strcmp(thing_word(secret, "enabled"), "0") == 0)
		return (arm_fail(ex, 403, "Forbidden", "SecretDisabled", "Operation get is not "
		    "allowed on a disabled secret."));
	return (give(ex, vault, secret));
}
