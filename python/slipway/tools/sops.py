"""The program sops. Plaintext goes in by standard input and comes out into a Secret: it never meets a disk or argv."""

from __future__ import annotations

from pathlib import Path

from slipway.errors import InvalidInput, PrerequisiteMissing
from slipway.result import CommandFailed
from slipway.secret import Secret
from slipway.tools.run import run

CANNOT_GET_DATA_KEY = 128
"""Exit code of sops when none of the identities at hand opens the file (sops, cmd/sops/codes)."""

METADATA_NOT_FOUND = "sops metadata not found"
_TIMEOUT = 30.0


def encrypt(plain: Secret, root: Path, name: Path) -> bytes:
    """The YAML `plain` encrypted under the rule that .sops.yaml of `root` has for the file `name` (relative to it)."""
    argv: list[str | Path] = ["sops", "--config", root.resolve() / ".sops.yaml", "encrypt"]
    shape: list[str | Path] = ["--input-type", "yaml", "--output-type", "yaml", "--filename-override", name]
    return run([*argv, *shape], input=plain, cwd=root, timeout=_TIMEOUT).stdout.encode()


def decrypt(path: Path) -> Secret:
    """The plaintext of an encrypted YAML file, with the keys that sops finds by itself.

    Raises InvalidInput for a file that is not encrypted, PrerequisiteMissing where no key at hand opens it.
    """
    argv: list[str | Path] = ["sops", "decrypt", "--input-type", "yaml", "--output-type", "yaml", path]
    try:
        return Secret(run(argv, timeout=_TIMEOUT).stdout)
    except CommandFailed as failed:
        raise _explained(path, failed) from None


def _explained(path: Path, failed: CommandFailed) -> Exception:
    if failed.result.exit_code == CANNOT_GET_DATA_KEY:
        return PrerequisiteMissing(
            f"{path}: none of the age keys on this machine opens it",
            hint="put the cluster's age key into ~/.config/sops/age/keys.txt, or name its file in SOPS_AGE_KEY_FILE",
        )
    if METADATA_NOT_FOUND in failed.result.stderr:
        return InvalidInput(f"{path}: is not encrypted, its content must not be in Git", hint=f"sops encrypt -i {path}")
    return failed
