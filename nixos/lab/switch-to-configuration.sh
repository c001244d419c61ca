# switch-to-configuration TOPLEVEL ACTION: NixOS's contract for machines of the lab.
#
# Actions: switch (now and at boot), boot (at boot only), test (now only), dry-activate (say what test would do), check
# (pre-switch checks only). Exit codes: 1 usage, lock or pre-switch check; 2 activation script failed; 4 some units
# failed, whatever the script did; 100 another init interface: reboot to get there.
set -u
toplevel=$1
action=${2-}
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
state=/run/nixos
units=systemd/system

say() { echo "$*" >&2; }
die() { say "$2"; exit "$1"; }

main() {
  case "$action" in
    switch | boot | test | dry-activate | check) ;;
    *) die 1 "usage: switch-to-configuration switch|boot|test|dry-activate|check" ;;
  esac
  mkdir -p $state
  exec 9>$state/switch-to-configuration.lock
  flock -n 9 || die 1 "Could not acquire lock"

  if [ "${NIXOS_NO_CHECK-}" != 1 ]; then
    "$toplevel/pre-switch-checks" "$toplevel" "$action" 9>&- || die 1 "Pre-switch checks failed"
  fi
  [ "$action" != check ] || exit 0

  case "$action" in
    switch | boot) make_boot_default ;;
  esac
  [ "$action" != boot ] || exit 0
  check_init_interface

  old=$(readlink -f /etc/static || true)
  new=$toplevel/etc
  plan_units
  if [ "$action" = dry-activate ]; then
    say_plan would
    exit 0
  fi
  activate
}

# What the lab's machines start with: see /usr/lib/slipway-lab/init there.
make_boot_default() {
  mkdir -p /boot
  ln -sfn "$toplevel" /boot/.default.new && mv -T /boot/.default.new /boot/default
  [ "${NIXOS_NO_SYNC-}" = 1 ] || sync -f /boot
}

check_init_interface() {
  local current=/run/current-system/init-interface-version
  [ -e $current ] || return 0
  cmp -s $current "$toplevel/init-interface-version" ||
    die 100 "Warning: the new configuration has another init interface; reboot to activate it"
}

# --- which units to touch --------------------------------------------------------------------------------------------

# Units that an etc folder has a file or a drop-in for.
units_of() { [ ! -d "$1/$units" ] || (cd "$1/$units" && ls -d -- *.service *.timer *.socket *.d 2>/dev/null | sed 's/\.d$//' | sort -u); }

# The whole text of a unit in an etc folder, drop-ins included.
text_of() { cat "$1/$units/$2" "$1/$units/$2".d/*.conf 2>/dev/null; }
has_file() { [ -e "$1/$units/$2" ]; }
masked() { [ "$(readlink -f "$1/$units/$2")" = /dev/null ]; }
says() { grep -qx "$2=$3" <<<"$1"; }

plan_units() {
  local unit active
  stop=() skip=() reload=() restart=() start=()
  active=" $(systemctl list-units --state=active,activating,reloading --plain --no-legend | cut -d ' ' -f 1 | tr '\n' ' ')"
  for unit in $(printf '%s\n' $(units_of "$old") $(units_of "$new") | sort -u); do
    case "$active" in
      *" $unit "*) plan_unit "$unit" ;;
    esac
  done
}

# For a unit that runs. Debian's own units, of which we have drop-ins only, are never stopped for losing one.
plan_unit() {
  local unit=$1 before after
  if has_file "$new" "$unit" && masked "$new" "$unit"; then
    stop+=("$unit")
  elif has_file "$old" "$unit" && ! masked "$old" "$unit" && ! has_file "$new" "$unit"; then
    stop+=("$unit")
  else
    before=$(text_of "$old" "$unit")
    after=$(text_of "$new" "$unit")
    [ "$before" = "$after" ] || plan_changed "$unit" "$after"
  fi
}

plan_changed() {
  local unit=$1 text=$2
  if says "$text" X-RestartIfChanged false; then
    skip+=("$unit")
  elif says "$text" X-ReloadIfChanged true; then
    reload+=("$unit")
  elif says "$text" X-StopIfChanged false; then
    restart+=("$unit")
  else
    stop+=("$unit")
    start+=("$unit")
  fi
}

say_list() {
  local words=$1
  shift
  [ $# -eq 0 ] || say "$words the following units: $(printf '%s, ' "$@" | sed 's/, $//')"
}

say_plan() {
  say_list "$1 stop" "${stop[@]}"
  say_list "$1 NOT restart" "${skip[@]}"
  say "$1 activate the configuration..."
  say_list "$1 reload" "${reload[@]}"
  say_list "$1 restart" "${restart[@]}"
  say_list "$1 start" "${start[@]}"
}

# --- doing it --------------------------------------------------------------------------------------------------------

activate() {
  local result=0
  resume
  say_list "stopping" "${stop[@]}"
  [ ${#stop[@]} -eq 0 ] || systemctl stop -- "${stop[@]}"
  hang
  say "activating the configuration..."
  "$toplevel/activate" 9>&- || { say "Failed to run activate script"; result=2; }
  # What failed before is not this activation's fault; what still fails will fail again.
  systemctl reset-failed
  systemctl daemon-reload
  systemd-tmpfiles --create --remove --exclude-prefix=/dev 9>&- || true

  say_list "reloading" "${reload[@]}"
  [ ${#reload[@]} -eq 0 ] || systemctl reload -- "${reload[@]}" || result=4
  say_list "restarting" "${restart[@]}"
  [ ${#restart[@]} -eq 0 ] || systemctl restart -- "${restart[@]}" || result=4
  say_list "starting" "${start[@]}"
  # Started again, targets start what they newly want.
  systemctl start -- "${start[@]}" sysinit.target multi-user.target sockets.target timers.target || result=4
  rm -f $state/reload-list $state/restart-list $state/start-list

  # Over a 2 as well: who wants to know it reads the words above.
  report_failed || result=4
  exit $result
}

# A fault of the lab, for one activation (`slipway lab fault NODE hang-activation`): it does not come to its end.
hang() {
  mv /run/slipway-lab/hang-activation /run/slipway-lab/hangs 2>/dev/null || return 0
  say "lab: hanging, as asked"
  while [ -e /run/slipway-lab/hangs ]; do sleep 1; done
}

# Work that an activation left behind when it was cut off comes first in the next one.
resume() {
  local name
  for name in reload restart start; do
    local -n list=$name
    [ ! -e "$state/$name-list" ] || mapfile -t -O ${#list[@]} list <"$state/$name-list"
    [ ${#list[@]} -eq 0 ] || printf '%s\n' "${list[@]}" | sort -u >"$state/$name-list"
  done
}

# Units that failed, or that systemd keeps starting because they do not stay.
report_failed() {
  local failed
  failed=$(systemctl list-units --state=failed,auto-restart --plain --no-legend | cut -d ' ' -f 1)
  [ -n "$failed" ] || return 0
  say "warning: the following units failed: $(tr '\n' ' ' <<<"$failed")"
  for unit in $failed; do systemctl status --no-pager --full --lines=10 -- "$unit" >&2 || true; done
  return 1
}

main
