"""What a command did: the same data whether it ran here or on a node, whether it went well or not."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from slipway.errors import SlipwayError

LOCAL = "localhost"
EXCERPT_LINES = 20


@dataclass(frozen=True)
class CommandResult:
    """One finished command. `exit_code` is negative for a signal, as in subprocess; `duration` is in seconds."""

    argv: tuple[str, ...]
    host: str
    exit_code: int
    stdout: str
    stderr: str
    duration: float

    @property
    def ok(self) -> bool:
        return self.exit_code == 0

    @property
    def command(self) -> str:
        return shlex.join(self.argv)

    def excerpt(self, lines: int = EXCERPT_LINES) -> str:
        """The last lines of what it said, standard error first choice."""
        text = self.stderr.strip() or self.stdout.strip()
        return "\n".join(text.splitlines()[-lines:])

    def __str__(self) -> str:
        ended = f"exit code {self.exit_code}" if self.exit_code >= 0 else f"killed by signal {-self.exit_code}"
        said = self.excerpt()
        return f"{self.host}: {self.command}: {ended}" + (f"\n{said}" if said else "")


class CommandFailed(SlipwayError):
    """A command ended with an exit code that its caller did not expect. Not to be tried again blindly."""

    def __init__(self, result: CommandResult, *, hint: str | None = None) -> None:
        super().__init__(str(result), hint=hint)
        self.result = result


class CommandTimedOut(SlipwayError):
    """A command did not end within its bound; what it did until then is unknown."""

    def __init__(self, argv: Sequence[str], host: str, timeout: float) -> None:
        super().__init__(f"{host}: {shlex.join(argv)}: no end after {timeout:g} s")
        self.host = host
        self.timeout = timeout
