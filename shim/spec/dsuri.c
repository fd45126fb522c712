#include <string.h>

#include "base/uri.h"
#include "spec/dsuri.h"

#define SHOW_MAX	100

struct reading {
	struct dsuri	*u;
	const struct cloud *cloud;	/* the one we are in */
	const char	*text;		/* as written, for messages */
	struct arena	*arena;
	struct err	*err;
};

/*
 * Endpoint suffixes of storage accounts beside those of the clouds: DNS zone endpoints,
 * OneLake.  A host with any other one is a stranger, and strangers get no token.
 * (MicrosoftDocs/azure-docs storage-account-overview.md.)
 */
static const char *const more_suffixes[] = { "storage.azure.net", "fabric.microsoft.com" };

/* Shows the text without its query: a SAS can stand there. */
static int
fail(const struct reading *r, enum err_remedy remedy, const char *why)
{
	size_t i, len = strcspn(r->text, "?"), shown = len < SHOW_MAX ? len : SHOW_MAX;
	char word[SHOW_MAX + 1];

	for (i = 0; i < shown; i++)
		word[i] = (unsigned char)r->text[i] < 0x20 || r->text[i] == 0x7f ? '?' :
		    r->text[i];
	word[shown] = '\0';
	(void)err_set(r->err, ERR_USAGE, remedy, "load", "\"%s%s\": %s", word,
	    shown < len ? "..." : "", why);
	return (-1);
}

static int
usage(const struct reading *r, const char *why)
{
	return (fail(r, REMEDY_FIX_SPEC, why));
}

/* Decode once, drop leading slashes, refuse what a path on disk could misread. */
static int
set_path(struct reading *r, const char *encoded)
{
	char *path = arena_strdup(r->arena, encoded), *segment;
	size_t len;

	if (uri_decode(path) < 0)
		return (usage(r, "a % in the path must be followed by two hexadecimal digits "
		    "(write %25 for a percent sign)"));
	if (str_has_control(path))
		return (usage(r, "a control character in the path"));
	path += strspn(path, "/");
	for (segment = path;; segment += len + 1) {
		len = strcspn(segment, "/");
		if ((len == 1 && segment[0] == '.') ||
		    (len == 2 && segment[0] == '.' && segment[1] == '.'))
			return (usage(r, "the path has a segment \".\" or \"..\""));
		if (segment[len] == '\0')
			break;
	}
	r->u->path = path;
	return (0);
}

/* The segment at *s, which moves behind it and one '/'; NULL if empty. */
static char *
take_segment(const struct reading *r, const char **s)
{
	size_t len = strcspn(*s, "/");
	char *segment = len > 0 ? arena_strndup(r->arena, *s, len) : NULL;

	*s += len;
	*s += **s == '/';
	return (segment);
}

static int
is_plain_word(const char *s)
{
	for (; *s != '\0'; s++)
		if ((unsigned char)*s <= ' ' || *s == 0x7f || strchr("?#%\\:@", *s) != NULL)
			return (0);
	return (1);
}

/* DS/paths/P, s is at DS. */
static int
parse_datastore(struct reading *r, const char *s)
{
	const char *word;

	r->u->form = DSURI_DATASTORE;
	r->u->datastore = take_segment(r, &s);
	if (r->u->datastore == NULL || !is_plain_word(r->u->datastore))
		return (usage(r, "expected azureml://datastores/NAME/paths/PATH"));
	word = take_segment(r, &s);
	if (word == NULL && *s == '\0') {
		r->u->path = "";
		return (0);
	}
	if (word != NULL && strcmp(word, "ExperimentRun") == 0) {
		r->u->form = DSURI_ASSET;
		r->u->asset = r->text;
		return (0);
	}
	if (word == NULL || strcmp(word, "paths") != 0)
		return (usage(r, "expected /paths/ after the datastore's name"));
	return (set_path(r, s));
}

/* What names and versions of assets are made of; "." and ".." would climb in a URL. */
static int
is_asset_word(const char *s)
{
	size_t len = strlen(s);

	return (len > 0 && len <= 255 && s[strspn(s, "abcdefghijklmnopqrstuvwxyz"
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.")] == '\0' && strcmp(s, ".") != 0 &&
	    strcmp(s, "..") != 0);
}

static void
set_asset(struct reading *r, const char *name, const char *which, int is_label)
{
	if (!is_asset_word(name) || !is_asset_word(which))
		return;
	r->u->asset_name = name;
	r->u->asset_version = is_label ? NULL : which;
	r->u->asset_label = is_label ? which : NULL;
}

/* NAME:VERSION or NAME@LABEL. */
static void
parse_short_asset(struct reading *r, const char *s)
{
	size_t len = strcspn(s, ":@");
	const char *name = arena_strndup(r->arena, s, len);
	const char *rest = s[len] != '\0' ? s + len + 1 : s + len;

	set_asset(r, name, rest, s[len] != ':');
}

/* data/NAME/versions/V or data/NAME/labels/L, models too; of anything else nothing is known. */
static void
parse_long_asset(struct reading *r, const char *s)
{
	const char *kind = take_segment(r, &s), *name = take_segment(r, &s);
	const char *by = take_segment(r, &s), *which = take_segment(r, &s);

	if (kind == NULL || by == NULL || which == NULL || name == NULL || *s != '\0' ||
	    (!str_same(kind, "data") && !str_same(kind, "models")))
		return;
	r->u->is_model = str_same(kind, "models");
	if (str_same(by, "versions") || str_same(by, "labels"))
		set_asset(r, name, which, str_same(by, "labels"));
}

/* S/resourcegroups/G[/providers/P]/workspaces/W/...: *s moves behind it.  -1: it is not so. */
static int
take_workspace(struct reading *r, const char **s)
{
	const char *subscription = take_segment(r, s), *groups = take_segment(r, s);
	const char *group = take_segment(r, s), *word = take_segment(r, s), *workspace;

	if (word != NULL && str_same(word, "providers")) {
		(void)take_segment(r, s);
		word = take_segment(r, s);
	}
	workspace = take_segment(r, s);
	if (subscription == NULL || groups == NULL || !str_same(groups, "resourcegroups") ||
	    group == NULL || word == NULL || !str_same(word, "workspaces") || workspace == NULL)
		return (-1);
	r->u->subscription = subscription;
	r->u->resource_group = group;
	r->u->workspace = workspace;
	return (0);
}

/* s is behind "azureml://subscriptions/". */
static int
parse_workspace(struct reading *r, const char *s)
{
	static const char expected[] = "expected azureml://subscriptions/ID/resourcegroups/NAME/"
	    "workspaces/NAME/datastores/NAME/paths/PATH";
	const char *rest, *word;

	if (take_workspace(r, &s) != 0)
		return (usage(r, expected));
	rest = s;
	word = take_segment(r, &s);
	if (word == NULL)
		return (usage(r, expected));
	if (str_same(word, "datastores"))
		return (parse_datastore(r, s));
	r->u->form = DSURI_ASSET;
	r->u->asset = r->text;
	parse_long_asset(r, rest);
	return (*s == '\0' ? usage(r, expected) : 0);
}

/* LOCATION/workspaces/ID/data/...: s is at LOCATION. */
static void
parse_location(struct reading *r, const char *s)
{
	const char *location = take_segment(r, &s), *word = take_segment(r, &s);
	const char *id = take_segment(r, &s);

	if (location == NULL || word == NULL || !str_same(word, "workspaces") || id == NULL ||
	    !str_is_guid(id))
		return;
	r->u->workspace_id = id;
	parse_long_asset(r, s);
}

/* azureml:NAME:VERSION, azureml:NAME@LABEL, azureml:/ARM/ID */
static int
parse_asset(struct reading *r, const char *s)
{
	if (*s == '\0' || (*s != '/' && strpbrk(s, ":@") == NULL))
		return (usage(r, "expected azureml:NAME:VERSION or azureml:NAME@latest"));
	if (*s != '/') {
		parse_short_asset(r, s);
	} else if (strncasecmp(s, "/subscriptions/", 15) == 0) {
		s += 15;
		if (take_workspace(r, &s) == 0)
			parse_long_asset(r, s);
	}
	return (0);
}

/* s is behind "azureml:". */
static int
parse_azureml(struct reading *r, const char *s)
{
	static const char *const assets[] = { "registries", "locations", "jobs" };
	const char *word;
	size_t i;

	r->u->form = DSURI_ASSET;
	r->u->asset = r->text;
	if (!str_starts(s, "//"))
		return (parse_asset(r, s));
	s += 2;
	word = take_segment(r, &s);
	if (word != NULL && strcmp(word, "datastores") == 0)
		return (parse_datastore(r, s));
	if (word != NULL && str_same(word, "subscriptions"))
		return (parse_workspace(r, s));
	if (word != NULL && strcmp(word, "locations") == 0)
		parse_location(r, s);
	for (i = 0; i < LENGTH(assets); i++)
		if (word != NULL && strcmp(word, assets[i]) == 0 && *s != '\0')
			return (0);
	return (usage(r, "expected azureml://datastores/NAME/paths/PATH, or the id of an asset"));
}

/* HOST or HOST:PORT. */
static const char *
authority(const struct reading *r, const struct uri *uri)
{
	return (uri->port == 0 ? arena_strdup(r->arena, uri->host) :
	    arena_printf(r->arena, "%s:%d", uri->host, uri->port));
}

/* ACCOUNT.SERVICE.SUFFIX; -1: the host has another form. */
static int
split_host(struct reading *r, const struct uri *uri, const char *service)
{
	const char *dot = strstr(uri->host, service), *whole = authority(r, uri);

	if (dot == NULL || dot == uri->host || dot[strlen(service)] == '\0')
		return (-1);
	r->u->account = arena_strndup(r->arena, uri->host, (size_t)(dot - uri->host));
	r->u->suffix = whole + (dot - uri->host) + strlen(service);
	return (0);
}

static int
parse(struct reading *r, const char *text, struct uri *uri)
{
	if (strchr(text, '?') == NULL && uri_parse(uri, text, r->arena) == 0)
		return (0);
	(void)usage(r, strchr(text, '?') != NULL ? "a query (a SAS?) does not belong in a path: "
	    "put the SAS into a datastore's credentials" :
	    "not a valid URL (write %20 for a space, %23 for #)");
	return (-1);
}

/* Hosts are compared, not ports. */
static int
is_host(const char *authority, const char *host)
{
	size_t len = strcspn(authority, ":");

	return (strcspn(host, ":") == len && strncmp(authority, host, len) == 0);
}

static int
is_storage_suffix(const struct reading *r, const char *suffix)
{
	size_t i;

	for (i = 0; i < LENGTH(more_suffixes); i++)
		if (is_host(suffix, more_suffixes[i]))
			return (1);
	for (i = 0; cloud_row(i) != NULL; i++)
		if (is_host(suffix, cloud_row(i)->storage_suffix))
			return (1);
	return (is_host(suffix, r->cloud->storage_suffix));
}

static int
is_gen1_suffix(const struct reading *r, const char *suffix)
{
	return (is_host(suffix, cloud_public.gen1_suffix) ||
	    (r->cloud->gen1_suffix != NULL && is_host(suffix, r->cloud->gen1_suffix)));
}

/*
 * Hosts in whose paths the account stands: this machine, a name of the network around us, for
 * which nobody outside gets a certificate, what the cloud's description names.  Any other
 * address, also one written as a single number, is a stranger's.
 */
static int
is_near(const struct reading *r, const char *host)
{
	int is_word = strchr(host, '.') == NULL && *host >= 'a' && *host <= 'z';

	return (is_word || uri_is_loopback_host(host) ||
	    (uri_is_path_style_host(host) && is_host(r->cloud->storage_suffix, host)));
}

/* A host that is no storage account of a known cloud: an address, and nothing of ours. */
static int
set_stranger(struct reading *r, const struct uri *uri)
{
	r->u->form = DSURI_HTTP;
	r->u->account = NULL;
	r->u->suffix = authority(r, uri);
	return (set_path(r, uri->path));
}

/* wasb[s], abfs[s]: the container stands before the @. */
static int
parse_hadoop(struct reading *r, const char *text, enum dsuri_form form)
{
	const char *service = form == DSURI_BLOB ? ".blob." : ".dfs.";
	struct uri uri;

	if (parse(r, text, &uri) != 0)
		return (-1);
	if (*uri.user == '\0' || strchr(uri.user, ':') != NULL ||
	    split_host(r, &uri, service) != 0)
		return (usage(r, form == DSURI_BLOB ?
		    "expected wasbs://CONTAINER@ACCOUNT.blob.core.windows.net/PATH" :
		    "expected abfss://FILESYSTEM@ACCOUNT.dfs.core.windows.net/PATH"));
	r->u->scheme = "https";
	if (!is_storage_suffix(r, r->u->suffix))
		return (set_stranger(r, &uri));
	r->u->form = form;
	r->u->container = arena_strdup(r->arena, uri.user);
	return (set_path(r, uri.path));
}

static int
parse_adl(struct reading *r, const char *text)
{
	struct uri uri;
	const char *dot;

	if (parse(r, text, &uri) != 0)
		return (-1);
	dot = strchr(uri.host, '.');
	if (dot == NULL || dot == uri.host || dot[1] == '\0' || *uri.user != '\0')
		return (usage(r, "expected adl://STORE.azuredatalakestore.net/PATH"));
	r->u->scheme = "https";
	r->u->suffix = authority(r, &uri) + (dot + 1 - uri.host);
	if (!is_gen1_suffix(r, r->u->suffix))
		return (set_stranger(r, &uri));
	r->u->form = DSURI_GEN1;
	r->u->account = arena_strndup(r->arena, uri.host, (size_t)(dot - uri.host));
	return (set_path(r, uri.path));
}

/* As far as it could become another path; what else it may be the service knows. */
static int
is_container(const char *s)
{
	return (*s != '\0' && strcmp(s, ".") != 0 && strcmp(s, "..") != 0 &&
	    strchr(s, '/') == NULL && !str_has_control(s));
}

/* CONTAINER/P, both still encoded. */
static int
set_container(struct reading *r, const char *s)
{
	char *container;

	s += *s == '/';
	container = take_segment(r, &s);
	if (container == NULL || uri_decode(container) < 0 || !is_container(container))
		return (usage(r, "the URL names no container"));
	r->u->container = container;
	return (set_path(r, s));
}

static int
parse_https(struct reading *r, const char *text)
{
	struct uri uri;
	const char *s;
	int blob;

	if (uri_parse(&uri, text, r->arena) != 0)
		return (usage(r, "not a valid URL (write %20 for a space, %23 for #)"));
	if (*uri.user != '\0') {
		r->text = uri.host;	/* not the password */
		return (usage(r, "a user or password does not belong in a URL"));
	}
	r->u->scheme = arena_strdup(r->arena, uri.scheme);
	s = uri.path + (*uri.path == '/');
	if (is_near(r, uri.host) && strchr(s, '/') != NULL && *s != '/') {
		r->u->form = DSURI_BLOB;
		r->u->account = take_segment(r, &s);
		r->u->suffix = authority(r, &uri);
		return (parse(r, text, &uri) != 0 ? -1 : set_container(r, s));
	}
	blob = split_host(r, &uri, ".blob.") == 0;
	if ((!blob && split_host(r, &uri, ".dfs.") != 0) || !is_storage_suffix(r, r->u->suffix))
		return (set_stranger(r, &uri));
	r->u->form = blob ? DSURI_BLOB : DSURI_GEN2;
	if (parse(r, text, &uri) != 0)
		return (-1);
	if (strcmp(uri.scheme, "https") != 0)
		return (fail(r, REMEDY_USE_HTTPS, "storage is reached over https only"));
	return (set_container(r, uri.path));
}

static int
parse_local(struct reading *r, const char *text)
{
	if (str_starts(text, "//") && text[2] == '/')
		text += 2;		/* file:///PATH */
	if (*text == '\0')
		return (usage(r, "the path is empty"));
	if (str_has_control(text))
		return (usage(r, "a control character in the path"));
	r->u->form = DSURI_LOCAL;
	r->u->path = arena_strdup(r->arena, text);
	return (0);
}

/* The length of "SCHEME:" at s, or 0. */
static size_t
scheme_length(const char *s)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	    "0123456789+-.";
	size_t len = strspn(s, allowed);

	return (len > 0 && s[len] == ':' ? len : 0);
}

static int
has_scheme(const char *text, size_t len, const char *scheme)
{
	return (strlen(scheme) == len && strncasecmp(text, scheme, len) == 0);
}

const char *
dsuri_bare(const char *text)
{
	static const char *const dropped[] = { "file:azureml://", "folder:azureml://",
	    "azureml:wasbs://", "azureml:wasb://", "azureml:abfss://", "azureml:abfs://",
	    "azureml:adl://", "azureml:https://", "azureml:http://" };
	size_t i;

	for (i = 0; i < LENGTH(dropped); i++)
		if (strncasecmp(text, dropped[i], strlen(dropped[i])) == 0)
			return (strchr(text, ':') + 1);
	return (text);
}

int
dsuri_parse(struct dsuri *ret, const char *text, struct arena *arena, struct err *err)
{
	return (dsuri_parse_in(&cloud_public, ret, text, arena, err));
}

int
dsuri_parse_in(const struct cloud *cloud, struct dsuri *ret, const char *text,
    struct arena *arena, struct err *err)
{
	struct dsuri u = { .path = "" };
	struct reading r = { &u, cloud, text, arena, err };
	size_t len;
	int status;

	text = dsuri_bare(text);
	len = scheme_length(text);
	r.text = arena_strdup(arena, text);
	if (has_scheme(text, len, "azureml"))
		status = parse_azureml(&r, r.text + len + 1);
	else if (has_scheme(text, len, "wasbs") || has_scheme(text, len, "wasb"))
		status = parse_hadoop(&r, text, DSURI_BLOB);
	else if (has_scheme(text, len, "abfss") || has_scheme(text, len, "abfs"))
		status = parse_hadoop(&r, text, DSURI_GEN2);
	else if (has_scheme(text, len, "adl"))
		status = parse_adl(&r, text);
	else if (has_scheme(text, len, "https") || has_scheme(text, len, "http"))
		status = parse_https(&r, text);
	else if (has_scheme(text, len, "file"))
		status = parse_local(&r, text + len + 1);
	else if (len > 0 && str_starts(text + len, "://"))
		status = usage(&r, "this scheme is not supported; known are azureml, wasbs, "
		    "abfss, adl, https and file");
	else
		status = parse_local(&r, text);
	if (status == 0)
		*ret = u;
	return (status);
}
