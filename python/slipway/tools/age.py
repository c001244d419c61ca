"""The program age-keygen: key pairs that SOPS encrypts to."""

from __future__ import annotations

import re
from dataclasses import dataclass

from slipway.errors import SlipwayError
from slipway.secret import Secret
from slipway.tools.run import run

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
