/* memgrep PID TEXT: how often the memory that the process can read holds the text. */

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static unsigned long
count(int mem, unsigned long from, unsigned long to, const char *text)
{
	size_t len = strlen(text), size = to - from;
	unsigned long n = 0;
	char *bytes = malloc(size), *at;
	ssize_t got;

	if (bytes == NULL)
		return (0);
	got = pread(mem, bytes, size, (off_t)from);
	at = bytes;
	while (got > 0 && (at = memmem(at, (size_t)(bytes + got - at), text, len)) != NULL) {
		n++;
		at += len;
	}
	free(bytes);
	return (n);
}

int
main(int argc, char **argv)
{
	unsigned long from, to, n = 0;
	char path[64], line[512];
	FILE *maps;
	int mem;

	if (argc != 3)
		return (2);
	snprintf(path, sizeof(path), "/proc/%s/maps", argv[1]);
	maps = fopen(path, "re");
	snprintf(path, sizeof(path), "/proc/%s/mem", argv[1]);
	mem = open(path, O_RDONLY | O_CLOEXEC);
	if (maps == NULL || mem < 0)
		return (2);
	while (fgets(line, sizeof(line), maps) != NULL)
		if (sscanf(line, "%lx-%lx r", &from, &to) == 2 && strstr(line, "[v") == NULL &&
		    to - from < 1UL << 30)
			n += count(mem, from, to, argv[2]);
	printf("%lu\n", n);
	return (ferror(maps) ? 2 : 0);
}
