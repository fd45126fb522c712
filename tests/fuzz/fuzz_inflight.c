/*
 * Requests that a killed process left in shared memory, and those that come from /dev/fuse
 * afterwards.  Whatever stands there: no answer is longer than one can be, each request that is
 * handed on is whole, and all are read in the end.
 *
 * First the notes, then the requests that were kept, then what the kernel sends: packets of 64
 * bytes, of which the first holds their number.
 */

#include <fcntl.h>
#include <sys/socket.h>

#include "fuzz.h"
#include "mount/inflight.c"

#define PLACES	4
#define PACKET	64
#define ROUNDS	(CALLS + 64)

static void
fill_room(struct room *room, struct input *in)
{
	char bytes[PACKET];
	uint32_t word;
	size_t i;

	for (i = 0; i < PLACES; i++) {
		input_bytes(in, bytes, 16);
		memcpy(&word, bytes, sizeof(word));
		room->notes[i].unique = word % 8;
		memcpy(&word, bytes + 4, sizeof(word));
		room->notes[i].step = word % 6;
		memcpy(&room->notes[i].reply_len, bytes + 8, sizeof(word));
		memcpy(room->notes[i].reply, bytes, sizeof(bytes) / 4);
	}
	for (i = 0; i < PLACES; i++) {
		input_bytes(in, bytes, sizeof(bytes));
		memcpy(room->requests[i], bytes, sizeof(bytes));
		((struct fuse_in_header *)(void *)room->requests[i])->unique %= 8;
	}
}

static void
send_init(int kernel, int resends)
{
	struct {
		struct fuse_in_header h;
		struct fuse_init_in in;
	} q = { .h = { .len = sizeof(q), .opcode = FUSE_INIT, .unique = 100 },
	    .in = { .major = 7, .minor = 40, .flags = resends ? INIT_EXT : 0,
	    .flags2 = resends ? HAS_RESEND2 : 0 } };

	must(send(kernel, &q, sizeof(q), 0) == (ssize_t)sizeof(q));
}

static void
answer_init(struct inflight *f)
{
	struct fuse_out_header out = { .len = sizeof(out), .unique = 100 };
	struct iovec iov = { &out, sizeof(out) };

	must(inflight_writev(f, &iov, 1) == (ssize_t)sizeof(out));
}

static void
answer_one(struct inflight *f, const struct fuse_in_header *in)
{
	struct fuse_out_header out = { .len = sizeof(out), .unique = in->unique };
	struct iovec iov = { &out, sizeof(out) };

	inflight_begin();
	inflight_writev(f, &iov, 1);
}

static void
must_be_short(int kernel)
{
	char reply[REPLY_MAX + 1];
	ssize_t n;

	while ((n = recv(kernel, reply, sizeof(reply), MSG_DONTWAIT | MSG_TRUNC)) > 0)
		must(n >= (ssize_t)sizeof(struct fuse_out_header) && n <= REPLY_MAX);
}

static void
serve(struct inflight *f, int kernel)
{
	static _Alignas(8) char buf[REQUEST_MAX];
	const struct fuse_in_header *in = (const void *)buf;
	struct inflight_look look;
	ssize_t n;
	int i;

	for (i = 0; i < ROUNDS; i++) {
		n = inflight_read(f, buf, sizeof(buf));
		must_be_short(kernel);
		if (n < (ssize_t)sizeof(*in))
			break;
		must(inflight_is_repeat() == 0 || inflight_is_again());
		inflight_look(f, &look);
		must(look.waiting >= 0 && look.waiting <= CALLS);
		if (in->opcode % 3 != 0)
			answer_one(f, in);
	}
	must(i < ROUNDS);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { (const char *)data, size };
	struct state *state = state_open(-1, NULL);
	_Alignas(8) char packet[PACKET];
	struct inflight *f;
	int fds[2], resends = size % 2 == 0, i;

	must(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, fds) == 0);
	send_init(fds[0], resends);
	f = inflight_new(state, fds[1]);
	must(inflight_read(f, packet, sizeof(packet)) >= (ssize_t)sizeof(struct fuse_in_header));
	answer_init(f);
	leave(mine);
	mine = NULL;
	pthread_key_delete(f->key);
	free(f);

	fill_room(state_room(state), &in);
	f = inflight_new(state, fds[1]);
	must(f->keeps == !resends && f->nold <= CALLS);
	must(inflight_stack_depth(f) == 0);
	must(inflight_read(f, packet, sizeof(packet)) >= (ssize_t)sizeof(struct fuse_in_header));
	answer_init(f);
	for (i = 0; in.left > 0 && i < 32; i++) {
		input_bytes(&in, packet, sizeof(packet));
		send(fds[0], packet, sizeof(packet), MSG_DONTWAIT);
	}
	serve(f, fds[0]);
	leave(mine);
	mine = NULL;
	pthread_key_delete(f->key);
	free(f);
	state_close(state);
	close(fds[0]);
	close(fds[1]);
	return (0);
}
