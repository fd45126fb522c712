#include "azure/challenge.h"

#include <string.h>
#include <strings.h>

#include "base/mem.h"

static const char *
skip_blanks(const char *s)
{
	return (s + strspn(s, " \t"));
}

static int
is_name_char(char c)
{
	return (c > ' ' && c < 0x7f && strchr("\"(),/:;<=>?@[\\]{}", c) == NULL);
}

static int
is_plain_char(char c)
{
	return (c > ' ' && c < 0x7f && strchr("\",\\", c) == NULL);
}

static int
take_name(const char **s, char *to, size_t size)
{
	size_t n = 0;

	for (; is_name_char(**s); (*s)++) {
		if (n + 1 >= size)
			return (-1);
		to[n++] = **s;
	}
	to[n] = '\0';
	return (n > 0 ? 0 : -1);
}

/* A plain value or a quoted string; *s moves behind it. */
static int
take_value(const char **s, char *to, size_t size)
{
	int quoted = **s == '"';
	size_t n = 0;

	for (*s += quoted; quoted ? **s != '"' : is_plain_char(**s); (*s)++) {
		if (quoted && **s == '\\')
			(*s)++;
		if ((unsigned char)**s < ' ' || **s == 0x7f || n + 1 >= size)
			return (-1);
		to[n++] = **s;
	}
	to[n] = '\0';
	*s += quoted;
	return (quoted || n > 0 ? 0 : -1);
}

static int
keep(const struct challenge_field *fields, size_t n, const char *name, const char *value)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (str_same(fields[i].name, name)) {
			if (fields[i].to[0] != '\0' || strlen(value) >= fields[i].size)
				return (-1);
			return (str_format(fields[i].to, fields[i].size, "%s", value));
		}
	return (0);
}

int
challenge_read(const char *header, const char *scheme, const struct challenge_field *fields,
    size_t n)
{
	const char *s = skip_blanks(header);
	char name[64], value[512];
	size_t i;

	for (i = 0; i < n; i++)
		fields[i].to[0] = '\0';
	if (strncasecmp(s, scheme, strlen(scheme)) != 0)
		return (-1);
	s += strlen(scheme);
	if (*s != '\0' && *s != ' ' && *s != '\t')
		return (-1);
	for (s = skip_blanks(s); *s != '\0';) {
		if (take_name(&s, name, sizeof(name)) != 0 || *s != '=')
			return (-1);
		s++;
		if (take_value(&s, value, sizeof(value)) != 0 ||
		    keep(fields, n, name, value) != 0)
			return (-1);
		if (*s != '\0' && *s != ',' && *s != ' ' && *s != '\t')
			return (-1);
		s = skip_blanks(s);
		if (*s == ',' && *(s = skip_blanks(s + 1)) == '\0')
			return (-1);
	}
	return (0);
}
