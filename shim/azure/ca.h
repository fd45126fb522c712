#ifndef AZURE_CA_H
#define AZURE_CA_H

/*
 * ca -- the roots that TLS trusts: SSL_CERT_FILE, else the image's bundle at
 * one of the usual places, else the roots of Azure's endpoints compiled in
 * (a scratch image has no files).
 */

#include <stddef.h>

extern const char amlshim_ca_bundle_pem[];	/* generated at build time */
extern const size_t amlshim_ca_bundle_pem_len;

/* A readable bundle's path (static storage), or NULL: use the compiled-in one. */
const char *ca_file(void);

#endif
