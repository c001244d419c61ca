"""The site of docs/: every page has a place in it, and no link leads out of it into nothing."""

from collections.abc import Iterator
from types import ModuleType

import pytest
from tests.unit.scripts import DOCS, loaded

ROOT = DOCS.parent
PAGES = sorted(path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md"))


@pytest.fixture(scope="module")
def hooks() -> ModuleType:
    found: ModuleType = loaded(DOCS / "site" / "hooks.py")
    return found


def test_every_page_has_its_place_once(hooks):
    def leaves(tree: object) -> Iterator[str]:
        for each in tree if isinstance(tree, list) else ():
            yield from [each] if isinstance(each, str) else (leaf for below in each.values() for leaf in leaves(below))

    assert sorted(leaves(hooks.nav(PAGES))) == PAGES
    assert sorted(leaves(hooks.nav([*PAGES, "how-to/new.md"]))) == sorted([*PAGES, "how-to/new.md"])


@pytest.mark.parametrize(
    ("page", "link", "leads"),
    [
        ("README.md", "../SECURITY.md", "https://github.com/slipway-project/slipway/blob/main/SECURITY.md"),
        ("how-to/a.md", "../../examples/x.nix#l1", "https://github.com/slipway-project/slipway/blob/main/examples/x.nix#l1"),
        ("README.md", "decisions/", "decisions/0001-the-lab-speaks-k0s-and-nix.md"),
        ("how-to/a.md", "../lab.md#what", "../lab.md#what"),
        ("README.md", "https://example.org/a.md", "https://example.org/a.md"),
        ("README.md", "#here", "#here"),
    ],
)  # fmt: skip
def test_links_lead_to_pages_or_to_the_repository(hooks, page, link, leads):
    assert hooks.led(f"see [it]({link}), there", page) == f"see [it]({leads}), there"


def test_nothing_is_fetched_by_a_reader():
    settings = (ROOT / "mkdocs.yml").read_text()
    assert "font: false" in settings
    assert "offline" not in settings.split("plugins:")[1].partition("\n")[0], "that one loads a script from elsewhere"
