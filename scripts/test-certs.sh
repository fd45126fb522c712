#!/bin/bash
# test-certs.sh DIR [NAME...]: certificates for test servers on loopback, valid for ten years.
#
# ca.pem                          two roots, EC P-256 and RSA 2048: give it to the client
# server.pem, server.key          EC P-256 leaf under the EC root, and its key
# server-rsa.pem, server-rsa.key  RSA 2048 leaf under the RSA root, and its key
#
# To be refused, each with its .key, as server.pem but for one thing:
# expired.pem     ended in 2020
# future.pem      begins in 2090
# elsewhere.pem   is for elsewhere.invalid
# stranger.pem    has an issuer that ca.pem does not have
# self.pem        has no issuer but itself
#
# Names: localhost, 127.0.0.1, ::1, and any one label under test.local, blob.test.local,
# dfs.test.local, vault.localhost; and each NAME. Does nothing while the files in DIR verify. The roots' keys are
# thrown away: who trusts ca.pem trusts these leaves and nothing else.
set -euo pipefail

readonly days=3650 renew_s=$((30 * 24 * 3600))

die()
{
	echo "test-certs: $*" >&2
	exit 1
}

# All that openssl reads: a minimal system has no configuration of its own.
write_config()
{
	local name n=10
	cat >config <<-'END'
		[req]
		distinguished_name = dn
		prompt = no
		string_mask = utf8only
		[dn]
		[root]
		basicConstraints = critical, CA:TRUE, pathlen:0
		keyUsage = critical, keyCertSign, cRLSign
		subjectKeyIdentifier = hash
		[leaf]
		basicConstraints = critical, CA:FALSE
		keyUsage = critical, digitalSignature, keyEncipherment
		extendedKeyUsage = serverAuth
		subjectKeyIdentifier = hash
		authorityKeyIdentifier = keyid
		subjectAltName = @names
		[names]
		DNS.1 = localhost
		DNS.2 = *.test.local
		DNS.3 = *.blob.test.local
		DNS.4 = *.dfs.test.local
		DNS.5 = *.vault.localhost
		IP.1 = 127.0.0.1
		IP.2 = ::1
		[elsewhere]
		subjectAltName = DNS:elsewhere.invalid
		[ca]
		default_ca = leaves
		[leaves]
		new_certs_dir = .
		database = index
		rand_serial = yes
		default_md = sha256
		policy = any
		[any]
		commonName = supplied
	END
	for name in "${names[@]}"; do
		sed -i "s/^\[names\]$/&\nDNS.$((n++)) = $name/" config
	done
}

usable()
{
	local leaf=$1 of_cert of_key name
	for name in localhost any.vault.localhost "${names[@]}"; do
		openssl verify -CAfile "$dir/ca.pem" -verify_hostname "$name" "$leaf.pem" || return 1
	done
	openssl x509 -in "$leaf.pem" -noout -checkend "$renew_s" || return 1
	of_cert=$(openssl x509 -in "$leaf.pem" -noout -pubkey) || return 1
	of_key=$(openssl pkey -in "$leaf.key" -pubout) || return 1
	[ "$of_cert" = "$of_key" ]
} >/dev/null 2>&1

all_usable()
{
	usable "$dir/server" && usable "$dir/server-rsa" && [ -s "$dir/self.pem" ]
}

# A leaf with dates of its own, as a service has it: a clock that is set back by a day finds it valid, too.
# sign ROOT EXTENSIONS CA-OPTION...
sign()
{
	local root=$1 extensions=$2
	shift 2
	: >index
	openssl ca -batch -notext -config config -extensions "$extensions" -cert "$root.pem" \
	    -keyfile "$root.key" "$@"
}

# make_pair ROOT LEAF GENPKEY-OPTION...
make_pair()
{
	local root=$1 leaf=$2
	shift 2
	openssl genpkey "$@" -out "$root.key" &&
	    openssl req -new -x509 -sha256 -config config -extensions root -days "$days" \
	        -subj "/CN=amlshim test $root" -key "$root.key" -out "$root.pem" &&
	    openssl genpkey "$@" -out "$leaf.key" &&
	    openssl req -new -sha256 -config config -subj /CN=localhost -key "$leaf.key" \
	        -out "$leaf.csr" &&
	    sign "$root" leaf -startdate 20190101000000Z -days "$days" -in "$leaf.csr" -out "$leaf.pem"
} >>log 2>&1

# The leaf's request is signed again: with other dates, other names, or by another root.
# make_bad NAME ROOT EXTENSIONS START END
make_bad()
{
	cp server.key "$1.key" &&
	    sign "$2" "$3" -startdate "$4" -enddate "$5" -in server.csr -out "$1.pem"
}

make_refused()
{
	openssl req -new -x509 -sha256 -config config -extensions root -newkey ec \
	    -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout strange-ca.key -out strange-ca.pem \
	    -days "$days" -subj "/CN=amlshim test stranger" &&
	    openssl req -new -x509 -sha256 -config config -extensions leaf -key server.key \
	        -out self.pem -days "$days" -subj /CN=localhost &&
	    cp server.key self.key &&
	    make_bad expired ca-ec leaf 20190101000000Z 20200101000000Z &&
	    make_bad future ca-ec leaf 20900101000000Z 20910101000000Z &&
	    make_bad elsewhere ca-ec elsewhere 20240101000000Z 20900101000000Z &&
	    make_bad stranger strange-ca leaf 20240101000000Z 20900101000000Z
} >>log 2>&1

[ $# -ge 1 ] || die "usage: test-certs.sh DIR [NAME...]"
command -v openssl >/dev/null || die "openssl is missing"
dir=$(mkdir -p "$1" && cd "$1" && pwd)
names=("${@:2}")
exec 9>"$dir/.lock"
flock -w 60 9 || die "another run in $dir does not end"
if all_usable; then
	exit 0
fi
umask 077
work=$(mktemp -d "$dir/.new.XXXXXX")
trap 'rm -rf "$work"' EXIT
cd "$work"
write_config
make_pair ca-ec server -algorithm EC -pkeyopt ec_paramgen_curve:P-256 \
    -pkeyopt ec_param_enc:named_curve &&
    make_pair ca-rsa server-rsa -algorithm RSA -pkeyopt rsa_keygen_bits:2048 &&
    make_refused || {
	cat log >&2
	die "openssl failed"
}
cat ca-ec.pem ca-rsa.pem >ca.pem
chmod 644 -- *.pem
mv ca.pem server.pem server.key server-rsa.pem server-rsa.key expired.* future.* elsewhere.* \
    stranger.pem stranger.key self.* "$dir/"
all_usable || die "the new certificates do not verify"
