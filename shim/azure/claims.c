#include <string.h>

#include "azure/claims.h"
#include "base/json.h"
#include "base/secret.h"
#include "base/uri.h"

static void
claim(const struct json *claims, const char *name, char *out, size_t size)
{
	const char *text = json_string(json_get(claims, name));

	str_format(out, size, "%s", text == NULL ? "" : text);
}

int
token_read_claims(const char *text, size_t len, struct token_claims *ret)
{
	const char *first = memchr(text, '.', len), *second;
	unsigned char payload[8192];
	struct json *claims;
	ssize_t n;

	memset(ret, 0, sizeof(*ret));
	if (first == NULL)
		return (-1);
	first++;
	second = memchr(first, '.', len - (size_t)(first - text));
	if (second == NULL)
		return (-1);
	n = base64url_decode(payload, sizeof(payload), first, (size_t)(second - first));
	if (n < 0)
		return (-1);
	claims = json_parse((const char *)payload, (size_t)n);
	secret_wipe(payload, sizeof(payload));
	if (json_type(claims) != JSON_OBJECT) {
		json_free(claims);
		return (-1);
	}
	claim(claims, "tid", ret->tid, sizeof(ret->tid));
	claim(claims, "oid", ret->oid, sizeof(ret->oid));
	claim(claims, "appid", ret->appid, sizeof(ret->appid));
	if (ret->appid[0] == '\0')
		claim(claims, "azp", ret->appid, sizeof(ret->appid));
	claim(claims, "aud", ret->aud, sizeof(ret->aud));
	claim(claims, "idtyp", ret->idtyp, sizeof(ret->idtyp));
	claim(claims, "upn", ret->upn, sizeof(ret->upn));
	claim(claims, "xms_mirid", ret->xms_mirid, sizeof(ret->xms_mirid));
	ret->is_user = strcmp(ret->idtyp, "app") != 0 &&
	    (json_get(claims, "scp") != NULL || strcmp(ret->idtyp, "user") == 0);
	json_free(claims);
	return (0);
}
