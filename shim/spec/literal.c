#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "spec/literal.h"

#define NUMBER_MAX	64	/* longer ones stay as written */

static const char *
bool_text(const char *s)
{
	static const struct {
		const char *word, *text;
	} words[] = {
		{ "true", "True" }, { "yes", "True" }, { "on", "True" },
		{ "false", "False" }, { "no", "False" }, { "off", "False" },
	};
	size_t i, len = strlen(s);

	for (i = 0; i < LENGTH(words); i++)
		if (str_same(s, words[i].word) &&
		    /* word, Word or WORD, not wOrd */
		    (strcmp(s + 1, words[i].word + 1) == 0 ||
		    strcspn(s, "abcdefghijklmnopqrstuvwxyz") == len))
			return (words[i].text);
	return (NULL);
}

/* Digits of a base, underscores dropped; -1 if there is anything else or too much. */
static int
to_number(const char *s, unsigned int base, uint64_t *ret)
{
	uint64_t v = 0;
	unsigned int digit;

	for (; *s != '\0'; s++) {
		if (*s == '_')
			continue;
		if (*s >= '0' && *s <= '9')
			digit = (unsigned int)(*s - '0');
		else if (*s >= 'a' && *s <= 'f')
			digit = (unsigned int)(*s - 'a') + 10;
		else if (*s >= 'A' && *s <= 'F')
			digit = (unsigned int)(*s - 'A') + 10;
		else
			return (-1);
		if (digit >= base || __builtin_mul_overflow(v, (uint64_t)base, &v) ||
		    __builtin_add_overflow(v, (uint64_t)digit, &v))
			return (-1);
	}
	*ret = v;
	return (0);
}

/* NULL: no integer of YAML 1.1, or one that stays as it is. */
static const char *
int_text(const char *text, struct arena *arena)
{
	const char *s = text + (*text == '-' || *text == '+');
	unsigned int base = 10;
	uint64_t v;

	if (*s < '0' || *s > '9')
		return (NULL);
	if (s[0] == '0' && (s[1] == 'x' || s[1] == 'b')) {
		base = s[1] == 'x' ? 16 : 2;
		s += 2;
	} else if (s[0] == '0' && s[1] != '\0') {
		base = 8;
	}
	if (*s == '\0' || to_number(s, base, &v) != 0)
		return (NULL);
	return (arena_printf(arena, "%s%ju", *text == '-' && v != 0 ? "-" : "", (uintmax_t)v));
}

/* YAML 1.1 wants a point; an exponent wants its sign. */
static int
is_float_11(const char *s)
{
	size_t whole, part, sign = *s == '-' || *s == '+';

	s += sign;
	whole = strspn(s, "0123456789_");
	if (whole > 0 && *s == '_')
		return (0);
	if (s[whole] != '.')
		return (0);
	s += whole + 1;
	part = strspn(s, "0123456789_");
	if (whole == 0 && (part == 0 || *s == '_' || sign))
		return (0);
	s += part;
	if (*s == 'e' || *s == 'E') {
		if (s[1] != '-' && s[1] != '+')
			return (0);
		s += 2;
		if (*s == '\0')
			return (0);
		s += strspn(s, "0123456789");
	}
	return (*s == '\0');
}

/* "1.25e-07" as printed with %.*e: digits and exponent as Python's repr() puts them. */
static const char *
repr(const char *scientific, struct arena *arena)
{
	char digits[32] = "";
	size_t n = 0;
	long long exponent = 0;
	const char *s = scientific, *sign = "", *e = scientific + strcspn(scientific, "e");

	if (*s == '-') {
		sign = "-";
		s++;
	}
	for (; s < e && n < sizeof(digits) - 1; s++)
		if (*s != '.')
			digits[n++] = *s;
	while (n > 1 && digits[n - 1] == '0')
		n--;
	digits[n] = '\0';
	(void)str_to_i64(e + (e[1] == '+' ? 2 : 1), -400, 400, &exponent);
	if (exponent < -4 || exponent >= 16)
		return (arena_printf(arena, "%s%c%s%se%c%02lld", sign, digits[0],
		    n > 1 ? "." : "", digits + 1, exponent < 0 ? '-' : '+',
		    exponent < 0 ? -exponent : exponent));
	if (exponent < 0)
		return (arena_printf(arena, "%s0.%.*s%s", sign, (int)(-exponent - 1), "0000",
		    digits));
	if ((size_t)exponent + 1 >= n)
		return (arena_printf(arena, "%s%s%.*s.0", sign, digits,
		    (int)((size_t)exponent + 1 - n), "0000000000000000"));
	return (arena_printf(arena, "%s%.*s.%s", sign, (int)exponent + 1, digits,
	    digits + exponent + 1));
}

static const char *
float_text(const char *text, struct arena *arena)
{
	char plain[NUMBER_MAX + 1], shortest[64];
	size_t i, n = 0;
	double v;
	int precision;

	if (strlen(text) > NUMBER_MAX || !is_float_11(text))
		return (NULL);
	for (i = 0; text[i] != '\0'; i++)
		if (text[i] != '_')
			plain[n++] = text[i];
	plain[n] = '\0';
	v = strtod(plain, NULL);
	if (isinf(v))
		return (v > 0 ? "inf" : "-inf");
	for (precision = 0; precision < 17; precision++) {
		(void)str_format(shortest, sizeof(shortest), "%.*e", precision, v);
		if (!(strtod(shortest, NULL) < v) && !(strtod(shortest, NULL) > v))
			break;
	}
	return (repr(shortest, arena));
}

static const char *
special_text(const char *text)
{
	const char *s = text + (*text == '-' || *text == '+');

	if (strcmp(s, ".inf") == 0 || strcmp(s, ".Inf") == 0 || strcmp(s, ".INF") == 0)
		return (*text == '-' ? "-inf" : "inf");
	if (strcmp(text, ".nan") == 0 || strcmp(text, ".NaN") == 0 || strcmp(text, ".NAN") == 0)
		return ("nan");
	return (NULL);
}

const char *
literal_text(const struct yaml_node *node, struct arena *arena)
{
	const char *text = NULL;

	if (!node->quoted && node->len > 0) {
		text = bool_text(node->text);
		if (text == NULL)
			text = special_text(node->text);
		if (text == NULL)
			text = int_text(node->text, arena);
		if (text == NULL)
			text = float_text(node->text, arena);
	}
	return (arena_strdup(arena, text != NULL ? text : node->text));
}
