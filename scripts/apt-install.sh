#!/bin/bash
# Install the named Debian packages that are missing; does nothing when none is.
set -euo pipefail

find_missing()
{
	local package status
	missing=()
	for package in "$@"; do
		# shellcheck disable=SC2016 # the ${} is dpkg-query's
		status=$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null || true)
		[ "$status" = installed ] || missing+=("$package")
	done
}

find_missing "$@"
[ ${#missing[@]} -gt 0 ] || exit 0

if [ "$(id -u)" -ne 0 ]; then
	echo "$0: these Debian packages are missing; as root run:" >&2
	echo "  apt-get install --no-install-recommends ${missing[*]}" >&2
	exit 1
fi

# One at a time: make may want several sets of packages at once.
exec 9>/run/amlshim-apt.lock
flock 9
find_missing "$@"
[ ${#missing[@]} -gt 0 ] || exit 0

echo "  APT     ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
trap 'rm -f "$log"' EXIT
# Old package lists name files that the archive has dropped, so refresh them; if some other source
# of the machine is out of order, that need not stop us.
apt-get -q update >"$log" 2>&1 || echo "  WARN    apt-get update: $(grep -m1 '^E:' "$log")"
apt-get -qy -o DPkg::Lock::Timeout=120 install --no-install-recommends "${missing[@]}" \
    >"$log" 2>&1 || { tail -n 30 "$log" >&2; exit 1; }
