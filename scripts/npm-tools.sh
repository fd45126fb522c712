#!/bin/bash
# npm-tools.sh: install what tests/sdk/package-lock.json names (Azurite, the official SDKs, real
# data sets) into build/npm, from the registry that the machine's npm is configured with. Prints
# that directory. Installs Debian's nodejs and npm where they are missing.
set -euo pipefail

scripts=$(cd "$(dirname "$0")" && pwd)
sdk=$(cd "$scripts/../tests/sdk" && pwd)
dir=$(mkdir -p "$scripts/../build/npm" && cd "$scripts/../build/npm" && pwd)
readonly node_min=18

die()
{
	echo "npm-tools: $*" >&2
	exit 1
}

exec 9>"$dir/lock"
flock -w 900 9 || die "another run does not end"
packages=()
command -v node >/dev/null || packages+=(nodejs)
command -v npm >/dev/null || packages+=(npm)
if [ ${#packages[@]} -gt 0 ]; then
	"$scripts/apt-install.sh" "${packages[@]}" ca-certificates >&2
fi
version=$(node --version)
major=${version#v}
[ "${major%%.*}" -ge $node_min ] || die "node $version is older than $node_min"

stamp=$(cat "$sdk/package.json" "$sdk/package-lock.json" | sha256sum)
if [ "$stamp" != "$(cat "$dir/stamp" 2>/dev/null)" ]; then
	rm -f "$dir/stamp"
	cp "$sdk/package.json" "$sdk/package-lock.json" "$dir/"
	# The lock file's hashes decide what is right; nothing of it needs to be built.
	npm ci --prefix "$dir" --ignore-scripts --omit=optional --no-audit --no-fund \
	    --no-update-notifier --loglevel=error >&2
	echo "$stamp" >"$dir/stamp"
fi
echo "$dir"
