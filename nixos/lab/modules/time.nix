# Time zone, and chrony's configuration. A container has its host's clock: the unit is there and does not start.
{ config, lib, ... }:
let
  inherit (lib) mkOption types;
  cfg = config.services.chrony;
in
{
  options = {
    time.timeZone = mkOption { type = types.nullOr types.str; default = null; };
    services.timesyncd.enable = mkOption { type = types.bool; default = !cfg.enable; };
    services.chrony = {
      enable = mkOption { type = types.bool; default = false; };
      servers = mkOption {
        type = types.listOf types.str;
        default = [ "0.nixos.pool.ntp.org" "1.nixos.pool.ntp.org" "2.nixos.pool.ntp.org" "3.nixos.pool.ntp.org" ];
      };
      extraConfig = mkOption { type = types.lines; default = ""; };
    };
  };

  config = lib.mkMerge [
    (lib.mkIf (config.time.timeZone != null) {
      environment.etc.localtime.source = "/usr/share/zoneinfo/${config.time.timeZone}";
    })
    (lib.mkIf cfg.enable {
      environment.etc."chrony.conf".text = ''
        ${lib.concatMapStrings (server: "server ${server} iburst\n") cfg.servers}
        makestep 1.0 3
        ${cfg.extraConfig}
      '';
      systemd.services.chronyd = {
        description = "chrony NTP daemon";
        wantedBy = [ "multi-user.target" ];
        unitConfig.ConditionVirtualization = "!container";
        serviceConfig.ExecStart = "/usr/sbin/chronyd -d -f /etc/chrony.conf";
      };
    })
  ];
}
