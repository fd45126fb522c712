/*
 * Files that hold a secret: the federated token of a pod, the Arc agent's key.  What is taken can
 * be sent in a header and is the file's text without the white space at its end; what is not is
 * not shown.
 */

#include "fuzz.h"
#include "identity/arc.h"
#include "identity/src_workload.c"

#define DIR	"/dev/shm"

static void
write_key(const char *name, const uint8_t *data, size_t size)
{
	char path[96];
	FILE *f;

	str_format(path, sizeof(path), DIR "/%s", name);
	must((f = fopen(path, "w")) != NULL);
	must(fwrite(data, 1, size, f) == size && fclose(f) == 0);
}

static void
must_be_its_text(const struct secret *s, const uint8_t *data, size_t size)
{
	must(str_is_visible(s->text, s->len) && s->len <= size);
	must(memcmp(s->text, data, s->len) == 0);
	while (size > s->len)
		must(memchr(" \t\r\n", data[--size], 4) != NULL);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct secret token = { NULL, 0 }, key = { NULL, 0 };
	struct err err = ERR_EMPTY;
	char path[64], name[64];

	str_format(path, sizeof(path), "%s", input_file(data, size));
	if (read_token(path, "audience", &token, &err) == 0)
		must_be_its_text(&token, data, size);
	else
		must_complain(&err, ERR_NO_IDENTITY);
	secret_done(&token);
	str_format(name, sizeof(name), "amlshim-fuzz-%d.key", (int)getpid());
	write_key(name, data, size);
	err = ERR_EMPTY;
	if (arc_read_key(DIR, name, &key, &err) == 0)
		must_be_its_text(&key, data, size);
	else
		must_complain(&err, ERR_NO_IDENTITY);
	secret_done(&key);
	str_format(path, sizeof(path), DIR "/%s", name);
	unlink(path);
	return (0);
}
