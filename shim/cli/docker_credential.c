#include "cli/docker_credential.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "azure/acr.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/log.h"
#include "base/sys.h"
#include "cli/story.h"
#include "identity/source.h"
#include "plan/issuer.h"

#define INPUT_MAX	(1 << 20)
#define LOGIN_MS	60000
#define GRANT_MS	10000	/* a role that is just being given takes effect */

/* Texts that clients compare with (credentials/error.go). */
#define NOT_FOUND	"credentials not found in native keychain"
#define NO_SERVER	"no credentials server URL"
#define NO_USERNAME	"no credentials username"

static int
answer(const char *text)
{
	return (puts(text) < 0 || fflush(stdout) != 0 ? 1 : 0);
}

static int
say(const char *failure)
{
	answer(failure);
	return (1);
}

int
docker_credential_fail(const struct err *err)
{
	char line[1024];

	log_err(err);		/* a client may go on without credentials, and say nothing */
	return (say(err_line(err, line, sizeof(line))));
}

/* All of standard input without line breaks and without blanks at either end. */
static int
read_input(struct buf *ret, struct err *err)
{
	auto_buf struct buf text = BUF_EMPTY;
	size_t i;

	if (fd_read_file("-", INPUT_MAX, &text, err) != 0)
		return (-1);
	for (i = 0; i < text.len; i++)
		if (text.data[i] != '\n' && text.data[i] != '\r' &&
		    (ret->len > 0 || (text.data[i] != ' ' && text.data[i] != '\t')))
			buf_addc(ret, text.data[i]);
	if (ret->len > 0) {
		ret->len = str_trim_end(ret->data, ret->len);
		ret->data[ret->len] = '\0';
	}
	return (0);
}

/* --- as whom ------------------------------------------------------------------------ */

/* Where no job says otherwise: the machine's, or the submitter's inside a job of that kind. */
static void
use_machine(const struct facts *facts, struct plan_identity *ret, struct arena *mem)
{
	const char *id = facts->default_client_id != NULL ? facts->default_client_id :
	    facts->client_id;

	if (facts->obo_endpoint != NULL && facts->msi_endpoint == NULL &&
	    facts->identity_endpoint == NULL) {
		*ret = (struct plan_identity){ .kind = PLAN_ID_USER, .label = "the submitter" };
		return;
	}
	if ((issuer_find(facts)->by & ISSUER_BY_CLIENT) == 0)
		id = NULL;
	*ret = (struct plan_identity){ .kind = PLAN_ID_MANAGED, .client_id = id };
	ret->label = id == NULL ? "the machine's managed identity" :
	    arena_printf(mem, "managed identity %s (%s)", id,
	    id == facts->default_client_id ? "DEFAULT_IDENTITY_CLIENT_ID" : "AZURE_CLIENT_ID");
}

/* That of the tokens which the job's code gets. */
static int
choose(struct story *story, const struct options *opt, char *const *envp,
    struct plan_identity *ret, struct err *err)
{
	static char *const command[] = { (char *)(uintptr_t)"true", NULL };
	struct options all = *opt;
	size_t i;

	all.fuse_copy = 1;		/* nothing is mounted or run here */
	all.argv = command;
	if (story_tell(story, &all, envp, err) != 0)
		return (-1);
	if (story->plan.broker != PLAN_BROKER_NONE) {
		*ret = story->plan.broker_default;
		return (0);
	}
	if (opt->job == NULL && opt->compute == NULL) {
		use_machine(&story->facts, ret, &story->mem);
		return (0);
	}
	for (i = 0; i < story->plan.nwarnings; i++)
		log_warning("%s", story->plan.warnings[i].text);
	return (err_set(err, ERR_NO_IDENTITY, REMEDY_ASSIGN_IDENTITY, "choose an identity",
	    "the job and its compute have none"));
}

struct asking {
	const struct facts *facts;
	struct http	*http;
	const struct plan_identity *identity;
	int64_t		 deadline_ms;
};

static int
get_token(void *arg, const char *audience, struct secret *ret, char ret_tenant[64],
    struct err *err)
{
	const struct asking *a = arg;
	struct token t = { .generation = 0 };
	struct token_claims claims;
	int failed;

	if (source_acquire(a->facts, a->http, a->identity, audience, a->deadline_ms, &t,
	    err) != 0)
		return (-1);
	if (token_read_claims(t.text.text, t.text.len, &claims) != 0)
		claims.tid[0] = '\0';
	str_format(ret_tenant, 64, "%s", claims.tid[0] != '\0' ? claims.tid :
	    a->facts->tenant_id != NULL ? a->facts->tenant_id : "");
	failed = secret_copy(ret, &t.text, err);
	token_done(&t);
	return (failed);
}

static int
login(const struct story *story, const struct plan_identity *identity, const char *host,
    struct secret *ret, struct err *err)
{
	const struct http_options options = { .max_connections = 4 };
	const struct cloud *cloud = facts_cloud(&story->facts);
	struct asking a = { .facts = &story->facts, .identity = identity,
	    .deadline_ms = clock_ms() + LOGIN_MS };
	struct acr_login acr = { .host = host, .token = get_token, .arg = &a,
	    .audiences = { cloud->registry_resource, cloud->arm }, .grant_ms = GRANT_MS,
	    .deadline_ms = a.deadline_ms };
	int failed;

	if ((a.http = http_new(&options, err)) == NULL)
		return (-1);
	failed = acr_login(a.http, &acr, ret, err);
	http_free(a.http);
	return (failed != 0 ? err_as(err, identity->label) : 0);
}

/* --- actions -------------------------------------------------------------------------- */

static int
print_credentials(const char *server, const struct secret *secret)
{
	auto_buf struct buf text = BUF_EMPTY;
	struct json_out out;

	json_out_init(&out, &text, 0);
	json_out_begin(&out, '{');
	json_out_kstring(&out, "ServerURL", server);
	json_out_kstring(&out, "Username", ACR_USER);
	json_out_kstring(&out, "Secret", secret->text);
	json_out_end(&out, '}');
	buf_addc(&text, '\n');
	return (fd_write_all(STDOUT_FILENO, text.data, text.len) == 0 ? 0 : 1);
}

static int
get(const struct options *opt, char *const *envp)
{
	static struct story story;
	auto_buf struct buf server = BUF_EMPTY;
	struct plan_identity identity;
	struct secret secret = { NULL, 0 };
	struct err err = ERR_EMPTY;
	char host[ACR_HOST_SIZE];
	int failed, status;

	if (read_input(&server, &err) != 0)
		return (docker_credential_fail(&err));
	if (server.len == 0)
		return (say(NO_SERVER));
	if (acr_host(server.data, host) != 0)
		return (say(NOT_FOUND));
	failed = choose(&story, opt, envp, &identity, &err);
	if (!acr_is_registry(host, facts_cloud(&story.facts)->registry_suffix, opt->registries))
		return (say(NOT_FOUND));
	if (failed != 0)
		return (docker_credential_fail(&err));
	if (login(&story, &identity, host, &secret, &err) != 0)
		return (docker_credential_fail(&err));
	status = print_credentials(server.data, &secret);
	secret_done(&secret);
	return (status);
}

/*
 * `docker login` stores what get has given: accepted, for get gives it again.  Anything else
 * would be lost.
 */
static int
store(void)
{
	auto_buf struct buf input = BUF_EMPTY;
	struct err err = ERR_EMPTY;
	const char *server, *user, *wrong = NULL;
	struct json *json;

	if (read_input(&input, &err) != 0)
		return (docker_credential_fail(&err));
	json = json_parse(buf_str(&input), input.len);
	server = json_string(json_get(json, "ServerURL"));
	user = json_string(json_get(json, "Username"));
	if (json_type(json) != JSON_OBJECT)
		wrong = "expected a JSON object with ServerURL, Username and Secret";
	else if (server == NULL || server[0] == '\0')
		wrong = NO_SERVER;
	else if (user == NULL || user[0] == '\0')
		wrong = NO_USERNAME;
	else if (strcmp(user, ACR_USER) != 0)
		wrong = "amlshim stores no credentials: name it in credHelpers, "
		    "for Azure registries only";
	json_free(json);
	return (wrong != NULL ? say(wrong) : 0);
}

static int
erase(void)
{
	auto_buf struct buf server = BUF_EMPTY;
	struct err err = ERR_EMPTY;

	if (read_input(&server, &err) != 0)
		return (docker_credential_fail(&err));
	return (server.len == 0 ? say(NO_SERVER) : 0);
}

/* What there could be a credential for is not known, but for registries that are named. */
static int
list(const struct options *opt)
{
	auto_buf struct buf text = BUF_EMPTY;
	char host[ACR_HOST_SIZE], url[ACR_HOST_SIZE + 8];
	struct json_out out;
	size_t i;

	json_out_init(&out, &text, 0);
	json_out_begin(&out, '{');
	for (i = 0; acr_named(opt->registries, i, host) == 1; i++) {
		str_format(url, sizeof(url), "https://%s", host);
		json_out_kstring(&out, url, ACR_USER);
	}
	json_out_end(&out, '}');
	return (answer(buf_str(&text)));
}

static int
check_registries(const struct options *opt, struct err *err)
{
	char host[ACR_HOST_SIZE];
	int found;
	size_t i;

	for (i = 0; (found = acr_named(opt->registries, i, host)) != 0; i++)
		if (found < 0) {
			err_set(err, ERR_USAGE, REMEDY_SEE_HELP, "read the options",
			    "expected HOST[:PORT],..., got \"%s\"", opt->registries);
			return (err_on(err, "--registry"));
		}
	return (0);
}

int
docker_credential(const struct options *opt, const struct init_inherited *inherited,
    char *const *envp)
{
	const char *action = opt->argv[0];
	uint64_t mask = inherited->mask | SYS_SIG(SIGPIPE);
	struct err err = ERR_EMPTY;

	if (action == NULL || opt->argv[1] != NULL)
		return (say("Usage: " DOCKER_CREDENTIAL_NAME " <store|get|erase|list|version>"));
	if (sys_sigprocmask(SIG_SETMASK, &mask, NULL) != 0)
		return (say("cannot set the signal mask"));
	if (check_registries(opt, &err) != 0)
		return (docker_credential_fail(&err));
	if (strcmp(action, "get") == 0)
		return (get(opt, envp));
	if (strcmp(action, "store") == 0)
		return (store());
	if (strcmp(action, "erase") == 0)
		return (erase());
	if (strcmp(action, "list") == 0)
		return (list(opt));
	if (strcmp(action, "version") == 0 || strcmp(action, "--version") == 0 ||
	    strcmp(action, "-v") == 0)
		return (answer(DOCKER_CREDENTIAL_NAME " (amlshim) " AMLSHIM_VERSION));
	printf("%s: unknown action: %s\n", DOCKER_CREDENTIAL_NAME, action);
	return (1);
}
