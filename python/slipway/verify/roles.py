"""Which nodes a check is asked of: the marks of slipway.verify.check, and testinfra's own `testinfra_hosts`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from urllib.parse import urlsplit

from slipway.inventory import Host

MARKS: dict[str, Callable[[Host], bool]] = {
    "controllers": lambda node: node.is_controller,
    "workers": lambda node: not node.is_controller,
    "workloads": lambda node: node.runs_workloads,
}


def meant_for(node: Host, marks: Iterable[str]) -> bool:
    """Whether a check that carries these marks is asked of `node`; without any of ours it is asked of all."""
    return all(MARKS[mark](node) for mark in marks if mark in MARKS)


def named(node: Host, words: Iterable[str]) -> bool:
    """Whether a file with `testinfra_hosts = words` means `node`: its name or one of its addresses, alone or in a URL
    such as `ssh://root@10.0.0.21:22`. Which connection a URL wants is not asked: slipway has its own."""
    known = {node.name, node.address, node.login_address}
    return any((urlsplit(word).hostname if "://" in word else word) in known for word in words)
