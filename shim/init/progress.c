#include "init/progress.h"

#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

#define LOG_EVERY_MS	10000

const char *
progress_bytes(int64_t bytes, char buf[24])
{
	static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB" };
	double value = (double)bytes;
	size_t unit = 0;

	while (value >= 1024 && unit + 1 < LENGTH(units)) {
		value /= 1024;
		unit++;
	}
	str_format(buf, 24, unit == 0 ? "%.0f %s" : "%.1f %s", value, units[unit]);
	return (buf);
}

static void
describe(char *buf, size_t size, const char *name, const struct wire_stats *stats)
{
	char done[24], total[24];
	int64_t moved = stats->bytes_read > stats->bytes_written ? stats->bytes_read :
	    stats->bytes_written;

	progress_bytes(moved, done);
	if (stats->bytes_total > 0)
		str_format(buf, size, "%s: %s of %s, %lld of %lld files", name, done,
		    progress_bytes(stats->bytes_total, total), (long long)stats->files_done,
		    (long long)stats->files_total);
	else
		str_format(buf, size, "%s: %s, %lld files", name, done,
		    (long long)stats->files_done);
}

void
progress_show(struct progress *p, const char *name, const struct wire_stats *stats)
{
	char text[160], line[200];
	int64_t now = clock_ms();

	describe(text, sizeof(text), name, stats);
	if (isatty(STDERR_FILENO)) {
		str_format(line, sizeof(line), "\r\033[K%s", text);
		log_raw(line, strlen(line));
		p->line_open = 1;
		return;
	}
	if (p->next_ms == 0)
		p->next_ms = now + LOG_EVERY_MS;
	if (now >= p->next_ms) {
		log_notice("%s", text);
		p->next_ms = now + LOG_EVERY_MS;
	}
}

void
progress_clear(struct progress *p)
{
	if (p->line_open)
		log_raw("\r\033[K", 4);
	p->line_open = 0;
}
