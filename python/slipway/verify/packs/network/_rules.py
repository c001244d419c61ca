"""The firewall of NixOS, as the kernel has it: the table `nixos-fw` of nftables."""

from __future__ import annotations

import json
from collections.abc import Sequence
from ipaddress import ip_address, ip_network
from typing import Any

from slipway.verify.backend import NodeHost
from slipway.verify.check import CannotRun
from slipway.verify.packs._reads import understood

SHOW = "nft --json list table inet nixos-fw"
INPUT, WAY_BACK = "input-allow", ("rpfilter", "rpfilter-allow")
"""Chains of NixOS (nixos/modules/services/networking/firewall-nftables.nix of nixpkgs)."""

Statement = dict[str, Any]
Rule = list[Statement]


class Rules:
    """
    >>> Rules(host).lets_in("udp", 8472, "10.0.0.11")
    True

    `there` is False where the machine has no such table: then nothing of NixOS's filters.
    """

    def __init__(self, host: NodeHost) -> None:
        # 1: there is no such table, or nft may not say.
        answer = host.run_expect([0, 1], SHOW)
        self.there = answer.rc == 0
        if not self.there and "No such file or directory" not in answer.stderr:
            raise CannotRun(f"nft does not tell its rules: {answer.stderr.strip()}")
        self._chains = understood("nft", _chains, answer.stdout) if self.there else {}

    def of(self, *chains: str) -> list[Rule]:
        return [rule for name in chains for rule in self._chains.get(name, ())]

    def lets_in(self, protocol: str, port: int, source: str) -> bool:
        """Whether a packet from `source` is let in by its address and port alone; what else a rule asks for is taken
        for unfulfilled."""
        asked = {("ip6" if ":" in source else "ip", "saddr"): source, (protocol, "dport"): port, ("th", "dport"): port}
        for rule in self.of(INPUT):
            verdicts = {name for each in rule for name in each} & {"accept", "drop", "reject"}
            if verdicts and all(_fits(each["match"], asked) for each in rule if "match" in each):
                return "accept" in verdicts
        return False


def _chains(said: str) -> dict[str, list[Rule]]:
    found: dict[str, list[Rule]] = {}
    for entry in json.loads(said)["nftables"]:
        if "rule" in entry:
            found.setdefault(entry["rule"]["chain"], []).append(entry["rule"]["expr"])
    return found


def _fits(match: Statement, asked: dict[tuple[str, str], Any]) -> bool:
    field = match["left"].get("payload", {})
    value = asked.get((field.get("protocol"), field.get("field")))
    return value is not None and match["op"] == "==" and any(_holds(each, value) for each in _each(match["right"]))


def _each(right: Any) -> Sequence[Any]:  # noqa: ANN401 (JSON)
    return right["set"] if isinstance(right, dict) and "set" in right else [right]


def _holds(part: Any, value: Any) -> bool:  # noqa: ANN401 (JSON)
    """A part of a set is a value, {"range": [first, last]}, or {"prefix": {"addr": ..., "len": ...}}."""
    if not isinstance(part, dict):
        return bool(part == value)
    if "prefix" in part:
        return ip_address(value) in ip_network((part["prefix"]["addr"], part["prefix"]["len"]))
    first, last = part["range"]
    if isinstance(value, int):
        return bool(first <= value <= last)
    return _number(first) <= _number(value) <= _number(last)


def _number(address: str) -> int:
    return int(ip_address(address))
