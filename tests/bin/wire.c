/*
 * wire NETNS HERE THERE [SEED] -- a network cable between this network namespace and another
 * one, and what can be wrong with it.
 *
 * Two tun devices, HERE in this namespace and THERE in the one that the file NETNS stands for,
 * and this program between them, as tc's netem would stand there: not every kernel has that one.
 * What happens to packets is drawn from SEED.  Commands are lines on stdin; each is answered by
 * "ok" once it holds:
 *
 *   delay MS JITTER     each packet is late by so much, more or less
 *   loss N              of 10,000 packets get lost; as netem does, reorder N, duplicate N and
 *                       corrupt N, which flips a bit
 *   rate N              kilobytes a second, each way; 0: any
 *   mtu N               longer packets vanish, and nobody is told; 0: any
 *   cut                 nothing gets through; "after N": once N bytes have come through
 *   forget              TCP flows that are known now get through no more, new ones do: the table
 *                       of a load balancer or NAT was emptied
 *   heal                all of that ends
 */

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#define PACKET_MAX	2048
#define HELD_MAX	4096		/* packets on their way */
#define OF		10000
#define PORTS		65536
#define TCP		6
#define SYN_ONLY	0x02
#define SYN_MASK	0x12

struct packet {
	int64_t	due_us;
	uint64_t order;			/* of those that are due at once */
	int	to;
	size_t	len;
	unsigned char bytes[PACKET_MAX];
};

/* What is wrong with it; zeroed: nothing. */
struct state {
	int64_t	delay_us, jitter_us;
	long	loss, reorder, duplicate, corrupt, mtu;
	int64_t	rate, cut_after;	/* bytes a second; bytes, 0: never */
	int	cut, forget;
};

static struct state now_is;
static struct packet *heap[HELD_MAX];	/* the first one due on top */
static size_t nheld;
static uint64_t nth;
static int64_t free_us[2];		/* when the last packet has left, with a rate */
static int ends[2];			/* here, there */
static unsigned char known[PORTS];	/* of the client's port: 1 seen, 2 forgotten */
static uint64_t seed = 1;

static void
die(const char *what)
{
	perror(what);
	exit(1);
}

static int64_t
clock_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return ((int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000);
}

/* xorshift64*: the same faults each time. */
static uint64_t
draw(void)
{
	seed ^= seed >> 12;
	seed ^= seed << 25;
	seed ^= seed >> 27;
	return ((seed * 0x2545f4914f6cdd1dULL) >> 33);
}

static int
happens(long n)
{
	return (n > 0 && (long)(draw() % OF) < n);
}

static int
earlier(const struct packet *a, const struct packet *b)
{
	return (a->due_us != b->due_us ? a->due_us < b->due_us : a->order < b->order);
}

static void
push(struct packet *p)
{
	size_t at = nheld++, up;

	for (; at > 0; at = up) {
		up = (at - 1) / 2;
		if (!earlier(p, heap[up]))
			break;
		heap[at] = heap[up];
	}
	heap[at] = p;
}

static struct packet *
pop(void)
{
	struct packet *top = heap[0], *p = heap[--nheld];
	size_t at = 0, down;

	for (; (down = 2 * at + 1) < nheld; at = down) {
		if (down + 1 < nheld && earlier(heap[down + 1], heap[down]))
			down++;
		if (!earlier(heap[down], p))
			break;
		heap[at] = heap[down];
	}
	heap[at] = p;
	return (top);
}

/* The client's port, of a TCP packet; -1 of all others.  Clients are there. */
static int
client_port(const unsigned char *b, size_t len, int from, int *ret_flags)
{
	size_t at;

	if (len < 20)
		return (-1);
	if (b[0] >> 4 == 4 && b[9] == TCP)
		at = (size_t)(b[0] & 15) * 4;
	else if (b[0] >> 4 == 6 && b[6] == TCP)
		at = 40;
	else
		return (-1);
	if (len < at + 20)
		return (-1);
	*ret_flags = b[at + 13];
	at += from == 1 ? 0 : 2;
	return (b[at] << 8 | b[at + 1]);
}

static int
is_forgotten(const struct packet *p, int from)
{
	int flags, port = client_port(p->bytes, p->len, from, &flags);

	if (port < 0)
		return (0);
	if (known[port] == 0 || (from == 1 && (flags & SYN_MASK) == SYN_ONLY))
		known[port] = 1;
	return (known[port] == 2);
}

static void
send_later(const struct packet *p, int64_t due_us)
{
	struct packet *copy;

	if (nheld == HELD_MAX || (copy = malloc(sizeof(*copy))) == NULL)
		return;			/* a full queue drops */
	*copy = *p;
	copy->due_us = due_us;
	copy->order = nth++;
	push(copy);
}

static int
is_lost(const struct packet *p, int from)
{
	int forgotten = is_forgotten(p, from);

	if (now_is.cut_after > 0 && (now_is.cut_after -= (int64_t)p->len) <= 0) {
		now_is.cut_after = 0;
		now_is.cut = 1;
	}
	return (now_is.cut || forgotten || happens(now_is.loss) ||
	    (now_is.mtu > 0 && (long)p->len > now_is.mtu));
}

static void
forward(struct packet *p, int from)
{
	int64_t now_us = clock_us(), due_us = now_us;

	if (is_lost(p, from))
		return;
	if (happens(now_is.corrupt))
		p->bytes[draw() % p->len] ^= (unsigned char)(1 << draw() % 8);
	p->to = !from;
	if (now_is.rate > 0) {
		if (free_us[from] < now_us)
			free_us[from] = now_us;
		due_us = free_us[from] += (int64_t)p->len * 1000000 / now_is.rate;
	}
	if (now_is.delay_us > 0 && !happens(now_is.reorder)) {
		due_us += now_is.delay_us;
		if (now_is.jitter_us > 0)
			due_us += (int64_t)(draw() % (uint64_t)(2 * now_is.jitter_us)) -
			    now_is.jitter_us;
	}
	send_later(p, due_us);
	if (happens(now_is.duplicate))
		send_later(p, due_us);
}

static void
receive(int from)
{
	static struct packet p;
	ssize_t n;

	while ((n = read(ends[from], p.bytes, sizeof(p.bytes))) > 0) {
		p.len = (size_t)n;
		forward(&p, from);
	}
}

static void
deliver(void)
{
	struct packet *p;

	while (nheld > 0 && heap[0]->due_us <= clock_us()) {
		p = pop();
		/* A device that is down takes none: then it is lost. */
		if (write(ends[p->to], p->bytes, p->len) < 0 && errno == EBADF)
			die("write");
		free(p);
	}
}

/* ---- commands ---------------------------------------------------------- */

static void
forget(void)
{
	size_t i;

	for (i = 0; i < PORTS; i++)
		if (known[i] != 0)
			known[i] = 2;
}

static void
heal(void)
{
	size_t i;

	memset(&now_is, 0, sizeof(now_is));
	for (i = 0; i < PORTS; i++)
		if (known[i] == 2)
			known[i] = 1;
}

static int
obey(const char *line)
{
	long a = 0, b = 0;
	char word[16];

	if (sscanf(line, "%15s %ld %ld", word, &a, &b) < 1)
		return (-1);
	if (strcmp(word, "delay") == 0) {
		now_is.delay_us = a * 1000;
		now_is.jitter_us = b * 1000;
	} else if (strcmp(word, "loss") == 0)
		now_is.loss = a;
	else if (strcmp(word, "reorder") == 0)
		now_is.reorder = a;
	else if (strcmp(word, "duplicate") == 0)
		now_is.duplicate = a;
	else if (strcmp(word, "corrupt") == 0)
		now_is.corrupt = a;
	else if (strcmp(word, "rate") == 0)
		now_is.rate = a * 1000;
	else if (strcmp(word, "mtu") == 0)
		now_is.mtu = a;
	else if (strcmp(word, "after") == 0)
		now_is.cut_after = a;
	else if (strcmp(word, "cut") == 0)
		now_is.cut = 1;
	else if (strcmp(word, "forget") == 0)
		forget();
	else if (strcmp(word, "heal") == 0)
		heal();
	else
		return (-1);
	return (0);
}

/* 0: stdin is at its end. */
static int
listen_to_commands(void)
{
	static char line[256];
	static size_t len;
	ssize_t n = read(0, line + len, sizeof(line) - 1 - len);
	char *end;

	if (n <= 0)
		return (0);
	len += (size_t)n;
	line[len] = '\0';
	while ((end = strchr(line, '\n')) != NULL) {
		*end = '\0';
		puts(obey(line) == 0 ? "ok" : "what?");
		fflush(stdout);
		len -= (size_t)(end + 1 - line);
		memmove(line, end + 1, len + 1);
	}
	return (len < sizeof(line) - 1);
}

static int
open_end(const char *name)
{
	struct ifreq r = { .ifr_flags = IFF_TUN | IFF_NO_PI };
	int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0)
		die("/dev/net/tun");
	memcpy(r.ifr_name, name, strnlen(name, IFNAMSIZ - 1));
	if (ioctl(fd, TUNSETIFF, &r) != 0)
		die(name);
	return (fd);
}

int
main(int argc, char **argv)
{
	struct pollfd p[3];
	int64_t left_us;
	int ns;

	if (argc < 4) {
		fputs("usage: wire NETNS HERE THERE [SEED]\n", stderr);
		return (2);
	}
	if (argc > 4)
		seed = (uint64_t)atoll(argv[4]) * 2654435761 + 1;
	ends[0] = open_end(argv[2]);
	if ((ns = open(argv[1], O_RDONLY | O_CLOEXEC)) < 0 || setns(ns, CLONE_NEWNET) != 0)
		die(argv[1]);
	ends[1] = open_end(argv[3]);
	puts("ok");
	fflush(stdout);
	p[0] = (struct pollfd){ .fd = ends[0], .events = POLLIN };
	p[1] = (struct pollfd){ .fd = ends[1], .events = POLLIN };
	p[2] = (struct pollfd){ .fd = 0, .events = POLLIN };
	for (;;) {
		struct timespec wait, *bound = NULL;

		if (nheld > 0) {
			left_us = heap[0]->due_us - clock_us();
			left_us = left_us < 0 ? 0 : left_us;
			wait = (struct timespec){ left_us / 1000000, left_us % 1000000 * 1000 };
			bound = &wait;
		}
		if (ppoll(p, 3, bound, NULL) < 0 && errno != EINTR)
			die("poll");
		if (p[2].revents != 0 && !listen_to_commands())
			return (0);
		receive(0);
		receive(1);
		deliver();
	}
}
