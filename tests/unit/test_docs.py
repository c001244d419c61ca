"""No page names a command, option, key, target or file that does not exist."""

import itertools
import re
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer.main

from slipway.cli.main import COMMANDS, Usage, build
from slipway.errors import SlipwayError
from slipway.inventory.schema import schema

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    page
    for page in (*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"))
    if page.parent.name != "decisions" and page.name != "CHANGELOG.md"  # these say what was, too
)
SECTIONS = set(schema()["properties"])
ENDINGS = (".yaml", ".nix", ".py")
FOLDERS = ("docs", "python", "tests", "templates", "nixos", "examples")


def fenced(text: str) -> Iterator[str]:
    """Each line of fenced blocks; of a console only what was typed there, and not what a program said."""
    for kind, block in re.findall(r"^```([^\n]*)\n(.*?)^```", text, re.S | re.M):
        yield from (line for line in block.splitlines() if kind != "console" or line.startswith("$ "))


def words_of_code(text: str) -> Iterator[str]:
    """What stands in code spans, and each line of code blocks, fenced or indented."""
    rest = re.sub(r"^```.*?^```", "", text, flags=re.S | re.M)
    yield from fenced(text)
    yield from (line.strip() for line in rest.splitlines() if line.startswith("    "))
    yield from re.findall(r"`([^`]+)`", "\n".join(line for line in rest.splitlines() if not line.startswith("    ")))


@cache
def command_line() -> Any:
    """The real one, with all its commands."""
    return typer.main.get_command(build(list(COMMANDS)))


def unknown_commands(text: str) -> Iterator[str]:
    top = command_line()
    for code in words_of_code(text):
        for said in re.findall(r"(?:^|&& |[$(] ?|run \S+ -- )slipway ([a-z][^#|;&)`]*)", " ".join(code.split())):
            yield from _unknown(top, said.split())


def _unknown(top: Any, words: list[str]) -> Iterator[str]:
    command, path = top, ["slipway"]
    rest = list(words)
    while getattr(command, "commands", None) and rest and not rest[0].startswith("-"):
        path.append(rest.pop(0))
        alternatives = [command.commands.get(each) for each in path[-1].split("\\")]
        if alternatives[0] is None:
            if not path[-1].isupper():
                yield " ".join(path)
            return
        command = alternatives[0]
    known = {opt for each in command.params for opt in (*each.opts, *each.secondary_opts)} | {"--help", "-h", "--debug"}
    until = rest.index("--") if "--" in rest else len(rest)
    for word in rest[:until]:
        option = re.match(r"\[?(--[a-z0-9-]+)", word)
        if option and option[1] not in known:
            yield f"{' '.join(path)} {option[1]}"


def wrong_lines(text: str) -> Iterator[str]:
    """Lines of code blocks that the real command line refuses: an odd value, an argument too few or too many."""
    top = command_line()
    for line in lines_of_blocks(text):
        for words in called(line):
            try:
                _parse(top, "slipway", words)
            except (Usage, SlipwayError, typer.Exit) as error:
                yield f"slipway {' '.join(words)}: {error}"


def lines_of_blocks(text: str) -> Iterator[str]:
    """Without what is explained beside them: it stands two blanks apart, or behind a #."""
    blocks = [*fenced(text)]
    rest = re.sub(r"^```.*?^```", "", text, flags=re.S | re.M)
    blocks += [line for line in rest.splitlines() if line.startswith("    ")]
    for line in blocks:
        yield re.split(r" {2,}| #", line.strip().removeprefix("$ "))[0]


def called(line: str) -> Iterator[list[str]]:
    """The words of each call of slipway in a line for a shell, and of `nix run` for it."""
    for inner in re.findall(r'"\$\(([^)]*)\)"', line):
        yield from called(inner)
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.commenters, lexer.whitespace_split = "", True
    try:
        tokens = list(lexer)
    except ValueError:  # a quote that goes on in the next line: no line for a shell
        return
    for _, part in itertools.groupby(tokens, lambda token: not set(token) <= set("();<>|&")):
        words = [word for word in part if not re.fullmatch(r"[A-Z_]+=.*", word)]
        if words[:2] == ["nix", "run"] and "--" in words and "slipway" in words[2]:
            yield words[words.index("--") + 1 :]
        elif words[:1] == ["slipway"]:
            yield words[1:]


def _parse(command: Any, name: str, words: list[str], parent: Any = None) -> None:
    """As the command line does, up to where the command would be called."""
    with command.make_context(name, list(words), parent=parent) as context:
        if getattr(command, "commands", None) and (left := [*context._protected_args, *context.args]):
            below, found, rest = command.resolve_command(context, left)
            _parse(found, below, rest, context)


def unknown_keys(text: str) -> Iterator[str]:
    whole = schema()
    for code in words_of_code(text):
        said = re.fullmatch(r"([a-z][A-Za-z]*(?:\.[A-Za-z0-9-]+)+)(?::.*)?", code)
        if (
            said
            and not said[1].endswith(ENDINGS)
            and said[1].split(".")[0] in SECTIONS
            and not _is_key(whole, whole, said[1].split("."))
        ):
            yield said[1]


def _is_key(whole: dict[str, Any], node: dict[str, Any], path: list[str]) -> bool:
    if "$ref" in node:
        return _is_key(whole, whole["$defs"][node["$ref"].rpartition("/")[2]], path)
    if not path:
        return True
    for either in ("anyOf", "oneOf", "allOf"):
        if any(_is_key(whole, each, path) for each in node.get(either, ())):
            return True
    if path[0] in node.get("properties", {}):
        return _is_key(whole, node["properties"][path[0]], path[1:])
    below = [node.get("additionalProperties"), node.get("items"), *node.get("patternProperties", {}).values()]
    # Below what has names of its own, a name may stand or be left out: hosts.ssh as well as hosts.w1.ssh.
    found = [each for each in below if isinstance(each, dict)]
    return any(_is_key(whole, each, path[1:]) or _is_key(whole, each, path) for each in found)


def unknown_files(page: Path, text: str) -> Iterator[str]:
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text):
        if "://" not in target and not (page.parent / target).exists():
            yield target
    for code in words_of_code(text):
        path = re.fullmatch(rf"((?:{'|'.join(FOLDERS)})/[\w./-]+)", code)
        # A word in capitals stands for any name.
        if (
            path and not re.search(r"/[A-Z]{3,}\b", path[1]) and not [*ROOT.glob(f"{path[1].rstrip('/')}*")]
        ):  # a decision by its number
            yield path[1]


def unknown_anchors(page: Path, text: str) -> Iterator[str]:
    for target, anchor in re.findall(r"\]\(([^)#\s]*)#([^)\s]+)\)", text):
        if "://" not in target:
            there = page.parent / target
            if (not target or there.exists()) and anchor not in {*_anchors(there.read_text() if target else text)}:
                yield f"{target}#{anchor}"


def _anchors(text: str) -> Iterator[str]:
    for heading in re.findall(r"^#+ +(.+)$", text, re.M):
        yield re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", heading.lower()).strip())


def unknown_targets(text: str) -> Iterator[str]:
    known = set(re.findall(r"^([a-z][a-z0-9-]*):", (ROOT / "Makefile").read_text(), re.M))
    for code in words_of_code(text):
        yield from (each for each in re.findall(r"(?:^|\s)make ([a-z][a-z0-9-]+)", code) if each not in known)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_what_a_page_names_exists(page):
    text = page.read_text(encoding="utf-8")
    assert sorted({*unknown_commands(text)}) == []
    assert sorted({*wrong_lines(text)}) == []
    if page.name != "own-pytest.md":  # its `cluster` is a fixture
        assert sorted({*unknown_keys(text)}) == []
    assert sorted({*unknown_files(page, text)}) == []
    assert sorted({*unknown_targets(text)}) == []
    assert sorted({*unknown_anchors(page, text)}) == []


WRONG = ["trust --fingerprint", "node remove", "status --interval soon", "ssh", "completion tcsh", "status w1 --colour"]
CALLS = """
    git add . && slipway trust --fingerprint
    slipway node remove        # whom?
    A=b slipway status --interval soon | less
    slipway ssh >out; slipway exec worker -- 'uname; uptime'
    eval "$(slipway completion tcsh)"
    nix run github:slipway-project/slipway -- status w1 --colour
    slipway trust w1 --from - <keys
"""


def test_control_what_does_not_exist_is_seen(tmp_path):
    page = tmp_path / "page.md"
    text = """\
`slipway destroy w1` and `slipway deploy --everything`, not `slipway deploy --json`.

    $ slipway lab burn          # no such word
    make world

```console
$ slipway lab smoke
slipway founds the cluster
```

`cluster.k0s.colour`, not `cluster.k0s.version`, `hosts.ssh.port` nor `hosts.w1.ssh.port`;
[a page](missing.md), `docs/missing.md`, `docs/lab.md`; [here](#a-heading--of-it), [not here](#nor-there).

## A heading: of it
"""
    wrong = [line.partition(":")[0] for line in wrong_lines(text + CALLS)]
    assert wrong == ["slipway lab smoke", "slipway lab burn", *(f"slipway {line}" for line in WRONG)]
    assert sorted(unknown_commands(text)) == [
        "slipway deploy --everything",
        "slipway destroy",
        "slipway lab burn",
        "slipway lab smoke",
    ]
    assert list(unknown_keys(text)) == ["cluster.k0s.colour"]
    assert sorted(unknown_files(page, text)) == ["docs/missing.md", "missing.md"]
    assert list(unknown_anchors(page, text)) == ["#a-heading--of-it", "#nor-there"]
    assert list(unknown_anchors(page, text.replace("heading--of", "heading-of"))) == ["#nor-there"]
    assert list(unknown_targets(text)) == ["world"]
