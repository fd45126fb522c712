# azsim, the strict simulator of Azure's token endpoints and Blob service: functions for bats.
#
#   azsim_start [OPTION...]    start one on free ports (azsim --help has the options) and set, for
#                              this shell and its children:
#         AZSIM_PORT AZSIM_HTTPS_PORT        plain and TLS, on 127.0.0.1
#         AZSIM_CA                           the file of roots to trust
#         AZSIM_ACCOUNT AZSIM_HNS_ACCOUNT    a flat and a hierarchical account; each has the
#                                            container "data"; options may add more
#         AZSIM_KEY AZSIM_TENANT AZSIM_SECRET
#         AZSIM_ENDPOINT                     https://localhost:PORT/ACCOUNT; also
#         AZSIM_HNS_ENDPOINT, AZSIM_HTTP_ENDPOINT (plain), and of the hierarchical account
#         AZSIM_DFS_ENDPOINT (https://ACCOUNT.dfs.test.local:PORT)
#                              Unless an --identity or --user is given there are: a system-assigned
#                              identity (AZSIM_SYSTEM_OID, _CLIENT_ID), a user-assigned one
#                              (AZSIM_UAI_OID, _CLIENT_ID, _RESOURCE_ID) and a submitter
#                              (AZSIM_USER_OID); all are contributors on both accounts.
#   azsim_stop                 end it
#   azsim_env KIND             the variables by which a job finds the token endpoint, one a line:
#                              imds, aml, appservice, obo, arc, cloudshell, fabric (without the
#                              thumbprint)
#   azsim_ctl METHOD PATH...   a control request (tests/azsim/control.h)
#   azsim_put CONTAINER[/PREFIX] FILE...   files and trees, without authentication; into the account
#                              AZSIM_TO if that is set, else the flat one
#   azsim_get CONTAINER/NAME   a blob's bytes, likewise
#   azsim_fault WORD=VALUE...  what shall go wrong (tests/azsim/fault.h); prints the rule's id
#   azsim_faults_off           nothing goes wrong any more
#   azsim_knob NAME=N...       turn knobs (tests/azsim/sim.h)
#   azsim_app client_id=ID WORD=VALUE...   change what proves to be an application (tests/azsim/apps.h)
#   azsim_role WORD=VALUE...   assign a data role; azsim_roles_off [oid=OID] takes them away
#   azsim_acl WORD=VALUE...    an entry of an access control list (tests/azsim/acl.h)
#   azsim_account WORD=VALUE...            change an account's settings or key
#   azsim_token [WORD=VALUE...]            any token, also a bad one
#   azsim_log [FIELD=VALUE...] the requests recorded that match, as JSON lines
#   azsim_count [FIELD=VALUE...]           how many
#   azsim_forget               empty the record
#   azsim_assert N [FIELD=VALUE...]        fail unless N requests match; "+": at least one
#   azsim_dfs ARG...           tests/sdk/dfs.mjs against the hierarchical account; DFS_ENDPOINT set
#                              by the caller wins
#   azsim_blob ARG...          tests/sdk/blob.mjs against the flat account over TLS; BLOB_ENDPOINT
#                              set by the caller wins
#
# AZSIM_LEAF=server-rsa gives it the RSA certificate in place of the EC one.  AZSIM_DIR is where it
# keeps its files, AZSIM the program.

azsim_top=$(cd "${BASH_SOURCE[0]%/*}/../.." && pwd)
AZSIM=${AZSIM:-$azsim_top/build/azsim}

azsim_default_people()
{
	local oid account
	AZSIM_PEOPLE=(
		--identity "kind=system,client_id=$AZSIM_SYSTEM_CLIENT_ID,object_id=$AZSIM_SYSTEM_OID"
		--identity "kind=user-assigned,client_id=$AZSIM_UAI_CLIENT_ID,object_id=$AZSIM_UAI_OID,resource_id=$AZSIM_UAI_RESOURCE_ID"
		--user "oid=$AZSIM_USER_OID,upn=ann@example.com"
	)
	for oid in "$AZSIM_SYSTEM_OID" "$AZSIM_UAI_OID" "$AZSIM_USER_OID"; do
		for account in $AZSIM_ACCOUNT $AZSIM_HNS_ACCOUNT; do
			AZSIM_PEOPLE+=(--role "oid=$oid,role=contributor,account=$account")
		done
	done
}

azsim_start()
{
	local deadline=$((SECONDS + 60)) fd option leaf pid https='' http='' self=''
	export AZSIM_DIR=${AZSIM_DIR:-${BATS_TEST_TMPDIR:-${BATS_FILE_TMPDIR:-$(mktemp -d)}}/azsim}
	export AZSIM_ACCOUNT=acct AZSIM_HNS_ACCOUNT=hnsacct AZSIM_SECRET=azsim-secret
	# The storage emulator's published key (Azure/Azurite README.md).
	export AZSIM_KEY=Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==
	export AZSIM_TENANT=72f988bf-0000-4000-8000-2d7cd011db47
	export AZSIM_SYSTEM_CLIENT_ID=c11e0000-0000-4000-8000-0000000000aa
	export AZSIM_SYSTEM_OID=0b1ec700-0000-4000-8000-0000000000aa
	export AZSIM_UAI_CLIENT_ID=c11e0000-0000-4000-8000-0000000000bb
	export AZSIM_UAI_OID=0b1ec700-0000-4000-8000-0000000000bb
	export AZSIM_UAI_RESOURCE_ID=/subscriptions/5ab5c21b-0000-4000-8000-000000000000/resourcegroups/rg/providers/Microsoft.ManagedIdentity/userAssignedIdentities/uai
	export AZSIM_USER_OID=0b1ec700-0000-4000-8000-0000000000cc
	AZSIM_PEOPLE=()
	azsim_default_people
	for option in "$@"; do
		case $option in
		--identity* | --user*) AZSIM_PEOPLE=() ;;
		esac
	done
	mkdir -p "$AZSIM_DIR"
	"$azsim_top/scripts/test-certs.sh" "${AZSIM_CERTS:-$AZSIM_DIR/certs}" || return 1
	export AZSIM_CA=${AZSIM_CERTS:-$AZSIM_DIR/certs}/ca.pem
	leaf=${AZSIM_CA%/*}/${AZSIM_LEAF:-server}
	rm -f "$AZSIM_DIR/ports"
	(
		# A survivor that held a descriptor of bats would hang it.
		for fd in /proc/self/fd/*; do
			[ "${fd##*/}" -le 2 ] || eval "exec ${fd##*/}>&-"
		done
		exec "$AZSIM" --http 0 --https 0 --cert "$leaf.pem" --key "$leaf.key" \
		    --port-file "$AZSIM_DIR/ports" --log "$AZSIM_DIR/requests" --max-life 3600 \
		    --secret "$AZSIM_SECRET" --tenant "$AZSIM_TENANT" \
		    --account "name=$AZSIM_ACCOUNT,public=on" --container "$AZSIM_ACCOUNT/data" \
		    --account "name=$AZSIM_HNS_ACCOUNT,hns=1" --container "$AZSIM_HNS_ACCOUNT/data" \
		    "${AZSIM_PEOPLE[@]}" "$@"
	) </dev/null >"$AZSIM_DIR/out" 2>&1 &
	pid=$!
	echo $pid >"$AZSIM_DIR/pid"
	until [ -s "$AZSIM_DIR/ports" ]; do
		if ! kill -0 $pid 2>/dev/null || [ $SECONDS -ge $deadline ]; then
			echo "azsim did not start:" >&2
			cat "$AZSIM_DIR/out" >&2
			azsim_stop
			return 1
		fi
		sleep 0.02
	done
	read -r http https self <"$AZSIM_DIR/ports"
	export AZSIM_PORT=${http#http=} AZSIM_HTTPS_PORT=${https#https=} AZSIM_SELF_PORT=${self#self=}
	export AZSIM_ENDPOINT=https://localhost:$AZSIM_HTTPS_PORT/$AZSIM_ACCOUNT
	export AZSIM_HNS_ENDPOINT=https://localhost:$AZSIM_HTTPS_PORT/$AZSIM_HNS_ACCOUNT
	export AZSIM_DFS_ENDPOINT=https://$AZSIM_HNS_ACCOUNT.dfs.test.local:$AZSIM_HTTPS_PORT
	export AZSIM_HTTP_ENDPOINT=http://127.0.0.1:$AZSIM_PORT/$AZSIM_ACCOUNT
}

azsim_stop()
{
	local pid
	pid=$(cat "$AZSIM_DIR/pid" 2>/dev/null) || return 0
	rm -f "$AZSIM_DIR/pid"
	kill "$pid" 2>/dev/null || return 0
	wait "$pid" 2>/dev/null || true
	while kill -0 "$pid" 2>/dev/null; do
		sleep 0.02
	done
}

azsim_env()
{
	local base=http://127.0.0.1:$AZSIM_PORT
	case $1 in
	imds) echo "AZURE_POD_IDENTITY_AUTHORITY_HOST=$base" ;;
	aml)
		echo "MSI_ENDPOINT=$base/MSI/auth"
		echo "MSI_SECRET=$AZSIM_SECRET" ;;
	appservice)
		echo "IDENTITY_ENDPOINT=$base/msi/token"
		echo "IDENTITY_HEADER=$AZSIM_SECRET" ;;
	obo) echo "OBO_ENDPOINT=$base/OBO/token" ;;
	arc)
		echo "IDENTITY_ENDPOINT=$base/metadata/identity/oauth2/token"
		echo "IMDS_ENDPOINT=$base" ;;
	cloudshell) echo "MSI_ENDPOINT=$base/oauth2/token" ;;
	fabric)
		echo "IDENTITY_ENDPOINT=https://127.0.0.1:${AZSIM_SELF_PORT:-$AZSIM_HTTPS_PORT}/metadata/identity/oauth2/token"
		echo "IDENTITY_HEADER=$AZSIM_SECRET" ;;
	*) return 1 ;;
	esac
}

azsim_ctl()
{
	timeout 120 "$AZSIM" ctl "$AZSIM_PORT" "$@"
}

# Words as a query: percent-encoded, joined by '&'.
azsim_query()
{
	local word value out='' i c sep='?' LC_ALL=C
	for word in "$@"; do
		value=${word#*=}
		out+=$sep${word%%=*}=
		sep='&'
		for ((i = 0; i < ${#value}; i++)); do
			c=${value:i:1}
			case $c in
			[a-zA-Z0-9._~/:,-]) out+=$c ;;
			*)
				printf -v c '%%%02X' "'$c"
				out+=${c/FFFFFFFFFFFFFF/} ;;
			esac
		done
	done
	printf '%s' "$out"
}

azsim_path()
{
	local path
	path=$(azsim_query "x=$1")
	printf '%s' "${path#*=}"
}

azsim_put()
{
	local target=$1 file name
	shift
	case $target in
	*/*) target=${target%/}/ ;;
	*) target=$target/ ;;
	esac
	for file in "$@"; do
		if [ -d "$file" ]; then
			while IFS= read -r -d '' name; do
				azsim_ctl PUT "/_azsim/blob/${AZSIM_TO:-$AZSIM_ACCOUNT}/$(azsim_path \
				    "$target${name#"${file%/*}"/}")" "$name" >/dev/null || return 1
			done < <(find "$file" -type f -print0 | sort -z)
		else
			azsim_ctl PUT "/_azsim/blob/${AZSIM_TO:-$AZSIM_ACCOUNT}/$(azsim_path \
			    "$target${file##*/}")" "$file" >/dev/null || return 1
		fi
	done
}

azsim_get()
{
	azsim_ctl GET "/_azsim/blob/${AZSIM_TO:-$AZSIM_ACCOUNT}/$(azsim_path "$1")"
}

azsim_fault()
{
	local answer
	answer=$(azsim_ctl POST "/_azsim/fault$(azsim_query "$@")") || return 1
	answer=${answer#*:}
	echo "${answer%\}}"
}

azsim_faults_off()
{
	azsim_ctl DELETE /_azsim/fault >/dev/null
}

azsim_knob()
{
	azsim_ctl POST "/_azsim/knob$(azsim_query "$@")" >/dev/null
}

azsim_app()
{
	azsim_ctl POST "/_azsim/app$(azsim_query "$@")" >/dev/null
}

azsim_role()
{
	azsim_ctl POST "/_azsim/role$(azsim_query "$@")" >/dev/null
}

azsim_roles_off()
{
	azsim_ctl DELETE "/_azsim/role$(azsim_query "$@")" >/dev/null
}

azsim_acl()
{
	azsim_ctl POST "/_azsim/acl$(azsim_query "$@")" >/dev/null
}

azsim_account()
{
	azsim_ctl POST "/_azsim/account$(azsim_query "$@")" >/dev/null
}

azsim_token()
{
	azsim_ctl POST "/_azsim/token$(azsim_query "$@")"
}

azsim_log()
{
	azsim_ctl GET "/_azsim/log$(azsim_query "$@")"
}

azsim_count()
{
	azsim_log count=1 "$@"
}

azsim_forget()
{
	azsim_ctl DELETE /_azsim/log >/dev/null
}

azsim_assert()
{
	local want=$1 got
	shift
	got=$(azsim_count "$@") || return 1
	case $want in
	+) [ "$got" -gt 0 ] && return 0 ;;
	*) [ "$got" -eq "$want" ] && return 0 ;;
	esac
	printf 'requests with %s: %s, wanted %s; all were:\n' "$*" "$got" "$want"
	azsim_log
	return 1
}

# Node 18 tries only the first address of localhost.
azsim_blob()
{
	NODE_OPTIONS=--dns-result-order=ipv4first NODE_EXTRA_CA_CERTS=$AZSIM_CA \
	    BLOB_ENDPOINT=${BLOB_ENDPOINT:-$AZSIM_ENDPOINT} BLOB_KEY=${BLOB_KEY:-$AZSIM_KEY} \
	    timeout 120 node "$azsim_top/tests/sdk/blob.mjs" "$@"
}

azsim_dfs()
{
	NODE_OPTIONS=--dns-result-order=ipv4first NODE_EXTRA_CA_CERTS=$AZSIM_CA \
	    DFS_ENDPOINT=${DFS_ENDPOINT:-$AZSIM_DFS_ENDPOINT} BLOB_KEY=${BLOB_KEY:-$AZSIM_KEY} \
	    timeout 120 node "$azsim_top/tests/sdk/dfs.mjs" "$@"
}
