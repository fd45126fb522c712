#include "init/progress.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

#define LOG_EVERY_MS	10000
#define MEASURE_MS	1000
#define NEW_PART	0.3		/* of the rate: what was measured last */
#define BAR_WIDTH	16

/* Of all downloads, or of all uploads.  The total counts when all of them know theirs. */
static struct wire_stats
sum_up(const struct workers *w, enum plan_action action)
{
	struct wire_stats sum = { 0 };
	int known = 1;
	size_t i;

	for (i = 0; i < w->n; i++) {
		const struct wire_stats *s = &w->list[i].stats;

		if (w->list[i].access == NULL || w->list[i].access->action != action)
			continue;
		sum.bytes_read += s->bytes_read;
		sum.bytes_written += s->bytes_written;
		sum.files_done += s->files_done;
		sum.files_kept += s->files_kept;
		sum.files_failed += s->files_failed;
		sum.files_total += s->files_total;
		sum.bytes_total += s->bytes_total;
		known = known && (s->files_total != 0 || w->list[i].done);
	}
	if (!known)
		sum.files_total = sum.bytes_total = 0;
	return (sum);
}

static int64_t
moved(const struct wire_stats *sum)
{
	return (sum->bytes_read + sum->bytes_written);
}

static void
measure(struct progress *p, int64_t bytes, int64_t now)
{
	double rate;

	if (now - p->measured_ms < MEASURE_MS)
		return;
	rate = (double)(bytes - p->measured_bytes) * 1000 / (double)(now - p->measured_ms);
	if (rate < 0)
		rate = 0;		/* a file began anew */
	p->rate = p->rate > 0 ? NEW_PART * rate + (1 - NEW_PART) * p->rate : rate;
	p->measured_ms = now;
	p->measured_bytes = bytes;
}

/* A line in the making.  Not a buf: init does not allocate while the job runs. */
struct line {
	char	*at;
	size_t	 left;
};

static void __attribute__((format(printf, 2, 3)))
add(struct line *to, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(to->at, to->left, fmt, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= to->left)
		n = (int)to->left - 1;
	to->at += n;
	to->left -= (size_t)n;
}

static void
add_bar(struct line *to, int64_t done, int64_t total)
{
	static const char full[] = "================";
	int n = (int)(done >= total ? BAR_WIDTH : done * BAR_WIDTH / total);

	add(to, "[%-*.*s] ", BAR_WIDTH, n, full);
}

static void
add_time_left(struct line *to, int64_t left, double rate)
{
	long long s = rate > 0 ? (long long)((double)left / rate) + 1 : 0;

	if (rate <= 0 || left <= 0 || s > 99 * 3600)
		return;
	if (s >= 3600)
		add(to, ", %lld:%02lld:%02lld left", s / 3600, s / 60 % 60, s % 60);
	else
		add(to, ", %lld:%02lld left", s / 60, s % 60);
}

void
progress_text(char *buf, size_t size, const char *what, const struct wire_stats *sum,
    double rate, int with_bar)
{
	struct line text = { buf, size };
	char done[24], total[24];

	add(&text, "%s ", what);
	if (with_bar && sum->bytes_total > 0)
		add_bar(&text, moved(sum), sum->bytes_total);
	add(&text, "%s", str_bytes(moved(sum), done));
	if (sum->bytes_total > 0)
		add(&text, " of %s", str_bytes(sum->bytes_total, total));
	add(&text, ", %lld", (long long)sum->files_done);
	if (sum->files_total > 0)
		add(&text, "/%lld", (long long)sum->files_total);
	add(&text, " files");
	if (rate > 0)
		add(&text, ", %.1f MiB/s", rate / (1 << 20));
	add_time_left(&text, sum->bytes_total - moved(sum), rate);
}

static void
tell(const char *what, const struct wire_stats *sum, double rate)
{
	const struct log_number numbers[] = { { "bytes", moved(sum) },
	    { "bytes_total", sum->bytes_total }, { "files", sum->files_done },
	    { "files_total", sum->files_total }, { "files_kept", sum->files_kept },
	    { "files_failed", sum->files_failed }, { "bytes_per_second", (long long)rate } };
	char text[160];

	progress_text(text, sizeof(text), what, sum, rate, 0);
	log_numbers(LOG_INFO, what, numbers, LENGTH(numbers), text);
}

void
progress_show(struct progress *p, const struct workers *w, const struct worker *told)
{
	enum plan_action action = told->access != NULL ? told->access->action : PLAN_PASS;
	const char *what = action == PLAN_DOWNLOAD ? "download" : "upload";
	struct wire_stats sum = sum_up(w, action);
	int64_t now = clock_ms();
	char text[160], line[200];

	if (action != PLAN_DOWNLOAD && action != PLAN_UPLOAD)
		return;
	if (p->shown != (int)action + 1)
		*p = (struct progress){ .shown = (int)action + 1, .line_open = p->line_open,
		    .next_ms = now + LOG_EVERY_MS, .measured_ms = now,
		    .measured_bytes = moved(&sum) };
	measure(p, moved(&sum), now);
	if (log_is_text() && isatty(STDERR_FILENO)) {
		progress_text(text, sizeof(text), what, &sum, p->rate, 1);
		str_format(line, sizeof(line), "\r\033[K%s", text);
		log_raw(line, strlen(line));
		p->line_open = 1;
	} else if (now >= p->next_ms) {
		tell(what, &sum, p->rate);
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
