/*
 * The first byte says what the rest is: j job, s job with --step s, d datastores, c compute.
 * Whatever the text, loading must end, keep its bounds, and a refusal must be
 * ERR_USAGE with a place and a cause of one line.
 */

#include "spec/spec.h"
#include "fuzz.h"

static void
check_text(const char *text)
{
	must(text == NULL || strlen(text) < SPEC_TEXT_MAX * 2);
}

static void
check_io(const struct spec_io *io, size_t n)
{
	for (; n-- > 0; io++) {
		must(io->name != NULL && *io->name != '\0');
		must(spec_type_name(io->type) != NULL && spec_mode_name(io->mode) != NULL);
		must(io->at.file != NULL && io->at.line > 0 && io->at.column > 0);
		must(io->path == NULL || io->type != SPEC_LITERAL);
		must(io->path_on_compute == NULL || io->path_on_compute[0] == '/');
		check_text(io->value);
		check_text(io->path);
	}
}

static void
check_spec(const struct spec *spec)
{
	size_t i;

	check_io(spec->job.inputs, spec->job.ninputs);
	check_io(spec->job.outputs, spec->job.noutputs);
	check_text(spec->job.command);
	must(spec->job.timeout_s >= 0);
	for (i = 0; i < spec->job.nvariables; i++)
		must(spec->job.variables[i].value != NULL);
	for (i = 0; i < spec->ndatastores; i++) {
		const struct spec_datastore *ds = &spec->datastores[i];

		must(ds->name != NULL && ds->protocol != NULL);
		must(ds->account != NULL && spec_store_name(ds->type) != NULL);
		must((ds->credential == SPEC_CRED_NONE ||
		    ds->secret_from == SPEC_SECRET_VAULT) == (ds->secret.len == 0));
		must((ds->secret_from == SPEC_SECRET_VAULT) == (ds->secret_url != NULL));
	}
	for (i = 0; i < spec->compute.nuais; i++)
		must(spec->compute.uais[i].client_id != NULL ||
		    spec->compute.uais[i].object_id != NULL ||
		    spec->compute.uais[i].resource_id != NULL);
	for (i = 0; i < spec->nremarks; i++)
		must(spec->remarks[i].text != NULL && spec->remarks[i].at.line > 0);
}

static void
check_err(const struct err *err)
{
	char line[2048];

	must(err->kind == ERR_USAGE && err->cause[0] != '\0');
	must(strncmp(err->resource, "f.yml:", 6) == 0);
	err_line(err, line, sizeof(line));
	must(strchr(line, '\n') == NULL);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena mem = ARENA_EMPTY;
	struct spec spec = { .ndatastores = 0 };
	struct err err = ERR_EMPTY;
	const char *text = (const char *)data + 1;
	int status = 0;

	if (size == 0)
		return (0);
	size--;
	switch (data[0]) {
	case 'j':
		status = spec_load_job(&spec, "f.yml", text, size, NULL, &mem, &err);
		break;
	case 's':
		status = spec_load_job(&spec, "f.yml", text, size, "s", &mem, &err);
		break;
	case 'd':
		status = spec_load_datastores(&spec, "f.yml", text, size, &mem, &err);
		break;
	case 'c':
		status = spec_load_compute(&spec, "f.yml", text, size, &mem, &err);
		break;
	}
	if (status == 0)
		check_spec(&spec);
	else
		check_err(&err);
	spec_forget_secrets(&spec);
	arena_done(&mem);
	return (0);
}
