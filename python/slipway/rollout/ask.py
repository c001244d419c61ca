"""One command on many nodes, and which of them gave the same answer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from slipway.errors import Interrupted, SlipwayError, Unreachable
from slipway.events import Events
from slipway.groups import kind, without
from slipway.ssh.keys import HostKeyRefused
from slipway.ssh.pool import LIMIT, Pool, for_each

MOST_SAID = 256 << 10
"""Bytes of each stream of one node; who says more is ended. Hundreds of nodes are held in memory at once."""


@dataclass(frozen=True)
class Answer:
    """What became of it on one node: `exit_code` with what it said, or the `error` that kept it from ending."""

    exit_code: int | None = None
    stdout: str = ""
    stderr: str = ""
    error: str = ""
    unreachable: bool = False
    untrusted: bool = False
    """Whether it was not reached for its host key."""

    @property
    def ok(self) -> bool:
        return self.exit_code == 0

    def to_json(self) -> dict[str, Any]:
        return {
            "exitCode": self.exit_code,
            "stdout": self.stdout,
            "stderr": self.stderr,
            "error": self.error or None,
        }


@dataclass
class Round:
    """One command on some nodes. `answers` fills as they come, so that an interruption leaves what there is."""

    pool: Pool
    events: Events
    argv: Sequence[str]
    timeout: float
    answers: dict[str, Answer] = field(default_factory=dict)
    _same: dict[Answer, Answer] = field(default_factory=dict)

    def ask(self, names: Iterable[str], *, limit: int = LIMIT) -> None:
        """All of them, at most `limit` at a time. What goes wrong with one is its answer; an interruption is raised."""
        for name, error in for_each(self._one, names, limit=limit).items():
            if isinstance(error, SlipwayError):
                self._keep(name, Answer(error=without(name, str(error))))

    def _one(self, name: str) -> None:
        self.events.emit("exec", "started", name)
        try:
            said = self.pool.remote(name).run(self.argv, timeout=self.timeout, check=False, most=MOST_SAID)
        except Interrupted:
            raise
        except SlipwayError as error:
            untrusted = isinstance(error, HostKeyRefused)
            answer = Answer(None, "", "", without(name, str(error)), isinstance(error, Unreachable), untrusted)
        else:
            answer = Answer(said.exit_code, said.stdout, said.stderr)
        self._keep(name, answer)
        self.events.emit("exec", "done" if answer.ok else "failed", name, reason=answer.error)

    def _keep(self, name: str, answer: Answer) -> None:
        """Equal ones are kept once."""
        self.answers[name] = self._same.setdefault(answer, answer)


def groups(answers: Mapping[str, Answer], names: Iterable[str]) -> list[tuple[list[str], Answer]]:
    """The nodes that gave the same answer, in the order of `names`; the largest group first, so that the odd ones are
    the last that one reads. Errors are the same where only keys and systems differ, which are each node's own."""
    found: dict[Answer, list[str]] = {}
    for name in names:
        if name in answers:
            found.setdefault(replace(answers[name], error=kind(name, answers[name].error)), []).append(name)
    told = ((members, answers[members[0]] if len(members) == 1 else answer) for answer, members in found.items())
    return sorted(told, key=lambda group: -len(group[0]))
