# The module system: collect modules, merge their option declarations, place their definitions.
lib:
let
  inherit (builtins)
    attrNames
    concatMap
    concatStringsSep
    isFunction
    isAttrs
    isString
    length
    mapAttrs
    removeAttrs
    ;

  showLoc = concatStringsSep ".";
  showFiles = definitions: lib.concatMapStrings (d: "\n- In `${toString d.file}'") definitions;

  isOption = x: x._type or "" == "option";

  meta = [ "_file" "key" "imports" "disabledModules" "_class" "meta" ];

  # A module as written, { imports, options, config } or the shorthand with definitions only, in its long form.
  unify =
    file: m:
    if m ? _type then
      { inherit file; imports = [ ]; options = { }; config = m; }
    else
      {
        file = m._file or file;
        imports = m.imports or [ ];
        options = m.options or { };
        config = if m ? config || m ? options then m.config or { } else removeAttrs m meta;
      };

  # Arguments by name, so that one which nobody asks for is never computed.
  call = args: f: f (args // mapAttrs (name: _: args.${name} or args.config._module.args.${name}) (lib.functionArgs f));

  load =
    args: file: m:
    if isFunction m then
      unify file (call args m)
    else if isAttrs m then
      unify file m
    else
      load args (toString m) (import m);

  # The modules with all that they import, each file once, importing ones before imported ones.
  collect =
    args: modules:
    let
      entry = parent: n: m: {
        key = if builtins.isPath m || isString m then toString m else "${parent.key}:anon-${toString n}";
        module = load args parent.module.file m;
      };
      root = { key = ""; module.file = "<unknown-file>"; };
    in
    map (e: e.module) (
      builtins.genericClosure {
        startSet = lib.imap1 (entry root) modules;
        operator = e: lib.imap1 (entry e) e.module.imports;
      }
    );

  # Definitions { file, value } of one option, merged by its type.
  mergeDefinitions =
    loc: type: definitions:
    let
      discharged = concatMap (d: map (value: d // { inherit value; }) (lib.dischargeProperties d.value)) definitions;
      used = lib.filterOverrides discharged;
      wrong = builtins.filter (d: !(type.check d.value)) used;
    in
    {
      isDefined = used != [ ];
      inherit used;
      value =
        if wrong != [ ] then
          throw "A definition for option `${showLoc loc}' is not of type `${type.description}'.${showFiles wrong}"
        else
          type.merge loc used;
    };

  evalOption =
    loc: option: definitions:
    let
      default = lib.optional (option ? default) {
        file = "the default";
        value = lib.mkOptionDefault option.default;
      };
      type = option.type or lib.types.unspecified;
      merged = mergeDefinitions loc type (definitions ++ default);
      value =
        if merged.isDefined then
          merged.value
        else
          type.emptyValue or (throw "The option `${showLoc loc}' is used but not defined.");
    in
    option
    // {
      inherit loc;
      inherit (merged) isDefined;
      value = if option ? apply then option.apply value else value;
      definitionsWithLocations = merged.used;
    };

  # { options, values, unmatched } below `loc`, of [ { file, options } ] and [ { file, config } ].
  mergeTree =
    loc: declarations: definitions:
    let
      pushed = d: map (config: { inherit (d) file; inherit config; }) (lib.pushDownProperties d.config);
      # What is below each name, with the file that it comes from.
      byName = lib.zipAttrsWith (_: xs: xs);
      declared = byName (map (d: mapAttrs (_: options: { inherit (d) file; inherit options; }) d.options) declarations);
      located = d: mapAttrs (_: value: { inherit (d) file; inherit value; }) (attrsOnly loc d);
      defined = byName (map located (concatMap pushed definitions));
      below = mapAttrs (name: mergeName (loc ++ [ name ]) (defined.${name} or [ ])) declared;
      unknown = removeAttrs defined (attrNames declared);
    in
    {
      options = mapAttrs (_: b: b.options) below;
      values = mapAttrs (_: b: b.values) below;
      unmatched =
        lib.mapAttrsToList (name: xs: { loc = loc ++ [ name ]; definitions = xs; }) unknown
        ++ concatMap (b: b.unmatched) (builtins.attrValues below);
    };

  attrsOnly =
    loc: d:
    if isAttrs d.config then
      d.config
    else
      throw "The option `${showLoc loc}' is a set of options, but a definition is not a set.${showFiles [ d ]}";

  mergeName =
    loc: definitions: declarations:
    let
      option = evalOption loc (builtins.head declarations).options definitions;
    in
    if !(lib.any (d: isOption d.options) declarations) then
      mergeTree loc declarations (map (d: { inherit (d) file; config = d.value; }) definitions)
    else if length declarations > 1 then
      throw "The option `${showLoc loc}' is already declared.${showFiles declarations}"
    else
      {
        options = option;
        values = option.value;
        unmatched = [ ];
      };
in
{
  inherit isOption mergeDefinitions;

  mkOption = attrs: { _type = "option"; } // attrs;
  mkEnableOption =
    name:
    lib.mkOption {
      type = lib.types.bool;
      default = false;
      description = "Whether to enable ${name}.";
    };
  literalExpression = text: { _type = "literalExpression"; inherit text; };

  # { config, options } of modules; `specialArgs` are further arguments for them, usable in `imports` too.
  evalModules =
    { modules, specialArgs ? { }, prefix ? [ ] }:
    let
      args = { inherit lib; inherit (result) config options; } // specialArgs;
      internal = {
        options._module.args = lib.mkOption {
          type = lib.types.attrsOf lib.types.raw;
          default = { };
          description = "Arguments of every module.";
        };
      };
      # Reversed as in nixpkgs: what a module imports is merged before its own.
      loaded = lib.reverseList (collect args ([ internal ] ++ modules));
      tree = mergeTree prefix loaded loaded;
      stray = builtins.head tree.unmatched;
      result = {
        inherit (tree) options;
        config =
          if tree.unmatched == [ ] then
            tree.values
          else
            throw "The option `${showLoc stray.loc}' does not exist. Definition values:${showFiles stray.definitions}";
      };
    in
    result;
}
