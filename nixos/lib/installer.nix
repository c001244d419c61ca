# `nix build .#installer`: NixOS's own ISO with the keys that the inventory lets in. They are read from what `slipway
# generate` wrote, so that no machine is evaluated for it.
{ nixpkgs, root, system, lib ? nixpkgs.lib, nixosSystem ? nixpkgs.lib.nixosSystem }:
let
  hosts = import (root + "/generated/hosts.nix");
  keysOf = module: (import module).slipway.ssh.authorizedKeys or [ ];
  keys = lib.unique (builtins.concatMap keysOf (builtins.attrValues hosts));
in
nixosSystem {
  modules = [
    (nixpkgs + "/nixos/modules/installer/cd-dvd/installation-cd-minimal.nix")
    ../installer
    {
      nixpkgs.hostPlatform = system;
      slipway.installer.authorizedKeys = keys;
    }
  ];
}
