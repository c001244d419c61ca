"""What is wrong with an inventory, and where."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from slipway.errors import InvalidInput
from slipway.words import first_of

MOST_SHOWN = 100
ALIKE = 3
"""Hosts with the same mistake that have a line each; of more, only the first has."""
NAMED = 8
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


def told(problems: Sequence[Problem]) -> list[str]:
    """A line for each problem; one that many hosts have is told of the first of them, which the others follow by name.

    Three hundred hosts without a link are one mistake, and what else is wrong is not to be looked for among them.
    """
    alike: dict[object, list[Problem]] = {}
    for problem in problems:
        alike.setdefault(_kind(problem), []).append(problem)
    lines = []
    for problem in problems:
        members = alike[_kind(problem)]
        if len(members) <= ALIKE:
            lines.append(str(problem))
        elif problem is members[0]:
            lines.append(f"{problem}{_also(members[1:])}")
    return lines


def _kind(problem: Problem) -> object:
    """Equal for what is the same mistake of several hosts, each in a file of its own name perhaps."""
    section, _, rest = problem.path.partition(".")
    name, _, path = rest.partition(".")
    return (path, problem.message.replace(f"hosts/{name}.nix", "")) if section == "hosts" and rest else id(problem)


def _also(others: Sequence[Problem]) -> str:
    names = [problem.path.split(".")[1] for problem in others]
    return f" (so are {first_of(names, NAMED, ' ')})"


class InvalidInventory(InvalidInput):
    """Every problem that one pass found, in the order of the files' lines."""

    def __init__(self, problems: Sequence[Problem], *, hint: str | None = None) -> None:
        self.problems = tuple(problems)
        lines = told(self.problems)
        left = len(lines) - MOST_SHOWN
        shown = [*lines[:MOST_SHOWN], f"... and {left} more"] if left > 0 else lines
        super().__init__("\n".join(shown), hint=hint or MENDED)
