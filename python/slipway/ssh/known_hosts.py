"""Lines of a known_hosts file, read as OpenSSH reads them (hostfile.c, match.c and sshkey.c of 9.2).

Bytes are taken as Latin-1, one character each: lines end at newlines alone, words at blanks and tabs, whatever else
looks like one of them in Unicode.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import struct
from collections.abc import Iterator
from dataclasses import dataclass

REVOKED = "@revoked"
AUTHORITY = "@cert-authority"
SHA1_BYTES = 20
LONGEST_PATTERN = 1023
"""A longer part of a list of names makes the whole list match nothing."""


class Damaged(ValueError):
    """What OpenSSH skips without a word: told as an error here, since somebody meant something by it."""


@dataclass(frozen=True)
class PinnedKey:
    """One line. `names` is its list of patterns, or one hashed name; `blob` the key in plain base64."""

    names: str
    type: str
    blob: str
    line: int
    marker: str = ""

    @property
    def fingerprint(self) -> str:
        return fingerprint_of(base64.b64decode(self.blob))

    @property
    def is_literal(self) -> bool:
        """Whether `names` are just names: no pattern, no exception, no hash."""
        return not set(self.names) & set("*?!|")

    def is_for(self, name: str) -> bool:
        if self.names.startswith("|"):
            return _hash_matches(self.names, name)
        return _list_matches(self.names, name)


def fingerprint_of(blob: bytes) -> str:
    """`SHA256:...`, as ssh-keygen and sshd's log show it."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")


def lines_of(content: bytes) -> list[str]:
    """Lines without their ends; an empty last one is none."""
    lines = content.decode("latin-1").split("\n")
    return lines[:-1] if lines[-1] == "" else lines


def keys_in(content: bytes) -> Iterator[PinnedKey]:
    """Every key of a file. Raises Damaged, whose first argument is the number of the line."""
    for number, line in enumerate(lines_of(content), start=1):
        try:
            key = read(line, number)
        except Damaged as why:
            raise Damaged(number, str(why)) from None
        if key is not None:
            yield key


def read(line: str, number: int = 1) -> PinnedKey | None:
    """The key of one line, None for a comment or an empty line."""
    if "\0" in line:
        raise Damaged("a NUL byte")
    rest = line.lstrip(" \t")
    if not rest or rest.startswith("#"):
        return None
    marker = ""
    if rest.startswith("@"):
        marker, rest = _word(rest)
        if marker not in (REVOKED, AUTHORITY):
            raise Damaged(f"{marker} is no marker")
    names, rest = _word(rest)
    if names.startswith("|") and _salt(names) is None:
        raise Damaged("a hashed name that is none")
    kind, rest = _word(rest)
    text, _ = _word(rest)
    if names.startswith(("@", "#")) or not kind or kind.startswith("#") or not text:
        raise Damaged("`names type key` is expected")
    return PinnedKey(names, kind, _blob(kind, text), number, marker)


_C_BLANKS = str.maketrans("", "", "\r\v\f")


def _word(text: str) -> tuple[str, str]:
    """The first word, and what follows it and its blanks."""
    end = next((place for place, letter in enumerate(text) if letter in " \t"), len(text))
    return text[:end], text[end:].lstrip(" \t")


def _blob(kind: str, text: str) -> str:
    """The key in plain base64; it begins with the name of its own type."""
    try:
        # A carriage return of a file from elsewhere is no part of the key, for OpenSSH neither.
        raw = base64.b64decode(text.translate(_C_BLANKS), validate=True)
        (length,) = struct.unpack(">I", raw[:4])
    except (ValueError, struct.error):  # also of letters beyond ASCII
        raise Damaged("a key in base64 is expected") from None
    if raw[4 : 4 + length] != kind.encode("latin-1"):
        raise Damaged(f"the key is not of the type {kind}")
    return base64.b64encode(raw).decode()


def _list_matches(patterns: str, name: str) -> bool:
    """`a,*.b,!c.b`: at least one matches, and none of those with an exclamation mark."""
    found = False
    for part in patterns.split(","):
        negated, pattern = part.startswith("!"), part.removeprefix("!")
        if len(pattern) >= LONGEST_PATTERN:
            return False
        if _matches(_lower(pattern), name):
            if negated:
                return False
            found = True
    return found


def _lower(text: str) -> str:
    """ASCII alone, as in the C locale."""
    return text.encode("latin-1").lower().decode("latin-1")


def _matches(pattern: str, name: str) -> bool:
    """`*` stands for any characters, `?` for one. Linear but for the last star: no file can make us slow."""
    if "*" not in pattern and "?" not in pattern:
        return pattern == name
    at, star, mark, place = 0, -1, 0, 0
    while place < len(name):
        if at < len(pattern) and pattern[at] == "*":
            star, mark = at, place
            at += 1
        elif at < len(pattern) and pattern[at] in ("?", name[place]):
            at, place = at + 1, place + 1
        elif star >= 0:
            mark += 1
            at, place = star + 1, mark
        else:
            return False
    return not pattern[at:].strip("*")


def _salt(hashed: str) -> bytes | None:
    """The salt of `|1|salt|digest`; None for what is no such name."""
    parts = hashed.split("|")
    if len(parts) != 4 or parts[:2] != ["", "1"]:
        return None
    try:
        salt, digest = (base64.b64decode(part, validate=True) for part in parts[2:])
    except ValueError:
        return None
    return salt if len(salt) == len(digest) == SHA1_BYTES else None


def _hash_matches(hashed: str, name: str) -> bool:
    salt = _salt(hashed)
    return salt is not None and hmac.compare_digest(hashed.encode("latin-1"), _hashed(salt, name))


def _hashed(salt: bytes, name: str) -> bytes:
    digest = hmac.new(salt, name.encode(), hashlib.sha1).digest()
    return b"|1|" + base64.b64encode(salt) + b"|" + base64.b64encode(digest)
