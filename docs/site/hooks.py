"""What mkdocs is told of these pages: which there are, and where links lead that leave them. Nobody keeps a list."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parents[1]
SOURCE = "https://github.com/slipway-project/slipway/blob/main"
"""For files of the repository that are no pages here."""
FIRST = ("README.md", "tutorial.md", "faq.md")
SECTIONS = {"How-tos": "how-to", "Reference": "reference", "Decisions": "decisions"}
LINK = re.compile(r"(\]\()([^)#:\s]+)((?:#[^)]*)?\))")

Nav = list[Mapping[str, Sequence[str]]]


def on_config(config: dict[str, object]) -> dict[str, object]:
    config["nav"] = nav(sorted(path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md")))
    return config


def nav(pages: Sequence[str]) -> Nav:
    """The pages as a tree: where one begins, then what explains, then the folders. Titles are the pages' own."""
    top = [page for page in pages if "/" not in page and page not in FIRST]
    folders = [{name: [page for page in pages if page.startswith(f"{folder}/")]} for name, folder in SECTIONS.items()]
    return [{"Start": [page for page in FIRST if page in pages]}, {"Explained": top}, *folders]


def on_page_markdown(markdown: str, page: Any, **_: object) -> str:  # noqa: ANN401 (mkdocs is not there for the tests)
    return led(markdown, page.file.src_uri)


def led(markdown: str, page: str) -> str:
    """`markdown` with links out of docs/ led to the repository, and those to a folder to its first page."""

    def lead(found: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(posixpath.dirname(page), found[2]))
        if target.startswith("../"):
            return f"{found[1]}{SOURCE}/{target.removeprefix('../')}{found[3]}"
        if (DOCS / target).is_dir():
            inside = sorted((DOCS / target).glob("*.md"))[0].name
            return f"{found[1]}{posixpath.join(found[2], inside)}{found[3]}"
        return found[0]

    return LINK.sub(lead, markdown)
