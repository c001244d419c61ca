# `nix run .#deploy` and its siblings, an installer, a check that nothing generated is stale, and a shell with all the
# tools.
{ self, nixpkgs, root, forAll, tools, machines }:
let
  commands = [ "check" "generate" "plan" "deploy" "verify" "handoff" "status" ];
  slipway = system: self.packages.${system}.slipway;
  hosts = import (root + "/generated/hosts.nix");
  controllers = builtins.filter (name: builtins.pathExists (hosts.${name} + "/k0s.yaml")) (builtins.attrNames hosts);
in
{
  apps = forAll (
    system: pkgs:
    builtins.listToAttrs (
      map (name: {
        inherit name;
        value = {
          type = "app";
          program = "${pkgs.writeShellScript "slipway-${name}" ''exec ${slipway system}/bin/slipway ${name} "$@"''}";
          meta.description = "slipway ${name}, of the release that this repository follows";
        };
      }) commands
    )
  );

  packages = forAll (
    system: _: {
      installer = (import ./installer.nix { inherit nixpkgs root system; }).config.system.build.isoImage;
    }
  );

  checks = forAll (
    system: pkgs: {
      generated = pkgs.runCommand "slipway-generated-is-current" { } ''
        cd ${root}
        HOME=$TMPDIR ${slipway system}/bin/slipway generate --check
        touch $out
      '';
      # What each controller is given, read by the release that will read it there; needs no network but for that.
      k0s-config = import ../tests/k0s-config.nix {
        inherit pkgs;
        files = builtins.listToAttrs (
          map (name: {
            inherit name;
            value = {
              file = hosts.${name} + "/k0s.yaml";
              k0s = machines.${name}.config.slipway.k0s.package;
              inherit (machines.${name}.config.slipway.cluster) ipv6Only;
            };
          }) controllers
        );
      };
    }
  );

  devShells = forAll (
    system: pkgs: {
      default = pkgs.mkShell { packages = [ (slipway system) ] ++ tools pkgs; };
    }
  );
}
