#include "base/confine.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/fs.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/mem.h"

#if defined(__x86_64__)
#define ARCH	AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCH	AUDIT_ARCH_AARCH64
#else
#error "which AUDIT_ARCH_ is this machine's?"
#endif

#define FIONBIO_CALL	0x5421		/* asm-generic/ioctls.h; libcurl's way to O_NONBLOCK */
#define FUSE_IOC(n)	(0x40000000u | (uint32_t)(n) << 0 | 229u << 8)	/* _IOW(229, n, ...) */
#define FUSE_BACKING_OPEN	(FUSE_IOC(1) | 16u << 16)	/* struct fuse_backing_map */
#define FUSE_BACKING_CLOSE	(FUSE_IOC(2) | 4u << 16)	/* uint32_t */
/* Sanitizers' runtimes call more than the program does. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define IS_SANITIZED	1
#else
#define IS_SANITIZED	0
#endif

#define PROGRAM_MAX	400
#define LANDLOCK_REFER	2		/* the first version that lets one allow renames */
#define MANY		UINT32_MAX

/* In any worker: threads, memory, time, waiting, sockets, a file here and there. */
static const int always[] = {
	__NR_read, __NR_readv, __NR_pread64, __NR_write, __NR_writev, __NR_pwrite64, __NR_close,
	__NR_lseek, __NR_fstat, __NR_newfstatat, __NR_statx, __NR_openat, __NR_fcntl, __NR_dup,
	__NR_dup3, __NR_pipe2, __NR_readlinkat, __NR_faccessat, __NR_getdents64, __NR_unlinkat,
	__NR_renameat, __NR_renameat2, __NR_fchmod, __NR_fchmodat, __NR_fsync, __NR_getcwd,
	__NR_munmap, __NR_mremap, __NR_madvise, __NR_brk, __NR_mlock, __NR_munlock,
	__NR_futex, __NR_exit, __NR_exit_group, __NR_set_tid_address, __NR_set_robust_list,
	__NR_sched_yield, __NR_sched_getaffinity, __NR_membarrier, __NR_restart_syscall,
	__NR_rt_sigaction, __NR_rt_sigprocmask, __NR_rt_sigreturn, __NR_rt_sigtimedwait,
	__NR_rt_sigpending, __NR_sigaltstack, __NR_tgkill, __NR_tkill, __NR_gettid, __NR_getpid,
	__NR_getppid, __NR_getuid, __NR_geteuid, __NR_getgid, __NR_getegid, __NR_uname,
	__NR_getrandom, __NR_prlimit64, __NR_getrlimit, __NR_setrlimit, __NR_getrusage,
	__NR_clock_gettime, __NR_clock_getres, __NR_clock_nanosleep, __NR_nanosleep,
	__NR_gettimeofday, __NR_epoll_create1, __NR_epoll_ctl, __NR_epoll_pwait, __NR_ppoll,
	__NR_pselect6, __NR_eventfd2, __NR_socketpair, __NR_connect, __NR_bind, __NR_accept,
	__NR_accept4, __NR_sendto, __NR_recvfrom, __NR_sendmsg, __NR_recvmsg, __NR_shutdown,
	__NR_getsockname, __NR_getpeername, __NR_setsockopt, __NR_getsockopt,
#ifdef __NR_open	/* the older names of some, which musl prefers where there are any */
	__NR_open, __NR_stat, __NR_lstat, __NR_access, __NR_readlink, __NR_unlink, __NR_rename,
	__NR_chmod, __NR_dup2, __NR_pipe, __NR_poll, __NR_select, __NR_epoll_create,
	__NR_epoll_wait, __NR_eventfd, __NR_time,
#endif
};

/* Besides, where files are staged, copied or served. */
static const int files[] = {
	__NR_preadv, __NR_pwritev, __NR_ftruncate, __NR_truncate, __NR_fallocate, __NR_fdatasync,
	__NR_sync_file_range, __NR_copy_file_range, __NR_fadvise64, __NR_flock, __NR_mkdirat,
	__NR_symlinkat, __NR_linkat, __NR_utimensat, __NR_fchown, __NR_fchownat, __NR_fstatfs,
	__NR_statfs, __NR_splice, __NR_vmsplice, __NR_tee, __NR_msync, __NR_mincore,
	__NR_memfd_create, __NR_umask,
#ifdef __NR_mkdir
	__NR_mkdir, __NR_rmdir, __NR_symlink, __NR_link, __NR_chown, __NR_lchown,
#endif
};

/* Besides, in the agent: what is done in the name of a job that runs as another user. */
static const int tokens[] = { __NR_fchown, __NR_setfsuid, __NR_setfsgid };

/* No worker has a use for these: whoever calls them has taken it over. */
static const int never[] = {
	__NR_execve, __NR_execveat, __NR_ptrace, __NR_process_vm_readv, __NR_process_vm_writev,
	__NR_mount, __NR_umount2, __NR_pivot_root, __NR_chroot, __NR_setns, __NR_unshare,
	__NR_bpf, __NR_perf_event_open, __NR_init_module, __NR_finit_module, __NR_delete_module,
	__NR_kexec_load, __NR_keyctl, __NR_add_key, __NR_request_key, __NR_userfaultfd,
	__NR_io_uring_setup, __NR_open_by_handle_at, __NR_reboot, __NR_personality,
#ifdef __NR_fork
	__NR_fork, __NR_vfork,
#endif
};

/* With an argument that counts: its low half after "& mask" must be one of the values. */
struct limited {
	int		nr;
	unsigned int	arg;
	uint32_t	mask;
	size_t		nvalues;
	uint32_t	values[5];
	int		is_file;	/* of CONFINE_FILES only */
};
static const struct limited limited[] = {
	{ __NR_clone, 0, CLONE_THREAD, 1, { CLONE_THREAD }, 0 },
	{ __NR_mmap, 2, PROT_EXEC, 1, { 0 }, 0 },
	{ __NR_mprotect, 2, PROT_EXEC, 1, { 0 }, 0 },
	{ __NR_socket, 0, MANY, 4, { AF_UNIX, AF_INET, AF_INET6, AF_NETLINK }, 0 },
	{ __NR_prctl, 0, MANY, 1, { PR_SET_NAME }, 0 },
	{ __NR_ioctl, 1, MANY, 1, { FIONBIO_CALL }, 0 },
	{ __NR_ioctl, 1, MANY, 5, { FIONBIO_CALL, FUSE_BACKING_OPEN, FUSE_BACKING_CLOSE,
	    FS_IOC_GETFLAGS, FS_IOC_SETFLAGS }, 1 },
};

struct program {
	struct sock_filter code[PROGRAM_MAX];
	unsigned short	 len;
};

static void
add(struct program *p, uint16_t code, uint32_t k, uint8_t if_true, uint8_t if_false)
{
	p->code[p->len++] = (struct sock_filter){ code, if_true, if_false, k };
}

static void
load(struct program *p, size_t offset)
{
	add(p, BPF_LD | BPF_W | BPF_ABS, (uint32_t)offset, 0, 0);
}

static void
give(struct program *p, uint32_t action)
{
	add(p, BPF_RET | BPF_K, action, 0, 0);
}

static void
give_for(struct program *p, const int *calls, size_t n, uint32_t action)
{
	size_t i;

	for (i = 0; i < n; i++) {
		add(p, BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)calls[i], 0, 1);
		give(p, action);
	}
}

/* Little-endian: the low half of an argument comes first. */
static void
give_limited(struct program *p, const struct limited *l)
{
	size_t i;

	add(p, BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)l->nr, 0, (uint8_t)(3 + 2 * l->nvalues));
	load(p, offsetof(struct seccomp_data, args) + l->arg * sizeof(uint64_t));
	add(p, BPF_ALU | BPF_AND | BPF_K, l->mask, 0, 0);
	for (i = 0; i < l->nvalues; i++) {
		add(p, BPF_JMP | BPF_JEQ | BPF_K, l->values[i], 0, 1);
		give(p, SECCOMP_RET_ALLOW);
	}
	give(p, SECCOMP_RET_ERRNO | EPERM);
}

static void
build(struct program *p, enum confine_kind kind)
{
	size_t i;

	p->len = 0;
	load(p, offsetof(struct seccomp_data, arch));
	add(p, BPF_JMP | BPF_JEQ | BPF_K, ARCH, 1, 0);
	give(p, SECCOMP_RET_KILL_PROCESS);
	load(p, offsetof(struct seccomp_data, nr));
	give_for(p, always, LENGTH(always), SECCOMP_RET_ALLOW);
	if (kind == CONFINE_FILES)
		give_for(p, files, LENGTH(files), SECCOMP_RET_ALLOW);
	else
		give_for(p, tokens, LENGTH(tokens), SECCOMP_RET_ALLOW);
	give_for(p, never, LENGTH(never), SECCOMP_RET_KILL_PROCESS);
	for (i = 0; i < LENGTH(limited); i++)
		if (limited[i].nr != __NR_ioctl || limited[i].is_file == (kind == CONFINE_FILES))
			give_limited(p, &limited[i]);
	give(p, SECCOMP_RET_ERRNO | EPERM);
}

int
confine_self(enum confine_kind kind)
{
	struct program p;
	struct sock_fprog filter = { .filter = p.code };

	if (IS_SANITIZED)
		return (0);
	build(&p, kind);
	filter.len = p.len;
	return ((int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC,
	    &filter));
}

/* All that is handled is refused, but renames, which are allowed below the root. */
static int
refuse_all_but_renames(int rules, int root)
{
	const struct landlock_path_beneath_attr below = {
	    .allowed_access = LANDLOCK_ACCESS_FS_REFER, .parent_fd = root };

	if (syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &below, 0) != 0)
		return (-1);
	return ((int)syscall(SYS_landlock_restrict_self, rules, 0));
}

int
confine_sight(void)
{
	const struct landlock_ruleset_attr handled = {
	    .handled_access_fs = LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_REFER };
	auto_close int root = -1, rules = -1;
	long version;

	if (IS_SANITIZED)
		return (0);
	version = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
	if (version >= 0 && version < LANDLOCK_REFER)
		errno = EOPNOTSUPP;
	if (version < LANDLOCK_REFER)
		return (-1);
	rules = (int)syscall(SYS_landlock_create_ruleset, &handled, sizeof(handled), 0);
	root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	return (rules < 0 || root < 0 ? -1 : refuse_all_but_renames(rules, root));
}
