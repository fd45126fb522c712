#!/bin/bash
# linked.sh CC VERSIONS: prints amlshim_linked of shim/cli/linked.h as C: what a binary has in it that
# is not amlshim's own, as "NAME VERSION" lines of Debian source packages.
#
# VERSIONS is the file that deps.sh leaves. libgcc's few functions and Mozilla's roots come from
# packages that are installed here. A debug build has the host's libc outside, not in it.
set -euo pipefail
export LC_ALL=C

# The source package that file $1 is of, and its version. A cross compiler's own source package has
# no code: what it was built from stands in Built-Using.
source_of()
{
	local package
	package=$(dpkg-query -S "$1" | head -n 1)
	# shellcheck disable=SC2016 # the ${} are dpkg-query's
	dpkg-query -W -f='${source:Package} ${source:Version} ${Built-Using}\n' "${package%%: *}" |
	    sed -E 's/^[^ ]*-cross [^ ]* (gcc-[0-9]+) \(= ([^)]*)\).*/\1 \2/; s/^([^ ]* [^ ]*) .*/\1/'
}

echo '#include "cli/linked.h"'
echo
echo 'const char amlshim_linked[] ='
{
	cat "$2"
	source_of "$(readlink -f "$("$1" -print-libgcc-file-name)")"
	source_of /usr/share/ca-certificates/mozilla
} | sed 's/.*/    "&\\n"/; $ s/$/;/'
