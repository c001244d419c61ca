"""Who is told of a page gets its address: an installed slipway has no docs/ beside it."""

import ast
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.unit.scripts import DOCS, loaded

from slipway import pages
from slipway.cli import man, reference
from slipway.inventory.schema import schema

ROOT = DOCS.parent
MODULES = sorted((ROOT / "python/slipway").rglob("*.py"))
TEXTS = sorted(file for folder in ("nixos", "templates") for file in (ROOT / folder).rglob("*") if file.is_file())


def said(source: str) -> Iterator[str]:
    """The texts of a module that are more than comments: all but docstrings."""
    tree = ast.parse(source)
    left_out = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in left_out:
            yield node.value


def bare(texts: Iterator[str]) -> list[str]:
    return [text for text in texts if pages.NAMED.search(text)]


def test_no_text_of_the_program_names_a_file_that_only_the_repository_has():
    assert {module.name: found for module in MODULES if (found := bare(said(module.read_text())))} == {}


def test_nor_does_what_it_generates_or_an_option_of_nixos():
    def lines(file: Path) -> Iterator[str]:
        text = file.read_text(encoding="utf-8", errors="replace")
        yield from (line for line in text.splitlines() if not line.lstrip().startswith("#"))

    assert len(TEXTS) > 50
    assert {str(file): found for file in TEXTS if (found := bare(lines(file)))} == {}


def test_nor_do_helps_and_what_an_editor_shows_of_a_key():
    assert bare(iter([reference.render(), man.render(), json.dumps(schema())])) == []
    assert f"{pages.SOURCE}/docs/trust.md" in json.dumps(schema())


def test_every_page_that_has_an_address_is_there():
    named = [
        node.args[0]
        for module in MODULES
        for node in ast.walk(ast.parse(module.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "page" and node.args
    ]
    literal = {str(name.value) for name in named if isinstance(name, ast.Constant)}
    assert "how-to/own-hardware.md" in literal
    assert [name for name in literal if not (DOCS / name).is_file()] == []


def test_the_site_leads_to_the_same_repository():
    assert loaded(DOCS / "site" / "hooks.py").SOURCE == pages.SOURCE


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("All of it: docs/trust.md.", f"All of it: {pages.SOURCE}/docs/trust.md."),
        ("k0s's docs/runtime and own-docs/x.md", "k0s's docs/runtime and own-docs/x.md"),
        (pages.page("how-to/a.md"), f"{pages.SOURCE}/docs/how-to/a.md"),
    ],
)
def test_pages_get_their_address_once(text, told):
    assert pages.addressed(text) == pages.addressed(told) == told


def test_control_a_page_in_an_error_is_seen_and_one_in_a_docstring_is_not():
    source = '"""docs/trust.md says why."""\nraise ValueError(f"{1}: docs/trust.md tells")\n'
    assert bare(said(source)) == [": docs/trust.md tells"]
