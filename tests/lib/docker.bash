# Containers: functions for bats.
#
#   docker_or_skip                      an engine, started if none answers (it is left running:
#                                       scripts/docker-engine.sh stop).  Where that is impossible
#                                       the test is skipped, with CI=true it fails.
#   docker_scratch_image NAME FILE...   an image that holds the files and nothing else; the first
#                                       is its entry point.  FILE=/PATH puts one at PATH instead
#                                       of /BASENAME.
#   docker_run ARG...                   docker run --rm with what FUSE needs and the host's
#                                       network; ends by itself after DOCKER_TIMEOUT_S (120)
#   docker_cleanup                      remove containers of this test file that are left

docker_top=$(cd "${BASH_SOURCE[0]%/*}/../.." && pwd)
docker_label=amlshim.test=${BATS_FILE_TMPDIR:-$$}

docker_or_skip()
{
	local answer why
	why=$(mktemp)
	if answer=$("$docker_top/scripts/docker-engine.sh" start 2>"$why"); then
		export "${answer?}"
		rm -f "$why"
		return 0
	fi
	answer=$(tail -n 1 "$why")
	if [ "${CI-}" = true ]; then
		cat "$why" >&2
		rm -f "$why"
		return 1
	fi
	rm -f "$why"
	skip "${answer#docker-engine: }"
}

# docker import rather than a Dockerfile: it needs no builder and no registry.
docker_scratch_image()
{
	local name=$1 root file path entry='' status=0
	shift
	root=$(mktemp -d)
	for file in "$@"; do
		path=/${file##*/}
		case $file in
		*=/*)
			path=${file#*=}
			file=${file%%=/*} ;;
		esac
		: "${entry:=$path}"
		mkdir -p "$root${path%/*}" && cp -pL "$file" "$root$path" || status=1
	done
	[ $status -ne 0 ] || (
		set -o pipefail
		tar -C "$root" --owner=0 --group=0 --numeric-owner -cf - . |
		    docker import --change "ENTRYPOINT [\"$entry\"]" - "$name" >/dev/null
	) || status=1
	rm -rf "$root"
	return $status
}

docker_run()
{
	local cid status=0
	cid=$(mktemp -u)
	timeout --foreground -k 5 "${DOCKER_TIMEOUT_S:-120}" \
	    docker run --rm --label "$docker_label" --cidfile "$cid" \
	    --device /dev/fuse --cap-add SYS_ADMIN --security-opt apparmor=unconfined \
	    --network host "$@" || status=$?
	# The client is gone, the container may be not.
	case $status in
	124 | 137)
		docker rm -f "$(cat "$cid")" >/dev/null 2>&1 || true ;;
	esac
	rm -f "$cid"
	return $status
}

docker_cleanup()
{
	local host ids
	# docker_or_skip may have been called in tests only: what they exported is gone.
	host=$("$docker_top/scripts/docker-engine.sh" status 2>/dev/null) || return 0
	export "${host?}"
	ids=$(docker ps -aq --filter "label=$docker_label") || return 1
	# shellcheck disable=SC2086 # one word an id
	[ -z "$ids" ] || docker rm -f $ids >/dev/null
}
