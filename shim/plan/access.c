#include "plan/parts.h"

#include <string.h>

#include "base/uri.h"
#include "plan/policy.h"
#include "spec/dsuri.h"

#define STORE_DEFAULT		"workspaceblobstore"
#define ONELAKE_SUFFIX		"fabric.microsoft.com"

/* One input or output while it is looked at. */
struct part {
	const struct spec_io		*io;
	int				 is_output;
	struct plan_access		 access;
	const struct spec_datastore	*datastore;	/* NULL: raw URI */
	int				 wanted;	/* the workspace is to be asked first */
};

static const char *
kind_of(const struct part *p)
{
	return (p->is_output ? "outputs" : "inputs");
}

static int
on_path(struct err *err, const struct part *p)
{
	if (p->io->is_model)
		return (plan_err_at(err, &p->io->path_at, "model"));
	if (p->io->path == NULL)
		return (plan_err_at(err, &p->io->at, "%s.%s", kind_of(p), p->io->name));
	return (plan_err_at(err, &p->io->path_at, "%s.%s.path", kind_of(p), p->io->name));
}

static int
on_io(struct err *err, const struct part *p, const char *field)
{
	if (p->io->is_model)
		return (plan_err_at(err, &p->io->at, "model"));
	return (plan_err_at(err, &p->io->at, "%s.%s%s", kind_of(p), p->io->name, field));
}

static const char *
list_datastores(const struct deciding *d)
{
	const char *list = "";
	size_t i;

	for (i = 0; i < d->spec->ndatastores; i++)
		list = arena_printf(d->mem, "%s%s%s", list, i == 0 ? "" : ", ",
		    d->spec->datastores[i].name);
	return (*list != '\0' ? list : "none");
}

static struct spec_workspace
own_workspace(const struct facts *f)
{
	if (f->subscription == NULL || f->resource_group == NULL || f->workspace == NULL)
		return ((struct spec_workspace){ NULL, NULL, NULL });
	return ((struct spec_workspace){ f->subscription, f->resource_group, f->workspace });
}

static int
same_workspace(const struct spec_workspace *a, const struct spec_workspace *b)
{
	return (a->name != NULL && b->name != NULL && str_same(a->name, b->name) &&
	    str_same(a->resource_group, b->resource_group) &&
	    str_same(a->subscription, b->subscription));
}

static struct spec_workspace
workspace_of(const struct deciding *d, const struct dsuri *uri)
{
	if (uri->workspace != NULL)
		return ((struct spec_workspace){ uri->subscription, uri->resource_group,
		    uri->workspace });
	return (own_workspace(d->facts));
}

/* What a file says of a name counts in every workspace, what a workspace says in that one. */
static const struct spec_datastore *
find_datastore(const struct spec *spec, const char *name, const struct spec_workspace *of)
{
	const struct spec_datastore *ds = spec->datastores, *end = ds + spec->ndatastores;

	for (; ds < end; ds++)
		if (strcmp(ds->name, name) == 0 &&
		    (ds->workspace.name == NULL || same_workspace(&ds->workspace, of)))
			return (ds);
	return (NULL);
}

/* 1: the workspace will be asked; 0: it cannot be, or nobody wants to ask. */
static int
want(struct deciding *d, struct part *p, const struct plan_want *w)
{
	struct plan_wants *all = d->opt.wants;
	struct plan_want *grown;
	size_t i;

	if (all == NULL || w->workspace.name == NULL)
		return (0);
	p->wanted = 1;
	for (i = 0; i < all->n; i++)
		if (all->list[i].kind == w->kind &&
		    same_workspace(&all->list[i].workspace, &w->workspace) &&
		    (w->text == NULL ? w->name == NULL || strcmp(all->list[i].name, w->name) == 0 :
		    strcmp(all->list[i].text, w->text) == 0))
			return (1);
	grown = arena_alloc(d->mem, (all->n + 1) * sizeof(*grown));
	if (all->n != 0)
		memcpy(grown, all->list, all->n * sizeof(*grown));
	grown[all->n++] = *w;
	all->list = grown;
	return (1);
}

static const char *
default_datastore(struct deciding *d, struct part *p, struct err *err)
{
	const struct spec *spec = d->spec;
	const struct plan_want ask = { .kind = WIRE_WANT_DEFAULT,
	    .workspace = own_workspace(d->facts) };
	const char *name = spec->job.default_datastore;
	size_t i;

	if (name != NULL)
		return (str_starts(name, "azureml:") ? name + strlen("azureml:") : name);
	for (i = 0; i < spec->ndatastores; i++)
		if (spec->datastores[i].is_default)
			return (spec->datastores[i].name);
	if (find_datastore(spec, STORE_DEFAULT, &ask.workspace) != NULL)
		return (STORE_DEFAULT);
	if (spec->ndatastores == 1 && spec->datastores[0].workspace.name == NULL)
		return (spec->datastores[0].name);
	if (want(d, p, &ask))
		return (NULL);
	err_set(err, ERR_USAGE, REMEDY_DATASTORE_FILE, "plan", "the output has no path, and no "
	    "default datastore is known (is_default, %s or a single one); described are: %s",
	    STORE_DEFAULT, list_datastores(d));
	on_io(err, p, "");
	return (NULL);
}

static int
is_onelake(const struct deciding *d, const char *store)
{
	struct spec_workspace own = own_workspace(d->facts);
	const struct spec_datastore *ds = find_datastore(d->spec, store, &own);

	return (ds != NULL && ds->type == SPEC_ONELAKE);
}

static const char *
default_output(struct deciding *d, struct part *p, struct err *err)
{
	const char *store = default_datastore(d, p, err), *job = d->plan->job_name;
	auto_buf struct buf name = BUF_EMPTY;

	if (store == NULL)
		return (NULL);
	if (job == NULL) {
		err_set(err, ERR_USAGE, REMEDY_FIX_SPEC, "plan", "the output has no path, and the "
		    "default one needs a name for the job: set path, name, or AZUREML_RUN_ID");
		on_io(err, p, "");
		return (NULL);
	}
	uri_encode(&name, job, strlen(job), 0);
	return (arena_printf(d->mem, "azureml://datastores/%s/paths/%sazureml/%s/%s%s", store,
	    is_onelake(d, store) ? "Files/" : "", buf_str(&name), p->io->name,
	    p->io->type == SPEC_URI_FILE ? "" : "/"));
}

/* The value of one name that an output's path may use; NULL: none, and *err tells why. */
static const char *
output_word(struct deciding *d, struct part *p, const char *name, struct err *err)
{
	if (strcmp(name, "default_datastore") == 0)
		return (default_datastore(d, p, err));
	if (strcmp(name, "name") == 0 && d->plan->job_name != NULL)
		return (d->plan->job_name);
	if (strcmp(name, "output_name") == 0)
		return (p->io->name);
	err_set(err, ERR_USAGE, REMEDY_FIX_SPEC, "plan", "${{%s}} has no value here: an output's "
	    "path knows default_datastore, name (of the job) and output_name", name);
	on_path(err, p);
	return (NULL);
}

/* ${{default_datastore}}, ${{name}}, ${{output_name}} (includes/output-path-expressions.md). */
static const char *
expand_output(struct deciding *d, struct part *p, struct err *err)
{
	const char *text = p->io->path, *open, *close, *value, *word;
	size_t len;
	auto_buf struct buf out = BUF_EMPTY;

	while ((open = strstr(text, "${{")) != NULL && (close = strstr(open, "}}")) != NULL) {
		word = open + 3 + strspn(open + 3, " \t");
		len = strcspn(word, " \t}");
		value = output_word(d, p, arena_strndup(d->mem, word, len), err);
		if (value == NULL)
			return (NULL);
		buf_add(&out, text, (size_t)(open - text));
		if (str_starts(word, "default_datastore"))
			buf_adds(&out, value);
		else
			uri_encode(&out, value, strlen(value), 0);
		text = close + 2;
	}
	buf_adds(&out, text);
	return (arena_strdup(d->mem, buf_str(&out)));
}

static int
bad_mode(struct err *err, const struct part *p, const char *why)
{
	err_set(err, ERR_USAGE, REMEDY_FIX_SPEC, "plan", "mode %s is not possible: %s",
	    spec_mode_name(p->io->mode), why);
	return (on_io(err, p, ".mode"));
}

static int
eval_mode(struct deciding *d, struct part *p, struct err *err)
{
	if (p->is_output || p->io->type != SPEC_MLTABLE)
		return (bad_mode(err, p, "it is for inputs of type mltable"));
	p->access.action = p->io->mode == SPEC_EVAL_MOUNT ? PLAN_MOUNT_RO : PLAN_DOWNLOAD;
	deciding_warn(d, "mltable-not-evaluated", "input %s: the MLTable file is not evaluated, "
	    "its folder is %s as it is; the job's code has to load it", p->io->name,
	    p->io->mode == SPEC_EVAL_MOUNT ? "mounted" : "downloaded");
	return (0);
}

static int
decide_action(struct deciding *d, struct part *p, struct err *err)
{
	switch (p->io->mode) {
	case SPEC_MODE_DEFAULT:
		p->access.action = p->is_output ? PLAN_MOUNT_RW :
		    p->io->is_model && !d->opt.mount_model ? PLAN_DOWNLOAD : PLAN_MOUNT_RO;
		return (0);
	case SPEC_RO_MOUNT:
	case SPEC_DOWNLOAD:
		if (p->is_output)
			return (bad_mode(err, p, "an output is written (rw_mount, upload)"));
		p->access.action = p->io->mode == SPEC_DOWNLOAD ? PLAN_DOWNLOAD : PLAN_MOUNT_RO;
		return (0);
	case SPEC_RW_MOUNT:
		p->access.action = PLAN_MOUNT_RW;
		return (0);
	case SPEC_UPLOAD:
		if (!p->is_output)
			return (bad_mode(err, p, "an input is read (ro_mount, download)"));
		p->access.action = PLAN_UPLOAD;
		return (0);
	case SPEC_DIRECT:
		p->access.action = PLAN_PASS;
		return (0);
	case SPEC_EVAL_MOUNT:
	case SPEC_EVAL_DOWNLOAD:
		break;
	}
	return (eval_mode(d, p, err));
}

/* Mounts need FUSE; where it is missing, copy if that is wanted. */
static int
check_fuse(struct deciding *d, struct part *p, struct err *err)
{
	int rw = p->access.action == PLAN_MOUNT_RW;
	const char *why = facts_no_fuse(d->facts->fuse);

	if ((p->access.action != PLAN_MOUNT_RO && !rw) || why == NULL)
		return (0);
	if (!d->opt.fuse_copy || (rw && !p->is_output)) {
		err_set(err, ERR_SYSTEM, REMEDY_GIVE_FUSE, "mount", "%s%s", why,
		    d->opt.fuse_copy ? ", and an input that is written to cannot be a copy" : "");
		return (on_io(err, p, ""));
	}
	p->access.action = rw ? PLAN_UPLOAD : PLAN_DOWNLOAD;
	deciding_warn(d, "copied-without-fuse", "%s %s is %s in place of a mount: %s",
	    p->is_output ? "output" : "input", p->io->name,
	    rw ? "uploaded after the job" : "downloaded before the job", why);
	return (0);
}

static void
pass(struct part *p, const char *value, const char *rule, const char *reason)
{
	p->access.action = PLAN_PASS;
	p->access.value = value;
	p->access.identity = (struct plan_identity){ .kind = PLAN_ID_NONE, .label = "nobody",
		.rule = rule, .reason = reason };
}

static void
pass_local(struct deciding *d, struct part *p, const char *path)
{
	const char *whole = deciding_join(d, d->job_dir, path), *slash = strrchr(whole, '/');

	/* AZUREML_MODEL_DIR is the folder around it, as everywhere. */
	if (p->io->is_model && slash != NULL)
		whole = slash == whole ? "/" : arena_strndup(d->mem, whole,
		    (size_t)(slash - whole));
	if (p->io->is_model)
		d->plan->model_dir = whole;
	pass(p, whole, "local",
	    "a local path: the job gets it as it is, no service is asked");
}

/* "dfs.core.windows.net" and "ACCT.dfs.core.windows.net" name the account's services too. */
static const char *
suffix_of(const char *account, const char *endpoint)
{
	static const char *const services[] = { "blob.", "dfs." };
	size_t len = strlen(account), i;

	if (strncmp(endpoint, account, len) == 0 && endpoint[len] == '.')
		endpoint += len + 1;
	for (i = 0; i < LENGTH(services); i++)
		if (str_starts(endpoint, services[i]))
			return (endpoint + strlen(services[i]));
	return (endpoint);
}

/*
 * Data goes through the Blob endpoint, ADLS Gen2's and OneLake's too; HOST:PORT wants the account
 * in the path.
 */
static const char *
service_url(const struct deciding *d, enum spec_store_type store, const char *scheme,
    const char *account, const char *endpoint)
{
	endpoint = suffix_of(account, endpoint);
	if (plan_is_path_style(endpoint))
		return (arena_printf(d->mem, "%s://%s/%s", scheme, endpoint, account));
	return (arena_printf(d->mem, "%s://%s.%s%s", scheme, account,
	    store == SPEC_GEN1 ? "" : "blob.", endpoint));
}

static int
is_hierarchical(enum spec_store_type store)
{
	return (store == SPEC_GEN2 || store == SPEC_ONELAKE || store == SPEC_GEN1);
}

/* The datastore's, else the cloud's; Gen1 in a cloud without it is policy's to refuse. */
static const char *
endpoint_of(const struct deciding *d, const struct spec_datastore *ds)
{
	const struct cloud *cloud = facts_cloud(d->facts);

	if (ds->endpoint != NULL)
		return (ds->endpoint);
	if (ds->type == SPEC_GEN1)
		return (cloud->gen1_suffix != NULL ? cloud->gen1_suffix : "");
	return (cloud->storage_suffix);
}

static int
use_datastore(struct deciding *d, struct part *p, const struct dsuri *uri, struct err *err)
{
	const struct plan_want ask = { .kind = WIRE_WANT_DATASTORE, .name = uri->datastore,
	    .workspace = workspace_of(d, uri) };
	const struct spec_datastore *ds = find_datastore(d->spec, uri->datastore, &ask.workspace);
	struct plan_access *a = &p->access;

	if (ds == NULL) {
		if (want(d, p, &ask))
			return (-1);
		err_set(err, ERR_USAGE, REMEDY_DATASTORE_FILE, "plan",
		    "there is no description of datastore \"%s\"; described are: %s",
		    uri->datastore, list_datastores(d));
		return (on_path(err, p));
	}
	if (uri->workspace != NULL && d->facts->workspace != NULL && ds->workspace.name == NULL &&
	    !str_same(uri->workspace, d->facts->workspace))
		deciding_warn(d, "other-workspace", "input or output %s names datastore %s of "
		    "workspace %s, but this is workspace %s: the description given for %s is used",
		    p->io->name, ds->name, uri->workspace, d->facts->workspace, ds->name);
	p->datastore = ds;
	a->datastore = ds->name;
	a->store = ds->type;
	a->account = ds->account;
	a->container = ds->container != NULL ? ds->container : "";
	a->hns = is_hierarchical(a->store);
	a->base_url = service_url(d, a->store, ds->protocol != NULL &&
	    str_same(ds->protocol, "http") ?
	    "http" : "https", ds->account != NULL ? ds->account : "",
	    endpoint_of(d, ds));
	return (0);
}

static int
use_raw(struct deciding *d, struct part *p, const struct dsuri *uri, struct err *err)
{
	struct plan_access *a = &p->access;

	if (p->is_output) {
		err_set(err, ERR_USAGE, REMEDY_FIX_SPEC, "plan", "an output's path has to name a "
		    "datastore (azureml://datastores/NAME/paths/...), not a storage account");
		return (on_path(err, p));
	}
	a->store = uri->form == DSURI_GEN1 ? SPEC_GEN1 :
	    uri->suffix != NULL && str_same(uri->suffix, ONELAKE_SUFFIX) ? SPEC_ONELAKE :
	    uri->form == DSURI_GEN2 ? SPEC_GEN2 : SPEC_BLOB;
	a->account = uri->account;
	a->container = uri->container != NULL ? uri->container : "";
	a->hns = is_hierarchical(a->store);
	a->base_url = service_url(d, a->store, uri->scheme != NULL ? uri->scheme : "https",
	    uri->account != NULL ? uri->account : "",
	    uri->suffix != NULL ? uri->suffix : facts_cloud(d->facts)->storage_suffix);
	return (0);
}

static int
refuse_form(struct err *err, const struct part *p, const char *cause)
{
	err_set(err, ERR_USAGE, REMEDY_FIX_SPEC, "plan", "%s", cause);
	return (on_path(err, p));
}

static int
is_web(const char *text)
{
	return (strncasecmp(text, "https://", 8) == 0 || strncasecmp(text, "http://", 7) == 0);
}

/* A file of a public server (how-to-read-write-data-v2.md, "Paths"): there is no mounting it. */
static int
use_public(struct deciding *d, struct part *p, const struct dsuri *uri, struct err *err)
{
	struct plan_access *a = &p->access;

	if (p->is_output || !is_web(a->uri))
		return (refuse_form(err, p, "this is no Azure storage account: use mode: direct, "
		    "and the job gets the address as it is"));
	if (a->type != SPEC_URI_FILE || *uri->path == '\0')
		return (refuse_form(err, p, "this is no Azure storage account: a public server has "
		    "single files (type: uri_file, mode: download); or use mode: direct, and the "
		    "job gets the address as it is"));
	if (a->action != PLAN_DOWNLOAD)
		deciding_warn(d, "public-download", "input %s: a public server cannot be mounted, "
		    "its file is downloaded before the job", p->io->name);
	a->action = PLAN_DOWNLOAD;
	a->url = a->uri;
	a->base_url = arena_printf(d->mem, "%s://%s", uri->scheme, uri->suffix);
	a->uri = arena_printf(d->mem, "%s/%s", a->base_url, uri->path);	/* no query is shown */
	a->container = "";
	a->identity = (struct plan_identity){ .kind = PLAN_ID_NONE, .label = "nobody",
		.rule = "public", .reason = "a public address: no credential is sent there" };
	return (0);
}

/* "azureml:NAME:VERSION" and longer: only the workspace knows what stands behind it. */
static int
use_asset(struct deciding *d, struct part *p, const struct dsuri *uri, struct err *err)
{
	const char *own_id = d->facts->workspace_id;
	int is_model = uri->is_model || p->io->type >= SPEC_MLFLOW_MODEL;
	struct plan_want ask = { .kind = is_model ? WIRE_WANT_MODEL : WIRE_WANT_ASSET,
	    .name = uri->asset_name,
	    .version = uri->asset_version, .text = p->io->path,
	    .workspace = workspace_of(d, uri) };

	if (p->is_output)
		return (refuse_form(err, p, "an output's path has to name a datastore "
		    "(azureml://datastores/NAME/paths/...), not an asset"));
	if (uri->asset_name == NULL)
		return (refuse_form(err, p, "only assets of a workspace can be resolved, by "
		    "version or as @latest; name the place, azureml://datastores/NAME/paths/..."));
	if (uri->asset_label != NULL && strcmp(uri->asset_label, "latest") != 0)
		return (refuse_form(err, p, "assets have one label, @latest"));
	if (uri->workspace_id != NULL && (own_id == NULL || !str_same(own_id, uri->workspace_id)))
		return (refuse_form(err, p, "the id names another workspace than this one "
		    "(AZUREML_WORKSPACE_ID)"));
	if (want(d, p, &ask))
		return (-1);
	err_set(err, ERR_USAGE, REMEDY_ASK_WORKSPACE, "plan", "%s is a name that only "
	    "the workspace can resolve", is_model ? "a model" : "a data asset");
	return (on_path(err, p));
}

/* The service side.  Sets action PLAN_PASS where no service is asked. */
static int
decide_service(struct deciding *d, struct part *p, const struct dsuri *uri, struct err *err)
{
	int direct = p->access.action == PLAN_PASS;

	if (uri->form == DSURI_ASSET)
		return (use_asset(d, p, uri, err));
	if (uri->form == DSURI_LOCAL) {
		pass_local(d, p, uri->path);
		return (0);
	}
	if (uri->form == DSURI_HTTP && (!direct || p->is_output))
		return (use_public(d, p, uri, err));
	if (direct) {
		pass(p, p->access.uri, "direct",
		    "mode direct: the job gets the URI and opens it as itself");
		return (0);
	}
	return (uri->form == DSURI_DATASTORE ? use_datastore(d, p, uri, err) :
	    use_raw(d, p, uri, err));
}

/*
 * OneLake: paths of a datastore begin in its item, whose folders Fabric manages; files go into
 * Files or Tables (MicrosoftDocs/fabric-docs docs/onelake/onelake-api-parity.md).
 */
static int
enter_item(struct deciding *d, struct part *p, struct err *err)
{
	struct plan_access *a = &p->access;
	const char *item = p->datastore != NULL ? p->datastore->artifact : NULL;
	size_t len = strcspn(a->prefix, "/");

	if (p->is_output && !((len == strlen("Files") && str_starts(a->prefix, "Files")) ||
	    (len == strlen("Tables") && str_starts(a->prefix, "Tables")))) {
		err_set(err, ERR_USAGE, REMEDY_FIX_SPEC, "plan", "an output in OneLake lies below "
		    "Files/ or Tables/ of its item: Fabric keeps the rest to itself");
		return (on_path(err, p));
	}
	/* An item that is no id is called NAME.TYPE; datastores know lakehouses alone. */
	if (item != NULL)
		a->prefix = arena_printf(d->mem, "%s%s%s%s", item, str_is_guid(item) ||
		    strchr(item, '.') != NULL ? "" : ".Lakehouse",
		    a->prefix[0] != '\0' ? "/" : "", a->prefix);
	return (0);
}

/*
 * Whether a model is a file or a folder its path does not say; either keeps its last name
 * (MicrosoftDocs/azure-ai-docs concept-online-deployment-model-specification.md).  A download
 * looks; a mount shows the folder around it, as Azure's own local endpoints do (azure-ai-ml
 * _local_endpoints/validators/model_validator.py), unless it is a folder by its type.
 */
static int
decide_model_prefix(struct deciding *d, struct part *p, const char *path, struct err *err)
{
	struct plan_access *a = &p->access;
	char *whole = arena_strdup(d->mem, path), *slash;
	size_t len = strlen(whole);
	int is_folder = len != 0 && whole[len - 1] == '/';

	while (len > 0 && whole[len - 1] == '/')
		whole[--len] = '\0';
	slash = strrchr(whole, '/');
	a->only = slash != NULL ? slash + 1 : whole;
	is_folder |= a->type == SPEC_MLFLOW_MODEL || a->type == SPEC_TRITON_MODEL;
	a->prefix = a->action == PLAN_MOUNT_RO && is_folder ? arena_strdup(d->mem, whole) :
	    slash == NULL ? "" : arena_strndup(d->mem, whole, (size_t)(slash - whole));
	if (a->only[0] == '\0' || (a->action == PLAN_MOUNT_RO && !is_folder))
		a->only = NULL;		/* of a mount: the directory below the target */
	return (a->store != SPEC_ONELAKE ? 0 : enter_item(d, p, err));
}

/* Prefix and, for files, the name that the job sees. */
static int
decide_prefix(struct deciding *d, struct part *p, const char *path, const char **ret_file,
    struct err *err)
{
	struct plan_access *a = &p->access;
	size_t len = strlen(path);
	const char *slash;

	*ret_file = NULL;
	if (p->io->is_model)
		return (decide_model_prefix(d, p, path, err));
	if (a->type == SPEC_URI_FILE) {
		if (len == 0 || path[len - 1] == '/') {
			err_set(err, ERR_USAGE, REMEDY_FIX_SPEC, "plan",
			    "uri_file needs the path of a file, not of a folder");
			return (on_path(err, p));
		}
		slash = strrchr(path, '/');
		*ret_file = slash != NULL ? slash + 1 : path;
		a->is_file = !p->is_output;
		if (p->is_output)
			len = slash != NULL ? (size_t)(slash - path) : 0;
	}
	while (len > 0 && path[len - 1] == '/')
		len--;
	a->prefix = arena_strndup(d->mem, path, len);
	return (a->store != SPEC_ONELAKE ? 0 : enter_item(d, p, err));
}

static int
has_dotdot(const char *path)
{
	for (; (path = strstr(path, "/..")) != NULL; path += 3)
		if (path[3] == '/' || path[3] == '\0')
			return (1);
	return (0);
}

/* 1: the same directory, or b is below a. */
static int
holds(const char *a, const char *b)
{
	size_t len = strlen(a);

	return (strncmp(a, b, len) == 0 && (b[len] == '\0' || b[len] == '/'));
}

static int
check_target(const struct deciding *d, const struct part *p, struct err *err)
{
	const struct plan_access *a = &p->access, *b = d->plan->accesses;
	const struct plan_access *end = b + d->plan->naccesses;

	for (; b < end; b++) {
		if (b->target == NULL ||
		    (!holds(a->target, b->target) && !holds(b->target, a->target)))
			continue;
		err_set(err, ERR_USAGE, REMEDY_FIX_SPEC, "plan", "%s %s stands at %s, and this one "
		    "at %s: each needs a directory of its own", b->is_output ? "output" : "input",
		    b->name, b->target, a->target);
		return (on_io(err, p, ""));
	}
	return (0);
}

/* A mount of the model's own folder stands in the place of that folder. */
static const char *
place_model(struct deciding *d, const struct part *p)
{
	const struct plan_access *a = &p->access;

	d->plan->model_dir = serve_model_dir(d, p->io);
	return (a->action != PLAN_MOUNT_RO || a->only == NULL ? d->plan->model_dir :
	    arena_printf(d->mem, "%s/%s", d->plan->model_dir, a->only));
}

static int
decide_place(struct deciding *d, struct part *p, const char *file, struct err *err)
{
	struct plan_access *a = &p->access;
	const char *wish = p->io->path_on_compute, *name;

	if (wish != NULL && (wish[0] != '/' || has_dotdot(wish) ||
	    strcmp(deciding_join(d, NULL, wish), "/") == 0)) {
		err_set(err, ERR_USAGE, REMEDY_FIX_SPEC, "plan",
		    "expected an absolute directory without \"..\" and other than /, got \"%s\"",
		    wish);
		return (on_io(err, p, ".path_on_compute"));
	}
	if (p->io->is_model)
		wish = place_model(d, p);
	a->target = wish != NULL ? deciding_join(d, NULL, wish) :
	    deciding_join(d, d->opt.root, arena_printf(d->mem, "%s/%s", kind_of(p), p->io->name));
	a->value = file == NULL ? a->target : arena_printf(d->mem, "%s/%s", a->target, file);
	name = p->is_output ? p->io->name : arena_printf(d->mem, "%s.in", p->io->name);
	if (a->action == PLAN_MOUNT_RW || a->action == PLAN_UPLOAD)
		a->staging = deciding_join(d, d->opt.cache_dir, name);
	if (a->action == PLAN_UPLOAD || (a->action == PLAN_DOWNLOAD && a->url == NULL))
		a->journal = deciding_join(d, d->opt.cache_dir,
		    arena_printf(d->mem, "%s.journal", name));
	return (check_target(d, p, err));
}

static int
is_bearer(enum plan_identity_kind kind)
{
	return (kind == PLAN_ID_USER || kind == PLAN_ID_MANAGED ||
	    kind == PLAN_ID_SERVICE_PRINCIPAL || kind == PLAN_ID_CERTIFICATE);
}

/* It may be another server that has the name; that nothing answers is for the mount to see. */
static void
warn_of_gen1(struct deciding *d, const struct part *p)
{
	if (p->access.store == SPEC_GEN1 &&
	    strstr(p->access.base_url, cloud_public.gen1_suffix) != NULL)
		deciding_warn(d, "gen1-retired", "%s %s: ADLS Gen1 was retired on 29 February "
		    "2024, and nothing answers for %s but a server that stands in for it",
		    p->is_output ? "output" : "input", p->io->name, p->access.base_url);
}

static int
decide_identity(struct deciding *d, struct part *p, struct err *err)
{
	struct plan_access *a = &p->access;
	struct plan_warning warning;
	const struct policy_question q = { .datastore = p->datastore,
		.job = &d->spec->job.identity, .compute = &d->spec->compute, .facts = d->facts,
		.store = a->store };

	if (a->url != NULL)
		return (0);		/* use_public has said so */
	if (policy_choose(&a->identity, &q, &warning, d->mem, err) != 0)
		return (on_io(err, p, ""));
	if (warning.text != NULL)
		deciding_warn(d, warning.rule, "%s", warning.text);
	warn_of_gen1(d, p);
	if (is_bearer(a->identity.kind) && str_starts(a->base_url, "http://")) {
		err_set(err, ERR_USAGE, REMEDY_USE_HTTPS, "plan",
		    "tokens are sent over https only, and this is %s", a->base_url);
		if (p->datastore != NULL)
			return (plan_err_at(err, &p->datastore->at, "datastore %s",
			    p->datastore->name));
		return (on_path(err, p));
	}
	return (0);
}

static void
keep(struct deciding *d, struct part *p)
{
	struct plan *plan = d->plan;

	p->access.is_model = p->io->is_model;
	plan->accesses[plan->naccesses++] = p->access;
	plan->values[plan->nvalues++] = (struct plan_value){ .name = p->io->name,
		.is_output = p->is_output, .value = p->access.value };
}

/* The path as written, or the default one; NULL without error: an optional input that is absent. */
static int
decide_uri(struct deciding *d, struct part *p, struct err *err)
{
	const struct spec_io *io = p->io;
	struct plan_access *a = &p->access;

	a->uri = p->is_output ? NULL : io->path;
	if (a->uri != NULL) {
		a->uri = dsuri_bare(a->uri);
		return (0);
	}
	if (p->is_output) {
		a->uri = io->path != NULL ? expand_output(d, p, err) : default_output(d, p, err);
		return (a->uri != NULL ? 0 : -1);
	}
	if (io->optional)
		return (0);
	err_set(err, ERR_USAGE, REMEDY_FIX_SPEC, "plan", "the input has no path");
	return (on_io(err, p, ""));
}

/* The workspace calls the asset by another type than the job does. */
static void
check_asset_type(struct deciding *d, const struct spec_io *io)
{
	if (io->asset == NULL || io->asset_type == SPEC_LITERAL || io->asset_type == io->type)
		return;
	deciding_warn(d, "asset-type", "input %s: %s is a %s, the job takes it as %s", io->name,
	    io->asset, spec_type_name(io->asset_type), spec_type_name(io->type));
}

static int
decide_data(struct deciding *d, struct part *p, struct err *err)
{
	struct dsuri uri;
	const char *file;

	if (dsuri_parse_in(facts_cloud(d->facts), &uri, p->access.uri, d->mem, err) != 0) {
		err_doing(err, "plan");
		return (on_path(err, p));
	}
	if (decide_action(d, p, err) != 0 ||
	    decide_service(d, p, &uri, err) != 0)
		return (-1);
	if (p->access.action != PLAN_PASS &&
	    (check_fuse(d, p, err) != 0 ||
	    decide_prefix(d, p, uri.path, &file, err) != 0 ||
	    decide_place(d, p, file, err) != 0 ||
	    decide_identity(d, p, err) != 0))
		return (-1);
	check_asset_type(d, p->io);
	keep(d, p);
	return (0);
}

int
access_decide(struct deciding *d, const struct spec_io *io, int is_output, struct err *err)
{
	struct part p = { .io = io, .is_output = is_output,
		.access = { .name = io->name, .is_output = is_output, .type = io->type } };

	if (decide_uri(d, &p, err) != 0)
		return (p.wanted ? 0 : -1);
	if (p.access.uri == NULL) {
		d->plan->values[d->plan->nvalues++] = (struct plan_value){ .name = io->name };
		return (0);
	}
	return (decide_data(d, &p, err) == 0 || p.wanted ? 0 : -1);
}
