# Azurite, the storage emulator, over HTTPS with bearer tokens: functions for bats.
#
#   azurite_start DIR [FLAG...]   start one on a free port, blobs in memory; DIR keeps its
#                                 certificates, pidfile and log.  Prints the port; exports
#                                 AZURITE_PORT, AZURITE_ENDPOINT, AZURITE_ACCOUNT, AZURITE_KEY,
#                                 AZURITE_CA (the file of roots to trust).  Not in a subshell.
#   azurite_stop DIR              end it
#   azurite_blob ARG...           tests/sdk/blob.mjs against it
#   azurite_token ARG...          a token it accepts: tests/lib/jwt.mjs
#
# AZURITE_LEAF=server-rsa gives it the RSA certificate in place of the EC one (test-certs.sh).
# BLOB_SAS and BLOB_TOKEN choose the credential of `azurite_blob --auth sas|bearer`.
# API versions it does not know are refused, as are unknown headers: it is to be a strict judge.

azurite_top=$(cd "${BASH_SOURCE[0]%/*}/../.." && pwd)
azurite_timeout_s=120

azurite_start()
{
	local dir=$1 deadline=$((SECONDS + azurite_timeout_s)) fd leaf npm pid port=''
	shift
	npm=$("$azurite_top/scripts/npm-tools.sh") || return 1
	mkdir -p "$dir"
	dir=$(cd "$dir" && pwd)
	"$azurite_top/scripts/test-certs.sh" "$dir/certs" || return 1
	leaf=$dir/certs/${AZURITE_LEAF:-server}
	(
		# A survivor that held a descriptor of bats would hang it.
		for fd in /proc/self/fd/*; do
			[ "${fd##*/}" -le 2 ] || eval "exec ${fd##*/}>&-"
		done
		cd "$dir" || exit 1
		exec node "$npm/node_modules/azurite/dist/src/blob/main.js" --blobHost 127.0.0.1 \
		    --blobPort 0 --cert "$leaf.pem" --key "$leaf.key" \
		    --oauth basic --inMemoryPersistence --extentMemoryLimit 1024 --silent \
		    --disableTelemetry "$@"
	) </dev/null >"$dir/log" 2>&1 &
	pid=$!
	echo $pid >"$dir/pid"
	while [ -z "$port" ]; do
		if ! kill -0 $pid 2>/dev/null || [ $SECONDS -ge $deadline ]; then
			echo "azurite did not start:" >&2
			tail -n 20 "$dir/log" >&2
			azurite_stop "$dir"
			return 1
		fi
		sleep 0.1
		port=$(sed -n 's/.*successfully listens on .*:\([0-9][0-9]*\).*/\1/p' "$dir/log")
	done
	# The emulator's published account (Azure/Azurite README.md).
	export AZURITE_ACCOUNT=devstoreaccount1
	export AZURITE_KEY=Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==
	export AZURITE_PORT=$port AZURITE_CA=$dir/certs/ca.pem
	export AZURITE_ENDPOINT=https://localhost:$port/$AZURITE_ACCOUNT
	echo "$port"
}

azurite_stop()
{
	local pid deadline=$((SECONDS + 10))
	pid=$(cat "$1/pid" 2>/dev/null) || return 0
	rm -f "$1/pid"
	grep -qs azurite "/proc/$pid/cmdline" || return 0
	kill "$pid" 2>/dev/null || return 0
	while kill -0 "$pid" 2>/dev/null; do
		# It waits for idle connections of its clients.
		[ $SECONDS -lt $deadline ] || { kill -KILL "$pid" 2>/dev/null || true; break; }
		sleep 0.1
	done
}

# It listens on 127.0.0.1 alone, and Node 18 tries only the first address of localhost.
azurite_blob()
{
	NODE_OPTIONS=--dns-result-order=ipv4first NODE_EXTRA_CA_CERTS=$AZURITE_CA \
	    BLOB_ENDPOINT=$AZURITE_ENDPOINT BLOB_KEY=$AZURITE_KEY \
	    timeout 120 node "$azurite_top/tests/sdk/blob.mjs" "$@"
}

azurite_token()
{
	node "$azurite_top/tests/lib/jwt.mjs" "$@"
}
