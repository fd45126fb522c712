#!/bin/bash
# dist.sh VERSION SRC OUT ARCH=BUILD...: what is passed on, into OUT:
#
#   amlshim-VERSION-linux-ARCH.tar.xz   the binary, man page, completions, licences
#   amlshim_VERSION-1_ARCH.deb          the same as a package of Debian
#   amlshim-VERSION.spdx.json           the SBOM of all binaries (sbom.py)
#   amlshim-VERSION.tar.xz              amlshim's source
#   amlshim-VERSION-third-party.tar     the sources of the libraries, as Debian has them
#   SHA256SUMS
#
# BUILD has amlshim, amlshim.1, completion-* and linked.c, SRC is deps-fetch.sh's. Every file has
# the time SOURCE_DATE_EPOCH, belongs to root and has its mode from here: the same tree makes the
# same bits, whoever packs it and where. DEB_MAINTAINER stands in the package.
set -euo pipefail
export LC_ALL=C TZ=UTC
umask 022
unset XZ_OPT XZ_DEFAULTS GZIP TAR_OPTIONS

version=$1 src=$2 out=$3
shift 3
scripts=$(cd "$(dirname "$0")" && pwd)
top=$(dirname "$scripts")
epoch=$SOURCE_DATE_EPOCH
maintainer=${DEB_MAINTAINER:-the amlshim authors <amlshim@localhost>}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# pack FILE DIR NAME...: the names below DIR into a tar; one that ends in .xz is compressed.
pack()
{
	local file=$1 dir=$2
	shift 2
	tar -C "$dir" --sort=name --mtime="@$epoch" --owner=0 --group=0 --numeric-owner \
	    --mode=u+rw,go+r,go-w,a+X --format=gnu -cf "$work/tar" "$@"
	case $file in
	*.xz) xz -9 -T1 -c "$work/tar" ;;
	*) cat "$work/tar" ;;
	esac >"$out/$file"
	rm "$work/tar"
}

binary_tar()
{
	local arch=$1 build=$2
	local name=amlshim-$version-linux-$arch
	local dir=$work/$name
	install -D -m 755 "$build/amlshim" "$dir/amlshim"
	install -m 644 "$build/amlshim.1" "$build/completion-bash" "$build/completion-zsh" \
	    "$top/LICENSE" "$work/$arch.THIRD-PARTY" "$dir"
	mv "$dir/$arch.THIRD-PARTY" "$dir/THIRD-PARTY"
	pack "$name.tar.xz" "$work" "$name"
}

# What of Debian's sources is in the binary, as Debian's archive records it.
built_using()
{
	sed -n 's/^    "\([^ ]*\) \([^ ]*\)\\n".*/\1 (= \2)/p' "$1/linked.c" | paste -sd, | sed 's/,/, /g'
}

# In KiB as dpkg-gencontrol counts, which no file system's block size changes.
installed_size()
{
	find "$1" -printf '%y %s\n' |
	    awk '{ kib += $1 == "f" ? int(($2 + 1023) / 1024) : 1 } END { print kib }'
}

deb()
{
	local arch=$1 build=$2 root=$work/deb-$1
	local doc=$root/usr/share/doc/amlshim
	install -D -m 755 "$build/amlshim" "$root/usr/sbin/amlshim"
	install -D -m 644 "$build/completion-bash" \
	    "$root/usr/share/bash-completion/completions/amlshim"
	install -D -m 644 "$build/completion-zsh" "$root/usr/share/zsh/vendor-completions/_amlshim"
	install -d "$root/usr/share/man/man1" "$doc" "$root/DEBIAN"
	gzip -9nc "$build/amlshim.1" >"$root/usr/share/man/man1/amlshim.1.gz"
	cat "$top/LICENSE" "$work/$arch.THIRD-PARTY" >"$doc/copyright"
	gzip -9nc >"$doc/changelog.Debian.gz" <<-EOT
	amlshim ($version-1) unstable; urgency=medium

	  * Release $version.

	 -- $maintainer  $(date -R -d "@$epoch")
	EOT
	cat >"$root/DEBIAN/control" <<-EOT
	Package: amlshim
	Version: $version-1
	Architecture: $arch
	Maintainer: $maintainer
	Installed-Size: $(installed_size "$root/usr")
	Static-Built-Using: $(built_using "$build")
	Section: admin
	Priority: optional
	Description: entry point for jobs and model servers on Azure Machine Learning
	 One static binary that is PID 1 of a container: it reads the job's specification,
	 decides as whom each datastore is accessed, mounts Azure Blob storage and ADLS
	 Gen2 over FUSE, gives the job's code a local token endpoint, forwards signals,
	 reaps, flushes the outputs and exits with the command's code.
	EOT
	(cd "$root" && find usr -type f -print0 | sort -z | xargs -0 md5sum >DEBIAN/md5sums)
	chmod 644 "$root"/DEBIAN/* "$root"/usr/share/man/man1/* "$doc"/*
	find "$root" -exec touch -h -d "@$epoch" {} +
	dpkg-deb --root-owner-group --threads-max=1 -Zxz -z9 -b "$root" \
	    "$out/amlshim_$version-1_$arch.deb" >/dev/null
}

# A file each is tracked, else (a tree without git) each that is no product of the build.
source_tar()
{
	local list=$work/list
	if git -C "$top" rev-parse --git-dir >/dev/null 2>&1; then
		git -C "$top" ls-files -z
	else
		(cd "$top" && find . \( -path ./build -o -name .git -o -name __pycache__ \) -prune \
		    -o \( -type f -o -type l \) -printf '%P\0')
	fi | sort -z >"$list"
	pack "amlshim-$version.tar.xz" "$top" --null --no-recursion \
	    --transform="flags=r;s|^|amlshim-$version/|" -T "$list"
}

rm -rf "$out"
mkdir -p "$out"
for pair in "$@"; do
	"$scripts/third-party.sh" "$src" "${pair#*=}" >"$work/${pair%%=*}.THIRD-PARTY"
	binary_tar "${pair%%=*}" "${pair#*=}"
	deb "${pair%%=*}" "${pair#*=}"
done
source_tar
pack "amlshim-$version-third-party.tar" "$src/download" --transform="flags=r;s|^\.|amlshim-$version-third-party|" .
"$scripts/sbom.py" "$version" "$src" "$@" >"$out/amlshim-$version.spdx.json"
(cd "$out" && sha256sum -- * >"$work/sums" && mv "$work/sums" SHA256SUMS)
