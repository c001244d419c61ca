"""The seal of a record: who has the deployer's key wrote it, and nobody changed it since.

The key is made by the first verification, in the user's own state folder: neither the repository nor a node has it.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from slipway import inside
from slipway.errors import InvalidInput
from slipway.paths import user_state_dir

KEY_BYTES = 32


def key_file() -> Path:
    return user_state_dir() / "gate.key"


def of(fields: Mapping[str, Any]) -> str:
    """The seal of these fields, HMAC-SHA-256 in hex; makes the key if there is none."""
    return _hmac(_key() or _new_key(), fields)


def holds(seal: str, fields: Mapping[str, Any]) -> bool:
    """Whether `seal` was made of these fields, with the key of this deployer."""
    key = _key()
    return key is not None and hmac.compare_digest(seal.encode(), _hmac(key, fields).encode())


def _hmac(key: bytes, fields: Mapping[str, Any]) -> str:
    text = json.dumps(fields, sort_keys=True, separators=(",", ":"))
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()


def _key() -> bytes | None:
    """Raises InvalidInput for a key that others may know, or that is none."""
    path = key_file()
    try:
        mode, content = path.stat().st_mode, path.read_bytes()
    except FileNotFoundError:
        return None
    if mode & 0o077:
        raise InvalidInput(f"{path}: others can read the key that seals records", hint=f"rm {path}; slipway verify")
    if len(content) != KEY_BYTES:
        raise InvalidInput(f"{path}: not a key of {KEY_BYTES} bytes", hint=f"rm {path}; slipway verify")
    return content


def _new_key() -> bytes:
    """Written beside its place and linked into it: nobody reads half a key, and of two runs one makes it."""
    path, content = key_file(), secrets.token_bytes(KEY_BYTES)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        with inside.created(beside, 0o600) as descriptor:
            os.write(descriptor, content)
        path.hardlink_to(beside)
    except FileExistsError:
        return _key() or content
    finally:
        beside.unlink(missing_ok=True)
    return content
