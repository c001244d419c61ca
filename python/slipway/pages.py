"""Where the project is, and where its pages are: who runs an installed slipway has no docs/ at hand."""

from __future__ import annotations

import re
from typing import Final

PROJECT: Final = "slipway-project/slipway"
FLAKE: Final = f"github:{PROJECT}"
SOURCE: Final = f"https://github.com/{PROJECT}/blob/main"
"""Where a browser shows the files of the repository."""
NAMED: Final = re.compile(r"(?<![\w/-])docs/([\w/-]+\.md)")
"""How comments and docstrings here name a page, which nobody else can open."""


def page(name: str) -> str:
    """The address of a page.

    >>> page("how-to/secrets.md")
    'https://github.com/slipway-project/slipway/blob/main/docs/how-to/secrets.md'
    """
    return f"{SOURCE}/docs/{name}"


def addressed(text: str) -> str:
    """`text` with the address of each page that it names.

    >>> addressed("All of it: docs/trust.md.")
    'All of it: https://github.com/slipway-project/slipway/blob/main/docs/trust.md.'
    """
    return NAMED.sub(lambda found: page(found[1]), text)
