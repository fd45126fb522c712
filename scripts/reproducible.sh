#!/bin/bash
# reproducible.sh SRC ARCH...: does this tree make the same bits twice? `make reproducible` calls it.
#
# The tree is copied into two directories of different depth, without git and without anything built
# but the unpacked sources SRC. In each everything is made, libraries included: under another umask,
# time zone, locale, home, user name and number of jobs. What `make dist` leaves must be the same, and
# so the unstripped binaries. Compilers and certificates are this machine's: another Debian release
# has others, and makes other bits.
set -euo pipefail

src=$(cd "$1" && pwd)
shift
archs=("$@")
top=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
one=$work/one two=$work/quite/another/place/two

copy()
{
	mkdir -p "$1/build"
	(cd "$top" && find . \( -path ./build -o -name .git -o -name __pycache__ \) -prune \
	    -o \( -type f -o -type l \) -print0 | tar --null -T - -c) | tar -C "$1" -x
	cp -a "$src" "$1/build/src"
}

# make_in DIR UMASK JOBS NAME=VALUE...
make_in()
{
	local dir=$1 mask=$2 jobs=$3 start=$SECONDS
	shift 3
	(
		umask "$mask"
		unset MAKEFLAGS MFLAGS MAKELEVEL LC_ALL
		cd "$dir" && env JOBS="$jobs" "$@" make -j"$jobs" DIST_ARCHS="${archs[*]}" dist
	) >"$work/log" 2>&1 || { tail -n 40 "$work/log" >&2; exit 1; }
	printf '  BUILT   %s (%d s)\n' "$dir" $((SECONDS - start))
}

# The sums of all that is compared.
sums()
{
	cd "$1/build" && find . -path ./src -prune -o -type f \
	    \( -path './dist/*' -o -name amlshim -o -name amlshim.debug \) -print0 |
	    sort -z | xargs -0 sha256sum
}

copy "$one"
copy "$two"
mkdir "$work/home"
make_in "$one" 022 "$(nproc)" TZ=UTC LANG=C
make_in "$two" 077 3 TZ=Asia/Kathmandu LANG=C.UTF-8 LC_ALL=C.UTF-8 HOME="$work/home" USER=nobody LOGNAME=nobody
sums "$one" >"$work/sums.one"
sums "$two" >"$work/sums.two"
diff "$work/sums.one" "$work/sums.two" || {
	echo "reproducible.sh: two builds of one tree differ" >&2
	exit 1
}
cat "$work/sums.one"
echo "two builds, same hashes"
