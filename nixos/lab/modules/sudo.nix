# Rules for sudo: lists of commands that users or groups may run without a password.
{ config, lib, ... }:
let
  inherit (lib) mkOption types;
  rule = {
    options = {
      users = mkOption { type = types.listOf types.str; default = [ ]; };
      groups = mkOption { type = types.listOf types.str; default = [ ]; };
      commands = mkOption { type = types.listOf types.anything; };
    };
  };
  who = r: r.users ++ map (name: "%${name}") r.groups;
  tags = command: lib.concatMapStrings (tag: "${tag}:") (command.options or [ ]);
  line = name: command: "${name} ALL=(ALL:ALL) ${tags command} ${command.command or command}\n";
  lines = r: lib.concatMapStrings (name: lib.concatMapStrings (line name) r.commands) (who r);
in
{
  options.security.sudo = {
    enable = mkOption { type = types.bool; default = true; };
    wheelNeedsPassword = mkOption { type = types.bool; default = true; };
    extraRules = mkOption { type = types.listOf (types.submodule rule); default = [ ]; };
  };

  config.environment.etc."sudoers.d/slipway-lab" = {
    text = "%wheel ALL=(ALL:ALL) ${lib.optionalString (!config.security.sudo.wheelNeedsPassword) "NOPASSWD:"} ALL\n"
      + lib.concatMapStrings lines config.security.sudo.extraRules;
    mode = "0440";
  };
}
