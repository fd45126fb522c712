/*
 * What a docker client writes to a credential helper: it is read without its line breaks, and
 * nobody's password but none is taken for stored.
 */

#include "cli/docker_credential.c"
#include "fuzz.h"

static void
put_stdin(const uint8_t *data, size_t size)
{
	static int fd = -1;

	if (fd < 0) {
		fd = memfd_create("stdin", 0);
		must(dup2(fd, 0) == 0);
	}
	must(ftruncate(fd, 0) == 0 && pwrite(fd, data, size, 0) == (ssize_t)size);
	must(lseek(0, 0, SEEK_SET) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	auto_buf struct buf line = BUF_EMPTY;
	struct err err = ERR_EMPTY;
	int status;

	input_mute();
	put_stdin(data, size);
	if (read_input(&line, &err) == 0 && line.len > 0) {
		must(line.data[line.len] == '\0' && line.len <= size);
		must(memchr(line.data, '\n', line.len) == NULL);
		must(strchr(" \t", line.data[0]) == NULL || line.data[0] == '\0');
	}
	put_stdin(data, size);
	status = store();
	must(status == 0 || status == 1);
	must(status != 0 || strstr(buf_str(&line), "ServerURL") != NULL ||
	    memchr(data, '\\', size) != NULL);
	return (0);
}
