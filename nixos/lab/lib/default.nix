# The part of nixpkgs' `lib` that slipway's modules use, under the same names and with the same behaviour, so that the
# lab can evaluate those modules without nixpkgs. tests/unit/nixos/test_lib.py holds both sides together.
let
  lib =
    import ./trivial.nix
    // import ./lists.nix lib
    // import ./attrsets.nix lib
    // import ./strings.nix lib
    // import ./properties.nix lib
    // import ./modules.nix lib
    // {
      types = import ./types.nix lib;
    };
in
lib
