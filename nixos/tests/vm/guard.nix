# The system of one machine is refused by another; a person who means it says so.
{ modules }:
let
  machine = number: import ./machine.nix { role = "worker"; inherit number modules; };
in
{
  name = "slipway-guard";

  nodes = {
    w1 = machine 1;
    w2 = machine 2;
  };

  testScript =
    { nodes, ... }:
    ''
      other = "${nodes.w2.system.build.toplevel}/bin/switch-to-configuration"
      w1.wait_for_unit("multi-user.target")
      w1.fail(f"{other} test")
      w1.succeed("test $(hostname) = w1")
      w1.succeed("install -D /dev/null /var/lib/slipway/allow-rename")
      w1.succeed(f"{other} check")
    '';
}
