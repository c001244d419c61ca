# activate.sh FOLDER NEW CURRENT PROFILE ACTIVATE_SECONDS CONFIRM_SECONDS
#
# Runs on the node, as a unit of its own, so that nothing that happens to the deployer's connection stops it.
#   1. `test` the system NEW: it runs, but the next boot would still take the old one;
#   2. wait until somebody who came in over a new connection puts FOLDER/answer there;
#   3. only then make NEW the system profile and the boot default.
# Where one of these fails, the old system is activated again, from here and without anybody's help.
#
# FOLDER/status holds one line of JSON for whoever asks, FOLDER/log what was said. Whoever links FOLDER/answer first
# decides: the deployer with `confirmed`, or this script with `deadline`.
set -u
folder=$1 new=$2 current=$3 profile=$4 activate_seconds=$5 confirm_seconds=$6
exec </dev/null >>"$folder/log" 2>&1

old=$(readlink -f "$current")
[ -e "$old" ] || old=
code=-1 back=-1 reason=

tell() {
  printf '{"phase": "%s", "code": %s, "back": %s, "old": "%s", "reason": "%s"}\n' \
    "$1" "$code" "$back" "$old" "$reason" >"$folder/status.new"
  mv -f "$folder/status.new" "$folder/status"
}

finish() {
  tell "$1"
  exit 0
}

# The lock is not handed on: a daemon that an activation leaves behind must not hold it.
switch() {
  timeout --kill-after=10 "$activate_seconds" "$1/bin/switch-to-configuration" "$2" 9>&-
}

main() {
  # The deployer's questions take the lock for a moment, to see whether we live.
  exec 9>"${folder%/*}/lock"
  if ! flock -w 2 9; then
    reason="another activation is under way"
    finish refused
  fi
  forget_earlier_ones
  # A closure that was copied in part or is something else would take the machine down (Nix issue 13367).
  if [ ! -e "$new/nixos-version" ] || [ ! -x "$new/bin/switch-to-configuration" ]; then
    reason="$new is no NixOS system"
    finish refused
  fi

  tell activating
  switch "$new" test
  code=$?
  case $code in
    0 | 4 | 100) ;;
    1) go_back "the system refused to be activated" ;;
    2) go_back "its activation script failed" ;;
    124 | 137) go_back "its activation did not end within $activate_seconds s" ;;
    *) go_back "its activation failed" ;;
  esac

  tell waiting
  confirmed || go_back "no confirmation over a new connection within $confirm_seconds s"
  tell keeping
  keep || go_back "it could not be made the default of the next boot"
  finish kept
}

forget_earlier_ones() {
  for earlier in "${folder%/*}"/*/; do
    [ "$earlier" = "$folder/" ] || rm -rf "$earlier"
  done
}

# Seconds since boot: activation may start a time service that sets the clock.
now() {
  read -r up rest </proc/uptime
  echo "${up%.*}"
}

confirmed() {
  end=$(($(now) + confirm_seconds))
  while [ ! -e "$folder/answer" ]; do
    [ "$(now)" -lt "$end" ] || answer deadline
    sleep 0.2
  done
  [ "$(cat "$folder/answer")" = confirmed ]
}

# A link is there or is not, and only one can be: two answers at the same time cannot both count.
answer() {
  echo "$1" >"$folder/answer.mine"
  ln "$folder/answer.mine" "$folder/answer" 2>/dev/null || true
}

keep() {
  before=$(readlink -f "$profile")
  nix-env -p "$profile" --set "$new" 9>&- && switch "$new" boot && return 0
  if [ -n "$before" ] && [ "$before" != "$new" ] && [ -e "$before" ]; then
    nix-env -p "$profile" --set "$before" 9>&- && switch "$before" boot
  fi
  return 1
}

go_back() {
  reason=$1
  [ -n "$old" ] || finish alone
  # Refused before anything was touched: what follows changes nothing then, and makes sure of it.
  untouched=no
  [ "$code" != 1 ] || [ "$(readlink -f "$current")" != "$old" ] || untouched=yes
  tell returning
  switch "$old" test
  back=$?
  [ "$untouched" = no ] || finish refused
  case $back in
    0 | 4) finish returned ;;
    *) finish stuck ;;
  esac
}

main
