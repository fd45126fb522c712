#include "init/handover.h"

#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/mem.h"

#define MAGIC		INT64_C(0x31646e61686d61)	/* "amhand1" */
#define TEXT_MAX	(1 << 20)
#define SEALS		(F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

static const char op[] = "hand a worker over to another binary";

/* Both directions in one. */
struct io {
	struct buf	*out;		/* NULL: it is read */
	const char	*in;
	size_t		 left;
	struct arena	*mem;		/* of what is read */
	int		 bad;		/* what is read from here on is the least, or NULL */
};

/* ---- numbers, texts, lists ----------------------------------------------------------- */

static int64_t
number(struct io *io, int64_t v, int64_t min, int64_t max)
{
	if (io->out != NULL) {		/* stays as it is, whatever it is */
		buf_add(io->out, &v, sizeof(v));
		io->bad |= v < min || v > max;
		return (v);
	}
	if (io->bad || io->left < sizeof(v)) {
		io->bad = 1;
		return (min);
	}
	memcpy(&v, io->in, sizeof(v));
	io->in += sizeof(v);
	io->left -= sizeof(v);
	io->bad = v < min || v > max;
	return (io->bad ? min : v);
}

#define IO(io, field, min, max) \
	((field) = (__typeof__(field))number((io), (int64_t)(field), (min), (max)))
#define IO_INT(io, field)	IO(io, field, INT_MIN, INT_MAX)
#define IO_INT64(io, field)	IO(io, field, INT64_MIN, INT64_MAX)

/* Both have to have the same. */
static void
agree(struct io *io, int64_t v)
{
	if (number(io, v, INT64_MIN, INT64_MAX) != v)
		io->bad = 1;
}

static void
text(struct io *io, const char **s)
{
	int64_t len = io->out == NULL || *s == NULL ? -1 : (int64_t)strlen(*s);

	len = number(io, len, -1, TEXT_MAX);
	if (io->out != NULL) {
		if (len > 0)
			buf_add(io->out, *s, (size_t)len);
		return;
	}
	*s = NULL;
	if (len < 0)
		return;
	if ((size_t)len > io->left || memchr(io->in, '\0', (size_t)len) != NULL) {
		io->bad = 1;
		return;
	}
	*s = arena_strndup(io->mem, io->in, (size_t)len);
	io->in += len;
	io->left -= (size_t)len;
}

static void
texts(struct io *io, const char **const *list, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		text(io, list[i]);
}

static void
need(struct io *io, const char *s)
{
	if (s == NULL)
		io->bad = 1;
}

/* An element is at least one number.  The list, or room for what is read. */
static void *
list_of(struct io *io, const void *list, size_t *n, size_t size)
{
	*n = (size_t)number(io, (int64_t)*n, 0, io->out != NULL ? INT_MAX :
	    (int64_t)(io->left / sizeof(int64_t)));
	return (io->out != NULL ? (void *)(uintptr_t)list :
	    arena_alloc(io->mem, (*n + 1) * size));
}

/* -1, or one that is open here. */
static void
descriptor(struct io *io, int *fd)
{
	IO(io, *fd, -1, INT_MAX);
	if (io->out == NULL && *fd >= 0 && fcntl(*fd, F_GETFD) < 0)
		io->bad = 1;
}

/* ---- plan and facts ------------------------------------------------------------------ */

static void
identity(struct io *io, struct plan_identity *id)
{
	const char **const list[] = { &id->client_id, &id->object_id, &id->resource_id,
	    &id->label, &id->source, &id->rule, &id->reason, &id->secret_url, &id->secret_of,
	    &id->workspace.subscription, &id->workspace.resource_group, &id->workspace.name,
	    &id->tenant_id, &id->authority_url, &id->thumbprint, &id->audience };

	texts(io, list, LENGTH(list));
	IO(io, id->kind, 0, PLAN_ID_NONE);
	IO(io, id->secret_from, 0, SPEC_SECRET_VAULT);
}

static void
data_access(struct io *io, struct plan_access *a)
{
	const char **const list[] = { &a->name, &a->datastore, &a->uri, &a->base_url, &a->account,
	    &a->container, &a->prefix, &a->only, &a->file_name, &a->url, &a->target, &a->value,
	    &a->staging, &a->journal };

	texts(io, list, LENGTH(list));
	IO(io, a->type, 0, SPEC_TRITON_MODEL);
	IO(io, a->action, 0, PLAN_PASS);
	IO(io, a->store, 0, SPEC_ONELAKE);
	IO_INT(io, a->is_output);
	IO_INT(io, a->is_file);
	IO_INT(io, a->is_model);
	IO_INT(io, a->hns);
	identity(io, &a->identity);
	need(io, a->name);
	if (a->action == PLAN_PASS)
		return;
	need(io, a->base_url);
	need(io, a->prefix);
	need(io, a->target);
}

/* Who said what is for the plan's printout. */
static void
tuning(struct io *io, struct plan_tuning *t)
{
	int64_t *const numbers[] = { &t->memory_bytes, &t->disk_cache_bytes, &t->disk_free_bytes,
	    &t->read_ahead_bytes, &t->connections, &t->download_connections, &t->tries,
	    &t->attr_ttl_ms, &t->io_timeout_ms, &t->uid, &t->gid, &t->umask };
	size_t i;

	for (i = 0; i < LENGTH(numbers); i++)
		IO_INT64(io, *numbers[i]);
	IO_INT(io, t->allow_other);
	IO_INT(io, t->stats);
	IO_INT(io, t->write_behind);
	IO_INT(io, t->acl);
	text(io, &t->disk_cache);
}

static struct plan_token *
tokens(struct io *io, struct plan_token *list, size_t *n)
{
	size_t i;

	list = list_of(io, list, n, sizeof(*list));
	for (i = 0; i < *n; i++) {
		text(io, &list[i].audience);
		text(io, &list[i].place);
		need(io, list[i].audience);
		need(io, list[i].place);
	}
	return (list);
}

static const struct spec_uai *
identities(struct io *io, const struct spec_uai *list, size_t *n)
{
	struct spec_uai *own = list_of(io, list, n, sizeof(*own));
	size_t i;

	for (i = 0; i < *n; i++) {
		text(io, &own[i].client_id);
		text(io, &own[i].object_id);
		text(io, &own[i].resource_id);
	}
	return (own);
}

static const struct cloud *
cloud(struct io *io, const struct cloud *from)
{
	struct cloud *c = arena_alloc(io->mem, sizeof(*c));
	const char **const required[] = { &c->name, &c->authority, &c->arm, &c->storage_suffix,
	    &c->storage_resource, &c->vault_suffix, &c->vault_resource, &c->registry_suffix,
	    &c->registry_resource, &c->aml_resource };
	size_t i;

	if (io->out != NULL)
		*c = *from;
	texts(io, required, LENGTH(required));
	for (i = 0; i < LENGTH(required); i++)
		need(io, *required[i]);
	text(io, &c->gen1_suffix);
	text(io, &c->gen1_resource);
	return (c);
}

static void
whole_plan(struct io *io, struct plan *p)
{
	size_t i;

	p->cloud = cloud(io, p->cloud);
	p->accesses = list_of(io, p->accesses, &p->naccesses, sizeof(*p->accesses));
	for (i = 0; i < p->naccesses; i++)
		data_access(io, &p->accesses[i]);
	for (i = 0; i < LENGTH(p->readers); i++)
		identity(io, &p->readers[i]);
	IO(io, p->broker, 0, PLAN_BROKER_MANAGED);
	identity(io, &p->broker_default);
	p->broker_uais = identities(io, p->broker_uais, &p->nbroker_uais);
	IO_INT(io, p->broker_any_client_id);
	IO(io, p->broker_dialects, 0, UINT_MAX);
	p->variables_with_token = tokens(io, p->variables_with_token, &p->nvariables_with_token);
	p->files_with_token = tokens(io, p->files_with_token, &p->nfiles_with_token);
	tuning(io, &p->tuning);
}

static void
all_facts(struct io *io, struct facts *f)
{
	const char **const list[] = { &f->msi_endpoint, &f->identity_endpoint, &f->imds_endpoint,
	    &f->obo_endpoint, &f->pod_identity_authority_host, &f->identity_server_thumbprint,
	    &f->federated_token_file, &f->client_id, &f->tenant_id, &f->authority_host,
	    &f->arc_tokens_dir, &f->unknown_cloud, &f->default_client_id,
	    &f->default_client_id_raw, &f->run_id, &f->experiment, &f->subscription,
	    &f->resource_group, &f->workspace, &f->workspace_id, &f->arm_endpoint,
	    &f->arm_api_version, &f->cwd };

	texts(io, list, LENGTH(list));
	f->cloud = cloud(io, facts_cloud(f));
	IO_INT(io, f->assertion_rs256);
	IO_INT(io, f->has_himds);
	IO(io, f->uid, 0, UINT32_MAX);
	IO(io, f->gid, 0, UINT32_MAX);
}

/* ---- the workers --------------------------------------------------------------------- */

/* The agent has its end of all sockets, others what is theirs: as worker_kept_fds(). */
static struct worker_fds
given(const struct workers *w, size_t i, size_t self)
{
	struct worker_fds fds = { -1, -1, -1, -1 };

	if (i == self)
		fds = w->list[i].fds;
	fds.agent_side = self == 0 ? w->list[i].fds.agent_side : -1;
	return (fds);
}

static void
one_worker(struct io *io, struct workers *w, size_t i, size_t self)
{
	struct worker *one = &w->list[i];
	const struct plan *plan = w->opt.plan;
	struct worker_fds fds = given(w, i, self);
	int64_t at = one->access == NULL ? -1 : one->access - plan->accesses;

	at = number(io, at, -1, (int64_t)plan->naccesses - 1);
	if ((at < 0) != (i == 0))
		io->bad = 1;
	text(io, &one->name);
	need(io, one->name);
	descriptor(io, &fds.agent_side);
	descriptor(io, &fds.ask_side);
	descriptor(io, &fds.fuse_fd);
	descriptor(io, &fds.state_fd);
	IO_INT(io, one->life);
	IO_INT(io, one->was_ready);
	if (io->out != NULL)
		return;
	one->access = at < 0 ? NULL : &plan->accesses[at];
	one->fds = fds;
}

/* One a token file where the job's user is another one than ours: without them nothing is safe. */
static void
token_homes(struct io *io, struct workers *w)
{
	size_t i, nfiles = w->opt.plan->nfiles_with_token;
	size_t n = w->token_homes == NULL ? 0 : nfiles;
	struct fd_home *homes = list_of(io, w->token_homes, &n, sizeof(*homes));

	if (n != (w->opt.facts->uid == geteuid() ? 0 : nfiles))
		io->bad = 1;
	for (i = 0; i < n; i++) {
		IO_INT64(io, homes[i].dev);
		IO_INT64(io, homes[i].ino);
	}
	w->token_homes = n == 0 ? NULL : homes;
}

static void
agents_own(struct io *io, struct workers *w)
{
	const char *secret = w->broker_secret.text;
	struct err err = ERR_EMPTY;

	descriptor(io, &w->services.broker_fd);
	descriptor(io, &w->services.unix_fd);
	descriptor(io, &w->services.audit_fd);
	descriptor(io, &w->services.job_fd);
	descriptor(io, &w->services.safe_fd);
	token_homes(io, w);
	text(io, &secret);
	if (io->out == NULL && secret != NULL &&
	    secret_set(&w->broker_secret, secret, strlen(secret), &err) != 0)
		io->bad = 1;
}

static void
all(struct io *io, struct handover *h)
{
	struct workers *w = h->workers;
	size_t i;

	agree(io, MAGIC);
	agree(io, HANDOVER_FORMAT);
	agree(io, sizeof(struct wire_msg));
	agree(io, sizeof(struct wire_ask));
	agree(io, sizeof(struct wire_cred));
	agree(io, sizeof(struct vitals));
	if (io->bad)
		return;
	IO_INT(io, h->verbosity);
	IO(io, h->log_json, 0, 1);
	IO(io, h->init_pid, 1, INT_MAX);
	descriptor(io, &h->init_fd);
	descriptor(io, &h->trace_fd);
	descriptor(io, &w->vitals_fd);
	whole_plan(io, (struct plan *)(uintptr_t)w->opt.plan);
	all_facts(io, w->opt.facts);
	w->list = list_of(io, w->list, &w->n, sizeof(*w->list));
	IO(io, h->self, 0, (int64_t)w->n - 1);
	for (i = 0; i < w->n; i++)
		one_worker(io, w, i, h->self);
	if (h->self == 0)
		agents_own(io, w);
}

static int
seal(const struct buf *bytes)
{
	int fd = memfd_create("handover", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd >= 0 && (fd_write_all(fd, bytes->data, bytes->len) != 0 ||
	    fcntl(fd, F_ADD_SEALS, SEALS) != 0))
		mem_close_fd(&fd);
	return (fd);
}

int
handover_write(const struct handover *h, struct err *err)
{
	auto_buf struct buf bytes = BUF_EMPTY;
	struct handover copy = *h;
	struct workers w = *h->workers;
	struct plan plan = *w.opt.plan;
	struct facts facts = *w.opt.facts;
	struct arena mem = ARENA_EMPTY;
	struct io io = { .out = &bytes, .mem = &mem };
	int fd = -1;

	w.opt.plan = &plan;
	w.opt.facts = &facts;
	copy.workers = &w;
	all(&io, &copy);
	arena_done(&mem);
	if (io.bad || bytes.len > HANDOVER_BYTES_MAX)
		return (err_set(err, ERR_BUG, REMEDY_REPORT_BUG, op,
		    "this cannot be written down"));
	if ((fd = seal(&bytes)) < 0)
		return (err_errno(err, op, NULL));
	return (fd);
}

int
handover_parse(const char *bytes, size_t len, struct handover *ret, struct err *err)
{
	struct workers *w = ret->workers;
	struct io io = { .in = bytes, .left = len, .mem = &w->mem };

	w->opt.plan = arena_alloc(&w->mem, sizeof(*w->opt.plan));
	w->opt.facts = arena_alloc(&w->mem, sizeof(*w->opt.facts));
	w->services = (struct worker_services){ -1, -1, -1, -1, -1 };
	w->job_fd = -1;
	all(&io, ret);
	if (io.bad || io.left != 0)
		return (err_set(err, ERR_SYSTEM, REMEDY_NONE, op,
		    "what was handed over is of another version of amlshim, or damaged"));
	return (0);
}

int
handover_read(int fd, struct handover *ret, struct err *err)
{
	struct stat st;
	size_t len;
	char *bytes;
	int failed;

	/* Sealed: it cannot change while it is read. */
	if (fcntl(fd, F_GET_SEALS) != SEALS || fstat(fd, &st) != 0 || st.st_size <= 0 ||
	    st.st_size > (off_t)HANDOVER_BYTES_MAX)
		return (err_set(err, ERR_SYSTEM, REMEDY_NONE, op,
		    "amlshim itself starts this, with a descriptor of its own"));
	len = (size_t)st.st_size;
	bytes = mmap(NULL, len, PROT_READ, MAP_SHARED, fd, 0);
	if (bytes == MAP_FAILED)
		return (err_errno(err, op, NULL));
	failed = handover_parse(bytes, len, ret, err);
	munmap(bytes, len);
	return (failed);
}
