"""docs/reference/nixos-options.md is made from the modules."""

import pytest
from tests.unit.scripts import DOCS, loaded

ROOT = DOCS.parent


@pytest.fixture(scope="module")
def page():
    return loaded(DOCS / "nixos_options.py")


def test_the_page_is_what_the_modules_say(page):
    assert (ROOT / "docs/reference/nixos-options.md").read_text() == page.render(page.options()), "make docs"


def test_every_option_says_what_it_is_for(page):
    found = page.options()
    assert len(found) > 80
    assert [option["name"] for option in found if len(option["description"]) < 8] == []
