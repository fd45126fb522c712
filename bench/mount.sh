#!/usr/bin/env bash
# mount.sh [WORKLOAD...]: the workloads of a training job on amlshim, its peers and raw curl, in turn.
#
#   sequential   one file of SEQ_MIB (2048), cold, one reader of 1 MiB reads; then again on the same
#                mount.  curl: ranges of 32 MiB on 16 connections
#   small        SMALL (10000) files of 100 KiB: listed, then read shuffled by 8 threads, cold; then
#                again in another order, beside a copy on the local disk that the page cache holds.
#                curl: 8 connections, a fifth of the files
#   random       4 KiB at random places of that file, none twice, 16 threads, cold.  curl: as many
#                ranges on 16 connections; the floor is 16 readers a round trip
#   list         LIST (100000) names with sizes, by find; then a stat of each, and the requests it
#                costs.  curl: the bare calls, markers known before, on one connection
#   write        1 GiB by one writer.  curl: Put Block of 8 MiB on 16 connections, Put Block List
#   write-small  1,000 files of 64 KiB by one writer, and by 8; amlshim also with --write-behind, whose
#                close does not wait either, as rclone's.  curl: Put Blob, as many connections
#   reread       512 MiB read, unmounted, mounted with the disk cache that was filled, read again
#
# The store is azsim over HTTPS, with LATENCY_MS (20) a request and RATE (60 MB/s) a connection, and
# with neither.  RUNS (3) rounds; in a round each setting, workload and contender has a turn, on a
# mount of its own.  A write ends when the store counts its bytes, whoever says that it is done.
# What takes longer than CAP_S (6) is measured by what it did until then.  After BUDGET_S (960) what
# is left of the later rounds is left out.  Needs root and FUSE.
#
# Samples go to BENCH_RESULTS if that is set (bench/run.sh), else report.py prints them here.
set -euo pipefail
cd "$(dirname "$0")/.."
RUNS=${RUNS:-3} SEQ_MIB=${SEQ_MIB:-2048} SMALL=${SMALL:-10000} LIST=${LIST:-100000}
LATENCY_MS=${LATENCY_MS:-20} RATE=${RATE:-60000000} CAP_S=${CAP_S:-6} BUDGET_S=${BUDGET_S:-960}
if [ -z "${BENCH_INSIDE-}" ]; then
	scripts/apt-install.sh rclone fuse3 curl openssl python3 procps util-linux gcc libc6-dev >&2
	BENCH_INSIDE=1 exec unshare --mount --propagation private "bench/${0##*/}" "$@"
fi

work=$(mktemp -d)
results=${BENCH_RESULTS:-$work/results}
export BATS_TEST_DIRNAME=$PWD/tests BATS_TEST_TMPDIR=$work BATS_FILE_TMPDIR=$work
# shellcheck source=tests/helpers.bash
. tests/helpers.bash
# shellcheck source=tests/lib/jobs.bash
. tests/lib/jobs.bash
# shellcheck source=bench/contenders.bash
. bench/contenders.bash
LIMIT=3600 load=$PWD/build/bench/load

finish()
{
	trap - EXIT INT TERM
	unmount || true
	jobs_cleanup 2>/dev/null || true
	azsim_stop
	rm -rf --one-file-system "$work"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# ---- samples

version() # WHO TEXT
{
	printf 'version\t%s\t%s\n' "$1" "$2" >>"$results"
}

absent() # WHO WHY
{
	printf 'absent\t%s\t%s\n' "$1" "$2" >>"$results"
	echo "  $1 is left out: $2" >&2
}

note() # WORKLOAD WHO VALUE UNIT
{
	printf 'sample\t%s\t%s\t%s\t%s\t%d\t%s\n' "$setting" "$1" "$4" "$2" "$round" "$3" >>"$results"
	printf '  %-6s %-18s %-10s %12.2f %s\n' "$setting" "$1" "$2" "$3" "$4" >&2
}

calc()
{
	awk "BEGIN { printf \"%.4f\", $1 }"
}

now()
{
	date +%s.%N
}

# Runs load; sets $items, $bytes, $seconds.
loaded()
{
	"$load" "$@" >"$work/loaded" || return 1
	read -r items bytes seconds _ <"$work/loaded"
}

# Runs a curl; sets $seconds, and $cpu, its own.
curled()
{
	local TIMEFORMAT='%R %U %S' real user system
	{ time "$@" >/dev/null 2>"$work/curl.err"; } 2>"$work/time" || { tail -n 3 "$work/curl.err" >&2; return 1; }
	read -r real user system <"$work/time"
	seconds=$real cpu=$(calc "$user + $system")
}

note_mount() # WORKLOAD CPU-BEFORE BYTES
{
	local used
	used=$(calc "$(mount_cpu) - $2")
	note "$1-cpu" "$contender" "$(calc "$used * 1000 * 1073741824 / $3")" ms/GiB
	note "$1-memory" "$contender" "$(mount_peak)" MiB
}

stat_of_store() # NAME
{
	azsim_ctl GET /_azsim/stats | sed "s/.*\"$1\":\([0-9]*\).*/\1/"
}

# ---- curl: the bars
#
# Each transfer is an operation of its own in a file of options, since a range is one's of an operation;
# connections are kept and used again, whatever the operation.

# Reads lines "URL WORD=VALUE...", writes the options of a curl.
curl_plan()
{
	awk -v ca="$STORE_CA" '{
		printf "%surl = \"%s\"\n", (NR > 1 ? "next\n" : ""), $1
		printf "cacert = \"%s\"\noutput = /dev/null\nfail\nsilent\nshow-error\n", ca
		print "header = \"x-ms-version: 2021-12-02\"\nheader = \"Expect:\""
		for (i = 2; i <= NF; i++) {
			n = index($i, "=")
			printf "%s = \"%s\"\n", substr($i, 1, n - 1), substr($i, n + 1)
		}
	}' | sed 's/~/: /'
}

curl_run() # FILE CONNECTIONS
{
	local parallel=()
	[ "$2" = 1 ] || parallel=(--parallel --parallel-max "$2" --parallel-immediate)
	curl "${parallel[@]}" --no-progress-meter -K "$1"
}

plan_ranges() # COUNT SIZE STRIDE
{
	local url="$STORE_ENDPOINT/data/seq/big?$sas"
	awk -v n="$1" -v size="$2" -v stride="$3" -v url="$url" 'BEGIN {
		for (i = 0; i < n; i++)
			printf "%s range=%.0f-%.0f\n", url, i * stride, i * stride + size - 1
	}' | curl_plan
}

plan_small()
{
	local i
	for ((i = 0; i < SMALL / 5; i++)); do
		printf '%s/data/small/%06d?%s\n' "$STORE_ENDPOINT" "$i" "$sas"
	done | curl_plan
}

# The markers of the pages are learned before, so that one curl can ask for all of them.
plan_list()
{
	local marker='' url="$STORE_ENDPOINT/data?restype=container&comp=list&prefix=many/&delimiter=/&$sas"
	while :; do
		echo "$url&marker=$marker"
		marker=$(curl -sSf --cacert "$STORE_CA" -H 'x-ms-version: 2021-12-02' "$url&marker=$marker" |
		    grep -o '<NextMarker>[^<]*' | cut -d'>' -f2 || true)
		[ -n "$marker" ] || break
		marker=$(python3 -c 'import sys, urllib.parse as u; print(u.quote(sys.argv[1], safe=""))' "$marker")
	done | curl_plan
}

# The ids have no sign that a URL would have to encode but "=", which it may hold.
plan_blocks() # COUNT
{
	local i id
	echo '<?xml version="1.0" encoding="utf-8"?><BlockList>' >"$work/blocks.xml"
	for ((i = 0; i < $1; i++)); do
		id=$(printf '%08d' "$i" | base64)
		echo "<Latest>$id</Latest>" >>"$work/blocks.xml"
		printf '%s/%s/big?comp=block&blockid=%s&%s upload-file=%s\n' "$STORE_ENDPOINT" \
		    "$OUT_CONTAINER" "$id" "$sas" "$work/block"
	done | curl_plan
	echo '</BlockList>' >>"$work/blocks.xml"
}

plan_blobs() # COUNT
{
	local i
	for ((i = 0; i < $1; i++)); do
		printf '%s/%s/%06d?%s upload-file=%s header=x-ms-blob-type~BlockBlob\n' "$STORE_ENDPOINT" \
		    "$OUT_CONTAINER" "$i" "$sas" "$work/small"
	done | curl_plan
}

# ---- reading

sequential()
{
	local cpu
	if [ "$1" = curl ]; then
		plan_ranges $((SEQ_MIB / 32)) $((32 << 20)) $((32 << 20)) >"$work/curl"
		curled curl_run "$work/curl" 16 || return 1
		note sequential curl "$(calc "$SEQ_MIB / $seconds")" MiB/s
		note sequential-cpu curl "$(calc "$cpu * 1000 * 1024 / $SEQ_MIB")" ms/GiB
		return
	fi
	fresh "$1" sequential || return 1
	cpu=$(mount_cpu)
	loaded read 1 "$CAP_S" <<<"$MOUNT/seq/big" || return 1
	note sequential "$1" "$(calc "$bytes / 1048576 / $seconds")" MiB/s
	note_mount sequential "$cpu" "$bytes"
	[ "$items" = 1 ] || return 0
	loaded read 1 "$CAP_S" <<<"$MOUNT/seq/big" || return 1
	note sequential-again "$1" "$(calc "$bytes / 1048576 / $seconds")" MiB/s
}

shuffled() # SEED
{
	shuf --random-source=<(yes "$1")
}

small()
{
	local cpu began
	if [ "$1" = curl ]; then
		plan_small >"$work/curl"
		curled curl_run "$work/curl" 8 || return 1
		note small-first curl "$(calc "int($SMALL / 5) / $seconds")" files/s
		note small-first-cpu curl "$(calc "$cpu * 1000 * 1073741824 / 102400 / int($SMALL / 5)")" ms/GiB
		return
	fi
	fresh "$1" small || return 1
	cpu=$(mount_cpu) began=$(now)
	find "$MOUNT/small" -type f | shuffled "$round" >"$work/paths"
	loaded read 8 "$CAP_S" <"$work/paths" || return 1
	note small-first "$1" "$(calc "$items / ($(now) - $began)")" files/s
	note_mount small-first "$cpu" "$bytes"
	head -n "$items" "$work/paths" | shuffled "again$round" >"$work/paths2"
	loaded read 8 "$CAP_S" <"$work/paths2" || return 1
	note small-again "$1" "$(calc "$items / $seconds")" files/s
	[ "$1" = amlshim ] || return 0
	find "$work/local" -type f | shuffled "again$round" >"$work/paths2"
	loaded read 8 "$CAP_S" <"$work/paths2" || return 1
	note small-again local "$(calc "$items / $seconds")" files/s
}

random()
{
	local cpu count=$((setting_ms > 0 ? 64000 / setting_ms : 8000))
	if [ "$1" = curl ]; then
		plan_ranges "$count" 4096 $(((SEQ_MIB << 20) / count / 4096 * 4096)) >"$work/curl"
		curled curl_run "$work/curl" 16 || return 1
		note random-4k curl "$(calc "$count / $seconds")" reads/s
		[ "$setting_ms" = 0 ] || note random-4k floor $((16 * 1000 / setting_ms)) reads/s
		return
	fi
	fresh "$1" random || return 1
	loaded random 16 4 "$MOUNT/seq/big" || return 1
	note random-4k "$1" "$(calc "$items / $seconds")" reads/s
	note random-4k-memory "$1" "$(mount_peak)" MiB
}

list()
{
	local before began
	if [ "$1" = curl ]; then
		curled curl_run "$work/curl.list" 1 || return 1
		note list curl "$(calc "$LIST / $seconds")" names/s
		return
	fi
	fresh "$1" list || return 1
	began=$(now)
	find "$MOUNT/many" -type f -size +0 >"$work/paths"
	note list "$1" "$(calc "$(wc -l <"$work/paths") / ($(now) - $began)")" names/s
	note list-memory "$1" "$(mount_peak)" MiB
	before=$(stat_of_store requests)
	loaded stat 1 "$CAP_S" <"$work/paths" || return 1
	note stat-again "$1" "$(calc "$items / $seconds")" stats/s
	note stat-requests "$1" $(($(stat_of_store requests) - before - 1)) requests
}

reread()
{
	# blobfuse2 empties its cache when it is unmounted.
	has_flag "$1" --disk-cache || [ "$1" = rclone ] || return 0
	[ "$setting_ms" != 0 ] || return 0
	fresh "$1" reread || return 1
	loaded read 1 60 <<<"$MOUNT/seq/half" || return 1
	KEEP_CACHE=1 unmount
	fresh "$1" reread || return 1
	loaded read 1 60 <<<"$MOUNT/seq/half" || return 1
	note reread "$1" "$(calc "$bytes / 1048576 / $seconds")" MiB/s
}

# ---- writing

out_begin()
{
	OUT_CONTAINER=out$((++outs))
	azsim_ctl PUT "/_azsim/container/$STORE_ACCOUNT/$OUT_CONTAINER" >/dev/null
}

out_end()
{
	unmount
	curl -sSf --cacert "$STORE_CA" -H 'x-ms-version: 2021-12-02' -X DELETE \
	    "$STORE_ENDPOINT/$OUT_CONTAINER?restype=container&$sas"
}

in_store() # BLOBS BYTES
{
	[ "$(stat_of_store blobs)" -ge "$1" ] && [ "$(stat_of_store stored_bytes)" -ge "$2" ]
}

# Writes, waits until the store has it all; sets $seconds, and what loaded sets.
stored() # THREADS COUNT SIZE
{
	local began blobs held deadline
	blobs=$(stat_of_store blobs) held=$(stat_of_store stored_bytes) began=$(now)
	loaded write "$1" "$CAP_S" "$MOUNT" "$2" "$3" || return 1
	deadline=$((SECONDS + 120))
	until in_store $((blobs + items)) $((held + bytes)); do
		[ "$SECONDS" -lt "$deadline" ] || { echo "$contender: what it wrote did not come" >&2; return 1; }
		sleep 0.005
	done
	seconds=$(calc "$(now) - $began")
}

curl_write()
{
	curl_run "$work/curl" 16
	curl -sSf --cacert "$STORE_CA" -H 'x-ms-version: 2021-12-02' -T "$work/blocks.xml" \
	    "$STORE_ENDPOINT/$OUT_CONTAINER/big?comp=blocklist&$sas"
}

write()
{
	local cpu
	out_begin
	if [ "$1" = curl ]; then
		plan_blocks 128 >"$work/curl"
		curled curl_write || return 1
		note write curl "$(calc "1024 / $seconds")" MiB/s
		note write-cpu curl "$(calc "$cpu * 1000")" ms/GiB
	else
		fresh "$1" write || return 1
		cpu=$(mount_cpu)
		stored 1 1 $((1 << 30)) || return 1
		note write "$1" "$(calc "1024 / $seconds")" MiB/s
		note_mount write "$cpu" "$bytes"
	fi
	out_end
}

write_small()
{
	write_small_by 1 "$1" && write_small_by 8 "$1"
}

write_small_by() # WRITERS WHO
{
	local uses=(write-small) use who=$2
	! has_flag "$2" --write-behind || uses+=(write-behind)
	for use in "${uses[@]}"; do
		out_begin
		if [ "$2" = curl ]; then
			items=$(($1 == 1 ? 250 : 1000))
			plan_blobs "$items" >"$work/curl"
			curled curl_run "$work/curl" "$1" || return 1
		else
			fresh "$2" "$use" || return 1
			stored "$1" 1000 65536 || return 1
		fi
		[ "$use" != write-behind ] || who=write-behind
		note "write-small-$1" "$who" "$(calc "$items / $seconds")" files/s
		out_end
	done
}

# ---- the run

account_sas()
{
	python3 - "$STORE_ACCOUNT" "$STORE_KEY" <<-'END'
		import base64, hashlib, hmac, sys, urllib.parse
		account, key = sys.argv[1:]
		words = dict(sp="rwdlac", ss="b", srt="sco", st="", se="2099-01-01T00:00:00Z", sip="", spr="https",
		             sv="2021-12-02", ses="")
		text = "\n".join([account, *words.values(), ""])
		digest = hmac.new(base64.b64decode(key), text.encode(), hashlib.sha256).digest()
		words["sig"] = base64.b64encode(digest).decode()
		print(urllib.parse.urlencode({name: value for name, value in words.items() if value}))
	END
}

begin()
{
	AZSIM_CERTS=$work/certs jobs_begin --synthetic "acct/data/seq/big=$((SEQ_MIB << 20))" \
	    --synthetic "acct/data/seq/half=$((512 << 20))" \
	    --synthetic-many "acct/data/small/=$SMALL,102400" \
	    --synthetic-many "acct/data/many/=$LIST,10" --knob log=0
	store_use azsim
	sed '$a127.0.0.1 acct.blob.test.local' /etc/hosts >"$work/hosts"
	mount --bind "$work/hosts" /etc/hosts
	STORE_HOST=test.local:$AZSIM_HTTPS_PORT
	job_as key
	STORE_ENDPOINT=https://localhost:$AZSIM_HTTPS_PORT/acct
	sas=$(account_sas)
	printf '[store]\ntype = azureblob\naccount = %s\nkey = %s\nendpoint = blob.test.local:%s\n' \
	    "$STORE_ACCOUNT" "$STORE_KEY" "$AZSIM_HTTPS_PORT" >"$work/rclone.conf"
	head -c $((8 << 20)) /dev/zero >"$work/block"
	head -c 65536 /dev/zero >"$work/small"
	outs=0
	contenders_begin
}

needs() # WORKLOAD: it is among those that are wanted
{
	case " ${workloads[*]} " in
	*" $1 "*) return 0 ;;
	*) return 1 ;;
	esac
}

prepare()
{
	mkdir -p build/bench
	gcc -O2 -Wall -Wextra -std=c11 -pthread -o "$load" bench/load.c
	begin
	if needs list; then
		plan_list >"$work/curl.list"
	fi
	if needs small; then
		mkdir "$work/local"
		"$load" write 2 600 "$work/local" "$SMALL" 102400 >/dev/null
	fi
}

setting_use() # MS RATE
{
	setting_ms=$1
	setting=$([ "$1" = 0 ] && echo none || echo "${1}ms")
	azsim_knob "latency_ms=$1" "rate_bytes_per_s=$2"
}

# What a virtual machine's host gives when it is first touched costs up to ten times the copy into it, and whoever
# uses the page cache would pay for it, or for who gave it back before.  At most half of what is free.
warm()
{
	local mib free
	case $workload in
	sequential) mib=$((SEQ_MIB + 1024)) ;;
	write) mib=3072 ;;
	*) return 0 ;;
	esac
	free=$(awk '/^MemAvailable/ { print int($2 / 2048) }' /proc/meminfo)
	"$load" warm $((mib < free ? mib : free))
}

# What fails is said and left out; only amlshim and curl make the exit status 1 at the end.
turn()
{
	warm
	if ! "${workload//-/_}" "$who"; then
		echo "  $setting $workload: $who FAILED" >&2
		absent "$who in $workload, $setting" "it failed"
		tail -n 3 "$work/$who.log" >&2 2>/dev/null || true
		[[ $who == @(rclone|blobfuse2) ]] || failed=1
	fi
	unmount || [[ $who == @(rclone|blobfuse2) ]] || failed=1
}

one_round()
{
	local ms workload
	for ms in "$LATENCY_MS" 0; do
		setting_use "$ms" $((ms > 0 ? RATE : 0))
		for workload in "${workloads[@]}"; do
			if [ "$round" -gt 0 ] && [ $SECONDS -gt "$BUDGET_S" ]; then
				echo "  $BUDGET_S s are over: round $((round + 1)) goes without $setting $workload" >&2
				continue
			fi
			for who in "${contenders[@]}"; do
				turn
			done
		done
	done
}

workloads=("$@")
[ $# -gt 0 ] || workloads=(sequential small random list write write-small reread)
prepare
failed=0
for ((round = 0; round < RUNS; round++)); do
	one_round
done
if [ -z "${BENCH_RESULTS-}" ]; then
	python3 bench/report.py "$results" "$work"
fi
[ "$failed" = 0 ]
