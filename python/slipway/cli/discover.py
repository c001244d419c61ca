"""`slipway discover`: what machines are made of, and the entries of the inventory that follow from it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from slipway.cli.console import print_json, progress, say, tell
from slipway.cli.options import INVENTORY, ExcludeOption, InventoryOption, JsonOption
from slipway.cli.targets import Targets, resolve
from slipway.errors import SlipwayError, Unreachable
from slipway.events import Events
from slipway.hardware import probe
from slipway.hardware.facts import Hardware
from slipway.hardware.proposal import Entry, free_name, propose, summary
from slipway.hardware.proposed_network import own_address
from slipway.inventory import InvalidInventory
from slipway.rollout.interruption import Interruption
from slipway.ssh.connection import LoginRefused
from slipway.ssh.host import Host
from slipway.ssh.keys import known_name
from slipway.ssh.pool import together

HostsArgument = Annotated[
    list[str],
    typer.Argument(
        help="Hosts of the inventory, or user@address[:port] of machines that are in none yet.", metavar="HOST..."
    ),
]
IdentityOption = Annotated[
    Path | None,
    typer.Option(
        "--identity", help="Private key file for the addresses; default: the agent and ~/.ssh.", metavar="FILE"
    ),
]


def discover(
    hosts: HostsArgument,
    exclude: ExcludeOption = None,
    identity: IdentityOption = None,
    inventory_file: InventoryOption = INVENTORY,
    json_output: JsonOption = False,
) -> None:
    """Read what machines are made of and print their entries for the inventory; nothing is changed on them.

    Example: slipway discover root@10.0.0.21 root@10.0.0.22 > racks/new.yaml
    """
    try:
        targets = resolve(hosts, inventory_file, identity, exclude=exclude or ())
    except InvalidInventory as error:
        error.hint = "mend it, or name the machine by its address: slipway discover root@ADDRESS"
        raise
    with targets.pool as pool, progress(quiet=json_output) as listener, Interruption(pool.shut, say).heard():
        answers = pool.map(partial(_read, events=Events(listener)), targets.names)
    found = {name: answer for name, answer in answers.items() if isinstance(answer, Hardware)}
    failed = {name: answer for name, answer in answers.items() if isinstance(answer, SlipwayError)}
    if json_output:
        print_json([_to_json(name, answer) for name, answer in answers.items()])
    elif found:
        tell("hosts:\n" + "\n".join(_entries(targets, found)).removesuffix("\n"))
        say("next: paste them below `hosts:`, or name the file that they are in under `include:`; then slipway check")
        for name in (name for name, hardware in found.items() if hardware.is_installer):
            say(f"an installer runs there: slipway generate, then slipway install NODE --at {_address(targets, name)}")
    if failed:
        raise _failure(failed)


def _read(host: Host, events: Events) -> Hardware:
    events.emit("discover", "started", host.name)
    try:
        hardware = probe.read(host)
    except SlipwayError as error:
        state = "unreachable" if isinstance(error, Unreachable) else "failed"
        events.emit("discover", state, host.name, reason=str(error).partition("\n")[0])
        raise
    events.emit("discover", "done", host.name, text=summary(hardware))
    return hardware


def _address(targets: Targets, name: str) -> str:
    """As `install --at` takes it."""
    endpoint = targets.pool.endpoints[name]
    return f"{endpoint.user}@{known_name(endpoint.address, endpoint.port)}"


def _entries(targets: Targets, found: Mapping[str, Hardware]) -> Iterator[str]:
    """The entries as YAML, in the order in which the machines were named."""
    hosts = targets.inventory.hosts if targets.inventory else ()
    known = {address: host for host in hosts for address in (host.login_address, host.address)}
    taken = {host.name for host in known.values()}
    for name, hardware in found.items():
        endpoint = targets.pool.endpoints[name]
        host = known.get(endpoint.address) or known.get(own_address(hardware, endpoint)[0].partition("/")[0])
        own_name = host.name if host else free_name(hardware, endpoint, taken)
        taken.add(own_name)
        yield propose(hardware, Entry(own_name, endpoint, host.role.value if host else None))


def _to_json(name: str, answer: Hardware | SlipwayError) -> dict[str, Any]:
    told = {"hardware": answer.to_json()} if isinstance(answer, Hardware) else {"error": str(answer)}
    return {"host": name, **told}


def _failure(failed: Mapping[str, SlipwayError]) -> SlipwayError:
    """The one error, or what all of them say."""
    errors = list(failed.values())
    for name, error in failed.items():
        if "@" in name and isinstance(error, LoginRefused):
            error.hint = f"ssh-add, or the file of its key: slipway discover {name} --identity FILE"
    if len(errors) == 1:
        return errors[0]
    return together(failed, errors[0].hint)
