/* What an exit report must not tell. */

#include <string.h>

#include "check.h"
#include "init/report.h"

static const char *const rows[][2] = {
	{ "python train.py --epochs 3", "python train.py --epochs 3" },
	{ "train --token abc --x 1", "train --token *** --x 1" },
	{ "--api-key=abc", "--api-key=***" },
	{ "https://x.blob.y/c?sv=1&sig=a%2Bb&se=2", "https://x.blob.y/c?sv=1&sig=***&se=2" },
	{ "curl -H 'Authorization: Bearer abc.def' u", "curl -H 'Authorization:***' u" },
	{ "curl -H 'X: Bearer abc'", "curl -H 'X: Bearer ***'" },
	{ "bearer abc", "bearer ***" },
	{ "DefaultEndpoints=a;AccountKey=abc==;b", "DefaultEndpoints=a;AccountKey=***" },
	{ "PASSWORD='a b' run", "PASSWORD=*** run" },
	{ "x eyJ0eXAi.eyJ.abc y", "x eyJ*** y" },
	{ "design monkey key turkey bar", "design monkey key turkey bar" },
	{ "--keyboard us", "--keyboard us" },
	{ "--secret", "--secret" },
	{ "", "" },
};

int
main(void)
{
	struct buf out = BUF_EMPTY;
	size_t i;

	for (i = 0; i < LENGTH(rows); i++) {
		buf_reset(&out);
		report_add_redacted(&out, rows[i][0]);
		check_str(buf_str(&out), rows[i][1]);
	}
	buf_done(&out);
	return (check_done());
}
