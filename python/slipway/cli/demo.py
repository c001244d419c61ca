"""`slipway lab demo`: the commands that a user would type, run one after the other in the lab."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from slipway.cli import typed
from slipway.cli.console import say
from slipway.cli.typed import Step
from slipway.errors import ChangesPending

STOPPED = "the words above say why; `slipway lab down` takes the lab away"
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
        short="git commit ...",
    ),
    Step(("handoff",), "the gate, Flux, and this repository in the cluster's Git server"),
    Step(("status",), "where we stand"),
)


K0sOption = Annotated[
    str | None,
    typer.Option(metavar="VERSION", help="Download this k0s release, and let it be the k0s of a new lab's machines."),
]


UntilOption = Annotated[
    str | None,
    typer.Option(
        metavar="STAGE",
        help="The last stage of a new lab: bootstrap, cluster-base-apps or cluster-apps.",
        show_default="bootstrap",
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
    typed.show([typed.take(step, directory, hint=STOPPED) for step in steps(directory, options)])
    say(f"\nThe cluster is yours: cd {directory}; slipway lab ssh cp1 -- k0s kubectl get pods -A; slipway lab down")


def steps(directory: Path, options: Sequence[str]) -> Sequence[Step]:
    """The demo's commands, the first with these options. `lab init` of a repository that is there writes only what it
    lacks, or what another slipway would write."""
    up = replace(STEPS[0], words=(*STEPS[0].words, *options))
    made = Step(("lab", "init", str(directory)), "a repository with one inventory", inside=False)
    return (up, made, *STEPS[1:])
