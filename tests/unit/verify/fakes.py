"""Nodes that exist in a test only: a connection that answers from a table."""

from __future__ import annotations

import shlex
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NoReturn

from slipway.result import CommandResult
from slipway.secret import Secret

FACTS = "/nix/store/{system}\n/nix/store/{system}\n{boot}\n{machine}\n{hostname}\n\n\n{clock}\n"


@dataclass(frozen=True)
class Canned:
    """The answer to commands that hold `match`."""

    match: str
    stdout: str = ""
    exit: int = 0
    stderr: str = ""


Answers = Callable[[str], Canned]
BATCH = "sh -c '\nexec 3>&1"
"""How the one command of a pack that asks many at once begins."""


class FakeHost:
    """A connection to nowhere; `answers` says what the shell command given to `sh -c` prints."""

    def __init__(self, name: str, answers: Answers) -> None:
        self.name = name
        self.answers = answers
        self.asked: list[str] = []
        self._lock = threading.Lock()

    def run(
        self,
        argv: Sequence[str],
        *,
        input: bytes | Secret | None = None,
        timeout: float = 60.0,
        check: bool = True,
        expect: Sequence[int] = (0,),
    ) -> CommandResult:
        assert list(argv[:2]) == ["sh", "-c"], argv
        with self._lock:
            self.asked.append(argv[2])
        said = self.answers(argv[2])
        return CommandResult(tuple(argv), self.name, said.exit, said.stdout, said.stderr, 0.001)

    def put(self, *_: Any, **__: Any) -> NoReturn:
        raise AssertionError("verification writes nothing on a node")

    @contextmanager
    def fresh(self, *, cut: bool = False) -> Iterator[FakeHost]:
        yield self

    def close(self) -> None:
        """There is nothing to close."""


def batched(answers: Answers) -> Answers:
    """Like `answers`, and the same for each command of a pack that asks many at once (packs/_reads.py)."""

    def answer(command: str) -> Canned:
        if not command.startswith(BATCH):
            return answers(command)
        words = shlex.split(command)[4:]
        told = [(name, answers(asked)) for name, asked in zip(words[::3], words[2::3], strict=True)]
        return Canned("", "".join(f"\x1e{name}\x1f{a.stdout}\x1f{a.exit}\x1f{a.stderr}" for name, a in told))

    return answer


def from_table(table: Sequence[Canned]) -> Answers:
    """The first entry whose `match` is part of the command; a command without one is a mistake of the test."""

    def answer(command: str) -> Canned:
        for canned in table:
            if canned.match in command:
                return canned
        return Canned("", exit=127, stderr=f"the table of this test has no answer to: {command}")

    return answer
