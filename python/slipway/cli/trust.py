"""`slipway trust`: whose keys the machines may show."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from slipway.cli import listed
from slipway.cli.console import print_json, say, somebody_is_there
from slipway.cli.options import INVENTORY, ExcludeOption, InventoryOption, JsonOption, Selection
from slipway.cli.targets import resolve
from slipway.errors import InvalidInput, SlipwayError, Unreachable, UsageError
from slipway.groups import MOST_ROWS, alike, headed, named
from slipway.rollout.interruption import Interruption
from slipway.ssh.connection import Endpoint, shown_key
from slipway.ssh.keys import LOOK, KnownHosts, PKey, describe
from slipway.ssh.known_hosts import PinnedKey, fingerprint_of
from slipway.ssh.pool import Pool, for_each

YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Pin what the machines show without asking.")]
FingerprintOption = Annotated[
    str | None,
    typer.Option(help="Pin one machine's key if it has this fingerprint, without asking.", metavar="SHA256:..."),
]
ReplaceOption = Annotated[
    bool, typer.Option("--replace", help="Also where another key is pinned so far: the machine was installed anew.")
]
FromOption = Annotated[
    Path | None,
    typer.Option(
        "--from",
        help="Pin what a file lists: known_hosts, the output of ssh-keyscan, a line of an authority; - for standard "
        "input.",
        metavar="FILE",
    ),
]


@dataclass(frozen=True)
class Offer:
    """What one machine shows, and what is pinned for it so far. `error` where it shows nothing."""

    name: str
    address: str
    port: int
    key: PKey | None
    pinned: tuple[PinnedKey, ...]
    error: str = ""

    @property
    def fingerprint(self) -> str:
        return fingerprint_of(self.key.asbytes()) if self.key else ""

    @property
    def is_pinned(self) -> bool:
        return self.key is not None and any(one.blob == self.key.get_base64() for one in self.pinned)


@dataclass(frozen=True)
class Decision:
    """How it came out for one machine: `pinned`, `unchanged` or `refused`, which has a reason."""

    offer: Offer
    state: str
    reason: str = ""

    def to_json(self) -> dict[str, Any]:
        return {
            "node": self.offer.name,
            "address": self.offer.address,
            "port": self.offer.port,
            "keyType": self.offer.key.get_name() if self.offer.key else None,
            "fingerprint": self.offer.fingerprint or None,
            "state": self.state,
            "reason": self.reason or None,
        }


def trust(
    selection: Selection = None,
    exclude: ExcludeOption = None,
    inventory_file: InventoryOption = INVENTORY,
    yes: YesOption = False,
    fingerprint: FingerprintOption = None,
    replace: ReplaceOption = False,
    file: FromOption = None,
    json_output: JsonOption = False,
) -> None:
    """Pin the host keys of machines in known_hosts, after you have compared their fingerprints.

    A machine that is not in the inventory yet is named by user@address[:port]. A key that is pinned is replaced by
    --replace alone. --from takes the word of a file in place of yours, and asks no machine: it says which node got
    which fingerprint, and which lines are about nobody.

    Example: slipway trust w1 --fingerprint SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU
    """
    targets = resolve(selection or (), inventory_file, exclude=exclude or ())
    if fingerprint is not None and len(targets.names) != 1:
        raise UsageError(f"--fingerprint is of one machine; {len(targets.names)} are chosen", hint="slipway trust NODE")
    if file is not None:
        if fingerprint is not None:
            raise UsageError("--fingerprint and --from say both whose key it is", hint="slipway trust --from FILE")
        listed.pin(targets, file, replace=replace, json_output=json_output)
        return
    with targets.pool as pool, Interruption(pool.shut, say).heard():
        decisions: list[Decision] = []
        for endpoints in _rounds([pool.endpoints[name] for name in targets.names], fingerprint is None):
            decisions += _round(pool, endpoints, yes, fingerprint, replace)
    if json_output:
        print_json([decision.to_json() for decision in decisions])
    _judge(decisions)


def _rounds(endpoints: Sequence[Endpoint], with_jumps: bool) -> Iterator[list[Endpoint]]:
    """Jump hosts come before the machines behind them: nothing is asked through one whose key nobody knows."""
    longest = max((len(endpoint.jump) for endpoint in endpoints), default=0)
    for number in range(longest if with_jumps else 0):
        ways = dict.fromkeys(endpoint.jump[: number + 1] for endpoint in endpoints if len(endpoint.jump) > number)
        yield [dataclasses.replace(way[-1], jump=way[:-1]) for way in ways]
    yield list(endpoints)


def _round(
    pool: Pool, endpoints: Sequence[Endpoint], yes: bool, fingerprint: str | None, replace: bool
) -> list[Decision]:
    by_name = {endpoint.name: endpoint for endpoint in endpoints}
    shown = for_each(lambda name: shown_key(by_name[name], reach=pool.jumps.reach), by_name)
    offers = [_offer(by_name[name], key, pool.known_hosts) for name, key in shown.items()]
    _require_somebody(offers, yes, fingerprint, replace)
    if len(offers) <= MOST_ROWS:
        return [_decide(offer, pool.known_hosts, yes, fingerprint, replace) for offer in offers]
    return _decide_many(offers, pool.known_hosts, yes, replace)


def _decide_many(offers: Sequence[Offer], known: KnownHosts, yes: bool, replace: bool) -> list[Decision]:
    """The same, told on a few lines: what is pinned already and what does not answer once, what is new for each."""
    decisions = [_decided(offer, known, yes, None, replace, quiet=yes or offer.is_pinned) for offer in offers]
    for decision in decisions:
        offer = decision.offer
        if offer.key and decision.state != "unchanged":
            what = decision.state if decision.state == "pinned" else f"{decision.state}: {decision.reason}"
            say(f"{offer.name} ({offer.address}): {describe(offer.key)}: {what}")
    if same := [each.offer.name for each in decisions if each.state == "unchanged"]:
        say(f"pinned already: {headed(same)}")
    for line in alike((each.offer.name, each.reason) for each in decisions if each.offer.key is None):
        say(line)
    return decisions


def _offer(endpoint: Endpoint, key: PKey | SlipwayError, known: KnownHosts) -> Offer:
    pinned = tuple(known.of(endpoint.address, endpoint.port))
    error, found = (str(key), None) if isinstance(key, SlipwayError) else ("", key)
    return Offer(endpoint.name, endpoint.address, endpoint.port, found, pinned, error)


def _require_somebody(offers: Sequence[Offer], yes: bool, fingerprint: str | None, replace: bool) -> None:
    """Before anything is pinned. The hint names no fingerprint: the one that was shown proves nothing."""
    open_ones = [each for each in offers if each.key and not each.is_pinned and (replace or not each.pinned)]
    if yes or fingerprint is not None or not open_ones or somebody_is_there():
        return
    name = open_ones[0].name
    raise UsageError(
        f"nobody is there to compare the fingerprint of {named([each.name for each in open_ones])}; read it at the "
        f"machine itself: {LOOK}",
        hint=f"slipway trust {name} --fingerprint SHA256:WHAT-THE-MACHINE-SAYS",
    )


def _decide(offer: Offer, known: KnownHosts, yes: bool, fingerprint: str | None, replace: bool) -> Decision:
    """Pin one machine's key unless somebody or something says no; say what was done."""
    decision = _decided(offer, known, yes, fingerprint, replace)
    told = {"pinned": f"pinned in {known.path}", "unchanged": "pinned already"}.get(decision.state, decision.reason)
    say(f"  {told}" if offer.key else decision.reason)
    return decision


def _decided(
    offer: Offer, known: KnownHosts, yes: bool, fingerprint: str | None, replace: bool, *, quiet: bool = False
) -> Decision:
    if offer.key is None:
        return Decision(offer, "refused", offer.error)
    if not quiet:
        say(f"{offer.name} ({offer.address}) shows {describe(offer.key)}")
    if fingerprint is not None and offer.fingerprint != fingerprint:
        return Decision(offer, "refused", f"that is not {fingerprint}: not pinned")
    if offer.is_pinned:
        return Decision(offer, "unchanged")
    for one in offer.pinned:
        say(f"  pinned so far: {one.type} {one.fingerprint} (line {one.line})")
    if offer.pinned and not replace:
        return Decision(offer, "refused", "another key is pinned: not replaced without --replace")
    if not (yes or fingerprint is not None or _agreed(offer.name)):
        return Decision(offer, "refused", "not agreed to")
    try:
        known.pin(offer.address, offer.port, offer.key)
    except InvalidInput as error:
        return Decision(offer, "refused", str(error))
    return Decision(offer, "pinned")


def _agreed(name: str) -> bool:
    say(f"  compare: {LOOK}, at the machine itself")
    return typer.confirm(f"  Is this the key of {name}?", err=True)


def _judge(decisions: Sequence[Decision]) -> None:
    """Raises Unreachable where a key was not pinned."""
    refused = [decision for decision in decisions if decision.state == "refused"]
    if not refused:
        return
    others = [decision.offer.name for decision in refused if decision.offer.pinned and decision.offer.key]
    hint = (
        f"only if {' '.join(others)} was installed anew: slipway trust {' '.join(others)} --replace"
        if others
        else f"read the fingerprint at the machine itself ({LOOK}), then slipway trust {refused[0].offer.name}"
    )
    raise Unreachable(f"not pinned: {named([decision.offer.name for decision in refused])}", hint=hint)
