# Option types: { description, check, merge, emptyValue? }, with the names of nixpkgs.
lib:
let
  showLoc = builtins.concatStringsSep ".";
  showFiles = definitions: lib.concatMapStrings (d: "\n- In `${toString d.file}'") definitions;

  # One definition, or several that say the same.
  mergeEqual =
    loc: definitions:
    let
      first = builtins.head definitions;
    in
    if lib.all (d: d.value == first.value) definitions then
      first.value
    else
      throw "The option `${showLoc loc}' has conflicting definition values:${showFiles definitions}";

  mergeOne =
    loc: definitions:
    if builtins.length definitions == 1 then
      (builtins.head definitions).value
    else
      throw "The option `${showLoc loc}' is defined multiple times.${showFiles definitions}";

  mkType = description: check: {
    inherit description check;
    merge = mergeEqual;
  };

  bounded =
    low: high:
    mkType "integer between ${toString low} and ${toString high}" (x: builtins.isInt x && x >= low && x <= high);

  inStore = x: lib.hasPrefix builtins.storeDir (toString x);
  isStringLike = x: builtins.isString x || builtins.isPath x || lib.isDerivation x || x ? outPath;

  types = rec {
    unspecified = {
      description = "unspecified value";
      check = _: true;
      # As in nixpkgs: sets, lists and strings grow together, anything else must agree.
      merge =
        loc: definitions:
        let
          values = map (d: d.value) definitions;
        in
        if builtins.length values == 1 then
          builtins.head values
        else if lib.all builtins.isList values then
          builtins.concatLists values
        else if lib.all builtins.isAttrs values then
          lib.mergeAttrsList values
        else
          mergeEqual loc definitions;
    };
    raw = mkType "raw value" (_: true) // {
      merge = mergeOne;
    };
    anything = unspecified // {
      description = "anything";
      merge =
        loc: definitions:
        if lib.all (d: builtins.isAttrs d.value && !(lib.isDerivation d.value)) definitions then
          (attrsOf anything).merge loc definitions
        else
          unspecified.merge loc definitions;
    };

    bool = mkType "boolean" builtins.isBool;
    int = mkType "signed integer" builtins.isInt;
    float = mkType "floating point number" builtins.isFloat;
    number = either int float;
    ints = {
      unsigned = mkType "unsigned integer, meaning >=0" (x: builtins.isInt x && x >= 0);
      positive = mkType "positive integer, meaning >0" (x: builtins.isInt x && x > 0);
      between = bounded;
    };
    port = bounded 0 65535;

    str = mkType "string" builtins.isString;
    nonEmptyStr = mkType "non-empty string" (x: builtins.isString x && builtins.match "[ \t\n]*" x == null);
    strMatching =
      pattern:
      mkType "string matching the pattern ${pattern}" (x: builtins.isString x && builtins.match pattern x != null);
    separatedString =
      separator:
      str
      // {
        description = "strings concatenated with ${builtins.toJSON separator}";
        merge = _: definitions: lib.concatMapStringsSep separator (d: d.value) definitions;
      };
    lines = separatedString "\n";
    commas = separatedString ",";
    enum = values: mkType "one of ${lib.concatMapStringsSep ", " builtins.toJSON values}" (x: builtins.elem x values);
    path = mkType "path" (x: isStringLike x && lib.hasPrefix "/" (toString x));
    package = mkType "package" (x: lib.isDerivation x || (isStringLike x && inStore x));

    nullOr =
      elemType:
      elemType
      // {
        description = "null or ${elemType.description}";
        check = x: x == null || elemType.check x;
        merge =
          loc: definitions:
          if lib.all (d: d.value == null) definitions then
            null
          else if lib.any (d: d.value == null) definitions then
            mergeEqual loc definitions
          else
            elemType.merge loc definitions;
      };
    either = a: b: {
      description = "${a.description} or ${b.description}";
      check = x: a.check x || b.check x;
      merge =
        loc: definitions:
        if lib.all (d: a.check d.value) definitions then
          a.merge loc definitions
        else if lib.all (d: b.check d.value) definitions then
          b.merge loc definitions
        else
          mergeEqual loc definitions;
    };
    oneOf = ts: builtins.foldl' either (builtins.head ts) (builtins.tail ts);

    listOf = elemType: {
      description = "list of ${elemType.description}";
      check = builtins.isList;
      emptyValue = [ ];
      getSubOptions = prefix: elemType.getSubOptions or (_: { }) (prefix ++ [ "*" ]);
      merge =
        loc: definitions:
        let
          place = n: m: loc ++ [ "[definition ${toString n}-entry ${toString m}]" ];
          element = n: d: m: value: lib.mergeDefinitions (place n m) elemType [ { inherit (d) file; inherit value; } ];
          elements = builtins.concatLists (lib.imap1 (n: d: lib.imap1 (element n d) d.value) definitions);
        in
        map (e: e.value) (builtins.filter (e: e.isDefined) elements);
    };
    attrsOf = elemType: {
      description = "attribute set of ${elemType.description}";
      check = builtins.isAttrs;
      emptyValue = { };
      getSubOptions = prefix: elemType.getSubOptions or (_: { }) (prefix ++ [ "<name>" ]);
      merge =
        loc: definitions:
        let
          located = d: builtins.mapAttrs (_: value: { inherit (d) file; inherit value; });
          pushed = d: map (located d) (lib.pushDownProperties d.value);
          merge = name: lib.mergeDefinitions (loc ++ [ name ]) elemType;
          merged = lib.zipAttrsWith merge (builtins.concatMap pushed definitions);
        in
        builtins.mapAttrs (_: m: m.value) (lib.filterAttrs (_: m: m.isDefined) merged);
    };
    attrs = unspecified // {
      description = "attribute set";
      check = builtins.isAttrs;
      emptyValue = { };
    };
    submodule = modules: {
      description = "submodule";
      check = x: builtins.isAttrs x || builtins.isFunction x;
      getSubOptions =
        prefix:
        (lib.evalModules {
          modules = lib.toList modules;
          specialArgs.name = "<name>";
          inherit prefix;
        }).options;
      merge =
        loc: definitions:
        let
          fromDefinition = d: if builtins.isFunction d.value then d.value else { _file = d.file; config = d.value; };
          evaluated = lib.evalModules {
            modules = lib.toList modules ++ map fromDefinition definitions;
            specialArgs.name = lib.last loc;
            prefix = loc;
          };
        in
        builtins.removeAttrs evaluated.config [ "_module" ];
    };
  };
in
types
