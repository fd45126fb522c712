#!/bin/bash
# run.sh CASE FILE: what `amlshim plan` says about a golden case, as FILE holds it.
#
#   plan.txt   standard output        plan.json  the same with --json
#   error.txt  standard error without the process's name, and the exit status if it is not 0
#
# A case is a folder: job.yml, args (one a line), and env (NAME=VALUE lines; nothing else is in
# the environment but AMLSHIM_FACTS, for the machine must not show).  $AMLSHIM is the program.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
amlshim=$(realpath "${AMLSHIM:-$here/../../build/amlshim}")
[ -x "$amlshim" ] || { echo "run.sh: $amlshim is no program" >&2; exit 1; }
cd "$here/$1"

env=(AMLSHIM_FACTS='fuse=ok sh=yes bash=yes himds=no') args=() flags=()
mapfile -t args <args
if [ -e env ]; then
	mapfile -t -O 1 env <./env
fi
[ "$2" != plan.json ] || flags=(--json)

errors=$(mktemp)
trap 'rm -f "$errors"' EXIT
status=0
output=$(timeout 60 env -i "${env[@]}" "$amlshim" plan --job=job.yml "${flags[@]}" "${args[@]}" \
    2>"$errors") || status=$?
if [ "$2" = error.txt ]; then
	output=$(sed -E 's/^amlshim(\[[^]]*\])? //' "$errors")
	[ "$status" -eq 0 ] || output+=$'\n'"exit status $status"
fi
[ -z "$output" ] || printf '%s\n' "${output//$here/GOLDEN}"
