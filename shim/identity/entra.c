#include "identity/entra.h"

#include <string.h>

#include "base/uri.h"
#include "identity/source.h"
#include "spec/cloud.h"

#define ASSERTION_TYPE	"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

static int
refuse(struct err *err, enum err_remedy remedy, const char *what, const char *cause)
{
	err_set(err, ERR_USAGE, remedy, "get a token", "%s", cause);
	return (err_on(err, "%s", what));
}

static int
is_tenant(const char *text)
{
	return (text != NULL && text[0] != '\0' && text[strspn(text, "abcdefghijklmnopqrstuvwxyz"
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-")] == '\0');
}

const char *
entra_endpoint(const char *authority, const char *tenant, struct arena *mem, struct err *err)
{
	struct uri uri;
	const char *text = authority != NULL ? authority : cloud_public.authority;

	if (strstr(text, "://") == NULL)
		text = arena_printf(mem, "https://%s", text);
	if (!str_starts(text, "https://")) {
		refuse(err, REMEDY_USE_HTTPS, text, "a credential goes over https only");
		return (NULL);
	}
	if (uri_parse(&uri, text, mem) != 0 || *uri.user != '\0' || *uri.query != '\0' ||
	    uri.path[strspn(uri.path, "/")] != '\0') {
		refuse(err, REMEDY_FIX_SPEC, text, "an authority is https://HOST, such as "
		    "https://login.microsoftonline.com, without path");
		return (NULL);
	}
	if (!is_tenant(tenant)) {
		refuse(err, REMEDY_FIX_SPEC, text,
		    "the tenant is missing, or is neither a GUID nor a domain");
		return (NULL);
	}
	return (uri.port != 0 ? arena_printf(mem, "https://%s:%d/%s/oauth2/v2.0/token", uri.host,
	    uri.port, tenant) :
	    arena_printf(mem, "https://%s/%s/oauth2/v2.0/token", uri.host, tenant));
}

struct post {
	const struct entra_request *req;
	const char	*endpoint;
};

static int
add_assertion(const struct post *post, struct buf *form, struct err *err)
{
	struct secret text = { NULL, 0 };
	int failed = post->req->assertion(post->req->arg, post->endpoint, &text, err);

	if (failed == 0) {
		uri_add_field(form, "client_assertion_type", ASSERTION_TYPE);
		uri_add_field(form, "client_assertion", text.text);
	}
	secret_done(&text);
	return (failed);
}

static int
fill(void *arg, struct buf *form, struct err *err)
{
	const struct post *post = arg;
	const struct entra_request *req = post->req;

	uri_add_field(form, "grant_type", "client_credentials");
	uri_add_field(form, "client_id", req->client_id);
	if (req->secret != NULL)
		uri_add_field(form, "client_secret", req->secret->text);
	else if (add_assertion(post, form, err) != 0)
		return (-1);
	buf_adds(form, "&scope=");
	uri_encode(form, req->resource, strlen(req->resource), 0);
	uri_encode(form, "/.default", strlen("/.default"), 0);
	return (0);
}

static int
acquire(struct http *http, const struct entra_request *req, const char *endpoint,
    int64_t deadline_ms, struct token *ret, struct err *err)
{
	struct post post = { .req = req, .endpoint = endpoint };
	const struct source_call call = { .url = endpoint, .fill = fill, .arg = &post,
	    .form_secret = req->secret != NULL ? req->secret->text : NULL, .use_proxy = 1 };

	if (req->client_id == NULL || (req->secret == NULL) == (req->assertion == NULL) ||
	    (req->secret != NULL && req->secret->len == 0))
		return (refuse(err, REMEDY_FIX_SPEC, endpoint,
		    "there is no client id, or nothing that proves it"));
	return (source_do(http, &call, deadline_ms, ret, err));
}

int
entra_acquire(struct http *http, const struct entra_request *req, int64_t deadline_ms,
    struct token *ret, struct err *err)
{
	struct arena mem = ARENA_EMPTY;
	const char *endpoint = entra_endpoint(req->authority, req->tenant, &mem, err);
	int failed = endpoint != NULL ? acquire(http, req, endpoint, deadline_ms, ret, err) : -1;

	arena_done(&mem);
	return (failed);
}
