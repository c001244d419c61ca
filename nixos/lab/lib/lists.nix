lib: {
  inherit (builtins) any all;

  optional = condition: x: if condition then [ x ] else [ ];
  optionals = condition: xs: if condition then xs else [ ];
  singleton = x: [ x ];
  last = xs: builtins.elemAt xs (builtins.length xs - 1);
  range = first: last: if first > last then [ ] else builtins.genList (n: first + n) (last - first + 1);
  reverseList = xs: builtins.genList (n: builtins.elemAt xs (builtins.length xs - 1 - n)) (builtins.length xs);
  imap0 = f: xs: builtins.genList (n: f n (builtins.elemAt xs n)) (builtins.length xs);
  imap1 = f: lib.imap0 (n: f (n + 1));
  unique = builtins.foldl' (seen: x: if builtins.elem x seen then seen else seen ++ [ x ]) [ ];
  subtractLists = without: builtins.filter (x: !(builtins.elem x without));
  flatten = x: if builtins.isList x then builtins.concatMap lib.flatten x else [ x ];
  toList = x: if builtins.isList x then x else [ x ];
  findFirst =
    wanted: default: xs:
    let
      found = builtins.filter wanted xs;
    in
    if found == [ ] then default else builtins.head found;
}
