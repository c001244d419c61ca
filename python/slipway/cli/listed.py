"""`slipway trust --from FILE`: keys that somebody else listed, for the machines of the inventory."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from slipway.cli.console import print_json, print_table, say
from slipway.cli.targets import Targets
from slipway.errors import InvalidInput
from slipway.groups import bundled, like, named, typed
from slipway.ssh.connection import Endpoint
from slipway.ssh.keys import KnownHosts
from slipway.ssh.known_hosts import PinnedKey
from slipway.ssh.listed import Finding, Machine, about_nobody, authorities, find
from slipway.words import counted, first_of

STDIN = Path("-")
LONGEST = 64 << 20
"""Bytes of a list: 300,000 lines of RSA keys."""
MOST_LINES = 8
"""Lines of the list that are named one by one."""


@dataclass(frozen=True)
class Result:
    """What was found in the list, and by now is so."""

    findings: Sequence[Finding]
    authorities: Sequence[tuple[PinnedKey, bool]]
    nobody: Sequence[PinnedKey]

    def names(self, state: str) -> list[str]:
        return [each.machine.name for each in self.findings if each.state == state]

    def to_json(self) -> dict[str, Any]:
        return {
            "nodes": [_to_json(each) for each in self.findings],
            "authorities": [
                {**_line(key), "fingerprint": key.fingerprint, "state": "pinned" if new else "unchanged"}
                for key, new in self.authorities
            ],
            "aboutNobody": [_line(key) for key in self.nobody],
        }


def pin(targets: Targets, file: Path, *, replace: bool, json_output: bool) -> None:
    """Pin what `file` lists for the chosen machines and their jump hosts, all that can be pinned at once.

    Raises InvalidInput for a file that is none, where a key was refused, and where nothing in it is of any use.
    """
    listed, known = KnownHosts.parse(file, _content(file)), targets.pool.known_hosts
    chosen = _machines(targets, targets.names)
    everybody = _machines(targets, targets.pool.endpoints)
    findings = [find(each, listed, known, replace=replace) for each in chosen]
    found = Result(findings, authorities(listed, known, chosen), about_nobody(listed, everybody))
    new = [(f.machine.address, f.machine.port, f.to_pin) for f in findings if f.state == "pinned"]
    lines = [key for key, is_new in found.authorities if is_new]
    if new or lines:
        known.pin_all(new, lines)
    if json_output:
        print_json(found.to_json())
    else:
        _show(found, known.path)
    _judge(found, file)


def _content(file: Path) -> bytes:
    if file == STDIN:
        content = sys.stdin.buffer.read(LONGEST + 1)
    else:
        with file.open("rb") as stream:
            content = stream.read(LONGEST + 1)
    if len(content) > LONGEST:
        raise InvalidInput(f"{file}: more than {LONGEST >> 20} MiB: that is no list of keys")
    return content


def _machines(targets: Targets, names: Iterable[str]) -> list[Machine]:
    """These and the jump hosts before them, each once."""
    hosts = {host.name: host for host in targets.inventory.hosts} if targets.inventory else {}
    found: dict[Endpoint | str, Machine] = {}
    for name in names:
        endpoint = targets.pool.endpoints[name]
        for jump in endpoint.jump:
            found[jump] = Machine(jump.name, jump.address, jump.port)
        also = (hosts[name].address, name) if name in hosts else ()
        found[name] = Machine(name, endpoint.address, endpoint.port, also)
    return list(found.values())


def _show(found: Result, path: Path) -> None:
    rows = [each for each in found.findings if each.state != "not listed"]
    if rows:
        print_table(("node", "address", "state", "key"), map(_row, bundled(rows, _kind)))
    for key, new in found.authorities:
        done = f"pinned in {path}" if new else "pinned already"
        say(f"authority of {key.names}: {key.type} {key.fingerprint}: {done}")
    if pinned := found.names("pinned"):
        say(f"{counted(len(pinned), 'key')} pinned in {path}")
    if nobody := [f"{key.line} ({key.names[:40]})" for key in found.nobody]:
        say(f"about no machine of the inventory: line{'s' if len(nobody) > 1 else ''} {first_of(nobody, MOST_LINES)}")
    missing = found.names("not listed")
    if missing and not found.authorities:
        say(f"not listed: {named(missing)}: slipway trust{typed(missing)}")


def _kind(finding: Finding) -> object:
    """A fingerprint that is new is one that somebody compares: only what is pinned already is told at once."""
    return finding.state if finding.state == "unchanged" else finding


def _row(findings: Sequence[Finding]) -> tuple[str, ...]:
    first = findings[0]
    said = f"{first.key.type} {first.key.fingerprint} (line {first.key.line})" if first.key else ""
    return (
        like([each.machine.name for each in findings]),
        first.machine.address if len(findings) == 1 else "",
        first.state,
        "; ".join(filter(None, (said if len(findings) == 1 else "", first.reason))),
    )


def _to_json(finding: Finding) -> dict[str, Any]:
    key = finding.key
    return {
        "node": finding.machine.name,
        "address": finding.machine.address,
        "port": finding.machine.port,
        "keyType": key.type if key else None,
        "fingerprint": key.fingerprint if key else None,
        "line": finding.line or None,
        "state": finding.state,
        "reason": finding.reason or None,
    }


def _line(key: PinnedKey) -> dict[str, Any]:
    return {"line": key.line, "names": key.names, "keyType": key.type}


def _judge(found: Result, file: Path) -> None:
    refused = found.names("refused")
    if refused:
        conflicts = [each.machine.name for each in found.findings if each.is_conflict]
        again = f"slipway trust{typed(conflicts)} --from {file} --replace, if they were installed anew"
        raise InvalidInput(f"not pinned: {named(refused)}", hint=again if conflicts else f"mend those lines of {file}")
    if not found.authorities and not any(each.state in ("pinned", "unchanged") for each in found.findings):
        raise InvalidInput(
            f"{file}: no line is about a machine of the inventory",
            hint="ssh-keyscan ADDRESS... with the addresses and ports of slipway inventory list, or slipway trust",
        )
