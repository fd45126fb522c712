#!/bin/bash
# deps-fetch.sh DIR NAME=PIN...: unpack Debian source packages, patches applied, into DIR/NAME.
#
# apt does the fetching and the authentication, in a state of its own under DIR/apt: the machine's
# proxies and credentials are used, its package lists are not touched. The archive's address is the
# one that this machine already has configured. PIN is a glob for the upstream version; any Debian
# revision of it will do, the newest in trixie first. DIR/NAME.version records what was taken,
# DIR/download/NAME has its files as they came, with Debian's signed list of their sums (.dsc), and
# DIR/NAME.suite says "trixie" if it came from there.
#
# DEPS_MIRROR, DEPS_SECURITY_MIRROR: addresses of archives to use instead (machines that are no
# Debian); DEPS_KEYRING: the keyring that signs them.
set -euo pipefail
shopt -s extglob

dir=$(mkdir -p "$1" && cd "$1" && pwd)
shift
apt=$dir/apt
keyring=${DEPS_KEYRING:-/usr/share/keyrings/debian-archive-keyring.gpg}

die()
{
	echo "deps-fetch: $*" >&2
	exit 1
}

# In which upstream version is Debian version $1?
upstream()
{
	local v=${1#*:}
	v=${v%-*}
	echo "${v%%+@(dfsg|ds)*}"
}

# Where the machine gets Debian from, as "URI SUITE" lines, whichever way it is written down.
machine_sources()
{
	mkdir -p "$apt/none/partial"
	apt-get update --print-uris -o Dir::State::lists="$apt/none" 2>/dev/null |
	    sed -n "s|^'\(.*\)/dists/\(.*\)/InRelease'.*|\1 \2|p"
}

find_mirrors()
{
	local uri suite
	mirror=${DEPS_MIRROR:-} security=${DEPS_SECURITY_MIRROR:-}
	while read -r uri suite; do
		case $suite in
		*-security | */updates)
			security=${security:-$uri} ;;
		bookworm | trixie | forky | duke | stable | testing | unstable | sid)
			mirror=${mirror:-$uri} ;;
		esac
	done < <(machine_sources)
	[ -n "$mirror" ] || die "no Debian archive is configured in /etc/apt; set DEPS_MIRROR"
	[ -r "$keyring" ] || die "$keyring is missing: install debian-archive-keyring"
}

stanza()
{
	printf 'Types: deb-src\nURIs: %s\nSuites: %s\nComponents: main\nSigned-By: %s\n\n' \
	    "$1" "$2" "$keyring"
}

# The apt of tier $1; a mirror may lack a suite, what matters is whether it has the sources.
apt_tier()
{
	local tier=$apt/$1 tool=$2
	shift 2
	"$tool" -q -o Dir::Etc::sourcelist="$tier/deps.sources" -o Dir::Etc::sourceparts=/dev/null \
	    -o Dir::State="$tier" -o Dir::State::lists="$tier/lists" -o Dir::Cache="$tier/cache" \
	    -o Dir::State::status=/var/lib/dpkg/status -o APT::Sandbox::User=root \
	    -o APT::Update::Post-Invoke-Success= "$@"
}

prepare_tier()
{
	local tier=$1
	mkdir -p "$apt/$tier/lists/partial" "$apt/$tier/cache/archives/partial"
	case $tier in
	trixie)
		stanza "$mirror" "trixie trixie-updates"
		[ -z "$security" ] || stanza "$security" trixie-security ;;
	other)
		stanza "$mirror" "sid bookworm" ;;
	esac >"$apt/$tier/deps.sources"
	apt_tier "$tier" apt-get update >"$apt/$tier/update.log" 2>&1 ||
	    echo "  WARN    apt-get update: $(grep -m1 '^E:' "$apt/$tier/update.log")"
}

# The Debian versions of $2 that tier $1 lists, newest first.
listed()
{
	apt_tier "$1" apt-cache showsrc --only-source "$2" 2>/dev/null |
	    sed -n 's/^Version: //p' | sort -u | sort -rV
}

unpack()
{
	local tier=$1 name=$2 version=$3 dsc
	dsc=$(echo "$dir/download/$name"/*.dsc)
	rm -rf "${dir:?}/$name" "$dir/$name.tmp"
	dpkg-source --no-copy -x "$dsc" "$dir/$name.tmp" >>"$apt/fetch.log" 2>&1 ||
	    die "$name $version does not unpack, see $apt/fetch.log"
	mv "$dir/$name.tmp" "$dir/$name"
	rm -f "$dir/$name.suite"
	[ "$tier" != trixie ] || echo trixie >"$dir/$name.suite"
	echo "$version" >"$dir/$name.version"
}

# Fetch $2 at a version that matches the pin $3 from tier $1; false if there is none to be had.
fetch_from()
{
	local tier=$1 name=$2 pin=$3 version skipped=
	for version in $(listed "$tier" "$name"); do
		seen+=" $version"
		# shellcheck disable=SC2053 # the pin is a glob
		[[ $(upstream "$version") == $pin ]] || continue
		rm -rf "$dir/download/$name"
		mkdir -p "$dir/download/$name"
		if (cd "$dir/download/$name" && apt_tier "$tier" apt-get source --only-source \
		    --download-only "$name=$version") >>"$apt/fetch.log" 2>&1; then
			[ -z "$skipped$warn" ] || echo "  WARN    $name:$warn$skipped is listed" \
			    "by the mirror but not to be had from it; using $version"
			unpack "$tier" "$name" "$version"
			return 0
		fi
		skipped+=" $version"
	done
	warn+=$skipped
	return 1
}

fetch()
{
	local name=$1 pin=$2 seen='' warn=''
	fetch_from trixie "$name" "$pin" && return
	[ -e "$apt/other/deps.sources" ] || prepare_tier other
	fetch_from other "$name" "$pin" && return
	[ -z "$warn" ] || die "$name:$warn cannot be downloaded, see $apt/fetch.log"
	die "$name: upstream version $pin is wanted, this mirror has:${seen:- no version at all}"
}

wanted=()
for arg in "$@"; do
	name=${arg%%=*}
	version=$(cat "$dir/$name.version" 2>/dev/null || true)
	# shellcheck disable=SC2053 # the pin is a glob
	[[ -n $version && $(upstream "$version") == ${arg#*=} ]] &&
	    compgen -G "$dir/download/$name/*.dsc" >/dev/null || wanted+=("$arg")
done
[ ${#wanted[@]} -gt 0 ] || exit 0

rm -rf "$apt"
find_mirrors
prepare_tier trixie
for arg in "${wanted[@]}"; do
	fetch "${arg%%=*}" "${arg#*=}"
done
rm -rf "$apt"/*/cache "$apt"/*/lists
