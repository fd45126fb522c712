/* challenge: the forms that Azure's services write, and what is none of them. */

#include "azure/challenge.h"
#include "check.h"

static void
test_forms(void)
{
	static const struct { const char *header, *a, *b; int failed; } rows[] = {
		{ "Bearer a=\"1\",b=\"2\"", "1", "2", 0 },
		{ "Bearer a=\"1\", b=\"2\"", "1", "2", 0 },
		{ "bearer\tA=1 ,B=2", "1", "2", 0 },
		{ "Bearer a=https://h/t?x=1 b=https://h:1/", "https://h/t?x=1", "https://h:1/", 0 },
		{ "Bearer other=\"b=3, \\\"b=4\\\"\",b=\"\"", "", "", 0 },
		{ "  Bearer  a=1  ", "1", "", 0 },
		{ "Bearer", "", "", 0 },
		{ "Bearer a=1 b", "1", "", -1 },
		{ "Bearer a=1, Basic realm=\"x\"", "1", "", -1 },
		{ "Bearer a=1,", "1", "", -1 },
		{ "Bearer a=1,,b=2", "1", "", -1 },
		{ "Bearer ,a=1", "", "", -1 },
		{ "Bearer a=1,a=2", "1", "", -1 },
		{ "Bearer a=\"1\"b=2", "1", "", -1 },
		{ "Bearer a=12345678901234567890", "", "", -1 },	/* too long */
		{ "Bearer a=\"1\x01\"", "", "", -1 },
		{ "Bearer a=\"1", "", "", -1 },
		{ "Bearer a=\"1\\", "", "", -1 },
		{ "Bearer a=", "", "", -1 },
		{ "Bearer a = 1", "", "", -1 },
		{ "Bearer a\"=1", "", "", -1 },
		{ "Bearers a=1", "", "", -1 },
		{ "Basic a=1", "", "", -1 },
		{ "", "", "", -1 },
	};
	char a[20], b[20];
	const struct challenge_field fields[] = { { "a", a, sizeof(a) }, { "b", b, sizeof(b) } };
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (!check_int(challenge_read(rows[i].header, "Bearer", fields, 2), rows[i].failed))
			printf("# %s\n", rows[i].header);
		check_str(a, rows[i].a);
		check_str(b, rows[i].b);
	}
}

int
main(void)
{
	test_forms();
	return (check_done());
}
