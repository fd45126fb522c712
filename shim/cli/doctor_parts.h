#ifndef CLI_DOCTOR_PARTS_H
#define CLI_DOCTOR_PARTS_H

/*
 * doctor_parts -- what the doctor's files share: doctor.c the order, doctor_machine.c this
 * machine, doctor_host.c one host, doctor_access.c one input or output.
 */

#include <pthread.h>
#include <stdint.h>

#include "azure/http.h"
#include "cli/findings.h"
#include "cli/options.h"
#include "cli/story.h"
#include "identity/cache.h"
#include "identity/keeper.h"

#define DOCTOR_CHECK_MS	10000

struct doctor {
	const struct options *opt;
	struct story	*story;
	char *const	*envp;
	int		 has_facts, has_spec, has_plan;
	enum facts_fuse	 fuse;		/* as found; the plan may have been made as if it were ok */
	int		 hanging;	/* a check did not end: its memory is not ours to free */
	struct findings	 found;
	struct http	*http;
	struct cache	*cache;		/* tokens: one request for all who need the same */
	struct keeper	*keeper;	/* secrets that stand elsewhere; NULL: there is no plan */
	const char	*roots;		/* what TLS trusts, in words */
	struct doctor_host *hosts;	size_t nhosts;
};

/* ---- this machine */
void	doctor_environment(struct doctor *);
void	doctor_capabilities(struct doctor *);
void	doctor_fuse(struct doctor *);
void	doctor_cache_dir(struct doctor *);
void	doctor_proc(struct doctor *);
void	doctor_memory(struct doctor *);

/* ---- one host */
enum address_class { ADDRESS_NONE, ADDRESS_LOOPBACK, ADDRESS_PRIVATE, ADDRESS_PUBLIC };

struct doctor_host {
	struct doctor	*doctor;
	const char	*url;		/* what is asked for, unsigned */
	const char	*name;		/* host[:port] */
	const char	*host;
	int		 is_storage;	/* of the cloud's storage suffix or a datastore's */
	int		 is_gen1;	/* ... and speaks WebHDFS */
	/* Found. */
	int		 reached;
	enum address_class class;
	char		 address[48];
	char		 tenant[40];	/* that the account's challenge names; "" none */
};
/* Host of the plan's access, or NULL. */
struct doctor_host *doctor_find_host(const struct doctor *, const char *base_url);
/* Makes doctor->hosts from the plan. */
void	doctor_list_hosts(struct doctor *);
void	doctor_ask_host(void *host, struct findings *);

struct sockaddr;
enum address_class doctor_address_class(const struct sockaddr *);

/* ---- one input or output */
struct doctor_access {
	struct doctor	*doctor;
	const struct plan_access *access;
};
void	doctor_ask_access(void *access, struct findings *);

#endif
