"""Commands as somebody would type them, one after the other: each is told before it runs, and its time at the end."""

from __future__ import annotations

import shlex
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from slipway.cli.console import print_table, say, stderr
from slipway.errors import SlipwayError
from slipway.tools.run import call

STEP_TIMEOUT = 3600.0
"""Seconds; the first `lab up` of a machine builds Kubernetes."""


@dataclass(frozen=True)
class Step:
    """One command as typed, the folder it is typed in, what it is for, and the exit codes that are fine."""

    words: tuple[str, ...]
    why: str
    inside: bool = True
    expect: tuple[int, ...] = (0,)
    program: str = "slipway"
    short: str = ""
    """The command in the table at the end, where it is a long one."""

    @property
    def typed(self) -> str:
        return shlex.join((self.program, *self.words))

    @property
    def argv(self) -> list[str]:
        own = [sys.executable, "-m", "slipway.cli"] if self.program == "slipway" else [self.program]
        return [*own, *self.words]


@dataclass(frozen=True)
class Timing:
    command: str
    why: str
    seconds: float

    def to_json(self) -> dict[str, Any]:
        return {"command": self.command, "why": self.why, "seconds": round(self.seconds, 1)}


class Stopped(SlipwayError):
    """A step failed; whoever typed it ends with the exit code of that step, whose own words stand above."""

    def __init__(self, message: str, code: int, hint: str) -> None:
        super().__init__(message, hint=hint)
        self.exit_code = code


def take(
    step: Step, directory: Path, *, hint: str, env: Mapping[str, str] | None = None, aside: bool = False
) -> Timing:
    """Tell the command, and run it in `directory` if it is one for inside. `aside`: what it prints is told on standard
    error, and standard output is left to the caller. Raises Stopped, whose next command is `hint`."""
    console = stderr()
    console.print(f"\n$ {step.typed}", style="bold", end="")
    console.print(f"  # {step.why}", style="dim")
    began = time.monotonic()
    code = call(step.argv, cwd=directory if step.inside else None, env=env, timeout=STEP_TIMEOUT, aside=aside)
    if code not in step.expect:
        raise Stopped(f"{step.typed} ended with exit code {code}", code, hint)
    return Timing(step.short or step.typed, step.why, time.monotonic() - began)


def show(timings: Sequence[Timing]) -> None:
    """A line for each command, and the sum."""
    rows = [(timing.command, timing.why, f"{timing.seconds:.1f} s") for timing in timings]
    total = sum(timing.seconds for timing in timings)
    say("")
    print_table(("command", "what for", "time"), [*rows, ("", "in all", f"{total:.1f} s")])
