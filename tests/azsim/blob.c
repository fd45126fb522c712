#include "blob.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "base/uri.h"
#include "dfs.h"
#include "gate.h"

#define META_PREFIX	"x-ms-meta-"
#define META_MAX	8192

#define LIST_PARAMS	" prefix delimiter marker maxresults include showonly "

static const struct blob_op ops[] = {
	{ "ListContainers", "GET", LEVEL_SERVICE, NULL, "list", -1, LIST_PARAMS, NULL, "l",
	    ROLE_READER, blob_list_containers },
	{ "GetUserDelegationKey", "POST", LEVEL_SERVICE, "service", "userdelegationkey", -1, "",
	    NULL, NULL, ROLE_READER, blob_get_user_delegation_key },
	{ "GetAccountInfo", "GET", LEVEL_SERVICE, "account", "properties", -1, "", NULL,
	    "rwdlacup", ROLE_READER, blob_get_account_info },
	{ "GetAccountInfo", "HEAD", LEVEL_SERVICE, "account", "properties", -1, "", NULL,
	    "rwdlacup", ROLE_READER, blob_get_account_info },
	{ "CreateContainer", "PUT", LEVEL_CONTAINER, "container", NULL, -1, "", NULL, "cw",
	    ROLE_CONTRIBUTOR, blob_create_container },
	{ "DeleteContainer", "DELETE", LEVEL_CONTAINER, "container", NULL, -1, "", NULL, "d",
	    ROLE_CONTRIBUTOR, blob_delete_container },
	{ "GetContainerProperties", "GET", LEVEL_CONTAINER, "container", NULL, -1, "", NULL, "r",
	    ROLE_READER, blob_get_container },
	{ "GetContainerProperties", "HEAD", LEVEL_CONTAINER, "container", NULL, -1, "", NULL, "r",
	    ROLE_READER, blob_get_container },
	{ "SetContainerMetadata", "PUT", LEVEL_CONTAINER, "container", "metadata", -1, "", NULL,
	    "w", ROLE_CONTRIBUTOR, blob_set_container_metadata },
	{ "ListBlobs", "GET", LEVEL_CONTAINER, "container", "list", -1, LIST_PARAMS, "l", "l",
	    ROLE_READER, blob_list },
	{ "GetAccountInfo", "HEAD", LEVEL_CONTAINER, "account", "properties", -1, "", NULL,
	    "rwdlacup", ROLE_READER, blob_get_account_info },
	{ "GetAccountInfo", "GET", LEVEL_CONTAINER, "account", "properties", -1, "", NULL,
	    "rwdlacup", ROLE_READER, blob_get_account_info },
	{ "GetBlob", "GET", LEVEL_BLOB, NULL, NULL, -1, "", "r", "r", ROLE_READER, blob_get },
	{ "GetBlobProperties", "HEAD", LEVEL_BLOB, NULL, NULL, -1, "", "r", "r", ROLE_READER,
	    blob_get_properties },
	{ "GetBlobMetadata", "HEAD", LEVEL_BLOB, NULL, "metadata", -1, "", "r", "r", ROLE_READER,
	    blob_get_properties },
	{ "PutBlob", "PUT", LEVEL_BLOB, NULL, NULL, 0, "", "cw", "cw", ROLE_CONTRIBUTOR,
	    blob_put },
	{ "CopyBlob", "PUT", LEVEL_BLOB, NULL, NULL, 1, "", "cw", "cw", ROLE_CONTRIBUTOR,
	    blob_copy },
	{ "AbortCopyBlob", "PUT", LEVEL_BLOB, NULL, "copy", -1, " copyid ", "w", "w",
	    ROLE_CONTRIBUTOR, blob_abort_copy },
	{ "PutBlock", "PUT", LEVEL_BLOB, NULL, "block", 0, " blockid ", "cw", "cw",
	    ROLE_CONTRIBUTOR, blob_put_block },
	{ "PutBlockList", "PUT", LEVEL_BLOB, NULL, "blocklist", -1, "", "cw", "cw",
	    ROLE_CONTRIBUTOR, blob_put_block_list },
	{ "GetBlockList", "GET", LEVEL_BLOB, NULL, "blocklist", -1, " blocklisttype ", "r", "r",
	    ROLE_READER, blob_get_block_list },
	{ "DeleteBlob", "DELETE", LEVEL_BLOB, NULL, NULL, -1, "", "d", "d", ROLE_CONTRIBUTOR,
	    blob_delete },
	{ "SetBlobMetadata", "PUT", LEVEL_BLOB, NULL, "metadata", -1, "", "w", "w",
	    ROLE_CONTRIBUTOR, blob_set_metadata },
	{ "SetBlobProperties", "PUT", LEVEL_BLOB, NULL, "properties", -1, "", "w", "w",
	    ROLE_CONTRIBUTOR, blob_set_properties },
};

/* Of the service, but not of the simulator. */
static const char other_comps[] = " acl appendblock batch blobs expiry immutabilityPolicies "
    "incrementalcopy lease legalhold list metadata page pagelist properties query rename seal "
    "snapshot stats tags tier undelete block blocklist copy userdelegationkey ";

static const char sas_params[] = " sv ss srt sp st se sip spr sr si skoid sktid skt ske sks skv "
    "saoid suoid scid skdutid sduoid sdd ses sig rscc rscd rsce rscl rsct ";

/* Request headers that the service knows, in the order of the alphabet. */
static const char known_headers[] =
    " x-ms-access-tier x-ms-blob-cache-control x-ms-blob-content-disposition "
    "x-ms-blob-content-encoding x-ms-blob-content-language x-ms-blob-content-md5 "
    "x-ms-blob-content-type x-ms-blob-public-access x-ms-blob-type x-ms-client-request-id "
    "x-ms-content-crc64 x-ms-copy-action x-ms-copy-source x-ms-copy-source-authorization "
    "x-ms-date x-ms-delete-snapshots x-ms-encryption-scope x-ms-if-tags x-ms-lease-id "
    "x-ms-range x-ms-range-get-content-crc64 x-ms-range-get-content-md5 x-ms-requires-sync "
    "x-ms-return-client-request-id x-ms-source-content-md5 x-ms-source-if-match "
    "x-ms-source-if-modified-since x-ms-source-if-none-match x-ms-source-if-unmodified-since "
    "x-ms-source-range x-ms-tags x-ms-user-agent x-ms-useragent x-ms-version ";

/* What the simulator would ignore wrongly. */
static const char refused_headers[] = " x-ms-lease-id x-ms-if-tags x-ms-encryption-scope ";

static int
is_listed(const char *list, const char *word)
{
	char spaced[96];

	return (word[0] != '\0' && strchr(word, ' ') == NULL &&
	    str_format(spaced, sizeof(spaced), " %s ", word) == 0 &&
	    strcasestr(list, spaced) != NULL);
}

void
blob_etag(uint64_t etag, char out[ETAG_SIZE])
{
	str_format(out, ETAG_SIZE, "0x%" PRIX64, etag);
}

int
blob_version_from(const struct exchange *ex, const char *version)
{
	return (strcmp(ex->version, version) >= 0);
}

/* The first segment of *path, decoded; *path moves behind its '/'.  NULL: none, or bad. */
static char *
take_segment(struct exchange *ex, const char **path)
{
	size_t n = strcspn(*path, "/");
	char *segment = arena_strndup(&ex->mem, *path, n);

	*path += n;
	if (**path == '/')
		(*path)++;
	return (n == 0 || uri_decode(segment) <= 0 ? NULL : segment);
}

char *
blob_account_of_host(struct exchange *ex, const char *service)
{
	const char *host = exchange_header(ex, "host");
	char *name, *end;

	if (host == NULL)
		return (NULL);
	name = arena_strdup(&ex->mem, host);
	name[strcspn(name, ":")] = '\0';
	if (uri_is_path_style_host(name) || (end = strstr(name, service)) == NULL)
		return (NULL);
	*end = '\0';
	return (name);
}

/* Both are not there, or both say the same. */
static int
is_param(const char *wanted, const char *given)
{
	return (wanted == NULL || given == NULL ? wanted == given : strcasecmp(wanted, given) == 0);
}

static const struct blob_op *
find_op(const struct exchange *ex)
{
	const char *restype = exchange_param(ex, "restype"), *comp = exchange_param(ex, "comp");
	int is_copy = exchange_header(ex, "x-ms-copy-source") != NULL;
	enum blob_level level = ex->blob != NULL ? LEVEL_BLOB :
	    ex->container != NULL ? LEVEL_CONTAINER : LEVEL_SERVICE;
	size_t i;

	for (i = 0; i < LENGTH(ops); i++) {
		const struct blob_op *op = &ops[i];

		if (op->level != level || strcmp(op->method, ex->req->method) != 0 ||
		    (op->is_copy != -1 && op->is_copy != is_copy) ||
		    !is_param(op->restype, restype) || !is_param(op->comp, comp))
			continue;
		return (op);
	}
	return (NULL);
}

int
blob_route(struct exchange *ex)
{
	const char *path = ex->req->path + 1, *account = blob_account_of_host(ex, ".blob.");
	const struct blob_op *op;

	ex->service = SERVICE_BLOB;
	ex->version = exchange_header(ex, "x-ms-version");
	if (ex->version == NULL)
		ex->version = "";
	if (account == NULL) {
		account = take_segment(ex, &path);
		ex->path_style = 1;
	}
	if (account == NULL)
		return (refuse(ex, "InvalidUri"));
	ex->account = model_account(&ex->sim->model, account);
	if (ex->account == NULL || ex->account->gen1)
		return (refuse(ex, "ResourceNotFound"));
	if (*path != '\0') {
		ex->container = take_segment(ex, &path);
		if (ex->container == NULL)
			return (refuse(ex, "InvalidUri"));
	}
	if (*path != '\0') {
		ex->blob = arena_strdup(&ex->mem, path);
		if (uri_decode(ex->blob) <= 0)
			return (refuse(ex, "InvalidUri"));
	} else if (ex->container != NULL && exchange_param(ex, "restype") == NULL) {
		ex->blob = ex->container;	/* a blob of the root container */
		ex->container = arena_strdup(&ex->mem, "$root");
	}
	op = find_op(ex);
	if (op != NULL)
		ex->op = op->name;
	return (0);
}

/* 3 to 63 of [a-z0-9-], no hyphen at the ends or next to another; "Naming containers". */
int
blob_is_container_name(const char *name)
{
	size_t n = strlen(name), i;

	if (strcmp(name, "$root") == 0 || strcmp(name, "$web") == 0 || strcmp(name, "$logs") == 0)
		return (1);
	if (n < 3 || n > 63 || name[0] == '-' || name[n - 1] == '-' ||
	    strstr(name, "--") != NULL)
		return (0);
	for (i = 0; i < n; i++)
		if (!((name[i] >= 'a' && name[i] <= 'z') || (name[i] >= '0' && name[i] <= '9') ||
		    name[i] == '-'))
			return (0);
	return (1);
}

/* 1 to 1024 characters of UTF-8, at most 254 segments. */
int
blob_is_name(const char *name)
{
	size_t chars = 0, segments = 1, left;

	for (; *name != '\0'; chars++) {
		const unsigned char *c = (const unsigned char *)name;

		left = *c < 0x80 ? 0 : *c >= 0xf0 && *c < 0xf5 ? 3 : *c >= 0xe0 && *c < 0xf0 ? 2 :
		    *c >= 0xc2 && *c < 0xe0 ? 1 : 4;
		if (left == 4)
			return (0);
		segments += *name == '/';
		for (name++; left > 0; left--, name++)
			if ((*(const unsigned char *)name & 0xc0) != 0x80)
				return (0);
	}
	return (chars >= 1 && chars <= 1024 && segments <= 254);
}

static int
check_names(struct exchange *ex)
{
	size_t n;

	if (ex->container != NULL && !ex->account->onelake &&
	    !blob_is_container_name(ex->container))
		return (refuse(ex, "InvalidResourceName"));
	if (ex->blob == NULL)
		return (0);
	if (!blob_is_name(ex->blob))
		return (refuse(ex, "InvalidUri"));
	if (!ex->account->hns)
		return (0);
	/* A hierarchy has no empty names; "Naming directories and files". */
	n = strlen(ex->blob);
	if (n > 1 && ex->blob[n - 1] == '/')
		ex->blob[n - 1] = '\0';
	if (ex->blob[0] == '/' || strstr(ex->blob, "//") != NULL)
		return (refuse(ex, "InvalidUri"));
	return (0);
}

static int
check_params(struct exchange *ex, const struct blob_op *op)
{
	int has_sas = exchange_param(ex, "sig") != NULL;
	const char *timeout = exchange_param(ex, "timeout");
	long long n;
	size_t i;

	for (i = 0; i < ex->nparams; i++) {
		const struct param *p = &ex->params[i];

		if (is_listed(" restype comp timeout ", p->name) ||
		    is_listed(op->params, p->name) ||
		    (has_sas && is_listed(sas_params, p->name)))
			continue;
		if (is_listed(" snapshot versionid ", p->name))
			return (refuse(ex, "NotImplemented"));
		return (refuse_param(ex, "InvalidQueryParameterValue", p->name, p->value));
	}
	if (timeout != NULL && str_to_i64(timeout, 1, INT64_MAX, &n) != 0)
		return (refuse_param(ex, "InvalidQueryParameterValue", "timeout", timeout));
	return (0);
}

static int
check_headers(struct exchange *ex)
{
	const char *id = exchange_header(ex, "x-ms-client-request-id");
	size_t i;

	for (i = 0; i < ex->req->nheaders; i++) {
		const char *name = ex->req->headers[i].name;

		if (!str_starts(name, "x-ms-") || str_starts(name, META_PREFIX))
			continue;
		if (is_listed(refused_headers, name))
			return (refuse(ex, "NotImplemented"));
		if (!is_listed(known_headers, name))
			return (refuse_header(ex, "UnsupportedHeader", name, NULL));
	}
	if (id != NULL && strlen(id) > 1024)
		return (refuse_header(ex, "InvalidHeaderValue", "x-ms-client-request-id", NULL));
	return (0);
}

/* Nothing of the table: is it the client that errs, or are we not complete? */
static int
refuse_op(struct exchange *ex)
{
	const char *comp = exchange_param(ex, "comp"), *restype = exchange_param(ex, "restype");

	if (comp != NULL && !is_listed(other_comps, comp))
		return (refuse_param(ex, "InvalidQueryParameterValue", "comp", comp));
	if (restype != NULL && !is_listed(" container service account directory ", restype))
		return (refuse_param(ex, "InvalidQueryParameterValue", "restype", restype));
	if (comp != NULL || restype != NULL)
		return (refuse(ex, "NotImplemented"));
	return (refuse(ex, "UnsupportedHttpVerb"));
}

/* As on the other endpoint; of workspaces only listings, which its documentation shows. */
static int
check_onelake(struct exchange *ex, const struct blob_op *op)
{
	if (!ex->account->onelake)
		return (0);
	if (op->level != LEVEL_BLOB)
		return (op->role == ROLE_READER ? 0 : refuse(ex, "UnsupportedQueryParameter"));
	return (op->role == ROLE_CONTRIBUTOR && dfs_is_managed(ex->account, ex->blob) ?
	    refuse(ex, "OperationNotAllowedOnManagedFolder") : 0);
}

int
blob_handle(struct exchange *ex)
{
	const struct blob_op *op = find_op(ex);

	if (!ex->account->network_allow)
		return (refuse(ex, "AuthorizationFailure"));
	if (ex->account->https_only && ex->peer->tls == NULL)
		return (refuse(ex, "AccountRequiresHttps"));
	if (gate_authenticate(ex) != 0)
		return (-1);
	if (op == NULL)
		return (refuse_op(ex));
	if (check_names(ex) != 0 || check_params(ex, op) != 0 || check_headers(ex) != 0 ||
	    gate_authorize(ex, op) != 0 || check_onelake(ex, op) != 0)
		return (-1);
	/* RFC 9110 lets it go, the service does not: 411. */
	if ((strcmp(ex->req->method, "PUT") == 0 || strcmp(ex->req->method, "POST") == 0) &&
	    ex->req->content_length < 0)
		return (refuse(ex, "MissingContentLengthHeader"));
	return (op->run(ex));
}

struct container *
blob_container(struct exchange *ex)
{
	struct container *c = model_container(ex->account, ex->container);

	if (c == NULL)
		refuse(ex, "ContainerNotFound");
	return (c);
}

void
blob_own(const struct exchange *ex, struct version *v)
{
	if (ex->account->hns && ex->oid[0] != '\0')
		v->access.owner = mem_strdup(ex->oid);
}

void
blob_add_identity(struct exchange *ex, const struct version *v)
{
	char etag[ETAG_SIZE], date[CLOCK_RFC1123_SIZE];

	blob_etag(v->etag, etag);
	clock_format_rfc1123(v->modified_unix_s, date);
	answer_header(ex, "ETag", "\"%s\"", etag);
	answer_header(ex, "Last-Modified", "%s", date);
}

/* Metadata names are C# identifiers; "Setting and retrieving properties and metadata". */
static int
is_meta_name(const char *name)
{
	const char *c;

	if (name[0] >= '0' && name[0] <= '9')
		return (0);
	for (c = name; *c != '\0'; c++)
		if (!((*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') ||
		    (*c >= '0' && *c <= '9') || *c == '_'))
			return (0);
	return (1);
}

int
blob_read_meta(struct exchange *ex, struct pairs *ret)
{
	size_t i, total = 0;

	for (i = 0; i < ex->req->nheaders; i++) {
		const char *name = ex->req->headers[i].name, *value = ex->req->headers[i].value;

		if (!str_starts(name, META_PREFIX))
			continue;
		name += strlen(META_PREFIX);
		if (name[0] == '\0')
			return (refuse(ex, "EmptyMetadataKey"));
		if (!is_meta_name(name))
			return (refuse(ex, "InvalidMetadata"));
		total += strlen(name) + strlen(value);
		if (total > META_MAX)
			return (refuse(ex, "MetadataTooLarge"));
		pairs_add(ret, name, value);
	}
	return (0);
}

/* "*" or a quoted entity tag. */
static int
read_etag(struct exchange *ex, const char *name, const char **ret)
{
	const char *value = exchange_header(ex, name);
	size_t n;

	*ret = value;
	if (value == NULL || strcmp(value, "*") == 0)
		return (0);
	n = strlen(value);
	if (n < 3 || value[0] != '"' || value[n - 1] != '"')
		return (refuse_header(ex, "InvalidHeaderValue", name, value));
	return (0);
}

static int
read_date(struct exchange *ex, const char *name, int64_t *ret)
{
	const char *value = exchange_header(ex, name);

	*ret = 0;
	if (value != NULL && clock_parse_rfc1123(value, ret) != 0)
		return (refuse_header(ex, "InvalidHeaderValue", name, value));
	return (0);
}

int
conditions_read(struct exchange *ex, int source, struct conditions *ret)
{
	if (source)
		return (read_etag(ex, "x-ms-source-if-match", &ret->match) != 0 ||
		    read_etag(ex, "x-ms-source-if-none-match", &ret->none_match) != 0 ||
		    read_date(ex, "x-ms-source-if-modified-since", &ret->modified_since) != 0 ||
		    read_date(ex, "x-ms-source-if-unmodified-since",
		    &ret->unmodified_since) != 0 ? -1 : 0);
	return (read_etag(ex, "if-match", &ret->match) != 0 ||
	    read_etag(ex, "if-none-match", &ret->none_match) != 0 ||
	    read_date(ex, "if-modified-since", &ret->modified_since) != 0 ||
	    read_date(ex, "if-unmodified-since", &ret->unmodified_since) != 0 ? -1 : 0);
}

/* text is "*" or quoted. */
static int
is_etag(const char *text, const struct version *v)
{
	char etag[ETAG_SIZE], quoted[ETAG_SIZE + 2];

	if (v == NULL)
		return (0);
	blob_etag(v->etag, etag);
	str_format(quoted, sizeof(quoted), "\"%s\"", etag);
	return (strcmp(text, "*") == 0 || strcmp(text, quoted) == 0);
}

/* What must hold and does not: 1. */
static int
fails_positive(const struct conditions *c, const struct version *now)
{
	return ((c->match != NULL && !is_etag(c->match, now)) ||
	    (c->unmodified_since != 0 && now != NULL &&
	    now->modified_unix_s > c->unmodified_since));
}

static int
fails_negative(const struct conditions *c, const struct version *now)
{
	return ((c->none_match != NULL && is_etag(c->none_match, now)) ||
	    (c->modified_since != 0 && now != NULL && now->modified_unix_s <= c->modified_since));
}

/* learn.microsoft.com "Specifying conditional headers for Blob service operations". */
int
conditions_check_write(struct exchange *ex, const struct conditions *c, const struct version *now)
{
	if (fails_positive(c, now))
		return (refuse(ex, "ConditionNotMet"));
	if (fails_negative(c, now))
		return (refuse(ex, c->none_match != NULL && strcmp(c->none_match, "*") == 0 ?
		    "BlobAlreadyExists" : "ConditionNotMet"));
	return (0);
}

int
conditions_check_read(struct exchange *ex, const struct conditions *c, const struct version *now)
{
	if (fails_positive(c, now))
		return (refuse(ex, "ConditionNotMet"));
	if (fails_negative(c, now))
		return (refuse(ex, "ConditionNotMet:304"));
	return (0);
}

int
conditions_check_source(struct exchange *ex, const struct conditions *c,
    const struct version *now)
{
	if (fails_positive(c, now) || fails_negative(c, now))
		return (refuse(ex, "SourceConditionNotMet"));
	return (0);
}
