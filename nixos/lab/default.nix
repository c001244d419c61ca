# The lab's counterpart of `nixpkgs.lib.nixosSystem`: same arguments, same shape of result, for machines that have
# Debian's userland. It evaluates ordinary NixOS modules as far as ./modules declares the options that they set.
let
  lib = import ./lib;
in
{
  inherit lib;

  nixosSystem =
    { modules, specialArgs ? { }, ... }:
    lib.evalModules {
      modules = [ ./modules ] ++ modules;
      inherit specialArgs;
    };
}
