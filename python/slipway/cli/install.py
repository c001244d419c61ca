"""`slipway install`: a machine that runs an installer becomes a node."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Annotated

import typer

from slipway.cli.console import print_json, progress, say, somebody_is_there
from slipway.cli.options import INVENTORY, InventoryOption, JsonOption
from slipway.cli.targets import one_of
from slipway.errors import InvalidInput, UsageError
from slipway.events import Events
from slipway.install import anywhere, disks, machine, record, steps, trusted
from slipway.install.disks import Sight
from slipway.install.machine import Kind, Machine
from slipway.install.record import Record
from slipway.install.steps import Installation, Scripts
from slipway.inventory import Host, Inventory, load
from slipway.rollout.interruption import Interruption
from slipway.rollout.phases import Preparation
from slipway.secret import Secret
from slipway.ssh import host as ssh
from slipway.ssh.connection import Endpoint, LoginRefused
from slipway.ssh.keys import KNOWN_HOSTS, LOOK, KnownHosts, PKey, describe
from slipway.ssh.known_hosts import fingerprint_of
from slipway.ssh.password import let_in
from slipway.ssh.pool import Pool, endpoint_of
from slipway.tools import nix

AtOption = Annotated[
    str | None,
    typer.Option(
        "--at", help="Where the installer answers now, as user@address[:port].", metavar="ADDRESS",
        show_default="root@ the node's own address",
    ),
]  # fmt: skip
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Wipe the disks without asking, for scripts.")]
FingerprintOption = Annotated[
    str | None,
    typer.Option(help="The installer's host key, as its console shows it, without asking.", metavar="SHA256:..."),
]
PasswordOption = Annotated[
    bool,
    typer.Option("--password", help="Log in by the installer's password once; asked for, or a line of standard input."),
]
EVALUATION = 600.0
DEVICES = "disks: map (name: disks.${name}.device) (builtins.attrNames disks)"
"""Of disko.devices.disk, which hosts/NAME.nix may have added to."""


@dataclass(frozen=True)
class Asked:
    """What a person, or a script, says beforehand; `quiet`: progress is not shown."""

    yes: bool
    fingerprint: str | None
    password: bool
    quiet: bool


def install(
    node: Annotated[str, typer.Argument(help="A host of the inventory.", metavar="NODE")],
    at: AtOption = None,
    yes: YesOption = False,
    fingerprint: FingerprintOption = None,
    password: PasswordOption = False,
    inventory_file: InventoryOption = INVENTORY,
    json_output: JsonOption = False,
) -> None:
    """Install a machine: format its disks, put its system and a pinned host key there, reboot into it.

    It runs NixOS's installer, one of your flake (nix build .#installer), or any other Linux:
    there nixos-anywhere starts an installer first. What will be wiped is shown and asked for.
    When it is cut off, the same command goes on where it was.

    Example: slipway install w1 --at root@10.0.0.157
    """
    inventory = load(inventory_file)
    host = one_of(inventory, node, why="one is installed at a time", hint="slipway install NODE")
    if _is_there(inventory, host):
        say(f"{node} answers with its pinned key and runs what was installed")
    else:
        _install(inventory, host, _endpoint(host, at), Asked(yes, fingerprint, password, json_output))
    record.forget(inventory.root, node)
    _told(inventory, host, json_output)


def _endpoint(host: Host, at: str | None) -> Endpoint:
    """Where the installer answers: it has its own port and user, whatever the node will have."""
    if at is None:
        return Endpoint(host.name, host.login_address, identity=host.ssh.identity)
    found = Endpoint.parse(at, host.ssh.identity) or Endpoint.parse(f"root@{at}", host.ssh.identity)
    if found is None:
        raise UsageError(
            f"--at {at}: user@address[:port] is expected", hint="slipway install NODE --at root@10.0.0.157"
        )
    return replace(found, name=host.name)


def _is_there(inventory: Inventory, host: Host) -> bool:
    """Whether an earlier run got as far as the reboot, and the node is there by now."""
    known = record.load(inventory.root, host.name)
    if not known.system:
        return False
    born = ssh.Remote(endpoint_of(host), _pinned(inventory), connect_timeout=inventory.deploy.timeouts.connect)
    try:
        return steps.runs(born, known.system)[0] is True
    finally:
        born.close()


def _pinned(inventory: Inventory) -> KnownHosts:
    return KnownHosts.load(inventory.root / KNOWN_HOSTS)


def _install(inventory: Inventory, host: Host, endpoint: Endpoint, asked: Asked) -> None:
    keys = trusted.keys(inventory.root, host.name)
    within = inventory.deploy.timeouts.connect
    with Pool([endpoint], keys, connect_timeout=within) as pool, Interruption(pool.shut, say).heard():
        preparation = Preparation(inventory, [host], pool, Events())
        preparation.require_generated()
        trusted.settle(endpoint, keys, _pinned(inventory), lambda key: _agreed(endpoint, key, asked), within)
        if asked.password:
            let_in(endpoint, keys, _password(), host.ssh.authorized_keys, within, pool.jumps.reach)
        with progress(quiet=asked.quiet) as listener:
            seen = _look(preparation, host, Events(listener))
        # Between two shows of progress, which would write over the question.
        _ask(seen, asked)
        with progress(quiet=asked.quiet) as listener:
            _carry_out(replace(preparation, events=Events(listener)), seen, keys)


@dataclass(frozen=True)
class Seen:
    """What is there, and what would become of it: disko's two scripts, and the disks that they are for."""

    host: Host
    machine: Machine
    sight: Sight
    known: Record
    format: str
    mount: str

    @property
    def devices(self) -> tuple[str, ...]:
        return tuple(target.named for target in self.sight.targets)

    @property
    def is_formatted(self) -> bool:
        """By an earlier run, which was cut off."""
        return self.known.formatted(self.format, self.devices)


def _look(preparation: Preparation, host: Host, events: Events) -> Seen:
    """Raises InvalidInput, HoldsACluster or PrerequisiteMissing for what must not, or cannot, be installed."""
    there = preparation.pool.host(host.name)
    found = _machine(there, host, events)
    if found.kind is Kind.OTHER:
        anywhere.require()
    events.emit("disks", "started", host.name)
    sight = disks.look(there, _devices(preparation, host))
    seen = Seen(host, found, sight, record.load(preparation.inventory.root, host.name), *_scripts(preparation, host))
    if not seen.is_formatted:
        disks.refuse(host.name, sight)
        if found.kind is Kind.INSTALLER:
            disks.refuse_in_use(host.name, sight)
    events.emit("disks", "done", host.name, text=", ".join(target.device for target in sight.targets))
    return seen


def _machine(there: ssh.Host, host: Host, events: Events) -> Machine:
    events.emit("look", "started", host.name)
    try:
        found = machine.look(there)
    except LoginRefused as error:
        error.hint = f"slipway install {host.name} --password, or an installer that knows you: nix build .#installer"
        raise
    events.emit("look", "done", host.name, text=f"it runs {found.runs}")
    machine.refuse_unfit(host, found)
    return found


def _devices(preparation: Preparation, host: Host) -> tuple[str, ...]:
    """The disks that the configuration names, whoever wrote that: the inventory or hosts/NAME.nix."""
    root, options = preparation.inventory.root.resolve(), preparation.inventory.deploy.nix_options
    found = nix.value(root, host.name, "disko.devices.disk", apply=DEVICES, options=options, timeout=EVALUATION)
    if not found:
        endpoint = preparation.pool.endpoints[host.name]
        raise InvalidInput(
            f"{host.name}: its configuration names no disks, so there is nothing to install on",
            hint=f"slipway discover {endpoint.user}@{endpoint.address} proposes `disks:`; then slipway generate",
        )
    return tuple(map(str, found))


def _scripts(preparation: Preparation, host: Host) -> tuple[str, str]:
    deploy, root = preparation.inventory.deploy, preparation.inventory.root.resolve()
    format_, mount = (
        nix.output(root, host.name, name, options=deploy.nix_options, timeout=deploy.timeouts.build)
        for name in ("diskoScript", "mountScript")
    )
    return format_, mount


def _agreed(endpoint: Endpoint, key: PKey, asked: Asked) -> bool:
    if asked.fingerprint is not None:
        return fingerprint_of(key.asbytes()) == asked.fingerprint
    if not somebody_is_there():
        raise UsageError(
            f"{endpoint.place}: nobody is there to compare the installer's host key",
            hint=f"--fingerprint SHA256:WHAT-ITS-CONSOLE-SAYS ({LOOK})",
        )
    say(f"{endpoint.place} shows {describe(key)}")
    say(f"  compare, at the installer's console: {LOOK}")
    return typer.confirm(f"  Is this the installer that shall become {endpoint.name}?", err=True)


def _password() -> Secret:
    """Never an argument, which every user of this machine could read."""
    if somebody_is_there():
        return Secret(typer.prompt("The installer's password", hide_input=True, err=True))
    return Secret(sys.stdin.readline().rstrip("\n"))


def _ask(seen: Seen, asked: Asked) -> None:
    """Show what goes, and have a person or --yes agree. Raises UsageError."""
    name = seen.host.name
    if seen.is_formatted:
        say(f"{name}: an installation was cut off after its disks were formatted; it goes on from there")
        return
    say(f"{name} runs {seen.machine.runs}. Installing it wipes:")
    if seen.machine.kind is Kind.OTHER:
        say("  (nixos-anywhere starts an installer there first, in memory: what runs there now ends)")
    for line in (line for target in seen.sight.targets for line in target.lines()):
        say(f"  {line}")
    for part, kind in seen.sight.closed:
        say(f"  {part} ({kind}) could not be looked into: whether it holds data of a cluster is not known")
    if asked.yes:
        return
    if not somebody_is_there():
        raise UsageError(f"nobody is there to say whether {name} may be wiped", hint=f"slipway install {name} --yes")
    if typer.prompt(f"Type {name} to wipe these disks", err=True, default="", show_default=False) != name:
        raise UsageError("nothing was wiped", hint=f"slipway install {name}")


def _carry_out(preparation: Preparation, seen: Seen, keys: KnownHosts) -> None:
    inventory, host = preparation.inventory, seen.host
    scripts = Scripts(preparation.build()[host.name], seen.format, seen.mount)
    with _installer(preparation, seen, scripts, keys) as (pool, boot):
        work = Installation(
            inventory.root,
            host.name,
            pool,
            endpoint_of(host),
            _pinned(inventory),
            scripts,
            seen.devices,
            inventory.deploy.timeouts,
            preparation.events,
            inventory.deploy.nix_options,
        )
        steps.carry_out(work, seen.known, boot)


@contextmanager
def _installer(preparation: Preparation, seen: Seen, scripts: Scripts, keys: KnownHosts) -> Iterator[tuple[Pool, str]]:
    """The way to an installer, and its boot id: the machine as it is, or what nixos-anywhere starts there."""
    if seen.machine.kind is Kind.INSTALLER:
        yield preparation.pool, seen.machine.boot_id
        return
    name = seen.host.name
    endpoint = preparation.pool.endpoints[name]
    _kexec(preparation, name, scripts, keys)
    there, within = replace(endpoint, user="root", port=22), preparation.inventory.deploy.timeouts.connect
    with Pool([there], keys, connect_timeout=within) as started:
        now = machine.look(started.host(name))
        if now.kind is not Kind.INSTALLER:
            raise InvalidInput(f"{name}: runs {now.runs} after kexec, which is no installer")
        yield started, now.boot_id


def _kexec(preparation: Preparation, name: str, scripts: Scripts, keys: KnownHosts) -> None:
    events, endpoint = preparation.events, preparation.pool.endpoints[name]
    trusted.at_port_22(keys, endpoint)
    events.emit("kexec", "started", name, text="nixos-anywhere starts an installer there, in memory")
    anywhere.kexec(
        endpoint,
        scripts.format,
        scripts.system,
        lambda line: events.emit("kexec", "progress", name, text=line),
    )
    events.emit("kexec", "done", name)


def _told(inventory: Inventory, host: Host, json_output: bool) -> None:
    born = endpoint_of(host)
    pinned = [key.fingerprint for key in _pinned(inventory).of(born.address, born.port)]
    if json_output:
        print_json({"node": host.name, "address": born.address, "port": born.port, "hostKeys": pinned})
        return
    say(f"{host.name} runs its system; its host key {' '.join(pinned)} is pinned in {inventory.root / KNOWN_HOSTS}")
    say(f"next: slipway deploy {host.name}")
