"""Where each value of a host comes from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum

import yaml
from pydantic import BaseModel, WithJsonSchema
from pydantic.fields import FieldInfo

from slipway.inventory.load import Inventory, read
from slipway.inventory.merge import origin_of
from slipway.inventory.source import Keys, Place, dotted
from slipway.inventory.values import SIZE_UNITS, TIME_UNITS, with_unit


@dataclass(frozen=True)
class Origin:
    """One value of a host. `layer` is `hosts.w1`, `groups.rack-a` or `defaults`, None for a default of the model."""

    key: str
    value: str
    layer: str | None
    place: Place | None

    def __str__(self) -> str:
        return f"{self.layer} at {self.place}" if self.layer else "default of slipway"


def origins(inventory: Inventory, name: str) -> tuple[Origin, ...]:
    """Every value of the host that is set, in the order of the model. Reads the files again, for the places."""
    host = inventory.host(name)
    source, data = read(inventory.path)
    found = []
    for path, value in _leaves(host):
        origin = origin_of(source, data, ("hosts", name, *path))
        node = source.find(origin)
        if node is None:
            found.append(Origin(dotted(path), value, None, None))
        else:
            written = node.value if isinstance(node, yaml.ScalarNode) else value
            layer = dotted(origin[: len(origin) - len(path)])
            found.append(Origin(dotted(path), written, layer, source.place(origin)))
    return tuple(found)


def _leaves(value: object, path: Keys = (), kind: str = "") -> Iterator[tuple[Keys, str]]:
    """Keys, as the file has them, and text of everything that is not empty."""
    if isinstance(value, BaseModel):
        for attribute, field in type(value).model_fields.items():
            if attribute != "name" or path:
                yield from _leaves(getattr(value, attribute), (*path, field.alias or attribute), _format_of(field))
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _leaves(inner, (*path, str(key)))
    elif isinstance(value, tuple) and any(isinstance(item, BaseModel) for item in value):
        for index, item in enumerate(value):
            yield from _leaves(item, (*path, index))
    elif value not in (None, ()):
        yield path, _shown(value, kind)


def _format_of(field: FieldInfo) -> str:
    """`size` or `duration` for numbers that the file writes with a unit."""
    schemas = (item.json_schema for item in field.metadata if isinstance(item, WithJsonSchema))
    return next((str(schema.get("format")) for schema in schemas if schema), "")


def _shown(value: object, kind: str) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return ", ".join(map(str, value))
    if isinstance(value, int | float) and kind in ("size", "duration"):
        return with_unit(int(value), SIZE_UNITS if kind == "size" else TIME_UNITS)
    return str(value.value if isinstance(value, Enum) else value)
