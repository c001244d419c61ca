"""The last stage that a lab has: it decides what is built for it, which images its machines get, and its inventory.

Chosen when the lab is made, and kept for its life, since machines take images from the lab's store at their start.
"""

from __future__ import annotations

from pathlib import Path

from slipway.errors import UsageError
from slipway.generate.gitops.apps import APPS_STAGE, BASE, BOOTSTRAP
from slipway.lab import state
from slipway.lab.settings import Lab

STAGES = (BOOTSTRAP, BASE, APPS_STAGE)
"""Those of which the lab has the programs."""


def chosen(lab: Lab) -> str:
    """What the lab has, or gets if it has no machines yet."""
    return _file(lab).read_text().strip() if _file(lab).exists() else BOOTSTRAP


def known(asked: str | None) -> str:
    """The stage that was asked for, else bootstrap. Raises UsageError for one that no lab has."""
    if asked is not None and asked not in STAGES:
        raise UsageError(
            f"--until {asked}: a lab has {', '.join(STAGES[:-1])} or {STAGES[-1]}", hint="slipway lab up --help"
        )
    return asked or BOOTSTRAP


def settle(lab: Lab, asked: str | None = None) -> str:
    """Choose for a lab without machines: this stage, else bootstrap. A lab with machines keeps what it has.

    Raises UsageError for a stage that no lab has, or that this one was not made for; LockedByAnother.
    """
    wanted = known(asked)
    with state.locked(lab):
        if not state.recorded(lab):
            _file(lab).parent.mkdir(parents=True, exist_ok=True)
            _file(lab).write_text(f"{wanted}\n")
        elif asked is not None and asked != chosen(lab):
            raise UsageError(
                f"--until {asked}: this lab was made for {chosen(lab)}, for as long as it lives",
                hint="slipway lab down, then up again; or another lab beside it: slipway lab up --lab N",
            )
    return chosen(lab)


def _file(lab: Lab) -> Path:
    return lab.state / "until"
