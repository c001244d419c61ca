# nixosConfigurations of a repository: for each generated host slipway's modules, the generated one, then the user's own
# modules/*.nix (for every host) and hosts/<name>.nix where they exist.
{ root, nixosSystem, specialArgs }:
let
  index = root + "/generated/hosts.nix";
  hosts =
    if builtins.pathExists index then
      import index
    else
      throw "slipway: ${toString index} is missing: run `slipway generate`, which also lets Git know what it wrote";

  existing = path: if builtins.pathExists path then [ path ] else [ ];
  isModule = name: type: type != "directory" && builtins.match ".*\\.nix" name != null;
  modulesIn =
    folder:
    let
      entries = builtins.readDir folder;
    in
    map (name: folder + "/${name}") (
      builtins.filter (name: isModule name entries.${name}) (builtins.attrNames entries)
    );
  shared = builtins.concatMap modulesIn (existing (root + "/modules"));
in
builtins.mapAttrs (
  name: module:
  nixosSystem {
    inherit specialArgs;
    modules = [ ../modules module ] ++ shared ++ existing (root + "/hosts/${name}.nix");
  }
) hosts
