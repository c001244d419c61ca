lib: {
  inherit (builtins) zipAttrsWith;

  nameValuePair = name: value: { inherit name value; };
  optionalAttrs = condition: set: if condition then set else { };
  mapAttrs' = f: set: builtins.listToAttrs (lib.mapAttrsToList f set);
  mapAttrsToList = f: set: builtins.attrValues (builtins.mapAttrs f set);
  genAttrs =
    names: f:
    builtins.listToAttrs (map (name: lib.nameValuePair name (f name)) names);
  filterAttrs =
    wanted: set:
    builtins.removeAttrs set (builtins.filter (n: !(wanted n set.${n})) (builtins.attrNames set));
  mergeAttrsList = builtins.foldl' (a: b: a // b) { };
  attrByPath =
    path: default: set:
    if path == [ ] then
      set
    else if builtins.isAttrs set && set ? ${builtins.head path} then
      lib.attrByPath (builtins.tail path) default set.${builtins.head path}
    else
      default;
  isDerivation = x: x.type or null == "derivation";
  recursiveUpdate =
    left: right:
    let
      both = name: builtins.isAttrs right.${name} && builtins.isAttrs (left.${name} or null);
    in
    left
    // builtins.mapAttrs (name: value: if both name then lib.recursiveUpdate left.${name} value else value) right;
}
