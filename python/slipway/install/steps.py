"""From a running installer to a node that answers with its pinned key. Each step may be done again after a kill."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from slipway.errors import DeployFailed, Interrupted, SlipwayError, Unreachable
from slipway.events import Events
from slipway.install import hostkey, record
from slipway.install.record import Record
from slipway.inventory.model import Timeouts
from slipway.node import facts
from slipway.result import CommandFailed, CommandTimedOut
from slipway.ssh import openssh
from slipway.ssh.connection import Endpoint
from slipway.ssh.host import Host, Remote
from slipway.ssh.keys import KnownHosts, describe, from_line
from slipway.ssh.pool import Pool
from slipway.tools import nix
from slipway.wait import WaitedTooLong, wait_until
from slipway.words import counted

ROOT = "/mnt"
"""Where disko mounts the new system, and nixos-install looks for it."""
LOCK = "/run/slipway-install.lock"
"""Held there by each program that writes to disks: one that a killed run left behind is waited for."""
FORMAT = 1800.0
"""Seconds to partition and format all disks, and to wait for a predecessor that still does."""
INSTALL = 1800.0
"""Seconds for nixos-install: it makes the profile and the boot loader."""
COMMAND = 60.0
KNOCK = 3.0
"""Seconds between two looks at whether the node is there."""
LOCKED = "exec flock -w {seconds} " + LOCK + ' "$0" "$@"'
LEAVE = """sync
umount -R "$1" 2>/dev/null
swapoff -a 2>/dev/null
# A pool that its last system has not given back is not imported when the machine starts.
if command -v zpool >/dev/null; then zpool export -a; fi
systemctl reboot
"""


@dataclass(frozen=True)
class Scripts:
    """Store paths here: the system, and disko's scripts that format and mount its disks, and that mount them alone:
    programs that ask nothing (`diskoScript` and `mountScript` in disko's lib/default.nix, 2026-03)."""

    system: str
    format: str
    mount: str


@dataclass(frozen=True)
class Installation:
    """One machine on its way: `pool` reaches it as the installer that it is now, `born` where it will be a node."""

    root: Path
    node: str
    pool: Pool
    born: Endpoint
    nodes_keys: KnownHosts
    scripts: Scripts
    devices: tuple[str, ...]
    timeouts: Timeouts
    events: Events
    options: Mapping[str, str] = field(default_factory=dict)
    """Settings of Nix, by name."""
    mount_point: str = ROOT

    @property
    def host(self) -> Host:
        return self.pool.host(self.node)

    @property
    def is_mounted(self) -> bool:
        return self.host.run(["mountpoint", "-q", self.mount_point], check=False, timeout=COMMAND).ok


def carry_out(work: Installation, known: Record, boot: str) -> None:
    """All steps, in order; those that `known` has done are left out. `boot` is the installer's boot id.

    Raises Unreachable, DeployFailed or CommandFailed; what is done by then is in the record.
    """
    if not known.formatted(work.scripts.format, work.devices):
        with _step(work, "format", counted(len(work.devices), "disk")):
            _script(work, work.scripts.format)
        known = record.save(work.root, known, format=work.scripts.format, devices=work.devices, system="", boot="")
    if not work.is_mounted:
        with _step(work, "mount", work.mount_point):
            _script(work, work.scripts.mount)
    _host_key(work)
    if (known.system, known.boot) != (work.scripts.system, boot):
        _system(work)
        known = record.save(work.root, known, system=work.scripts.system, boot=boot)
    with _step(work, "reboot", ""):
        leave(work.host, work.mount_point)
    arrive(work)


def _script(work: Installation, script: str) -> None:
    """Run one of disko's scripts there; its programs come along."""
    _copy(work, script, "")
    _alone(work.host, [script], FORMAT)
    if not work.is_mounted:
        raise DeployFailed(f"{work.node}: {script} ended, and nothing is mounted at {work.mount_point}")


def _host_key(work: Installation) -> None:
    """Pin the key before it can be asked for; one that lies there already and is pinned stays."""
    with _step(work, "host key", ""):
        born = work.born
        lies = hostkey.there(work.host, work.mount_point)
        pinned = [key.blob for key in work.nodes_keys.of(born.address, born.port)]
        if lies and lies.split()[1:2] == pinned:
            return
        made = hostkey.make(work.node)
        key = from_line(made.public)
        work.nodes_keys.pin(born.address, born.port, key)
        hostkey.put(work.host, work.mount_point, made)
        work.events.emit("host key", "progress", work.node, text=f"{describe(key)}, pinned in {work.nodes_keys.path}")


def _system(work: Installation) -> None:
    system = work.scripts.system
    with _step(work, "copy", system):
        _copy(work, system, f"local?root={work.mount_point}")
    with _step(work, "install", "nixos-install"):
        words = [
            "nixos-install",
            "--root",
            work.mount_point,
            "--system",
            system,
            "--no-root-passwd",
            "--no-channel-copy",
        ]
        _alone(work.host, words, INSTALL)


def _alone(host: Host, words: list[str], seconds: float) -> None:
    """Run it when nothing of a killed run writes to disks there any more; `seconds` for the wait, and as many again."""
    host.run(["sh", "-c", LOCKED.format(seconds=int(seconds)), *words], timeout=2 * seconds)


def _copy(work: Installation, path: str, into: str) -> None:
    """Copy a closure to the installer's own store, or `into` another one that it can open."""
    store = openssh.store(work.pool.endpoints[work.node])
    if into:
        store += ("&" if "?" in store else "?") + "remote-store=" + quote(into, safe="")
    with work.pool.openssh(work.node) as ssh:
        nix.copy(
            [path],
            store,
            ssh=ssh,
            options=work.options,
            timeout=work.timeouts.copy_,
            on_line=lambda line: work.events.emit("copy", "progress", work.node, text=line),
        )


def leave(installer: Host, mount_point: str) -> None:
    """Reboot it, its disks written out. Where the connection ends with the command, it was heard."""
    with suppress(Unreachable, CommandTimedOut, CommandFailed):
        installer.run(["sh", "-c", LEAVE, "reboot", mount_point], timeout=COMMAND)
    installer.close()


def arrive(work: Installation) -> None:
    """Wait until the node answers with its pinned key, running its system. Raises DeployFailed."""
    host = Remote(work.born, work.nodes_keys, connect_timeout=work.timeouts.connect)
    with closing(host), _step(work, "arrive", f"within {work.timeouts.reboot:g} s"):
        try:
            wait_until(
                lambda: runs(host, work.scripts.system),
                deadline=work.timeouts.reboot,
                describe=f"{work.node}: answers with its pinned host key and runs {work.scripts.system}",
                interval=KNOCK,
                on_progress=lambda seen: work.events.emit("arrive", "progress", work.node, text=seen),
            )
        except WaitedTooLong as error:
            raise DeployFailed(
                str(error),
                hint=f"look at its console: does it start from its disk? Then slipway install {work.node} goes on",
            ) from None


def runs(host: Host, system: str) -> tuple[bool | None, str]:
    """Whether the node is there with this system, in the words of `wait_until`."""
    try:
        current = facts.read(host).current
    except Interrupted:
        raise
    except SlipwayError as error:
        host.close()
        return None, str(error).partition("\n")[0]
    return (True, "") if current == system else (None, f"it runs {current or 'no system of NixOS'}")


@contextmanager
def _step(work: Installation, phase: str, text: str) -> Iterator[None]:
    work.events.emit(phase, "started", work.node, text=text)
    try:
        yield
    except SlipwayError as error:
        work.events.emit(phase, "failed", work.node, reason=str(error).partition("\n")[0])
        raise
    work.events.emit(phase, "done", work.node, text=text)
