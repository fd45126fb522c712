#include <string.h>

#include "base/uri.h"
#include "spec/parts.h"

enum verdict { NO, ODD, YES };	/* ODD: works, but Azure ML does not store it */

struct rule {
	enum verdict	 kinds[SPEC_CRED_CERTIFICATE + 1];
	const char	*forms;		/* for messages */
};

/*
 * What a store of each type takes.  (_schema/_datastore/{azure_storage,adls_gen1,one_lake,
 * credentials}.py in Azure/azure-sdk-for-python sdk/ml/azure-ai-ml/azure/ai/ml/.)
 */
static const struct rule rules[] = {
	[SPEC_BLOB] = { { YES, YES, YES, ODD, ODD }, "account_key or sas_token" },
	[SPEC_GEN2] = { { YES, ODD, ODD, YES, YES }, "a service principal or a certificate" },
	[SPEC_GEN1] = { { YES, NO, NO, YES, YES }, "a service principal or a certificate" },
	[SPEC_FILE_SHARE] = { { YES, YES, YES, NO, NO }, "account_key or sas_token" },
	[SPEC_ONELAKE] = { { YES, NO, NO, YES, ODD }, "a service principal" },
};

static const struct field credential_fields[] = {
	{ "account_key", "key", 1 }, { "sas_token", NULL, 1 }, { "tenant_id", NULL, 1 },
	{ "client_id", NULL, 1 }, { "client_secret", NULL, 1 }, { "certificate", NULL, 1 },
	{ "thumbprint", NULL, 1 }, { "authority_url", NULL, 1 }, { "authority_uri", NULL, 1 },
	{ "resource_url", NULL, 1 }, { "type", "credentialsType", 1 }, { "secrets", NULL, 1 },
};

static const struct field secret_fields[] = {
	{ "account_key", "key", 1 }, { "sas_token", NULL, 1 }, { "client_secret", NULL, 1 },
	{ "certificate", NULL, 1 }, { "type", "secretsType", 1 },
};

static const struct field reference_fields[] = {
	{ "key_vault_secret", NULL, 1 },
};

struct secrets {
	const struct object *o;		/* where the secret stands */
	const char	*field;
	enum spec_credential kind;
};

/* Text without white space around it, as block scalars have; nothing of it is copied. */
static const char *
trimmed(const struct yaml_node *node, size_t *ret_len)
{
	const char *s = node->text + strspn(node->text, " \t\r\n");

	*ret_len = str_trim_end(s, strlen(s));
	return (s);
}

static const char *
key_flaw(const char *text, size_t len)
{
	auto_free unsigned char *bytes = mem_alloc(len + 1);
	ssize_t n = base64_decode(bytes, len + 1, text, len);

	secret_wipe(bytes, len + 1);
	return (n > 0 ? NULL : "expected the base64 text of an account key");
}

static const char *
sas_flaw(const char *text, size_t len)
{
	static const char sig[] = "sig=";
	const char *found = memmem(text, len, sig, strlen(sig));
	size_t i;

	for (i = 0; i < len; i++)
		if ((unsigned char)text[i] <= ' ' || text[i] == 0x7f)
			return ("a SAS has no blanks or line breaks");
	if (found == NULL || (found != text && found[-1] != '&'))
		return ("this is no SAS: it has no sig=");
	return (NULL);
}

const char *
spec_secret_flaw(enum spec_credential kind, const char *text, size_t len)
{
	if (len == 0)
		return ("expected a string, got an empty one");
	if (len > SECRET_MAX)
		return ("longer than 65536 bytes");
	if (kind == SPEC_CRED_ACCOUNT_KEY)
		return (key_flaw(text, len));
	return (kind == SPEC_CRED_SAS ? sas_flaw(text, len) : NULL);
}

/* https://VAULT/secrets/NAME[/VERSION]: Key Vault names are letters, digits and hyphens. */
static int
is_vault_url(const char *text, struct arena *scratch)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	    "0123456789-";
	const char *s;
	struct uri uri;
	size_t len;

	if (strpbrk(text, "?@") != NULL || uri_parse(&uri, text, scratch) != 0 ||
	    strcmp(uri.scheme, "https") != 0 || strchr(uri.host, '.') == NULL ||
	    !str_starts(uri.path, "/secrets/"))
		return (0);
	s = uri.path + strlen("/secrets/");
	len = strspn(s, allowed);
	if (len == 0 || len > 127)
		return (0);
	s += len;
	if (*s == '/' && s[1] != '\0')
		s += 1 + strspn(s + 1, allowed);
	else if (*s == '/')
		s++;
	return (*s == '\0');
}

/* account_key: {key_vault_secret: URL} */
static int
take_reference(const struct secrets *found, const struct yaml_node *node,
    struct spec_datastore *ds)
{
	struct object o;
	const char *url;

	/* No remark on other names: one could be the secret, in braces by mistake. */
	if (node->n != 1 || yaml_get(node, "key_vault_secret") == NULL)
		return (object_fail(found->o, found->field,
		    "expected a string, or {key_vault_secret: URL}"));
	if (object_open(&o, found->o->r, node, object_path(found->o, found->field),
	    reference_fields, LENGTH(reference_fields)) != 0 ||
	    object_need_string(&o, "key_vault_secret", &url) != 0)
		return (-1);
	if (!is_vault_url(url, o.r->scratch))
		return (object_fail(&o, "key_vault_secret",
		    "expected https://VAULT.vault.azure.net/secrets/NAME[/VERSION]"));
	ds->credential = found->kind;
	ds->secret_from = SPEC_SECRET_VAULT;
	ds->secret_url = url;
	return (0);
}

static int
take_secret(const struct secrets *found, struct spec_datastore *ds)
{
	const struct yaml_node *node = object_find(found->o, found->field);
	const char *text, *flaw;
	size_t len;

	if (node->kind == YAML_KIND_MAP)
		return (take_reference(found, node, ds));
	if (node->kind != YAML_KIND_SCALAR || node->scalar != YAML_IS_STRING)
		return (reader_wrong_type(found->o->r, node, object_path(found->o, found->field),
		    "a string, or {key_vault_secret: URL}"));
	text = trimmed(node, &len);
	if (found->kind == SPEC_CRED_SAS && len > 0 && *text == '?') {
		text++;
		len--;
	}
	flaw = spec_secret_flaw(found->kind, text, len);
	if (flaw != NULL)
		return (object_fail(found->o, found->field, "%s", flaw));
	ds->credential = found->kind;
	return (secret_set(&ds->secret, text, len, found->o->r->err));
}

static int
find_secret(const struct object *o, struct secrets *ret)
{
	static const struct {
		const char *field;
		enum spec_credential kind;
	} kinds[] = {
		{ "account_key", SPEC_CRED_ACCOUNT_KEY }, { "sas_token", SPEC_CRED_SAS },
		{ "client_secret", SPEC_CRED_SERVICE_PRINCIPAL },
		{ "certificate", SPEC_CRED_CERTIFICATE },
	};
	size_t i;

	for (i = 0; i < LENGTH(kinds); i++) {
		if (object_find(o, kinds[i].field) == NULL)
			continue;
		if (ret->o != NULL)
			return (object_fail(o, kinds[i].field,
			    "a datastore has one credential, here is %s as well", ret->field));
		*ret = (struct secrets){ o, kinds[i].field, kinds[i].kind };
	}
	return (0);
}

/* *ret_text is a copy that may be shown: no secret is asked for here. */
static int
read_url(const struct object *o, const char *field, const char **ret)
{
	struct uri uri;

	if (object_string(o, field, ret) != 0)
		return (-1);
	if (*ret == NULL)
		return (0);
	if (strpbrk(*ret, "?@") != NULL || uri_parse(&uri, *ret, o->r->scratch) != 0)
		return (object_fail(o, field, "expected a URL such as "
		    "https://login.microsoftonline.com"));
	if (strcmp(uri.scheme, "https") != 0 &&
	    (strcmp(uri.scheme, "http") != 0 || !uri_is_loopback_host(uri.host))) {
		(void)object_fail(o, field, "expected an https URL");
		if (o->r->err != NULL)
			o->r->err->remedy = REMEDY_USE_HTTPS;
		return (-1);
	}
	return (0);
}

static int
is_tenant(const char *s)
{
	const char *start = s;

	for (; *s != '\0'; s++)
		if (!(*s >= 'A' && *s <= 'Z') && !(*s >= 'a' && *s <= 'z') &&
		    !(*s >= '0' && *s <= '9') && *s != '.' && *s != '-')
			return (0);
	return (s > start);
}

static int
check_tenant(const struct object *o, const char *tenant)
{
	return (is_tenant(tenant) ? 0 : object_fail(o, "tenant_id",
	    "expected a GUID or the domain of a tenant"));
}

/* Forty hexadecimal digits, with colons and blanks between them. */
static int
is_thumbprint(const char *text)
{
	size_t digits = 0;

	for (; *text != '\0'; text++) {
		if (strchr("0123456789abcdefABCDEF", *text) != NULL)
			digits++;
		else if (*text != ':' && *text != ' ')
			digits = 41;
	}
	return (digits == 40);
}

static int
check_thumbprint(const struct object *o, const char *text)
{
	return (is_thumbprint(text) ? 0 : object_fail(o, "thumbprint",
	    "expected 40 hexadecimal digits (SHA-1 of the certificate)"));
}

/* What a service principal has besides its secret. */
static int
read_principal(const struct object *o, struct spec_datastore *ds)
{
	const char *authority = object_find(o, "authority_url") != NULL ? "authority_url" :
	    "authority_uri";

	if (object_need_string(o, "tenant_id", &ds->tenant_id) != 0 ||
	    check_tenant(o, ds->tenant_id) != 0 ||
	    object_need_string(o, "client_id", &ds->client_id) != 0 ||
	    object_guid(o, "client_id", &ds->client_id) != 0 ||
	    read_url(o, authority, &ds->authority_url) != 0 ||
	    read_url(o, "resource_url", &ds->resource_url) != 0)
		return (-1);
	if (ds->credential != SPEC_CRED_CERTIFICATE)
		return (0);
	return (object_need_string(o, "thumbprint", &ds->thumbprint) != 0 ? -1 :
	    check_thumbprint(o, ds->thumbprint));
}

/* Fields that hint at a credential whose secret is not there. */
static int
missing_secret(const struct object *o)
{
	const char *type;

	if (object_string(o, "type", &type) != 0)
		return (-1);
	if (o->r->arm && type != NULL && !str_same(type, "None"))
		return (object_fail(o, NULL, "the secrets are missing: Azure Resource Manager "
		    "shows them with listSecrets only"));
	if (object_find(o, "thumbprint") != NULL)
		return (object_missing(o, "certificate"));
	if (object_find(o, "client_id") != NULL || object_find(o, "tenant_id") != NULL)
		return (object_missing(o, "client_secret"));
	return (0);
}

int
credential_read(const struct object *datastore, struct spec_datastore *ds)
{
	const struct yaml_node *node = object_find(datastore, "credentials"), *inner;
	const struct rule *rule = &rules[ds->type];
	struct secrets found = { .o = NULL };
	struct object o, secrets;

	if (node == NULL)
		return (0);
	if (object_open(&o, datastore->r, node, object_path(datastore, "credentials"),
	    credential_fields, LENGTH(credential_fields)) != 0 || find_secret(&o, &found) != 0)
		return (-1);
	inner = object_find(&o, "secrets");
	if (inner != NULL && (object_open(&secrets, datastore->r, inner, object_path(&o, "secrets"),
	    secret_fields, LENGTH(secret_fields)) != 0 || find_secret(&secrets, &found) != 0))
		return (-1);
	if (found.o == NULL)
		return (missing_secret(&o));
	if (rule->kinds[found.kind] == NO)
		return (object_fail(found.o, found.field, "a datastore of type %s takes %s",
		    spec_store_name(ds->type), rule->forms));
	if (rule->kinds[found.kind] == ODD)
		reader_remark(datastore->r, SPEC_REMARK_WARNING, object_find(found.o, found.field),
		    "Azure ML itself takes %s for a datastore of type %s", rule->forms,
		    spec_store_name(ds->type));
	if (take_secret(&found, ds) != 0)
		return (-1);
	if (ds->credential == SPEC_CRED_ACCOUNT_KEY || ds->credential == SPEC_CRED_SAS)
		return (0);
	return (read_principal(&o, ds));
}

/* All but the secret itself. */
const char *
credential_flaw(const struct spec_datastore *ds)
{
	if ((size_t)ds->type >= LENGTH(rules) || (size_t)ds->credential >= LENGTH(rules[0].kinds) ||
	    rules[ds->type].kinds[ds->credential] == NO)
		return ("a kind of credential that this type of datastore does not take");
	if (ds->credential != SPEC_CRED_SERVICE_PRINCIPAL &&
	    ds->credential != SPEC_CRED_CERTIFICATE)
		return (NULL);
	if (ds->tenant_id == NULL || ds->client_id == NULL || !str_is_guid(ds->client_id) ||
	    !is_tenant(ds->tenant_id))
		return ("a service principal without client and tenant");
	if (ds->authority_url != NULL && !str_starts(ds->authority_url, "https://"))
		return ("an authority that is no https URL");
	if (ds->credential == SPEC_CRED_CERTIFICATE &&
	    (ds->thumbprint == NULL || !is_thumbprint(ds->thumbprint)))
		return ("a certificate without thumbprint");
	return (NULL);
}
