"""Verifications of before: each whole in the folder of its run, `.slipway/runs/RUN/verification.json`.

They are for people, to compare and to look back; the gate reads records alone (record.py), which are sealed.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from slipway.errors import InvalidInput, UsageError
from slipway.paths import state_dir
from slipway.verify.result import Verification
from slipway.words import to_json

FILE = "verification.json"
KEPT = 200
"""Verifications that are kept whole; of a hundred nodes each takes some MB."""
LAST = "last"


@dataclass(frozen=True)
class Kept:
    """A verification with the run that it was part of. Ids of runs sort by time."""

    run: str
    found: Verification


def keep(root: Path, folder: Path, found: Verification) -> None:
    """Write it into the folder of its run, and let go of those that are older than KEPT others."""
    (folder / FILE).write_text(to_json(found.to_json()) + "\n", encoding="utf-8")
    for path in _files(root)[:-KEPT]:
        path.unlink(missing_ok=True)


def runs(root: Path) -> tuple[str, ...]:
    """Ids of the runs that verified something, oldest first."""
    return tuple(path.parent.name for path in _files(root))


def find(root: Path, name: str) -> Kept:
    """The verification of the run `name`: its id, a part of it that no other begins with, `last`, or `last~1` for the
    one before. Raises UsageError where there is none or more than one, InvalidInput for a file that is none."""
    known = runs(root)
    run = _counted_back(name, known) if name.partition("~")[0] == LAST else _begun(name, known)
    return Kept(run, _read(state_dir(root) / "runs" / run / FILE))


def newest(root: Path, number: int) -> list[Kept]:
    """The newest verifications, oldest first; a file that cannot be read is left out, since this is for a drawing."""
    found: list[Kept] = []
    for path in _files(root)[-number:]:
        try:
            found.append(Kept(path.parent.name, _read(path)))
        except InvalidInput:
            continue
    return found


def _files(root: Path) -> list[Path]:
    return sorted((state_dir(root) / "runs").glob(f"*/{FILE}"))


def _counted_back(name: str, known: tuple[str, ...]) -> str:
    back = name.removeprefix(LAST).removeprefix("~") or "0"
    if not back.isdecimal() or int(back) >= len(known):
        raise UsageError(f"{name}: {_there_are(known)}", hint="slipway verify")
    return known[-1 - int(back)]


def _begun(name: str, known: tuple[str, ...]) -> str:
    found = [run for run in known if run.startswith(name)]
    if name in found or len(found) == 1:
        return name if name in found else found[0]
    if found:
        raise UsageError(f"{name}: {len(found)} runs begin so: {', '.join(found[:3])}", hint="name more of it")
    raise UsageError(f"no run {name} verified anything here; {_there_are(known)}", hint="slipway verify")


def _there_are(known: tuple[str, ...]) -> str:
    return f"there are {len(known)}, the newest {known[-1]}" if known else "there is none yet"


def _read(path: Path) -> Verification:
    try:
        return Verification.of_json(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InvalidInput(f"{path}: not a verification ({error!r})", hint=f"rm {path}") from None
