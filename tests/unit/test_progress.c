/* progress: the one line about all copies. */

#include "check.h"
#include "init/progress.h"

static const char *
text(const struct wire_stats *sum, double rate, int with_bar)
{
	static char line[160];

	progress_text(line, sizeof(line), "download", sum, rate, with_bar);
	return (line);
}

int
main(void)
{
	char narrow[15];
	struct wire_stats sum = { .bytes_read = 3 << 20, .files_done = 2 };

	check_str(text(&sum, 0, 1), "download 3.0 MiB, 2 files");
	sum.files_total = 40;
	sum.bytes_total = 12 << 20;
	check_str(text(&sum, 0, 0), "download 3.0 MiB of 12.0 MiB, 2/40 files");
	check_str(text(&sum, 1 << 20, 0),
	    "download 3.0 MiB of 12.0 MiB, 2/40 files, 1.0 MiB/s, 0:10 left");
	check_str(text(&sum, 1 << 20, 1), "download [====            ] 3.0 MiB of 12.0 MiB, "
	    "2/40 files, 1.0 MiB/s, 0:10 left");
	sum.bytes_total = (int64_t)9999 << 20;
	check_str(text(&sum, 1 << 20, 0),
	    "download 3.0 MiB of 9.8 GiB, 2/40 files, 1.0 MiB/s, 2:46:37 left");
	sum.bytes_read = sum.bytes_total + 5;	/* pieces that were fetched twice */
	check_str(text(&sum, 1 << 20, 1), "download [================] 9.8 GiB of 9.8 GiB, "
	    "2/40 files, 1.0 MiB/s");
	sum = (struct wire_stats){ .bytes_written = 5, .files_done = 1, .files_total = 1,
	    .bytes_total = 5 };
	check_str(text(&sum, 2.5e9, 0), "download 5 B of 5 B, 1/1 files, 2384.2 MiB/s");
	progress_text(narrow, sizeof(narrow), "download", &sum, 0, 1);
	check_str(narrow, "download [====");
	return (check_done());
}
