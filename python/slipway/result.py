"""What a command did: the same data whether it ran here or on a node, whether it went well or not."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from textwrap import indent

from slipway.errors import SlipwayError

LOCAL = "localhost"
EXCERPT_LINES = 20
LONGEST_QUOTE = 200
"""Characters of an answer that made no sense, in the error that says so."""
NO_SENSE = (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError)
"""What reading raises where a text is not what it was thought to be; UnicodeError and JSON's are ValueErrors."""


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
        """For people: see `spoken`."""
        return spoken(self.argv)

    @contextmanager
    def read(self) -> Iterator[str]:
        """`with result.read() as said:` what it printed; whatever does not fit there is an OddAnswer of its host."""
        try:
            yield self.stdout
        except NO_SENSE as error:
            raise OddAnswer(self.host, self.command, self.stdout, f"{type(error).__name__}: {error}") from error

    def excerpt(self, lines: int = EXCERPT_LINES) -> str:
        """The last lines of what it said, standard error first choice."""
        text = self.stderr.strip() or self.stdout.strip()
        return "\n".join(text.splitlines()[-lines:])

    def __str__(self) -> str:
        ended = f"exit code {self.exit_code}" if self.exit_code >= 0 else f"killed by signal {-self.exit_code}"
        said = self.excerpt()
        # Set apart, so that none of its lines can be taken for one of ours, such as `next:`.
        return f"{self.host}: {self.command}: {ended}" + (f"\n{indent(said, '    ')}" if said else "")


def spoken(argv: Sequence[str]) -> str:
    """A command as people shall read it, in one line.

    Nobody reads a script: of `sh -c SCRIPT NAME ARGUMENT...` name and arguments are told, else that it is one.
    """
    match argv:
        case ["sh", "-c", _, name, *rest]:
            text = " ".join([name, *map(shlex.quote, rest)])
        case ["sh", "-c", script] if "\n" in script.strip():
            text = "a script"
        case _:
            text = shlex.join(argv)
    first, _, more = text.partition("\n")
    return first[:LONGEST_QUOTE] + (" ..." if more or len(first) > LONGEST_QUOTE else "")


class CommandFailed(SlipwayError):
    """A command ended with an exit code that its caller did not expect. Not to be tried again blindly."""

    def __init__(self, result: CommandResult, *, hint: str | None = None) -> None:
        super().__init__(str(result), hint=hint)
        self.result = result


class TooMuchSaid(SlipwayError):
    """A command said more than anybody asked for and was ended; half an answer is none."""

    def __init__(self, argv: Sequence[str], host: str, most: int) -> None:
        super().__init__(f"{host}: {spoken(argv)}: more than {_size(most)} of output; it was ended")


def _size(number: int) -> str:
    return f"{number >> 20} MiB" if number >= 1 << 20 else f"{number >> 10} KiB"


class OddAnswer(SlipwayError):
    """A machine answered a question with something else than an answer. Nothing is known from it."""

    def __init__(self, host: str, question: str, said: str | None, why: str) -> None:
        """`said`: None where it may be a secret; `why` must not quote it either then."""
        quoted = "" if said is None else f": {said[:LONGEST_QUOTE]!r}"
        super().__init__(f"{host}: {question}: the answer makes no sense ({why}){quoted}")


class CommandTimedOut(SlipwayError):
    """A command did not end within its bound; what it did until then is unknown."""

    def __init__(self, argv: Sequence[str], host: str, timeout: float) -> None:
        super().__init__(f"{host}: {spoken(argv)}: no end after {timeout:g} s")
        self.host = host
        self.timeout = timeout
