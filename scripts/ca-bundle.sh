#!/bin/bash
# ca-bundle.sh OUT.pem OUT.c: the roots that the endpoints of Azure chain to, out of Debian's
# ca-certificates, as a file and as a C array.
#
# Few, because the TLS library parses them again for every connection. The list is that of
# learn.microsoft.com/azure/security/fundamentals/azure-certificate-authority-details; a root that
# Debian does not have, or no longer, is left out, but not the two that most endpoints use.
# Baltimore CyberTrust is not in it: it expired in 2025, and anchors are not checked for that.
set -euo pipefail

pem=$1 c=$2
from=/usr/share/ca-certificates/mozilla
roots=(DigiCert_Global_Root_G2 Microsoft_RSA_Root_Certificate_Authority_2017
    DigiCert_Global_Root_CA DigiCert_Global_Root_G3 DigiCert_TLS_ECC_P384_Root_G5
    DigiCert_TLS_RSA4096_Root_G5 Microsoft_ECC_Root_Certificate_Authority_2017)

mkdir -p "$(dirname "$pem")" "$(dirname "$c")"
for root in "${roots[@]}"; do
	[ ! -r "$from/$root.crt" ] || cat "$from/$root.crt"
done >"$pem"
for root in "${roots[@]:0:2}"; do
	[ -r "$from/$root.crt" ] || { echo "ca-bundle: $from/$root.crt is missing" >&2; exit 1; }
done

# An array of numbers: C11 promises no string literal of this length.
{
	cat <<-'EOF'
	#include <stddef.h>

	extern const char amlshim_ca_bundle_pem[];
	extern const size_t amlshim_ca_bundle_pem_len;

	const char amlshim_ca_bundle_pem[] = {
	EOF
	od -An -v -tu1 -w20 "$pem" | sed 's/  *\([0-9][0-9]*\)/\1,/g'
	cat <<-'EOF'
	0 };
	const size_t amlshim_ca_bundle_pem_len = sizeof amlshim_ca_bundle_pem - 1;
	EOF
} >"$c"
