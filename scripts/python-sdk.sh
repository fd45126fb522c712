#!/bin/bash
# python-sdk.sh: put azure-identity and azure-storage-blob for Python, as Debian packages them, into
# build/python, and print that directory: a PYTHONPATH for /usr/bin/python3. Debian has them in
# python3-azure, together with half a gigabyte of others; of that package only these modules are
# unpacked, and what they import is installed as packages. apt fetches and authenticates.
set -euo pipefail

scripts=$(cd "$(dirname "$0")" && pwd)
dir=$(mkdir -p "$scripts/../build/python" && cd "$scripts/../build/python" && pwd)
modules=usr/lib/python3/dist-packages/azure

exec 9>"$dir/lock"
flock -w 600 9
"$scripts/apt-install.sh" python3 python3-msal python3-msal-extensions python3-requests \
    python3-cryptography python3-isodate python3-six python3-typing-extensions >&2

unpack()
{
	local package=$1
	shift
	apt-get -q download "$package" >&2 &&
	    dpkg-deb --fsys-tarfile "$package"_*.deb |
		tar -x --strip-components 5 "${@/#/./$modules/}" &&
	    rm -f "$package"_*.deb
}

if [ ! -e "$dir/done" ]; then
	cd "$dir"
	rm -rf azure ./*.deb
	unpack python3-azure core identity || { apt-get -q update >&2 && unpack python3-azure core identity; }
	unpack python3-azure-storage storage/__init__.py storage/blob
	PYTHONPATH=$dir /usr/bin/python3 -c 'import azure.identity, azure.storage.blob'
	touch "$dir/done"
fi
echo "$dir"
