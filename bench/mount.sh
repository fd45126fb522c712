#!/usr/bin/env bash
# mount.sh [WORKLOAD...]: the workloads of a training job on amlshim, rclone and raw curl, in one run.
#
#   sequential   one file of SEQ_MIB (2048), cold, by dd; curl: 16 connections
#   small        SMALL (10000) files of 100 KiB, shuffled, 8 readers, cold; then a second time
#   random       4 KiB at random places of that file, cold, 16 readers, for 10 s; the floor is
#                16 readers a round trip
#   list         100,000 names; curl: the bare calls, one after the other
#   write        1 GiB by dd with fsync; 1,000 files of 64 KiB
#
# The store is azsim over HTTPS, once with LATENCY_MS (20) and RATE (60 MB/s a connection), once with
# neither.  Contenders take turns, RUNS (3) times; table.py prints medians, ratios and spread.
# Fresh mounts and an emptied page cache make it cold.  Needs root and FUSE.
set -euo pipefail
cd "$(dirname "$0")/.."
RUNS=${RUNS:-3} SEQ_MIB=${SEQ_MIB:-2048} SMALL=${SMALL:-10000} LIST=${LIST:-100000}
LATENCY_MS=${LATENCY_MS:-20} RATE=${RATE:-60000000}
if [ -z "${BENCH_INSIDE-}" ]; then
	scripts/apt-install.sh rclone fuse3 fio curl openssl python3 psmisc >&2
	BENCH_INSIDE=1 exec unshare --mount --propagation private "bench/${0##*/}" "$@"
fi

work=$(mktemp -d)
export BATS_TEST_DIRNAME=$PWD/tests BATS_TEST_TMPDIR=$work BATS_FILE_TMPDIR=$work
# shellcheck source=tests/helpers.bash
. tests/helpers.bash
# shellcheck source=tests/lib/jobs.bash
. tests/lib/jobs.bash
LIMIT=3600 results=$work/results MOUNT='' MOUNT_PID=''

finish() {
	unmount
	jobs_cleanup
	azsim_stop
	rm -rf --one-file-system "$work"
}
trap finish EXIT

# ---- contenders: mount_NAME makes $MOUNT (read-only) and $OUT (writable)

mount_amlshim() {
	job_write <<-END
		command: sleep 100000
		name: bench
		inputs:
		  data: {type: uri_folder, path: azureml://datastores/store/paths/}
		outputs:
		  out: {type: uri_folder, path: azureml://datastores/out/paths/}
	END
	{ job_datastore; echo ---; STORE_CONTAINER=out job_datastore | sed 's/^name: store/name: out/'; } >"$JOB/both"
	mv "$JOB/both" "$JOB/store.yml"
	job_start plain
	MOUNT=$JOB/mnt/inputs/data OUT=$JOB/mnt/outputs/out
	wait_for 30 pgrep -P "$job_pid" -x sleep
	MOUNT_PID=$job_pid
}

unmount_amlshim() {
	kill "$job_pid"
	job_end 143
}

mount_rclone() {
	local options=(--config "$work/rclone.conf" --buffer-size 64M --dir-cache-time 1h
	    --attr-timeout 1h --transfers 16 --azureblob-list-chunk 5000 --use-mmap)
	MOUNT=$work/rclone/in OUT=$work/rclone/out
	mkdir -p "$MOUNT" "$OUT" "$work/rclone/cache"
	SSL_CERT_FILE=$STORE_CA rclone mount store:data "$MOUNT" "${options[@]}" --read-only \
	    --vfs-read-chunk-size 32M &
	MOUNT_PID=$!
	SSL_CERT_FILE=$STORE_CA rclone mount store:out "$OUT" "${options[@]}" \
	    --vfs-cache-mode writes --cache-dir "$work/rclone/cache" --vfs-write-back 0s &
	OUT_PID=$!
	wait_for 30 mountpoint -q "$MOUNT"
	wait_for 30 mountpoint -q "$OUT"
}

unmount_rclone() {
	fusermount3 -u "$MOUNT" 2>/dev/null || umount "$MOUNT"
	fusermount3 -u "$OUT" 2>/dev/null || umount "$OUT"
	wait "$MOUNT_PID" "$OUT_PID" || true
	rm -rf "$work/rclone/cache"
}

unmount() {
	[ -z "$MOUNT" ] || "unmount_$contender"
	MOUNT=''
}

fresh() { # CONTENDER
	unmount
	contender=$1
	"mount_$contender"
	sync
	echo 3 >/proc/sys/vm/drop_caches
}

# ---- measuring

now() {
	date +%s.%N
}

# CPU seconds so far of the mount's processes, those of amlshim's workers among them.
cpu_s() {
	local pids
	pids=$MOUNT_PID
	[ "$contender" != amlshim ] || pids+=" $(pgrep -P "$MOUNT_PID" | tr '\n' ' ')"
	for pid in $pids; do cat "/proc/$pid/stat" 2>/dev/null; done |
	    awk '$2 != "(sleep)" { s += $14 + $15 } END { print s / 100 }'
}

note() { # WORKLOAD CONTENDER VALUE UNIT
	echo "$setting $*" >>"$results"
	printf '  %-12s %-18s %-9s %10.1f %s\n' "$setting" "$@" >&2
}

calc() {
	awk "BEGIN { print $1 }"
}

timed() { # COMMAND...: sets $took
	local began
	began=$(now)
	"$@" >/dev/null
	took=$(calc "$(now) - $began")
}

# ---- workloads

read_sequential() {
	dd if="$MOUNT/seq/big" of=/dev/null bs=1M status=none
}

curl_sequential() {
	local part=$((SEQ_MIB / 64)) i
	for ((i = 0; i < 64; i++)); do
		printf 'url = "%s/data/seq/big?%s"\nrange = %d-%d\noutput = /dev/null\nheader = "x-ms-version: 2021-12-02"\n' \
		    "$STORE_ENDPOINT" "$sas" $((i * part << 20)) $((((i + 1) * part << 20) - 1))
	done >"$work/curl"
	curl -sf --no-progress-meter --cacert "$STORE_CA" --parallel --parallel-max 16 --parallel-immediate -K "$work/curl"
}

sequential() {
	local cpu
	if [ "$1" = curl ]; then
		timed curl_sequential
	else
		fresh "$1"
		cpu=$(cpu_s)
		timed read_sequential
		note sequential-cpu "$1" "$(calc "($(cpu_s) - $cpu) * 1000 / ($SEQ_MIB / 1024)")" ms/GiB
	fi
	note sequential "$1" "$(calc "$SEQ_MIB / $took")" MiB/s
}

read_small() {
	find "$MOUNT/small" -type f | shuf --random-source=<(yes) | xargs -P 8 -n 50 cat
}

small() {
	[ "$1" != curl ] || return 0
	fresh "$1"
	timed read_small
	note small-first "$1" "$(calc "$SMALL / $took")" files/s
	timed read_small
	note small-second "$1" "$(calc "$SMALL / $took")" files/s
}

random() {
	[ "$1" != curl ] || return 0
	fresh "$1"
	fio --name=r --filename="$MOUNT/seq/big" --readonly --rw=randread --bs=4k --numjobs=16 --thread \
	    --group_reporting --time_based --runtime=10 --ioengine=psync --randrepeat=0 --invalidate=0 \
	    --output-format=json >"$work/fio"
	note random-4k "$1" "$(python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))["jobs"][0]["read"]["iops"])' "$work/fio")" reads/s
}

curl_list() {
	local marker='' answer
	while :; do
		answer=$(curl -sf --cacert "$STORE_CA" -H 'x-ms-version: 2021-12-02' \
		    "$STORE_ENDPOINT/data?restype=container&comp=list&prefix=many/&delimiter=/&marker=$marker&$sas")
		marker=$(sed -n 's/.*<NextMarker>\([^<]*\)<\/NextMarker>.*/\1/p' <<<"$answer")
		[ -n "$marker" ] || break
	done
}

list() {
	if [ "$1" = curl ]; then
		timed curl_list
	else
		fresh "$1"
		timed find "$MOUNT/many" -type f -size +0
	fi
	note list "$1" "$(calc "$LIST / $took")" names/s
}

write_big() {
	dd if=/dev/zero of="$OUT/big.$RANDOM" bs=1M count=1024 conv=fsync status=none
}

write_small() {
	local dir=$OUT/dir.$RANDOM i
	mkdir "$dir"
	for ((i = 0; i < 1000; i++)); do
		head -c 65536 /dev/zero >"$dir/$i"
	done
}

# Until the store has it: rclone's close does not wait for the upload.
settled() {
	[ "$1" != rclone ] || wait_for 120 sh -c "! find '$work/rclone/cache' -name '*' -newer '$work/curl' -path '*vfsMeta*' -exec grep -l '\"Dirty\": *true' {} + | grep -q ."
}

write() {
	[ "$1" != curl ] || return 0
	fresh "$1"
	local began
	began=$(now)
	write_big
	settled "$1"
	note write-1GiB "$1" "$(calc "1024 / ($(now) - $began)")" MiB/s
	began=$(now)
	write_small
	settled "$1"
	note write-small "$1" "$(calc "1000 / ($(now) - $began)")" files/s
}

# ---- the run

AZSIM_CERTS=$work/certs jobs_begin --synthetic "acct/data/seq/big=$((SEQ_MIB << 20))" \
    --synthetic-many "acct/data/small/=$SMALL,102400" --synthetic-many "acct/data/many/=$LIST,10" \
    --container acct/out --knob log=0
store_use azsim
sed '$a127.0.0.1 acct.blob.test.local' /etc/hosts >"$work/hosts"
mount --bind "$work/hosts" /etc/hosts
STORE_HOST=test.local:$AZSIM_HTTPS_PORT
job_as key
STORE_ENDPOINT=https://localhost:$AZSIM_HTTPS_PORT/acct
touch "$work/curl"
sas=$(store_blob sas account rwdlac 36000)
cat >"$work/rclone.conf" <<END
[store]
type = azureblob
account = $STORE_ACCOUNT
key = $STORE_KEY
endpoint = blob.test.local:$AZSIM_HTTPS_PORT
END
[ $# -gt 0 ] || set -- sequential small random list write
for setting in "${LATENCY_MS}ms" none; do
	if [ "$setting" = none ]; then
		azsim_knob latency_ms=0 rate_bytes_per_s=0
	else
		azsim_knob "latency_ms=$LATENCY_MS" "rate_bytes_per_s=$RATE"
	fi
	for workload in "$@"; do
		for ((run = 0; run < RUNS; run++)); do
			for contender in amlshim rclone curl; do
				"$workload" $contender
				unmount
			done
		done
	done
done
mkdir -p build/bench
python3 bench/table.py "$results" build/bench/mount.json
