{ lib, pkgs, ... }:
let
  inherit (lib) mkOption types;
  entry =
    { name, config, ... }:
    {
      options = {
        enable = mkOption { type = types.bool; default = true; };
        target = mkOption { type = types.str; default = name; };
        text = mkOption { type = types.nullOr types.lines; default = null; };
        source = mkOption { type = types.path; default = pkgs.writeText "etc-${baseNameOf name}" config.text; };
        mode = mkOption { type = types.str; default = "symlink"; };
        user = mkOption { type = types.str; default = "root"; };
        group = mkOption { type = types.str; default = "root"; };
      };
    };
in
{
  options.environment.etc = mkOption {
    type = types.attrsOf (types.submodule entry);
    default = { };
    description = "Files under /etc: links, or copies where `mode` says so.";
  };
  options.environment.systemPackages = mkOption {
    type = types.listOf types.package;
    default = [ ];
    description = "Packages whose programs are in /run/current-system/sw/bin.";
  };
}
