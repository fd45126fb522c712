#ifndef BASE_SECRET_FD_H
#define BASE_SECRET_FD_H

/*
 * secret_fd -- secrets in memory that has a descriptor: whoever holds it need not map it.
 *
 * A process can so keep for its children what it must not know itself.  memfd_secret(2), where the
 * kernel has it, is locked, in no core dump, and cannot be read through /proc/PID/mem or by a
 * system call, not even by root (Linux mm/secretmem.c); else a sealed memfd.
 */

#include <stddef.h>

#include "base/err.h"
#include "base/secret.h"

/* Of n secrets in this order.  The descriptor, close-on-exec, or -1. */
int	secret_fd_new(struct secret *const *list, size_t n, struct err *);
/*
 * The same n, in the same order: their texts are read-only memory that stays mapped, not to be
 * given to secret_done().
 * fails    ERR_BUG: it holds another number of them
 */
int	secret_fd_open(int fd, struct secret *const *list, size_t n, struct err *);

#endif
