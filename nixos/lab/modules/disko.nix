# Stand-in for disko: takes any description of disks, and makes the two scripts that an installer runs. They put one ext4
# onto the whole disk that is mounted at /, whatever partitions are described; other disks are written down and left.
{ config, lib, pkgs, ... }:
let
  inherit (lib) escapeShellArg mkOption types;
  disks = builtins.attrValues (config.disko.devices.disk or { });
  mountPoints = disk: map (partition: partition.content.mountpoint or "") (builtins.attrValues disk.content.partitions);
  roots = builtins.filter (disk: builtins.elem "/" (mountPoints disk)) disks;
  root =
    if roots == [ ] then
      throw "slipway lab: no disk is mounted at /"
    else
      escapeShellArg (builtins.head roots).device;
  calls = "/var/log/slipway-lab/calls";

  head = ''
    # Stand-in of slipway's lab.
    set -eu
    mkdir -p /var/log/slipway-lab /mnt
  '';
  mount = ''
    mount -t ext4 ${root} /mnt
  '';
in
{
  options.disko = mkOption { type = types.anything; default = { }; };

  config.system.build = {
    diskoScript = pkgs.writeShellScript "slipway-lab-disko" ''
      ${head}
      echo "disko ${toString (map (disk: disk.device) disks)}" >> ${calls}
      ! mountpoint -q /mnt || umount /mnt
      mkfs.ext4 -q -F -L slipway-lab ${root}
      ${mount}
    '';
    mountScript = pkgs.writeShellScript "slipway-lab-disko-mount" ''
      ${head}
      echo "mount" >> ${calls}
      ${mount}
    '';
  };
}
