#!/usr/bin/env bash
# demo.sh: the main job on real data with a stand-in for Azure; `make run` calls it.
#
# A simulator of Azure's on-behalf-of endpoint and Blob service (build/azsim) starts on loopback, Fisher's iris
# data from Debian's python3-sklearn goes into its container, and a job of the usual shape runs as PID 1 of a fresh
# PID and mount namespace, and in Docker where an engine answers: its input mounted as the submitter, its result uploaded.
set -euo pipefail
cd "$(dirname "$0")/.."

readonly amlshim=$PWD/build/amlshim azsim=$PWD/build/azsim work=$PWD/build/demo

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }

finish() {
	scripts/stand-in.sh stop "$work/azure"
}
trap finish EXIT

[ "$(id -u)" = 0 ] || { echo "demo: run as root: it makes namespaces and mounts" >&2; exit 1; }
mkdir -p "$work"
scripts/apt-install.sh util-linux

write_job() {
	cat >"$work/job.yml" <<-'YAML'
		$schema: https://azuremlschemas.azureedge.net/latest/commandJob.schema.json
		type: command
		command: >-
		  awk -F, 'NR == 1 { split($0, name); next } { n[$5]++; sum[$5] += $3 }
		  END { for (c = 0; c < 3; c++) printf "%-12s%4d flowers, mean petal length %.3f cm\n", name[c + 3], n[c], sum[c] / n[c] }'
		  ${{inputs.flowers}} | tee ${{outputs.means}}/petal-length.txt
		inputs:
		  flowers: {type: uri_file, path: azureml://datastores/flowers/paths/iris/iris.csv}
		outputs:
		  means: {type: uri_folder, path: azureml://datastores/flowers/paths/results/}
		identity: {type: user_identity}
	YAML
}

# A file out of a Debian package, without installing it.
fetch_busybox() {
	[ ! -s "$work/busybox" ] || return 0
	mkdir -p "$work/deb"
	(
		cd "$work/deb"
		apt-get download -q busybox-static >/dev/null 2>&1 || { apt-get update -qq && apt-get download -q busybox-static; } >/dev/null
	)
	dpkg-deb --fsys-tarfile "$work/deb"/busybox-static_*.deb | tar -xO ./bin/busybox >"$work/busybox"
}

result_in_store() {
	echo "in the output datastore, flowers/results/petal-length.txt:"
	"$azsim" ctl "$http" GET /_azsim/blob/contosodata/flowers/results/petal-length.txt
	"$azsim" ctl "$http" DELETE /_azsim/blob/contosodata/flowers/results/petal-length.txt >/dev/null
}

scripts/stand-in.sh stop "$work/azure"	# one that was interrupted
scripts/stand-in.sh start "$work/azure" >/dev/null
write_job
cp "$work/azure/datastore.yml" "$work/datastore.yml"
http=$(cat "$work/azure/port")
export OBO_ENDPOINT="http://127.0.0.1:$http/OBO/token" SSL_CERT_FILE="$work/azure/ca.pem"

say "The plan: amlshim plan --job job.yml --datastore datastore.yml"
"$amlshim" plan --job "$work/job.yml" --datastore "$work/datastore.yml" --cache-dir "$work/cache" --root "$work/mnt"

say "The job, as PID 1 of a new PID and mount namespace"
# Nothing may leak out of the namespace; in a plain chroot, where / is no mount point, that cannot be asked for.
propagation=private
unshare --mount --propagation private true 2>/dev/null || propagation=unchanged
unshare --pid --fork --kill-child --mount --mount-proc --propagation "$propagation" \
    "$amlshim" -v --job "$work/job.yml" --datastore "$work/datastore.yml" --cache-dir "$work/cache" --root "$work/mnt"
result_in_store

if docker info >/dev/null 2>&1; then
	say "The job in Docker: an image of amlshim and busybox, ENTRYPOINT [\"/sbin/amlshim\", \"--\"]"
	fetch_busybox
	rm -rf "$work/image"
	mkdir -p "$work/image/sbin" "$work/image/bin" "$work/image/etc" "$work/image/tmp" "$work/image/mnt"
	cp "$amlshim" "$work/image/sbin/amlshim"
	install -m 755 "$work/busybox" "$work/image/bin/busybox"
	for tool in sh awk tee; do ln -s busybox "$work/image/bin/$tool"; done
	cp "$work/azure/ca.pem" "$work/image/etc/ca.pem"
	tar -C "$work/image" -c . | docker import -c 'ENTRYPOINT ["/sbin/amlshim", "--"]' - amlshim-demo >/dev/null
	docker run --rm --network host --device /dev/fuse --cap-add SYS_ADMIN --security-opt apparmor=unconfined \
	    -e AMLSHIM_JOB="$(cat "$work/job.yml")" -e AMLSHIM_DATASTORES="$(cat "$work/datastore.yml")" \
	    -e OBO_ENDPOINT -e SSL_CERT_FILE=/etc/ca.pem -e AMLSHIM_VERBOSE=1 amlshim-demo
	result_in_store
	docker rmi amlshim-demo >/dev/null
else
	say "No Docker engine answers here (docker info): the container run is left out"
fi
