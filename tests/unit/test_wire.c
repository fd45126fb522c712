/* wire: packets of a fixed size between two processes. */

#include <errno.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/wire.h"
#include "check.h"

static void
messages_arrive_whole(void)
{
	struct wire_msg out = { .type = WIRE_FAILED, .worker = 3, .value = -1 }, in;
	struct wire_cred *cred = calloc(1, sizeof(*cred)), *got = calloc(1, sizeof(*got));
	struct err e = ERR_EMPTY;
	int fds[2], status = 0;
	pid_t child;

	err_set(&out.err, ERR_DENIED, REMEDY_NONE, "mount", "%s", "no");
	cred->kind = WIRE_CRED_SAS;
	memset(cred->text, 'x', sizeof(cred->text));
	check_int(wire_pair(fds, &e), 0);
	child = fork();
	if (child == 0) {
		close(fds[0]);
		_exit(wire_send(fds[1], &out, sizeof(out)) != 0 ||
		    wire_send(fds[1], cred, sizeof(*cred)) != 0);
	}
	close(fds[1]);
	check_int(wire_recv(fds[0], &in, sizeof(in), 5000), 1);
	check(memcmp(&in, &out, sizeof(in)) == 0);
	check_str(in.err.cause, "no");
	check_int(wire_recv(fds[0], got, sizeof(*got), -1), 1);
	check(memcmp(got, cred, sizeof(*got)) == 0);
	check_int(wire_recv(fds[0], &in, sizeof(in), 5000), 0);
	check_int(wire_recv(fds[0], &in, sizeof(in), 0), 0);
	waitpid(child, &status, 0);
	check_int(status, 0);
	check_int(wire_send(fds[0], &in, sizeof(in)), -1);	/* and no SIGPIPE */
	check_int(errno, EPIPE);
	close(fds[0]);
	free(cred);
	free(got);
}

/* An agent that dies before it has answered leaves the question; one that dies right behind its
   answer leaves it as well, and the asker takes one answer. */
static void
questions_outlive_the_agent(void)
{
	static struct wire_cred answers[4], got;
	struct wire_ask ask = { .index = 7 }, seen, next;
	struct err e;
	int fds[2];

	check_int(wire_pair(fds, &e), 0);
	check_int(wire_question(fds[1], &ask, &got, 0), -1);
	check_int(errno, ETIMEDOUT);
	check_int(wire_peek(fds[0], &seen, sizeof(seen), 1000), 1);
	check_int(wire_peek(fds[0], &seen, sizeof(seen), 1000), 1);
	check_int(seen.index, 7);
	check(seen.serial == ask.serial);
	/* Answered twice, too late; then the next question's two answers, one of which stays. */
	answers[0].serial = answers[1].serial = seen.serial;
	check_int(wire_send(fds[0], &answers[0], sizeof(got)), 0);
	check_int(wire_send(fds[0], &answers[1], sizeof(got)), 0);
	check_int(wire_recv(fds[0], &seen, sizeof(seen), 0), 1);
	check_int(wire_question(fds[1], &ask, &got, 0), -1);
	check_int(wire_recv(fds[1], &got, sizeof(got), 0), -1);	/* the old ones were passed over */
	check_int(wire_recv(fds[0], &next, sizeof(next), 0), 1);
	check(next.serial > seen.serial);
	check_int(wire_peek(fds[0], &next, sizeof(next), 0), -1);
	close(fds[0]);
	check_int(wire_question(fds[1], &ask, &got, 1000), -1);
	check_int(errno, EPIPE);
	close(fds[1]);
}

static void
texts_end_and_can_be_printed(void)
{
	check_int(wire_is_text("abc", 4), 1);
	check_int(wire_is_text("abc", 3), 0);		/* no NUL in these bytes */
	check_int(wire_is_text("", 1), 1);
	check_int(wire_is_text("caf\xc3\xa9", 6), 1);
	check_int(wire_is_text("caf\xc3", 5), 0);
	check_int(wire_is_text("a\nb", 4), 0);
	check_int(wire_is_text("a\x1b[2J", 6), 0);
}

static void
a_wrong_size_is_an_error(void)
{
	struct err e = ERR_EMPTY;
	char out[16] = "0123456789", in[16];
	int fds[2];

	check_int(wire_pair(fds, &e), 0);
	wire_send(fds[0], out, 4);
	check_int(wire_recv(fds[1], in, 8, 1000), -1);
	check_int(errno, EBADMSG);
	wire_send(fds[0], out, 12);
	check_int(wire_recv(fds[1], in, 8, 1000), -1);
	check_int(errno, EBADMSG);
	wire_send(fds[0], out, 8);
	check_int(wire_recv(fds[1], in, 8, 1000), 1);
	close(fds[0]);
	close(fds[1]);
	check_int(wire_recv(-1, in, 8, 10), -1);
	check_int(wire_send(-1, in, 8), -1);
}

/* init: who does not read does not hold it up. */
static void
one_does_not_wait(void)
{
	struct err e = ERR_EMPTY;
	char message[1024] = "";
	int fds[2], sent = 0, got = 0;

	check_int(wire_pair(fds, &e), 0);
	while (wire_send_now(fds[0], message, sizeof(message)) == 0)
		sent++;
	check_int(errno, EAGAIN);
	while (wire_recv(fds[1], message, sizeof(message), 0) == 1)
		got++;
	check(sent > 0);
	check_int(got, sent);
	close(fds[1]);
	check_int(wire_send_now(fds[0], message, sizeof(message)), -1);
	check_int(errno, EPIPE);
	close(fds[0]);
}

/* The kernel says ECONNRESET first then; what was sent is there all the same. */
static void
last_words_arrive(void)
{
	struct err e = ERR_EMPTY;
	char out[8] = "unread", in[8];
	int fds[2];

	check_int(wire_pair(fds, &e), 0);
	check_int(wire_send(fds[0], out, sizeof(out)), 0);
	check_int(wire_send(fds[1], "bye    ", 8), 0);
	close(fds[1]);
	check_int(wire_recv(fds[0], in, sizeof(in), 0), 1);
	check_str(in, "bye    ");
	check_int(wire_recv(fds[0], in, sizeof(in), 0), 0);
	close(fds[0]);
}

static void
waiting_ends(void)
{
	struct err e = ERR_EMPTY;
	int64_t begin = clock_ms();
	char in[8];
	int fds[2];

	check_int(wire_pair(fds, &e), 0);
	check_int(wire_recv(fds[1], in, sizeof(in), 0), -1);
	check_int(errno, ETIMEDOUT);
	check_int(wire_recv(fds[1], in, sizeof(in), 50), -1);
	check_int(errno, ETIMEDOUT);
	check(clock_ms() - begin >= 50 && clock_ms() - begin < 5000);
	close(fds[0]);
	close(fds[1]);
}

int
main(void)
{
	messages_arrive_whole();
	texts_end_and_can_be_printed();
	questions_outlive_the_agent();
	a_wrong_size_is_an_error();
	last_words_arrive();
	one_does_not_wait();
	waiting_ends();
	return (check_done());
}
