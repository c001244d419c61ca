# Options that machines of the lab have no use for: accepted, checked for their shape alone, and without effect.
{ lib, ... }:
let
  inherit (lib) mkOption types;
  anything = mkOption { type = types.anything; default = { }; };
in
{
  options = {
    boot.loader = anything;
    boot.initrd = anything;
    boot.supportedFilesystems = anything;
    documentation = anything;
    fileSystems = anything;
    hardware = anything;
    networking.proxy = anything;
    nix.buildMachines = mkOption { type = types.listOf types.anything; default = [ ]; };
    nix.distributedBuilds = mkOption { type = types.bool; default = false; };
    nix.gc = anything;
    services.multipath = anything;
    services.openiscsi = anything;
    swapDevices = mkOption { type = types.listOf types.anything; default = [ ]; };
    system.autoUpgrade = anything;
    systemd.watchdog = anything;
  };
}
