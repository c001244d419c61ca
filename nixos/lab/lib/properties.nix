# What a definition may be wrapped in: conditions, merges, priorities and orders.
lib: {
  mkIf = condition: content: {
    _type = "if";
    inherit condition content;
  };
  mkMerge = contents: {
    _type = "merge";
    inherit contents;
  };
  mkOverride = priority: content: {
    _type = "override";
    inherit priority content;
  };
  mkOrder = priority: content: {
    _type = "order";
    inherit priority content;
  };
  mkForce = lib.mkOverride 50;
  mkDefault = lib.mkOverride 1000;
  mkOptionDefault = lib.mkOverride 1500;
  mkBefore = lib.mkOrder 500;
  mkAfter = lib.mkOrder 1500;

  # Moves the wrappers of an attribute set onto its members: a list of plain sets whose members carry them.
  pushDownProperties =
    cfg:
    let
      kind = cfg._type or "";
    in
    if kind == "merge" then
      builtins.concatMap lib.pushDownProperties cfg.contents
    else if kind == "if" then
      map (builtins.mapAttrs (_: lib.mkIf cfg.condition)) (lib.pushDownProperties cfg.content)
    else if kind == "override" then
      map (builtins.mapAttrs (_: lib.mkOverride cfg.priority)) (lib.pushDownProperties cfg.content)
    else
      [ cfg ];

  # The values that remain of one definition once its conditions are known.
  dischargeProperties =
    value:
    let
      kind = value._type or "";
    in
    if !(builtins.isAttrs value) then
      [ value ]
    else if kind == "merge" then
      builtins.concatMap lib.dischargeProperties value.contents
    else if kind == "if" then
      if !(builtins.isBool value.condition) then
        throw "‘mkIf’ called with a non-Boolean condition"
      else if value.condition then
        lib.dischargeProperties value.content
      else
        [ ]
    else
      [ value ];

  # Of definitions { file, value }: those of the strongest priority, without their wrapper, in their wanted order.
  filterOverrides =
    definitions:
    let
      priorityOf = d: if d.value._type or "" == "override" then d.value.priority else 100;
      strongest = builtins.foldl' (best: d: lib.min best (priorityOf d)) 9999 definitions;
      kept = builtins.filter (d: priorityOf d == strongest) definitions;
    in
    lib.sortByOrder (map (d: if d.value._type or "" == "override" then d // { value = d.value.content; } else d) kept);

  sortByOrder =
    definitions:
    let
      orderOf = d: if d.value._type or "" == "order" then d.value.priority else 1000;
      plain = d: if d.value._type or "" == "order" then d // { value = d.value.content; } else d;
    in
    if builtins.any (d: d.value._type or "" == "order") definitions then
      map plain (builtins.sort (a: b: orderOf a < orderOf b) definitions)
    else
      definitions;
}
