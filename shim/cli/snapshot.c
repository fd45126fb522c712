#include "cli/snapshot.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "init/snapshot.h"

static int
fail(const struct err *err)
{
	log_err(err);
	return (err_exit_status(err));
}

static int
usage(const char *cause)
{
	struct err err = ERR_EMPTY;

	err_set(&err, ERR_USAGE, REMEDY_SEE_HELP, "read the options", "%s", cause);
	return (fail(&err));
}

int
snapshot_command(const struct options *opt)
{
	auto_buf struct buf text = BUF_EMPTY;
	const char *dir = NULL, *output = NULL;
	char *const *word;
	struct err err = ERR_EMPTY;

	for (word = opt->argv; *word != NULL; word++) {
		if (str_starts(*word, "--output="))
			output = *word + strlen("--output=");
		else if (strcmp(*word, "--output") == 0 && word[1] != NULL)
			output = *++word;
		else if (dir == NULL && (*word)[0] != '-')
			dir = *word;
		else
			return (usage("expected amlshim snapshot DIR [--output FILE]"));
	}
	if (dir == NULL)
		return (usage("expected the folder of the code: amlshim snapshot DIR"));
	if (snapshot_write(dir, &text, &err) != 0)
		return (fail(&err));
	if (output != NULL) {
		if (fd_replace_file(output, text.data, text.len, 0644, &err) != 0)
			return (fail(&err));
	} else if (fd_write_all(STDOUT_FILENO, text.data, text.len) != 0) {
		err_errno(&err, "write", "standard output");
		return (fail(&err));
	}
	return (0);
}

/* --- the check ------------------------------------------------------------------------ */

static const int stop_signals[] = { SIGTERM, SIGINT, SIGQUIT, SIGHUP };

/* Signals are blocked until there is a job: one that waits ends the check.  0: none. */
static int
stop_signal(void)
{
	sigset_t waiting;
	size_t i;

	if (sigpending(&waiting) != 0)
		return (0);
	for (i = 0; i < LENGTH(stop_signals); i++)
		if (sigismember(&waiting, stop_signals[i]) == 1)
			return (stop_signals[i]);
	return (0);
}

/* Where the job will start: its own folder if that is there. */
static const char *
code_folder(const struct story *story)
{
	const char *cwd = story != NULL ? story->plan.cwd : NULL;
	struct stat st;

	return (cwd != NULL && stat(cwd, &st) == 0 && S_ISDIR(st.st_mode) ? cwd : ".");
}

static void
log_report(const struct snapshot_report *r)
{
	size_t i;

	for (i = 0; i < r->nnamed; i++)
		log_error("code %s: %s", snapshot_fault_name(r->named[i].fault),
		    r->named[i].path);
}

static int
verify(const char *dir, const char *manifest, struct err *err)
{
	struct snapshot_report r;
	struct arena mem = ARENA_EMPTY;
	int status = 0;

	if (snapshot_verify(dir, manifest, stop_signal, &r, &mem, err) != 0) {
		log_report(&r);
		status = fail(err);
		if (err->kind == ERR_SYSTEM && stop_signal() != 0)
			status = 128 + stop_signal();
	} else {
		log_info("code is that of its snapshot files=%zu snapshot=%s", r.files, manifest);
	}
	arena_done(&mem);
	return (status);
}

/* A pipe would keep us waiting, deaf to signals: the code's own is a file. */
static int
refuse_own(const char *own, struct err *err)
{
	err_set(err, ERR_USAGE, REMEDY_CODE_SNAPSHOT, "read the snapshot",
	    "it is no regular file");
	err_on(err, "%s", own);
	return (fail(err));
}

int
snapshot_check(const struct options *opt, const struct story *story, struct err *err)
{
	const char *dir = code_folder(story), *own;
	struct arena mem = ARENA_EMPTY;
	struct stat st;
	int status = 0;

	if (opt->snapshot != NULL)
		return (verify(dir, opt->snapshot, err));
	if (story == NULL || story->spec.job.identity.type != SPEC_IDENTITY_USER)
		return (0);
	own = arena_printf(&mem, "%s/" SNAPSHOT_NAME, dir);
	if (stat(own, &st) == 0 && !S_ISREG(st.st_mode))
		status = refuse_own(own, err);
	else if (lstat(own, &st) == 0 || errno != ENOENT)
		status = verify(dir, own, err);
	else if (story->spec.job.code != NULL)
		log_warning("the job runs as its submitter, and its code in %s has no snapshot to "
		    "be checked against: amlshim snapshot writes one", dir);
	arena_done(&mem);
	return (status);
}
