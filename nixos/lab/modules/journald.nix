{ config, lib, ... }:
let
  inherit (lib) mkOption types;
  cfg = config.services.journald;
in
{
  options.services.journald = {
    storage = mkOption { type = types.enum [ "persistent" "volatile" "auto" "none" ]; default = "persistent"; };
    extraConfig = mkOption { type = types.lines; default = ""; };
  };

  config = {
    environment.etc."systemd/journald.conf".text = ''
      [Journal]
      Storage=${cfg.storage}
      ${cfg.extraConfig}
    '';
    systemd.services.systemd-journald = {
      overrideStrategy = "asDropin";
      stopIfChanged = false;
      restartTriggers = [ config.environment.etc."systemd/journald.conf".source ];
    };
  };
}
