# Refuses to activate another machine's system: a wrong address in the inventory must not turn one node into another.
{ config, lib, options, ... }:
let
  check = ''
    wanted=${lib.escapeShellArg config.networking.hostName}
    actual=$(cat /proc/sys/kernel/hostname)
    # While it is being installed, the machine runs the installer, whatever that is called.
    if [ -e /run/booted-system ] && [ "$actual" != "$wanted" ] && [ ! -e /var/lib/slipway/allow-rename ]; then
      echo "slipway: this machine is called $actual, the system is for $wanted." >&2
      echo "slipway: check its address in the inventory, or touch /var/lib/slipway/allow-rename here to rename it." >&2
      exit 1
    fi
  '';
in
{
  # NixOS has these checks from 24.11 on; older ones go without the guard.
  config = lib.optionalAttrs (options.system ? preSwitchChecks) {
    system.preSwitchChecks.slipwayHostname = check;
  };
}
