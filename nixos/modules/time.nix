# etcd, certificates and join tokens need clocks that agree.
{ config, lib, ... }:
let
  inherit (lib) mkOption types;
  cfg = config.slipway.time;
in
{
  options.slipway.time = {
    zone = mkOption {
      type = types.nonEmptyStr;
      default = "Etc/UTC";
      description = "Time zone of the machine.";
    };
    servers = mkOption {
      type = types.listOf types.nonEmptyStr;
      default = [ ];
      description = "NTP servers; none leaves NixOS's own.";
    };
  };

  config = {
    time.timeZone = cfg.zone;
    services.timesyncd.enable = false;
    services.chrony.enable = true;
    services.chrony.servers = lib.mkIf (cfg.servers != [ ]) cfg.servers;
  };
}
