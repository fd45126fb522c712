/*
 * azsim -- a strict simulator of Azure's token endpoints, Blob service, Resource Manager and Key
 * Vault, for tests, demonstrations and benchmarks.  See "azsim --help" and the headers: identity.h,
 * blob.h, gen1.h, arm.h, vault.h, control.h, fault.h.
 */

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <unistd.h>

#include <fcntl.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/mem.h"
#include "control.h"
#include "ctl.h"
#include "server.h"

static const char help[] =
"usage: azsim [OPTION...]\n"
"       azsim ctl PORT METHOD PATH [FILE] [HEADER:VALUE...]\n"
"\n"
"  --host ADDRESS     listen there (127.0.0.1)\n"
"  --http PORT        plain HTTP; 0 takes any (the default)\n"
"  --https PORT       TLS, with --cert FILE and --key FILE (PEM)\n"
"  --self-https PORT  TLS with another certificate, --self-cert FILE and --self-key FILE\n"
"  --port-file FILE   \"http=PORT https=PORT self=PORT\", written when it listens\n"
"  --data DIR         keep the bytes of blobs there, not in memory\n"
"  --log FILE         append each request as a line of JSON\n"
"  --tenant ID        of the directory\n"
"  --secret TEXT      that MSI/auth and msi/token want\n"
"  --account name=,key=,tenant=,hns=0|1,shared_key=on|off,network=allow|deny,public=on|off,\n"
"            https_only=on|off,dfs=allow|deny,onelake=0|1,gen1=0|1\n"
"                     (without any: devstoreaccount1 with the emulator's key)\n"
"  --container ACCOUNT/NAME[=blob|container]   the word: who is nobody may read\n"
"  --identity kind=system|user-assigned,client_id=,object_id=,resource_id=,tenant=\n"
"  --user oid=,upn=,client_id=,tenant=         the submitter\n"
"  --app client_id=,oid=,tenant=,secret=,federated=,cert=FILE   an application (apps.h)\n"
"  --arc-keys DIR     an Arc machine, whose agent writes its key files there\n"
"  --role oid=,role=reader|contributor|acrpull,account=,container=\n"
"  --registry-realm HOST   that the challenge of a registry names\n"
"  --workspace, --datastore, --asset, --vault, --secret-of, --grant WORDS    see plane.h\n"
"  --knob NAME=N      latency_ms, rate_bytes_per_s, token_lifetime_s, ...: see sim.h\n"
"  --synthetic ACCOUNT/CONTAINER/NAME=SIZE\n"
"  --synthetic-many ACCOUNT/CONTAINER/PREFIX=COUNT,SIZE\n"
"  --max-life SECONDS end by itself after so long\n";

enum { OPT_HOST = 256, OPT_HTTP, OPT_HTTPS, OPT_CERT, OPT_KEY, OPT_PORT_FILE, OPT_DATA, OPT_LOG,
	OPT_TENANT, OPT_SECRET, OPT_ACCOUNT, OPT_CONTAINER, OPT_IDENTITY, OPT_USER, OPT_ROLE,
	OPT_WORKSPACE, OPT_DATASTORE, OPT_ASSET, OPT_VAULT, OPT_SECRET_OF, OPT_GRANT,
	OPT_KNOB, OPT_APP, OPT_ARC_KEYS, OPT_SELF_HTTPS, OPT_SELF_CERT, OPT_SELF_KEY,
	OPT_REGISTRY_REALM, OPT_SYNTHETIC, OPT_MANY, OPT_MAX_LIFE, OPT_HELP };

static const struct option options[] = {
	{ "host", required_argument, NULL, OPT_HOST },
	{ "http", required_argument, NULL, OPT_HTTP },
	{ "https", required_argument, NULL, OPT_HTTPS },
	{ "cert", required_argument, NULL, OPT_CERT },
	{ "key", required_argument, NULL, OPT_KEY },
	{ "port-file", required_argument, NULL, OPT_PORT_FILE },
	{ "data", required_argument, NULL, OPT_DATA },
	{ "log", required_argument, NULL, OPT_LOG },
	{ "tenant", required_argument, NULL, OPT_TENANT },
	{ "secret", required_argument, NULL, OPT_SECRET },
	{ "account", required_argument, NULL, OPT_ACCOUNT },
	{ "container", required_argument, NULL, OPT_CONTAINER },
	{ "identity", required_argument, NULL, OPT_IDENTITY },
	{ "user", required_argument, NULL, OPT_USER },
	{ "role", required_argument, NULL, OPT_ROLE },
	{ "registry-realm", required_argument, NULL, OPT_REGISTRY_REALM },
	{ "workspace", required_argument, NULL, OPT_WORKSPACE },
	{ "datastore", required_argument, NULL, OPT_DATASTORE },
	{ "asset", required_argument, NULL, OPT_ASSET },
	{ "vault", required_argument, NULL, OPT_VAULT },
	{ "secret-of", required_argument, NULL, OPT_SECRET_OF },
	{ "grant", required_argument, NULL, OPT_GRANT },
	{ "knob", required_argument, NULL, OPT_KNOB },
	{ "app", required_argument, NULL, OPT_APP },
	{ "arc-keys", required_argument, NULL, OPT_ARC_KEYS },
	{ "self-https", required_argument, NULL, OPT_SELF_HTTPS },
	{ "self-cert", required_argument, NULL, OPT_SELF_CERT },
	{ "self-key", required_argument, NULL, OPT_SELF_KEY },
	{ "synthetic", required_argument, NULL, OPT_SYNTHETIC },
	{ "synthetic-many", required_argument, NULL, OPT_MANY },
	{ "max-life", required_argument, NULL, OPT_MAX_LIFE },
	{ "help", no_argument, NULL, OPT_HELP },
	{ NULL, 0, NULL, 0 },
};

struct flags {
	const char *host, *cert, *key, *self_cert, *self_key, *port_file, *data, *log;
	int	 http_port, https_port, self_port;	/* -1: not */
	unsigned max_life_s;
};

static void __attribute__((noreturn, format(printf, 1, 2)))
die(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fputs("azsim: ", stderr);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
	va_end(ap);
	exit(2);
}

static void __attribute__((noreturn))
die_of(const struct err *err)
{
	char line[2048];

	die("%s", err_line(err, line, sizeof(line)));
}

static int
to_number(const char *text, int max)
{
	long long n;

	if (str_to_i64(text, 0, max, &n) != 0)
		die("%s is no number, or too big", text);
	return ((int)n);
}

static void
set_knob(struct sim *sim, const char *text)
{
	char *name = mem_strdup(text), *value = strchr(name, '=');
	long long n;

	if (value == NULL)
		die("--knob %s: NAME=N is wanted", text);
	*value++ = '\0';
	if (str_to_i64(value, 0, INT64_MAX / 2000000, &n) != 0 ||
	    knobs_set(&sim->knobs, name, n) != 0)
		die("--knob %s: no such knob, or no number", text);
	free(name);
}

static void
add_container(struct sim *sim, const char *text)
{
	char *account = mem_strdup(text), *name = strchr(account, '/'), *access;
	struct account *a;
	struct container *c;

	if (name == NULL)
		die("--container %s: ACCOUNT/NAME is wanted", text);
	*name++ = '\0';
	access = strchr(name, '=');
	if (access != NULL)
		*access++ = '\0';
	a = model_account(&sim->model, account);
	if (a == NULL)
		die("--container %s: no such account", text);
	model_create_container(a, name, &c);
	if (access != NULL && strcmp(access, "blob") != 0 && strcmp(access, "container") != 0)
		die("--container %s: blob or container is wanted", text);
	if (access != NULL)
		c->public_access = strcmp(access, "blob") == 0 ? PUBLIC_BLOB : PUBLIC_CONTAINER;
	free(account);
}

static void
want(int failed, const char *option, const char *text)
{
	if (failed != 0)
		die("--%s %s: these words are not understood", option, text);
}

static void
add_user(struct sim *sim, const char *text)
{
	auto_buf struct buf words = BUF_EMPTY;

	buf_printf(&words, "kind=user,%s", text);
	want(people_add(&sim->people, buf_str(&words)), "user", text);
}

/* Those that others build upon: where to listen, the directory, the accounts. */
static void
take_first(struct sim *sim, struct flags *f, int opt)
{
	switch (opt) {
	case OPT_HOST:
		f->host = optarg;
		break;
	case OPT_HTTP:
		f->http_port = to_number(optarg, 65535);
		break;
	case OPT_HTTPS:
		f->https_port = to_number(optarg, 65535);
		break;
	case OPT_CERT:
		f->cert = optarg;
		break;
	case OPT_KEY:
		f->key = optarg;
		break;
	case OPT_SELF_HTTPS:
		f->self_port = to_number(optarg, 65535);
		break;
	case OPT_SELF_CERT:
		f->self_cert = optarg;
		break;
	case OPT_SELF_KEY:
		f->self_key = optarg;
		break;
	case OPT_ARC_KEYS:
		sim->arc_dir = optarg;
		break;
	case OPT_PORT_FILE:
		f->port_file = optarg;
		break;
	case OPT_DATA:
		f->data = optarg;
		break;
	case OPT_LOG:
		f->log = optarg;
		break;
	case OPT_TENANT:
		sim->people.tenant = optarg;
		break;
	case OPT_SECRET:
		sim->secret = optarg;
		break;
	case OPT_REGISTRY_REALM:
		sim->registry_realm = optarg;
		break;
	case OPT_MAX_LIFE:
		f->max_life_s = (unsigned)to_number(optarg, 1000000);
		break;
	case OPT_HELP:
		fputs(help, stdout);
		exit(0);
	case '?':
		exit(2);
	}
}

static void
take_second(struct sim *sim, int opt)
{
	switch (opt) {
	case OPT_ACCOUNT:
		want(control_add_account(sim, optarg), "account", optarg);
		break;
	case OPT_IDENTITY:
		want(people_add(&sim->people, optarg), "identity", optarg);
		break;
	case OPT_USER:
		add_user(sim, optarg);
		break;
	case OPT_ROLE:
		want(people_add_role(&sim->people, optarg), "role", optarg);
		break;
	case OPT_APP:
		want(apps_add(&sim->apps, optarg, sim->people.tenant), "app", optarg);
		break;
	case OPT_WORKSPACE:
	case OPT_DATASTORE:
	case OPT_ASSET:
	case OPT_VAULT:
	case OPT_SECRET_OF:
	case OPT_GRANT:
		want(plane_add(&sim->plane, (enum thing_kind)(opt - OPT_WORKSPACE), optarg),
		    "workspace and others", optarg);
		break;
	case OPT_KNOB:
		set_knob(sim, optarg);
		break;
	}
}

static void
take_third(struct sim *sim, int opt)
{
	switch (opt) {
	case OPT_CONTAINER:
		add_container(sim, optarg);
		break;
	case OPT_SYNTHETIC:
		want(control_add_synthetic(sim, optarg, 0), "synthetic", optarg);
		break;
	case OPT_MANY:
		want(control_add_synthetic(sim, optarg, 1), "synthetic-many", optarg);
		break;
	}
}

static void
init(struct sim *sim)
{
	memset(sim, 0, sizeof(*sim));
	sim->knobs.idle_ms = 120000;
	sim->knobs.log = 1;
	sim->secret = "azsim-secret";
	sim->people.tenant = mem_strdup(PEOPLE_TENANT);
	sim->journal.fd = -1;
	sim->started_ms = clock_ms();
	pthread_rwlock_init(&sim->people.lock, NULL);
	pthread_mutex_init(&sim->apps.lock, NULL);
	pthread_rwlock_init(&sim->acls.lock, NULL);
	pthread_rwlock_init(&sim->plane.lock, NULL);
	pthread_mutex_init(&sim->faults.lock, NULL);
	pthread_mutex_init(&sim->journal.lock, NULL);
	if (jwt_key_init(&sim->people.key) != 0 || getrandom(&sim->marker_key,
	    sizeof(sim->marker_key), 0) != sizeof(sim->marker_key))
		die("no random numbers: %s", strerror(errno));
}

/* Options may come in any order: three passes, each takes what the next needs. */
static void
read_options(struct sim *sim, struct flags *f, int argc, char **argv)
{
	struct err err = ERR_EMPTY;
	int opt;

	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1)
		take_first(sim, f, opt);
	if (optind != argc)
		die("%s: what is this?", argv[optind]);
	if (depot_open(&sim->model.depot, f->data, &err) != 0)
		die_of(&err);
	optind = 1;
	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1)
		take_second(sim, opt);
	if (sim->model.accounts == NULL)
		control_add_account(sim, "name=devstoreaccount1");
	optind = 1;
	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1)
		take_third(sim, opt);
}

static void
report_ports(const char *file, int http, int https, int self)
{
	struct err err = ERR_EMPTY;
	char line[64];

	str_format(line, sizeof(line), self > 0 ? "http=%d https=%d self=%d\n" :
	    "http=%d https=%d\n", http, https, self);
	if (file == NULL) {
		fputs(line, stdout);
		fflush(stdout);
	} else if (fd_replace_file(file, line, strlen(line), 0644, &err) != 0) {
		die_of(&err);
	}
}

/* A connection is a descriptor. */
static void
raise_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

/* The port; 0: it is not wanted. */
static int
listen_tls(const struct flags *f, int port, const char *cert, const char *key,
    struct tls_server **ret, int *ret_fd)
{
	struct err err = ERR_EMPTY;

	if (port < 0)
		return (0);
	if (cert == NULL || key == NULL)
		die("--https needs --cert and --key, --self-https --self-cert and --self-key");
	*ret = tls_server_new(cert, key, &err);
	if (*ret == NULL || (port = server_listen(f->host, port, ret_fd, &err)) < 0)
		die_of(&err);
	return (port);
}

int
main(int argc, char **argv)
{
	struct flags f = { .host = "127.0.0.1", .https_port = -1, .self_port = -1 };
	struct err err = ERR_EMPTY;
	static struct sim sim;
	int fds[SERVER_LISTENERS] = { -1, -1, -1 }, http, https, self;

	if (argc > 1 && strcmp(argv[1], "ctl") == 0)
		return (ctl_main(argc - 2, argv + 2));
	signal(SIGPIPE, SIG_IGN);
	raise_limit();
	init(&sim);
	read_options(&sim, &f, argc, argv);
	if (f.log != NULL) {
		sim.journal.fd = open(f.log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
		if (sim.journal.fd < 0)
			die("%s: %s", f.log, strerror(errno));
	}
	https = listen_tls(&f, f.https_port, f.cert, f.key, &sim.tls, &fds[1]);
	self = listen_tls(&f, f.self_port, f.self_cert, f.self_key, &sim.self_tls, &fds[2]);
	http = server_listen(f.host, f.http_port, &fds[0], &err);
	if (http < 0)
		die_of(&err);
	report_ports(f.port_file, http, https, self);
	if (f.max_life_s > 0)
		alarm(f.max_life_s);
	server_run(&sim, fds);
}
