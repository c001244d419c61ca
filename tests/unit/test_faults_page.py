"""docs/faults.md names tests that there are."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "faults.md"
NAMED = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")


@cache
def names_in(file: str) -> frozenset[str]:
    """The functions of a file that pytest runs, on the outside and in classes."""
    path = ROOT / file
    tree = ast.parse(path.read_text()) if path.exists() else ast.Module([], [])
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))


def missing(text: str) -> Iterator[str]:
    for file, name in NAMED.findall(text):
        if name not in names_in(file) or not name.startswith("test_"):
            yield f"{file}::{name}"


def rows(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith("| ") and not line.startswith("| fault |")]


def test_every_test_that_the_page_names_is_there():
    assert list(missing(PAGE.read_text())) == []


def test_every_fault_has_a_test():
    found = rows(PAGE.read_text())
    assert len(found) > 20
    assert [row for row in found if not NAMED.search(row)] == []


def test_every_test_of_faults_in_a_deploy_is_on_the_page():
    file = "tests/lab/test_deploy_faults.py"
    named = {name for path, name in NAMED.findall(PAGE.read_text()) if path == file}
    assert {name for name in names_in(file) if name.startswith("test_")} == named


def test_control_a_test_that_is_not_there_is_seen():
    text = "| a | b | `tests/unit/test_faults_page.py::test_nothing`, `tests/unit/nowhere.py::test_a` |"
    assert list(missing(text)) == ["tests/unit/test_faults_page.py::test_nothing", "tests/unit/nowhere.py::test_a"]
