#ifndef SPEC_PARTS_H
#define SPEC_PARTS_H

/*
 * parts -- the readers of one document each, and what they share; inside spec/ only.
 */

#include "spec/check.h"
#include "spec/io.h"

/* job.c: a command job, a deployment, or one step of a pipeline. */
int	job_read(struct reader *, const struct yaml_node *, const char *step);
/* One command: a job, a step with its inline component, or either's ARM form. */
int	job_read_command(struct reader *, const struct yaml_node *, const char *path,
	    const struct scope *);
int	job_read_identity(const struct object *, struct spec_identity *);
/* Complains about job types that are not run here. */
int	job_refuse_type(struct reader *, const struct yaml_node *at, const char *path,
	    const char *type);

/* ISO 8601, days to seconds: "PT1H30M", "P1DT12H"; parts of a second are dropped.  -1: none. */
int	job_parse_duration(const char *, long long *ret_s);
/* environment_variables.  scope NULL: no pipeline around. */
int	job_read_variables(const struct object *, const struct scope *);

/* deployment.c: an online deployment, in YAML or its ARM form. */
int	deployment_read(struct reader *, const struct yaml_node *, const char *path);

/* pipeline.c */
int	pipeline_read(struct reader *, const struct yaml_node *, const char *path,
	    const char *step);

/* datastore.c: one document may hold one datastore or a list of them. */
int	datastore_read(struct reader *, const struct yaml_node *);
/* Names that stand twice, two defaults: over all files. */
int	datastore_check_all(const struct spec *, struct err *);

/* credential.c: the credentials of a datastore; no complaint shows a value of them. */
int	credential_read(const struct object *datastore, struct spec_datastore *);
/* NULL, or what is wrong with a credential whose secret is not here. */
const char *credential_flaw(const struct spec_datastore *);

/* compute.c */
int	compute_read(struct reader *, const struct yaml_node *);
/* "none", "system_assigned", "serverless" or "GUID[,GUID...]".  0: it was one; 1: it is none. */
int	compute_read_short(struct spec_compute *, const char *text, struct arena *);

#endif
