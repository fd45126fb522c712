#ifndef BASE_RELRO_H
#define BASE_RELRO_H

/*
 * relro -- tables that hold pointers are read-only once the program runs.
 *
 * The linker puts them together (PT_GNU_RELRO), for a loader to protect when it has written
 * the addresses.  A static-pie has no loader: musl's start code writes the addresses, and leaves
 * the tables as they are.  So main does the rest.  Who can write somewhere cannot turn a
 * table of functions, of all processes that are forked from here, into another one.
 */

/* Once, first thing in main. */
void	relro_protect(void);

#endif
