#include "spec/spec.h"

/* The names of the CLI's YAML schemas; ARM's differ by case and '_' (but for two modes). */
static const char *const types[] = {
	[SPEC_LITERAL] = "literal",
	[SPEC_URI_FOLDER] = "uri_folder",
	[SPEC_URI_FILE] = "uri_file",
	[SPEC_MLTABLE] = "mltable",
	[SPEC_MLFLOW_MODEL] = "mlflow_model",
	[SPEC_CUSTOM_MODEL] = "custom_model",
	[SPEC_TRITON_MODEL] = "triton_model",
};

static const char *const modes[] = {
	[SPEC_MODE_DEFAULT] = "default",
	[SPEC_RO_MOUNT] = "ro_mount",
	[SPEC_RW_MOUNT] = "rw_mount",
	[SPEC_DOWNLOAD] = "download",
	[SPEC_UPLOAD] = "upload",
	[SPEC_DIRECT] = "direct",
	[SPEC_EVAL_MOUNT] = "eval_mount",
	[SPEC_EVAL_DOWNLOAD] = "eval_download",
};

static const char *const identities[] = {
	[SPEC_IDENTITY_NONE] = "none",
	[SPEC_IDENTITY_USER] = "user_identity",
	[SPEC_IDENTITY_MANAGED] = "managed",
	[SPEC_IDENTITY_AML_TOKEN] = "aml_token",
};

static const char *const stores[] = {
	[SPEC_BLOB] = "azure_blob",
	[SPEC_GEN2] = "azure_data_lake_gen2",
	[SPEC_GEN1] = "azure_data_lake_gen1",
	[SPEC_FILE_SHARE] = "azure_file",
	[SPEC_ONELAKE] = "one_lake",
};

static const char *const credentials[] = {
	[SPEC_CRED_NONE] = "no credential",
	[SPEC_CRED_ACCOUNT_KEY] = "account key",
	[SPEC_CRED_SAS] = "SAS",
	[SPEC_CRED_SERVICE_PRINCIPAL] = "client secret",
	[SPEC_CRED_CERTIFICATE] = "certificate",
};

const char *
spec_type_name(enum spec_type type)
{
	return (types[type]);
}

enum spec_type
spec_type_find(const char *text, enum spec_type first)
{
	size_t i;

	for (i = first; i < LENGTH(types); i++)
		if (str_same_loose(text, types[i]))
			return ((enum spec_type)i);
	return (SPEC_LITERAL);
}

const char *
spec_mode_name(enum spec_mode mode)
{
	return (modes[mode]);
}

const char *
spec_identity_name(enum spec_identity_type type)
{
	return (identities[type]);
}

const char *
spec_store_name(enum spec_store_type type)
{
	return (stores[type]);
}

const char *
spec_credential_name(enum spec_credential credential)
{
	return (credentials[credential]);
}
