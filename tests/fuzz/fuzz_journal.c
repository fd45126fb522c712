/*
 * A journal's file: whole records behind our header are known, of two for a key the later one, an
 * incomplete one is cut off, and what is added goes on from there.
 */

#include "fuzz.h"
#include "mount/journal.c"

#define PURPOSE	"fuzz"
#define PATH	"/dev/shm/amlshim-fuzz-journal.%d"

static void
write_file(const char *path, const uint8_t *data, size_t size, int is_ours)
{
	auto_close int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	unsigned char header[HEADER_SIZE];

	must(fd >= 0 && make_header(header, PURPOSE) == 0);
	if (is_ours)
		must(fd_write_all(fd, header, sizeof(header)) == 0);
	must(fd_write_all(fd, data, size) == 0);
}

/* As it is told: from the last record to the first. */
static uint64_t
last_value(const uint8_t *data, size_t n, const struct journal_key *key)
{
	uint64_t value;
	struct record r;

	while (n-- > 0) {
		memcpy(&r, data + n * sizeof(r), sizeof(r));
		if (memcmp(&r.key, key, sizeof(*key)) == 0) {
			memcpy(&value, r.value, sizeof(value));
			return (value);
		}
	}
	abort();
}

static void
check_records(const struct journal *j, const uint8_t *data, size_t n)
{
	uint64_t value = 0;
	struct record r;
	size_t i;

	must(journal_known(j) <= n && (n == 0) == (journal_known(j) == 0));
	for (i = 0; i < n; i++) {
		memcpy(&r, data + i * sizeof(r), sizeof(r));
		must(journal_find(j, &r.key, &value));
		must(value == last_value(data, n, &r.key));
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct journal_key key;
	struct err err = ERR_EMPTY;
	char path[64];
	uint64_t value = 0;
	struct journal *j;
	size_t n = size / sizeof(struct record), known;
	int was_there;

	str_format(path, sizeof(path), PATH, (int)getpid());
	write_file(path, data, size, 0);
	must((j = journal_open(path, PURPOSE, 0, &err)) != NULL);
	must(journal_known(j) == 0 || memcmp(data, j->header, HEADER_SIZE) == 0);
	journal_close(j, 1);

	write_file(path, data, size, 1);
	must((j = journal_open(path, PURPOSE, 0, &err)) != NULL);
	check_records(j, data, n);
	known = journal_known(j);
	journal_key(&key, "added %zu", size);
	was_there = journal_find(j, &key, &value);
	journal_add(j, &key, size);
	journal_close(j, 0);

	must((j = journal_open(path, PURPOSE, 0, &err)) != NULL);
	must(journal_known(j) == known + (was_there ? 0 : 1));
	must(journal_find(j, &key, &value) && value == size);
	journal_close(j, 1);
	return (0);
}
