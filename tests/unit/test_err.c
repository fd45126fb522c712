/* err: fields, lines, remedies, exit statuses. */

#include <errno.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "check.h"

static void
fields_are_set_once(void)
{
	struct err e = ERR_EMPTY;

	check_int(err_set(&e, ERR_DENIED, REMEDY_GRANT_DATA_READER, "list blobs", "%s %d",
	    "AuthorizationPermissionMismatch", 7), -1);
	check_int(e.kind, ERR_DENIED);
	check_str(e.op, "list blobs");
	check_str(e.cause, "AuthorizationPermissionMismatch 7");
	check_int(err_doing(&e, "mount"), -1);
	check_str(e.op, "list blobs");
	check_int(err_on(&e, "https://%s/data", "a.blob.core.windows.net"), -1);
	err_on(&e, "other");
	check_str(e.resource, "https://a.blob.core.windows.net/data");
	check_int(err_as(&e, "managed identity 3f2a"), -1);
	err_as(&e, "somebody else");
	check_str(e.identity, "managed identity 3f2a");

	check_int(err_set(&e, ERR_BUG, REMEDY_NONE, "again", "now: %s", e.cause), -1);
	check_str(e.cause, "now: AuthorizationPermissionMismatch 7");
	check_str(e.resource, "");
	err_doing(&e, "x");
	check_str(e.op, "again");

	check_int(err_set(NULL, ERR_BUG, REMEDY_NONE, "op", "cause"), -1);
	check_int(err_on(NULL, "x"), -1);
	check_int(err_as(NULL, "x"), -1);
	check_int(err_doing(NULL, "x"), -1);
	check_int(err_errno(NULL, "x", NULL), -1);
}

/* Each resource that can be used up has a remedy of its own. */
static void
exhaustion_has_a_remedy(void)
{
	static const struct {
		int error;
		enum err_remedy remedy;
	} all[] = {
		{ ENOSPC, REMEDY_FREE_DISK }, { EDQUOT, REMEDY_FREE_DISK },
		{ ENOMEM, REMEDY_MORE_MEMORY }, { EMFILE, REMEDY_OPEN_FILES },
		{ ENFILE, REMEDY_OPEN_FILES }, { EAGAIN, REMEDY_PROCESSES },
		{ ENOENT, REMEDY_NONE }
	};
	struct err e = ERR_EMPTY;
	size_t i;

	for (i = 0; i < LENGTH(all); i++) {
		errno = all[i].error;
		err_errno(&e, "go on", NULL);
		check_int(e.remedy, all[i].remedy);
	}
}

static void
system_errors_keep_errno(void)
{
	struct err e = ERR_EMPTY;
	char line[512];

	errno = ENOENT;
	check_int(err_errno(&e, "open", "/no/where"), -1);
	check_int(errno, ENOENT);
	check_int(e.kind, ERR_SYSTEM);
	check_int(e.sys_errno, ENOENT);
	check_str(err_line(&e, line, sizeof(line)),
	    "cannot open /no/where: No such file or directory");
	errno = ENOSPC;
	err_errno(&e, "write", "/tmp/cache");
	check_int(e.remedy, REMEDY_FREE_DISK);
	check(strstr(err_line(&e, line, sizeof(line)), "the disk of /tmp/cache") != NULL);
}

static void
a_line_leaves_out_what_is_unknown(void)
{
	struct err e = ERR_EMPTY;
	char line[1024], small[24];

	err_set(&e, ERR_DENIED, REMEDY_GRANT_DATA_READER, "list blobs", "%s", "NoRole");
	err_on(&e, "https://h/c");
	err_as(&e, "managed identity 1");
	e.http_status = 403;
	check_str(err_line(&e, line, sizeof(line)),
	    "cannot list blobs https://h/c as managed identity 1: 403 NoRole; give managed "
	    "identity 1 the role \"Storage Blob Data Reader\" on https://h/c (a new assignment "
	    "needs up to 10 minutes)");
	check_str(err_line(&e, small, sizeof(small)), "cannot list blobs ht...");
	err_set(&e, ERR_BUG, REMEDY_NONE, "", "%s", "");
	check_str(err_line(&e, line, sizeof(line)), "bug failure");
	err_set(&e, ERR_USAGE, REMEDY_NONE, NULL, "%s", "unknown key");
	err_on(&e, "job.yml:3:4");
	check_str(err_line(&e, line, sizeof(line)), "usage failure at job.yml:3:4: unknown key");
	err_set(&e, ERR_DENIED, REMEDY_GRANT_DATA_READER, "read", "%s", "no");
	check(strstr(err_line(&e, line, sizeof(line)), "give the identity the role") != NULL);
	check_str(err_line(&e, small, 3), "");
	check_str(err_line(&e, small, 0), "");
}

static void
text_from_elsewhere_stays_in_its_line(void)
{
	struct err e = ERR_EMPTY;
	char line[512], long_text[2000];
	size_t i;

	err_set(&e, ERR_PROTOCOL, REMEDY_NONE, "read", "%s", "a\nb\x1b[31m\xc2\x9b\xff \xc3\xa9");
	check_str(err_line(&e, line, sizeof(line)), "cannot read: a b [31m??? \xc3\xa9");

	for (i = 0; i + 2 < sizeof(long_text); i += 2)
		memcpy(long_text + i, "\xc3\xa9", 2);
	long_text[i] = '\0';
	err_set(&e, ERR_PROTOCOL, REMEDY_NONE, "read", "%s", long_text);
	check(str_ends(e.cause, "\xc3\xa9..."));
	check(strlen(e.cause) >= sizeof(e.cause) - 3 && strlen(e.cause) < sizeof(e.cause));
	check(strchr(err_line(&e, line, 100), '?') == NULL);
	check(str_ends(line, "\xc3\xa9..."));
	err_on(&e, "x%s", long_text);
	check(str_ends(e.resource, "\xc3\xa9..."));
}

static void
every_kind_has_a_name_and_a_status(void)
{
	static const int statuses[ERR_KINDS] = {
		0, 2, 121, 122, 120, 120, 120, 123, 125, 125, 125
	};
	struct err e = ERR_EMPTY;
	int kind, other;

	for (kind = 0; kind < ERR_KINDS; kind++) {
		const char *name = err_kind_name((enum err_kind)kind);

		check(name != NULL && name[0] != '\0');
		for (other = 0; other < kind; other++)
			if (strcmp(name, err_kind_name((enum err_kind)other)) == 0)
				check(0);
		e.kind = (enum err_kind)kind;
		check_int(err_exit_status(&e), statuses[kind]);
	}
}

static void
every_remedy_starts_with_a_verb(void)
{
	/* A new first word is looked at by a person, once. */
	static const char verbs[] = " add allow ask assign check correct create describe enable "
	    "free give grant keep leave let make migrate name raise rehydrate "
	    "renew report restore run see set submit try upload use ";
	int remedy;

	for (remedy = REMEDY_NONE + 1; remedy < REMEDIES; remedy++) {
		const char *text = err_remedy_template((enum err_remedy)remedy), *c;
		char word[32] = " ";
		size_t n = strcspn(text, " ");
		int known = n > 0 && n < sizeof(word) - 2;

		if (known) {
			memcpy(word + 1, text, n);
			word[n + 1] = ' ';
		}
		check(known && strstr(verbs, word) != NULL);
		for (c = strchr(text, '%'); c != NULL; c = strchr(c + 1, '%'))
			if (c[1] != 'r' && c[1] != 'i' && c[1] != 'c')
				check(0);
		check(n > 0 && !str_ends(text, ".") && strlen(text) < 320);
	}
	check_str(err_remedy_template(REMEDY_NONE), "");
	check_str(err_remedy_template(REMEDIES), "");
}

static void
a_remedy_names_resource_and_identity(void)
{
	struct err e = ERR_EMPTY;
	char text[1024];

	check_str(err_remedy_text(&e, text, sizeof(text)), "");
	err_set(&e, ERR_DENIED, REMEDY_SAME_TENANT, "read", "%s", "x");
	err_on(&e, "https://h/%%i");
	err_as(&e, "service principal %r");
	check_str(err_remedy_text(&e, text, sizeof(text)),
	    "use storage in the identity's own Entra tenant: https://h/%i trusts another tenant "
	    "than the one of service principal %r, and cross-tenant access is not supported");
}

/* However long the cause is, it stays one text that ends; what does not fit is marked. */
static void
a_remedy_is_folded_into_a_cause_of_any_length(void)
{
	struct err e = ERR_EMPTY;
	char cause[sizeof(e.cause)];
	size_t len;

	for (len = sizeof(cause) - 20; len < sizeof(cause); len++) {
		memset(cause, 'x', len);
		cause[len] = '\0';
		err_set(&e, ERR_DENIED, REMEDY_CHECK_CLOCK, "read", "%s", cause);
		err_fold_remedy(&e);
		check_int(e.remedy, REMEDY_NONE);
		check_int(strlen(e.cause), sizeof(e.cause) - 1);
		check_str(e.cause + sizeof(e.cause) - 4, "...");
	}
	err_set(&e, ERR_DENIED, REMEDY_CHECK_CLOCK, "read", "%s", "short");
	err_fold_remedy(&e);
	check(strncmp(e.cause, "short; ", 7) == 0);
}

static void
a_role_is_given_on_the_container(void)
{
	static const struct { const char *resource, *scope; } cases[] = {
		{ "https://a.blob.core.windows.net/c/x/y (datastore d)",
		    "https://a.blob.core.windows.net/c" },
		{ "https://a.blob.core.windows.net/c (datastore d)",
		    "https://a.blob.core.windows.net/c" },
		{ "https://a.blob.core.windows.net/c", "https://a.blob.core.windows.net/c" },
		{ "https://localhost:1/a/c/x y", "https://localhost:1/a/c" },
		{ "https://10.0.0.1/a/c", "https://10.0.0.1/a/c" },
		{ "https://a.blob.core.windows.net", "https://a.blob.core.windows.net" },
		{ "/some/path", "/some/path" },
		{ "", "the resource" },
	};
	char text[1024], want[1024];
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct err e = { .kind = ERR_DENIED, .remedy = REMEDY_GRANT_DATA_READER };

		err_on(&e, "%s", cases[i].resource);
		snprintf(want, sizeof(want), "give the identity the role \"Storage Blob Data "
		    "Reader\" on %s (a new assignment needs up to 10 minutes)", cases[i].scope);
		check_str(err_remedy_text(&e, text, sizeof(text)), want);
	}
}

static void
a_remedy_can_become_a_part_of_the_cause(void)
{
	struct err e = ERR_EMPTY;

	err_set(&e, ERR_DENIED, REMEDY_RETRY_LATER, "read", "%s", "no");
	err_fold_remedy(&e);
	check_int(e.remedy, REMEDY_NONE);
	check_str(e.cause, "no; try again later: the service is busy or unavailable, and "
	    "amlshim's own retries are used up");
	err_fold_remedy(&e);
	check(str_ends(e.cause, "used up"));
	err_set(&e, ERR_DENIED, REMEDY_RETRY_LATER, "read", "%638s", "no");
	err_fold_remedy(&e);
	check(strlen(e.cause) < sizeof(e.cause));
}

static void
foreign_fields_end(void)
{
	struct { struct err err; char behind[64]; } e;
	char line[4096];

	memset(&e, 'x', sizeof(e));
	err_seal(&e.err);
	check_int(strlen(e.err.op), sizeof(e.err.op) - 1);
	check_int(strlen(e.err.resource), sizeof(e.err.resource) - 1);
	check_int(strlen(e.err.identity), sizeof(e.err.identity) - 1);
	check_int(strlen(e.err.cause), sizeof(e.err.cause) - 1);
	check_int(err_exit_status(&e.err), 125);
	check(strlen(err_line(&e.err, line, sizeof(line))) < sizeof(e.err) + 64);
}

int
main(void)
{
	foreign_fields_end();
	fields_are_set_once();
	system_errors_keep_errno();
	exhaustion_has_a_remedy();
	a_line_leaves_out_what_is_unknown();
	text_from_elsewhere_stays_in_its_line();
	every_kind_has_a_name_and_a_status();
	every_remedy_starts_with_a_verb();
	a_remedy_names_resource_and_identity();
	a_remedy_is_folded_into_a_cause_of_any_length();
	a_role_is_given_on_the_container();
	a_remedy_can_become_a_part_of_the_cause();
	return (check_done());
}
