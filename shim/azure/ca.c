#include <stdlib.h>
#include <unistd.h>

#include "azure/ca.h"
#include "base/mem.h"

/* Where distributions put the bundle: Debian, Fedora and RHEL, SUSE, Alpine. */
static const char *const usual[] = {
	"/etc/ssl/certs/ca-certificates.crt",
	"/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
	"/etc/pki/tls/certs/ca-bundle.crt",
	"/etc/ssl/ca-bundle.pem",
	"/etc/ssl/cert.pem",
};

const char *
ca_file(void)
{
	const char *named = getenv("SSL_CERT_FILE");
	size_t i;

	/* Named but unreadable: using other roots in silence would be worse than failing. */
	if (named != NULL && named[0] != '\0')
		return (named);
	for (i = 0; i < LENGTH(usual); i++)
		if (access(usual[i], R_OK) == 0)
			return (usual[i]);
	return (NULL);
}
