#include "spec/cloud.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/fd.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/uri.h"

#define FILE_MAX	65536

const struct cloud cloud_public = {
	.name = "AzureCloud",
	.authority = "https://login.microsoftonline.com",
	.arm = "https://management.azure.com",
	.storage_suffix = "core.windows.net",
	.storage_resource = "https://storage.azure.com/",
	.gen1_suffix = "azuredatalakestore.net",
	.gen1_resource = "https://datalake.azure.net/",
	.vault_suffix = "vault.azure.net",
	.vault_resource = "https://vault.azure.net",
	.registry_suffix = "azurecr.io",
	.registry_resource = "https://containerregistry.azure.net",
	.aml_resource = "https://ml.azure.com/",
};

static const struct cloud us_government = {
	.name = "AzureUSGovernment",
	.authority = "https://login.microsoftonline.us",
	.arm = "https://management.usgovcloudapi.net",
	.storage_suffix = "core.usgovcloudapi.net",
	.storage_resource = "https://storage.azure.com/",
	.vault_suffix = "vault.usgovcloudapi.net",
	.vault_resource = "https://vault.usgovcloudapi.net",
	.registry_suffix = "azurecr.us",
	.registry_resource = "https://containerregistry.azure.net",
	.aml_resource = "https://ml.azure.us/",
};

static const struct cloud china = {
	.name = "AzureChinaCloud",
	.authority = "https://login.chinacloudapi.cn",
	.arm = "https://management.chinacloudapi.cn",
	.storage_suffix = "core.chinacloudapi.cn",
	.storage_resource = "https://storage.azure.com/",
	.vault_suffix = "vault.azure.cn",
	.vault_resource = "https://vault.azure.cn",
	.registry_suffix = "azurecr.cn",
	.registry_resource = "https://containerregistry.azure.net",
	.aml_resource = "https://ml.azure.cn/",
};

/* host: another one of its authority (AzureAD/microsoft-authentication-library-for-go
   apps/internal/oauth/ops/authority/authority.go). */
static const struct {
	const struct cloud *cloud;
	const char	*alias, *host;
} rows[] = {
	{ &cloud_public, "public", "login.windows.net" },
	{ &us_government, "usgov", "login.usgovcloudapi.net" },
	{ &china, "china", "login.partner.microsoftonline.cn" },
};

const struct cloud *
cloud_row(size_t i)
{
	return (i < LENGTH(rows) ? rows[i].cloud : NULL);
}

const struct cloud *
cloud_find(const char *name)
{
	size_t i;

	for (i = 0; i < LENGTH(rows); i++)
		if (str_same(name, rows[i].cloud->name) || str_same(name, rows[i].alias))
			return (rows[i].cloud);
	return (NULL);
}

/* 1: the host of url, with or without https://, is this one. */
static int
has_host(const char *url, const char *host)
{
	if (strncasecmp(url, "https://", 8) == 0)
		url += 8;
	return (strcspn(url, "/") == strlen(host) && strncasecmp(url, host, strlen(host)) == 0);
}

const struct cloud *
cloud_of_authority(const char *authority)
{
	size_t i;

	for (i = 0; i < LENGTH(rows); i++)
		if (has_host(authority, rows[i].cloud->authority + strlen("https://")) ||
		    has_host(authority, rows[i].host))
			return (rows[i].cloud);
	return (NULL);
}

/* ---- a cloud of somebody's own ---- */

enum form { FORM_NAME, FORM_ORIGIN, FORM_HOST, FORM_RESOURCE };

static const struct member {
	const char	*name;
	size_t		 at;
	enum form	 form;
	int		 optional;
} members[] = {
	{ "name", offsetof(struct cloud, name), FORM_NAME, 0 },
	{ "authority", offsetof(struct cloud, authority), FORM_ORIGIN, 0 },
	{ "arm", offsetof(struct cloud, arm), FORM_ORIGIN, 0 },
	{ "storage_suffix", offsetof(struct cloud, storage_suffix), FORM_HOST, 0 },
	{ "storage_resource", offsetof(struct cloud, storage_resource), FORM_RESOURCE, 0 },
	{ "gen1_suffix", offsetof(struct cloud, gen1_suffix), FORM_HOST, 1 },
	{ "gen1_resource", offsetof(struct cloud, gen1_resource), FORM_RESOURCE, 1 },
	{ "vault_suffix", offsetof(struct cloud, vault_suffix), FORM_HOST, 0 },
	{ "vault_resource", offsetof(struct cloud, vault_resource), FORM_RESOURCE, 0 },
	{ "registry_suffix", offsetof(struct cloud, registry_suffix), FORM_HOST, 0 },
	{ "registry_resource", offsetof(struct cloud, registry_resource), FORM_RESOURCE, 0 },
	{ "aml_resource", offsetof(struct cloud, aml_resource), FORM_RESOURCE, 0 },
};

static const char **
member_of(struct cloud *cloud, const struct member *m)
{
	return ((const char **)(void *)((char *)cloud + m->at));
}

static int __attribute__((format(printf, 4, 5)))
complain(struct err *err, const char *file, const char *member, const char *fmt, ...)
{
	char text[200];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	err_set(err, ERR_USAGE, REMEDY_DESCRIBE_CLOUD, "read the cloud", "%s", text);
	return (member == NULL ? err_on(err, "%s", file) : err_on(err, "%s: %.80s", file, member));
}

/* A name, maybe with a port; no scheme, no path. */
static int
is_host_name(const char *text)
{
	size_t len = strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789.-");
	long long port;

	if (len == 0 || len > 253 || strchr(".-", text[0]) != NULL ||
	    strchr(".-", text[len - 1]) != NULL || strstr(text, "..") != NULL)
		return (0);
	return (text[len] == '\0' ||
	    (text[len] == ':' && str_to_i64(text + len + 1, 1, 65535, &port) == 0));
}

static int
is_plain_name(const char *text)
{
	size_t len = 0;

	while ((unsigned char)text[len] > ' ' && text[len] != 0x7f)
		len++;
	return (len > 0 && len <= 64 && text[len] == '\0');
}

static int
is_https(const char *text, int origin, struct arena *mem)
{
	struct uri uri;

	return (str_starts(text, "https://") && strpbrk(text, "?@") == NULL &&
	    uri_parse(&uri, text, mem) == 0 && (!origin || *uri.path == '\0'));
}

static int
fits(const char *text, enum form form, struct arena *mem)
{
	switch (form) {
	case FORM_NAME:
		return (is_plain_name(text));
	case FORM_ORIGIN:
		return (is_https(text, 1, mem));
	case FORM_HOST:
		return (is_host_name(text));
	case FORM_RESOURCE:
		break;
	}
	return (is_https(text, 0, mem));
}

static const char *
expected(enum form form)
{
	static const char *const texts[] = {
		[FORM_NAME] = "a name without blanks",
		[FORM_ORIGIN] = "https://HOST, without anything behind it",
		[FORM_HOST] = "a host name in lower case, without a dot in front",
		[FORM_RESOURCE] = "an https URL",
	};

	return (texts[form]);
}

static int
take(struct cloud *cloud, const struct json *value, const char *file, struct arena *mem,
    struct err *err)
{
	const char *name = json_key(value), *text = json_string(value);
	size_t i;

	for (i = 0; i < LENGTH(members) && strcmp(members[i].name, name) != 0; i++)
		continue;
	if (i == LENGTH(members))
		return (complain(err, file, name, "a cloud has no such member"));
	if (*member_of(cloud, &members[i]) != NULL)
		return (complain(err, file, name, "it stands there twice"));
	if (text == NULL || !fits(text, members[i].form, mem))
		return (complain(err, file, name, "expected %s", expected(members[i].form)));
	*member_of(cloud, &members[i]) = arena_strdup(mem, text);
	return (0);
}

static int
take_all(struct cloud *cloud, const struct json *object, const char *file, struct arena *mem,
    struct err *err)
{
	const struct json *value;
	size_t i;

	if (json_type(object) != JSON_OBJECT)
		return (complain(err, file, NULL, "expected a JSON object"));
	for (value = json_first(object); value != NULL; value = json_next(value))
		if (take(cloud, value, file, mem, err) != 0)
			return (-1);
	for (i = 0; i < LENGTH(members); i++)
		if (!members[i].optional && *member_of(cloud, &members[i]) == NULL)
			return (complain(err, file, members[i].name, "it is missing: expected %s",
			    expected(members[i].form)));
	if ((cloud->gen1_suffix == NULL) != (cloud->gen1_resource == NULL))
		return (complain(err, file, "gen1_suffix",
		    "it and gen1_resource go together, or are both left out"));
	return (0);
}

const struct cloud *
cloud_parse(const char *text, size_t len, const char *file, struct arena *mem, struct err *err)
{
	struct cloud *cloud = arena_alloc(mem, sizeof(*cloud));
	struct json *object = json_parse(text, len);
	int failed;

	if (object == NULL)
		failed = complain(err, file, NULL, "this is not JSON");
	else
		failed = take_all(cloud, object, file, mem, err);
	json_free(object);
	return (failed != 0 ? NULL : cloud);
}

const char *
cloud_names(struct arena *mem)
{
	const char *list = "";
	size_t i;

	for (i = 0; i < LENGTH(rows); i++)
		list = arena_printf(mem, "%s%s%s", list, i == 0 ? "" : ", ", rows[i].cloud->name);
	return (list);
}

const struct cloud *
cloud_load(const char *name_or_file, struct arena *mem, struct err *err)
{
	const struct cloud *cloud = cloud_find(name_or_file);
	auto_buf struct buf text = BUF_EMPTY;
	struct err why = ERR_EMPTY;

	if (cloud != NULL)
		return (cloud);
	if (name_or_file[0] == '{')
		return (cloud_parse(name_or_file, strlen(name_or_file), "inline cloud", mem, err));
	if (fd_read_file(name_or_file, FILE_MAX, &text, &why) != 0) {
		complain(err, name_or_file, NULL,
		    "it is neither a cloud's name (%s) nor a file: %s", cloud_names(mem),
		    why.cause);
		return (NULL);
	}
	return (cloud_parse(buf_str(&text), text.len, arena_strdup(mem, name_or_file), mem, err));
}
