#include "form.h"

#include <string.h>

#include "base/uri.h"

#define FORM_MAX	65536

static int
is_form(const char *type)
{
	static const char form[] = "application/x-www-form-urlencoded";
	size_t n = strlen(form);

	return (type != NULL && strncasecmp(type, form, n) == 0 &&
	    (type[n] == '\0' || type[n] == ';' || type[n] == ' '));
}

static int
add(struct pairs *to, char *word)
{
	char *value = strchr(word, '='), *c;

	if (value == NULL)
		return (-1);
	*value++ = '\0';
	for (c = value; *c != '\0'; c++)
		if (*c == '+')
			*c = ' ';
	if (uri_decode(word) < 0 || uri_decode(value) < 0 || pairs_get(to, word) != NULL)
		return (-1);
	pairs_add(to, word, value);
	return (0);
}

int
form_read(struct exchange *ex, struct pairs *ret)
{
	auto_buf struct buf body = BUF_EMPTY;
	char *rest, *word;

	if (exchange_read_body(ex, FORM_MAX, &body) != 0)
		return (-3);
	if (!is_form(exchange_header(ex, "content-type")))
		return (-1);
	rest = body.data;
	while (rest != NULL && (word = strsep(&rest, "&")) != NULL)
		if (*word != '\0' && add(ret, word) != 0)
			return (-2);
	return (0);
}
