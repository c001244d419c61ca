#!/bin/sh
# start.sh PID_FILE LOG JOIN... -- COMMAND...: become COMMAND in these control groups, detached from whoever calls.
# PID_FILE gets the process's id and start time (field 22 of proc_pid_stat(5)), which together name it for good.
set -eu
pid_file=$1 log=$2
shift 2
while [ "$1" != -- ]; do
	echo $$ >"$1"
	shift
done
shift
echo "$$ $(cut -d' ' -f22 /proc/$$/stat)" >"$pid_file"
exec "$@" </dev/null >>"$log" 2>&1
