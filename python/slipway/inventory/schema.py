"""The JSON Schema of `inventory.yaml`, for editors, and its reference page; both made from the model."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, Final, get_args, get_origin

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import core_schema

from slipway.inventory import model
from slipway.inventory.model import File, Settings
from slipway.inventory.releases import known_releases
from slipway.inventory.syntax import between
from slipway.pages import addressed

IDENTIFIER: Final = "urn:slipway:inventory:v1"
Schema = dict[str, Any]


class _Generator(GenerateJsonSchema):
    """What the loader takes of JSON. It reads texts alone (builder.py): quotes make no difference to it."""

    def int_schema(self, schema: core_schema.IntSchema) -> Schema:
        digits = between(schema["ge"], schema["le"])
        return {**super().int_schema(schema), "type": ["integer", "string"], "pattern": f"^{digits}$"}

    def bool_schema(self, schema: core_schema.BoolSchema) -> Schema:
        return {**super().bool_schema(schema), "type": ["boolean", "string"], "pattern": "^(true|false)$"}

    def literal_schema(self, schema: core_schema.LiteralSchema) -> Schema:
        made = super().literal_schema(schema)
        numbers = [float(word) for word in made.get("enum", ()) if re.fullmatch(r"[0-9]+(\.[0-9]+)?", word)]
        return {"enum": [*made["enum"], *numbers]} if numbers else made

    def dict_schema(self, schema: core_schema.DictSchema) -> Schema:
        """Of pydantic's patternProperties, those with a wrong name would be left alone."""
        made = super().dict_schema(schema)
        for values in made.pop("patternProperties", {}).values():
            made |= {"additionalProperties": values, "propertyNames": self.generate_inner(schema["keys_schema"])}
        return made


def schema(*, included: bool = False, shared: bool = True) -> Schema:
    """The schema (draft 2020-12) of inventory.yaml, or of a file that it includes, where any section may be missing.

    What one value has to look like is all in the patterns. The loader alone knows what needs arithmetic or a list (bits
    of a host in a network, a range that ends before it begins, zones, damaged certificates), and what holds between
    values. `shared`: patterns stand once, in `$defs`.
    """
    made = File.model_json_schema(by_alias=True, mode="validation", schema_generator=_Generator)
    definitions: dict[str, Schema] = made.get("$defs", {})
    merged, listed = _merged_anywhere(), _in_lists()
    for name, definition in [("File", made), *definitions.items()]:
        shape = getattr(model, name, None)
        if isinstance(shape, type) and issubclass(shape, BaseModel):
            _describe(definition, shape)
            if shape in merged:
                definition.pop("required", None)
            if shape not in listed:
                _allow_empty(definition)
                _allow_empty_entries(definition)
    definitions["K0s"]["properties"]["version"]["examples"] = list(reversed(known_releases()))
    made["title"] = "slipway inventory, included file" if included else "slipway inventory"
    # What is in no file of an inventory is missing; one that includes others may have it from them.
    rest = made.pop("required")
    made["required"] = [] if included else ["apiVersion"]
    if included:
        made["properties"]["hosts"].pop("minProperties")
    else:
        made["anyOf"] = [{"required": rest}, {"required": ["include"]}]
    made["patternProperties"] = {"^x-": {"description": "Place for YAML anchors; read by nothing else."}}
    if shared:
        kinds: dict[str, Schema] = {}
        made = _share(made, kinds)
        made["$defs"] |= kinds
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"{IDENTIFIER}:included" if included else IDENTIFIER,
        **made,
    }


def _share(part: Any, kinds: dict[str, Schema]) -> Any:  # noqa: ANN401 (any part of a schema)
    """`part` with references for the texts of some kind, which `kinds` collects."""
    if isinstance(part, list):
        return [_share(each, kinds) for each in part]
    if not isinstance(part, dict):
        return part
    if isinstance(part.get("format"), str) and "pattern" in part:
        kept = {word: value for word, value in part.items() if word in ("description", "default", "examples")}
        kind = {word: value for word, value in part.items() if word not in kept}
        name = re.sub("[^A-Za-z0-9]+", "-", part["format"]).strip("-")
        assert kinds.setdefault(name, kind) == kind, f"two kinds of text have the name {name!r}"
        return {"$ref": f"#/$defs/{name}", **kept}
    return {key: _share(value, kinds) for key, value in part.items()}


def _describe(definition: Schema, shape: type[BaseModel]) -> None:
    definition["description"] = inspect.cleandoc(shape.__doc__ or "")
    for attribute, field in shape.model_fields.items():
        text = description(shape, attribute)
        described = definition["properties"][field.alias or attribute]
        described.pop("title", None)
        if text:
            described["description"] = text


def _merged_anywhere() -> set[type[BaseModel]]:
    """The sections inside defaults, groups and hosts: what is required there may be inherited."""
    found: set[type[BaseModel]] = set()
    left: list[type[BaseModel]] = [Settings]
    while left:
        for inner in _merged_sections(left.pop()):
            if inner not in found:
                found.add(inner)
                left.append(inner)
    return found


def _merged_sections(shape: type[BaseModel]) -> Iterator[type[BaseModel]]:
    """The sections in the fields of a section, except those in lists, which are replaced as a whole."""
    for field in shape.model_fields.values():
        for part in _parts(field.annotation):
            if isinstance(part, type) and issubclass(part, BaseModel):
                yield part


def _in_lists() -> set[type[BaseModel]]:
    """The sections that are items of lists: nothing is merged there, so that no empty value takes back."""
    shapes = [shape for shape in vars(model).values() if isinstance(shape, type) and issubclass(shape, BaseModel)]
    fields = [field.annotation for shape in shapes for field in shape.model_fields.values()]
    items = [item for annotation in fields if get_origin(annotation) is tuple for item in get_args(annotation)]
    return {item for item in items if isinstance(item, type) and issubclass(item, BaseModel)}


def _parts(annotation: Any) -> list[Any]:  # noqa: ANN401 (annotations have no type of their own)
    inner = () if get_origin(annotation) is tuple else get_args(annotation)
    return [annotation, *(part for argument in inner for part in _parts(argument))]


def _allow_empty(definition: Schema) -> None:
    """Any key that may be left out may also be empty."""
    for key, value in definition["properties"].items():
        if key in definition.get("required", []) or {"type": "null"} in value.get("anyOf", []):
            continue
        kept = {word: value.pop(word) for word in ("description", "default") if word in value}
        definition["properties"][key] = {"anyOf": [value, {"type": "null"}], **kept}


def _allow_empty_entries(definition: Schema) -> None:
    """A named entry may be empty as well, which takes back an inherited one; a host inherits none of its name."""
    for key, value in definition["properties"].items():
        for shape in value.get("anyOf", [value]):
            inner = shape.get("additionalProperties")
            if isinstance(inner, dict) and key != "hosts":
                shape["additionalProperties"] = {"anyOf": [inner, {"type": "null"}]}


# --- documentation of the model --------------------------------------------------------------------------------------


def description(shape: type[BaseModel], attribute: str) -> str:
    """The text under an attribute of the model, of the class itself or of one that it is made from."""
    texts = (_texts().get((parent.__name__, attribute)) for parent in shape.__mro__)
    return next((text for text in texts if text), "")


@lru_cache(maxsize=1)
def _texts() -> dict[tuple[str, str], str]:
    found = {}
    for statement in ast.parse(inspect.getsource(model)).body:
        if isinstance(statement, ast.ClassDef):
            for before, after in zip(statement.body, statement.body[1:], strict=False):
                text = _documentation(after)
                if isinstance(before, ast.AnnAssign) and isinstance(before.target, ast.Name) and text:
                    found[statement.name, before.target.id] = text
    return found


def _documentation(statement: ast.stmt) -> str:
    if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
        return addressed(" ".join(str(statement.value.value).split()))
    return ""
