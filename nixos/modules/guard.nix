# Refuses to activate another machine's system: a wrong address in the inventory must not turn one node into another. A
# machine that has nothing of a cluster may be renamed: whoever installed it gave it some name.
{ config, lib, options, ... }:
let
  check = ''
    wanted=${name}
    actual=$(cat /proc/sys/kernel/hostname)
    member=
    for path in /etc/systemd/system/k0s.service /var/lib/k0s/pki /var/lib/k0s/kubelet.conf; do
      if [ -e "$path" ]; then member=1; fi
    done
    if [ -n "$member" ] && [ "$actual" != "$wanted" ] && [ ! -e /var/lib/slipway/allow-rename ]; then
      echo "slipway: this machine is called $actual, the system is for $wanted: is its address right?" >&2
      echo "slipway: if it shall be renamed: install -D /dev/null /var/lib/slipway/allow-rename" >&2
      exit 1
    fi
  '';
  name = lib.escapeShellArg config.networking.hostName;
in
{
  # NixOS has these checks from 24.11 on; older ones go without the guard.
  config.system = lib.optionalAttrs (options.system ? preSwitchChecks) { preSwitchChecks.slipwayHostname = check; } // {
    # NixOS sets the name when it boots. k0s asks the kernel, and would take a machine that is renamed by an activation into
    # the cluster by its old one.
    activationScripts.slipwayHostname = ''
      if [ "$(cat /proc/sys/kernel/hostname)" != ${name} ]; then
        printf %s ${name} > /proc/sys/kernel/hostname
      fi
    '';
  };
}
