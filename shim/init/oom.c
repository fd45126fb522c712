#include "init/oom.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/sys.h"

#define LAST_CHOSEN	(-999)		/* -1000 would be never */
#define UNCHANGED	(-2000)

static int inherited = UNCHANGED;

void
oom_protect_self(void)
{
	int was;

	if (sys_get_oom_score_adj(&was) != 0 || was <= LAST_CHOSEN)
		return;
	/* Without CAP_SYS_RESOURCE: down to where somebody with it has put us, often 0. */
	if (sys_set_oom_score_adj(LAST_CHOSEN) == 0 || (was > 0 && sys_set_oom_score_adj(0) == 0))
		inherited = was;
}

void
oom_unprotect(void)
{
	if (inherited != UNCHANGED)
		sys_set_oom_score_adj(inherited);
}

long
oom_parse_kills(const char *text)
{
	static const char key[] = "oom_kill ";
	const char *line;
	long n;

	for (line = text; line != NULL; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (strncmp(line, key, sizeof(key) - 1) == 0) {
			n = strtol(line + sizeof(key) - 1, NULL, 10);
			return (n >= 0 ? n : -1);
		}
	}
	return (-1);
}

static long
read_kills(const char *path)
{
	auto_close int fd = open(path, O_RDONLY | O_CLOEXEC);
	char text[512];
	ssize_t len;

	if (fd < 0 || (len = read(fd, text, sizeof(text) - 1)) < 0)
		return (-1);
	text[len] = '\0';
	return (oom_parse_kills(text));
}

/* Where a container sees its own cgroup. */
long
oom_kills(void)
{
	long kills = read_kills("/sys/fs/cgroup/memory.events");

	return (kills >= 0 ? kills : read_kills("/sys/fs/cgroup/memory/memory.oom_control"));
}
