"""What of an inventory can be cross-checked although some of its values are wrong.

A mistake in one value must not hide those between others. A wrong value is taken out, and stands as an unknown one in
the document: a check that comes to use it ends there, without a word about what would only follow from the first
mistake. Where it is a host's own, the check begins again without that host. A key that nobody knows is taken out alone.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Any, Final, NoReturn

from pydantic import BaseModel, Field, ValidationError
from pydantic_core import ErrorDetails

from slipway.inventory import messages
from slipway.inventory import values as v
from slipway.inventory.checks import CHECKS, NEED_EVERY_HOST, TO_START, Finding
from slipway.inventory.checks.finding import Check
from slipway.inventory.model import Document, File, Host
from slipway.inventory.releases import newest_release
from slipway.inventory.source import Keys

_ROUNDS: Final = 5
"""Taking out a value can make its section incomplete, which is then taken out itself."""
_HOSTS: Final = 20
"""Hosts with mistakes of their own that are looked at; further ones are left out, since each may have every check begin
again."""
_STAND_INS: Final[dict[Keys, str]] = {("cluster", "name"): "x", ("cluster", "k0s", "version"): newest_release() or ""}
"""Required, and unknown where wrong: without them nothing else of the cluster would be there."""
_OF_A_HOST: Final = {"address": "192.0.2.1", "role": "worker"}
"""Likewise of a host."""


class _Fewer(Document):
    """With those hosts that have no mistake, which may be none."""

    hosts: dict[v.HostName, Host] = Field(default_factory=dict)


def findings(merged: dict[str, Any], errors: Iterable[tuple[ErrorDetails, Keys]], context: object) -> Iterator[Finding]:
    """What the cross-checks find (no warnings) in a document that the model refuses for `errors`, each with the place
    that its value comes from."""
    wrong = {_keys(error): origin for error, origin in errors if not _is_a_key_alone(error)}
    own = [path for path, origin in wrong.items() if path[0] == "hosts" and len(path) > 1 and origin[0] == "hosts"]
    names = list(dict.fromkeys(str(path[1]) for path in own if len(path) > 2))[:_HOSTS]
    left_out = {path[1] for path in own if path[1] not in names or len(path) == 2}
    left = {**merged, "hosts": {name: entry for name, entry in _hosts(merged).items() if name not in left_out}}
    document, taken = _without(left, context)
    if document is None:
        return
    for path in taken:
        _forget(document, path)
    every_host = document.hosts.keys() == _hosts(merged).keys()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydantic's, where a check writes out a section with an unknown value
        for check in (*CHECKS, *TO_START):
            if check not in NEED_EVERY_HOST:
                yield from _of_check(check, document, names)
            elif every_host and document.hosts:
                with suppress(*_ENDS):
                    yield from (finding for finding in check(document) if not finding.warning)


def _of_check(check: Check, document: Document, names: Iterable[str]) -> Iterator[Finding]:
    """What a check finds, with each host of `names` in turn left out at whose unknown values it ended."""
    wrong = set(names)
    while True:
        try:
            yield from (finding for finding in check(document) if not finding.warning)
        except _ENDS as ended:
            left_out = wrong & {ended.host} if isinstance(ended, _Unknown) else set(wrong)
            if not left_out:
                return
            wrong -= left_out
            others = {name: host for name, host in document.hosts.items() if name not in left_out}
            document = document.model_copy(update={"hosts": others})
        else:
            return


def path_of(error: ErrorDetails) -> Keys:
    """The keys of the file to what an error of the model is about."""
    return tuple(part for part in error["loc"] if part != "[key]")


def _hosts(merged: dict[str, Any]) -> dict[str, Any]:
    hosts = merged.get("hosts")
    return hosts if isinstance(hosts, dict) else {}


def _without(merged: dict[str, Any], context: object) -> tuple[Document | None, set[Keys]]:
    """The document without what the model refuses in it, if there is one, and the places of what was taken out."""
    taken: set[Keys] = set()
    for _ in range(_ROUNDS):
        try:
            return _Fewer.model_validate(merged, context=context), taken
        except ValidationError as error:
            for each in error.errors(include_url=False):
                place = _keys(each)
                merged = _put(merged, place, _stand_in(place))
                if not _is_a_key_alone(each):
                    taken.add(place)
    return None, taken


def _keys(error: ErrorDetails) -> Keys:
    """What has to go for the error to go: the value or the key, or, where one is missing, its section."""
    path = path_of(error)
    if _stand_in(path) is not None:
        return path
    if _is_a_key_alone(error):
        return path
    if len(path) > 1 and error["type"] in ("missing", "extra_forbidden"):
        path = path[:-1]
    items = [index for index, part in enumerate(path) if isinstance(part, int)]
    return path[: items[0]] if items else path


def _stand_in(path: Keys) -> str | None:
    of_a_host = len(path) == 3 and path[0] == "hosts"
    return _OF_A_HOST.get(str(path[2])) if of_a_host else _STAND_INS.get(path)


def _is_a_key_alone(error: ErrorDetails) -> bool:
    """Whether it is about a key that nobody knows, so that all others around it are what they would be without it."""
    path = path_of(error)
    listed = any(isinstance(part, int) for part in path)
    return error["type"] == "extra_forbidden" and not listed and not messages.is_of_another_place(path, File)


def _put(merged: dict[str, Any], path: Keys, value: str | None) -> dict[str, Any]:
    """`merged` with another value at `path`, or without any."""
    if not path or not isinstance(merged, dict):
        return merged
    first, rest = str(path[0]), path[1:]
    if rest:
        inner = merged.get(first)
        return {**merged, first: _put(inner if isinstance(inner, dict) else {}, rest, value)}
    others = {key: each for key, each in merged.items() if key != first}
    return others if value is None else {**others, first: value}


def _forget(document: Document, path: Keys) -> None:
    """Let the value at `path`, or the nearest around it that the model names, be unknown."""
    section: Any = document
    for depth, part in enumerate(path, 1):
        if isinstance(section, dict):
            section = section.get(part)
            continue
        if not isinstance(section, BaseModel):
            return
        names = {field.alias or name: name for name, field in type(section).model_fields.items()}
        name = names.get(str(part))
        if name is None:
            return
        inner = section.__dict__[name]
        if part == "hosts" and section is document:
            section = inner
        elif depth < len(path) and isinstance(inner, BaseModel):
            # A copy, since sections that are said nowhere are one object in all documents; and past pydantic's lock,
            # which is for documents that are valid.
            section.__dict__[name] = copy = inner.model_copy()
            section = copy
        else:
            section.__dict__[name] = _Value(str(path[1]) if path[0] == "hosts" and path[1:] else "")
            return


class _Unknown(Exception):
    """A check came to use a value that nobody knows, of a host or of none."""

    def __init__(self, host: str) -> None:
        super().__init__(host)
        self.host = host


class _Value:
    """Stands where a wrong value stood; whatever is done with it, but `is`, ends the check."""

    def __init__(self, host: str) -> None:
        self._host = host

    def _used(self, *_: object) -> NoReturn:
        raise _Unknown(self._host)

    __getattr__ = __bool__ = __iter__ = __len__ = __contains__ = __getitem__ = __str__ = __repr__ = __format__ = _used
    __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = __hash__ = __add__ = __radd__ = __int__ = __call__ = _used
    __sub__ = __rsub__ = __mul__ = __rmul__ = __floordiv__ = __rfloordiv__ = __mod__ = __rmod__ = __index__ = _used
    __rshift__ = __rrshift__ = __lshift__ = __rlshift__ = __and__ = __rand__ = __or__ = __ror__ = __float__ = _used


_ENDS: Final = (_Unknown, TypeError)
"""What ends a check there: Python's own functions refuse such a value by a TypeError."""
