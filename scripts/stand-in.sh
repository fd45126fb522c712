#!/bin/bash
# stand-in.sh start|stop|get NAME [DIR]: a stand-in for Azure on this machine, for a first try.
#
# start  starts build/azsim on loopback: the Blob service with the account contosodata, the token endpoint of
#        Azure ML's compute for the person who submitted the job (ada@contoso.com), a virtual machine's for its own
#        identity, and Fisher's iris data, from Debian's python3-sklearn, as iris/iris.csv in the container flowers.
#        It ends by itself after two hours
# get    prints what is called NAME in that container
# stop   ends it
#
# DIR (default build/stand-in) then has
#   env            what a container has to know, for docker run --env-file: the endpoint, the datastore
#   ca.pem         who signed the stand-in's certificate; env expects it at /ca.pem
#   datastore.yml  the datastore as a file
#   port           of its plain HTTP, pid, requests.log
set -euo pipefail

scripts=$(cd "$(dirname "$0")" && pwd)
readonly azsim=$scripts/../build/azsim life_s=7200 start_timeout_s=30
readonly user=8c9d1e5a-3b2f-4a6d-9e7c-1f0a2b3c4d5e tenant=72f988bf-0000-4000-8000-2d7cd011db47
readonly machine=5b7d9e1f-0000-4000-8000-0a213f2a7c1e

die()
{
	echo "stand-in: $*" >&2
	exit 1
}

# The pid in $dir/pid, if that process is a stand-in of this directory.
running()
{
	local pid
	pid=$(cat "$dir/pid" 2>/dev/null) || return 1
	tr '\0' '\n' <"/proc/$pid/cmdline" 2>/dev/null | grep -qxF "$dir/requests.log" || return 1
	echo "$pid"
}

# Real data: a file out of a Debian package, without installing it and what it depends on.
fetch_iris()
{
	local work path=./usr/lib/python3/dist-packages/sklearn/datasets/data/iris.csv
	[ ! -s "$dir/iris.csv" ] || return 0
	work=$(mktemp -d "$dir/deb.XXXXXX")
	(
		cd "$work"
		apt-get download -q python3-sklearn >/dev/null 2>&1 ||
		    { apt-get update -qq && apt-get download -q python3-sklearn; } >/dev/null
	) || die "apt has no package python3-sklearn"
	dpkg-deb --fsys-tarfile "$work"/python3-sklearn_*.deb | tar -xO "$path" >"$dir/iris.csv.new"
	mv "$dir/iris.csv.new" "$dir/iris.csv"
	rm -r "$work"
}

launch()
{
	local deadline=$((SECONDS + start_timeout_s)) key fd
	key=$(openssl rand -base64 64 | tr -d '\n')
	rm -f "$dir/ports"
	(
		# It outlives its caller: nothing that the caller waits for may stay open in it.
		for fd in /proc/self/fd/*; do
			[ "${fd##*/}" -le 2 ] || eval "exec ${fd##*/}>&-"
		done
		exec setsid "$azsim" --http 0 --https 0 --cert "$dir/certs/server.pem" --key "$dir/certs/server.key" \
		    --port-file "$dir/ports" --log "$dir/requests.log" --max-life $life_s --tenant $tenant \
		    --account "name=contosodata,key=$key,tenant=$tenant" --container contosodata/flowers \
		    --user "oid=$user,upn=ada@contoso.com" --role "oid=$user,role=contributor,account=contosodata" \
		    --identity "kind=system,oid=$machine" --role "oid=$machine,role=contributor,account=contosodata"
	) </dev/null >"$dir/log" 2>&1 &
	echo $! >"$dir/pid"
	until [ -s "$dir/ports" ]; do
		kill -0 $! 2>/dev/null && [ $SECONDS -lt $deadline ] || { cat "$dir/log" >&2; die "azsim did not start"; }
		sleep 0.05
	done
}

start()
{
	local http='' https=''
	[ -x "$azsim" ] || die "there is no build/azsim: make"
	if running >/dev/null; then
		echo "the stand-in runs already"
		return
	fi
	mkdir -p "$dir"
	"$scripts/apt-install.sh" openssl ca-certificates >&2
	"$scripts/test-certs.sh" "$dir/certs" >/dev/null
	cp "$dir/certs/ca.pem" "$dir/ca.pem"
	fetch_iris
	launch
	# shellcheck disable=SC1091 # http=PORT https=PORT
	. "$dir/ports"
	echo "$http" >"$dir/port"
	printf '%s\n' 'name: flowers' 'type: azure_blob' 'account_name: contosodata' \
	    'container_name: flowers' "endpoint: localhost:$https" >"$dir/datastore.yml"
	cat >"$dir/env" <<-ENV
		OBO_ENDPOINT=http://127.0.0.1:$http/OBO/token
		SSL_CERT_FILE=/ca.pem
		AMLSHIM_DATASTORES={name: flowers, type: azure_blob, account_name: contosodata, container_name: flowers, endpoint: "localhost:$https"}
	ENV
	"$azsim" ctl "$http" PUT /_azsim/blob/contosodata/flowers/iris/iris.csv "$dir/iris.csv" >/dev/null
	echo "the stand-in runs: containers find it by --env-file $dir/env -v $dir/ca.pem:/ca.pem:ro"
}

get()
{
	running >/dev/null || die "it does not run"
	"$azsim" ctl "$(cat "$dir/port")" GET "/_azsim/blob/contosodata/flowers/$1"
}

stop()
{
	local pid
	pid=$(running) || return 0
	kill "$pid"
	rm -f "$dir/pid"
}

usage='usage: stand-in.sh start|stop|get NAME [DIR]'
case ${1-} in
start | stop)
	dir=$(realpath -m "${2:-$scripts/../build/stand-in}")
	"$1" ;;
get)
	dir=$(realpath -m "${3:-$scripts/../build/stand-in}")
	get "${2:?$usage}" ;;
*)
	echo "$usage" >&2
	exit 2 ;;
esac
