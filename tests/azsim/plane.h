#ifndef AZSIM_PLANE_H
#define AZSIM_PLANE_H

/*
 * plane -- what workspaces and key vaults hold, and who may do what there.
 *
 * Everything can be added or replaced while it runs; a text once given out lives as
 * long as the process.  "None", "reader" and so on are the words of the services.
 */

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

/* One thing of any kind: its words as they were given. */
enum thing_kind { THING_WORKSPACE, THING_DATASTORE, THING_ASSET, THING_VAULT, THING_SECRET,
	THING_GRANT, THING_MODEL, THING_KINDS };

struct thing {
	struct thing *next;		/* the one added after it */
	enum thing_kind kind;
	const char *in;			/* workspace or vault; of a grant: the scope */
	const char *name;		/* of a grant: the object id */
	const char *version;		/* of an asset or secret; of a grant: the role */
	struct pairs *words;
	int64_t	 made_unix_s;
};

struct plane {
	pthread_rwlock_t lock;		/* guards the list */
	struct thing *list;
};

/*
 *   workspace  subscription=,group=,name=
 *   datastore  in=WORKSPACE,name=,type=AzureBlob|AzureDataLakeGen2|AzureFile,account=,container=,
 *              endpoint=,credential=None|AccountKey|Sas|ServicePrincipal|Certificate,default=0|1,
 *              tenant=,client=,thumbprint=,authority=,secret= (SAS, client secret, certificate; an
 *              AccountKey is that of the account)
 *   asset      in=WORKSPACE,name=,version=,uri=,type=uri_file|uri_folder|mltable
 *   model      likewise, type=custom_model|mlflow_model|triton_model
 *   vault      name=[,resource=][,network=allow|deny]     resource: of a lying challenge
 *   secret     in=VAULT,name=,version=,value=[,exp=SECONDS FROM NOW][,enabled=0|1]
 *   grant      oid=,role=reader|data-scientist|contributor|secrets-user,in=WORKSPACE OR VAULT
 * The same name (and version, and role) again replaces what was.  -1: bad words.
 */
int	plane_add(struct plane *, enum thing_kind, const char *text);
/* The same from words one by one, which may hold commas. */
struct pairs;
int	plane_add_words(struct plane *, enum thing_kind, const struct pairs *);
void	plane_drop_grants(struct plane *, const char *oid);	/* NULL: all */
/* in, name, version: NULL is any; the last added of those that fit.  NULL: none. */
const struct thing *plane_find(struct plane *, enum thing_kind, const char *in, const char *name,
	    const char *version);
/* "" if the word was not given. */
const char *thing_word(const struct thing *, const char *word);
int	plane_kind(const char *name, enum thing_kind *ret);	/* -1: no such kind */

#endif
