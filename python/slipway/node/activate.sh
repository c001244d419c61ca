# activate.sh PART FOLDER NEW CURRENT PROFILE ACTIVATE_SECONDS CONFIRM_SECONDS STEP_SECONDS WHEN_STUCK
#
# Runs on the node, in two units of its own, so that nothing that happens to the deployer's connection stops it.
# PART `run`:
#   1. `test` the system NEW: it runs, but the next boot would still take the old one;
#   2. wait until somebody who came in over a new connection puts FOLDER/answer there;
#   3. only then make NEW the system profile and the boot default.
# Where one of these fails, the old system is activated again, from here and without anybody's help. Where that fails,
# too, the machine boots it if WHEN_STUCK is `reboot`, and else stays as it is.
# PART `boot` does the third step alone: NEW waits for a reboot.
# PART `watch` is started by the others and outlives them: where one was killed or stopped, or hangs, it brings what
# was begun to an end, back to the old system unless the new one was confirmed already.
#
# FOLDER/status holds one line of JSON for whoever asks, FOLDER/log what was said. Whoever links FOLDER/answer first
# decides: the deployer with `confirmed`, or this script with `deadline`.
set -u
part=$1 folder=$2 new=$3 current=$4 profile=$5 activate_seconds=$6 confirm_seconds=$7 step_seconds=$8 when_stuck=$9
id=${folder##*/} lock=${folder%/*}/lock
code=-1 back=-1 reason= old= default= tee=

# Whoever lives holds the lock: `run` or `boot` first, then `watch`.
main() {
  # Where memory runs out, others go first; a container may not ask for that.
  { echo -900 >/proc/self/oom_score_adj; } 2>/dev/null || true
  exec 9>"$lock"
  speak
  case $part in
    watch) watch ;;
    *) begin ;;
  esac
}

# The journal gets it, for a reboot takes FOLDER with it, and FOLDER/log. A full /run stops only the second: what writes
# to a full file would end in the middle of its work.
speak() {
  exec </dev/null
  # Open at both ends: neither waits for the other.
  if mkfifo -m 0600 "$folder/$part.pipe" && exec 7<>"$folder/$part.pipe"; then
    tee -a "$folder/log" <"$folder/$part.pipe" 7>&- 9>&- &
    tee=$!
    exec >"$folder/$part.pipe" 2>&1 7>&-
  else
    exec >>"$folder/log" 2>&1
  fi
}

# Waits for the last words to be in the log; a daemon that an activation left behind may hold the pipe for ever.
fall_silent() {
  exec >/dev/null 2>&1
  left=10
  while [ -n "$tee" ] && kill -0 "$tee" && [ "$left" -gt 0 ]; do
    sleep 0.1
    left=$((left - 1))
  done
}

# A full /run must not keep a node from saying how it went: some room is kept for that.
tell() {
  for _ in full emptied; do
    if printf '{"phase": "%s", "code": %s, "back": %s, "old": "%s", "default": "%s", "reason": "%s"}\n' \
      "$1" "$code" "$back" "$old" "$(readlink -f "$profile")" "$reason" >"$folder/status.new"; then
      mv -f "$folder/status.new" "$folder/status" && return
    fi
    rm -f "$folder/reserve"
  done
}

finish() {
  fall_silent
  tell "$1"
  exit 0
}

# The lock is not handed on: a daemon that an activation leaves behind must not hold it.
switch() {
  timeout --kill-after=10 "$activate_seconds" "$1/bin/switch-to-configuration" "$2" 9>&-
}

# The kind of boot loader that a system has: the name of the program that installs it, in the wrapper of nixpkgs's
# switch-to-configuration-ng. Its store path differs with everything in it, its name (install-grub.sh,
# install-systemd-boot.sh) with the kind alone.
loader_of() {
  sed -n "s|.*INSTALL_BOOTLOADER=.\\{0,1\\}/nix/store/[a-z0-9]*-\\([^/'\" ]*\\).*|\\1|p" "$1/bin/switch-to-configuration"
}

# One of another kind has never been installed here. One of the same kind updates itself where it has to.
choose_loader() {
  before=$(loader_of "$1") after=$(loader_of "$2")
  if [ -n "$before" ] && [ -n "$after" ] && [ "$before" != "$after" ]; then
    export NIXOS_INSTALL_BOOTLOADER=1
  fi
}

# Waits where a garbage collection has the store.
set_profile() {
  timeout --kill-after=10 "$step_seconds" nix-env -p "$profile" --set "$1" 9>&-
}

begin() {
  # The deployer's questions take the lock for a moment, to see whether we live.
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
  if ! remember || ! watched; then
    reason="no second unit could be started that would return the node if this one died"
    finish refused
  fi
  case $part in
    run) try_it ;;
  esac
  keep_it
}

try_it() {
  tell activating
  switch "$new" test
  code=$?
  case $code in
    0) ;;
    # Failed units hide a failed script: switch-to-configuration says 4 then, and 2 where there are none.
    4) ! script_failed || go_back "its activation script failed, and so did units" ;;
    1) go_back "the system refused to be activated" ;;
    2) go_back "its activation script failed" ;;
    100)
      reason="it has another init interface"
      finish needs-boot
      ;;
    124 | 137) go_back "its activation did not end within $activate_seconds s" ;;
    *) go_back "its activation failed" ;;
  esac
  tell waiting
  confirmed || go_back "no confirmation over a new connection within $confirm_seconds s"
}

# In the words of NixOS's activation script, or of switch-to-configuration where it was killed or failed between its
# parts. They are whole lines: what units say has time and name before it. The last may still be on their way into the log.
script_failed() {
  sleep 0.5
  grep -Eqx "Failed to run activate script|Activation script snippet '.*' failed \([0-9]+\)" "$folder/log"
}

keep_it() {
  tell keeping
  keep || go_back "it could not be made the default of the next boot"
  finish kept
}

forget_earlier_ones() {
  for earlier in "${folder%/*}"/*/; do
    [ "$earlier" = "$folder/" ] || rm -rf "$earlier"
  done
}

# What `watch` needs where this process is gone, and the two answers: a link to them needs no room.
remember() {
  readlink -f "$current" >"$folder/old" && readlink -f "$profile" >"$folder/default" \
    && echo confirmed >"$folder/answer.theirs" && echo deadline >"$folder/answer.mine" \
    && head -c 65536 /dev/zero >"$folder/reserve" && recall
}

recall() {
  old=$(cat "$folder/old") default=$(cat "$folder/default")
  [ -e "$old" ] || old=
  [ -e "$default" ] || default=
}

# Its name has this activation's id, so that one that ends a moment later is in nobody's way.
watched() {
  systemd-run --unit="slipway-activate-watch-$id" --collect --quiet --no-ask-password --service-type=exec \
    --description="slipway: returns the node if its activation dies" --setenv=PATH="$PATH" --setenv=HOME=/root \
    --setenv=LOCALE_ARCHIVE="${LOCALE_ARCHIVE-}" --setenv=NIXOS_INSTALL_BOOTLOADER=0 \
    --property=DefaultDependencies=no --property=IgnoreOnIsolate=yes \
    --property=OOMPolicy=continue \
    --property=Restart=on-failure --property=RestartSec=1 --property=StartLimitIntervalSec=0 \
    -- /bin/sh "$folder/activate.sh" watch "$folder" "$new" "$current" "$profile" \
    "$activate_seconds" "$confirm_seconds" "$step_seconds" "$when_stuck" 9>&-
}

# Seconds since boot: activation may start a time service that sets the clock.
now() {
  read -r up rest </proc/uptime
  echo "${up%.*}"
}

confirmed() {
  end=$(($(now) + confirm_seconds))
  while [ ! -e "$folder/answer" ]; do
    [ "$(now)" -lt "$end" ] || decide
    sleep 0.2
  done
  [ "$(cat "$folder/answer")" = confirmed ]
}

# A link is there or is not, and only one can be: two answers at the same time cannot both count.
decide() {
  ln "$folder/answer.mine" "$folder/answer" 2>/dev/null || true
}

keep() {
  choose_loader "$old" "$new"
  set_profile "$new" && switch "$new" boot && return 0
  if [ -n "$default" ] && [ "$default" != "$new" ]; then
    set_profile "$default" && switch "$default" boot
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
    *) be_stuck ;;
  esac
}

# What cannot be activated may boot all the same, where it is what boots: nothing untested is booted.
be_stuck() {
  [ "$when_stuck" = reboot ] && [ -n "$default" ] && [ "$(readlink -f "$profile")" = "$default" ] || finish stuck
  echo "slipway: the old system cannot be activated again, so the machine boots it"
  tell rebooting
  # Whoever follows hears of it first.
  sleep 2
  timeout --kill-after=10 "$step_seconds" systemctl reboot || finish stuck
  exit 0
}

# Longer than `run` can take where each of its steps needs all of its time, forward and back.
all_seconds() {
  echo $((3 * activate_seconds + confirm_seconds + 2 * step_seconds + 60))
}

watch() {
  exec 8>"$folder/watch.lock"
  flock -n 8 || exit 0
  if ! flock -w "$(all_seconds)" 9; then
    systemctl kill --signal=KILL slipway-activate.service
    flock -w 10 9 || exit 1
  fi
  [ -d "$folder" ] && ! decided || exit 0
  recall
  code=$(sed -n 's/.*"code": \(-\{0,1\}[0-9]*\),.*/\1/p' "$folder/status")
  code=${code:--1}
  echo "slipway: the activation was ended before it was decided"
  decide
  if [ "$(cat "$folder/answer")" = confirmed ]; then
    keep_it
  fi
  keep_default
  go_back "it was stopped or killed"
}

decided() {
  grep -qE '"phase": "(kept|refused|returned|alone|stuck|rebooting|needs-boot)"' "$folder/status"
}

# Of PART `boot`, whose profile may be the new one already.
keep_default() {
  [ -z "$default" ] || [ "$(readlink -f "$profile")" = "$default" ] || { set_profile "$default" && switch "$default" boot; }
}

main
