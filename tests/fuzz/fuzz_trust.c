/*
 * A bundle of certificates in PEM, of the image or a person: what cannot be read is left out, and
 * what can is counted the same, whatever stands between.
 */

#include "azure/trust.h"
#include "fuzz.h"

static size_t
count(const char *file)
{
	struct trust *t = trust_new(file);
	size_t n = trust_count(t);

	trust_free(t);
	return (n);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	auto_buf struct buf twice = BUF_EMPTY;
	size_t n = count(input_file(data, size));

	must(n <= size / 64);
	buf_add(&twice, data, size);
	buf_adds(&twice, "\n# between\n");
	buf_add(&twice, data, size);
	if (size > 0 && data[size - 1] == '\n' && n > 0)
		must(count(input_file(twice.data, twice.len)) >= n);
	return (0);
}
