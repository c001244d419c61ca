"""Everything that a pack only reads, asked with one command: a node is asked once, and its checks look at the answers.

A pack declares what it reads as a tuple of `Read`; its conftest.py makes one `Answers` of it for all its checks. On a
node with a hundred milliseconds of way to it that is one way in place of dozens.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import TypeVar

from slipway.verify.backend import NodeHost
from slipway.verify.check import CannotRun

T = TypeVar("T")

SAID, PART = "\x1e", "\x1f"
"""Before an answer, and between its parts: name, output, exit code, error. No program here prints them."""

# The output goes straight through; the error is held until the program has ended. 124 is timeout's own.
SCRIPT = r"""
exec 3>&1
while [ $# -gt 0 ]; do
  printf '\036%s\037' "$1"
  error=$(timeout "$2" sh -c "$3" 2>&1 >&3 3>&- </dev/null)
  printf '\037%s\037%s' $? "$error"
  shift 3
done
"""


@dataclass(frozen=True)
class Read:
    """A question that changes nothing on the node. `bound` in seconds."""

    name: str
    command: str
    bound: int = 10


@dataclass(frozen=True)
class Answer:
    """What came back; `text` is empty where the program failed before it printed."""

    command: str
    text: str
    code: int
    error: str

    def said(self, expected: Collection[int] = (0,)) -> str:
        """The output. Raises CannotRun where the program ended otherwise than expected."""
        if self.code in expected:
            return self.text
        if self.code == 124:
            raise CannotRun(f"no end in time: {_first(self.command)}")
        why = self.error.strip() or self.text.strip() or "it said nothing"
        raise CannotRun(f"exit code {self.code}: {_first(self.command)}: {why.splitlines()[-1]}")


class Answers:
    """
    >>> Answers(host, [Read("kernel", "uname -r")])["kernel"].said()
    '6.12.41\\n'
    """

    def __init__(self, host: NodeHost, reads: Sequence[Read]) -> None:
        words = [word for read in reads for word in (read.name, str(read.bound), read.command)]
        command = shlex.join(["sh", "-c", SCRIPT, "reads", *words])
        text = host.check_output(command, timeout=sum(read.bound for read in reads))
        told = dict(_answer(part) for part in text.split(SAID)[1:])
        commands = {read.name: read.command for read in reads}
        if set(told) != set(commands):
            raise CannotRun(f"no answer to {', '.join(sorted(set(commands) - set(told))) or 'what was asked'}")
        self._told = {name: Answer(commands[name], *told[name]) for name in commands}

    def __getitem__(self, name: str) -> Answer:
        return self._told[name]


def understood(program: str, parse: Callable[[str], T], text: str) -> T:
    """What `parse` makes of the output of a program. Raises CannotRun where it is not what that program prints."""
    try:
        return parse(text)
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
        raise CannotRun(f"{program} said what cannot be read: {text.strip()[:80] or 'nothing'}") from error


def _answer(part: str) -> tuple[str, tuple[str, int, str]]:
    name, *rest = part.split(PART)
    if len(rest) != 3 or not rest[1].isdigit():
        raise CannotRun(f"an answer that is none: {part[:80]!r}")
    return name, (rest[0], int(rest[1]), rest[2])


def _first(command: str) -> str:
    return command.strip().partition("\n")[0][:120]
