/*
 * How answers leave: head, body, what a fault does to them, and the table of refusals.
 *
 * Codes and messages: learn.microsoft.com "Common REST API error codes", "Blob Storage error
 * codes"; shapes as in Azure/Azurite src/blob/errors/StorageErrorFactory.ts.
 */

#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/fd.h"
#include "dfs.h"
#include "exchange.h"
#include "gen1.h"

#define BOM	"\xef\xbb\xbf"

struct refusal {
	const char *code;		/* what follows ':' tells two of one code apart */
	int	 status;
	const char *message;
};

static const struct refusal refusals[] = {
	{ "AccountRequiresHttps", 400, "The account being accessed does not support http." },
	{ "AuthenticationFailed", 403, "Server failed to authenticate the request. Make sure the "
	    "value of Authorization header is formed correctly including the signature." },
	{ "AuthorizationFailure", 403, "This request is not authorized to perform this "
	    "operation." },
	{ "AuthorizationPermissionMismatch", 403, "This request is not authorized to perform this "
	    "operation using this permission." },
	{ "AuthorizationProtocolMismatch", 403, "This request is not authorized to perform this "
	    "operation using this protocol." },
	{ "AuthorizationResourceTypeMismatch", 403, "This request is not authorized to perform "
	    "this operation using this resource type." },
	{ "AuthorizationServiceMismatch", 403, "This request is not authorized to perform this "
	    "operation using this service." },
	{ "AuthorizationSourceIPMismatch", 403, "This request is not authorized to perform this "
	    "operation using this source IP." },
	{ "BlobAlreadyExists", 409, "The specified blob already exists." },
	{ "BlobNotFound", 404, "The specified blob does not exist." },
	{ "BlockCountExceedsLimit", 409, "The uncommitted block count cannot exceed the maximum "
	    "limit of 100,000 blocks." },
	{ "BlockListTooLong", 400, "The block list may not contain more than 50,000 blocks." },
	{ "CannotVerifyCopySource", 404, "The specified copy source does not exist." },
	{ "CannotVerifyCopySource:403", 403, "This request is not authorized to read the copy "
	    "source." },
	{ "ConditionNotMet", 412, "The condition specified using HTTP conditional header(s) is not "
	    "met." },
	{ "ConditionNotMet:304", 304, "" },
	{ "ContainerAlreadyExists", 409, "The specified container already exists." },
	{ "ContainerNotFound", 404, "The specified container does not exist." },
	{ "ContentLengthMustBeZero", 400, "The Content-Length request header must be zero." },
	{ "Crc64Mismatch", 400, "The CRC64 value specified in the request did not match with the "
	    "CRC64 value calculated by the server." },
	{ "DirectoryIsNotEmpty", 409, "This operation is not permitted on a non-empty directory." },
	{ "DirectoryNotEmpty", 409, "The recursive query parameter value must be true to delete "
	    "a non-empty directory." },
	{ "EmptyMetadataKey", 400, "The key for one of the metadata key-value pairs is empty." },
	{ "FilesystemNotFound", 404, "The specified filesystem does not exist." },
	{ "HierarchicalNamespaceNotEnabled", 400, "This operation is only supported on a "
	    "hierarchical namespace account." },
	{ "InternalError", 500, "The server encountered an internal error. Please retry the "
	    "request." },
	{ "InvalidAuthenticationInfo", 401, "Server failed to authenticate the request. Please "
	    "refer to the information in the www-authenticate header." },
	{ "InvalidAuthenticationInfo:400", 400, "Authentication information is not given in the "
	    "correct format. Check the value of Authorization header." },
	{ "InvalidBlobOrBlock", 400, "The specified blob or block content is invalid." },
	{ "InvalidBlobType", 409, "The blob type is invalid for this operation." },
	{ "InvalidBlockList", 400, "The specified block list is invalid." },
	{ "InvalidFlushOperation", 409, "The resource was created or modified by the Blob "
	    "Service API and cannot be written to by the Data Lake Storage Service API." },
	{ "InvalidFlushPosition", 400, "The uploaded data is not contiguous or the position "
	    "query parameter value is not equal to the length of the file after appending the "
	    "uploaded data." },
	{ "InvalidHeaderValue", 400, "The value for one of the HTTP headers is not in the correct "
	    "format." },
	{ "InvalidInput", 400, "One of the request inputs is not valid." },
	{ "InvalidMd5", 400, "The MD5 value specified in the request is invalid. MD5 value must be "
	    "128 bits and base64 encoded." },
	{ "InvalidMetadata", 400, "The metadata specified is invalid. It has characters that are "
	    "not permitted." },
	{ "InvalidQueryParameterValue", 400, "Value for one of the query parameters specified in "
	    "the request URI is invalid." },
	{ "InvalidRange", 416, "The range specified is invalid for the current size of the "
	    "resource." },
	{ "InvalidRenameSourcePath", 409, "The source directory cannot be the same as the "
	    "destination directory, nor can the destination be a subdirectory of the source "
	    "directory." },
	{ "InvalidResourceName", 400, "The specified resource name contains invalid characters." },
	{ "InvalidSourceOrDestinationResourceType", 409, "The source and destination resource "
	    "type must be identical." },
	{ "InvalidSourceUri", 400, "The source URI is invalid." },
	{ "InvalidUri", 400, "The requested URI does not represent any resource on the server." },
	{ "InvalidXmlDocument", 400, "XML specified is not syntactically valid." },
	{ "InvalidXmlNodeValue", 400, "The value for one of the XML nodes is not in the correct "
	    "format." },
	{ "KeyBasedAuthenticationNotPermitted", 403, "Key based authentication is not permitted on "
	    "this storage account." },
	{ "Md5Mismatch", 400, "The MD5 value specified in the request did not match with the MD5 "
	    "value calculated by the server." },
	{ "MetadataTooLarge", 400, "The metadata specified exceeds the maximum permissible limit "
	    "(8KB)." },
	{ "MissingContentLengthHeader", 411, "Content-Length HTTP header was not specified." },
	{ "MissingRequiredHeader", 400, "An HTTP header that's mandatory for this request is not "
	    "specified." },
	{ "MissingRequiredQueryParameter", 400, "A query parameter that's mandatory for this "
	    "request is not specified." },
	{ "NoAuthenticationInformation", 401, "Server failed to authenticate the request. Please "
	    "refer to the information in the www-authenticate header." },
	{ "NoPendingCopyOperation", 409, "There is currently no pending copy operation." },
	{ "NotImplemented", 501, "azsim does not simulate this operation." },
	{ "OperationNotAllowedOnManagedFolder", 403, "Items and the folders right below them are "
	    "managed by Fabric." },
	{ "OperationTimedOut", 500, "Operation could not be completed within the specified time." },
	{ "OutOfRangeInput", 400, "One of the request inputs is out of range." },
	{ "OutOfRangeQueryParameterValue", 400, "One of the query parameters specified in the "
	    "request URI is outside the permissible range." },
	{ "PathAlreadyExists", 409, "The specified path already exists." },
	{ "PathConflict", 409, "The specified path, or an element of the path, exists and its "
	    "resource type is invalid for this operation." },
	{ "PathIsTooDeep", 400, "The path has too many segments." },
	{ "PathNotFound", 404, "The specified path does not exist." },
	{ "PendingCopyOperation", 409, "There is currently a pending copy operation." },
	{ "PublicAccessNotPermitted", 409, "Public access is not permitted on this storage "
	    "account." },
	{ "RenameDestinationParentPathNotFound", 404, "The parent directory of the destination "
	    "path does not exist." },
	{ "RequestBodyTooLarge", 413, "The request body is too large and exceeds the maximum "
	    "permissible limit." },
	{ "ResourceNotFound", 404, "The specified resource does not exist." },
	{ "ResourceTypeMismatch", 409, "The specified resource type does not match the type of the "
	    "existing resource." },
	{ "ServerBusy", 503, "The server is currently unable to receive requests. Please retry "
	    "your request." },
	{ "SourceConditionNotMet", 412, "The source condition specified using HTTP conditional "
	    "header(s) is not met." },
	{ "SourcePathNotFound", 404, "The source path for a rename operation does not exist." },
	{ "UnauthorizedBlobOverwrite", 403, "This request is not authorized to perform blob "
	    "overwrites." },
	{ "UnsupportedHeader", 400, "One of the HTTP headers specified in the request is not "
	    "supported." },
	{ "UnsupportedHttpVerb", 405, "The resource doesn't support specified Http Verb." },
	{ "UnsupportedQueryParameter", 400, "One of the query parameters specified in the "
	    "request URI is not supported." },
	{ "UnsupportedRestVersion", 400, "The specified Rest Version is Unsupported." },
};

struct body {
	const void *data;		/* or v */
	const struct version *v;
	int64_t	 offset, len;
};

void
xml_escape(struct buf *to, const char *text)
{
	for (; *text != '\0'; text++) {
		switch (*text) {
		case '&':
			buf_adds(to, "&amp;");
			break;
		case '<':
			buf_adds(to, "&lt;");
			break;
		case '>':
			buf_adds(to, "&gt;");
			break;
		case '"':
			buf_adds(to, "&quot;");
			break;
		case '\r':
			buf_adds(to, "&#xD;");
			break;
		default:
			buf_addc(to, *text);
		}
	}
}

void
answer_header(struct exchange *ex, const char *name, const char *fmt, ...)
{
	char value[4096];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(value, sizeof(value), fmt, ap);
	va_end(ap);
	buf_adds(&ex->head, name);
	buf_adds(&ex->head, ": ");
	buf_adds(&ex->head, value);
	buf_adds(&ex->head, "\r\n");
}

/* Bytes [from, to) of the body. */
static int
send_part(struct exchange *ex, const struct body *b, int64_t from, int64_t to)
{
	if (b->data != NULL)
		return (from == to ? 0 :
		    peer_send(ex->peer, (const char *)b->data + from, (size_t)(to - from)));
	while (from < to) {
		struct piece piece;

		version_piece(b->v, &ex->sim->model.depot, b->offset + from, &piece);
		if (piece.len > to - from)
			piece.len = to - from;
		if (peer_send_file(ex->peer, piece.fd, piece.offset, piece.len) != 0)
			return (-1);
		from += piece.len;
	}
	return (0);
}

static int
send_flipped(struct exchange *ex, const struct body *b, int64_t at)
{
	struct piece piece;
	unsigned char c;

	if (b->data != NULL) {
		c = ((const unsigned char *)b->data)[at];
	} else {
		version_piece(b->v, &ex->sim->model.depot, b->offset + at, &piece);
		if (fd_pread_full(piece.fd, &c, 1, piece.offset) != 1)
			return (-1);
	}
	c ^= 0x20;
	return (peer_send(ex->peer, &c, 1));
}

static int
send_faulty(struct exchange *ex, const struct body *b)
{
	const struct fault_action *f = &ex->fault;
	int64_t middle = f->stall_after >= 0 && f->stall_after < b->len ? f->stall_after :
	    b->len / 2;

	if (f->truncate_after >= 0 && f->truncate_after < b->len)
		ex->peer->send_max = f->truncate_after;
	if (f->flip_at >= 0 && f->flip_at < b->len)
		return (send_part(ex, b, 0, f->flip_at) != 0 ||
		    send_flipped(ex, b, f->flip_at) != 0 ||
		    send_part(ex, b, f->flip_at + 1, b->len) != 0 ? -1 : 0);
	if (f->stall_ms == 0)
		return (send_part(ex, b, 0, b->len));
	if (send_part(ex, b, 0, middle) != 0)
		return (-1);
	clock_sleep_ms(f->stall_ms);
	return (send_part(ex, b, middle, b->len));
}

static void
add_common_headers(struct exchange *ex)
{
	const char *id = exchange_header(ex, "x-ms-client-request-id");
	char date[CLOCK_RFC1123_SIZE];

	clock_format_rfc1123(exchange_is_storage(ex) ? sim_now(ex->sim) : clock_wall_s(),
	    date);
	answer_header(ex, "Date", "%s", date);
	if (!exchange_is_storage(ex)) {
		answer_header(ex, "Server", "azsim");
		return;
	}
	answer_header(ex, "x-ms-request-id", "%s", ex->request_id);
	if (ex->service == SERVICE_GEN1) {
		answer_header(ex, "x-ms-webhdfs-version", "17.04.24.00");
		return;
	}
	answer_header(ex, "Server", "%s/1.0 Microsoft-HTTPAPI/2.0",
	    ex->service == SERVICE_DFS ? "Windows-Azure-HDFS" : "Windows-Azure-Blob");
	if (id != NULL && strlen(id) <= 1024)
		answer_header(ex, "x-ms-client-request-id", "%s", id);
	if (ex->version != NULL && ex->version[0] != '\0')
		answer_header(ex, "x-ms-version", "%s", ex->version);
}

static void
wait_for_latency(const struct exchange *ex)
{
	const struct knobs *k = &ex->sim->knobs;
	int64_t wait = ex->service == SERVICE_CONTROL ? 0 :
	    exchange_is_storage(ex) ? k->latency_ms : k->token_latency_ms;

	if (ex->has_fault)
		wait += ex->fault.delay_ms;
	if (wait > 0)
		clock_sleep_ms(wait);
}

/* One chunk, and the end. */
static int
send_chunked(struct exchange *ex, struct buf *head, const struct body *b)
{
	static const char end[] = "\r\n0\r\n\r\n";

	if (b->len == 0) {
		buf_adds(head, end + 2);
		return (peer_send(ex->peer, head->data, head->len));
	}
	ex->body_out = b->len;
	buf_printf(head, "%" PRIx64 "\r\n", (uint64_t)b->len);
	if (peer_send_more(ex->peer, head->data, head->len) != 0 ||
	    (ex->has_fault ? send_faulty(ex, b) : send_part(ex, b, 0, b->len)) != 0)
		return (-1);
	return (peer_send(ex->peer, end, sizeof(end) - 1));
}

/* announced: Content-Length, or -1 for none. */
static int
send_answer(struct exchange *ex, int status, int64_t announced, const struct body *b)
{
	auto_buf struct buf out = BUF_EMPTY;
	struct httpd_request *req = &ex->conn->req;

	ex->status = status;
	if (ex->has_fault && ex->fault.lose) {
		peer_reset(ex->peer);
		return (-1);
	}
	wait_for_latency(ex);
	add_common_headers(ex);
	if (req->expect_continue && ex->conn->body_left != 0)
		req->keep_alive = 0;	/* whether its body follows is not known */
	if (ex->has_fault && ex->fault.truncate_after >= 0)
		req->keep_alive = 0;
	buf_printf(&out, "HTTP/1.1 %d %s\r\n", status, httpd_reason(status));
	buf_add(&out, buf_str(&ex->head), ex->head.len);
	if (ex->chunked)
		buf_adds(&out, "Transfer-Encoding: chunked\r\n");
	else if (announced >= 0)
		buf_printf(&out, "Content-Length: %" PRId64 "\r\n", announced);
	if (!req->keep_alive)
		buf_adds(&out, "Connection: close\r\n");
	buf_adds(&out, "\r\n");
	if (ex->chunked)
		return (send_chunked(ex, &out, b));
	if (b == NULL || b->len == 0)
		return (peer_send(ex->peer, out.data, out.len));
	ex->body_out = b->len;
	if (b->data != NULL && b->len <= 65536 && !ex->has_fault) {
		buf_add(&out, b->data, (size_t)b->len);
		return (peer_send(ex->peer, out.data, out.len));
	}
	if (peer_send_more(ex->peer, out.data, out.len) != 0)
		return (-1);
	return (ex->has_fault ? send_faulty(ex, b) : send_part(ex, b, 0, b->len));
}

int
answer(struct exchange *ex, int status, const char *type, const void *body, size_t len)
{
	struct body b = { body, NULL, 0, (int64_t)len };
	int no_body = strcmp(ex->req->method, "HEAD") == 0 || status == 204 || status == 304;

	if (type != NULL && !no_body)
		answer_header(ex, "Content-Type", "%s", type);
	if (status == 204 || status == 304)
		return (send_answer(ex, status, -1, NULL));
	return (send_answer(ex, status, (int64_t)len, no_body ? NULL : &b));
}

int
answer_text(struct exchange *ex, int status, const char *type, const char *text)
{
	return (answer(ex, status, type, text, strlen(text)));
}

int
answer_bytes(struct exchange *ex, int status, const struct version *v, int64_t offset, int64_t len)
{
	struct body b = { NULL, v, offset, len };

	return (send_answer(ex, status, len, &b));
}

int
answer_length(struct exchange *ex, int status, int64_t len)
{
	return (send_answer(ex, status, len, NULL));
}

static void
add_element(struct exchange *ex, const char *element, const char *text)
{
	buf_printf(&ex->detail, "<%s>", element);
	xml_escape(&ex->detail, text);
	buf_printf(&ex->detail, "</%s>", element);
}

int
refuse_detail(struct exchange *ex, const char *code, const char *element, const char *fmt, ...)
{
	char text[8192];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	add_element(ex, element, text);
	return (refuse(ex, code));
}

int
refuse_header(struct exchange *ex, const char *code, const char *name, const char *value)
{
	add_element(ex, "HeaderName", name);
	if (value != NULL)
		add_element(ex, "HeaderValue", value);
	return (refuse(ex, code));
}

int
refuse_param(struct exchange *ex, const char *code, const char *name, const char *value)
{
	add_element(ex, "QueryParameterName", name);
	if (value != NULL)
		add_element(ex, "QueryParameterValue", value);
	return (refuse(ex, code));
}

static const struct refusal *
find_refusal(const char *code)
{
	size_t i;

	for (i = 0; i < LENGTH(refusals); i++)
		if (strcmp(refusals[i].code, code) == 0)
			return (&refusals[i]);
	return (NULL);
}

/*
 * The challenge of a 401: its tenant is the one the account trusts.
 * learn.microsoft.com "Authorize with Microsoft Entra ID", "Bearer challenge".
 */
static void
add_challenge(struct exchange *ex)
{
	const char *tenant = ex->account != NULL ? ex->account->tenant : ex->sim->people.tenant;

	if (strcmp(buf_str(&ex->head), "") != 0 &&
	    strstr(buf_str(&ex->head), "WWW-Authenticate") != NULL)
		return;
	answer_header(ex, "WWW-Authenticate", "Bearer authorization_uri="
	    "https://login.microsoftonline.com/%s/oauth2/authorize "
	    "resource_id=https://storage.azure.com", tenant);
}

/* With its request id, a challenge, and when to come back. */
static void
refuse_gen1(struct exchange *ex)
{
	if (strcmp(ex->code, "SecurityException") == 0)
		add_challenge(ex);
	if (ex->has_fault && ex->fault.retry_after_s >= 0)
		answer_header(ex, "Retry-After", "%d", ex->fault.retry_after_s);
	gen1_answer_refusal(ex, ex->has_fault ? ex->fault.status : 0);
}

void
answer_refusal(struct exchange *ex)
{
	auto_buf struct buf body = BUF_EMPTY;
	const struct refusal *r = find_refusal(ex->code);
	char now[CLOCK_ISO8601_SIZE], code[64];
	int status = r != NULL ? r->status : 500;

	if (ex->has_fault && ex->fault.status != 0)
		status = ex->fault.status;
	if (ex->service == SERVICE_GEN1) {
		refuse_gen1(ex);
		return;
	}
	str_format(code, sizeof(code), "%.*s", (int)strcspn(ex->code, ":"), ex->code);
	clock_format_iso8601(sim_now(ex->sim), now);
	if (status != 416)		/* that one has its Content-Range */
		buf_reset(&ex->head);
	answer_header(ex, "x-ms-error-code", "%s", code);
	if (status == 401)
		add_challenge(ex);
	if (ex->has_fault && ex->fault.retry_after_s >= 0)
		answer_header(ex, "Retry-After", "%d", ex->fault.retry_after_s);
	if (ex->service == SERVICE_DFS) {
		dfs_answer_refusal(ex, status, code,
		    r != NULL ? r->message : "A fault was asked for.");
		return;
	}
	buf_printf(&body, BOM "<?xml version=\"1.0\" encoding=\"utf-8\"?><Error><Code>%s</Code>"
	    "<Message>%s\nRequestId:%s\nTime:%s</Message>%s</Error>", code,
	    r != NULL ? r->message : "A fault was asked for.", ex->request_id, now,
	    buf_str(&ex->detail));
	if (strcmp(ex->req->method, "HEAD") == 0 || status == 304)
		answer_length(ex, status, status == 304 ? -1 : 0);
	else
		answer(ex, status, "application/xml", body.data, body.len);
}
