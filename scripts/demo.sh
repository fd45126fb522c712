#!/usr/bin/env bash
# demo.sh: the main job on real data with a stand-in for Azure; `make run` calls it.
#
# A simulator of Azure's on-behalf-of endpoint and Blob service (build/azsim) starts on loopback, Fisher's iris
# data from Debian's python3-sklearn goes into its container, and a job of the usual shape runs as PID 1 of a fresh
# PID and mount namespace, and in Docker where an engine answers: its input mounted as the submitter, its result uploaded.
set -euo pipefail
cd "$(dirname "$0")/.."

readonly amlshim=$PWD/build/amlshim azsim=$PWD/build/azsim work=$PWD/build/demo
readonly user=8c9d1e5a-3b2f-4a6d-9e7c-1f0a2b3c4d5e tenant=72f988bf-0000-4000-8000-2d7cd011db47
azsim_pid='' http='' https=''

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }

finish() {
	[ -z "$azsim_pid" ] || kill "$azsim_pid" 2>/dev/null || true
}
trap finish EXIT

[ "$(id -u)" = 0 ] || { echo "demo: run as root: it makes namespaces and mounts" >&2; exit 1; }
mkdir -p "$work"
scripts/apt-install.sh openssl util-linux ca-certificates

# A file out of a Debian package, without installing it and what it depends on.
fetch_from_package() {
	local package=$1 path=$2 to=$3
	[ ! -s "$to" ] || return 0
	mkdir -p "$work/deb"
	(
		cd "$work/deb"
		apt-get download -q "$package" >/dev/null 2>&1 || { apt-get update -qq && apt-get download -q "$package"; } >/dev/null
	)
	dpkg-deb --fsys-tarfile "$work/deb/$package"_*.deb | tar -xO "$path" >"$to.new"
	mv "$to.new" "$to"
}

start_azure() {
	scripts/test-certs.sh "$work/certs" >/dev/null
	rm -f "$work/ports"
	"$azsim" --http 0 --https 0 --cert "$work/certs/server.pem" --key "$work/certs/server.key" \
	    --port-file "$work/ports" --log "$work/requests.log" --max-life 300 --tenant "$tenant" \
	    --account "name=contosodata,key=$(openssl rand -base64 64 | tr -d '\n'),tenant=$tenant" \
	    --container contosodata/flowers --user "oid=$user,upn=ada@contoso.com" \
	    --role "oid=$user,role=contributor,account=contosodata" &
	azsim_pid=$!
	for _ in $(seq 100); do
		[ ! -s "$work/ports" ] || break
		sleep 0.05
	done
	# shellcheck disable=SC1091
	. "$work/ports"
}

write_specs() {
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
	cat >"$work/datastore.yml" <<-YAML
		name: flowers
		type: azure_blob
		account_name: contosodata
		container_name: flowers
		endpoint: localhost:$https
	YAML
}

result_in_store() {
	echo "in the output datastore, flowers/results/petal-length.txt:"
	"$azsim" ctl "$http" GET /_azsim/blob/contosodata/flowers/results/petal-length.txt
	"$azsim" ctl "$http" DELETE /_azsim/blob/contosodata/flowers/results/petal-length.txt >/dev/null
}

fetch_from_package python3-sklearn ./usr/lib/python3/dist-packages/sklearn/datasets/data/iris.csv "$work/iris.csv"
start_azure
write_specs
"$azsim" ctl "$http" PUT /_azsim/blob/contosodata/flowers/iris/iris.csv "$work/iris.csv" >/dev/null
export OBO_ENDPOINT="http://127.0.0.1:$http/OBO/token" SSL_CERT_FILE="$work/certs/ca.pem"

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
	fetch_from_package busybox-static ./bin/busybox "$work/busybox"
	rm -rf "$work/image"
	mkdir -p "$work/image/sbin" "$work/image/bin" "$work/image/etc" "$work/image/tmp" "$work/image/mnt"
	cp "$amlshim" "$work/image/sbin/amlshim"
	install -m 755 "$work/busybox" "$work/image/bin/busybox"
	for tool in sh awk tee; do ln -s busybox "$work/image/bin/$tool"; done
	cp "$work/certs/ca.pem" "$work/image/etc/ca.pem"
	tar -C "$work/image" -c . | docker import -c 'ENTRYPOINT ["/sbin/amlshim", "--"]' - amlshim-demo >/dev/null
	docker run --rm --network host --device /dev/fuse --cap-add SYS_ADMIN --security-opt apparmor=unconfined \
	    -e AMLSHIM_JOB="$(cat "$work/job.yml")" -e AMLSHIM_DATASTORES="$(cat "$work/datastore.yml")" \
	    -e OBO_ENDPOINT -e SSL_CERT_FILE=/etc/ca.pem -e AMLSHIM_VERBOSE=1 amlshim-demo
	result_in_store
	docker rmi amlshim-demo >/dev/null
else
	say "No Docker engine answers here (docker info): the container run is left out"
fi
