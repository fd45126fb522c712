#!/bin/bash
# pictures.sh [DIR]: the terminal pictures of the documents, in docs/pictures or DIR, from what the program really
# prints: plan.svg, doctor.svg. tests/98-readme.bats makes them again and compares.
#
# The machine shown has a network of its own, in which azsim is Azure: /etc/hosts there names it for the
# storage account's host, port 443 is its, and its certificate is trusted. The job may read but not
# write, so the doctor finds something. Figures of the machine at hand are replaced by fixed ones.
set -euo pipefail
cd "$(dirname "$0")/.."

readonly host=contosodata.blob.core.windows.net columns=120
readonly client=3f2a7c1e-0000-4000-8000-5b7d9e1f0a21 object=6c1d4e2f-0000-4000-8000-7a8b9c0d1e2f
readonly tenant=72f988bf-0000-4000-8000-2d7cd011db47

# In the namespaces, for mounts and network.
inside()
{
	local _
	if ! awk '$5 == "/" { found = 1 } END { exit !found }' /proc/self/mountinfo; then
		# A plain chroot: only a mount point can be told to keep its mounts to itself.
		[ "$root" != / ] || return 1
		mount --rbind / "$root"
		mount --make-rslave "$root"
		exec chroot "$root" "$scripts/pictures.sh" "$target" --inside "$work" /
	fi
	[ "$root" = / ] || mount --make-rslave /
	ip link set lo up
	printf '127.0.0.1 localhost %s\n' $host >"$work/hosts"
	mount --bind "$work/hosts" /etc/hosts
	build/azsim --http 80 --https 443 --cert "$work/certs/server.pem" --key "$work/certs/server.key" \
	    --port-file "$work/ports" --max-life 120 --tenant $tenant --secret of-the-platform \
	    --account "name=contosodata,tenant=$tenant" --container contosodata/images \
	    --identity "kind=user-assigned,client_id=$client,oid=$object" \
	    --role "oid=$object,role=reader,account=contosodata" >"$work/log" 2>&1 &
	azsim=$!
	trap 'kill $azsim' EXIT
	for _ in {1..600}; do
		[ ! -s "$work/ports" ] || break
		kill -0 $azsim || { cat "$work/log" >&2; return 1; }
		sleep 0.05
	done
	echo "label,file" >"$work/labels.csv"
	build/azsim ctl 80 PUT /_azsim/blob/contosodata/images/train/labels.csv "$work/labels.csv" >/dev/null
	draw plan
	draw doctor --write
}

draw()
{
	env -C "$work" -i PATH="$work/bin:$PATH" LANG=C.UTF-8 \
	    MSI_ENDPOINT=http://127.0.0.1/MSI/auth MSI_SECRET=of-the-platform \
	    DEFAULT_IDENTITY_CLIENT_ID=$client AZUREML_CURRENT_CLOUD=AzureCloud SSL_CERT_FILE="$work/certs/ca.pem" \
	    python3 "$scripts/terminal-svg.py" "$target/$1.svg" \
	    "amlshim $* --job job.yml --datastore images.yml" $columns "$work/rules" \
	    amlshim "$@" --job job.yml --datastore images.yml
}

scripts=$PWD/scripts
target=$(mkdir -p "${1:-docs/pictures}" && cd "${1:-docs/pictures}" && pwd)
if [ "${2-}" = --inside ]; then
	work=$3 root=$4
	inside
	exit
fi
[ "$(id -u)" = 0 ] || { echo "pictures: run as root: a namespace and a mount are made" >&2; exit 1; }
scripts/apt-install.sh openssl util-linux iproute2 python3 >&2
work=$(mktemp -d) root=$(mktemp -d)
finish()
{
	# Seen out here only when a chroot's surroundings share their mounts. Never removed with what is in it.
	! grep -qF " $root " /proc/self/mountinfo || umount -l "$root"
	rmdir "$root"
	rm -rf "$work"
}
trap finish EXIT
scripts/test-certs.sh "$work/certs" $host
mkdir "$work/bin"
cp build/amlshim "$work/bin/"
cat >"$work/job.yml" <<'YAML'
name: cats-42
type: command
command: python train.py --data ${{inputs.data}} --out ${{outputs.model}}
inputs:
  data: {type: uri_folder, path: azureml://datastores/images/paths/train/}
outputs:
  model: {type: uri_folder, path: azureml://datastores/images/paths/models/run1/}
identity: {type: managed}
YAML
cat >"$work/images.yml" <<'YAML'
name: images
type: azure_blob
account_name: contosodata
container_name: images
YAML
# What this machine is like: a Python regular expression, a tab, what it is in the picture.
cat >"$work/rules" <<RULES
$work/certs/ca.pem	/etc/ssl/certs/ca-certificates.crt
the 2 roots	the 142 roots
effective 0x[0-9a-f]+	effective 0x1ffffffffff
[0-9]+ MiB are free	98304 MiB are free
[0-9]+ MiB here	28672 MiB here
/dev/shm has [0-9]+ MiB	/dev/shm has 14336 MiB
ends 20[0-9TZ:-]+	ends 2027-06-30T12:00:00Z
ends in [0-9]+ .*$	ends in 24 h
[0-9]+ s [a-z ]*the service's	0 s from the service's
amlshim-doctor-[0-9a-f]{16}	amlshim-doctor-8294cfd428b02f29
request [0-9a-f-]{36}	request a25120b1-001e-00aa-0002-000000000005
RULES
unshare --mount --propagation unchanged --net scripts/pictures.sh "$target" --inside "$work" "$root"
