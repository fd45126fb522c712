#include <stdatomic.h>

#include "mount/stats.h"

static _Atomic int64_t counters[STATS_COUNTERS];

static const char *const names[STATS_COUNTERS] = {
	[STATS_LOOKUPS] = "lookups", [STATS_GETATTRS] = "getattrs", [STATS_OPENS] = "opens",
	[STATS_READS] = "reads", [STATS_READ_BYTES] = "read-bytes", [STATS_WRITES] = "writes",
	[STATS_WRITTEN_BYTES] = "written-bytes", [STATS_FLUSHES] = "flushes",
	[STATS_READDIRS] = "readdirs", [STATS_XATTRS] = "xattrs", [STATS_CHANGES] = "changes",
	[STATS_LISTINGS] = "listings", [STATS_ASKED] = "single-lookups",
};

void
stats_add(enum stats_what what, int64_t n)
{
	atomic_fetch_add_explicit(&counters[what], n, memory_order_relaxed);
}

int64_t
stats_get(enum stats_what what)
{
	return (atomic_load_explicit(&counters[what], memory_order_relaxed));
}

static void
print_range(struct buf *to, const char *topic, int from, int end)
{
	int i;

	buf_adds(to, topic);
	for (i = from; i < end; i++)
		buf_printf(to, " %s %lld", names[i], (long long)stats_get((enum stats_what)i));
}

/* The upper end of the bucket that holds this share of all; 0: there are none. */
static long long
percentile(const struct http_counts *c, int percent)
{
	int64_t all = 0, seen = 0;
	int i;

	for (i = 0; i < HTTP_BUCKETS; i++)
		all += c->first_byte[i];
	for (i = 0; i < HTTP_BUCKETS && all > 0; i++)
		if ((seen += c->first_byte[i]) * 100 >= all * percent)
			return (1LL << i);
	return (0);
}

static void
print_requests(const struct http_counts *c, struct buf *to)
{
	size_t i;

	buf_printf(to, "requests all %lld retries %lld throttled %lld in-bytes %lld out-bytes %lld"
	    " first-byte-p50-ms %lld first-byte-p99-ms %lld", (long long)c->requests,
	    (long long)c->retries, (long long)c->throttled, (long long)c->bytes_in,
	    (long long)c->bytes_out, percentile(c, 50), percentile(c, 99));
	for (i = 0; i < HTTP_OPS && c->ops[i].op != NULL; i++)
		buf_printf(to, "%s \"%s\" %lld", i == 0 ? " by-operation" : "", c->ops[i].op,
		    (long long)c->ops[i].tries);
	buf_addc(to, '\n');
}

static void
print_data(struct blocks *b, struct disk *disk, struct buf *to)
{
	struct blocks_counts pool;
	struct disk_counts kept = { .hits = 0 };

	blocks_counts(b, &pool);
	buf_printf(to, "pool fetches %lld fetched-bytes %lld chunks %lld idle %lld evicted %lld\n",
	    (long long)pool.fetches, (long long)pool.fetched_bytes, (long long)pool.chunks,
	    (long long)pool.idle_chunks, (long long)pool.evicted);
	if (disk == NULL)
		return;
	disk_counts(disk, &kept);
	buf_printf(to, "disk hits %lld kept %lld dropped %lld damaged %lld evicted %lld\n",
	    (long long)kept.hits, (long long)kept.kept, (long long)kept.dropped,
	    (long long)kept.damaged, (long long)kept.evicted);
}

void
stats_print(const struct http_counts *c, struct tree *t, struct blocks *b, struct disk *disk,
    struct buf *to)
{
	print_range(to, "kernel", STATS_LOOKUPS, STATS_LISTINGS);
	print_range(to, "\nnames", STATS_LISTINGS, STATS_COUNTERS);
	pthread_mutex_lock(&t->lock);
	buf_printf(to, " inodes %zu catalog-bytes %zu\n", t->n, t->catalog_bytes);
	pthread_mutex_unlock(&t->lock);
	print_data(b, disk, to);
	print_requests(c, to);
}
