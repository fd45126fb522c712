/*
 * mountinfo: a device is found for a mount point however that is escaped, and no other row
 * is taken for it.  Below, the target, then the rows.
 */

#include "fuzz.h"
#include "mount/attach.c"

static void
escape(struct buf *to, const char *path)
{
	for (; *path != '\0'; path++)
		if (strchr(" \t\n\\", *path) != NULL)
			buf_printf(to, "\\%03o", (unsigned char)*path);
		else
			buf_addc(to, *path);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	auto_buf struct buf row = BUF_EMPTY;
	struct input in = { (const char *)data, size };
	struct arena mem = ARENA_EMPTY;
	char *target = input_part(&in, &mem), *rows = input_part(&in, &mem), device[32];
	char *own;

	if (find_mount(arena_strdup(&mem, rows), target, device) == 0)
		must(device[0] != '\0' || strstr(rows, "  ") != NULL);
	buf_adds(&row, "36 35 98:0 /a ");
	escape(&row, target);
	buf_adds(&row, " rw,noatime master:1 - fuse amlshim rw\n");
	own = arena_strdup(&mem, row.data);
	must(find_mount(own, target, device) == 0 && strcmp(device, "98:0") == 0);
	unescape(rows);
	arena_done(&mem);
	return (0);
}
