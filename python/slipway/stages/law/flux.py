"""The Kustomizations of Flux: which folder each applies, after which others, and with which variables."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from slipway.stages.law import text
from slipway.stages.law.files import Files, joined
from slipway.stages.law.text import Text, Value, get, items, word

GROUP = "kustomize.toolkit.fluxcd.io"
VARIABLE = re.compile(r"\$(?:\{([A-Za-z_]\w*)(?:(:?[-=])((?:[^{}]|\{[^{}]*\})*))?\})")
"""As Flux's envsubst reads it: ${NAME}, ${NAME:-default} and ${NAME:=default}; $${NAME} stays as it is."""


@dataclass(frozen=True)
class Unit:
    """One Kustomization. `paths` are the folders that it may apply: several where a variable chooses among them.

    `parent` is the Kustomization whose folder holds this one's object.
    """

    name: str
    namespace: str
    file: PurePosixPath
    body: Mapping[Text, Value] = field(hash=False, compare=False)
    paths: tuple[PurePosixPath, ...] = ()
    variables: Mapping[str, Text] = field(default_factory=dict, hash=False, compare=False)
    parent: Unit | None = field(default=None, hash=False, compare=False)

    @property
    def depends_on(self) -> list[Value]:
        return [each for each in items(self.body, "spec", "dependsOn") if isinstance(get(each, "name"), Text)]

    def is_named(self, name: str, namespace: str) -> bool:
        """A Kustomization whose namespace kustomize decides may be named with or without it."""
        return self.name == name and (not namespace or not self.namespace or self.namespace == namespace)


def is_kustomization(body: Value) -> bool:
    return word(body, "apiVersion").startswith(f"{GROUP}/") and word(body, "kind") == "Kustomization"


def folders(files: Files, path: str, variables: Mapping[str, Text]) -> tuple[PurePosixPath, ...]:
    """The folders that `spec.path` can mean: all that fit where a variable in it is not known or has alternatives."""
    known = joined(PurePosixPath(), substituted_word(path, variables).removeprefix("/") or ".")
    exact = (known,) if known is not None and files.is_folder(known) else ()
    if "${" not in path:
        return exact
    pattern = joined(PurePosixPath(), VARIABLE.sub("*", path))
    return exact if pattern is None else (*exact, *(each for each in _fitting(files, pattern) if each not in exact))


def _fitting(files: Files, pattern: PurePosixPath) -> Iterator[PurePosixPath]:
    found = [PurePosixPath()]
    for part in pattern.parts:
        found = [
            folder / child.name
            for folder in found
            for child in sorted((files.root / folder).iterdir())
            if child.is_dir() and fnmatch.fnmatch(child.name, part)
        ]
    yield from found


def variables_of(specs: Iterable[Value], maps: Mapping[tuple[str, str], Value]) -> dict[str, Text]:
    """What `postBuild` of these specs substitutes; `maps` are the ConfigMaps and plain Secrets by kind and name."""
    found: dict[str, Text] = {}
    for spec in specs:
        for source in items(spec, "postBuild", "substituteFrom"):
            found.update(maps.get((word(source, "kind"), word(source, "name")), {}))
        inline = get(spec, "postBuild", "substitute")
        found.update({key: value for key, value in inline.items() if isinstance(value, Text)} if inline else {})
    return found


def patched_into(parent: Unit) -> Iterator[Value]:
    """Specs that the patches of a Kustomization add to the Kustomizations below it."""
    for entry in items(parent.body, "spec", "patches"):
        patch = get(entry, "patch")
        if isinstance(patch, Text) and word(entry, "target", "kind") in ("", "Kustomization"):
            found = text.parse(patch)
            if word(found, "kind") in ("", "Kustomization"):
                yield get(found, "spec")


def substituted(value: Value, variables: Mapping[str, Text]) -> Value:
    """`value` with every known variable in place; each text stays where it stood."""
    if isinstance(value, dict):
        return {key: substituted(item, variables) for key, item in value.items()}
    if isinstance(value, list):
        return [substituted(item, variables) for item in value]
    return text.text(substituted_word(value, variables), value) if "${" in value else value


def substituted_word(value: str, variables: Mapping[str, Text]) -> str:
    def one(match: re.Match[str]) -> str:
        if value[: match.start()].endswith("$"):
            return match.group()
        known = variables.get(match.group(1))
        return known if known else (match.group(3) if match.group(2) else match.group())

    return VARIABLE.sub(one, value)
