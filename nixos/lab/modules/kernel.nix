# Modules and settings of the kernel. The kernel is the host's: what a container may not change is left as it is.
{ config, lib, ... }:
let
  inherit (lib) mkOption types;
  atom = types.oneOf [ types.bool types.int types.str ];
  render = value: if builtins.isBool value then (if value then "1" else "0") else toString value;
  line = name: value: lib.optionalString (value != null) "${name} = ${render value}\n";
in
{
  options.boot = {
    kernelModules = mkOption { type = types.listOf types.str; default = [ ]; };
    kernelParams = mkOption { type = types.listOf types.str; default = [ ]; };
    extraModprobeConfig = mkOption { type = types.lines; default = ""; };
    blacklistedKernelModules = mkOption { type = types.listOf types.str; default = [ ]; };
    kernel.sysctl = mkOption { type = types.attrsOf (types.nullOr atom); default = { }; };
  };

  config = {
    environment.etc."modules-load.d/nixos.conf".text = lib.concatLines config.boot.kernelModules;
    # NixOS links systemd's own file; Debian leaves it out.
    environment.etc."sysctl.d/50-default.conf".source = ../50-default.conf;
    environment.etc."sysctl.d/60-nixos.conf".text = lib.concatStrings (
      lib.mapAttrsToList line config.boot.kernel.sysctl
    );
    # It would end in failure for every module that the host's kernel lacks or has built in; activation asks instead.
    systemd.services.systemd-modules-load.enable = false;
    systemd.services.systemd-sysctl = {
      overrideStrategy = "asDropin";
      stopIfChanged = false;
      restartTriggers = map (name: config.environment.etc."sysctl.d/${name}.conf".source) [ "50-default" "60-nixos" ];
      wantedBy = [ "sysinit.target" ];
    };
    system.activationScripts.modules = ''
      while read -r name; do
        modprobe -q "$name" || true
      done < /etc/modules-load.d/nixos.conf
    '';
  };
}
