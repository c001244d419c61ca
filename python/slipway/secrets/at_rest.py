"""The keys for encryption at rest in a repository: secrets/encryption.sops.yaml, with two of them while they change.

It has the form of a Secret and is never applied. `key` is what the API servers write with, `other` what they only read
by; `name` and `other-name` are stored with what these encrypt.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path

from slipway.cluster.encryption import FIRST_NAME, Key, Keys
from slipway.cluster.rekeying import Holding
from slipway.errors import InvalidInput
from slipway.paths import ENCRYPTION_KEY
from slipway.result import NO_SENSE
from slipway.secret import Secret
from slipway.secrets import manifest, store
from slipway.secrets.forms import KEY_BYTES
from slipway.secrets.manifest import Values

FIELDS = (("key", "name"), ("other", "other-name"))
NAME = re.compile(r"[a-z0-9-]{1,40}")
NUMBERED = re.compile(rf"{FIRST_NAME}-([0-9]{{1,6}})")


def read(root: Path) -> Keys:
    """Decrypt them. Raises InvalidInput where there are none, or no such ones."""
    plain = store.decrypt(root, ENCRYPTION_KEY)
    try:
        values = manifest.read(plain, ENCRYPTION_KEY).values
        every = tuple(_key(values, *fields) for fields in FIELDS if fields[0] in values or fields == FIELDS[0])
    except (InvalidInput, *NO_SENSE):
        every = ()
    if not every or len({key.name for key in every}) != len(every):
        # Without the cause: it may hold a part of a key.
        raise InvalidInput(
            f"{root / ENCRYPTION_KEY}: data.key, or data.other, is not {KEY_BYTES} bytes in base64 with its own name",
            hint=f"git log -- {ENCRYPTION_KEY}; a cluster cannot read its Secrets by any other key",
        ) from None
    return Keys(every)


def _key(values: Values, field: str, named: str) -> Key:
    name = values[named].reveal().decode() if named in values else FIRST_NAME
    if len(values[field].reveal()) != KEY_BYTES or not NAME.fullmatch(name):
        raise ValueError(field)
    return Key(name, values[field])


def write(root: Path, keys: Keys) -> Path:
    """Encrypt them into the file, whole or not at all."""
    values: dict[str, bytes] = {}
    for key, (field, named) in zip(keys.every, FIELDS, strict=False):
        values |= {field: key.secret.reveal(), named: key.name.encode()}
    return store.rewritten(root, ENCRYPTION_KEY, store.kubernetes_secret("kube-system", "encryption", values))


class Step(StrEnum):
    """What a change of keys needs next."""

    DEPLOY = "deploy"
    """Bring the file to the controllers."""
    BEGIN = "begin"
    """Nothing is under way: a new key may come."""
    PROMOTE = "promote"
    """All read by the new key: it may be written with."""
    FINISH = "finish"
    """All write with it: store every Secret anew, and let the old key go."""


def step(keys: Keys, seen: Mapping[str, Holding]) -> Step:
    """Pure; `seen` is what every controller of the inventory holds."""
    if any(each.keys != keys.marks or not each.writes for each in seen.values()):
        return Step.DEPLOY
    if len(keys.every) == 1:
        return Step.BEGIN
    return Step.FINISH if keys.writer == newest(keys) else Step.PROMOTE


def with_a_new_one(keys: Keys) -> Keys:
    """A new key beside the one that is written with, to read by at first."""
    number = max((_number(key) for key in keys.every), default=1) + 1
    return Keys((keys.writer, Key(f"{FIRST_NAME}-{number}", Secret(secrets.token_bytes(KEY_BYTES)))))


def newest(keys: Keys) -> Key:
    return max(keys.every, key=_number)


def promoted(keys: Keys) -> Keys:
    """The newest is written with, the other one still read by."""
    return Keys(tuple(sorted(keys.every, key=_number, reverse=True)))


def alone(keys: Keys) -> Keys:
    """Only what is written with."""
    return Keys((keys.writer,))


def _number(key: Key) -> int:
    found = NUMBERED.fullmatch(key.name)
    return int(found[1]) if found else 1
