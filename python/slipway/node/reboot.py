"""Booting a node anew, and whether its new system takes that."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from enum import StrEnum

from slipway.errors import DeployFailed, Interrupted, SlipwayError, Unreachable
from slipway.node import facts
from slipway.node.facts import Facts
from slipway.node.places import NIXOS, Places
from slipway.result import CommandTimedOut
from slipway.ssh.host import Host

KNOCK = 2.0
"""Seconds between two looks at whether it is back."""
COMMAND = 20.0

# What a running kernel cannot exchange (nixpkgs, nixos/modules/system/activation/top-level.nix has the links).
DIFFERS = """for part in kernel initrd kernel-modules; do
  [ "$(readlink -f "$1/$part")" = "$(readlink -f "$2/$part")" ] || echo "$part"
done
"""


class When(StrEnum):
    """When a deploy reboots a node: never; where its kernel, initrd or modules change; whatever changes."""

    NEVER = "never"
    AUTO = "auto"
    ALWAYS = "always"


class NotBack(DeployFailed):
    """A node did not come back from a reboot as it should."""


def parts(host: Host, system: str, places: Places = NIXOS) -> tuple[str, ...]:
    """What of `system` runs only after a reboot: some of kernel, initrd, kernel-modules. Its closure must be there."""
    with host.run(["sh", "-c", DIFFERS, "compare kernels", places.booted, system], timeout=COMMAND).read() as said:
        return tuple(word for word in said.split() if word in ("kernel", "initrd", "kernel-modules"))


def reboot(
    host: Host,
    system: str,
    *,
    within: float,
    given_up: Callable[[], bool] = lambda: False,
    places: Places = NIXOS,
) -> Facts:
    """Reboot a node whose default is `system`, and return what it is afterwards.

    Raises NotBack if it is not there `within` seconds, or runs something else.
    """
    before = facts.read(host, places)
    # Where the connection ends with the command it was heard; the boot id tells.
    with suppress(Unreachable, CommandTimedOut):
        host.run(["systemctl", "reboot"], timeout=COMMAND, check=False)
    host.close()
    now = _wait(host, before.boot_id, within, given_up, places)
    if now.current != system:
        raise NotBack(
            f"{host.name}: came back from its reboot with {now.current or 'no system of NixOS'}, not {system}",
            hint=f"look at its boot menu; then slipway deploy {host.name}",
        )
    return now


def _wait(host: Host, boot_id: str, within: float, given_up: Callable[[], bool], places: Places) -> Facts:
    end, trouble = time.monotonic() + within, "it did not go down"
    while time.monotonic() < end and not given_up():
        time.sleep(KNOCK)
        try:
            now = facts.read(host, places)
        except Interrupted:
            raise
        except SlipwayError as error:
            trouble = str(error)
            host.close()
            continue
        if now.boot_id != boot_id:
            return now
        trouble = "it did not go down"
    raise NotBack(
        f"{host.name}: not back from its reboot after {within:g} s: {trouble}",
        hint=f"look at its console; then slipway deploy {host.name}",
    )
