# Hosts of a repository, evaluated with a real nixpkgs: { host = { dump, toplevel }; }. `pkgs` in place of its own
# packages serves a checkout that has none.
{
  nixpkgs,
  root,
  disko ? null,
  pkgs ? null,
}:
let
  lib = import (nixpkgs + "/lib");
  evalConfig = import (nixpkgs + "/nixos/lib/eval-config.nix");
  # Machines without disks of their own in the inventory have this in hosts/<name>.nix.
  mounted = { config, ... }: {
    fileSystems = lib.mkIf (config.slipway.disks == { }) {
      "/" = {
        device = "/dev/disk/by-label/root";
        fsType = "ext4";
      };
    };
  };
  nixosSystem =
    args:
    evalConfig (
      {
        inherit lib;
        system = null;
        modules = args.modules ++ [ mounted ] ++ lib.optional (disko != null) (disko + "/module.nix");
        inherit (args) specialArgs;
      }
      // lib.optionalAttrs (pkgs != null) { inherit pkgs; }
    );
in
builtins.mapAttrs (_: system: {
  dump = import ./dump.nix system;
  toplevel = system.config.system.build.toplevel.drvPath;
}) (import ../lib/configurations.nix { inherit root nixosSystem; specialArgs = { }; })
