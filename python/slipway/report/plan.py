"""A plan for people: readable for three nodes and for three hundred, in a terminal and in a file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from textwrap import fill

from slipway.inventory import Role
from slipway.rollout.plan import NodePlan, Plan
from slipway.words import counted, in_bytes

SHOWN = 8
"""Names, or packages that are built anew, that are told one by one."""


def render(plan: Plan, width: int) -> Iterator[str]:
    """Lines of at most `width` columns, as far as their words are not longer."""
    for group in plan.groups:
        yield from _wrapped(f"{_title(group)}: {'unchanged' if not group[0].pending else _names(group)}", width, "")
        yield from (line for text in _details(group) for line in _wrapped(text, width, "  "))
    yield from (line for text in _failed(plan.nodes) for line in _wrapped(text, width, ""))
    changes = [f"the cluster: slipway {step}" for step in plan.cluster]
    changes += [f"not as the inventory has it: {each}; {each.way}" for each in plan.differences]
    changes += [f"not compared with the living cluster: {plan.not_compared}"] if plan.not_compared else []
    changes += [f"a deploy would change nothing: {error}" for error in plan.refused]
    yield from (line for text in changes for line in _wrapped(text, width, ""))
    if plan.waves:
        yield "in this order:"
        for number, wave in enumerate(plan.waves, 1):
            count = f" ({len(wave.nodes)} nodes)" if len(wave.nodes) > 1 else ""
            yield from _wrapped(f"{number}. {wave.title}{count}", width, "  ")


def _failed(nodes: Sequence[NodePlan]) -> Iterator[str]:
    """Units that have failed already, told once for all nodes with the same ones."""
    found: dict[tuple[str, ...], list[str]] = {}
    for node in nodes:
        if node.failed_units:
            found.setdefault(node.failed_units, []).append(node.node)
    for units, names in found.items():
        yield f"{_some(names, ' ')}: failed already: {_some(units)}; degraded (exit 7) until that is mended"


def _title(group: Sequence[NodePlan]) -> str:
    kind = "worker" if group[0].role == Role.WORKER else "controller"
    return f"{counted(len(group), kind)}"


def _names(group: Sequence[NodePlan]) -> str:
    return _some([node.node for node in group], " ")


def _some(words: Sequence[str], between: str = ", ") -> str:
    more = f"{between}and {len(words) - SHOWN} more" if len(words) > SHOWN else ""
    return between.join(words[:SHOWN]) + more


def _details(group: Sequence[NodePlan]) -> Iterator[str]:
    one = group[0]
    if not one.pending:
        yield _names(group)
        return
    yield from one.packages
    if one.rebuilt:
        yield f"built anew: {_some(one.rebuilt)}"
    yield from (f"k0s: {line}" if not line.startswith("k0s") else line for line in one.k0s)
    yield from _units(group)
    yield from (f"slipway {step}" for step in one.slipway)
    if one.drain:
        yield "drained before it"
    if one.reboot:
        yield f"a reboot is needed for: {', '.join(one.reboot)} (slipway deploy --reboot auto)"
    copied = [node.copy_bytes for node in group if node.copy_paths]
    if copied:
        most = f", {in_bytes(max(copied))} at most a node" if len(copied) > 1 else ""
        yield f"to copy: {in_bytes(sum(copied))}{most}"


def _units(group: Sequence[NodePlan]) -> Iterator[str]:
    one = group[0]
    if not one.changed:
        return
    if not one.asked:
        yield "units: only a node that has the system can say (slipway plan without --no-copy)"
        return
    by = f", as {one.asked} says" if len(group) > 1 else ""
    if not one.activation:
        yield f"units: none{by}"
    for line in one.activation:
        yield f"{line}{by}"


def _wrapped(text: str, width: int, indent: str) -> Iterator[str]:
    hanging = f"{indent}    "
    whole = fill(
        text,
        width,
        initial_indent=indent,
        subsequent_indent=hanging,
        break_long_words=False,
        break_on_hyphens=False,
    )
    yield from whole.splitlines()
