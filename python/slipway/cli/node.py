"""`slipway node remove`, `slipway node replace` and `slipway reset`: machines that leave, and come back as new ones."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Annotated, Any

import typer

from slipway.cli.console import print_json, say
from slipway.cli.locked import BreakLockOption, DryRunOption, Work, YesOption, agree, at_work, rehearse
from slipway.cli.options import INVENTORY, ExcludeOption, InventoryOption, JsonOption, NoDrainOption
from slipway.cli.targets import by_name
from slipway.cluster import members, removal
from slipway.cluster.members import Membership
from slipway.cluster.removal import Standing
from slipway.errors import DeployFailed, SlipwayError, Unreachable
from slipway.inventory import Inventory, load
from slipway.inventory.load import read
from slipway.inventory.select import select
from slipway.outcome import NodeResult, Outcome
from slipway.ssh.connection import shown_key
from slipway.ssh.keys import LOOK, describe
from slipway.ssh.known_hosts import fingerprint_of
from slipway.ssh.pool import Pool, together
from slipway.verify import record

app = typer.Typer(no_args_is_help=True, help="Take a node out of its cluster, or make room for a new one in its place.")

NodeArgument = Annotated[str, typer.Argument(help="Name of the host in the inventory.", metavar="NODE")]
NodesArgument = Annotated[
    list[str], typer.Argument(help="Which machines: names, globs, @tags, roles or groups.", metavar="NODE...")
]
FingerprintOption = Annotated[
    str | None,
    typer.Option(
        help="Pin the new machine's host key in place of the old one, if it has this fingerprint (slipway trust).",
        metavar="SHA256:...",
    ),
]
_would = partial(rehearse, key="wouldLose", said="would lose")


@app.command()
def remove(
    node: NodeArgument,
    no_drain: NoDrainOption = False,
    dry_run: DryRunOption = False,
    yes: YesOption = False,
    break_lock: BreakLockOption = False,
    inventory_file: InventoryOption = INVENTORY,
    json_output: JsonOption = False,
) -> None:
    """Take a node out of its cluster for good: drain it, take a controller out of etcd, delete its Node, reset k0s.

    Refused for the last controller, and where the others would have no quorum. A machine that does not answer is taken
    out of the cluster alone. The inventory stays as it is: the line that is to be deleted is named.

    Example: slipway node remove w3

    Example: slipway node remove cp3 --dry-run
    """
    inventory = load(inventory_file)
    by_name(inventory, node)
    with at_work("node remove", inventory, break_lock=break_lock, quiet=json_output, rehearses=dry_run) as work:
        standing = removal.look(inventory, work.pool, node)
        lost = [*_leaves(standing), *of_the_machine(node, standing.machine, standing.why)]
        if dry_run:
            _would(lost, json_output)
            return
        agree(lost, f"Remove {node} from the cluster?", yes=yes)
        record.forget(inventory.root, node)
        removal.remove(inventory, work.pool, work.events, standing, drains=not no_drain)
        work.nodes.append(NodeResult(node, Outcome.OK, "removed from the cluster"))
        following = [f"delete {node} from the inventory: {_place(inventory, node)}", "slipway generate; slipway deploy"]
        _told(work, json_output, following)


@app.command()
def replace(
    node: NodeArgument,
    fingerprint: FingerprintOption = None,
    dry_run: DryRunOption = False,
    yes: YesOption = False,
    break_lock: BreakLockOption = False,
    inventory_file: InventoryOption = INVENTORY,
    json_output: JsonOption = False,
) -> None:
    """Make room for a new machine with the name and address of one that is lost: out of etcd first, then its Node.

    The new machine then joins by `slipway deploy`. Its host key is pinned with --fingerprint alone, as by `slipway
    trust --replace`.

    Example: slipway node replace cp2 --fingerprint SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU
    """
    inventory = load(inventory_file)
    by_name(inventory, node)
    with at_work("node replace", inventory, break_lock=break_lock, quiet=json_output, rehearses=dry_run) as work:
        if fingerprint is not None:
            _repin(work.pool, node, fingerprint, dry_run=dry_run)
        standing = removal.look(inventory, work.pool, node)
        removal.require_gone(standing)
        lost = list(_leaves(standing))
        lost += [f"{node} does not answer; if it still runs somewhere, it is cut off for good"] if standing.why else []
        if dry_run:
            _would(lost, json_output)
            return
        agree(lost, f"Give {node}'s place in the cluster to a new machine?", yes=yes)
        record.forget(inventory.root, node)
        removal.forget(inventory, work.pool, work.events, standing)
        work.nodes.append(NodeResult(node, Outcome.OK, "its place in the cluster is free"))
        trust = [] if fingerprint or not standing.why else [f"slipway trust {node} --replace, when it is installed"]
        _told(work, json_output, [*trust, f"slipway deploy {node}"])


def reset(
    nodes: NodesArgument,
    exclude: ExcludeOption = None,
    dry_run: DryRunOption = False,
    yes: YesOption = False,
    break_lock: BreakLockOption = False,
    inventory_file: InventoryOption = INVENTORY,
    json_output: JsonOption = False,
) -> None:
    """Take k0s's data, keys and tokens off machines: what they have of a cluster is lost.

    Refused for a member of a cluster that goes on without these machines: `slipway node remove` is for that one.

    Example: slipway reset w3

    Example: slipway reset controller --dry-run
    """
    inventory = load(inventory_file)
    names = [host.name for host in select(inventory, nodes, exclude or ())]
    with at_work("reset", inventory, break_lock=break_lock, quiet=json_output, rehearses=dry_run) as work:
        seen = seen_of(work.pool, names)
        removal.require_forgotten(inventory, work.pool, names)
        lost = [line for name in names for line in of_the_machine(name, seen[name], "")]
        if dry_run:
            _would(lost, json_output)
            return
        agree(lost, f"Reset {' '.join(names)}?", yes=yes)
        for name in names:
            record.forget(inventory.root, name)
        answers = work.pool.map(removal.wipe, names, limit=inventory.deploy.parallel)
        for name, answer in answers.items():
            result = _reset(name, answer)
            work.events.emit("reset", "done" if result.outcome.good else "failed", name, reason=result.reason)
            work.nodes.append(result)
        done = [node.node for node in work.nodes if node.outcome.good]
        _told(work, json_output, _after_reset(done) if done else [])
        _require_reset(work.nodes)


def _reset(name: str, answer: SlipwayError | None) -> NodeResult:
    if answer is None:
        return NodeResult(name, Outcome.OK, "k0s has nothing left on the machine")
    outcome = Outcome.UNREACHABLE if isinstance(answer, Unreachable) else Outcome.DEGRADED
    return NodeResult(name, outcome, f"not reset: {answer}")


def _after_reset(names: Sequence[str]) -> Sequence[str]:
    shown = " ".join(names)
    return [
        f"slipway reboot --no-drain {shown}, before k0s runs there again: what the network left in the kernel goes",
        f"slipway deploy {shown}, or a backup: slipway restore FILE",
    ]


def _require_reset(nodes: Sequence[NodeResult]) -> None:
    bad = [node for node in nodes if not node.outcome.good]
    if bad:
        away, names = all(node.outcome is Outcome.UNREACHABLE for node in bad), [node.node for node in bad]
        kind = Unreachable if away else DeployFailed
        raise kind(f"not reset: {', '.join(names)}", hint=f"slipway reset {' '.join(names)}")


def seen_of(pool: Pool, names: Sequence[str]) -> dict[str, Membership]:
    """What each machine holds of a cluster. Raises Unreachable with what those say that do not answer."""
    answers = pool.map(members.look, names)
    lost = {name: answer for name, answer in answers.items() if isinstance(answer, SlipwayError)}
    if lost:
        raise together(lost, "slipway status")
    return {name: answer for name, answer in answers.items() if isinstance(answer, Membership)}


def _leaves(standing: Standing) -> list[str]:
    """What the cluster loses."""
    name, rest = standing.host.name, len(standing.members) - 1
    lines = [f"{name}: its Node goes, and with it labels, taints and the pods that stay there"] if standing.node else []
    if standing.etcd:
        even = "" if rest % 2 else "; an even number stands no more failures than one less"
        lines.append(f"{name}: out of etcd ({standing.etcd}), which has {rest} members then{even}")
    return lines or [f"{name}: the cluster knows nothing of it"]


def of_the_machine(name: str, seen: Membership | None, why: str) -> list[str]:
    """What is lost with the data of a machine, in words; `why` it does not answer where nothing was seen."""
    if seen is None:
        return [f"{name}: does not answer and keeps its data and keys; if it comes back: slipway reset {name} ({why})"]
    lines = []
    if seen.control_plane:
        lines.append(f"{name}: the control plane's data and keys there (cluster {seen.ca[:12] or 'unknown'}): etcd, CA")
    if seen.kubelet:
        lines.append(f"{name}: its kubelet's certificate, its containers, and what pods keep below /var/lib/k0s")
    return lines or [f"{name}: has no part in a cluster"]


def _repin(pool: Pool, node: str, fingerprint: str, *, dry_run: bool) -> None:
    endpoint = pool.endpoints[node]
    key = shown_key(endpoint, reach=pool.jumps.reach)
    if fingerprint_of(key.asbytes()) != fingerprint:
        raise Unreachable(f"{node} ({endpoint.address}) shows {describe(key)}, that is not {fingerprint}: not pinned",
                          hint=f"{LOOK}, at the machine itself")  # fmt: skip
    if not dry_run:
        pool.known_hosts.pin(endpoint.address, endpoint.port, key)
        say(f"pinned {describe(key)} in {pool.known_hosts.path}")


def _place(inventory: Inventory, node: str) -> str:
    source, _ = read(inventory.path)
    return str(source.place(("hosts", node), key=True))


def _told(work: Work, json_output: bool, following: Sequence[str]) -> None:
    if json_output:
        result: dict[str, Any] = {"nodes": [node.to_json() for node in work.nodes], "next": list(following)}
        print_json(result)
        return
    for node in work.nodes:
        say(f"{node.node}: {node.reason}")
    for line in following:
        say(f"next: {line}")
