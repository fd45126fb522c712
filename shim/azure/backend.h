#ifndef AZURE_BACKEND_H
#define AZURE_BACKEND_H

/*
 * backend -- what the implementations of store.h share: its state, and the table of
 * operations of each service.  Only they and store.c include this.
 */

#include "azure/store.h"

/* As the functions of the same names in store.h. */
struct store_backend {
	int	(*list)(struct store *, const char *prefix, int delimited, int max_results,
		    store_entry_fn *, void *arg, struct err *);
	int	(*stat)(struct store *, const char *name, int exact, struct store_attr *,
		    struct err *);
	int	(*probe)(struct store *, const char *prefix, struct err *);
	void	(*read_submit)(struct store_read *);
	int	(*read)(struct store *, const char *name, const char *etag, int64_t offset,
		    void *buf, size_t len, size_t *ret_len, struct store_attr *, struct err *);
	int	(*upload)(struct store *, const char *name, int fd, int64_t size,
		    const char *if_match, char ret_etag[HTTP_ETAG_MAX],
		    void (*progress)(void *, int64_t), void *arg, struct err *);
	int	(*symlink)(struct store *, const char *name, const char *target,
		    char ret_etag[HTTP_ETAG_MAX], struct err *);	/* NULL: cannot */
	int	(*set_props)(struct store *, const char *name, const char *props, int metadata,
		    const char *if_match, char ret_etag[HTTP_ETAG_MAX],
		    struct err *);					/* NULL: cannot */
	int	(*remove)(struct store *, const char *name, struct err *);
	int	(*mkdir)(struct store *, const char *name, struct err *);
	int	(*copy)(struct store *, const char *from, const char *to, const char *if_match,
		    char ret_etag[HTTP_ETAG_MAX], struct err *);
	int	(*create_container)(struct store *, struct err *);
	/* NULL, all of them, where there are no blocks. */
	void	(*put_submit)(struct store_put *);
	void	(*put_cancel)(struct store_put *);
	int	(*commit)(struct store *, const char *name, const struct store_block *, size_t n,
		    const char *if_match, char ret_etag[HTTP_ETAG_MAX], struct err *);
	int	(*list_blocks)(struct store *, const char *name, struct arena *,
		    struct store_block **ret, size_t *ret_n, char ret_etag[HTTP_ETAG_MAX],
		    struct err *);
	/* NULL: store_hns's word counts. */
	int	(*find_hns)(struct store *, const char *near);
	/* NULL: there is no such operation. */
	int	(*rename)(struct store *, const struct store_rename *,
		    char ret_etag[HTTP_ETAG_MAX], struct err *);
	int	(*get_access)(struct store *, const char *name, struct store_access *,
		    struct err *);
	int	(*set_access)(struct store *, const char *name, const struct store_access *,
		    const char *if_match, char ret_etag[HTTP_ETAG_MAX], struct err *);
};

enum store_namespace { NAMESPACE_UNKNOWN, NAMESPACE_FLAT, NAMESPACE_HIERARCHICAL };

extern const struct store_backend blob_backend, gen1_backend;

struct store {
	const struct store_backend *backend;
	char		*root;		/* "https://ACCT.blob.SUFFIX", no '/' at the end */
	char		*dfs_root;	/* the same of the dfs endpoint */
	char		*container;	/* encoded; "" for Gen1 */
	char		*account, *version;
	char		*datastore, *identity;	/* for errors; NULL: not told */
	_Atomic int	 namespace;	/* enum store_namespace */
	int		 onelake, access, is_output;
	struct auth	 auth;
	struct http	*http;
	_Atomic int64_t	 timeout_ms;
	int		 single_blob;	/* the SAS is for one blob: it cannot list */
	/* Of ranged reads: sixteenths of a ms to an answer, the median; how many were seen;
	   hundredths of repeated requests that may be made. */
	_Atomic int	 head_median, nheads, repeats_left;
	const char	*(*props_of)(void *arg, const char *name, struct arena *mem);
	void		*props_arg;
};

#endif
