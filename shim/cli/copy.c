#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/uri.h"
#include "cli/data.h"
#include "cli/place.h"
#include "init/progress.h"

#define SHOW_EVERY_MS	200

static int
fail(const struct err *err)
{
	log_err(err);
	return (err_exit_status(err));
}

static int
refuse(struct err *err, const char *text, const char *why)
{
	err_set(err, ERR_USAGE, REMEDY_SEE_HELP, "copy", "%s", why);
	return (err_on(err, "%s", text));
}

static const char *
last_part(const char *path)
{
	const char *slash = strrchr(path, '/');

	return (slash != NULL ? slash + 1 : path);
}

static const char *
absolute(const char *path, const struct facts *facts, struct arena *mem)
{
	return (path[0] == '/' ? path : arena_printf(mem, "%s/%s", facts->cwd, path));
}

static int
is_folder_here(const char *path)
{
	struct stat st;

	return (stat(path, &st) == 0 && S_ISDIR(st.st_mode));
}

/* ---- by the processes of a job's copies -------------------------------- */

/*
 * A run without a command: the data is brought, or taken away, and that is all.  What a run
 * before has copied is known by a journal of this pair of places.
 */
static int
copy_as_job(struct place *p, struct story *story, const struct options *opt, const char *here,
    const struct init_inherited *inherited, char **envp)
{
	static char *none[] = { NULL };
	struct plan_access *a = p->access;
	auto_buf struct buf pair = BUF_EMPTY;
	struct init_options init = { .inherited = *inherited, .envp = envp, .plan = &p->plan,
	    .spec = &story->spec, .facts = &story->facts, .leftover_ms = 0, .grace_ms = 0,
	    .flush_ms = -1, .start_ms = opt->start_ms, .launch = &opt->launch,
	    .no_subreaper = 1 };

	buf_printf(&pair, "%s\n%s\n%s\n%s", a->base_url, a->container, a->prefix, here);
	a->journal = a->url != NULL ? NULL : arena_printf(&story->mem, "%s.%016llx", a->journal,
	    (unsigned long long)hash_bytes(pair.data, pair.len));
	a->target = here;
	p->plan.broker = PLAN_BROKER_NONE;
	p->plan.argv = none;
	p->plan.cwd = NULL;
	return (init_run(&init));
}

/* ---- from a store ------------------------------------------------------ */

static int
copy_here(struct place *p, struct story *story, const struct options *opt, const char *to,
    const struct init_inherited *inherited, char **envp)
{
	struct plan_access *a = p->access;
	const char *here = absolute(to, &story->facts, &story->mem), *slash;
	struct err err = ERR_EMPTY;

	if (opt->recursive && !a->is_file)
		return (copy_as_job(p, story, opt, here, inherited, envp));
	if (p->names_folder || (a->url == NULL && a->prefix[0] == '\0')) {
		refuse(&err, p->text, "it is a folder: -R copies all that is below");
		return (fail(&err));
	}
	a->is_file = 1;
	if (is_folder_here(here) || str_ends(here, "/"))
		return (copy_as_job(p, story, opt, here, inherited, envp));
	slash = strrchr(here, '/');
	a->file_name = slash + 1;
	return (copy_as_job(p, story, opt, slash == here ? "/" : arena_strndup(&story->mem, here,
	    (size_t)(slash - here)), inherited, envp));
}

/* ---- to a store -------------------------------------------------------- */

/* How far a file is, on a terminal. */
struct sending {
	struct wire_stats stats;
	int64_t		 next_ms;
};

static void
show_sent(void *arg, int64_t more)
{
	struct sending *s = arg;
	char text[160], line[200];

	s->stats.bytes_written += more;
	if (!log_is_text() || !isatty(STDERR_FILENO) || clock_ms() < s->next_ms)
		return;
	s->next_ms = clock_ms() + SHOW_EVERY_MS;
	progress_text(text, sizeof(text), "upload", &s->stats, 0, 1);
	str_format(line, sizeof(line), "\r\033[K%s", text);
	log_raw(line, strlen(line));
}

static int
send_file(struct reach *r, const char *from, struct err *err)
{
	const struct plan_access *a = r->place->access;
	auto_close int fd = open(from, O_RDONLY | O_CLOEXEC);
	auto_buf struct buf name = BUF_EMPTY;
	struct sending sending = { .next_ms = 0 };
	struct stat st;
	int failed;

	if (fd < 0 || fstat(fd, &st) != 0)
		return (err_errno(err, "read", from));
	if (!S_ISREG(st.st_mode))
		return (refuse(err, from, S_ISDIR(st.st_mode) ?
		    "it is a folder: -R copies all that is below" : "it is no regular file"));
	buf_adds(&name, a->prefix);
	if (r->place->names_folder || a->prefix[0] == '\0')
		buf_printf(&name, "%s%s", a->prefix[0] != '\0' ? "/" : "", last_part(from));
	sending.stats.bytes_total = (int64_t)st.st_size;
	failed = store_upload(r->store, buf_str(&name), fd, (int64_t)st.st_size, NULL, NULL,
	    show_sent, &sending, err);
	if (sending.next_ms != 0)
		log_raw("\r\033[K", 4);
	if (failed != 0)
		return (-1);
	log_info("%s is %s/%s", from, a->container, buf_str(&name));
	return (0);
}

static int
copy_there(struct place *p, struct story *story, const struct options *opt, const char *from,
    const struct init_inherited *inherited, char **envp)
{
	struct err err = ERR_EMPTY;
	struct reach r;
	int status = 0;

	if (opt->recursive && is_folder_here(from))
		return (copy_as_job(p, story, opt, absolute(from, &story->facts, &story->mem),
		    inherited, envp));
	place_take_signals(inherited);
	if (reach_open(&r, p, &story->facts, &err) != 0 || send_file(&r, from, &err) != 0)
		status = fail(&err);
	reach_close(&r);
	return (status);
}

int
cp_command(const struct options *opt, const struct init_inherited *inherited, char **envp)
{
	static struct story story;
	static struct place place;
	const char *from = opt->argv[0], *to = from != NULL ? opt->argv[1] : NULL;
	struct err err = ERR_EMPTY;
	int is_upload;

	log_set_process("cp");
	if (to == NULL || opt->argv[2] != NULL) {
		err_set(&err, ERR_USAGE, REMEDY_SEE_HELP, "copy", "expected FROM and TO");
		return (fail(&err));
	}
	is_upload = place_is_here(from);
	if (is_upload == place_is_here(to)) {
		refuse(&err, to, is_upload ? "neither place is in a store" :
		    "one of the places has to be a path here");
		return (fail(&err));
	}
	if (story_read(&story, opt, envp, &err) != 0 ||
	    place_decide(&place, &story, opt, is_upload ? to : from, is_upload, &err) != 0)
		return (fail(&err));
	return (is_upload ? copy_there(&place, &story, opt, from, inherited, envp) :
	    copy_here(&place, &story, opt, to, inherited, envp));
}
