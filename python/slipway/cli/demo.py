"""`slipway lab demo`: the commands that a user would type, run one after the other in the lab."""

from __future__ import annotations

import shlex
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import typer

from slipway.cli.console import print_table, say, stderr
from slipway.errors import ChangesPending, SlipwayError
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

    @property
    def typed(self) -> str:
        return shlex.join((self.program, *self.words))

    @property
    def argv(self) -> list[str]:
        own = [sys.executable, "-m", "slipway.cli"] if self.program == "slipway" else [self.program]
        return [*own, *self.words]


STEPS = (
    Step(("lab", "up"), "machines with systemd and sshd", inside=False),
    Step(("check",), "is the inventory right?"),
    Step(("generate",), "inventory to NixOS modules and k0s configuration"),
    Step(("plan",), "what would change", expect=(0, ChangesPending.exit_code)),
    Step(("deploy",), "build, copy, activate, confirm, join"),
    Step(("verify",), "testinfra on every node"),
    Step(("add", "--all"), "Flux reads what is committed", program="git"),
    # Nobody has to have told git who they are; with nothing to commit it ends with 1.
    Step(
        ("-c", "user.name=demo", "-c", "user.email=demo@localhost", "commit", "--quiet", "--message", "The lab"),
        "from here on a commit changes the cluster",
        expect=(0, 1),
        program="git",
    ),
    Step(("handoff",), "the gate, Flux, and this repository in the cluster's Git server"),
    Step(("status",), "where we stand"),
)


@dataclass(frozen=True)
class Timing:
    command: str
    why: str
    seconds: float


K0sOption = Annotated[
    str | None,
    typer.Option(metavar="VERSION", help="Download this k0s release, and let it be the k0s of a new lab's machines."),
]


UntilOption = Annotated[
    str | None,
    typer.Option(
        metavar="STAGE", help="The last stage of a new lab: bootstrap or cluster-base-apps.", show_default="bootstrap"
    ),
]


def demo(
    directory: Annotated[Path, typer.Argument(help="Where the demo's repository is made.", metavar="DIR")] = Path(
        "demo"
    ),
    controllers: Annotated[int | None, typer.Option(help="Controllers to have: 1, 3 or 5.", show_default="1")] = None,
    workers: Annotated[int | None, typer.Option(help="Workers to have.", show_default="2")] = None,
    k0s: K0sOption = None,
    until: UntilOption = None,
) -> None:
    """Take one inventory to a verified, handed-over cluster in the lab, command by command.

    Example: slipway lab demo demo

    Example: slipway lab demo demo-full --until cluster-base-apps
    """
    given = {"--controllers": controllers, "--workers": workers, "--k0s": k0s, "--until": until}
    options = [word for name, value in given.items() if value is not None for word in (name, str(value))]
    timings = [_run(step, directory) for step in steps(directory, options)]
    total = sum(timing.seconds for timing in timings)
    rows = [(timing.command, timing.why, f"{timing.seconds:.1f} s") for timing in timings]
    say("")
    print_table(("command", "what for", "time"), [*rows, ("", "in all", f"{total:.1f} s")])
    say(f"\nThe cluster is yours: cd {directory}; slipway lab ssh cp1 -- k0s kubectl get pods -A; slipway lab down")


def steps(directory: Path, options: Sequence[str]) -> Sequence[Step]:
    """The demo's commands, the first with these options. `lab init` of a repository that is there writes only what it
    lacks, or what another slipway would write."""
    up = replace(STEPS[0], words=(*STEPS[0].words, *options))
    made = Step(("lab", "init", str(directory)), "a repository with one inventory", inside=False)
    return (up, made, *STEPS[1:])


def _run(step: Step, directory: Path) -> Timing:
    typed = step.typed
    console = stderr()
    console.print(f"\n$ {typed}", style="bold", end="")
    console.print(f"  # {step.why}", style="dim")
    began = time.monotonic()
    code = call(step.argv, cwd=directory if step.inside else None, timeout=STEP_TIMEOUT)
    if code not in step.expect:
        raise DemoStopped(f"{typed} ended with exit code {code}", code)
    return Timing(typed, step.why, time.monotonic() - began)


class DemoStopped(SlipwayError):
    """A step failed; the demo ends with the exit code of that step, whose own words stand above."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message, hint="the words above say why; `slipway lab down` takes the lab away")
        self.exit_code = code
