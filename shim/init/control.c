#include "init/control.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"

#define BACKLOG	64

int
control_address(pid_t init_pid, struct sockaddr_un *ret, socklen_t *ret_len)
{
	struct stat st;

	if (stat("/proc/self/ns/pid", &st) != 0)
		return (-1);
	memset(ret, 0, sizeof(*ret));
	ret->sun_family = AF_UNIX;
	str_format(ret->sun_path + 1, sizeof(ret->sun_path) - 1, "amlshim/%llu/%d",
	    (unsigned long long)st.st_ino, (int)init_pid);
	*ret_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 +
	    strlen(ret->sun_path + 1));
	return (0);
}

void
control_init(struct control *c)
{
	size_t i;

	c->listen_fd = -1;
	for (i = 0; i < CONTROL_CLIENTS; i++)
		c->clients[i].fd = -1;
}

int
control_open(struct control *c, control_answerer *answerer, void *arg, struct err *err)
{
	struct sockaddr_un address;
	socklen_t len;
	int fd;

	c->answerer = answerer;
	c->arg = arg;
	if (control_address(getpid(), &address, &len) != 0)
		return (err_errno(err, "make the control socket", "/proc/self/ns/pid"));
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd >= 0 && bind(fd, (const void *)&address, len) == 0 && listen(fd, BACKLOG) == 0) {
		c->listen_fd = fd;
		return (0);
	}
	err_errno(err, "make the control socket", address.sun_path + 1);
	mem_close_fd(&fd);
	return (-1);
}

/* A process that this namespace does not show has pid 0. */
static int
may_ask(const struct control *c, int fd)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);

	return (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0 && peer.pid > 0 &&
	    (peer.uid == 0 || peer.uid == geteuid() || peer.uid == c->job_uid));
}

static void
welcome(struct control *c, int fd)
{
	size_t i, at = 0;

	if (!may_ask(c, fd)) {
		close(fd);
		return;
	}
	for (i = 0; i < CONTROL_CLIENTS && c->clients[at].fd >= 0; i++)
		if (c->clients[i].fd < 0 || c->clients[i].last < c->clients[at].last)
			at = i;
	mem_close_fd(&c->clients[at].fd);
	c->clients[at].fd = fd;
	c->clients[at].last = ++c->requests;
}

/* -1: it is to be cut off. */
static int
answer(struct control *c, int fd)
{
	static struct control_answer reply;
	struct control_request request;
	ssize_t n = recv(fd, &request, sizeof(request), MSG_DONTWAIT | MSG_TRUNC);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return (0);
	if (n != (ssize_t)sizeof(request) || request.version != CONTROL_VERSION)
		return (-1);
	memset(&reply, 0, sizeof(reply));
	reply.version = CONTROL_VERSION;
	reply.part = request.part;
	reply.index = request.index;
	if (c->answerer(c->arg, &request, &reply) != 0)
		return (-1);
	n = send(fd, &reply, sizeof(reply), MSG_DONTWAIT | MSG_NOSIGNAL);
	return (n == (ssize_t)sizeof(reply) ? 0 : -1);
}

void
control_fill(const struct control *c, struct pollfd *p)
{
	size_t i;

	p[0] = (struct pollfd){ .fd = c->listen_fd, .events = POLLIN };
	for (i = 0; i < CONTROL_CLIENTS; i++)
		p[1 + i] = (struct pollfd){ .fd = c->clients[i].fd, .events = POLLIN };
}

/* Who is here is served before others are let in: at most as many as there are places. */
void
control_handle(struct control *c, const struct pollfd *p)
{
	size_t i;
	int fd;

	for (i = 0; i < CONTROL_CLIENTS; i++) {
		if (p[1 + i].revents == 0)
			continue;
		c->clients[i].last = ++c->requests;
		if (answer(c, c->clients[i].fd) != 0)
			mem_close_fd(&c->clients[i].fd);
	}
	for (i = 0; i < CONTROL_CLIENTS && p[0].revents != 0; i++) {
		fd = accept4(c->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (fd < 0)
			return;
		welcome(c, fd);
	}
}

size_t
control_fds(const struct control *c, int *ret)
{
	size_t i, n = 0;

	if (c->listen_fd >= 0)
		ret[n++] = c->listen_fd;
	for (i = 0; i < CONTROL_CLIENTS; i++)
		if (c->clients[i].fd >= 0)
			ret[n++] = c->clients[i].fd;
	return (n);
}

void
control_close(struct control *c)
{
	size_t i;

	mem_close_fd(&c->listen_fd);
	for (i = 0; i < CONTROL_CLIENTS; i++)
		mem_close_fd(&c->clients[i].fd);
}
