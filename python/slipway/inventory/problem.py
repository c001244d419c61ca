"""What is wrong with an inventory, and where."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from slipway.errors import InvalidInput

MOST_SHOWN = 100
MENDED = "slipway check, when that is mended"
"""What comes next where nothing better is known."""


@dataclass(frozen=True, order=True)
class Problem:
    """One mistake. `file` is written as the user wrote it, `line` and `column` count from 1, `path` is dotted."""

    file: str
    line: int
    column: int
    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}: {self.path}: {self.message}"


class InvalidInventory(InvalidInput):
    """Every problem that one pass found, in the order of the files' lines."""

    def __init__(self, problems: Sequence[Problem], *, hint: str | None = None) -> None:
        self.problems = tuple(problems)
        shown = [str(problem) for problem in self.problems[:MOST_SHOWN]]
        left = len(self.problems) - len(shown)
        super().__init__("\n".join([*shown, f"... and {left} more"] if left else shown), hint=hint or MENDED)
