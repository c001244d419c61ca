"""What two systems differ in, from the names of their store paths and the files that k0s is started with. Pure.

Of Nix's own `store diff-closures` this keeps what people read; it needs no closure beside the other one, so that
nothing has to be copied to know it.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Mapping
from typing import Any

import yaml

from slipway.result import NO_SENSE

BASE = re.compile(r"^[0-9a-z]{32}-")
VERSION = re.compile(r"^(.*?)-(\d.*)$")
"""As Nix parses names: the version begins at the first dash before a digit."""
OUTPUT = re.compile(r"-(?:bin|dev|out|lib|man|doc|info|debug|static|data)$")
FILES = ("etc-", "unit-")
"""Names of files that NixOS writes, in which a number is no version (etc-10-eth0.network)."""
NODE = "NODE"
"""Stands for the host's own name in names of store paths, so that equal nodes read alike."""


def packages(old: Iterable[str], new: Iterable[str], host: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Lines of what has another version, comes or goes; and names of what is built anew in the same version."""
    before, after = _versions(old, host), _versions(new, host)
    lines, rebuilt = [], []
    for name in sorted(before.keys() | after.keys()):
        was, becomes = sorted(before.get(name, {})), sorted(after.get(name, {}))
        if was != becomes:
            if any(was) or any(becomes):
                lines.append(f"{name} {_listed(was)} -> {_listed(becomes)}")
            else:
                rebuilt.append(f"{'+' if becomes else '-'}{name}")
        elif before[name] != after[name]:
            rebuilt.append(name)
    return tuple(lines), tuple(rebuilt)


def _listed(versions: list[str]) -> str:
    return ", ".join(each or "without version" for each in versions) or "none"


def _versions(paths: Iterable[str], host: str) -> dict[str, dict[str, set[str]]]:
    """Name to version to store paths."""
    own = re.compile(rf"(?<![a-z0-9]){re.escape(host)}(?![a-z0-9])")
    found: dict[str, dict[str, set[str]]] = {}
    for path in paths:
        base = own.sub(NODE, OUTPUT.sub("", _kind(path)))
        parsed = None if base.startswith(FILES) else VERSION.match(base)
        name, version = (parsed[1], parsed[2]) if parsed else (base, "")
        found.setdefault(name, {}).setdefault(version, set()).add(path)
    return found


def k0s(old: Mapping[str, str], new: Mapping[str, str]) -> tuple[str, ...]:
    """How what k0s is started with differs: settings of its configuration, its arguments, other files by name."""
    before, after = ({_kind(path): text for path, text in files.items()} for files in (old, new))
    lines: list[str] = []
    for kind in sorted(before.keys() | after.keys()):
        if before.get(kind) == after.get(kind):
            continue
        if kind == "k0s.yaml":
            lines += _settings(_flat(before.get(kind, "")), _flat(after.get(kind, "")))
        elif kind == "slipway-k0s":
            lines += _settings(_arguments(before.get(kind, "")), _arguments(after.get(kind, "")))
        else:
            lines.append(
                f"{kind} {'changes' if kind in before and kind in after else 'comes' if kind in after else 'goes'}"
            )
    return tuple(lines)


def _kind(path: str) -> str:
    return BASE.sub("", path.rpartition("/")[2])


def _settings(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    keys = [key for key in sorted(before.keys() | after.keys()) if before.get(key) != after.get(key)]
    return [f"{key}: {before.get(key, 'unset')} -> {after.get(key, 'unset')}" for key in keys]


def _flat(text: str) -> dict[str, str]:
    """`spec.api.port` to its value; what is no YAML is one value."""
    try:
        return dict(_leaves("", yaml.safe_load(text) or {}))
    except (yaml.YAMLError, *NO_SENSE):
        return {"k0s.yaml": text}


def _leaves(place: str, value: Any) -> Iterable[tuple[str, str]]:  # noqa: ANN401 (whatever YAML has)
    if isinstance(value, dict) and value:
        for key, each in value.items():
            yield from _leaves(f"{place}.{key}" if place else str(key), each)
    elif isinstance(value, list):
        yield place, "[" + ", ".join(str(each) for each in value) + "]"
    else:
        yield place, str(value)


def _arguments(script: str) -> dict[str, str]:
    """Of the start script of nixos/modules/k0s.nix: its `set --` line's words, and the program that it becomes."""
    found: dict[str, str] = {}
    for line in script.splitlines():
        words = _words(line)
        if words[:2] == ["set", "--"] and len(words) > 2 and "$@" not in words:
            for word in words[2:]:
                name, equals, value = word.partition("=")
                found[f"k0s {name}"] = value if equals else "set"
        elif words[:1] == ["exec"] and len(words) > 1:
            found["k0s"] = _kind(words[1].removesuffix("/bin/k0s"))
    return found


def _words(line: str) -> list[str]:
    try:
        return shlex.split(line)
    except ValueError:
        return []
