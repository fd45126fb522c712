#include "base/proc.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"

#define START_AFTER_PARENT 18	/* fields 4 and 22 of the line */

int
proc_is_own(void)
{
	char text[16];
	long long number;
	ssize_t len = readlink("/proc/self", text, sizeof(text) - 1);

	if (len <= 0)
		return (0);
	text[len] = '\0';
	return (str_to_i64(text, 1, INT32_MAX, &number) == 0 && number == getpid());
}

/* The number at *at; *at moves behind the blank that follows it. */
static int
next_number(char **at, int64_t *ret)
{
	size_t len = strcspn(*at, " \n");
	char *end = *at + len;
	long long number;
	int last = *end == '\0';

	*end = '\0';
	if (str_to_i64(*at, INT64_MIN, INT64_MAX, &number) != 0)
		return (-1);
	*ret = number;
	*at = last ? end : end + 1;
	return (0);
}

int
proc_parse_stat(char *text, struct proc_stat *ret)
{
	char *name = strchr(text, '('), *at = strrchr(text, ')');
	int64_t number;
	int i;

	/* PID (NAME) STATE PARENT ... */
	if (name == NULL || at == NULL || at < name || strlen(at) < strlen(") S 1"))
		return (-1);
	*at = '\0';
	str_format(ret->comm, sizeof(ret->comm), "%s", name + 1);
	ret->state = at[2];
	at += strlen(") S ");
	if (next_number(&at, &number) != 0 || number < 0 || number > INT32_MAX)
		return (-1);
	ret->parent = (pid_t)number;
	for (i = 0; i < START_AFTER_PARENT; i++)
		if (next_number(&at, &number) != 0)
			return (-1);
	ret->start = (uint64_t)number;
	return (0);
}

int
proc_read_stat(pid_t pid, struct proc_stat *ret)
{
	char path[32], text[1024];
	ssize_t len;
	int fd;

	str_format(path, sizeof(path), "/proc/%d/stat", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return (-1);
	len = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (len <= 0)
		return (-1);
	text[len] = '\0';
	return (proc_parse_stat(text, ret));
}

int
proc_has_socket(pid_t pid, uint64_t inode)
{
	char path[32], wanted[40], text[40];
	struct dirent *entry;
	int found = 0;
	ssize_t len;
	DIR *fds;

	str_format(path, sizeof(path), "/proc/%d/fd", (int)pid);
	str_format(wanted, sizeof(wanted), "socket:[%" PRIu64 "]", inode);
	fds = opendir(path);
	if (fds == NULL)
		return (0);
	while (!found && (entry = readdir(fds)) != NULL) {
		len = readlinkat(dirfd(fds), entry->d_name, text, sizeof(text) - 1);
		if (len <= 0)
			continue;
		text[len] = '\0';
		found = strcmp(text, wanted) == 0;
	}
	closedir(fds);
	return (found);
}

int
proc_each(int (*fn)(void *, pid_t), void *arg)
{
	DIR *proc = opendir("/proc");
	struct dirent *entry;
	long long number;
	int done = 0;

	if (proc == NULL)
		return (-1);
	while (done == 0 && (entry = readdir(proc)) != NULL)
		if (str_to_i64(entry->d_name, 1, INT32_MAX, &number) == 0)
			done = fn(arg, (pid_t)number);
	closedir(proc);
	return (done);
}
