# What activation runs, in this order: /etc, then the scripts by name, as the machine is set up before systemd starts.
{ config, lib, ... }:
let
  inherit (lib) mkOption types;
  assertion.options = {
    assertion = mkOption { type = types.bool; };
    message = mkOption { type = types.str; };
  };
in
{
  options = {
    assertions = mkOption { type = types.listOf (types.submodule assertion); default = [ ]; };
    warnings = mkOption { type = types.listOf types.str; default = [ ]; };
    nixpkgs.hostPlatform = mkOption { type = types.anything; default = "x86_64-linux"; };
    system = {
      nixos.release = mkOption { type = types.str; default = "none"; };
      stateVersion = mkOption { type = types.str; default = "26.05"; };
      build = mkOption { type = types.attrsOf types.raw; default = { }; };
      activationScripts = mkOption { type = types.attrsOf (types.either types.str types.attrs); default = { }; };
      preSwitchChecks = mkOption { type = types.attrsOf types.str; default = { }; };
    };
  };

  config._module.args.pkgs = import ../pkgs.nix {
    inherit lib;
    system = config.nixpkgs.hostPlatform.system or config.nixpkgs.hostPlatform;
  };
}
