# Every option of slipway's modules as plain data, for docs/reference/nixos-options.md.
let
  lab = import ../lab;
  inherit (lab) lib;
  system = lab.nixosSystem { modules = [ ../modules ]; };

  shown = value: if value._type or "" == "literalExpression" then value.text else builtins.toJSON value;
  # What is computed from other options has its words in defaultText.
  default =
    option:
    if option ? defaultText then
      shown option.defaultText
    else if option ? default then
      shown option.default
    else
      null;

  entry = option: {
    name = builtins.concatStringsSep "." option.loc;
    type = option.type.description;
    description = option.description or "";
    default = default option;
    example = if option ? example then shown option.example else null;
  };

  inner = option: option.type.getSubOptions or (_: { }) option.loc;
  walk =
    tree:
    if tree._type or "" == "option" then
      [ (entry tree) ] ++ walk (inner tree)
    else
      builtins.concatMap (name: walk tree.${name}) (builtins.attrNames (removeAttrs tree [ "_module" ]));
in
walk system.options.slipway
