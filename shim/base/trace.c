#include "base/trace.h"

#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/json.h"

/* Set before the first fork; only read afterwards. */
static int fd = -1;

int
trace_open(const char *path, struct err *err)
{
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
	if (fd < 0 || fd_write_all(fd, "[\n", 2) != 0)
		return (err_errno(err, "write the trace", path));
	trace_process("init");
	return (0);
}

void
trace_adopt(int inherited)
{
	fd = inherited;
}

int
trace_fd(void)
{
	return (fd);
}

int
trace_on(void)
{
	return (fd >= 0);
}

int64_t
trace_begin(void)
{
	return (trace_on() ? clock_us() : 0);
}

static void
begin_event(struct json_out *out, struct buf *text, const char *phase, const char *name)
{
	json_out_init(out, text, 0);
	json_out_begin(out, '{');
	json_out_kstring(out, "ph", phase);
	json_out_kstring(out, "name", name);
	json_out_kint(out, "pid", getpid());
	json_out_kint(out, "tid", (int64_t)syscall(SYS_gettid));
}

static void
write_events(const struct buf *text)
{
	if (lseek(fd, 0, SEEK_CUR) > TRACE_BYTES_MAX ||		/* of all processes together */
	    write(fd, text->data, text->len) != (ssize_t)text->len)
		return;			/* a full disk costs the trace, nothing else */
}

static void
end_event(struct json_out *out, struct buf *text, const char *separator)
{
	json_out_end(out, '}');
	buf_adds(text, separator);
}

static void
put_args(struct json_out *out, const char *detail, const char *value, int64_t number)
{
	json_out_key(out, "args");
	json_out_begin(out, '{');
	if (detail != NULL)
		json_out_kstring(out, "detail", detail);
	if (value != NULL)
		json_out_kint(out, value, number);
	json_out_end(out, '}');
}

void
trace_span(const char *category, const char *name, int64_t began_us, const char *detail,
    const char *value, int64_t number)
{
	auto_buf struct buf text = BUF_EMPTY;
	struct json_out out;

	if (!trace_on())
		return;
	begin_event(&out, &text, "X", name);
	json_out_kstring(&out, "cat", category);
	json_out_kint(&out, "ts", began_us);
	json_out_kint(&out, "dur", clock_us() - began_us);
	put_args(&out, detail, value, number);
	end_event(&out, &text, ",\n");
	write_events(&text);
}

void
trace_request(const char *category, const char *name, int64_t began_us, const char *detail,
    const char *value, int64_t number)
{
	static _Atomic int64_t last_id;
	auto_buf struct buf text = BUF_EMPTY;
	struct json_out out;
	int64_t id;

	if (!trace_on())
		return;
	id = ++last_id;
	begin_event(&out, &text, "b", name);
	json_out_kstring(&out, "cat", category);
	json_out_kint(&out, "id", id);
	json_out_kint(&out, "ts", began_us);
	put_args(&out, detail, value, number);
	end_event(&out, &text, ",\n");
	begin_event(&out, &text, "e", name);
	json_out_kstring(&out, "cat", category);
	json_out_kint(&out, "id", id);
	json_out_kint(&out, "ts", clock_us());
	end_event(&out, &text, ",\n");
	write_events(&text);
}

static void
name_process(const char *name, const char *separator)
{
	auto_buf struct buf text = BUF_EMPTY;
	struct json_out out;

	begin_event(&out, &text, "M", "process_name");
	json_out_key(&out, "args");
	json_out_begin(&out, '{');
	json_out_kstring(&out, "name", name);
	json_out_end(&out, '}');
	end_event(&out, &text, separator);
	if (write(fd, text.data, text.len) != (ssize_t)text.len)
		return;
}

void
trace_process(const char *name)
{
	if (trace_on())
		name_process(name, ",\n");
}

void
trace_close(void)
{
	if (!trace_on())
		return;
	name_process("init", "\n]\n");		/* again: the last event has no comma after it */
	mem_close_fd(&fd);
}
