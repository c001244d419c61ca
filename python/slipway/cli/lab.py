"""`slipway lab`: a real cluster on one machine, to try slipway and to test it."""

from __future__ import annotations

import sys
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from slipway.cli.console import print_json, print_table, progress, say
from slipway.cli.dashes import as_line
from slipway.cli.demo import Ipv6Option, K0sOption, UntilOption, demo
from slipway.cli.options import JsonOption
from slipway.errors import UsageError
from slipway.events import Events
from slipway.lab.settings import Fault, Lab, Machine
from slipway.tools.run import replace
from slipway.words import counted

if TYPE_CHECKING:
    from slipway.lab.status import MachineStatus

# The room lab/ is imported where it is used: `lab ssh` and `lab status` shall not wait for what `lab up` needs.
app = typer.Typer(
    help="A real cluster on this machine: systemd machines, Nix, Kubernetes.\n\nExample: slipway lab up",
    no_args_is_help=True,
)
app.command("demo")(demo)

NO_FAULT = "none"

LabOption = Annotated[
    int, typer.Option("--lab", envvar="SLIPWAY_LAB", help="Which lab, 0 to 6, if there are several here.")
]


@app.command()
def up(
    controllers: Annotated[int | None, typer.Option(help="Controllers to have: 1, 3 or 5.", show_default="1")] = None,
    workers: Annotated[int | None, typer.Option(help="Workers to have.", show_default="2")] = None,
    k0s: K0sOption = None,
    until: UntilOption = None,
    ipv6: Ipv6Option = False,
    as_json: JsonOption = False,
    number: LabOption = 0,
) -> None:
    """Bring the lab's machines up, and build what it lacks; machines that are up stay as they are.

    Which k0s a lab has is chosen when it is made; SLIPWAY_LAB_K0S=/path/to/k0s names one that is there. So is the last
    stage that it has programs for; with cluster-base-apps an S3 account comes up beside the machines.

    Example: slipway lab up --workers 2

    Example: slipway lab up --until cluster-base-apps

    Example: slipway lab up --ipv6
    """
    from slipway.generate.gitops.apps import BOOTSTRAP
    from slipway.lab import account, family, machines, needs, prerequisites, supplies
    from slipway.lab import k0s as k0s_of
    from slipway.lab import until as until_of

    # First of all: nobody wants to hear after ten minutes of building that something was missing.
    prerequisites.check_host(also=needs.missing())
    lab = Lab(number)
    with progress() as listener:
        events = Events(listener)
        choice, last = k0s_of.settle(lab, events, k0s), until_of.settle(lab, until)
        family.settle(lab, ipv6=ipv6)
        needs.check(choice.kind, last)
        bring_up = partial(machines.up, lab, events, controllers=controllers, workers=workers)
        there = supplies.beside(bring_up, events, choice.kind, last)
        supplies.stock(there, events, choice.kind, k0s_of.make_images(lab, events), last)
        if last != BOOTSTRAP:
            account.up(lab)
    if as_json:
        print_json([{"node": machine.name, "address": machine.address} for machine in there])
        return
    say(f"{counted(len(there), 'machine')} up: {', '.join(f'{machine.name} {machine.address}' for machine in there)}")
    say(f"they have {choice}")


@app.command()
def build(until: UntilOption = None) -> None:
    """Build the lab's programs, container images and charts into the cache; what is there stays.

    Example: slipway lab build

    Example: slipway lab build --until cluster-base-apps
    """
    from slipway.lab import supplies
    from slipway.lab import until as until_of

    last = until_of.known(until)
    with progress() as listener:
        supplies.ensure(Events(listener), last)


@app.command()
def down(
    keep: Annotated[
        bool, typer.Option("--keep", help="Shut down in order and keep the disks for the next up.")
    ] = False,
    keep_s3: Annotated[
        bool, typer.Option("--keep-s3", help="Leave what lies in the lab's S3 account, for a rebuild from backups.")
    ] = False,
    number: LabOption = 0,
) -> None:
    """Take the lab away: machines, disks, network, mounts, control groups. What builds made stays in the cache.

    Example: slipway lab down
    """
    from slipway.lab import machines

    with progress() as listener:
        machines.down(Lab(number), Events(listener), keep=keep, keep_s3=keep_s3)


@app.command()
def status(as_json: JsonOption = False, number: LabOption = 0) -> None:
    """Show the lab's machines.

    Example: slipway lab status
    """
    from slipway.lab.status import status as status_of

    found = status_of(Lab(number))
    if as_json:
        print_json([machine.to_json() for machine in found])
    elif found:
        print_table(("node", "address", "state", "system", "uptime", "memory", "faults"), map(_row, found))
    else:
        say("the lab has no machines; next: slipway lab up")


@app.command()
def fault(
    node: Annotated[str, typer.Argument(help="A machine of the lab, such as w1.", metavar="NODE")],
    what: Annotated[str, typer.Argument(help=f"{', '.join(Fault)}; or none: take back all.", metavar="FAULT")],
    seconds: Annotated[
        float | None,
        typer.Option("--for", min=0.1, max=3600, help="Take it back after that time.", metavar="SECONDS"),
    ] = None,
    as_json: JsonOption = False,
    number: LabOption = 0,
) -> None:
    """Make something go wrong with a machine of the lab, from outside; `none` takes back whatever is on.

    Example: slipway lab fault w1 cut-network --for 30
    """
    from slipway.lab import faults
    from slipway.lab.state import find

    machine = find(Lab(number), node)
    if what == NO_FAULT:
        if seconds is not None:
            raise UsageError("--for: `none` takes back at once, and for good")
        ended = faults.end(machine)
    else:
        faults.begin(machine, _fault(what))
        ended = () if seconds is None else _after(seconds, machine, _fault(what))
    on = faults.on(machine)
    if as_json:
        print_json({"node": node, "on": [each.value for each in on], "ended": [each.value for each in ended]})
        return
    for each in ended:
        say(f"{node}: {each} is over")
    for each in on:
        say(f"{node}: {each} is on; to take it back: slipway lab fault {node} none")
    if not ended and not on:
        say(f"{node}: nothing was on")


def _fault(name: str) -> Fault:
    if name not in set(Fault):
        raise UsageError(f"{name}: no such fault; there are: {', '.join(Fault)}", hint="slipway lab fault --help")
    return Fault(name)


def _after(seconds: float, machine: Machine, what: Fault) -> tuple[Fault, ...]:
    """Wait so long, an interruption ends it, and take the fault back."""
    from slipway.lab import faults

    try:
        say(f"{machine.name}: {what} for {seconds:g} s")
        time.sleep(seconds)
    finally:
        ended = faults.end(machine, what)
    return ended


@app.command()
def installer(
    node: Annotated[str, typer.Argument(help="A machine of the lab, such as w1.", metavar="NODE")],
    number: LabOption = 0,
) -> None:
    """Have a machine of the lab play NixOS's installer, with an empty disk, for `slipway install`.

    Example: slipway lab installer w1
    """
    from slipway.lab import installer as stand_in
    from slipway.lab.state import find

    machine = find(Lab(number), node)
    stand_in.play(machine)
    say(f"{node} plays the installer; its disk is {stand_in.device(machine)}")
    say(f"next: disks: {{system: {{device: {stand_in.device(machine)}}}}} in inventory.yaml, slipway generate, then")
    say(f"      slipway install {node}")


@app.command()
def ssh(
    node: Annotated[str, typer.Argument(help="A machine of the lab, such as cp1.")],
    command: Annotated[list[str] | None, typer.Argument(help="What to run there; a shell if left out.")] = None,
    number: LabOption = 0,
) -> None:
    """Open a shell on a machine of the lab, or run one command there.

    Example: slipway lab ssh cp1 -- systemctl status k0s
    """
    from slipway.lab.openssh import ssh_command
    from slipway.lab.state import find

    machine = find(Lab(number), node)
    terminal = ["-t"] if sys.stdin.isatty() and sys.stdout.isatty() else []
    program, *options = ssh_command(machine)
    replace([program, *terminal, *options, *as_line(command or [])])


@app.command()
def init(
    directory: Annotated[Path, typer.Argument(help="The folder to write to; made if it is not there.", metavar="DIR")],
    as_json: JsonOption = False,
    number: LabOption = 0,
) -> None:
    """Write a repository for the running lab: its inventory, the pinned keys of its machines, a flake, secrets.

    In a folder that has one, it follows the lab's machines and slipway's own version; what is yours stays.

    Example: slipway lab init demo
    """
    from slipway.cli.generate import set_up
    from slipway.generate import skeleton
    from slipway.lab import repository

    written = repository.write(Lab(number), directory)
    flake = skeleton.Flake(f"path:{skeleton.stage_flake(repository.programs())}", lab=True)
    made = set_up(directory, repository.CLUSTER, flake)
    secrets = repository.fill(Lab(number), directory)
    paths = [str(path) for path in (*written, *made, *secrets)]
    if as_json:
        print_json({"written": paths})
        return
    for path in paths:
        say(f"wrote    {path}")


@app.command()
def packages() -> None:
    """Print the Debian packages that the lab needs and this machine lacks, on one line; nothing if it has them all.

    Example: apt-get install -y $(slipway lab packages)
    """
    from slipway.lab import needs, prerequisites

    missing = sorted({*prerequisites.missing_packages(), *needs.missing()})
    if missing:
        typer.echo(" ".join(missing))


def _row(machine: MachineStatus) -> tuple[str, ...]:
    # Enough of the store path to tell two systems apart; --json has the whole.
    system = machine.system.rpartition("/")[2][:8] if machine.system else "none"
    return (
        machine.machine.name,
        machine.machine.address,
        machine.power.value,
        system,
        "" if machine.uptime is None else _duration(machine.uptime),
        "" if machine.memory is None else f"{machine.memory / 10**6:.0f} MB",
        ", ".join(machine.faults),
    )


def _duration(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s" if minutes else f"{rest} s"
