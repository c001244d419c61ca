#!/bin/sh
# keep.sh PID_FILE LOG COMMAND...: run COMMAND, and again whenever it ends with 133, by which systemd-nspawn says that
# the machine asked for a reboot. PID_FILE gets this process's id and start time (field 22 of proc_pid_stat(5)), which
# together name it for good.
set -eu
echo "$$ $(cut -d' ' -f22 "/proc/$$/stat")" >"$1"
exec </dev/null >>"$2" 2>&1
cd /
shift 2
while :; do
	code=0
	"$@" || code=$?
	[ "$code" -eq 133 ] || exit "$code"
done
