"""nixos-anywhere, for a machine that runs another Linux: it starts an installer there, in memory.

Of its phases only kexec is used. It checks no host key; so the system, and the key that the node is born with, go there
by our own steps, over a connection that is held to the pinned key: the installer that kexec starts keeps the machine's.
"""

from __future__ import annotations

from slipway.errors import PrerequisiteMissing
from slipway.ssh.connection import Endpoint
from slipway.tools.run import OnLine, find_program, run

PROGRAM = "nixos-anywhere"
TIMEOUT = 1800.0
"""Seconds to fetch the installer's image, start it and have it answer."""


def require() -> None:
    """Raises PrerequisiteMissing before anything is done."""
    if find_program(PROGRAM) is None:
        raise PrerequisiteMissing(
            f"{PROGRAM} is not here; it starts an installer on a machine that runs something else",
            hint="nix shell nixpkgs#nixos-anywhere, or boot the machine from an installer: nix build .#installer",
        )


def command(endpoint: Endpoint, format_script: str, system: str) -> list[str]:
    """The command line. The two store paths are not used in this phase, but asked for."""
    argv = [PROGRAM, "--phases", "kexec", "--store-paths", format_script, system, "--build-on", "local"]
    argv += ["-i", str(endpoint.identity)] if endpoint.identity else []
    argv += ["--ssh-port", str(endpoint.port)] if endpoint.port != 22 else []
    return [*argv, "--target-host", f"{endpoint.user}@{endpoint.address}"]


def kexec(endpoint: Endpoint, format_script: str, system: str, on_line: OnLine) -> None:
    """Have an installer run there. Raises CommandFailed, CommandTimedOut or PrerequisiteMissing."""
    run(command(endpoint, format_script, system), timeout=TIMEOUT, on_line=on_line)
