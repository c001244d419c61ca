"""The reference page of `inventory.yaml`, made from the model's JSON Schema."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterator
from typing import Any

from slipway.inventory import select
from slipway.inventory.schema import schema

_HEAD = """# inventory.yaml

Made from the model by `slipway schema --markdown`; do not edit. Editors complete and check the file with the JSON
Schema beside this page (`slipway schema`): put `# yaml-language-server: $schema=inventory.schema.json` in its first
line.

- Every value stands once: what a host does not say it takes from its groups (a later one wins), then from `defaults`.
  Mappings are merged key by key; any other value, lists too, replaces the inherited one; an empty value (`key:`) takes
  back what is inherited. `slipway inventory show HOST --origins` tells where each value of a host comes from.
- Values may be written without quotes, `26.05` and MAC addresses too. Sizes are `512Mi`, `32Gi`, `2Ti`; durations
  `30s`, `10m`, `24h`, `7d`.
- `include` joins more files section by section; a host or group stands in one of them. YAML anchors, aliases and merge
  keys (`<<`) work; top-level keys that begin with `x-` are a place for them. Any other unknown key is an error.
"""


def reference() -> str:
    """The page as Markdown."""
    made = schema(shared=False)
    definitions: dict[str, Any] = made["$defs"]
    parts = [_HEAD, *_section("The file", made)]
    for name in _in_order(made, definitions):
        parts += (_section if "properties" in definitions[name] else _values)(name, definitions[name])
    return "\n".join([*parts, *_selection()]).rstrip() + "\n"


def _selection() -> Iterator[str]:
    """How commands choose hosts, as the module that does it says."""
    _, table, rest = inspect.cleandoc(select.__doc__ or "").split("\n\n", 2)
    yield "## Selecting hosts\n"
    yield "Commands that work on hosts take words for them; `slipway inventory list WORD...` shows what they mean.\n"
    yield f"```text\n{inspect.cleandoc(table)}\n```\n"
    yield f"{rest} `--exclude` takes the same words."


def _in_order(made: dict[str, Any], definitions: dict[str, Any]) -> list[str]:
    """Names of the definitions as a reader meets them, depth first."""
    found: list[str] = []

    def visit(part: object) -> None:
        for name in _references(part):
            if name not in found:
                found.append(name)
                visit(definitions[name])

    visit(made["properties"])
    return found


def _references(part: object) -> Iterator[str]:
    if isinstance(part, dict):
        if isinstance(part.get("$ref"), str):
            yield part["$ref"].rsplit("/", 1)[1]
        for inner in part.values():
            yield from _references(inner)
    elif isinstance(part, list):
        for inner in part:
            yield from _references(inner)


def _section(title: str, definition: dict[str, Any]) -> Iterator[str]:
    yield f"## {title}\n"
    if definition.get("description"):
        yield definition["description"] + "\n"
    yield "| key | value | default | |"
    yield "|---|---|---|---|"
    for key, value in definition["properties"].items():
        required = key in [*definition.get("required", []), *definition.get("anyOf", [{}])[0].get("required", [])]
        default = "**required**" if required else _default(value)
        yield f"| `{key}` | {_type(value)} | {default} | {_cell(value.get('description', ''))} |"
    yield ""


def _values(title: str, definition: dict[str, Any]) -> Iterator[str]:
    """What stands for one of some words, which other sections refer to."""
    described = f"{definition['description']} " if definition.get("description") else ""
    yield f"## {title}\n\n{described}{_type(definition)}\n"


def _default(value: dict[str, Any]) -> str:
    default = value.get("default")
    return "" if default in (None, [], {}) or isinstance(default, dict) else f"`{json.dumps(default)}`"


def _type(value: dict[str, Any]) -> str:
    if "$ref" in value:
        name = value["$ref"].rsplit("/", 1)[1]
        return f"[{name}](#{name.lower()})"
    if "anyOf" in value:
        return " or ".join(_type(choice) for choice in value["anyOf"] if choice != {"type": "null"})
    if "const" in value:
        return f"`{value['const']}`"
    if "enum" in value:
        return ", ".join(f"`{choice}`" for choice in value["enum"] if isinstance(choice, str))
    return _plain_type(value)


def _plain_type(value: dict[str, Any]) -> str:
    kind = value["type"][0] if isinstance(value.get("type"), list) else value.get("type")
    if kind == "array":
        return f"list of {_type(value.get('items', {}))}"
    if kind == "object":
        inner = value.get("additionalProperties")
        return f"name: {_type(inner)}" if isinstance(inner, dict) and inner else "any mapping"
    if kind == "integer" and "minimum" in value:
        return f"{value['minimum']} to {value['maximum']}" if "maximum" in value else f"{value['minimum']} or more"
    if "format" in value:
        return str(value["format"])
    return {"string": "text", "integer": "number", "boolean": "true or false"}.get(str(kind), str(kind or "any"))


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
