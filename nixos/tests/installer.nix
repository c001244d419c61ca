# What the installer of a repository becomes in a real nixpkgs; `pkgs` in place of its own packages serves a checkout that
# has none.
{
  nixpkgs,
  root,
  pkgs ? null,
}:
let
  lib = import (nixpkgs + "/lib");
  nixosSystem =
    args:
    import (nixpkgs + "/nixos/lib/eval-config.nix") (
      args // { inherit lib; system = null; } // lib.optionalAttrs (pkgs != null) { inherit pkgs; }
    );
  inherit
    (import ../lib/installer.nix {
      inherit nixpkgs root lib nixosSystem;
      system = "x86_64-linux";
    })
    config
    ;
in
{
  keys = config.users.users.root.openssh.authorizedKeys.keys;
  asksForPasswords = config.services.openssh.settings.PasswordAuthentication;
  variant = config.system.nixos.variant_id;
  startsSshd = config.systemd.services.sshd.wantedBy;
  issue = config.systemd.services.slipway-installer-issue.script;
}
