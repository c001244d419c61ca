"""`slipway lab demo`: the commands that a user would type, run one after the other in the lab."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from slipway.cli import typed
from slipway.cli.console import say
from slipway.cli.typed import Step
from slipway.errors import ChangesPending, UsageError
from slipway.events import Events
from slipway.generate.gitops.apps import APPS_STAGE, BOOTSTRAP

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


def _kubectl(*words: str, why: str, short: str) -> Step:
    """On the first controller, which has it: this machine need not."""
    return Step(("lab", "ssh", "cp1", "--", "k0s", "kubectl", *words), why, inside=False, short=short)


_SINCE = _kubectl(
    "--namespace", "sample", "exec", "deployment/sample", "--container", "sample", "--", "cat", "/data/since",
    why="what its volume has from its first start on", short="kubectl exec deployment/sample -- cat /data/since",
)  # fmt: skip
_HEALTHY = _kubectl(
    "--namespace", "flux-system", "wait", "--for=condition=Ready", "kustomization/sample", "--timeout=30m",
    why="the sample application runs", short="kubectl wait kustomization/sample",
)  # fmt: skip
_SAVED = _kubectl(
    "--namespace", "sample", "wait", "--for=jsonpath={.status.latestMoverStatus.result}=Successful",
    "replicationsource/sample-data", "--timeout=30m", why="and its volume was saved",
    short="kubectl wait replicationsource/sample-data",
)  # fmt: skip
_BACKED = _kubectl(
    "--namespace", "flux-system", "wait", "--for=condition=Ready", "kustomization/sample-data-backup", "--timeout=30m",
    why="so does what saves its volume", short="kubectl wait kustomization/sample-data-backup",
)  # fmt: skip


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


Ipv6Option = Annotated[bool, typer.Option("--ipv6", help="Give a new lab's machines, pods and services IPv6 alone.")]


RebuildOption = Annotated[
    bool, typer.Option("--rebuild", help="Then take every machine away, and bring the cluster back from what it saved.")
]


def demo(
    directory: Annotated[Path, typer.Argument(help="Where the demo's repository is made.", metavar="DIR")] = Path(
        "demo"
    ),
    controllers: Annotated[int | None, typer.Option(help="Controllers to have: 1, 3 or 5.", show_default="1")] = None,
    workers: Annotated[int | None, typer.Option(help="Workers to have.", show_default="2")] = None,
    k0s: K0sOption = None,
    until: UntilOption = None,
    ipv6: Ipv6Option = False,
    rebuild: RebuildOption = False,
) -> None:
    """Take one inventory to a verified, handed-over cluster in the lab, command by command.

    Example: slipway lab demo demo

    Example: slipway lab demo demo-full --until cluster-apps --rebuild
    """
    if rebuild and until in (None, BOOTSTRAP):
        raise UsageError("--rebuild: bootstrap saves nothing", hint="slipway lab demo --until cluster-apps --rebuild")
    given = {"--controllers": controllers, "--workers": workers, "--k0s": k0s, "--until": until}
    options = [word for name, value in given.items() if value is not None for word in (name, str(value))]
    options += ["--ipv6"] if ipv6 else []
    todo = [*steps(directory, options), *(lost_and_back(options, until or BOOTSTRAP) if rebuild else ())]
    env = _with_programs() if rebuild else None
    typed.show([typed.take(step, directory, hint=STOPPED, env=env) for step in todo])
    say(f"\nThe cluster is yours: cd {directory}; slipway lab ssh cp1 -- k0s kubectl get pods -A; slipway lab down")


def steps(directory: Path, options: Sequence[str]) -> Sequence[Step]:
    """The demo's commands, the first with these options. `lab init` of a repository that is there writes only what it
    lacks, or what another slipway would write."""
    up = replace(STEPS[0], words=(*STEPS[0].words, *options))
    made = Step(("lab", "init", str(directory)), "a repository with one inventory", inside=False)
    return (up, made, *STEPS[1:])


def lost_and_back(options: Sequence[str], last: str) -> Sequence[Step]:
    """Every machine is lost with all that it had, and new ones become the cluster that was. What the account in S3 has,
    and this repository, are left."""
    sample = (_HEALTHY, _BACKED, _SAVED, _SINCE) if last == APPS_STAGE else ()
    lost = Step(("lab", "down", "--keep-s3"), "every machine is lost; what was saved is elsewhere", inside=False)
    up = replace(STEPS[0], words=(*STEPS[0].words, *options), why="new machines, with nothing on them")
    back = Step(("rebuild",), "from the repository, the age key and what was saved")
    return (*sample, lost, up, back, *((_HEALTHY, _SINCE) if sample else ()))


def _with_programs() -> dict[str, str]:
    """Where a rebuild finds what it tries the backups with: the lab's own."""
    from slipway.lab import cold_start

    return {"PATH": f"{os.environ['PATH']}:{cold_start.ensure(Events())}"}
