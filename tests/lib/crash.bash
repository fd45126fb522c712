# Killing amlshim's own processes under a job: functions for bats, on top of lib/mounts.
#
#   worker_pid PID WORD     the process of amlshim PID that is called "amlshim:WORD..."
#   worker_kill PID WORD [SIGNAL]    end it, and wait until there is another one
#   worker_is PID WORD OLD  there is one, and it is not OLD
#   churn_job UNTIL STORE [FLAG...]    start churn.py on two mounts of STORE; UNTIL: seconds, or the path of a file.
#                           NO_RESEND: as before Linux 6.9
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

churn_job()
{
	local until=$1 input
	mounts_on "$2"
	shift 2
	[ -z "${NO_RESEND-}" ] || job_env+=(AMLSHIM_TEST_NO_RESEND=1)
	job_out "python3 $BATS_TEST_DIRNAME/lib/churn.py --input \${{outputs.out}}"
	job_run 0 plain
	input=$PREFIX
	PREFIX=$PREFIX.out
	job_write <<-END
		command: python3 $BATS_TEST_DIRNAME/lib/churn.py \${{outputs.out}} $until $T/ours \${{inputs.data}}
		inputs:
		  data: {type: uri_folder, path: azureml://datastores/store/paths/$input/, mode: ro_mount}
		outputs:
		  out: {type: uri_folder, path: azureml://datastores/store/paths/$PREFIX/, mode: rw_mount}
	END
	azsim_knob latency_ms=5
	mkdir -p "$T/ours"
	job_start plain "$@"
}
