/*
 * Any bytes on their way to a person or a report: one line, valid UTF-8, nothing that a terminal
 * obeys; JSON that is JSON.
 */

#include "base/json.h"
#include "base/wire.h"
#include "fuzz.h"
#include "spec/yaml.h"

static void
must_be_line(const char *line)
{
	must(wire_is_text(line, strlen(line) + 1));
	must(strpbrk(line, "\r\n\x1b") == NULL);
}

static void
complaint(const char *text, size_t len)
{
	char line[4096], small[40], remedy[1024];
	struct err err = ERR_EMPTY;
	size_t n = len < sizeof(err) ? len : sizeof(err);

	memcpy(&err, text, n);
	err_seal(&err);
	must_be_line(err_line(&err, line, sizeof(line)));
	err_line(&err, small, sizeof(small));
	must(strlen(small) < sizeof(small));
	err_remedy_text(&err, remedy, sizeof(remedy));
	must_be_line(remedy);
	err_fold_remedy(&err);
	must(memchr(err.cause, '\0', sizeof(err.cause)) != NULL);
}

static void
json(const char *text)
{
	auto_buf struct buf out = BUF_EMPTY;
	struct json_out o;
	struct json *j;

	json_out_init(&o, &out, 0);
	json_out_begin(&o, '[');
	json_out_string(&o, text);
	json_out_end(&o, ']');
	j = json_parse(out.data, out.len);
	must(j != NULL && json_string(json_first(j)) != NULL);
	if (wire_is_text(text, strlen(text) + 1))
		must(strcmp(json_string(json_first(j)), text) == 0);
	json_free(j);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena mem = ARENA_EMPTY;
	const char *text = arena_strndup(&mem, (const char *)data, size), *s = text;
	size_t n;

	complaint((const char *)data, size);
	json(text);
	must(strpbrk(yaml_show(text, &mem), "\r\n\x1b\x7f") == NULL);
	while ((n = str_utf8_printable(s, strlen(s))) > 0) {
		must(n <= 4 && n <= strlen(s));
		s += n;
	}
	must(wire_is_text(text, strlen(text) + 1) == (*s == '\0'));
	must(!str_is_visible(text, strlen(text)) || *s == '\0');
	arena_done(&mem);
	return (0);
}
