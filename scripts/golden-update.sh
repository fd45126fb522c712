#!/bin/bash
# golden-update.sh [CASE...]: rewrite what the golden tests expect (tests/golden/CASE/plan.txt,
# plan.json where there is one, error.txt) with what $AMLSHIM says now.  Then read the diff.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
AMLSHIM=$(realpath "${AMLSHIM:-$root/build/amlshim}")
export AMLSHIM
cd "$root/tests/golden"
"$AMLSHIM" version >/dev/null

[ $# -gt 0 ] || set -- */job.yml
for case in "$@"; do
	case=${case%/job.yml}
	for file in plan.txt plan.json error.txt; do
		[ "$file" != plan.json ] || [ -e "$case/$file" ] || continue
		./run.sh "$case" "$file" >"$case/$file.new"
		mv "$case/$file.new" "$case/$file"
		[ -s "$case/$file" ] || rm "$case/$file"
	done
done
git diff --stat -- . 2>/dev/null || true
