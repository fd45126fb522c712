#!/bin/bash
# docker-engine.sh start|stop|status [DIR]: a Docker engine where none runs.
#
# start   uses the engine that answers, else starts one of its own in DIR; prints DOCKER_HOST=...
# stop    ends the engine of DIR, never another one
# status  prints DOCKER_HOST=..., or fails
#
# DIR (default build/docker) holds images, socket, pidfile and log. The engine runs in a mount
# namespace of its own and leaves the machine's network alone: no default bridge, no iptables rules,
# no forwarding (with them it sets the policy of FORWARD to DROP, and leaves that behind). So give
# containers --network host, or one of `docker network create`, which ends at its own containers.
# Installs Debian's docker.io when dockerd is missing. Needs root.
set -euo pipefail

scripts=$(cd "$(dirname "$0")" && pwd)
readonly start_timeout_s=150 stop_timeout_s=40 socket_path_max=107
PATH=$PATH:/usr/sbin:/sbin

die()
{
	echo "docker-engine: $*" >&2
	exit 1
}

# Does the engine at $1 (none: the one the environment names) answer?
answers()
{
	command -v docker >/dev/null &&
	    env ${1:+DOCKER_HOST="$1"} timeout 15 docker info >/dev/null 2>&1
}

ambient_host()
{
	docker context inspect --format '{{.Endpoints.docker.Host}}'
}

install_engine()
{
	local policy=/usr/sbin/policy-rc.d
	# The package starts its service where it can; ours is the only engine wanted.
	if [ -e "$policy" ]; then
		policy=
	else
		printf '#!/bin/sh\nexit 101\n' >"$policy"
		chmod 755 "$policy"
	fi
	local status=0
	"$scripts/apt-install.sh" docker.io iptables >&2 || status=$?
	# Since trixie the client is a package of its own.
	[ $status -ne 0 ] || command -v docker >/dev/null ||
	    "$scripts/apt-install.sh" docker-cli >&2 || status=$?
	[ -z "$policy" ] || rm -f "$policy"
	[ $status -eq 0 ] || die "cannot install an engine"
}

# The pid in file $2, if that process is a $1 that was told to use our directory.
our_pid()
{
	local pid exe
	pid=$(cat "$2" 2>/dev/null) || return 1
	[[ $pid =~ ^[1-9][0-9]*$ ]] || return 1
	exe=$(readlink "/proc/$pid/exe") || return 1
	exe=${exe% (deleted)}
	[ "${exe##*/}" = "$1" ] || return 1
	tr '\0' '\n' <"/proc/$pid/cmdline" | grep -qF "$dir/" || return 1
	echo "$pid"
}

# In the new mount namespace: prepare what runc needs, become dockerd.
run_daemon()
{
	local mounts group root=$dir/root
	mounts=$(awk '{ print $5 }' /proc/self/mountinfo)
	if ! grep -qx / <<<"$mounts"; then
		# A plain chroot. runc changes the propagation of / and pivots away from it, and both
		# want a mount point: look at the same tree through a bind mount.
		mkdir -p "$root"
		mount --rbind / "$root"
		mount --make-rslave "$root"
		exec chroot "$root" "$scripts/docker-engine.sh" run-daemon "$dir" "$@"
	fi
	mount --make-rslave /
	if ! grep -q '^/sys/fs/cgroup\(/\|$\)' <<<"$mounts"; then
		# A controller is in one hierarchy of the whole machine: join those that exist.
		if grep -q '^[1-9]' /proc/self/cgroup; then
			mount -t tmpfs -o mode=755 cgroup /sys/fs/cgroup
			while IFS=: read -r _ group _; do
				[ -n "$group" ] || continue
				mkdir "/sys/fs/cgroup/${group#name=}"
				mount -t cgroup -o "$group" cgroup "/sys/fs/cgroup/${group#name=}"
			done </proc/self/cgroup
		else
			mount -t cgroup2 cgroup2 /sys/fs/cgroup
		fi
	fi
	exec dockerd "$@"
}

# Start dockerd and wait until it answers.
launch()
{
	local deadline=$((SECONDS + start_timeout_s)) fd pid
	(
		# A daemon that held a descriptor of bats would hang it.
		for fd in /proc/self/fd/*; do
			[ "${fd##*/}" -le 2 ] || eval "exec ${fd##*/}>&-"
		done
		exec setsid unshare --mount --propagation unchanged \
		    "$scripts/docker-engine.sh" run-daemon "$dir" \
		    --data-root "$dir/data" --exec-root "$dir/exec" --pidfile "$dir/pid" \
		    --host "unix://$dir/docker.sock" --group root --log-level warn \
		    --exec-opt native.cgroupdriver=cgroupfs --bridge none --iptables=false \
		    --ip6tables=false --ip-forward=false --ip-masq=false
	) </dev/null >"$dir/log" 2>&1 &
	pid=$!
	while [ $SECONDS -lt $deadline ]; do
		if answers "unix://$dir/docker.sock"; then
			return 0
		fi
		# It is dockerd in the end, and gone when it or what prepared it gave up.
		kill -0 $pid 2>/dev/null || return 1
		sleep 0.2
	done
	return 1
}

end_process()
{
	local deadline=$((SECONDS + stop_timeout_s))
	kill -TERM "$1" 2>/dev/null || return 0
	while kill -0 "$1" 2>/dev/null; do
		if [ $SECONDS -ge $deadline ]; then
			kill -KILL "$1" 2>/dev/null || true
			return 0
		fi
		sleep 0.1
	done
}

stop_engine()
{
	local pid
	if pid=$(our_pid dockerd "$dir/pid"); then
		end_process "$pid"
	fi
	# Left over only when dockerd had to be killed.
	if pid=$(our_pid containerd "$dir/exec/containerd/containerd.pid"); then
		end_process "$pid"
	fi
	rm -f "$dir/pid" "$dir/docker.sock"
	# Seen out here only when a chroot's surroundings share their mounts.
	if grep -qF " $dir/root " /proc/self/mountinfo; then
		umount -l "$dir/root"
	fi
}

lock()
{
	exec 9>"$dir/lock"
	flock -w $((start_timeout_s + stop_timeout_s)) 9 || die "another run in $dir does not end"
}

start()
{
	local longest=$dir/exec/containerd/containerd.sock.ttrpc
	if answers; then
		echo "DOCKER_HOST=$(ambient_host)"
		return
	fi
	[ "$(id -u)" -eq 0 ] || die "no engine answers, and starting one needs root"
	[ ${#longest} -le $socket_path_max ] || die "$dir is too long for the path of a socket"
	mkdir -p "$dir"
	lock
	if ! answers "unix://$dir/docker.sock"; then
		if ! command -v dockerd >/dev/null || ! command -v docker >/dev/null; then
			install_engine
		fi
		stop_engine
		launch || {
			tail -n 5 "$dir/log" >&2
			stop_engine
			die "dockerd did not come up; its log is $dir/log"
		}
	fi
	echo "DOCKER_HOST=unix://$dir/docker.sock"
}

stop()
{
	[ -d "$dir" ] || return 0
	lock
	stop_engine
}

status()
{
	if answers "unix://$dir/docker.sock"; then
		echo "DOCKER_HOST=unix://$dir/docker.sock"
	elif answers; then
		echo "DOCKER_HOST=$(ambient_host)"
	else
		die "no engine answers"
	fi
}

dir=$(realpath -m "${2:-$scripts/../build/docker}")
case ${1-} in
start | stop | status)
	"$1" ;;
run-daemon)
	run_daemon "${@:3}" ;;
*)
	echo "usage: docker-engine.sh start|stop|status [DIR]" >&2
	exit 2 ;;
esac
