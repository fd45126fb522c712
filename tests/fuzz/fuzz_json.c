/* json_parse, and every reader on every value of what it accepts. */

#include "base/json.h"
#include "fuzz.h"

static void
copy(struct json_out *o, const struct json *j)
{
	const struct json *child;
	int64_t n = 0;
	int b = 0;

	switch (json_type(j)) {
	case JSON_ARRAY:
	case JSON_OBJECT:
		if (o->depth + 2 >= (int)sizeof(o->used)) {
			json_out_string(o, NULL);
			break;
		}
		json_out_begin(o, json_type(j) == JSON_ARRAY ? '[' : '{');
		for (child = json_first(j); child != NULL; child = json_next(child)) {
			if (json_key(child) != NULL)
				json_out_key(o, json_key(child));
			copy(o, child);
		}
		json_out_end(o, json_type(j) == JSON_ARRAY ? ']' : '}');
		break;
	case JSON_NUMBER:
		if (json_int(j, &n) != 0)
			n = json_double(j) > 0 ? 1 : 0;
		json_out_int(o, n);
		break;
	case JSON_STRING:
		if (json_int(j, &n) == 0 && json_string(j) == NULL)
			abort();
		json_out_string(o, json_string(j));
		break;
	case JSON_BOOL:
		if (json_bool(j, &b) != 0)
			abort();
		json_out_bool(o, b);
		break;
	case JSON_NULL:
	default:
		json_out_string(o, NULL);
		break;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	auto_buf struct buf first = BUF_EMPTY, second = BUF_EMPTY;
	struct json *j = json_parse((const char *)data, size);
	struct json_out o;

	if (j == NULL)
		return (0);
	json_out_init(&o, &first, size % 2 == 1);
	copy(&o, j);
	json_free(j);

	/* What we write we read, and write again as it was. */
	j = json_parse(first.data, first.len);
	if (j == NULL)
		abort();
	json_out_init(&o, &second, size % 2 == 1);
	copy(&o, j);
	json_free(j);
	if (strcmp(buf_str(&first), buf_str(&second)) != 0)
		abort();
	return (0);
}
