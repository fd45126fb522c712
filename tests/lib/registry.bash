# An image in azsim's registry, without a builder: functions for bats, on top of lib/azsim.
#
#   registry_image NAME TAG FILE    an image whose one layer holds FILE; azsim needs
#                                   --container acct/registry

registry_digest()
{
	local sum
	sum=$(sha256sum "$1")
	echo "sha256:${sum%% *}"
}

registry_image()
{
	local name=$1 tag=$2 file=$3 dir diff layer config manifest
	dir=$(mktemp -d)
	tar -C "${file%/*}" --owner=0 --group=0 --numeric-owner --mtime=@0 -cf "$dir/layer.tar" "${file##*/}"
	diff=$(registry_digest "$dir/layer.tar")
	gzip -n "$dir/layer.tar"
	layer=$(registry_digest "$dir/layer.tar.gz")
	printf '{"architecture":"%s","os":"linux","config":{"Cmd":["/%s"]},"rootfs":{"type":"layers","diff_ids":["%s"]},"history":[{"created_by":"test"}]}' \
	    "$(dpkg --print-architecture)" "${file##*/}" "$diff" >"$dir/config"
	config=$(registry_digest "$dir/config")
	printf '{"schemaVersion":2,"mediaType":"application/vnd.docker.distribution.manifest.v2+json","config":{"mediaType":"application/vnd.docker.container.image.v1+json","size":%s,"digest":"%s"},"layers":[{"mediaType":"application/vnd.docker.image.rootfs.diff.tar.gzip","size":%s,"digest":"%s"}]}' \
	    "$(stat -c %s "$dir/config")" "$config" "$(stat -c %s "$dir/layer.tar.gz")" "$layer" >"$dir/manifest"
	manifest=$(registry_digest "$dir/manifest")
	registry_put "$name/blobs/$layer" "$dir/layer.tar.gz" &&
	    registry_put "$name/blobs/$config" "$dir/config" &&
	    registry_put "$name/manifests/$manifest" "$dir/manifest" &&
	    registry_put "$name/manifests/$tag" "$dir/manifest" || return 1
	rm -rf "$dir"
}

registry_put()
{
	azsim_ctl PUT "/_azsim/blob/$AZSIM_ACCOUNT/registry/$(azsim_path "$1")" "$2" >/dev/null
}
