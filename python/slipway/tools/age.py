"""The programs age-keygen and age: key pairs that SOPS encrypts to, and files that are encrypted as a whole."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from slipway.errors import PrerequisiteMissing, SlipwayError
from slipway.result import CommandFailed
from slipway.secret import Secret
from slipway.tools.run import run

FILE_TIMEOUT = 300.0
"""Seconds for encrypting or decrypting one file."""

_PRIVATE = re.compile(r"^(AGE-SECRET-KEY-1[0-9A-Z]+)\s*$", re.MULTILINE)


@dataclass(frozen=True)
class KeyPair:
    """`public` is the recipient (age1...) that anybody may see; `private` the identity (AGE-SECRET-KEY-1...)."""

    public: str
    private: Secret


def generate() -> KeyPair:
    """A new X25519 key pair; nothing is written to a file."""
    (private,) = identities(Secret(run(["age-keygen"], timeout=30.0).stdout))
    return KeyPair(public_key(private), private)


def public_key(private: Secret) -> str:
    """The recipient that belongs to an identity."""
    return run(["age-keygen", "-y"], input=private, timeout=30.0).stdout.strip()


def identities(key_file: Secret) -> tuple[Secret, ...]:
    """The identities in the text of a key file, whose other lines are comments. Raises if there is none."""
    found = tuple(Secret(line) for line in _PRIVATE.findall(key_file.reveal().decode(errors="replace")))
    if not found:
        raise SlipwayError("no age identity (AGE-SECRET-KEY-1...) in the key file")
    return found


def encrypt(plain: Secret, recipients: Sequence[str], path: Path) -> None:
    """Encrypt to all these recipients into a new file, which none but its owner can read. Raises FileExistsError."""
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600))
    try:
        to = [word for each in recipients for word in ("--recipient", each)]
        run(["age", "--encrypt", *to, "--output", path], input=plain, timeout=FILE_TIMEOUT)
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def decrypt(path: Path, identity: Secret) -> Secret:
    """The content of a file that is encrypted to this identity; it comes into memory alone.

    Raises PrerequisiteMissing where it is encrypted to others.
    """
    descriptor = os.memfd_create("slipway-decrypted")
    try:
        with identity.as_file() as key:
            out = f"/proc/{os.getpid()}/fd/{descriptor}"
            run(["age", "--decrypt", "--identity", key, "--output", out, path], timeout=FILE_TIMEOUT)
        with os.fdopen(os.dup(descriptor), "rb") as stream:
            stream.seek(0)
            return Secret(stream.read())
    except CommandFailed as failed:
        if "no identity matched" in failed.result.stderr:
            raise PrerequisiteMissing(
                f"{path}: none of the age keys on this machine opens it",
                hint="put the cluster's age key into ~/.config/sops/age/keys.txt, or name its file in "
                "SOPS_AGE_KEY_FILE",
            ) from None
        raise
    finally:
        os.close(descriptor)
