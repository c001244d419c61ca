"""Fake machines, like healthy ones but for what is given: the table of healthy.yaml, and what breaks it."""

from __future__ import annotations

import hashlib
import re
import shlex
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml
from tests.unit.verify.fakes import Answers, Canned, FakeHost, batched, from_table

from slipway.generate import k0s
from slipway.generate.nixos import made_of
from slipway.inventory import load

HERE = Path(__file__).parent
INVENTORY = load(HERE / "inventory.yaml")
HEALTHY = yaml.safe_load((HERE / "healthy.yaml").read_text())
VIP = "10.77.0.10"
SYSTEM = "/nix/store/00000000000000000000000000000000-nixos-system"


def machine(
    key: str,
    node: str,
    *,
    answers: dict[str, Any] | None = None,
    changed: Sequence[tuple[str, str, str]] = (),
    recorded: dict[str, str] | None = None,
    facts: dict[str, Any] | None = None,
    ways: dict[str, str] | None = None,
    silent: bool = False,
) -> FakeHost:
    """A node like healthy ones but for what is given; `silent` has no program at all."""
    said: dict[str, Any] = {"system": SYSTEM, "profile": SYSTEM, "hostname": node, "ahead": 0}
    said |= {"machine": hashlib.md5(key.encode()).hexdigest(), "macs": [_card(node)]}
    said |= {"addresses": [VIP] if node == "cp1" else []} | (facts or {})
    table = [Canned(match, **fields) for match, fields in (answers or {}).items()]
    table += [Canned(match, (HERE / "recorded" / name).read_text()) for match, name in (recorded or {}).items()]
    healthy = () if silent else healthy_table(node)
    table += [_changed(canned, changed) for canned in healthy]
    ask = batched(from_table(table) if silent else reaching(node, ways or {}, from_table(table)))

    def answer(command: str) -> Canned:
        if "boot_id" not in command:
            canned = ask(command)
            return replace(canned, stdout=canned.stdout.replace("@now@", datetime.now(UTC).isoformat()))
        lines = (
            said["system"],
            said["profile"],
            "boot",
            said["machine"],
            said["hostname"],
            " ".join(said["macs"]),
            " ".join(said["addresses"]),
            time.time() + said["ahead"],
        )
        return Canned("", "".join(f"{line}\n" for line in lines))

    return FakeHost(key, answer)


def reaching(node: str, ways: dict[str, str], otherwise: Answers) -> Answers:
    """How others answer `node` where it tries their ports, and packets of any size: as in healthy.yaml, but for `ways`,
    which is `10.77.0.11 6443` or an address to what comes back."""
    usual = {str(port): state for port, state in HEALTHY["ways"][_role(node)].items()}

    def answer(command: str) -> Canned:
        words = shlex.split(command) if "AT_ONCE" in command else []
        if "tcp" in words:
            first = words.index("tcp") + 3
            pairs = zip(words[first::2], words[first + 1 :: 2], strict=True)
            told = [f"{to} {port} {ways.get(f'{to} {port}', usual.get(port, 'silent'))}" for to, port in pairs]
            return Canned("", "".join(f"{line}\n" for line in told))
        if "paths" in words[3:4]:
            return Canned("", "".join(f"{to} {ways.get(to, 'host0 1500 whole')}\n" for to in words[7::2]))
        return otherwise(command)

    return answer


def _role(node: str) -> str:
    return "controller" if INVENTORY.host(node).is_controller else "worker"


def _card(node: str) -> str:
    return f"52:54:00:aa:00:{INVENTORY.host(node).address.rpartition('.')[2]}"


def healthy_table(node: str) -> list[Canned]:
    host = INVENTORY.host(node)
    words = {"name": node, "address": host.address, "host": host.address.rpartition(".")[2]}
    words["made_of"] = "".join(f"{name} {digest}\n" for name, digest in made_of(INVENTORY, host).items())
    words["k0s_yaml"] = k0s.render(INVENTORY).get(k0s.path_of(host), b"").decode()
    role = "controller" if host.is_controller else "worker"
    return [_canned(entry, words) for entry in (*HEALTHY[role], *HEALTHY["all"])]


def _canned(entry: dict[str, Any], words: dict[str, str]) -> Canned:
    if "recorded" in entry:
        text = (HERE / "recorded" / entry["recorded"]).read_text()
        return Canned(entry["match"], re.sub("@([a-z]+)@", lambda found: words[found[1]], text))
    texts = {name: entry[name].format(**words) for name in ("stdout", "stderr") if name in entry}
    return Canned(entry["match"], exit=entry.get("exit", 0), **texts)


def _changed(canned: Canned, changes: Sequence[tuple[str, str, str]]) -> Canned:
    for match, old, new in changes:
        if match in canned.match:
            assert old in canned.stdout, f"{old!r} is not in the answer of {canned.match!r}"
            canned = replace(canned, stdout=canned.stdout.replace(old, new))
    return canned
