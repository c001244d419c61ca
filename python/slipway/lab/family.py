"""Which addresses a lab has: IPv4 alone, or IPv6 alone; chosen when it is made, and kept for its life."""

from __future__ import annotations

from slipway.errors import UsageError
from slipway.lab import state
from slipway.lab.settings import Lab

POD_CIDR = "fd00:244::/104"
SERVICE_CIDR = "fd00:96::/108"
"""What an inventory of a lab with IPv6 has, as docs/how-to/ipv6-only.md does."""


def settle(lab: Lab, *, ipv6: bool = False) -> bool:
    """Choose for a lab without machines, one with machines keeps what it has; return whether that is IPv6.

    Raises UsageError where IPv6 is asked for and the lab has IPv4; LockedByAnother.
    """
    with state.locked(lab):
        if not state.recorded(lab):
            _mark(lab, ipv6=ipv6)
        elif ipv6 and not lab.ipv6_mark.exists():
            raise UsageError(
                "--ipv6: the machines of this lab have IPv4, for as long as the lab lives",
                hint="slipway lab down, then up again; or another lab beside it: slipway lab up --lab N",
            )
    return lab.ipv6_mark.exists()


def _mark(lab: Lab, *, ipv6: bool) -> None:
    if ipv6:
        lab.ipv6_mark.parent.mkdir(parents=True, exist_ok=True)
        lab.ipv6_mark.touch()
    else:
        lab.ipv6_mark.unlink(missing_ok=True)
