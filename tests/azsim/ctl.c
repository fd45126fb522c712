#include "ctl.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/mem.h"

#define CHUNK	65536

static int
fail(const char *what)
{
	fprintf(stderr, "azsim ctl: %s\n", what);
	return (1);
}

static int
dial(int port)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port),
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || connect(fd, (struct sockaddr *)&at, sizeof(at)) != 0) {
		if (fd >= 0)
			close(fd);
		return (-1);
	}
	return (fd);
}

/* Stdin has no length before it was read. */
static int
read_stdin(struct buf *ret)
{
	char chunk[CHUNK];
	ssize_t n;

	while ((n = read(STDIN_FILENO, chunk, sizeof(chunk))) > 0)
		buf_add(ret, chunk, (size_t)n);
	return (n < 0 ? -1 : 0);
}

static int
send_file(int to, int from, int64_t size)
{
	char chunk[CHUNK];
	int64_t at = 0;

	while (at < size) {
		ssize_t n = fd_pread_full(from, chunk, sizeof(chunk), at);

		if (n <= 0 || fd_write_all(to, chunk, (size_t)n) != 0)
			return (-1);
		at += n;
	}
	return (0);
}

/* argv: METHOD PATH [FILE] [NAME:VALUE...] */
static int
send_request(int fd, int argc, char **argv)
{
	auto_buf struct buf head = BUF_EMPTY, body = BUF_EMPTY;
	auto_close int file = -1;
	struct stat st = { .st_size = 0 };
	int i = 2;

	if (i < argc && strchr(argv[i], ':') == NULL) {
		if (strcmp(argv[i], "-") == 0) {
			if (read_stdin(&body) != 0)
				return (-1);
			st.st_size = (off_t)body.len;
		} else {
			file = open(argv[i], O_RDONLY | O_CLOEXEC);
			if (file < 0 || fstat(file, &st) != 0)
				return (-1);
		}
		i++;
	}
	buf_printf(&head, "%s %s HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n"
	    "Content-Length: %" PRId64 "\r\n", argv[0], argv[1], (int64_t)st.st_size);
	for (; i < argc; i++)
		buf_printf(&head, "%s\r\n", argv[i]);
	buf_adds(&head, "\r\n");
	if (fd_write_all(fd, head.data, head.len) != 0)
		return (-1);
	if (file >= 0)
		return (send_file(fd, file, st.st_size));
	return (body.len == 0 ? 0 : fd_write_all(fd, body.data, body.len));
}

/* The connection closes behind the answer; the status, or -1. */
static int
read_answer(int fd)
{
	auto_buf struct buf head = BUF_EMPTY;
	const char *end = NULL;
	char chunk[CHUNK];
	ssize_t n;
	int status = -1;

	while ((n = read(fd, chunk, sizeof(chunk))) > 0) {
		if (end != NULL) {
			if (fd_write_all(STDOUT_FILENO, chunk, (size_t)n) != 0)
				return (-1);
			continue;
		}
		buf_add(&head, chunk, (size_t)n);
		end = strstr(head.data, "\r\n\r\n");
		if (end == NULL)
			continue;
		end += 4;
		if (!str_starts(head.data, "HTTP/1.1 "))
			return (-1);
		status = (int)strtol(head.data + strlen("HTTP/1.1 "), NULL, 10);
		if (fd_write_all(STDOUT_FILENO, end, head.len - (size_t)(end - head.data)) != 0)
			return (-1);
	}
	return (n < 0 ? -1 : status);
}

int
ctl_main(int argc, char **argv)
{
	auto_close int fd = -1;
	long long port;
	int status;

	if (argc < 3 || str_to_i64(argv[0], 1, 65535, &port) != 0)
		return (fail("PORT METHOD PATH [FILE] [NAME:VALUE...]"));
	fd = dial((int)port);
	if (fd < 0)
		return (fail("nobody listens there"));
	if (send_request(fd, argc - 1, argv + 1) != 0)
		return (fail("the request could not be sent"));
	status = read_answer(fd);
	if (status < 0)
		return (fail("no answer"));
	if (status >= 200 && status < 300)
		return (0);
	fprintf(stderr, "azsim ctl: %d\n", status);
	return (22);
}
