"""How a node came out of a run."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from slipway.errors import SlipwayError, Unreachable


class Outcome(StrEnum):
    """The words that users, reports and events use for a node."""

    OK = "ok"
    UNCHANGED = "unchanged"
    DEGRADED = "degraded"
    ACTIVATION_FAILED = "activation-failed"
    REBOOT_REQUIRED = "reboot-required"
    BLOCKED = "blocked"
    ROLLED_BACK = "rolled-back"
    UNREACHABLE = "unreachable"
    SKIPPED = "skipped"

    @property
    def good(self) -> bool:
        return self in (Outcome.OK, Outcome.UNCHANGED)


@dataclass(frozen=True)
class NodeResult:
    """One node of one run. `duration` in seconds; systems are store paths of toplevels."""

    node: str
    outcome: Outcome
    reason: str = ""
    duration: float = 0.0
    log: str = ""
    old_system: str | None = None
    new_system: str | None = None
    hint: str = ""
    """What to do about it, in words or as a command; empty where nothing is known but to try again."""
    untrusted: bool = False
    """Its machine shows a host key that is not pinned for it."""

    def to_json(self) -> dict[str, Any]:
        return {
            "node": self.node,
            "outcome": self.outcome.value,
            "reason": self.reason,
            "duration": round(self.duration, 3),
            "log": self.log,
            "hint": self.hint or None,
            "oldSystem": self.old_system,
            "newSystem": self.new_system,
        }


def outcome_of(error: SlipwayError) -> Outcome:
    """What an error before the activation says about its node."""
    return Outcome.UNREACHABLE if isinstance(error, Unreachable) else Outcome.BLOCKED
