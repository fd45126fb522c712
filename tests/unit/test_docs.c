/* docs/TROUBLESHOOTING.md says what the remedies' table says.  Run from the top of the tree. */

#include <string.h>

#include "base/err.h"
#include "base/fd.h"
#include "base/mem.h"
#include "check.h"

int
main(void)
{
	auto_buf struct buf page = BUF_EMPTY;
	struct err err = ERR_EMPTY;
	int remedy;

	if (!check(fd_read_file("docs/TROUBLESHOOTING.md", 1 << 20, &page, &err) == 0))
		return (check_done());
	for (remedy = REMEDY_NONE + 1; remedy < REMEDIES; remedy++)
		check(strstr(buf_str(&page), err_remedy_template((enum err_remedy)remedy)) != NULL);
	return (check_done());
}
