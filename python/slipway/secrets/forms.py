"""What a value of a Secret must look like, and how one is made. Nothing here ever quotes a value."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Collection, Mapping
from datetime import UTC, date, datetime

from slipway.errors import SlipwayError
from slipway.generate.gitops.secrets import Form, Key
from slipway.secret import Secret
from slipway.tools import age

PASSWORD_BYTES = 24
TOKEN_BYTES = 32
KEY_BYTES = 32
"""Of AES-256 (OpenBao's static seal), and what secretbox wants (XSalsa20 and Poly1305)."""
LEAST_PASSWORD = 16
LEAST_TOKEN = 32
_SEAL = re.compile(rb"[0-9a-fA-F]{64}")
_SEAL_ID = re.compile(rb"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")


def make(form: Form, taken: Collection[str] = (), today: date | None = None) -> Secret:
    """A new value of a form that slipway makes; `taken` are the names of keys of the seal that there ever were."""
    if form is Form.SEAL_ID:
        return Secret(seal_id(taken, today or datetime.now(UTC).date()))
    makers: Mapping[Form, Callable[[], str | bytes]] = {
        Form.PASSWORD: lambda: secrets.token_urlsafe(PASSWORD_BYTES),
        Form.TOKEN: lambda: secrets.token_hex(TOKEN_BYTES),
        Form.SEAL: lambda: secrets.token_hex(KEY_BYTES),
        Form.BYTES_32: lambda: secrets.token_bytes(KEY_BYTES),
    }
    return Secret(makers[form]())


def seal_id(taken: Collection[str], today: date) -> str:
    """The day and a number: a name must never come back with another key (OpenBao, "Static Key seal")."""
    number = 1
    while (name := f"{today:%Y%m%d}-{number}") in taken:
        number += 1
    return name


def fault(key: Key, value: Secret) -> str:
    """What is wrong with a value, in words for people; empty if nothing."""
    plain = value.reveal()
    if key.fixed:
        return "" if plain == key.fixed.encode() else f"not {key.fixed}"
    if _is_right(key.form, plain):
        return ""
    return f"not {key.form}: {_measure(plain)}"


def _is_right(form: Form, plain: bytes) -> bool:
    match form:
        case Form.AGE:
            return _opens(plain)
        case Form.PASSWORD:
            return _line(plain) and len(plain) >= LEAST_PASSWORD
        case Form.TOKEN:
            return _line(plain) and len(plain) >= LEAST_TOKEN
        case Form.SEAL:
            return bool(_SEAL.fullmatch(plain))
        case Form.SEAL_BEFORE:
            return not plain or bool(_SEAL.fullmatch(plain))
        case Form.SEAL_ID:
            return bool(_SEAL_ID.fullmatch(plain))
        case Form.SEAL_ID_BEFORE:
            return not plain or bool(_SEAL_ID.fullmatch(plain))
        case Form.BYTES_32:
            return len(plain) == KEY_BYTES
        case Form.ANY:
            return bool(plain)
        case Form.NAME | Form.GIVEN | Form.REPOSITORY:
            return _line(plain)


def _line(plain: bytes) -> bool:
    """One line without blanks around it: a newline at the end is the commonest fault of all."""
    return bool(plain) and plain == plain.strip() and b"\n" not in plain


def _opens(plain: bytes) -> bool:
    try:
        return bool(age.identities(Secret(plain)))
    except SlipwayError:
        return False


def _measure(plain: bytes) -> str:
    if not plain:
        return "it is empty"
    end = ", the last one a newline" if plain.endswith(b"\n") else ""
    return f"{len(plain)} byte{'' if len(plain) == 1 else 's'}{end}"
