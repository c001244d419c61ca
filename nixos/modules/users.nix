# People's accounts: keys only, no passwords.
{ config, lib, ... }:
let
  inherit (lib) mkDefault mkIf mkOption types;
  cfg = config.slipway.users;
  account.options = {
    authorizedKeys = mkOption {
      type = types.listOf types.nonEmptyStr;
      description = "Public keys that log in.";
    };
    extraGroups = mkOption {
      type = types.listOf types.nonEmptyStr;
      default = [ ];
      example = [ "wheel" ];
      description = "Groups beside the user's own.";
    };
  };
  anyWheel = lib.any (u: builtins.elem "wheel" u.extraGroups) (builtins.attrValues cfg);
in
{
  options.slipway.users = mkOption {
    type = types.attrsOf (types.submodule account);
    default = { };
    description = "Accounts by login name.";
  };

  config = {
    users.users = builtins.mapAttrs (_: u: {
      isNormalUser = true;
      inherit (u) extraGroups;
      openssh.authorizedKeys.keys = u.authorizedKeys;
    }) cfg;
    # There is no password that sudo could ask for.
    security.sudo.wheelNeedsPassword = mkIf anyWheel (mkDefault false);
  };
}
