"""No page names a command, option, key, target or file that does not exist."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main

from slipway.cli.main import COMMANDS, build
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


def words_of_code(text: str) -> Iterator[str]:
    """What stands in code spans, and each line of code blocks, fenced or indented."""
    fenced = re.findall(r"^```[^\n]*\n(.*?)^```", text, re.S | re.M)
    rest = re.sub(r"^```.*?^```", "", text, flags=re.S | re.M)
    yield from (line for block in fenced for line in block.splitlines())
    yield from (line.strip() for line in rest.splitlines() if line.startswith("    "))
    yield from re.findall(r"`([^`]+)`", "\n".join(line for line in rest.splitlines() if not line.startswith("    ")))


def unknown_commands(text: str) -> Iterator[str]:
    top = typer.main.get_command(build(list(COMMANDS)))
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


def unknown_targets(text: str) -> Iterator[str]:
    known = set(re.findall(r"^([a-z][a-z0-9-]*):", (ROOT / "Makefile").read_text(), re.M))
    for code in words_of_code(text):
        yield from (each for each in re.findall(r"(?:^|\s)make ([a-z][a-z0-9-]+)", code) if each not in known)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_what_a_page_names_exists(page):
    text = page.read_text(encoding="utf-8")
    assert sorted({*unknown_commands(text)}) == []
    if page.name != "own-pytest.md":  # its `cluster` is a fixture
        assert sorted({*unknown_keys(text)}) == []
    assert sorted({*unknown_files(page, text)}) == []
    assert sorted({*unknown_targets(text)}) == []


def test_control_what_does_not_exist_is_seen(tmp_path):
    page = tmp_path / "page.md"
    text = """\
`slipway destroy w1` and `slipway deploy --everything`, not `slipway deploy --json`.

    $ slipway lab burn          # no such word
    make world

`cluster.k0s.colour`, not `cluster.k0s.version`, `hosts.ssh.port` nor `hosts.w1.ssh.port`;
[a page](missing.md), `docs/missing.md`, `docs/lab.md`.
"""
    assert sorted(unknown_commands(text)) == ["slipway deploy --everything", "slipway destroy", "slipway lab burn"]
    assert list(unknown_keys(text)) == ["cluster.k0s.colour"]
    assert sorted(unknown_files(page, text)) == ["docs/missing.md", "missing.md"]
    assert list(unknown_targets(text)) == ["world"]
