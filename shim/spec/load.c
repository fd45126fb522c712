#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "spec/parts.h"

#define FILES_MAX	1000	/* of one directory */

enum kind { JOB, DATASTORES, COMPUTE };

struct text {
	struct buf	 bytes;
	const char	*file;		/* for messages */
};

static int
is_inline(const char *source)
{
	return (strchr(source, '\n') != NULL || *source == '{');
}

/* The file may be the right one. */
static int
is_machines_fault(const struct err *err)
{
	int e = err->sys_errno;

	return (e == EMFILE || e == ENFILE || e == ENOMEM || e == EIO);
}

/* A source that cannot be read is the caller's mistake, status 2, unless it is the machine's. */
static int
read_file(const char *path, struct buf *ret, struct err *err)
{
	if (fd_read_file(path, SPEC_TEXT_MAX, ret, err) == 0)
		return (0);
	if (err != NULL && !is_machines_fault(err)) {
		err->kind = ERR_USAGE;
		if (err->remedy == REMEDY_NONE)
			err->remedy = REMEDY_SEE_HELP;
	}
	return (-1);
}

static int
get_text(struct text *ret, const char *source, const char *inline_name, struct arena *arena,
    struct err *err)
{
	if (is_inline(source)) {
		ret->file = inline_name;
		if (strlen(source) > SPEC_TEXT_MAX)
			return (yaml_err(err, inline_name, 1, 1, NULL,
			    "the text has more than %u bytes", SPEC_TEXT_MAX));
		return (buf_adds(&ret->bytes, source));
	}
	if (*source == '\0')
		return (err_set(err, ERR_USAGE, REMEDY_SEE_HELP, "load",
		    "the name of a file is empty (%s)", inline_name));
	ret->file = strcmp(source, "-") == 0 ? "stdin" : arena_strdup(arena, source);
	return (read_file(source, &ret->bytes, err));
}

/* The one document of a text. */
static int
single(struct reader *r, const struct yaml_docs *docs, const char *what,
    const struct yaml_node **ret)
{
	size_t i;

	*ret = NULL;
	for (i = 0; i < docs->n; i++) {
		if (yaml_is_null(docs->docs[i]))
			continue;
		if (*ret != NULL)
			return (reader_fail(r, docs->docs[i], "",
			    "a second document: a file holds one %s", what));
		*ret = docs->docs[i];
	}
	if (*ret == NULL)
		return (yaml_err(r->err, r->file, 1, 1, "", "the text is empty: expected a %s",
		    what));
	return (0);
}

static int
read_docs(struct reader *r, enum kind kind, const struct yaml_docs *docs, const char *step)
{
	const struct yaml_node *root;
	size_t i;

	switch (kind) {
	case JOB:
		return (single(r, docs, "job", &root) != 0 ? -1 : job_read(r, root, step));
	case COMPUTE:
		return (single(r, docs, "compute", &root) != 0 ? -1 : compute_read(r, root));
	case DATASTORES:
		break;
	}
	for (i = 0; i < docs->n; i++)
		if (datastore_read(r, docs->docs[i]) != 0)
			return (-1);
	return (0);
}

/* Nodes hold secrets: they live in an arena of their own, wiped at the end. */
static int
load_text(struct spec *spec, enum kind kind, const char *file, const char *text, size_t len,
    const char *step, struct arena *arena, struct err *err)
{
	struct arena scratch = ARENA_EMPTY;
	struct err local = ERR_EMPTY;
	struct yaml_docs docs = { NULL, 0 };
	struct reader r = { .file = arena_strdup(arena, file), .arena = arena,
	    .scratch = &scratch, .spec = spec, .err = &local };
	int status;

	if (len > SPEC_TEXT_MAX)
		status = yaml_err(&local, file, 1, 1, NULL, "the text has more than %u bytes",
		    SPEC_TEXT_MAX);
	else if ((status = yaml_parse(&docs, r.file, text, len, &scratch, &local)) == 0)
		status = read_docs(&r, kind, &docs, step);
	arena_done(&scratch);
	if (status != 0 && err != NULL)
		*err = local;
	return (status);
}

int
spec_load_job(struct spec *spec, const char *file, const char *text, size_t len,
    const char *step, struct arena *arena, struct err *err)
{
	return (load_text(spec, JOB, file, text, len, step, arena, err));
}

int
spec_load_datastores(struct spec *spec, const char *file, const char *text, size_t len,
    struct arena *arena, struct err *err)
{
	if (load_text(spec, DATASTORES, file, text, len, NULL, arena, err) == 0 &&
	    datastore_check_all(spec, err) == 0)
		return (0);
	spec_forget_secrets(spec);
	return (-1);
}

int
spec_load_compute(struct spec *spec, const char *file, const char *text, size_t len,
    struct arena *arena, struct err *err)
{
	return (load_text(spec, COMPUTE, file, text, len, NULL, arena, err));
}

static int
load_source(struct spec *spec, enum kind kind, const char *source, const char *inline_name,
    const char *step, struct arena *arena, struct err *err)
{
	struct text text = { .bytes = BUF_EMPTY };
	int status = get_text(&text, source, inline_name, arena, err);

	if (status == 0)
		status = load_text(spec, kind, text.file, buf_str(&text.bytes), text.bytes.len,
		    step, arena, err);
	buf_done(&text.bytes);
	return (status);
}

static int
is_spec_file(const struct dirent *entry)
{
	return (entry->d_name[0] != '.' && (str_ends(entry->d_name, ".yml") ||
	    str_ends(entry->d_name, ".yaml") || str_ends(entry->d_name, ".json")));
}

static int
load_directory(struct spec *spec, const char *path, struct arena *arena, struct err *err)
{
	struct dirent **entries = NULL;
	int i, n = scandir(path, &entries, is_spec_file, alphasort), status = 0;

	if (n < 0) {
		(void)err_errno(err, "read", path);
		if (err != NULL)
			err->kind = ERR_USAGE;
		return (-1);
	}
	if (n == 0 || n > FILES_MAX) {
		(void)err_set(err, ERR_USAGE, REMEDY_SEE_HELP, "load", n == 0 ?
		    "no file *.yml, *.yaml or *.json in this directory" :
		    "more than %d files in this directory", FILES_MAX);
		status = err_on(err, "%s", path);
	}
	for (i = 0; i < n; i++) {
		if (status == 0)
			status = load_source(spec, DATASTORES, arena_printf(arena, "%s/%s", path,
			    entries[i]->d_name), "", NULL, arena, err);
		free(entries[i]);
	}
	free(entries);
	return (status);
}

static int
load_datastores(struct spec *spec, const struct spec_sources *from, struct arena *arena,
    struct err *err)
{
	struct stat st;
	size_t i;

	for (i = 0; i < from->ndatastores; i++) {
		const char *source = from->datastores[i];

		if (!is_inline(source) && stat(source, &st) == 0 && S_ISDIR(st.st_mode)) {
			if (load_directory(spec, source, arena, err) != 0)
				return (-1);
		} else if (load_source(spec, DATASTORES, source,
		    arena_printf(arena, "inline datastore %zu", i + 1), NULL, arena, err) != 0) {
			return (-1);
		}
	}
	return (datastore_check_all(spec, err));
}

int
spec_load(struct spec *ret, const struct spec_sources *from, struct arena *arena,
    struct err *err)
{
	struct spec spec = { .ndatastores = 0 };

	if (load_datastores(&spec, from, arena, err) != 0 ||
	    (from->job != NULL && load_source(&spec, JOB, from->job, "inline job", from->step,
	    arena, err) != 0) ||
	    (from->compute != NULL &&
	    compute_read_short(&spec.compute, from->compute, arena) != 0 &&
	    load_source(&spec, COMPUTE, from->compute, "inline compute", NULL, arena,
	    err) != 0)) {
		spec_forget_secrets(&spec);
		return (-1);
	}
	*ret = spec;
	return (0);
}

void
spec_forget_secrets(struct spec *spec)
{
	size_t i;

	for (i = 0; i < spec->ndatastores; i++)
		secret_done(&spec->datastores[i].secret);
}
