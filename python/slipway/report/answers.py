"""What nodes answered to one command, as text: equal answers once, with the names of those who gave them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from slipway.groups import headed
from slipway.rollout.ask import Answer

MOST_LINES = 100
"""Lines of one answer that are shown, its last ones; --json has all of them."""


def render(groups: Sequence[tuple[Sequence[str], Answer]]) -> Iterator[str]:
    """A head per group; what its nodes said is set apart, so that no line of it can be taken for one of ours."""
    for names, answer in groups:
        yield f"{headed(names)}: {answer.error.partition(chr(10))[0] or f'exit code {answer.exit_code}'}"
        yield from _shown(answer.error.splitlines()[1:], "")
        yield from _shown(answer.stdout.splitlines(), "")
        yield from _shown(answer.stderr.splitlines(), "stderr: ")


def _shown(lines: Sequence[str], what: str) -> Iterator[str]:
    if len(lines) > MOST_LINES:
        yield f"    ({len(lines) - MOST_LINES} lines before these: --json has them)"
    for line in lines[-MOST_LINES:]:
        yield f"    {what}{line}"
