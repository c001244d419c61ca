"""What of an inventory can be cross-checked although some of its values are wrong.

A mistake in one value must not hide those between others. Hosts with mistakes of their own are left out; any other
wrong value is taken out, and stands as an unknown one in the document: a check that comes to use it ends there, without
a word about what would only follow from the first mistake.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Any, Final, NoReturn

from pydantic import BaseModel, Field, ValidationError
from pydantic_core import ErrorDetails

from slipway.inventory import values as v
from slipway.inventory.checks import CHECKS, NEED_EVERY_HOST, TO_START, Finding
from slipway.inventory.model import Document, Host
from slipway.inventory.releases import newest_release
from slipway.inventory.source import Keys

_ROUNDS: Final = 5
"""Taking out a value can make its section incomplete, which is then taken out itself."""
_STAND_INS: Final[dict[Keys, str]] = {("cluster", "name"): "x", ("cluster", "k0s", "version"): newest_release() or ""}
"""Required, and unknown where wrong: without them nothing else of the cluster would be there."""


class _Fewer(Document):
    """With those hosts that have no mistake, which may be none."""

    hosts: dict[v.HostName, Host] = Field(default_factory=dict)


def findings(merged: dict[str, Any], errors: Iterable[tuple[ErrorDetails, Keys]], context: object) -> Iterator[Finding]:
    """What the cross-checks find (no warnings) in a document that the model refuses for `errors`, each with the place
    that its value comes from."""
    wrong = {_keys(error): origin for error, origin in errors}
    own = {path[1] for path, origin in wrong.items() if path[0] == "hosts" and len(path) > 1 and origin[0] == "hosts"}
    left = {**merged, "hosts": {name: entry for name, entry in _hosts(merged).items() if name not in own}}
    document, taken = _without(left, context)
    if document is None:
        return
    inherited = {path for path in wrong if not (path[0] == "hosts" and path[1:2] and path[1] in own)}
    for path in taken | inherited:
        _forget(document, path)
    every_host = bool(document.hosts) and not own
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydantic's, where a check writes out a section with an unknown value
        for check in (*CHECKS, *TO_START):
            if every_host or check not in NEED_EVERY_HOST:
                with suppress(_Unknown):
                    yield from (finding for finding in check(document) if not finding.warning)


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
                taken.add(place)
                merged = _put(merged, place, _STAND_INS.get(place))
    return None, taken


def _keys(error: ErrorDetails) -> Keys:
    """What has to go for the error to go: the value, or, where one is missing or unknown, its section."""
    path = path_of(error)
    if path in _STAND_INS:
        return path
    if error["type"] in ("missing", "extra_forbidden") and len(path) > 1:
        path = path[:-1]
    items = [index for index, part in enumerate(path) if isinstance(part, int)]
    return path[: items[0]] if items else path


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
            section.__dict__[name] = _UNKNOWN
            return


class _Unknown(Exception):
    """A check came to use a value that nobody knows."""


class _Value:
    """Stands where a wrong value stood; whatever is done with it, but `is`, ends the check."""

    def _used(self, *_: object) -> NoReturn:
        raise _Unknown

    __getattr__ = __bool__ = __iter__ = __len__ = __contains__ = __getitem__ = __str__ = __repr__ = __format__ = _used
    __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = __hash__ = __add__ = __radd__ = __int__ = __call__ = _used


_UNKNOWN: Final = _Value()
