/* The doctor's parts: findings and their exit status, advice, classes of addresses, a host. */

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "check.h"
#include "cli/advice.h"
#include "cli/doctor_parts.h"
#include "denied.h"

static struct err
failure(enum err_kind kind, enum err_remedy remedy)
{
	struct err e;

	err_set(&e, kind, remedy, "do", "%s", "cause");
	return (e);
}

static void
the_worst_failure_gives_the_exit_status(void)
{
	static const struct { enum err_kind first, second; int want; } cases[] = {
		{ ERR_DENIED, ERR_NO_IDENTITY, 121 }, { ERR_DENIED, ERR_UNREACHABLE, 120 },
		{ ERR_NO_IDENTITY, ERR_UNREACHABLE, 120 }, { ERR_UNREACHABLE, ERR_SYSTEM, 125 },
		{ ERR_SYSTEM, ERR_USAGE, 2 }, { ERR_DENIED, ERR_DENIED, 122 },
		{ ERR_PROTOCOL, ERR_DENIED, 125 },
	};
	size_t i;

	for (i = 0; i < LENGTH(cases); i++) {
		struct findings f = { .n = 0 };
		struct err e;

		findings_add(&f, FINDING_OK, "a", "", "%s", "fine");
		check_int(findings_exit_status(&f), 0);
		e = failure(cases[i].second, REMEDY_NONE);
		findings_err(&f, 0, "b", "", &e);	/* a warning only */
		check_int(findings_exit_status(&f), 0);
		e = failure(cases[i].first, REMEDY_NONE);
		findings_err(&f, 1, "c", "", &e);
		e = failure(cases[i].second, REMEDY_NONE);
		findings_err(&f, 1, "d", "", &e);
		check_int(findings_exit_status(&f), cases[i].want);
		findings_done(&f);
	}
}

static char *
printed(const struct findings *f, int json)
{
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	check_int(findings_print(f, json, out), 0);
	fclose(out);
	return (text);
}

static void
findings_are_printed(void)
{
	struct findings f = { .n = 0 }, more = { .n = 0 };
	struct err e = failure(ERR_DENIED, REMEDY_USE_HTTPS);
	const struct json *list, *x;
	struct json *root;
	auto_free char *text = NULL, *json = NULL;

	err_on(&e, "https://h/a\nb");
	findings_add(&f, FINDING_OK, "dns", "h", "10.0.0.%d", 7);
	findings_err(&more, 1, "storage", "data", &e)->run = "az \033[31m";
	findings_append(&f, &more);
	check_int((long long)more.n, 0);
	text = printed(&f, 0);
	check_str(text, "ok    dns h: 10.0.0.7\n"
	    "FAIL  storage data: cannot do https://h/a b: cause\n"
	    "        do:  use https:// in https://h/a b: credentials are sent over plain HTTP to "
	    "this machine only\n"
	    "        run: az  [31m\n"
	    "1 ok, 0 to look at, 1 failed, 0 not tried\n");
	json = printed(&f, 1);
	root = json_parse(json, strlen(json));
	list = json_get(root, "findings");
	x = json_next(json_first(list));
	check_str(json_string(json_get(json_first(list), "state")), "ok");
	check(json_get(json_first(list), "error") == NULL);
	check_str(json_string(json_get(x, "state")), "fail");
	check_str(json_string(json_get(x, "about")), "data");
	check_str(json_string(json_get(x, "kind")), "denied");
	json_free(root);
	findings_done(&f);
}

static void
commands_have_the_names_in_them(void)
{
	struct arena mem = ARENA_EMPTY;
	struct advice_case c = { .account = "acct", .container = "$logs", .object_id = "0b1e",
	    .compute = "cpu's", .resource_group = "rg", .workspace = "ws" };

	c.remedy = REMEDY_GRANT_DATA_READER;
	check_str(advice_command(&c, &mem), "az role assignment create --role \"Storage Blob Data "
	    "Reader\" --assignee-object-id 0b1e --assignee-principal-type ServicePrincipal --scope "
	    "\"$(az storage account show --name acct --query id --output tsv)"
	    "/blobServices/default/containers/'$logs'\"");
	c.is_user = 1;
	c.remedy = REMEDY_GRANT_CONTRIBUTOR_OR_ACL;
	check(strstr(advice_command(&c, &mem), "Data Contributor\"") != NULL);
	check(strstr(advice_command(&c, &mem), "--assignee-principal-type User") != NULL);
	c.object_id = "";
	check(advice_command(&c, &mem) == NULL);
	c.remedy = REMEDY_RENEW_SAS;
	c.container = "data";
	check_str(advice_command(&c, &mem), "az storage container generate-sas --account-name acct "
	    "--name data --permissions rl --https-only --expiry \"$(date -u -d '+7 days' "
	    "+%Y-%m-%dT%H:%MZ)\" --output tsv");
	c.writing = 1;
	check(strstr(advice_command(&c, &mem), "--permissions racwdl ") != NULL);
	c.remedy = REMEDY_ASSIGN_IDENTITY;
	check_str(advice_command(&c, &mem), "az ml compute update --name 'cpu'\\''s' "
	    "--resource-group rg --workspace-name ws --identity-type SystemAssigned");
	c.workspace = NULL;
	check(advice_command(&c, &mem) == NULL);
	c.remedy = REMEDY_OPEN_NETWORK;
	check(str_starts(advice_command(&c, &mem), "az storage account show --name acct --query "));
	c.account = NULL;
	check(advice_command(&c, &mem) == NULL);
	c.remedy = REMEDY_REPORT_BUG;
	check(advice_command(&c, &mem) == NULL);
	arena_done(&mem);
}

static void
addresses_have_classes(void)
{
	static const struct { const char *text; enum address_class want; } cases[] = {
		{ "127.0.0.1", ADDRESS_LOOPBACK }, { "127.9.9.9", ADDRESS_LOOPBACK },
		{ "10.1.2.3", ADDRESS_PRIVATE }, { "172.16.0.1", ADDRESS_PRIVATE },
		{ "172.31.255.255", ADDRESS_PRIVATE }, { "172.32.0.1", ADDRESS_PUBLIC },
		{ "172.15.0.1", ADDRESS_PUBLIC }, { "192.168.4.4", ADDRESS_PRIVATE },
		{ "192.169.0.1", ADDRESS_PUBLIC }, { "100.64.0.1", ADDRESS_PRIVATE },
		{ "100.127.255.1", ADDRESS_PRIVATE }, { "100.128.0.1", ADDRESS_PUBLIC },
		{ "169.254.169.254", ADDRESS_PRIVATE }, { "20.60.1.1", ADDRESS_PUBLIC },
		{ "::1", ADDRESS_LOOPBACK }, { "fd00::1", ADDRESS_PRIVATE },
		{ "fe80::1", ADDRESS_PRIVATE }, { "2603:1030::1", ADDRESS_PUBLIC },
		{ "::ffff:10.0.0.1", ADDRESS_PRIVATE }, { "::ffff:20.1.1.1", ADDRESS_PUBLIC },
	};
	size_t i;

	for (i = 0; i < LENGTH(cases); i++) {
		struct sockaddr_in four = { .sin_family = AF_INET };
		struct sockaddr_in6 six = { .sin6_family = AF_INET6 };
		int is_four = inet_pton(AF_INET, cases[i].text, &four.sin_addr) == 1;

		if (!is_four)
			check_int(inet_pton(AF_INET6, cases[i].text, &six.sin6_addr), 1);
		if (!check((is_four ? doctor_address_class((struct sockaddr *)&four) :
		    doctor_address_class((struct sockaddr *)&six)) == cases[i].want))
			printf("# %s\n", cases[i].text);
	}
	check_int(doctor_address_class(&(struct sockaddr){ .sa_family = AF_UNIX }), ADDRESS_NONE);
}

/* Whatever the request ended with is some check's failure: none is left out. */
static void
failures_have_a_check(void)
{
	static const struct { const char *url, *check; int error; enum err_kind kind; } cases[] = {
		{ "http://127.0.0.1:1", "connect", EMFILE, ERR_SYSTEM },
		{ "http://127.0.0.1:1", "connect", 0, ERR_UNREACHABLE },
		{ "none://127.0.0.1:1", "dns", 0, ERR_PROTOCOL },	/* it was not looked up */
	};
	struct http_options options = { .max_connections = 1 };
	struct err err = ERR_EMPTY;
	struct doctor d = { .http = http_new(&options, &err), .roots = "none" };
	size_t i, k;

	for (i = 0; i < LENGTH(cases); i++) {
		struct doctor_host h = { .doctor = &d, .url = cases[i].url, .name = "h",
		    .host = "127.0.0.1" };
		struct findings f = { .n = 0 };

		if (cases[i].error != 0)
			deny(DENIED_SOCKET, 0, 0, cases[i].error);
		doctor_ask_host(&h, &f);
		deny_nothing();
		check(!h.reached);
		for (k = 0; k < f.n && f.list[k].state != FINDING_FAIL; k++)
			continue;
		if (check(k < f.n)) {
			check_str(f.list[k].check, cases[i].check);
			check_int(f.list[k].err.kind, cases[i].kind);
			check_int(f.list[k].err.sys_errno, cases[i].error);
		}
		findings_done(&f);
	}
	http_free(d.http);
}

int
main(void)
{
	unsetenv("http_proxy");
	unsetenv("all_proxy");
	unsetenv("ALL_PROXY");
	the_worst_failure_gives_the_exit_status();
	findings_are_printed();
	commands_have_the_names_in_them();
	addresses_have_classes();
	failures_have_a_check();
	return (check_done());
}
