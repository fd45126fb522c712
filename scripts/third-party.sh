#!/bin/bash
# third-party.sh SRC BUILD: what comes with the binary in BUILD that is not amlshim's own, and on
# which terms, as text on stdout: the notice that goes with every copy.
#
# BUILD/linked.c says what that is, and each text is Debian's: debian/copyright of the sources in
# SRC, which deps-fetch.sh unpacked, and of the installed packages for what has no source there.
set -euo pipefail
export LC_ALL=C
src=$1 build=$2

die()
{
	echo "third-party.sh: $*" >&2
	exit 1
}

rule()
{
	printf '\n%s\n%s\n\n' "------------------------------------------------------------------------" "$*"
}

# The copyright file of an installed package that has one, of those named.
installed()
{
	local package file
	for package in "$@"; do
		file=/usr/share/doc/$package/copyright
		[ ! -r "$file" ] || { cat "$file"; return; }
	done
	die "no copyright file of $* is installed"
}

cat <<'EOT'
What the binary has in it besides amlshim

The binary is linked statically with the libraries below, and carries root
certificates of Mozilla's CA programme. Each keeps its own licence; the texts
that follow are those of Debian's source packages, which also cover programs,
tests and documentation that are not in the binary. amlshim-VERSION.spdx.json
says which licence holds for what is in it, and has the sums of the sources.

libfuse is under the LGPL-2.1. You may change it and link the binary anew: the
sources of amlshim and of all libraries are in amlshim-VERSION.tar.xz and
amlshim-VERSION-third-party.tar beside the binary (else ask who gave it to
you). LICENSE, at its end, has the commands; an unchanged build has the same
checksum.

The few functions of libgcc are under the GPL-3 with the GCC Runtime Library
Exception, which allows them in programs of any licence.
EOT
[ -r "$build/linked.c" ] || die "nothing was built in $build"
linked=$(sed -n 's/^    "\([^ ]*\) \([^ ]*\)\\n".*/\1 \2/p' "$build/linked.c")
[ -n "$linked" ] || die "$build/linked.c names nothing"
while read -r name version; do
	rule "$name $version"
	case $name in
	gcc-*)
		installed "$name-base" "$name-cross-base" "libgcc-${name#gcc-}-dev" ;;
	ca-certificates)
		installed ca-certificates ;;
	*)
		[ "$(cat "$src/$name.version")" = "$version" ] || die "$src/$name is not $version"
		cat "$src/$name/debian/copyright" ;;
	esac
done <<<"$linked"
rule "The GNU Lesser General Public License, for libfuse (LGPL2.txt of its source)"
cat "$src/fuse3/LGPL2.txt"
