#!/usr/bin/env bash
# soak.sh [MINUTES]: a training-like load under faults, and what amlshim's processes hold meanwhile; `make soak`
# calls it, docs/SOAK.md explains it.
#
# In a network namespace of its own, azsim is Azure. tests/soak/load.py is the job; here the faults happen:
# processes are killed and upgraded, the job is killed, the token endpoint goes away. tests/soak/watch.py
# looks on. At the end the official client compares the store with what the job wrote. build/soak has
# the samples, the logs and summary.json.
#
# shellcheck disable=SC1091,SC2034,SC2154 # variables of the tests' helpers
set -euo pipefail
cd "$(dirname "$0")/.."

MINUTES=${1:-20}
WORK=${SOAK_DIR:-$PWD/build/soak}
[[ $MINUTES =~ ^[1-9][0-9]*$ ]] || { echo "soak: MINUTES is a number from 1 on" >&2; exit 2; }

if [ -z "${SOAK_INSIDE-}" ]; then
	[ "$(id -u)" = 0 ] || { echo "soak: run as root: it makes namespaces and mounts" >&2; exit 1; }
	scripts/apt-install.sh openssl procps python3 util-linux iproute2 diffutils ca-certificates
	scripts/npm-tools.sh >/dev/null
	SOAK_INSIDE=1 exec unshare --net --kill-child --fork scripts/soak.sh "$MINUTES"
fi
ip link set lo up

# The helpers' own names for where things are.
rm -rf "$WORK"
mkdir -p "$WORK/state"
BATS_TEST_DIRNAME=$PWD/tests BATS_TEST_TMPDIR=$WORK BATS_FILE_TMPDIR=$WORK BATS_TEST_NUMBER=1
. tests/helpers.bash
. tests/lib/crash.bash
. tests/lib/faults.bash

readonly SECONDS_IN_ALL=$((MINUTES * 60))
readonly LOAD_S=$((SECONDS_IN_ALL - 20))
readonly BEAT_S=$((LOAD_S > 1000 ? 20 : LOAD_S > 100 ? 10 : 5))	# something happens each
readonly EVERY_S=$((MINUTES > 3 ? 5 : 1))				# between two samples
readonly WORKERS=('mount o' agent 'mount s')
END=$((EPOCHSECONDS + LOAD_S))
killed=0 upgraded=0 outages=0 unauthorized=0 refused_at=0 watcher=''

finish() {
	trap - EXIT
	[ -z "$watcher" ] || kill "$watcher" 2>/dev/null || true
	jobs_cleanup
	jobs_end
}
trap finish EXIT
trap 'exit 1' TERM INT

start() {
	jobs_begin --max-life $((SECONDS_IN_ALL + 600))
	mounts_on azsim
	PREFIX=soak
	job_as fallback
	cp "$AMLSHIM" "$WORK/amlshim"
	AMLSHIM=$WORK/amlshim	# what upgrades replace
	python3 tests/soak/load.py put "$AZSIM_PORT" "$AZSIM_ACCOUNT" "$PREFIX"
	azsim_knob token_lifetime_s=60 latency_ms=3 log=0
	fail_one_in_a_hundred "$AZSIM_ACCOUNT" >/dev/null
	azsim_fault op=AmlToken percent=5 status=503 code=ServerBusy >/dev/null
	job_write <<-END
		name: soak
		command: exec python3 $PWD/tests/soak/load.py run $WORK/state \${{outputs.out}} \${{outputs.plain}} \${{inputs.small}} \${{inputs.large}}
		inputs:
		  small: {type: uri_folder, path: azureml://datastores/store/paths/$PREFIX/small/, mode: ro_mount}
		  large: {type: uri_folder, path: azureml://datastores/store/paths/$PREFIX/large/, mode: ro_mount}
		outputs:
		  out: {type: uri_folder, path: azureml://datastores/store/paths/$PREFIX/out/, mode: rw_mount}
		  plain: {type: uri_folder, path: azureml://datastores/store/paths/$PREFIX/plain/, mode: upload}
	END
	job_env+=("SOAK_END=$END" "AMLSHIM=$AMLSHIM")
	job_start pid1 --memory 48M --restart on-failure --broker aml,appservice,imds --report "$WORK/report.json"
	python3 tests/soak/watch.py sample "$job_pid" "$EVERY_S" "$JOB/cache" >"$WORK/samples" &
	watcher=$!
}

# ---- what happens

kill_worker() { # WORD
	! worker_kill "$job_pid" "$1" || killed=$((killed + 1))
}

upgrade_worker() { # WORD
	cp "$WORK/amlshim" "$WORK/amlshim.new" && mv "$WORK/amlshim.new" "$WORK/amlshim"
	! worker_kill "$job_pid" "$1" USR2 || upgraded=$((upgraded + 1))
}

outage() {
	local id
	id=$(azsim_fault op=AmlToken status=503 code=ServerBusy)
	sleep $((BEAT_S < 12 ? BEAT_S : 12))
	azsim_ctl DELETE "/_azsim/fault?id=$id" >/dev/null
	outages=$((outages + 1))
}

# Each process in turn is killed, and later upgraded; between that the token endpoint is away, and the job dies.
happen() { # NUMBER
	local n=$(($1 / 6))
	case $(($1 % 6)) in
	2)
		if [ $((n / 3 % 2)) = 0 ]; then
			kill_worker "${WORKERS[n % 3]}"
		else
			upgrade_worker "${WORKERS[n % 3]}"
		fi
		;;
	4) [ $((n % 2)) = 1 ] || outage ;;
	0) [ $(($1 % 18)) != 6 ] || touch "$WORK/state/die" ;;
	esac
	refuse_a_token
}

# Not so often that a token is refused before it was ever taken: that is a reason to give up.
refuse_a_token() {
	[ $((EPOCHSECONDS - refused_at)) -ge 15 ] || return 0
	azsim_fault path="/$AZSIM_ACCOUNT/" status=401 code=InvalidAuthenticationInfo count=1 >/dev/null
	unauthorized=$((unauthorized + 1))
	refused_at=$EPOCHSECONDS
}

let_it_happen() {
	local n=0
	while [ $((EPOCHSECONDS + BEAT_S)) -lt "$END" ] && kill -0 "$job_pid" 2>/dev/null; do
		happen $n
		n=$((n + 1))
		while [ $((EPOCHSECONDS - END + LOAD_S)) -lt $((n * BEAT_S)) ] && kill -0 "$job_pid" 2>/dev/null; do
			sleep 0.2
		done
	done
	while [ "$EPOCHSECONDS" -lt "$END" ] && kill -0 "$job_pid" 2>/dev/null; do
		sleep 0.2
	done
	kill "$watcher" && wait "$watcher" || true	# what comes now is the end
	watcher=''
}

# ---- what is left

bad() {
	echo "soak: $*"
	failures=$((failures + 1))
}

numbers() {
	local stats
	stats=$(azsim_ctl GET /_azsim/stats)
	printf '%s\n' "$(python3 tests/soak/load.py sum "$WORK/state")" >"$WORK/counts.json"
	python3 - "$WORK" "$MINUTES" "$killed" "$upgraded" "$outages" "$unauthorized" "$stats" <<-'END'
		import json, sys
		work, minutes, killed, upgraded, outages, unauthorized, stats = sys.argv[1:]
		load = json.load(open(work + "/counts.json"))
		stats = json.loads(stats)
		report = json.load(open(work + "/report.json"))
		figures = {"minutes": int(minutes), "killed": int(killed), "upgraded": int(upgraded), "outages": int(outages),
		    "unauthorized": int(unauthorized), "requests": stats["requests"], "bytes_out": stats["bytes_out"],
		    "bytes_in": stats["bytes_in"], "orphans": report["orphans_reaped"], "tokens": report["tokens"]["given_to_job"],
		    "retries": report["tokens"]["retries"] + sum(a["retries"] for a in report["accesses"]), "load": load}
		json.dump({"figures": figures, "series": json.load(open(work + "/series.json"))},
		    open(work + "/summary.json", "w"), indent=1)
		calls = sum(n for k, n in load.items() if k not in ("lives", "failed", "wrong", "longest_ms", "retried_connections"))
		print("%(minutes)d min: %(killed)d killed, %(upgraded)d upgraded, %(outages)d outages of the token endpoint, "
		    "%(unauthorized)d answers 401" % figures)
		print("%(requests)d requests, %(retries)d of them again; %(orphans)d orphans reaped, %(tokens)d tokens given" % figures)
		slowest = max(load["longest_ms"], key=load["longest_ms"].get)
		print("the job: %d lives, %d calls, %d of them failed, %d bytes wrong or missing; the longest %d ms (%s)"
		    % (load["lives"], calls, load["failed"], load["wrong"], load["longest_ms"][slowest], slowest))
		print("%d connections to the broker were lost with an agent and made again" % load["retried_connections"])
		sys.exit(load["failed"] + load["wrong"] > 0)
	END
}

stored() { # NAME: an output's name; the store has what the job wrote, and nothing else
	local prefix=$PREFIX
	PREFIX=$PREFIX/$1
	store_holds "$WORK/state/ours/$1" >"$WORK/diff.$1" 2>&1 || {
		bad "output $1 in the store is not what was written:"
		head -20 "$WORK/diff.$1"
	}
	PREFIX=$prefix
}

start
let_it_happen
failures=0
LIMIT=$((END - EPOCHSECONDS + 300))
job_end 0 || bad "amlshim ended with $status"
azsim_faults_off
azsim_knob token_lifetime_s=0 latency_ms=0
stored out
stored plain
job_left_nothing || bad "something was left behind"
! grep -E '^amlshim\S* error' "$WORK/err" || bad "amlshim told of errors"
python3 tests/soak/watch.py judge "$WORK/samples" "$WORK/series.json" || bad "something grew"
numbers || bad "the job saw failures:"
[ ! -s "$WORK/state/failures" ] || head -20 "$WORK/state/failures"
[ "$failures" = 0 ] && echo "no growth, no failed call, no wrong byte, no lost write"
