#!/bin/bash
# usage.sh [PID]: what each mount process below PID (default: below the amlshim that this is run under) has
# used so far, one a line: when it started (the same in every PID namespace), KiB resident at most, clock
# ticks of CPU, its pid.

top=${1-}
if [ -z "$top" ]; then
	top=$$
	until [ "$top" -le 1 ] || [ "$(cat "/proc/$top/comm")" = amlshim ]; do
		top=$(sed -n 's/^PPid:[^0-9]*//p' "/proc/$top/status")
	done
	[ "$(cat "/proc/$top/comm" 2>/dev/null)" = amlshim ] || exit 0
fi

below() {
	ps -e -o pid=,ppid=,comm= | awk -v top="$1" '
		{ parent[$1] = $2; name[$1] = $3 }
		END {
			for (pid in name) {
				for (at = pid; at in parent && at != top; at = parent[at])
					;
				if (at == top && name[pid] ~ /^amlshim:mount/)
					print pid
			}
		}'
}

for pid in $(below "$top"); do
	peak=$(sed -n 's/^VmHWM:[^0-9]*\([0-9]*\).*/\1/p' "/proc/$pid/status" 2>/dev/null)
	read -ra stat < <(sed 's/.*) //' "/proc/$pid/stat" 2>/dev/null)
	[ -z "$peak" ] || [ "${#stat[@]}" -lt 20 ] || echo "${stat[19]} $peak $((stat[11] + stat[12])) $pid"
done
