"""docs/reference/nixos-options.md is made from the modules."""

import importlib.util
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def page():
    spec = importlib.util.spec_from_file_location("nixos_options", ROOT / "docs" / "nixos_options.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_what_the_modules_say(page):
    assert (ROOT / "docs/reference/nixos-options.md").read_text() == page.render(page.options()), "make docs"


def test_every_option_says_what_it_is_for(page):
    found = page.options()
    assert len(found) > 80
    assert [option["name"] for option in found if len(option["description"]) < 8] == []
