#ifndef CLI_LINKED_H
#define CLI_LINKED_H

/*
 * linked -- what this binary has in it besides amlshim, for `amlshim version -v`:
 * "NAME VERSION\n" of each Debian source package, in the order of linking, then of
 * the compiler (its libgcc) and of the root certificates.  scripts/linked.sh writes
 * the definition at each build; the SBOM is made of the same lines.
 */

extern const char amlshim_linked[];

#endif
