/* trust: bundles of roots, good, bad, mixed and missing; and which bundle is taken. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "azure/ca.h"
#include "azure/trust.h"
#include "base/fd.h"
#include "base/mem.h"
#include "base/sys.h"
#include "check.h"

/* The number of roots in a file with this text. */
static size_t
count(const char *text, size_t len)
{
	int fd = sys_memfd("bundle");
	struct trust *t;
	char path[64];
	size_t n;

	if (fd < 0 || fd_write_all(fd, text, len) != 0)
		exit(1);
	str_format(path, sizeof(path), "/proc/self/fd/%d", fd);
	t = trust_new(path);
	n = trust_count(t);
	check_int(trust_count(t), n);
	trust_free(t);
	close(fd);
	return (n);
}

static size_t
heads(const char *text)
{
	size_t n = 0;

	while ((text = strstr(text, "-----BEGIN CERTIFICATE-----")) != NULL) {
		text++;
		n++;
	}
	return (n);
}

/* The first certificate of the compiled-in bundle, from BEGIN to END. */
static void
add_first(struct buf *to)
{
	static const char end_line[] = "-----END CERTIFICATE-----\n";
	const char *begin = strstr(amlshim_ca_bundle_pem, "-----BEGIN CERTIFICATE-----");
	const char *end = begin != NULL ? strstr(begin, end_line) : NULL;

	if (end == NULL)
		exit(1);
	buf_add(to, begin, (size_t)(end - begin) + sizeof(end_line) - 1);
}

static void
test_bundles(void)
{
	struct trust *own = trust_new(NULL), *missing = trust_new("/no/such/file");
	struct trust_slot *slot = trust_slot_new();
	struct buf text = BUF_EMPTY;
	size_t all = heads(amlshim_ca_bundle_pem);

	check(all >= 3);
	check_int(trust_count(own), all);
	check_int(count(amlshim_ca_bundle_pem, amlshim_ca_bundle_pem_len), all);
	check_int(trust_count(missing), 0);
	check_int(trust_apply(missing, slot, NULL), -1);
	trust_free(own);
	trust_free(missing);
	trust_free(NULL);
	trust_slot_free(slot);

	check_int(count("", 0), 0);
	check_int(count("-----BEGIN ", 11), 0);
	check_int(count("-----BEGIN CERTIFICATE-----", 27), 0);
	buf_adds(&text, "words\n-----BEGIN CERTIFICATE-----\nbm90IERFUg==\n"
	    "-----END CERTIFICATE-----\n-----BEGIN CERTIFICATE-----\n!!!\n"
	    "-----END CERTIFICATE-----\n-----BEGIN PRIVATE KEY-----\nMIIB\n"
	    "-----END PRIVATE KEY-----\n");
	check_int(count(text.data, text.len), 0);
	add_first(&text);
	check_int(count(text.data, text.len), 1);	/* the bad ones do not spoil the good one */
	add_first(&text);
	check_int(count(text.data, text.len), 2);
	check_int(count(text.data, text.len - 400), 1);	/* cut in the middle of the last */
	buf_done(&text);
}

static void
test_which(void)
{
	const char *path;

	setenv("SSL_CERT_FILE", "/named/by/hand", 1);
	check_str(ca_file(), "/named/by/hand");
	setenv("SSL_CERT_FILE", "", 1);
	path = ca_file();
	check(path == NULL || access(path, R_OK) == 0);
	unsetenv("SSL_CERT_FILE");
	check(ca_file() == path);
}

int
main(void)
{
	test_bundles();
	test_which();
	return (check_done());
}
