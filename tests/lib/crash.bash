# Killing amlshim's own processes under a job: functions for bats, on top of lib/mounts.
#
#   worker_pid PID WORD     the process of amlshim PID that is called "amlshim:WORD..."
#   worker_kill PID WORD [SIGNAL]    end it, and wait until there is another one
#   worker_is PID WORD OLD  there is one, and it is not OLD
#   fault_hit ID            the rule of azsim_fault met a request

# shellcheck source=tests/lib/mounts.bash
. "${BASH_SOURCE[0]%/*}/mounts.bash"

worker_pid()
{
	local pid comm children=()
	read -ra children <"/proc/$1/task/$1/children" || true
	for pid in "${children[@]}"; do
		read -r comm <"/proc/$pid/comm" || continue
		case $comm in
		"amlshim:$2"*)
			echo "$pid"
			return
			;;
		esac
	done
	return 1
}

worker_is()
{
	local pid
	pid=$(worker_pid "$1" "$2") && [ "$pid" != "$3" ]
}

worker_kill()
{
	local pid
	pid=$(worker_pid "$1" "$2") || return 1
	kill "-${3:-KILL}" "$pid"
	wait_for 30 worker_is "$1" "$2" "$pid"
}

fault_hit()
{
	[ "$(azsim_ctl GET "/_azsim/fault?id=$1" | tr -dc 0-9)" -gt 0 ]
}
