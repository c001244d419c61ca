# /etc/nix/nix.conf. Machines of the lab get closures from their deployer alone: no substituters, no sandbox.
{ config, lib, ... }:
let
  inherit (lib) mkOption types;
  atom = types.oneOf [ types.bool types.int types.str types.path ];
  render = value: if builtins.isBool value then lib.boolToString value else toString value;
  inLab = {
    substituters = [ ];
    sandbox = false;
    build-users-group = "";
  };
in
{
  options.nix = {
    settings = mkOption { type = types.attrsOf (types.either atom (types.listOf atom)); default = { }; };
    extraOptions = mkOption { type = types.lines; default = ""; };
  };

  config = {
    nix.settings = {
      experimental-features = [ "nix-command" "flakes" ];
      trusted-users = [ "root" ];
    };
    environment.etc."nix/nix.conf".text = lib.concatStrings (
      lib.mapAttrsToList (name: value: "${name} = ${render value}\n") (config.nix.settings // inLab)
    ) + config.nix.extraOptions;
  };
}
