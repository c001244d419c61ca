"""What we take k0s to have, against the table of what it has: tests/data/k0s/contract.yaml, read in k0s's source."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache, reduce
from pathlib import Path
from typing import Any

import pytest
import yaml

from slipway.generate.k0s import TAKE_KEEPALIVED

ROOT = Path(__file__).parents[2]
TABLE: dict[str, Any] = yaml.safe_load((ROOT / "tests/data/k0s/contract.yaml").read_text())
STAND_IN = ROOT / "python/slipway/lab/modules/k0s"
ENDINGS = {".py", ".nix", ".sh", ".j2", ".yaml", ".md"}
FOLDERS = ("python", "nixos", "templates", "docs", "tests/lab")
FILES = [each for folder in FOLDERS for each in sorted((ROOT / folder).rglob("*")) if each.suffix in ENDINGS]
GAP = "\N{OBJECT REPLACEMENT CHARACTER}"
"""Stands where an f-string or a list holds a value."""
FLAG = re.compile(r"(?<![^\s\"'])--?[a-z][a-z-]*")
PLACE = re.compile(r"(?:/var/lib|/run|/etc)/k0s(?:/[\w.-]+)*")
HELPERS = re.compile(r"\b(\w+)\(set\)")
DEFINED = re.compile(r'\bset\.\w+?(P?)\((?:&[\w.]+, )?"([a-z-]+)"(?:, "(\w)")?')


@dataclass
class Uses:
    """Command to the flags given to it, the places, and the lines that no table could hold."""

    commands: dict[str, set[str]] = field(default_factory=dict)
    places: set[str] = field(default_factory=set)
    strange: list[str] = field(default_factory=list)

    def call(self, words: list[str]) -> None:
        """Take `words`, a command line behind `k0s`."""
        for name in (" ".join(words[:2]), words[0]):
            if name in TABLE["commands"]:
                break
        else:
            self.strange.append("k0s " + " ".join(words[:2]))
            return
        flags = (
            [] if TABLE["commands"][name].get("passes") else [found for word in words if (found := FLAG.match(word))]
        )
        given = {found[0] for found in flags}
        self.commands.setdefault(name, set()).update(given)
        self.strange += [
            f"k0s {name} without {flag}" for flag in TABLE["commands"][name].get("needs", ()) if flag not in given
        ]


def known(name: str) -> set[str]:
    """The flags that a command has in the table, in both forms."""
    return {form for flag in TABLE["commands"][name].get("flags", ()) for form in flag.split()}


def texts(path: Path) -> Iterator[str]:
    """What is code or said to somebody: Python's literals without docstrings, pages, other files without comments."""
    text = path.read_text()
    if path.suffix != ".py":
        yield text if path.suffix == ".md" else re.sub(r"(?m)(^|\s)#.*$", "", text)
        return
    tree = ast.parse(text)
    silent = {id(each.value) for each in ast.walk(tree) if isinstance(each, ast.Expr)}
    silent |= {id(part) for each in ast.walk(tree) if isinstance(each, ast.JoinedStr) for part in each.values}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr | ast.Constant) and id(node) not in silent and (said := spoken(node)):
            yield said


def spoken(node: ast.expr) -> str:
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=parts):
            return "".join(spoken(part) or GAP for part in parts)
    return ""


def argv(path: Path) -> Iterator[list[str]]:
    """Lists and tuples that begin with "k0s" and are command lines: their words, with gaps for values."""
    if path.suffix != ".py":
        return
    for node in ast.walk(ast.parse(path.read_text())):
        # The name alone is no command line: the pack is called so.
        if isinstance(node, ast.List) and len(node.elts) > 1 and spoken(node.elts[0]) == "k0s":
            yield [spoken(each) or GAP for each in node.elts[1:]]


def lines(text: str) -> Iterator[list[str]]:
    """Command lines in a text: behind `k0s ` a first word that k0s has, or any word where a flag follows."""
    for found in re.finditer(r"(?<![\w./-])k0s ([a-z-]+)((?: [^\s;|&`,()]+)*)", text):
        first, rest = found[1], re.sub(r"[\"':]", " ", found[2]).split()
        if first in TABLE["words"]["names"] or (
            found.start() == 0 and rest and any(FLAG.match(word) for word in rest[:2])
        ):
            yield [first, *rest]


def used(files: list[Path]) -> Uses:
    uses = Uses()
    for path in files:
        for words in argv(path):
            uses.call(words)
        for text in texts(path):
            for words in lines(text):
                uses.call(words)
            uses.places |= {place.rstrip(".-") for place in PLACE.findall(text)}
    return uses


def start_script() -> set[str]:
    """Flags of the unit's start script, without those of kubelet that it hands on."""
    text = (ROOT / "nixos/modules/k0s.nix").read_text()
    return set(re.findall(r'[" ](--[a-z][a-z-]+)(?=[="])', text))


@cache
def functions() -> dict[str, str]:
    """Functions of the stand-in: name to text."""
    text = "\n".join(each.read_text() for each in sorted(STAND_IN.glob("*.go")) if not each.name.endswith("_test.go"))
    return {found[1]: found[0] for found in re.finditer(r"(?ms)^func (?:\([^)]*\) )?(\w+)\((?:[^\n]*}$|.*?^})", text)}


def taken() -> dict[str, set[str]]:
    """Commands of the stand-in to the flags that it takes."""
    table = re.search(r"(?s)var commands = .*?\n}", (STAND_IN / "cli.go").read_text())
    assert table
    runs = dict(re.findall(r'"([a-z -]+)": +(\w+)', table[0]))
    return {name: flags(functions()[run]) for name, run in runs.items()}


def flags(text: str) -> set[str]:
    own = {
        flag for _, name, short in DEFINED.findall(text) for flag in (f"--{name}", f"-{short}" if short else "") if flag
    }
    return own.union(*(flags(functions()[each]) for each in HELPERS.findall(text) if each in functions()))


def stand_in_places() -> set[str]:
    text = "\n".join(each.read_text() for each in sorted(STAND_IN.glob("*.go")) if not each.name.endswith("_test.go"))
    found = set(PLACE.findall(text))
    for parts in re.findall(r'\.path\(((?:"[^"]+"(?:, )?)+)', text):
        found.add("/var/lib/k0s/" + "/".join(re.findall(r'"([^"]+)"', parts)))
    found |= {"/var/lib/k0s/pki/" + name for name in re.findall(r'pki\("([^"]+)"\)', text)}
    found |= {"/run/k0s" + name for name in re.findall(r'runDir ?\+ ?"(/[^"]+)"', text)}
    return {each.rstrip("/.") for each in found}


def row(place: str) -> str | None:
    """The row of a place, itself or the folder whose content nobody promises. Pairs stand without their ending."""
    rows: dict[str, Any] = TABLE["paths"]
    if place in rows:
        return place
    pair = [each for each in (f"{place}.crt", f"{place}.key") if each in rows]
    above = [str(each) for each in Path(place).parents if rows.get(str(each), {}).get("below")]
    return next(iter(pair + above), None)


def ours(place: str) -> bool:
    return "slipway" in place or any(place == each or place.startswith(each + "/") for each in TABLE["ours"])


def unknown(uses: Uses) -> list[str]:
    """What is used and has no row."""
    found = list(uses.strange)
    found += [f"k0s {name} {flag}" for name, given in uses.commands.items() for flag in given - known(name)]
    return sorted(found + [place for place in uses.places if not ours(place) and row(place) is None])


@pytest.fixture(scope="module")
def uses() -> Uses:
    return used(FILES)


def test_nothing_is_used_that_k0s_does_not_have(uses):
    assert unknown(uses) == []


def test_the_start_script_gives_flags_that_k0s_takes():
    assert start_script() <= known("controller") | known("worker")
    assert {"--config", "--token-file", "--kubelet-extra-args", "--labels"} <= start_script()


def test_the_stand_in_takes_what_the_table_has_and_nothing_else():
    rows = {name: about for name, about in TABLE["commands"].items() if about.get("lab", True)}
    assert taken() == {name: known(name) for name, about in rows.items()}


def test_the_stand_in_makes_no_place_that_k0s_does_not_have():
    assert [place for place in sorted(stand_in_places()) if not ours(place) and row(place) is None] == []


def stale(uses: Uses) -> set[str]:
    """Rows that nothing uses."""
    places = {row(place) for place in uses.places | stand_in_places()}
    found = set(TABLE["paths"]) - places | set(TABLE["ours"]) - uses.places
    for name, about in TABLE["commands"].items():
        if name in BY_HAND:
            continue
        given = uses.commands.get(name, set()) | (start_script() if name in ("controller", "worker") else set())
        if name not in (*uses.commands, "controller", "worker"):
            found.add(name)
        found |= {f"{name} {flag}" for flag in about.get("flags", ()) if not given.intersection(flag.split())}
    return found


BY_HAND = {"config validate", "version"}
"""What a person types; nothing of ours calls it."""


def test_no_row_is_stale(uses):
    assert stale(uses) == set()


def test_control_a_row_that_nothing_uses_is_found(uses, monkeypatch):
    monkeypatch.setitem(TABLE["paths"], "/run/k0s/nothing", {})
    monkeypatch.setitem(TABLE["commands"], "start", {"flags": []})
    monkeypatch.setitem(TABLE["commands"]["token create"], "flags", ["--role", "--expiry", "--wait"])
    assert stale(uses) == {"/run/k0s/nothing", "start", "token create --wait"}


@pytest.mark.parametrize("printed", TABLE["json"])
def test_fields_are_read_as_k0s_writes_them(printed):
    about = TABLE["json"][printed]
    read = {name for reader in about["readers"] for name in fields(reader)}
    assert read == set(about["fields"])


def fields(reader: str) -> Iterator[str]:
    """Keys that a module, or one function or class of it, reads of what json.loads gave it."""
    path, _, name = reader.partition(":")
    tree = ast.parse((ROOT / path).read_text())
    named = [each for each in ast.walk(tree) if name and getattr(each, "name", None) == name]
    for node in ast.walk(named[0] if name else tree):
        match node:
            case ast.Subscript(slice=ast.Constant(value=str(name)), ctx=ast.Load()):
                yield name
            case ast.Call(func=ast.Attribute(attr="get"), args=[ast.Constant(value=str(name)), *_]):
                yield name


@pytest.mark.parametrize(
    ("file", "structs", "printed"),
    [
        ("status.go", ("statusReport", "connectionStatus", "statusVars"), "status -o json"),
        ("sysinfo.go", ("probe",), "sysinfo -o json"),
    ],
    ids=["status", "sysinfo"],
)
def test_the_stand_in_prints_fields_of_k0s(file, structs, printed):
    text = (STAND_IN / file).read_text()
    bodies = [re.search(rf"(?s)type {name} struct {{\n(.*?)\n}}", text) for name in structs]
    names = {
        found[2] or found[1]
        for body in bodies
        if body
        for found in re.finditer(r'(?m)^\t(\w+) +[^`\n]+(?:`json:"(\w+))?', body[1])
    }
    about = TABLE["json"][printed]
    assert names - {"StandIn"} == set(about["fields"]) | set(about["prints"])


def test_drop_ins_have_the_version_of_their_release():
    text = (ROOT / "nixos/modules/images.nix").read_text()
    found = re.search(
        r'versionAtLeast config\.slipway\.k0s\.version "([\d.]+)" then\s+{ version = (\d).*?{ version = (\d)',
        text,
        re.S,
    )
    assert found
    boundary = tuple(map(int, found[1].split(".")))
    ours = {
        minor: int(found[2] if tuple(map(int, minor.split("."))) >= boundary else found[3])
        for minor in TABLE["releases"]
    }
    assert ours == {minor: about["version"] for minor, about in TABLE["dropIns"].items()}


def config_fields(minor: str) -> dict[str, Any]:
    """The fields of k0s.yaml that a minor knows."""
    about = TABLE["config"]
    tree: dict[str, Any] = yaml.safe_load((ROOT / about["fields"]).read_text())
    for path, since in about["since"].items():
        *above, last = path.split(".")
        section = reduce(lambda found, name: found[name], above, tree)
        assert last in section, path
        if version(since) > version(minor):
            del section[last]
    return tree


def version(minor: str) -> tuple[int, ...]:
    return tuple(map(int, minor.split(".")))


def unknown_fields(found: Any, known: dict[str, Any] | None, path: str = "") -> list[str]:
    """Fields of a k0s.yaml that are not among the known ones; without known ones everything is."""
    if isinstance(found, list):
        return [each for item in found for each in unknown_fields(item, known, path)]
    if known is None or not isinstance(found, dict):
        return []
    strangers = [path + name for name in found if name not in known]
    below = [
        each for name in found.keys() & known for each in unknown_fields(found[name], known[name], f"{path}{name}.")
    ]
    return strangers + below


KEEPALIVED_FIELD = "spec.network.controlPlaneLoadBalancing.keepalived.configTemplateVRRP"
GENERATED = sorted(ROOT.glob("tests/golden/**/k0s.yaml"))


@pytest.mark.parametrize("minor", TABLE["releases"])
def test_every_minor_knows_the_fields_that_we_generate(minor):
    files = {path: yaml.safe_load(path.read_text()) for path in GENERATED}
    assert files
    found = {odd for text in files.values() for odd in unknown_fields(text, config_fields(minor))}
    # Of a release that takes it alone; the trees are of the newest.
    left_out = {KEEPALIVED_FIELD} if version(minor)[1] not in TAKE_KEEPALIVED else set()
    assert found <= left_out


def test_control_fields_that_a_minor_does_not_know_are_found():
    text = {
        "spec": {"network": {"coreDNS": {}, "nodeLocalLoadBalancing": {"enable": True}}, "workerProfiles": [{"nam": 1}]}
    }
    always = ["spec.network.nodeLocalLoadBalancing.enable", "spec.workerProfiles.nam"]
    assert sorted(unknown_fields(text, config_fields("1.36"))) == always
    assert sorted(unknown_fields(text, config_fields("1.35"))) == ["spec.network.coreDNS", *always]


def test_every_row_says_where_it_was_read():
    rows = [about for part in ("commands", "paths", "json", "dropIns") for about in TABLE[part].values()]
    assert all(about["source"].endswith(".go") for about in rows)
    assert all(tag.startswith(f"v{minor}.") for minor, tag in TABLE["releases"].items())


CONTROLS: list[tuple[str, str, str]] = [
    ("an unknown command", 'run(["k0s", "statsu", "-o", "json"])', "k0s statsu -o"),
    ("an unknown command in a text", 'X = "k0s statsu -o json"', "k0s statsu -o"),
    ("an unknown sub-command", 'run(["k0s", "token", "revoke"])', "k0s token revoke"),
    ("a flag", 'X = "k0s status --format=json"', "k0s status --format"),
    (
        "a flag with a value from elsewhere",
        'run(["k0s", "token", "create", f"--kind={kind}"])',
        "k0s token create --kind",
    ),
    ("a flag that is missing", 'X = "k0s token list; k0s status"', "k0s token list without --role"),
    ("a file", 'X = "cat /var/lib/k0s/kubelet-config.yaml"', "/var/lib/k0s/kubelet-config.yaml"),
    ("a socket", 'X = "test -S /run/k0s/stat.sock"', "/run/k0s/stat.sock"),
]


@pytest.mark.parametrize(("line", "wanted"), [each[1:] for each in CONTROLS], ids=[each[0] for each in CONTROLS])
def test_control_a_use_without_a_row_is_found(line, wanted, tmp_path):
    path = tmp_path / "code.py"
    path.write_text(f'"""Nothing of k0s frobnicate --here counts."""\n{line}\n')
    assert unknown(used([path])) == [wanted]


def test_control_words_about_k0s_are_no_uses(tmp_path):
    path = tmp_path / "code.py"
    path.write_text('X = "k0s does not answer; k0s status says more"\n')
    assert unknown(used([path])) == []
