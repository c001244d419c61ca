# `nix run .#deploy` and its siblings, a check that nothing generated is stale, and a shell with all the tools.
{ self, root, forAll, tools }:
let
  commands = [ "check" "generate" "plan" "deploy" "verify" "handoff" "status" ];
  slipway = system: self.packages.${system}.slipway;
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
        };
      }) commands
    )
  );

  checks = forAll (
    system: pkgs: {
      generated = pkgs.runCommand "slipway-generated-is-current" { } ''
        cd ${root}
        HOME=$TMPDIR ${slipway system}/bin/slipway generate --check
        touch $out
      '';
    }
  );

  devShells = forAll (
    system: pkgs: {
      default = pkgs.mkShell { packages = [ (slipway system) ] ++ tools pkgs; };
    }
  );
}
