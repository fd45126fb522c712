#!/bin/bash
# deps.sh release|debug OUT [TRIPLET]: build the third-party libraries, once, as static archives into OUT.
#
# release: musl first, then everything else with the wrapper that comes out of it, OUT/bin/musl-gcc;
# debug: the same sources with the host's gcc and libc. With a TRIPLET (aarch64-linux-gnu) Debian's
# cross compiler for it takes the place of gcc. Sources are unpacked in $DEPS_SRC (default
# build/src) by deps-fetch.sh. A library is rebuilt when this file, its sources or the compiler
# change; logs are in OUT/log, versions in OUT/versions.
#
# Two trees in different places come to the same code: no path of the build gets into it, and what
# is a list of files has an order that no locale changes.
set -euo pipefail
export LC_ALL=C
umask 022
# What make was called with is not meant for the makes of others.
unset MAKEFLAGS MFLAGS MAKEOVERRIDES MAKELEVEL BUILD DEBUG V CFLAGS CPPFLAGS

# NAME=UPSTREAM-VERSION of the Debian source packages; any Debian revision of it is taken. curl: the
# last series with a BearSSL backend. expat: trixie's security updates bring new upstream versions.
pins=(musl=1.2.5 bearssl=0.6 curl=8.14.1 cjson=1.7.18 libyaml=0.2.5 'fuse3=3.17.*'
    'expat=2.@([7-9]|[1-9][0-9]).*')

kind=$1
triplet=${3-}
tool=${triplet:+$triplet-}
if [ -L "$2" ]; then
	echo "deps.sh: $2 is a link: these libraries are made in the tree that owns them" >&2
	exit 1
fi
out=$(mkdir -p "$2" && cd "$2" && pwd)
scripts=$(cd "$(dirname "$0")" && pwd)
mkdir -p "${DEPS_SRC:=build/src}" "$out"/{bin,include,lib,log,stamp,work}
src=$(cd "$DEPS_SRC" && pwd)
jobs=${JOBS:-$(nproc)}

common='-ffunction-sections -fdata-sections -fPIC -fstack-protector-strong'
common+=" -ffile-prefix-map=$src/= -ffile-prefix-map=$out/="
case $kind in
release)
	# Nothing unwinds a stack: the tables for it would be a twentieth of the program.
	common+=' -fno-asynchronous-unwind-tables -fno-unwind-tables'
	CC=$out/bin/musl-gcc LDFLAGS=-static
	speed="-O3 $common" fast="-O2 $common" small="-Os $common" ;;
debug)
	CC=${tool}gcc LDFLAGS=
	speed="-O1 -g $common" fast=$speed small=$speed ;;
*)
	echo "usage: deps.sh release|debug OUT [TRIPLET]" >&2
	exit 2 ;;
esac
AR=${tool}ar RANLIB=${tool}ranlib
export CC LDFLAGS AR RANLIB

build_musl()
{
	mkdir build
	cd build
	CC=${tool}gcc CROSS_COMPILE=$tool LDFLAGS='' CFLAGS='-fPIC -fstack-protector-strong' \
	    "$src/musl/configure" --prefix="$out/musl" --bindir="$out/bin" \
	    --syslibdir="$out/musl/lib" ${triplet:+--target="$triplet"} \
	    --disable-shared --enable-wrapper=gcc
	make -j"$jobs"
	make install
	# The wrapper looks nowhere else: show it the kernel's headers, which are no part of a libc.
	local dir
	for dir in linux asm-generic; do
		ln -sfn "/usr/include/$dir" "$out/musl/include/$dir"
	done
	dir=/usr/include/$(gcc -print-multiarch)/asm
	[ -z "$triplet" ] || dir=/usr/$triplet/include/asm
	ln -sfn "$dir" "$out/musl/include/asm"
}

# musl has getentropy(), BearSSL only knows it of glibc; it needs no /dev, unlike /dev/urandom.
build_bearssl()
{
	cp -a "$src/bearssl/." .
	rm -rf build
	make -j"$jobs" lib CC="$CC" AR="$AR" CFLAGS="$speed -DBR_USE_GETENTROPY=1"
	cp inc/*.h "$out/include/"
	cp build/libbearssl.a "$out/lib/"
}

# HTTP and HTTPS and the proxies for them, nothing else. No CA path: the program chooses its roots.
# Each patch tells what it is for.
build_curl()
{
	local change
	cp -a "$src/curl" patched
	for change in "$scripts"/patches/curl-*.patch; do
		patch -p1 -d patched <"$change"
	done
	CFLAGS=$small CPPFLAGS="-I$out/include" LDFLAGS="$LDFLAGS -L$out/lib" patched/configure \
	    --prefix="$out" --libdir="$out/lib" --quiet ${triplet:+--host="$triplet"} \
	    --disable-shared --enable-static --disable-dependency-tracking \
	    --with-bearssl="$out" --without-ca-bundle --without-ca-path \
	    --enable-threaded-resolver --enable-ipv6 --enable-unix-sockets --enable-proxy \
	    --enable-http --enable-basic-auth --disable-ares \
	    --disable-ftp --disable-file --disable-ldap --disable-ldaps --disable-rtsp \
	    --disable-dict --disable-telnet --disable-tftp --disable-pop3 --disable-imap \
	    --disable-smb --disable-smtp --disable-gopher --disable-mqtt --disable-ipfs \
	    --disable-websockets --disable-bearer-auth --disable-digest-auth \
	    --disable-kerberos-auth --disable-negotiate-auth --disable-ntlm --disable-aws \
	    --disable-tls-srp --disable-cookies --disable-doh --disable-mime --disable-form-api \
	    --disable-netrc --disable-alt-svc --disable-hsts --disable-httpsrr --disable-ech \
	    --disable-progress-meter --disable-get-easy-options --disable-sha512-256 \
	    --disable-manual --disable-docs --disable-libcurl-option --disable-versioned-symbols \
	    --without-zlib --without-brotli --without-zstd --without-libpsl --without-libidn2 \
	    --without-nghttp2 --without-ngtcp2 --without-nghttp3 --without-quiche \
	    --without-libssh2 --without-libssh --without-librtmp --without-libgsasl \
	    --without-libuv
	# libcurl.la alone: "all" compiles everything once more for unit tests.
	make -C lib -j"$jobs" V=1 libcurl.la
	make -C include install
	cp lib/.libs/libcurl.a "$out/lib/"
}

# IGNORE_MTAB: a container has no /bin/mount to edit /etc/mtab with, and meson's own option for it
# reaches no source file.
build_fuse3()
{
	local cross=()
	if [ -n "$triplet" ]; then
		cat >cross.ini <<-EOF
		[binaries]
		c = '$CC'
		ar = '$AR'
		[host_machine]
		system = 'linux'
		cpu_family = '${triplet%%-*}'
		cpu = '${triplet%%-*}'
		endian = 'little'
		EOF
		cross=(--cross-file cross.ini)
	fi
	CFLAGS="$fast -DIGNORE_MTAB" meson setup build "$src/fuse3" "${cross[@]}" --prefix="$out" \
	    --libdir=lib --buildtype=plain -Ddefault_library=static -Dutils=false \
	    -Dexamples=false -Dtests=false -Duseroot=false -Dinitscriptdir= \
	    -Ddisable-libc-symbol-version=true
	ninja -C build -j"$jobs" -v
	meson install -C build --no-rebuild
}

# archive NAME FLAGS FILE...: the sources into libNAME.a, for those whose build system adds nothing.
archive()
{
	local name=$1 flags=$2 file
	shift 2
	for file in "$@"; do
		# shellcheck disable=SC2086 # flags
		"$CC" $flags -I. -c "$file" -o "$(basename "$file" .c).o"
	done
	rm -f "$out/lib/lib$name.a"
	"$AR" rcs "$out/lib/lib$name.a" ./*.o
}

build_cjson()
{
	archive cjson "$small" "$src/cjson/cJSON.c"
	install -Dm644 "$src/cjson/cJSON.h" "$out/include/cjson/cJSON.h"
}

build_libyaml()
{
	local flags="$small -I$src/libyaml/include -DYAML_VERSION_MAJOR=0 -DYAML_VERSION_MINOR=2
	    -DYAML_VERSION_PATCH=5 -DYAML_VERSION_STRING=\"0.2.5\" -DYAML_DECLARE_STATIC"
	archive yaml "$flags" "$src"/libyaml/src/*.c
	install -Dm644 "$src/libyaml/include/yaml.h" "$out/include/yaml.h"
}

# XML_GE=0: entities of the document's own cannot be expanded, so there is no bomb to guard against.
build_expat()
{
	local lib=$src/expat/expat/lib
	cat >expat_config.h <<-'EOF'
	#define BYTEORDER (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? 1234 : 4321)
	#define HAVE_GETRANDOM 1
	#define XML_CONTEXT_BYTES 0
	#define XML_GE 0
	#define XML_NS 1
	EOF
	local flags="$fast -I$lib -D_GNU_SOURCE"
	# Expat 2.9 has a file for each source of randomness, earlier ones have none.
	shopt -s nullglob
	archive expat "$flags" "$lib"/xml{parse,role,tok}.c "$lib"/random_getrandom*.c
	install -m644 "$lib/expat.h" "$lib/expat_external.h" "$out/include/"
}

compiler=$("${tool}gcc" -dumpfullversion -dumpmachine | tr '\n' ' ')
key=$({ grep -v '^[[:blank:]]*# ' "$scripts/deps.sh"; cat "$scripts"/patches/*; echo "$kind $out $compiler"; } | sha256sum | cut -d' ' -f1)

is_built()
{
	[ "$(cat "$out/stamp/$1" 2>/dev/null)" = "$key $(cat "$src/$1.version")" ]
}

# A line when a step is over: what, how long.
report()
{
	printf '  %-7s %s (%d s)\n' "$1" "$2" $((SECONDS - $3))
}

step()
{
	local name=$1 start=$SECONDS log=$out/log/$1.log status=0
	is_built "$name" && return
	rm -f "$out/stamp/$name"
	rm -rf "$out/work/$name"
	mkdir -p "$out/work/$name"
	# A shell of its own: inside a condition "set -e" would be off.
	(cd "$out/work/$name" && "build_$name") >"$log" 2>&1 &
	wait $! || status=$?
	if [ "$status" -ne 0 ]; then
		echo "deps: building $name failed; the end of $log:" >&2
		tail -n 30 "$log" >&2
		exit 1
	fi
	rm -rf "$out/work/$name"
	echo "$key $(cat "$src/$name.version")" >"$out/stamp/$name"
	report DEP "$name $(cat "$src/$name.version")" "$start"
}

lane()
{
	local name
	for name in "$@"; do
		step "$name"
	done
}

exec 9>"$src/.lock"
flock 9

start=$SECONDS
names=("${pins[@]%%=*}")
[ "$kind" = release ] || names=("${names[@]:1}")
"$scripts/deps-fetch.sh" "$src" "${pins[@]}"
[ $((SECONDS - start)) -eq 0 ] || report FETCH "source packages in $DEPS_SRC" "$start"
[ "$kind" = debug ] || step musl
lane bearssl curl &
first=$!
lane fuse3 libyaml expat cjson &
second=$!
failed=0
wait $first || failed=1
wait $second || failed=1
[ $failed -eq 0 ] || exit 1
for name in "${names[@]}"; do
	echo "$name $(cat "$src/$name.version")"
done >"$out/versions"
report DEPS "$2" "$start"
