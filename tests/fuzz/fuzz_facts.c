/*
 * The environment that a compute gives, NAME=VALUE a line: endpoints, clouds, identities, proxies.
 * Secrets are moved out of it; what it says of the network is https or refused; no message shows a
 * proxy's password.
 */

#include <strings.h>

#include "cli/doctor_host.c"
#include "fuzz.h"
#include "identity/entra.h"
#include "plan/issuer.h"

#define LINES	64

static void
must_hold(const struct facts *f, struct arena *mem)
{
	const struct cloud *c = facts_cloud(f);
	const struct issuer *who = issuer_find(f);
	const char *arm = facts_arm_endpoint(f), *url;
	struct err err = ERR_EMPTY;
	struct uri u;

	must(c != NULL && c->name != NULL && who != NULL && who->name != NULL);
	issuer_is_shown(f);
	must(strncasecmp(arm, "https://", 8) == 0 && arm[strlen(arm) - 1] != '/');
	must(f->default_client_id == NULL || str_is_guid(f->default_client_id));
	url = entra_endpoint(f->authority_host, f->tenant_id != NULL ? f->tenant_id : "t", mem,
	    &err);
	if (url == NULL)
		must_complain(&err, ERR_USAGE);
	else
		must(uri_parse(&u, url, mem) == 0 && strcmp(u.scheme, "https") == 0);
}

/* Everything up to the last '@' could be somebody's password. */
static void
proxy(const char *value)
{
	/* Not setenv(): glibc keeps each value that there ever was. */
	static char variable[4096];
	const char *scheme = strstr(value, "://"), *at = strrchr(value, '@');
	const char *host = scheme != NULL ? scheme + 3 : value;
	char text[200];

	if (value[0] == '\0' || (size_t)snprintf(variable, sizeof(variable), "https_proxy=%s",
	    value) >= sizeof(variable))
		return;
	must(putenv(variable) == 0);
	must(proxy_text(1, text, sizeof(text)) == text);
	unsetenv("https_proxy");
	must(strncmp(text, "https_proxy=", 12) == 0 && strlen(text) < sizeof(text));
	if (at != NULL && at > host && strlen(value) < 150)
		must(strchr(text, '@') == NULL || strchr(text, '@') < strstr(text, "://"));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { (const char *)data, size };
	char *envp[LINES + 1], line[4096];
	struct arena mem = ARENA_EMPTY;
	struct err err = ERR_EMPTY;
	struct facts f;
	size_t n = 0;

	while (in.left > 0 && n < LINES) {
		envp[n] = input_line(&in, &mem);
		proxy(envp[n]);
		n++;
	}
	envp[n] = NULL;
	if (facts_from_environ(&f, envp, &mem, &err) == 0) {
		must_hold(&f, &mem);
		facts_forget_secrets(&f);
		must(f.msi_secret.text == NULL && f.identity_header.text == NULL);
	} else
		must(strpbrk(err_line(&err, line, sizeof(line)), "\r\n") == NULL);
	arena_done(&mem);
	return (0);
}
