#ifndef INIT_SHED_H
#define INIT_SHED_H

/*
 * shed -- what a mere init does not need any more, given back.
 *
 * When a static-pie starts it writes addresses into every table that holds
 * pointers.  From then on these pages are this process's own, where others only
 * read the file's.  Without a plan init uses none of the tables of the libraries,
 * specs and plans.  The Makefile links what it does use first (shim/base, shim/init
 * and their part of libc), then this file, and `make` fails where that does not
 * hold; what is behind is unmapped: a stray access would be a clear fault.
 * docs/decisions/015-shed-tables.md
 */

/* Call once, in amlshim itself, when the job runs and no plan exists. */
void	shed_tables(void);

#endif
