"""testinfra over slipway's own connections: a pack asks `host`, and the answer comes through the pool.

The checks run in a process of their own (see worker.py), which speaks no SSH: each command travels over the wire to
the process that holds the connection. A connection that fails is an error of the check, never an exit code that could
be read as a red one.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from testinfra.backend.base import BaseBackend, CommandResult
from testinfra.host import Host

from slipway.verify.check import CannotRun
from slipway.verify.result import Way
from slipway.verify.store import StorePackage

COMMAND_BOUND = 30.0
"""Seconds that one command of a check may take, unless the check says otherwise with `timeout=`."""


@dataclass(frozen=True)
class Answer:
    """What a command of a check came back with."""

    exit_code: int
    stdout: str
    stderr: str


class ConnectionLost(CannotRun):
    """The node can no longer be asked; what was not asked yet stays unknown."""


Ask = Callable[[str, float], Answer]
"""(shell command, seconds) to its answer. Raises CannotRun when there is none, ConnectionLost when none will come."""


class SlipwayBackend(BaseBackend):  # type: ignore[misc]
    """The testinfra backend of one node. Of the running check: `asked` are its commands, `ways` the ports it tried, and
    `note` is what people should know of it."""

    NAME = "slipway"

    def __init__(self, node: str, ask: Ask) -> None:
        super().__init__(node)
        self._ask = ask
        self.asked: list[str] = []
        self.ways: list[Way] = []
        self.note = ""
        self.lost: ConnectionLost | None = None

    def run(self, command: str, *args: str, timeout: float = COMMAND_BOUND, **_: Any) -> CommandResult:  # noqa: ANN401 (testinfra's signature)
        text = self.get_command(command, *args)
        self.asked.append(text)
        try:
            answer = self._ask(text, timeout)
        except ConnectionLost as error:
            self.lost = error
            raise
        return self.result(answer.exit_code, text.encode(), answer.stdout, answer.stderr)

    def forget(self) -> None:
        """Another check begins."""
        self.asked.clear()
        self.ways.clear()
        self.note = ""

    def get_encoding(self) -> str:
        """testinfra would ask the node's Python; NixOS has none, and our connections speak UTF-8."""
        return "utf-8"


class NodeHost(Host):  # type: ignore[misc]
    """testinfra's host, which counts an exit code that nobody expected as a question that failed."""

    @functools.cached_property
    def package(self) -> type[StorePackage]:
        """testinfra looks for dpkg, rpm and the like, and knows no machine without."""
        return StorePackage.get_module(self)  # type: ignore[no-any-return]

    def note_ways(self, ways: Iterable[Way]) -> None:
        """Tell the report, which draws them, how ports of other nodes answered the check that is running."""
        self.backend.ways.extend(ways)

    def note(self, text: str) -> None:
        """Tell people what they should know of the check that is running, whatever its verdict."""
        self.backend.note = text

    def run_expect(self, expected: list[int], command: str, *args: str, **kwargs: Any) -> CommandResult:  # noqa: ANN401
        __tracebackhide__ = True
        out = self.run(command, *args, **kwargs)
        if out.rc not in expected:
            said = (out.stderr.strip() or out.stdout.strip()).splitlines()[-3:]
            raise CannotRun(f"exit code {out.rc}, expected {_codes(expected)}: {' / '.join(said) or 'it said nothing'}")
        return out

    def check_output(self, command: str, *args: str, **kwargs: Any) -> str:  # noqa: ANN401
        __tracebackhide__ = True
        return str(self.run_expect([0], command, *args, **kwargs).stdout.rstrip("\r\n"))


def _codes(expected: list[int]) -> str:
    return " or ".join(str(code) for code in expected)


def host_of(node: str, ask: Ask) -> NodeHost:
    """The `host` that packs ask about `node`."""
    backend = SlipwayBackend(node, ask)
    host = NodeHost(backend)
    backend.set_host(host)
    return host
