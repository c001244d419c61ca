# What slipway's modules define outside of `slipway`: [ { path, kind } ] with the path as a list of names, for options
# and for what lies in them down to the values, and the kind of value found there.
{ system, modules }:
let
  inherit (system) options;
  ours = file: builtins.match "${toString modules}/.*" (toString file) != null;

  kindOf = value: if value ? outPath || builtins.isPath value then "path" else builtins.typeOf value;

  # Conditions, priorities and orders may wrap what lies deeper, too.
  wrapped = value: builtins.isAttrs value && builtins.elem (value._type or "") [ "if" "merge" "override" "order" ];
  unwrap =
    path: value:
    if value._type == "if" then
      (if value.condition then inside path value.content else [ ])
    else
      builtins.concatMap (inside path) (value.contents or [ value.content ]);

  inside =
    path: value:
    if wrapped value then
      unwrap path value
    else if builtins.isAttrs value && !(value ? outPath) && value != { } then
      builtins.concatMap (name: inside (path ++ [ name ]) value.${name}) (builtins.attrNames value)
    else if builtins.isList value && value != [ ] && builtins.isAttrs (builtins.head value) && !(builtins.head value ? outPath) then
      builtins.concatMap (inside (path ++ [ "*" ])) value
    else
      [ { inherit path; kind = kindOf value; } ];

  # The definitions that our files give an option, as they stand there, conditions resolved.
  defined = option: builtins.concatMap (d: if ours d.file then inside option.loc d.value else [ ]) option.definitionsWithLocations;

  walk =
    tree:
    if tree._type or "" == "option" then
      defined tree
    else
      builtins.concatMap (name: walk tree.${name}) (builtins.attrNames tree);
in
walk (removeAttrs options [ "slipway" "_module" ])
