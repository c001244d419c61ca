"""nixos/lab/lib is nixpkgs' lib as far as slipway's modules need it."""

import re
from pathlib import Path

import pytest

NIXOS = Path(__file__).parents[3] / "nixos"
MODULES = sorted((NIXOS / "modules").glob("*.nix"))


def used_functions(text: str) -> set[str]:
    """Names taken from `lib`, as `lib.name` or by `inherit (lib) name ...;`."""
    inherited = [name for block in re.findall(r"inherit \(lib\)([^;]*);", text) for name in block.split()]
    return set(re.findall(r"(?<![.\w])lib\.([A-Za-z0-9']+)", text)) | set(inherited)


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.name)
def test_modules_use_only_what_the_lab_implements(module, nix_value):
    used = used_functions(module.read_text())
    implemented = set(nix_value(f"builtins.attrNames (import {NIXOS}/lab/lib)"))
    assert used <= implemented


def test_control_a_foreign_function_is_seen():
    assert used_functions("inherit (lib) mkIf foo; x = lib.bar' 1;") == {"mkIf", "foo", "bar'"}


def test_every_module_is_in_the_list(nix_value):
    listed = nix_value(f"map baseNameOf (import {NIXOS}/modules).imports")
    assert sorted(listed) == [path.name for path in MODULES if path.name != "default.nix"]


# Values as nixpkgs' manual and tests have them.
CASES = {
    'lib.splitString "." "a.b..c"': ["a", "b", "", "c"],
    'lib.splitString "/" "/x/"': ["", "x", ""],
    'lib.hasPrefix "ab" "abc"': True,
    'lib.hasSuffix "abc" "bc"': False,
    'lib.hasInfix ":" "fd00::1"': True,
    'lib.removeSuffix ".nix" "a.nix"': "a",
    "lib.escapeShellArg \"it's\"": "'it'\\''s'",
    'lib.escapeShellArgs [ "two words" "$x" ]': "'two words' '$x'",
    "lib.unique [ 3 1 3 2 1 ]": [3, 1, 2],
    "lib.flatten [ 1 [ 2 [ 3 ] ] ]": [1, 2, 3],
    "lib.range 2 4": [2, 3, 4],
    "lib.reverseList [ 1 2 3 ]": [3, 2, 1],
    "lib.imap1 (n: x: n * x) [ 5 6 ]": [5, 12],
    'lib.recursiveUpdate { a.b = 1; a.c = 2; } { a.b = 3; d = 4; }': {"a": {"b": 3, "c": 2}, "d": 4},
    "lib.filterAttrs (n: v: v > 1) { a = 1; b = 2; }": {"b": 2},
    'lib.mapAttrsToList (n: v: "${n}${toString v}") { b = 2; a = 1; }': ["a1", "b2"],
    'lib.attrByPath [ "a" "b" ] 7 { a.c = 1; }': 7,
    'lib.versionAtLeast "25.11" "24.11"': True,
    'lib.makeBinPath [ "/a" "/b" ]': "/a/bin:/b/bin",
    'lib.optionalString false "x"': "",
    'lib.concatMapStringsSep ", " toString [ 1 2 ]': "1, 2",
}  # fmt: skip


@pytest.mark.parametrize("expression", CASES)
def test_functions_do_what_nixpkgs_documents(expression, nix_value):
    assert nix_value(f"let lib = import {NIXOS}/lab/lib; in {expression}") == CASES[expression]


def merged(type_: str, *definitions: str) -> str:
    """An expression: one option of that type with these definitions, merged."""
    modules = " ".join(f"{{ x = {definition}; }}" for definition in definitions)
    return f"""let lib = import {NIXOS}/lab/lib; in with lib;
        (lib.evalModules {{ modules = [ {{ options.x = mkOption {{ type = {type_}; }}; }} {modules} ]; }}).config.x"""


MERGES = {
    "a default gives way": ("types.int", ["mkDefault 1", "2"], 2),
    "force wins": ("types.int", ["1", "mkForce 2", "mkDefault 3"], 2),
    "equal definitions agree": ("types.str", ['"a"', '"a"'], "a"),
    "lists are joined, the last module first": ("types.listOf types.int", ["[ 1 ]", "[ 2 ]"], [2, 1]),
    "order": ("types.listOf types.int", ["mkAfter [ 3 ]", "[ 2 ]", "mkBefore [ 1 ]"], [1, 2, 3]),
    "lines": ("types.lines", ['mkAfter "b"', '"a"'], "a\nb"),
    "conditions": ("types.listOf types.int", ["mkIf false [ 1 ]", "mkIf true [ 2 ]"], [2]),
    "conditions within lists": ("types.listOf types.int", ["[ (mkIf false 1) 2 ]"], [2]),
    "sets by name": ("types.attrsOf types.int", ["{ a = 1; }", "{ b = 2; }"], {"a": 1, "b": 2}),
    "conditions within sets": ("types.attrsOf types.int", ["{ a = mkIf false 1; b = 2; }"], {"b": 2}),
    "force within sets": ("types.attrsOf types.int", ["{ a = 1; }", "{ a = mkForce 2; }"], {"a": 2}),
    "merge": ("types.attrsOf types.int", ["mkMerge [ { a = 1; } (mkIf true { b = 2; }) ]"], {"a": 1, "b": 2}),
    "nullOr": ("types.nullOr types.int", ["null", "null"], None),
    "either": ("types.either types.int types.str", ['"x"'], "x"),
    "anything grows": ("types.anything", ["{ a.b = 1; }", "{ a.c = 2; }"], {"a": {"b": 1, "c": 2}}),
    "submodules get their name": (
        "types.attrsOf (types.submodule ({ name, ... }: { options.n = mkOption { default = name; }; }))",
        ["{ a = { }; }"],
        {"a": {"n": "a"}},
    ),
    "submodules merge": (
        "types.submodule { options.a = mkOption { type = types.int; }; options.b = mkOption { type = types.int; }; }",
        ["{ a = 1; }", "{ b = mkForce 2; }", "{ b = 3; }"],
        {"a": 1, "b": 2},
    ),
}


@pytest.mark.parametrize("case", MERGES)
def test_definitions_merge_as_in_nixpkgs(case, nix_value):
    type_, definitions, expected = MERGES[case]
    assert nix_value(merged(type_, *definitions)) == expected


REFUSALS = {
    "another type": ("types.int", ['"a"'], "is not of type `signed integer'"),
    "two values": ("types.int", ["1", "2"], "conflicting definition values"),
    "no value": ("types.int", [], "used but not defined"),
    "a range": ("types.port", ["70000"], "integer between 0 and 65535"),
    "an enum": ('types.enum [ "a" "b" ]', ['"c"'], 'one of "a", "b"'),
    "within a list": ("types.listOf types.int", ['[ "a" ]'], "option `x.[definition 1-entry 1]'"),
    "within a set": ("types.attrsOf types.int", ['{ k = "a"; }'], "option `x.k'"),
    "within a submodule": (
        "types.submodule { options.a = mkOption { type = types.int; }; }", ["{ b = 1; }"], "`x.b' does not exist",
    ),
    "a pattern": ('types.strMatching "[a-z]+"', ['"A"'], "matching the pattern"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSALS)
def test_wrong_definitions_are_refused_by_name(case, nix_value):
    type_, definitions, message = REFUSALS[case]
    with pytest.raises(AssertionError, match=re.escape(message)):
        nix_value(merged(type_, *definitions))


def test_an_unknown_option_is_named_with_its_file(nix_value, tmp_path):
    module = tmp_path / "mine.nix"
    module.write_text("{ services.nonsense = true; }")
    with pytest.raises(AssertionError, match=rf"`services' does not exist.*\n.*{re.escape(str(module))}"):
        nix_value(f"((import {NIXOS}/lab/lib).evalModules {{ modules = [ {module} ]; }}).config.x")


def test_a_file_imported_twice_counts_once(nix_value, tmp_path):
    module = tmp_path / "one.nix"
    module.write_text("{ x = [ 1 ]; }")
    expression = merged("types.listOf types.int", "[ 2 ]").replace(
        "{ x = [ 2 ]; }", f"{module} {{ imports = [ {module} ]; }}"
    )
    assert nix_value(expression) == [1]
