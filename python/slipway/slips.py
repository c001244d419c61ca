"""What somebody meant by a word that is none of those that are known.

A suggestion is followed without a second thought, so it is made only where it can hardly be wrong: `deplyo` is
`deploy`, `pod_cidr` is `podCIDR`; `destroy` is nothing.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

LIKENESS = 0.8
"""Of difflib, where 1 is the same word: `deplyo` has 0.83 of `deploy`, but `restart` 0.71 of `restore`, `lint` 0.75 of
`init`."""


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word that is written like `word` but for case, `_` and `-`, or that `word` is most likely a slip of."""
    choices = list(known)
    folded = {fold(choice): choice for choice in choices}
    if fold(word) in folded:
        return folded[fold(word)]
    swapped = next((choice for choice in choices if sorted(fold(choice)) == sorted(fold(word))), None)
    if swapped is not None:
        return swapped
    found = difflib.get_close_matches(word, choices, n=1, cutoff=LIKENESS)
    return found[0] if found else None


def fold(word: str) -> str:
    """The same for words that differ in case, `_` and `-` alone."""
    return word.lower().replace("_", "").replace("-", "")
