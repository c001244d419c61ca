"""Which k0s the machines of a lab have: the stand-in, or a real one; chosen when the lab is made, kept for its life."""

from __future__ import annotations

import filecmp
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from slipway.errors import SlipwayError, UsageError
from slipway.events import Events
from slipway.lab import elf, images, releases, state
from slipway.lab.builds import K0s
from slipway.lab.settings import Lab
from slipway.tools.run import run

NAMED = "SLIPWAY_LAB_K0S"
"""Environment variable with the path of a real k0s for a new lab."""
ASK_TIMEOUT = 20.0
"""Seconds for k0s to tell its version or its images."""
PROGRAMS_INSIDE = 1 << 20
"""Bytes behind the end of a k0s program that tell of its own kubelet, etcd and the rest: 150 MB, or none."""

_WRAPPER = Path(__file__).with_name("k0s.sh")


@dataclass(frozen=True)
class Choice:
    """The k0s of a lab, and for a real one what it says of its version, such as v1.36.3+k0s.2."""

    kind: K0s
    version: str = ""

    def __str__(self) -> str:
        inside = {K0s.BARE: ", the programs that it starts are the lab's", K0s.RELEASED: ""}
        return "the stand-in for k0s" if self.kind is K0s.STAND_IN else f"k0s {self.version}{inside[self.kind]}"


def chosen(lab: Lab) -> Choice:
    """What the lab's machines have, or get if there are none yet."""
    if not lab.k0s.exists():
        return Choice(K0s.STAND_IN)
    kind = K0s.RELEASED if elf.attached(_program(lab)) > PROGRAMS_INSIDE else K0s.BARE
    return Choice(kind, (lab.k0s / "version").read_text().strip())


def settle(lab: Lab, events: Events, release: str | None = None) -> Choice:
    """Choose for a lab without machines: this release, else the file that SLIPWAY_LAB_K0S names, else the stand-in.

    A lab with machines keeps what it has. Raises UsageError where something else is asked for, or the file is no k0s;
    LockedByAnother; and what releases.k0s raises.
    """
    named = None if release or not os.environ.get(NAMED) else Path(os.environ[NAMED])
    with state.locked(lab):
        if state.recorded(lab):
            _refuse_another(lab, release, named)
        else:
            _take(lab, releases.k0s(release, events) if release else named)
    return chosen(lab)


def make_images(lab: Lab, events: Events) -> tuple[Path, ...]:
    """Archives of the images that the lab's real k0s asks for, in the lab's own folder; none for the stand-in."""
    if chosen(lab).kind is K0s.STAND_IN:
        return ()
    wanted = _say(_program(lab), "airgap", "list-images", "--all").split()
    return images.ensure_for_k0s(wanted, lab.k0s / "images", events)


def _program(lab: Lab) -> Path:
    return lab.k0s / "bin" / "real" / "k0s"


def _refuse_another(lab: Lab, release: str | None, named: Path | None) -> None:
    there = chosen(lab)
    asked = f"--k0s {release}" if release else f"{NAMED}={named}"
    other_release = release is not None and there.version != f"v{release}"
    other_file = named is not None and (there.kind is K0s.STAND_IN or not _same(named, _program(lab)))
    if other_release or other_file:
        raise UsageError(
            f"{asked}: the machines of this lab have {there}, for as long as the lab lives",
            hint="slipway lab down, then up again; or another lab beside it: slipway lab up --lab N",
        )


def _same(one: Path, other: Path) -> bool:
    try:
        return filecmp.cmp(one, other, shallow=False)
    except OSError:
        return False


def _take(lab: Lab, program: Path | None) -> None:
    """Put the program, and what starts it, where the lab's machines see them; by one rename."""
    shutil.rmtree(lab.k0s, ignore_errors=True)
    if program is None:
        return
    draft = lab.k0s.with_name(".k0s")
    shutil.rmtree(draft, ignore_errors=True)
    for folder in (draft / "bin" / "real", draft / "images"):
        folder.mkdir(parents=True)
    copy = draft / "bin" / "real" / "k0s"
    for source, target in ((_WRAPPER, draft / "bin" / "k0s"), (program, copy)):
        _copy(source, target)
    (draft / "version").write_text(f"{_version(copy, program)}\n")
    draft.rename(lab.k0s)


def _copy(source: Path, target: Path) -> None:
    try:
        shutil.copyfile(source, target)
    except OSError as error:
        raise UsageError(f"{source}: {error.strerror}", hint=f"{NAMED} must name a program that can be read") from error
    target.chmod(0o755)


def _version(program: Path, given: Path) -> str:
    hint = f"{given} version"
    try:
        said = _say(program, "version").split()
    except (SlipwayError, OSError) as error:
        raise UsageError(f"{given}: it does not tell its version as k0s does: {error}", hint=hint) from error
    if not said:
        raise UsageError(f"{given}: it does not tell its version as k0s does", hint=hint)
    return said[0]


def _say(program: Path, *words: str) -> str:
    return run([program, *words], timeout=ASK_TIMEOUT).stdout
