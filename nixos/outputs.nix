# What the project's flake offers. `nixpkgs` and `disko` stay untouched unless something that needs them is asked for:
# the lab evaluates without either.
{ self, nixpkgs, disko }:
let
  systems = [ "x86_64-linux" "aarch64-linux" ];
  forAll =
    f:
    builtins.listToAttrs (
      map (system: {
        name = system;
        value = f system nixpkgs.legacyPackages.${system};
      }) systems
    );
  lib = import ./lib { inherit self nixpkgs disko forAll; };
in
{
  inherit lib;

  # Nix before 2.9 takes no path here when it checks a flake.
  nixosModules.default = { imports = [ ./modules ]; };

  packages = forAll (
    _: pkgs: rec {
      slipway = pkgs.callPackage ./pkgs/slipway { src = self; tools = lib.tools pkgs; };
      default = slipway;
    }
  );

  # Both kinds want a network for the release of k0s, and virtual machines KVM.
  checks = forAll (
    _: pkgs:
    let
      vm = test: pkgs.testers.runNixOSTest (import test { modules = ./modules; });
      k0s = pkgs.callPackage ./pkgs/k0s { version = "1.36.3+k0s.2"; };
      generated = ../tests/golden;
      controllers = [
        "homelab/generated/hosts/cp1"
        "homelab/generated/hosts/cp2"
        "homelab/generated/hosts/cp3"
        "ipv6/generated/hosts/cp1"
        "ipv6/generated/hosts/cp2"
        "ipv6/generated/hosts/cp3"
        "large/generated/hosts/cp1"
        "single/generated/hosts/attic"
      ];
      read = path: {
        name = path;
        value = {
          inherit k0s;
          file = generated + "/${path}/k0s.yaml";
          ipv6Only = builtins.match "ipv6/.*" path != null;
        };
      };
    in
    {
      k0s = k0s.tests.version;
      k0s-config = import ./tests/k0s-config.nix {
        inherit pkgs;
        files = builtins.listToAttrs (map read controllers);
      };
      vm-bootstrap = vm ./tests/vm/bootstrap.nix;
      vm-guard = vm ./tests/vm/guard.nix;
    }
  );

  apps = forAll (
    system: _: {
      default = {
        type = "app";
        program = "${self.packages.${system}.slipway}/bin/slipway";
        meta.description = "One host inventory to a running Kubernetes cluster on NixOS";
      };
    }
  );

  devShells = forAll (
    system: pkgs: {
      default = pkgs.mkShell {
        inputsFrom = [ self.packages.${system}.slipway ];
        packages = lib.tools pkgs ++ [
          self.packages.${system}.slipway
          pkgs.gnumake
          pkgs.mypy
          pkgs.nixfmt-rfc-style
          # For slipway secrets drill.
          pkgs.openbao
          pkgs.restic
          pkgs.ruff
        ];
      };
    }
  );

  formatter = forAll (_: pkgs: pkgs.nixfmt-rfc-style);
}
