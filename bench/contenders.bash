# contenders.bash: the mounts that are compared, each with what its own documentation advises.
#
#   contenders_begin     those that are here, in $contenders; says who is not
#   fresh WHO USE        a new mount of container "data", or with a USE that writes, of $OUT_CONTAINER,
#                        at $MOUNT.  USE: sequential random small list reread
#                        write write-small write-behind
#   unmount              end it; its caches go too, but for those of USE reread
#   mount_pids           its processes
#   mount_cpu            seconds of CPU they have used so far
#   mount_peak           MiB: the sum of their VmHWM
#
# amlshim runs with its defaults.  RCLONE names another rclone than the one on PATH; blobfuse2 is
# taken when it is on PATH.  Each gets one mount for one container, over HTTPS, with the account's
# key; attributes may be an hour old for all of them.

RCLONE=${RCLONE:-rclone} MOUNT='' CACHE=$work/cache

contenders_begin()
{
	contenders=(amlshim)
	if "$RCLONE" help backends 2>/dev/null | grep azureblob >/dev/null; then
		contenders+=(rclone)
		version rclone "$("$RCLONE" version | head -n 1)"
		rclone_options=$("$RCLONE" help flags)
	else
		absent rclone "no $RCLONE on PATH that knows azureblob"
	fi
	if command -v blobfuse2 >/dev/null; then
		contenders+=(blobfuse2)
		version blobfuse2 "$(blobfuse2 version 2>/dev/null | grep -o 'blobfuse2 version.*')"
	else
		absent blobfuse2 "not on PATH: put a binary there to compare with it"
	fi
	contenders+=(curl)
	version curl "$(curl --version | head -n 1 | cut -d' ' -f1-2)"
	version amlshim "$("$AMLSHIM" version | head -n 1)"
}

# amlshim, when it has that flag.
has_flag() # WHO FLAG
{
	[ "$1" = amlshim ] && "$AMLSHIM" help mount | grep -q -- "$2"
}

uses_output()
{
	case $1 in
	write*) return 0 ;;
	*) return 1 ;;
	esac
}

container_of()
{
	if uses_output "$1"; then echo "$OUT_CONTAINER"; else echo data; fi
}

fresh()
{
	unmount
	contender=$1
	mkdir -p "$CACHE"
	"mount_$1" "$2" || return 1
}

unmount()
{
	[ -n "$MOUNT" ] || return 0
	MOUNT=''
	"unmount_$contender"
	[ -n "${KEEP_CACHE-}" ] || rm -rf --one-file-system "$CACHE"
}

# ---- amlshim: a job that sleeps

mount_amlshim()
{
	local extra=()
	case $1 in
	reread) extra=(--disk-cache 4G) ;;
	write-behind) extra=(--write-behind) ;;
	esac
	if uses_output "$1"; then
		job_write <<-END
			command: sleep 100000
			name: bench
			outputs:
			  data: {type: uri_folder, path: azureml://datastores/store/paths/}
		END
		MOUNT=$JOB/mnt/outputs/data
	else
		job_write <<-END
			command: sleep 100000
			name: bench
			inputs:
			  data: {type: uri_folder, path: azureml://datastores/store/paths/}
		END
		MOUNT=$JOB/mnt/inputs/data
	fi
	STORE_CONTAINER=$(container_of "$1") job_datastore >"$JOB/store.yml"
	job_start plain "${extra[@]}"
	wait_for 30 pgrep -P "$job_pid" -x sleep
}

unmount_amlshim()
{
	kill "$job_pid"
	job_end 143
}

# ---- rclone
#
# vfs.md and azureblob.md of rclone's own documentation.  Reading one file: chunks of 32 MiB, twice as
# large each time, the read-ahead buffer of 64 MiB; --vfs-read-chunk-streams (1.68) gets such chunks
# in parallel, and 16 streams of 4 MiB are what the page suggests.  Small files: the full
# cache, so that the second epoch is served from the disk.  Random reads: small chunks, no buffer;
# the smaller the chunks the more reads 1.60 failed here ("invalid seek position", "file already
# closed"; with the full cache too): 256 KiB hold most of the time.
# Writing: through its disk cache, uploads begin at close, 16 at a time, without an MD5 first.

mount_rclone()
{
	local use=$1 options=(--config "$work/rclone.conf" --dir-cache-time 1h --attr-timeout 1h
	    --poll-interval 0 --no-checksum --use-mmap --cache-dir "$CACHE" --log-level ERROR)
	case $use in
	sequential)
		if [[ $rclone_options == *--vfs-read-chunk-streams* ]]; then
			options+=(--vfs-read-chunk-streams 16 --vfs-read-chunk-size 4M --buffer-size 0)
		else
			options+=(--vfs-read-chunk-size 32M --buffer-size 64M)
		fi ;;
	random) options+=(--vfs-read-chunk-size 256k --buffer-size 0) ;;
	small | list) options+=(--vfs-cache-mode full --vfs-cache-max-age 1h --vfs-fast-fingerprint) ;;
	reread) options+=(--vfs-cache-mode full --vfs-cache-max-age 1h --vfs-read-ahead 256M) ;;
	write*) options+=(--vfs-cache-mode writes --vfs-write-back 0s --transfers 16
	    --azureblob-disable-checksum --azureblob-chunk-size 8M) ;;
	esac
	uses_output "$use" || options+=(--read-only)
	[[ $rclone_options != *--azureblob-upload-concurrency* ]] ||
		options+=(--azureblob-upload-concurrency 16)
	MOUNT=$work/rclone
	mkdir -p "$MOUNT"
	SSL_CERT_FILE=$STORE_CA "$RCLONE" mount "store:$(container_of "$use")" "$MOUNT" \
	    "${options[@]}" >"$work/rclone.log" 2>&1 &
	peer_pid=$!
	wait_for 30 mountpoint -q "$MOUNT" || { cat "$work/rclone.log" >&2; return 1; }
}

unmount_rclone()
{
	peer_end "$work/rclone"
}

# ---- blobfuse2
#
# setup/baseConfig.yaml, setup/advancedConfig.yaml and the two sample configurations of
# Azure/azure-storage-fuse.  The block cache for large files: blocks of 16 MiB, 32 of them ahead, twice
# as many workers as curl has connections (blocks of 4 to 32 MiB and more workers were no quicker on
# this store); for random reads blocks of 64 KiB and no prefetch, since it fetches whole blocks: of
# 64 KiB, 256 KiB and 1 MiB the quickest.  The file cache for small files.

mount_blobfuse2()
{
	local use=$1 cache read_only=(--read-only)
	! uses_output "$use" || read_only=()
	MOUNT=$work/blobfuse2
	mkdir -p "$MOUNT"
	case $use in
	sequential | write)
		cache="block_cache: {block-size-mb: 16, mem-size-mb: 1024, prefetch: 32, parallelism: 32}" ;;
	random)
		cache="block_cache: {block-size-mb: 0.0625, mem-size-mb: 256, prefetch: 0, parallelism: 32}" ;;
	*)
		cache="file_cache: {path: '$CACHE', timeout-sec: 3600, max-size-mb: 16384}" ;;
	esac
	cat >"$work/blobfuse2.yaml" <<-END
		foreground: true
		logging: {type: silent}
		components: [libfuse, ${cache%%:*}, attr_cache, azstorage]
		libfuse: {attribute-expiration-sec: 3600, entry-expiration-sec: 3600,
		  negative-entry-expiration-sec: 3600, max-fuse-threads: 256}
		$cache
		attr_cache: {timeout-sec: 7200}
		azstorage:
		  type: block
		  account-name: $STORE_ACCOUNT
		  account-key: $STORE_KEY
		  mode: key
		  container: $(container_of "$use")
		  endpoint: https://$STORE_ACCOUNT.blob.test.local:$AZSIM_HTTPS_PORT
		  virtual-directory: true
		  max-concurrency: 32
	END
	chmod 600 "$work/blobfuse2.yaml"
	SSL_CERT_FILE=$STORE_CA HOME=$work blobfuse2 mount "$MOUNT" --disable-version-check \
	    --config-file "$work/blobfuse2.yaml" "${read_only[@]}" >"$work/blobfuse2.log" 2>&1 &
	peer_pid=$!
	wait_for 30 mountpoint -q "$MOUNT" || { cat "$work/blobfuse2.log" >&2; return 1; }
}

unmount_blobfuse2()
{
	peer_end "$work/blobfuse2"
}

# SIGTERM is the documented way to end both; what does not end is killed.
peer_end()
{
	local deadline=$((SECONDS + 60))
	umount "$1" 2>/dev/null || kill "$peer_pid" 2>/dev/null || true
	while kill -0 "$peer_pid" 2>/dev/null && [ $SECONDS -lt $deadline ]; do
		sleep 0.05
	done
	kill -KILL "$peer_pid" 2>/dev/null || true
	wait "$peer_pid" 2>/dev/null || true
	umount -l "$1" 2>/dev/null || true
}

# ---- what a mount costs

mount_pids()
{
	local pid
	if [ "$contender" != amlshim ]; then
		echo "$peer_pid"
		return
	fi
	echo "$job_pid"
	for pid in $(pgrep -P "$job_pid"); do
		[ "$(cat "/proc/$pid/comm")" = sleep ] || echo "$pid"
	done
}

# Behind the name, which may have blanks, utime and stime are the 12th and 13th (proc(5)).
mount_cpu()
{
	local pid
	for pid in $(mount_pids); do
		cat "/proc/$pid/stat"
	done | sed 's/.*) //' | awk -v hz="$(getconf CLK_TCK)" '{ s += $12 + $13 } END { print s / hz }'
}

mount_peak()
{
	local pid
	for pid in $(mount_pids); do
		cat "/proc/$pid/status"
	done | awk '/^VmHWM/ { s += $2 } END { print s / 1024 }'
}
