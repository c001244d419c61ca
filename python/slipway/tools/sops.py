"""The program sops. Plaintext goes in by standard input and comes out into a Secret: it never meets a disk or argv."""

from __future__ import annotations

from pathlib import Path

import yaml

from slipway.errors import InvalidInput, PrerequisiteMissing
from slipway.result import NO_SENSE, CommandFailed
from slipway.secret import Secret
from slipway.tools.run import run

CANNOT_GET_DATA_KEY = 128
"""Exit code of sops when none of the identities at hand opens the file (sops, cmd/sops/codes)."""

METADATA_NOT_FOUND = "sops metadata not found"
NOWHERE = "/nonexistent"
_UNSET = ("-u", "SOPS_AGE_KEY", "-u", "SOPS_AGE_KEY_CMD", "-u", "SOPS_AGE_SSH_PRIVATE_KEY_FILE")
_TIMEOUT = 30.0


def encrypt(plain: Secret, root: Path, name: Path) -> bytes:
    """The YAML `plain` encrypted under the rule that .sops.yaml of `root` has for the file `name` (relative to it)."""
    argv: list[str | Path] = ["sops", "--config", root.resolve() / ".sops.yaml", "encrypt"]
    shape: list[str | Path] = ["--input-type", "yaml", "--output-type", "yaml", "--filename-override", name]
    return run([*argv, *shape], input=plain, cwd=root, timeout=_TIMEOUT).stdout.encode()


def decrypt(path: Path, identity: Secret | None = None) -> Secret:
    """The plaintext of an encrypted YAML file, with the keys that sops finds by itself; or with `identity` alone.

    Raises InvalidInput for a file that is not encrypted, PrerequisiteMissing where no key at hand opens it.
    """
    try:
        return _decrypted(path, identity)
    except CommandFailed as failed:
        raise _explained(path, failed, alone=identity is not None) from None


def decrypt_bytes(encrypted: bytes, place: str, identity: Secret | None = None) -> Secret:
    """The same for what lies in no file, such as an older state in Git; `place` is its name for people."""
    try:
        with Secret(encrypted).as_file() as path:
            return _decrypted(path, identity)
    except CommandFailed as failed:
        raise _explained(place, failed, alone=identity is not None) from None


def _decrypted(path: str | Path, identity: Secret | None) -> Secret:
    argv: list[str | Path] = ["sops", "decrypt", "--input-type", "yaml", "--output-type", "yaml", path]
    if identity is None:
        return Secret(run(argv, timeout=_TIMEOUT).stdout)
    with identity.as_file() as key:
        # Without what sops would look at beside: its own variables, the user's key file, and SSH keys.
        alone = {"SOPS_AGE_KEY_FILE": key, "XDG_CONFIG_HOME": NOWHERE, "HOME": NOWHERE}
        return Secret(run(["env", *_UNSET, *argv], env=alone, timeout=_TIMEOUT).stdout)


def recipients(encrypted: bytes) -> tuple[str, ...]:
    """The age recipients that an encrypted YAML file was encrypted to (sops.age[].recipient in each of its documents).
    Empty if it is none."""
    try:
        listed = [document["sops"]["age"] for document in yaml.safe_load_all(encrypted) if document]
        return tuple(dict.fromkeys(str(each["recipient"]) for several in listed for each in several))
    except (yaml.YAMLError, *NO_SENSE):
        return ()


def _explained(path: str | Path, failed: CommandFailed, *, alone: bool) -> Exception:
    if failed.result.exit_code == CANNOT_GET_DATA_KEY and alone:
        return PrerequisiteMissing(f"{path}: the age key does not open it", hint="slipway secrets rotate recipients")
    if failed.result.exit_code == CANNOT_GET_DATA_KEY:
        return PrerequisiteMissing(
            f"{path}: none of the age keys on this machine opens it",
            hint="put the cluster's age key into ~/.config/sops/age/keys.txt, or name its file in SOPS_AGE_KEY_FILE",
        )
    if METADATA_NOT_FOUND in failed.result.stderr:
        return InvalidInput(f"{path}: is not encrypted, its content must not be in Git", hint=f"sops encrypt -i {path}")
    return failed
