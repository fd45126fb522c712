/*
 * Azure Arc: GET $IDENTITY_ENDPOINT?api-version=2020-06-01&resource=R, Metadata: true, is answered
 * with 401 and the name of a key file (arc.h); the same again with its content.  The machine's
 * system-assigned identity only.
 */

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "identity/arc.h"
#include "identity/source.h"
#include "plan/issuer.h"

#define DEFAULT_ENDPOINT "http://127.0.0.1:40342/metadata/identity/oauth2/token"

static int
detect(const struct facts *facts)
{
	return (issuer_find(facts)->kind == ISSUER_ARC);
}

static int
bad_challenge(struct err *err, const char *header, const char *cause)
{
	err_set(err, ERR_NO_IDENTITY, REMEDY_CHECK_ENDPOINT, "answer the Arc agent's challenge",
	    "%s: WWW-Authenticate is \"%.160s\"", cause, header);
	return (-1);
}

int
arc_key_name(const char *header, const char *dir, char ret[ARC_NAME_MAX + 1], struct err *err)
{
	static const char basic[] = "Basic realm=";
	size_t len = strlen(dir);
	const char *path, *name, *c;

	if (strncasecmp(header, basic, strlen(basic)) != 0)
		return (bad_challenge(err, header, "expected Basic realm=FILE"));
	path = header + strlen(basic);
	if (strchr(path, '=') != NULL)
		return (bad_challenge(err, header, "a second '='"));
	if (strncmp(path, dir, len) != 0 || path[len] != '/')
		return (bad_challenge(err, header, "the file is not in the agent's directory"));
	name = path + len + 1;
	if (strchr(name, '/') != NULL)
		return (bad_challenge(err, header, "the file is not in the agent's directory"));
	if (!str_ends(name, ".key") || name[0] == '.' || strlen(name) > ARC_NAME_MAX)
		return (bad_challenge(err, header, "the file's name does not end in .key"));
	for (c = name; *c != '\0'; c++)
		if ((unsigned char)*c <= ' ' || (unsigned char)*c >= 0x7f)
			return (bad_challenge(err, header, "the file's name is not plain"));
	str_format(ret, ARC_NAME_MAX + 1, "%s", name);
	return (0);
}

static int
bad_key(struct err *err, const char *dir, const char *name, const char *cause)
{
	err_set(err, ERR_NO_IDENTITY, REMEDY_READ_ARC_KEY, "read the Arc agent's key", "%s",
	    cause);
	return (err_on(err, "%s/%s", dir, name));
}

/* A link, a device or a pipe is not what the agent writes. */
static int
open_key(const char *dir, const char *name, struct err *err)
{
	auto_close int dirfd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	auto_close int fd = dirfd < 0 ? -1 : openat(dirfd, name,
	    O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct stat st;

	if (fd < 0)
		return (bad_key(err, dir, name, errno == ELOOP ? "it is a symbolic link" :
		    strerror(errno)));
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
		return (bad_key(err, dir, name, "it is no regular file"));
	if (st.st_size > ARC_KEY_MAX)
		return (bad_key(err, dir, name, "it has more than 4096 bytes"));
	return (fd_take(&fd));
}

int
arc_read_key(const char *dir, const char *name, struct secret *ret, struct err *err)
{
	auto_close int fd = open_key(dir, name, err);
	char key[ARC_KEY_MAX + 1];
	int failed = -1;
	ssize_t n;

	if (fd < 0)
		return (-1);
	n = fd_pread_full(fd, key, sizeof(key), 0);
	if (n > 0)
		n = (ssize_t)str_trim_end(key, (size_t)n);
	if (n <= 0 || n > ARC_KEY_MAX || !str_is_visible(key, (size_t)n))
		bad_key(err, dir, name, "it is no key: empty, too long, or with blanks");
	else
		failed = secret_set(ret, key, (size_t)n, err);
	secret_wipe(key, sizeof(key));
	return (failed);
}

static int
prepare_challenge(struct http_call *call, struct http_request *req, struct err *err)
{
	(void)err;
	req->method = "GET";
	req->url = call->arg;
	req->no_proxy = 1;
	req->headers[req->nheaders++] = (struct http_header){ "Metadata", "true" };
	return (0);
}

/* 401 is what is wanted. */
static enum http_verdict
judge_challenge(struct http_call *call, const struct http_response *res, int *ret_delay_ms)
{
	(void)call;
	(void)ret_delay_ms;
	if (res->status == 401)
		return (HTTP_OK);
	return (source_verdict(res) == HTTP_RETRY ? HTTP_RETRY : HTTP_FAIL);
}

static int
get_challenge(struct http *http, const char *url, const char *dir, int64_t deadline_ms,
    char name[ARC_NAME_MAX + 1], struct err *err)
{
	struct http_call call = { .op = "ask the Arc agent", .prepare = prepare_challenge,
	    .judge = judge_challenge, .arg = (void *)(uintptr_t)url,
	    .deadline_ms = deadline_ms, .body_max = SOURCE_ANSWER_MAX };
	int failed = http_do(http, &call, err);

	if (failed == 0)
		failed = arc_key_name(call.response.www_authenticate, dir, name, err);
	else if (call.response.status >= 200 && call.response.status < 300 &&
	    err != NULL && err->http_status != 0)
		err_set(err, ERR_PROTOCOL, REMEDY_CHECK_ENDPOINT, "ask the Arc agent",
		    "it answers %d where 401 and a challenge are due", call.response.status);
	else if (err != NULL)
		source_explain(&call.response, err);
	http_call_done(&call);
	return (failed);
}

static int
acquire(const struct facts *facts, struct http *http, const struct plan_identity *identity,
    const char *resource, int64_t deadline_ms, struct token *ret, struct err *err)
{
	const char *dir = facts->arc_tokens_dir != NULL ? facts->arc_tokens_dir : ARC_TOKENS_DIR;
	auto_buf struct buf header = BUF_EMPTY;
	struct arena mem = ARENA_EMPTY;
	struct secret key = { NULL, 0 };
	struct source_call call = { .header_name = "Authorization", .metadata = 1 };
	char name[ARC_NAME_MAX + 1], url[256];
	int failed;

	if (source_no_selector(identity, "Azure Arc gives the machine's system-assigned identity "
	    "only", err) != 0)
		return (-1);
	call.url = source_url_add(facts->identity_endpoint != NULL && facts->imds_endpoint != NULL ?
	    facts->identity_endpoint : DEFAULT_ENDPOINT, "api-version", "2020-06-01", &mem);
	call.url = source_url_add(call.url, "resource", resource, &mem);
	failed = get_challenge(http, call.url, dir, deadline_ms, name, err);
	if (failed == 0)
		failed = arc_read_key(dir, name, &key, err);
	if (failed == 0) {
		buf_printf(&header, "Basic %s", key.text);
		call.header_value = buf_str(&header);
		failed = source_do(http, &call, deadline_ms, ret, err);
	}
	if (failed != 0)
		err_on(err, "%s", http_printable_url(call.url, url, sizeof(url)));
	secret_done(&key);
	arena_done(&mem);
	return (failed);
}

const struct source source_arc = {
	.name = "Azure Arc agent", .kind = PLAN_ID_MANAGED,
	.detect = detect, .acquire = acquire,
};
