#!/bin/bash
# base-image.sh NAME [--suite SUITE] [--include PACKAGE,...]: a small Debian image called NAME, out
# of the Debian mirror that the machine's apt is configured with (debootstrap, docker import).
#
# SUITE is by default the machine's own release. The file system is kept as a tar in build/base:
# only the first run of a suite and its packages costs more than the import. REBUILD=1 makes anew.
# Needs root the first time, and an engine that docker talks to (docker-engine.sh).
set -euo pipefail

scripts=$(cd "$(dirname "$0")" && pwd)
cache=$(mkdir -p "$scripts/../build/base" && cd "$scripts/../build/base" && pwd)
readonly label=amlshim.base
PATH=$PATH:/usr/sbin:/sbin

die()
{
	echo "base-image: $*" >&2
	exit 1
}

own_suite()
{
	# shellcheck source=/dev/null
	(. /etc/os-release && echo "${VERSION_CODENAME-}")
}

# The archive of suite $1; where apt does not know it, the one that the machine's own suite is in.
mirror_of()
{
	# shellcheck disable=SC2016 # the $() are apt's
	apt-get indextargets --format '$(RELEASE) $(COMPONENT) $(REPO_URI)' 'Created-By: Packages' |
	    awk -v want="$1" -v own="$(own_suite)" '
	$2 != "main" { next }
	$1 == want && !exact { exact = $3 }
	$1 == own && !near { near = $3 }
	END { print exact ? exact : near }'
}

# Debian $suite with the packages $include, as a tar in file $1.
make_tar()
{
	local mirror proxy='' options=(--variant=minbase --force-check-gpg)
	command -v apt-get >/dev/null || die "no apt here, so no mirror to take"
	[ "$(id -u)" -eq 0 ] || die "debootstrap needs root"
	"$scripts/apt-install.sh" debootstrap wget ca-certificates >&2
	mirror=$(mirror_of "$suite")
	if [ -z "$mirror" ]; then
		apt-get -q update >&2
		mirror=$(mirror_of "$suite")
	fi
	[ -n "$mirror" ] || die "apt has no archive with $suite"
	eval "$(apt-config shell proxy Acquire::http::Proxy)"
	[ -z "$proxy" ] || export http_proxy=$proxy
	[ -z "$include" ] || options+=("--include=$include")
	work=$(mktemp -d "$cache/work.XXXXXX")
	trap 'rm -rf --one-file-system "$work"' EXIT
	debootstrap "${options[@]}" "$suite" "$work/root" "$mirror" >"$work/log" 2>&1 || {
		tail -n 30 "$work/log" >&2
		die "debootstrap failed"
	}
	# The mirror is this machine's affair: the image does not name it. Nor is anything read or
	# compiled in it: of 930 MB with scikit-learn 380 are headers, a compiler, and texts.
	tar -C "$work/root" --numeric-owner --one-file-system -cf "$work/tar" \
	    --exclude='./usr/include/*' --exclude='./usr/lib/gcc/*' --exclude='./usr/share/doc/*' \
	    --exclude='./usr/share/man/*' --exclude='./usr/share/locale/*' \
	    --exclude='./var/cache/apt/*' --exclude='./var/lib/apt/lists/*' \
	    --exclude='./var/log/*' --exclude='./dev/*' --exclude='./proc/*' --exclude='./sys/*' \
	    --exclude=./etc/resolv.conf --exclude=./etc/hostname --exclude=./etc/apt/sources.list .
	mv "$work/tar" "$1"
}

name='' suite='' include=''
while [ $# -gt 0 ]; do
	case $1 in
	--suite=*)
		suite=${1#*=} ;;
	--include=*)
		include=${1#*=} ;;
	--suite)
		suite=${2?a suite} && shift ;;
	--include)
		include=${2?packages} && shift ;;
	-*)
		die "what is $1?" ;;
	*)
		name=$1 ;;
	esac
	shift
done
[ -n "$name" ] || die "usage: base-image.sh NAME [--suite SUITE] [--include PACKAGE,...]"
: "${suite:=$(own_suite)}"
: "${suite:=trixie}"
include=$(tr , '\n' <<<"$include" | sed '/^$/d' | sort -u | paste -sd, -)

key=$suite-$(dpkg --print-architecture)
[ -z "$include" ] || key+=-$(sha256sum <<<"$include" | cut -c 1-12)
exec 9>"$cache/$key.lock"
flock -w 600 9 || die "another run for $key does not end"
if [ ! -s "$cache/$key.tar" ] || [ -n "${REBUILD-}" ]; then
	make_tar "$cache/$key.tar"
fi
# The time of the tar stands for its content: hashing that takes as long as the import.
stamp=$key@$(stat -c %Y "$cache/$key.tar")
have=$(docker image inspect -f "{{index .Config.Labels \"$label\"}}" "$name" 2>/dev/null) || have=
if [ "$have" != "$stamp" ]; then
	docker import --change "LABEL $label=$stamp" --change 'CMD ["/bin/sh"]' \
	    --change 'ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' \
	    "$cache/$key.tar" "$name" >/dev/null
fi
