/*
 * /proc/net/tcp and tcp6: a row counts only if both ends are those of the connection, and the
 * owner of one that is told is found among any other rows.
 */

#include "fuzz.h"
#include "identity/peer.c"

static const struct sockaddr_in peer_end = { .sin_family = AF_INET, .sin_port = 0x3930 };
static const struct sockaddr_in own_end = { .sin_family = AF_INET, .sin_port = 0x1f90 };

static void
one_line(const char *text, struct arena *mem)
{
	struct socket_owner owner = { UINT32_MAX, 0 };
	char peer[48], own[48];

	format_end(&peer_end, 0, peer, sizeof(peer));
	format_end(&own_end, 0, own, sizeof(own));
	if (is_socket(arena_strdup(mem, text), peer, own, &owner))
		must(strstr(text, peer) != NULL && strstr(text, own) != NULL && owner.inode > 0);
	must(is_socket(arena_printf(mem, "   0: %s %s 01 00000000:00000000 00:00000000 00000000 "
	    " 1000 0 99 1 0 20 4 30 10 -1\n", peer, own), peer, own, &owner));
	must(owner.uid == 1000 && owner.inode == 99);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { (const char *)data, size };
	const char *file = input_file(data, size);
	struct arena mem = ARENA_EMPTY;
	struct socket_owner owner = { UINT32_MAX, 0 };
	int mapped;

	for (mapped = 0; mapped < 2; mapped++)
		if (read_table(file, mapped, &peer_end, &own_end, &owner) == 0)
			must(owner.inode > 0);
	while (in.left > 0)
		one_line(input_line(&in, &mem), &mem);
	arena_done(&mem);
	return (0);
}
