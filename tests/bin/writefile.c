/*
 * writefile FILE BYTES [fsync]: write bytes that their offset tells (the byte at offset n is
 * n / 7 + n / 8192), close, and say what each step answered: "write ENOSPC", "close EIO", ...
 * The status is 1 if any step failed.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int
tell(const char *step, int failed)
{
	static const struct { int number; const char *name; } names[] = {
		{ EACCES, "EACCES" }, { ENOSPC, "ENOSPC" }, { EIO, "EIO" }, { EPERM, "EPERM" },
		{ ESTALE, "ESTALE" }, { EROFS, "EROFS" }, { ENOENT, "ENOENT" },
		{ EBUSY, "EBUSY" }, { ETIMEDOUT, "ETIMEDOUT" }, { EEXIST, "EEXIST" },
	};
	int number = errno;
	size_t i;

	if (!failed) {
		printf("%s ok\n", step);
		return (0);
	}
	for (i = 0; i < sizeof(names) / sizeof(names[0]) && names[i].number != number; i++)
		;
	if (i < sizeof(names) / sizeof(names[0]))
		printf("%s %s\n", step, names[i].name);
	else
		printf("%s %d\n", step, number);
	return (1);
}

static int
write_all(int fd, long long size)
{
	static unsigned char buf[65536];
	long long at = 0;
	size_t len, i;
	ssize_t n;

	while (at < size) {
		len = size - at < (long long)sizeof(buf) ? (size_t)(size - at) : sizeof(buf);
		for (i = 0; i < len; i++, at++)
			buf[i] = (unsigned char)(at / 7 + at / 8192);
		n = write(fd, buf, len);
		if (n < 0)
			return (-1);
		at -= (long long)len - n;
	}
	return (0);
}

int
main(int argc, char **argv)
{
	int fd, failed;

	if (argc < 3) {
		fprintf(stderr, "usage: writefile FILE BYTES [fsync]\n");
		return (2);
	}
	fd = open(argv[1], O_WRONLY | O_CREAT | O_TRUNC, 0644);
	if (tell("open", fd < 0) != 0)
		return (1);
	failed = tell("write", write_all(fd, atoll(argv[2])) != 0);
	if (argc > 3)
		failed |= tell("fsync", fsync(fd) != 0);
	failed |= tell("close", close(fd) != 0);
	return (failed);
}
