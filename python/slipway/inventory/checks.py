"""What must hold between the values of an inventory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from slipway.inventory.model import Document
from slipway.inventory.source import Keys


@dataclass(frozen=True)
class Finding:
    """What a check has to say about the value at `path`.

    `other` is the path of the other party; `{}` in the message stands for its name and place.
    """

    path: Keys
    message: str
    other: Keys | None = None
    warning: bool = False
    about_key: bool = False


Check = Callable[[Document], Iterator[Finding]]


def unique_addresses(document: Document) -> Iterator[Finding]:
    seen: dict[str, str] = {}
    for name, host in document.hosts.items():
        first = seen.setdefault(host.address, name)
        if first != name:
            path = ("hosts", name, "address")
            yield Finding(path, f"{host.address} is already used by {{}}", other=("hosts", first, "address"))


CHECKS: tuple[Check, ...] = (unique_addresses,)


def check(document: Document) -> Iterator[Finding]:
    for one in CHECKS:
        yield from one(document)
