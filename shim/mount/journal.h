#ifndef MOUNT_JOURNAL_H
#define MOUNT_JOURNAL_H

/*
 * journal -- what a copy has done so far, for the run that goes on after an interruption.
 *
 * A map from 128-bit keys to 64-bit values in a file that only grows: a header, then one
 * record of 24 bytes a fact, appended by one write.  Keys are the start of the SHA-256 of
 * a text, so that a million files cost 24 MB and names need no escaping.  Of two records of
 * one key the later counts; an incomplete one at the end (the process was killed in it) is cut
 * off.
 *
 * Nothing is fsynced.  What a killed process wrote is in the page cache, so a journal is
 * believed for as long as the kernel runs that it was written under: the header holds the boot
 * id (/proc/sys/kernel/random/boot_id), and after a reboot, or on another machine, the
 * journal begins anew.  It also begins anew when its purpose (what is copied from where to
 * where) is another.
 *
 * One process has it at a time (flock).  All others take NULL: no journal.
 * journal_find, journal_add: any thread.
 */

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct journal;

struct journal_key { unsigned char bytes[16]; };

/* The key of a text. */
void	journal_key(struct journal_key *ret, const char *fmt, ...)
	    __attribute__((format(printf, 2, 3)));

/*
 * The file is made with the first record.  Where there can be none (path NULL, a read-only
 * disk) nothing is known and nothing recorded.
 * fails  ERR_USAGE: another process has it, and does not end within wait_ms
 */
struct journal *journal_open(const char *path, const char *purpose, int wait_ms, struct err *);
/* Records of earlier runs. */
size_t	journal_known(const struct journal *);
/* What earlier runs recorded; 1: found. */
int	journal_find(const struct journal *, const struct journal_key *, uint64_t *ret);
void	journal_add(struct journal *, const struct journal_key *, uint64_t value);
/* remove_it: all is done, nobody has to go on. */
void	journal_close(struct journal *, int remove_it);

/* The map alone, in memory. */
struct journal_map {
	struct journal_slot *slots;
	size_t		 n, size;	/* size: a power of two, or 0 */
};
void	journal_map_put(struct journal_map *, const struct journal_key *, uint64_t value);
int	journal_map_get(const struct journal_map *, const struct journal_key *, uint64_t *ret);
void	journal_map_done(struct journal_map *);

#endif
