# A fake of the options of sops-nix (modules/sops/default.nix) and agenix (modules/age.nix), as far as the how-to uses them:
# names, types and default paths as of June and February 2026. It decrypts nothing.
{ lib, ... }:
let
  inherit (lib) mkOption types;
  paths = mkOption { type = types.listOf types.str; default = [ ]; };
  secret =
    folder: file:
    types.attrsOf (
      types.submodule (
        { name, ... }:
        {
          options = {
            ${file} = mkOption { type = types.path; };
            path = mkOption { type = types.str; default = "${folder}/${name}"; };
            mode = mkOption { type = types.str; default = "0400"; };
            owner = mkOption { type = types.str; default = "root"; };
            restartUnits = paths;
          };
        }
      )
    );
in
{
  options = {
    sops = {
      secrets = mkOption { type = secret "/run/secrets" "sopsFile"; default = { }; };
      age.sshKeyPaths = paths;
      gnupg.sshKeyPaths = paths;
    };
    age = {
      secrets = mkOption { type = secret "/run/agenix" "file"; default = { }; };
      identityPaths = paths;
    };
  };
}
