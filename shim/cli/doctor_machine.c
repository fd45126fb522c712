#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "cli/doctor_parts.h"
#include "mount/mountd.h"
#include "plan/issuer.h"

#define MIB		(INT64_C(1) << 20)
#define DISK_LOW	(1024 * MIB)
#define CACHE_DEFAULT	"/tmp/amlshim"		/* as in plan/decide.c */

/* capabilities(7), capget(2): the kernel's ABI, version 3. */
#define CAPABILITY_VERSION_3	0x20080522u
#define CAPABILITY_SYS_ADMIN	21

static int
any_access(const struct doctor *d, int (*test)(const struct plan_access *))
{
	const struct plan *plan = &d->story->plan;
	size_t i;

	for (i = 0; d->has_plan && i < plan->naccesses; i++)
		if (test(&plan->accesses[i]))
			return (1);
	return (0);
}

static int
is_mount(const struct plan_access *a)
{
	return (a->action == PLAN_MOUNT_RO || a->action == PLAN_MOUNT_RW);
}

static int
has_staging(const struct plan_access *a)
{
	return (a->staging != NULL);
}

/* ---- environment ------------------------------------------------------- */

void
doctor_environment(struct doctor *d)
{
	const struct facts *f = &d->story->facts;
	const struct issuer *issuer;
	const char *why = "";

	if (!d->has_facts)
		return;
	issuer = issuer_find(f);
	if (f->msi_endpoint != NULL && f->msi_secret.len == 0)
		why = " (MSI_ENDPOINT is set without MSI_SECRET)";
	else if (f->identity_endpoint != NULL && f->identity_header.len == 0)
		why = " (IDENTITY_ENDPOINT is set without IDENTITY_HEADER)";
	else if (issuer->is_default)
		why = " (no endpoint is set in the environment)";
	findings_add(&d->found, FINDING_OK, "environment", "", "managed identities come from %s%s, "
	    "the submitter's token from %s; cloud %s, workspace %s", issuer->name, why,
	    f->obo_endpoint != NULL ? "OBO_ENDPOINT" : "nowhere (OBO_ENDPOINT is not set)",
	    facts_cloud(f)->name, f->workspace != NULL ? f->workspace : "not known");
}

/* ---- privileges and FUSE ----------------------------------------------- */

static int
effective_capabilities(uint64_t *ret)
{
	struct { uint32_t version; int32_t pid; } head = { CAPABILITY_VERSION_3, 0 };
	struct { uint32_t effective, permitted, inheritable; } sets[2] = { { 0, 0, 0 } };

	if (syscall(SYS_capget, &head, sets) != 0)
		return (-1);
	*ret = (uint64_t)sets[1].effective << 32 | sets[0].effective;
	return (0);
}

void
doctor_capabilities(struct doctor *d)
{
	struct err err = ERR_EMPTY;
	uint64_t set = 0;

	if (effective_capabilities(&set) != 0) {
		err_errno(&err, "read the capabilities", NULL);
		findings_err(&d->found, 0, "capabilities", "", &err);
		return;
	}
	findings_add(&d->found, FINDING_OK, "capabilities", "", "uid %u, effective 0x%llx, %s",
	    geteuid(), (unsigned long long)set,
	    set >> CAPABILITY_SYS_ADMIN & 1 ? "with SYS_ADMIN" : "without SYS_ADMIN");
}

/* A real mount, in a mount namespace of its own, over a directory that has to be there. */
static void __attribute__((noreturn))
try_mount(int to)
{
	static const struct plan_tuning tuning = PLAN_TUNING_UNSAID;
	struct err err = ERR_EMPTY;
	int fd = -1;

	if (unshare(CLONE_NEWNS) != 0 ||
	    mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0) {
		err_errno(&err, "make a mount namespace", NULL);
		err.remedy = REMEDY_GIVE_FUSE;
	} else if (mountd_attach("/dev", "amlshim-doctor", 1, &tuning, &fd, &err) == 0)
		err = ERR_EMPTY;
	if (write(to, &err, sizeof(err)) != (ssize_t)sizeof(err))
		_exit(1);
	_exit(0);		/* the namespace and the mount go with it */
}

/* *ret of kind ERR_NONE: it works. */
static void
mount_in_child(struct err *ret)
{
	auto_close int from = -1;
	int fds[2];
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC) != 0) {
		err_errno(ret, "make a pipe", NULL);
		return;
	}
	from = fds[0];
	pid = fork();
	if (pid == 0)
		try_mount(fds[1]);
	close(fds[1]);
	if (pid < 0) {
		err_errno(ret, "start a process", NULL);
		return;
	}
	if (read(from, ret, sizeof(*ret)) != (ssize_t)sizeof(*ret))
		err_set(ret, ERR_SYSTEM, REMEDY_GIVE_FUSE, "mount", "the attempt was killed");
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		continue;
}

void
doctor_fuse(struct doctor *d)
{
	int needed = any_access(d, is_mount) && !d->opt->fuse_copy;
	struct err err = ERR_EMPTY;

	if (!d->has_plan)
		d->fuse = d->story->facts.fuse;
	if (!d->has_facts)
		return;
	if (facts_no_fuse(d->fuse) != NULL)
		err_set(&err, ERR_SYSTEM, REMEDY_GIVE_FUSE, "mount", "%s",
		    facts_no_fuse(d->fuse));
	else if (d->fuse == FACTS_FUSE_OK)
		mount_in_child(&err);
	if (err.kind == ERR_NONE)
		findings_add(&d->found, FINDING_OK, "fuse", "",
		    "/dev/fuse opens, and a mount works%s",
		    d->fuse == FACTS_FUSE_USERNS ? " in a user namespace" : "");
	else if (needed || any_access(d, is_mount))
		findings_err(&d->found, needed, "fuse", "", &err);
	else
		findings_add(&d->found, FINDING_OK, "fuse", "", "%s; nothing is mounted for this "
		    "job", err.cause);
}

/* ---- disk, /proc, memory ----------------------------------------------- */

/* Written as outputs are: a directory is made, a file in it. */
static int
try_directory(const char *dir, struct err *err)
{
	auto_close int fd = -1;
	char path[512];

	if (fd_mkdir_p(dir, 0700, err) != 0)
		return (-1);
	if (str_format(path, sizeof(path), "%s/.doctor-%d", dir, (int)getpid()) != 0)
		return (err_set(err, ERR_USAGE, REMEDY_FIX_SPEC, "write to the cache directory",
		    "its name is too long"));
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return (err_errno(err, "write to", dir));
	if (fd_write_all(fd, "x", 1) != 0)
		err_errno(err, "write to", dir);
	unlink(path);
	return (err->kind == ERR_NONE ? 0 : -1);
}

void
doctor_cache_dir(struct doctor *d)
{
	const char *dir = d->opt->cache_dir != NULL ? d->opt->cache_dir : CACHE_DEFAULT;
	int needed = any_access(d, has_staging), was_there = access(dir, F_OK) == 0;
	struct err err = ERR_EMPTY;
	struct statvfs fs;
	int64_t left = -1;

	if (try_directory(dir, &err) != 0) {
		err_on(&err, "%s", dir);
		if (err.remedy == REMEDY_NONE)
			err.remedy = REMEDY_CACHE_DIR;
		findings_err(&d->found, needed, "cache-dir", dir, &err);
		return;
	}
	if (statvfs(dir, &fs) == 0)
		left = (int64_t)fs.f_bavail * (int64_t)fs.f_frsize;
	if (!was_there)
		rmdir(dir);
	findings_add(&d->found, needed && left >= 0 && left < DISK_LOW ? FINDING_WARN : FINDING_OK,
	    "cache-dir", dir, "can be written to, %lld MiB are free%s",
	    (long long)(left / MIB), needed ? "" : "; this job stages nothing");
}

void
doctor_proc(struct doctor *d)
{
	if (access("/proc/self/mountinfo", R_OK) == 0)
		findings_add(&d->found, FINDING_OK, "proc", "", "/proc is mounted");
	else
		findings_add(&d->found, FINDING_WARN, "proc", "", "/proc is not mounted: readahead "
		    "of mounts stays at the kernel's default");
}

void
doctor_memory(struct doctor *d)
{
	int64_t wanted = d->has_plan ? d->story->plan.tuning.memory_bytes : 0, have;
	int64_t limit = d->story->facts.memory_limit;
	struct statvfs shm;
	struct sysinfo info;

	if (sysinfo(&info) != 0)
		return;
	have = (int64_t)info.totalram * info.mem_unit;
	if (limit != 0 && limit < have)
		have = limit;
	if (statvfs("/dev/shm", &shm) != 0)
		memset(&shm, 0, sizeof(shm));
	findings_add(&d->found, wanted > have / 2 ? FINDING_WARN : FINDING_OK, "memory", "",
	    "%lld MiB here, mounts take up to %lld MiB (--memory), /dev/shm has %lld MiB",
	    (long long)(have / MIB), (long long)(wanted / MIB),
	    (long long)((int64_t)shm.f_blocks * (int64_t)shm.f_frsize / MIB));
}
