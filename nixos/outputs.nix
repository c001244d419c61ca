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

  nixosModules.default = ./modules;

  packages = forAll (
    _: pkgs: rec {
      slipway = pkgs.callPackage ./pkgs/slipway { src = self; tools = lib.tools pkgs; };
      default = slipway;
    }
  );

  # Virtual machines: they want KVM, and a network for the release of k0s.
  checks = forAll (
    _: pkgs:
    let
      vm = test: pkgs.testers.runNixOSTest (import test { modules = ./modules; });
    in
    {
      vm-bootstrap = vm ./tests/vm/bootstrap.nix;
      vm-guard = vm ./tests/vm/guard.nix;
    }
  );

  apps = forAll (
    system: _: {
      default = {
        type = "app";
        program = "${self.packages.${system}.slipway}/bin/slipway";
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
          pkgs.ruff
        ];
      };
    }
  );

  formatter = forAll (_: pkgs: pkgs.nixfmt-rfc-style);
}
