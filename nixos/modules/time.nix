# etcd, certificates and join tokens need clocks that agree.
{ config, lib, ... }:
let
  inherit (lib) mkDefault mkIf mkOption types;
  cfg = config.slipway.time;
in
{
  options.slipway.time = {
    enable = lib.mkEnableOption "slipway's time zone and chrony; without it the machine's own must keep its clock" // {
      default = true;
    };
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

  config = mkIf cfg.enable {
    time.timeZone = mkDefault cfg.zone;
    services.timesyncd.enable = mkDefault (!config.services.chrony.enable);
    services.chrony.enable = mkDefault true;
    services.chrony.servers = mkIf (cfg.servers != [ ]) cfg.servers;
  };
}
