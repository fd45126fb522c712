#ifndef CLI_PLACE_H
#define CLI_PLACE_H

/*
 * place -- data that a person names, decided and reached as the job would.
 *
 *   inputs.NAME[/PATH], outputs.NAME[/PATH], ${{inputs.NAME}}/PATH    of the job
 *   azureml://, https://, abfss://, wasbs://, adl://, azureml:NAME:VERSION    any data (dsuri.h)
 *   anything else is a path of this machine
 *
 * The plan of a place is that of a job with this one input or output: the same datastores,
 * identity and reason.  Used by ls, cat and cp, in a process of their own.
 */

#include "azure/http.h"
#include "azure/store.h"
#include "base/err.h"
#include "cli/credential.h"
#include "cli/options.h"
#include "cli/story.h"
#include "init/init.h"

struct place {
	const char	*text;		/* as it was named, but without a query */
	struct plan	 plan;		/* one access */
	struct plan_access *access;	/* the prefix is the path that was named */
	int		 names_folder;	/* by its type, or a '/' at its end */
};

/* 1: a path of this machine. */
int	place_is_here(const char *text);
/*
 * Before anything is asked for: forks, if the workspace has to tell something.
 * is_target: it will be written to.  The story was read (story_read).
 * fails  ERR_USAGE: no such input; a path here; a literal; as plan_decide()
 */
int	place_decide(struct place *, struct story *, const struct options *, const char *text,
	    int is_target, struct err *);

/* Signals end the process, which is hardened; call it after the last place_decide(). */
void	place_take_signals(const struct init_inherited *);

/* A place with its store open, in this process. */
struct reach {
	const struct place *place;
	const struct facts *facts;
	struct http	*http;
	struct cache	*cache;
	struct keeper	*keeper;
	struct credential got;
	struct store	*store;
};
/* Says at -v as whom.  Whatever it returns, reach_close() is to be called. */
int	reach_open(struct reach *, const struct place *, const struct facts *, struct err *);
/* A credential that ends soon is replaced. */
int	reach_renew(struct reach *, struct err *);
void	reach_close(struct reach *);

#endif
