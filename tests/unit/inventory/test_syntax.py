"""Single values: what the JSON Schema accepts the loader accepts, and what the loader accepts the schema accepts."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Annotated, Any, get_origin

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import AfterValidator, TypeAdapter, ValidationError, WithJsonSchema

from slipway.inventory import values
from slipway.inventory.builder import Builder
from slipway.inventory.kubernetes import dns_label
from slipway.inventory.reader import Reader
from slipway.inventory.syntax import Syntax, between, literally, one_of

INVENTORIES = Path(__file__).parents[2] / "inventories"


def schema_of(kind: Any) -> dict[str, Any]:
    """Of a kind of single values, empty for another type."""
    found = [item.json_schema for item in getattr(kind, "__metadata__", ()) if isinstance(item, WithJsonSchema)]
    return dict(found[0] or {}) if found else {}


KINDS = {name: kind for name, kind in vars(values).items() if get_origin(kind) is Annotated and schema_of(kind)}
EACH_KIND = pytest.mark.parametrize("name", sorted(KINDS))

BEYOND = {
    "Cidr": "has host bits set",
    "Source": "has host bits set",
    "Direct": "has host bits set",
    "Ports": "ends before it begins",
    "Certificates": "is damaged",
    "TimeZone": "is no time zone",
    "Calendar": "is no time zone",
}
"""What no pattern can know (arithmetic, lists, encodings), by the loader's own words for it."""
NOTHING = "\n"
"""Is in no message."""


@cache
def adapter(name: str) -> TypeAdapter[Any]:
    return TypeAdapter(KINDS[name])


def refusal(name: str, text: str) -> str:
    """What the loader says of a text, empty if it takes it."""
    try:
        adapter(name).validate_python(text)
    except ValidationError as error:
        return str(error.errors()[0]["msg"])
    return ""


def described(name: str, value: str | float | bool) -> bool:
    """Whether the schema takes a value; `$` is the end of the text alone, as in ECMAScript."""
    schema = schema_of(KINDS[name])
    schema["pattern"] = re.sub(r"\$$", r"\\Z", schema["pattern"])
    return jsonschema.Draft202012Validator(schema).is_valid(value)


@st.composite
def texts(draw: st.DrawFn, name: str) -> str:
    """Of that kind, as the schema has it."""
    schema = schema_of(KINDS[name])
    found: str = draw(st.from_regex(schema["pattern"].removeprefix("^").removesuffix("$"), fullmatch=True))
    return found[: schema.get("maxLength", len(found))]


QUICK = settings(
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
    deadline=None,
    max_examples=(settings.default or settings()).max_examples // 20,
)
"""There are many kinds; `make fuzz` draws ten times as many of each."""


@EACH_KIND
@QUICK
@given(data=st.data())
def test_what_the_schema_accepts_the_loader_accepts(name: str, data: st.DataObject):
    text = data.draw(texts(name))
    if described(name, text) and (words := refusal(name, text)):
        assert BEYOND.get(name, NOTHING) in words, f"{text!r}: {words}"


EDITS = st.sampled_from(
    [*"aAfz09.:/-_@*=%#+~ \n\t,[]{}$\"'\\é\u200b\ud7ff", "..", "//", "::", "/24", "/0", "22", "-part1", ""]
)


def edited(draw: st.DrawFn, text: str) -> str:
    for _ in range(draw(st.integers(1, 3))):
        at, over = draw(st.integers(0, len(text))), draw(st.integers(0, 2))
        text = text[:at] + draw(EDITS) + text[at + over :]
    return text


@st.composite
def near_texts(draw: st.DrawFn, name: str) -> str:
    return edited(draw, draw(texts(name)))


@EACH_KIND
@QUICK
@given(data=st.data())
def test_what_the_loader_accepts_the_schema_accepts(name: str, data: st.DataObject):
    text = data.draw(near_texts(name))
    words = refusal(name, text)
    assert described(name, text) or words, repr(text)
    if words and described(name, text):
        assert BEYOND.get(name, NOTHING) in words, f"{text!r}: {words}"


BARE = st.one_of(st.booleans(), st.integers(-100, 10**6), st.floats(0, 1000).map(lambda number: round(number, 2)))


@EACH_KIND
@QUICK
@given(value=BARE)
def test_a_number_that_the_loader_takes_for_text_is_one_to_the_schema(name: str, value: float | bool):
    if not refusal(name, json.dumps(value)):
        assert described(name, value)


def scalars(node: Any) -> Iterator[str]:
    if isinstance(node, str):
        yield node
    for key, value in node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ():
        yield str(key)
        yield from scalars(value)


@cache
def written() -> frozenset[str]:
    """Every text of the inventories of the tests, right and wrong ones."""
    found: set[str] = set()
    for path in INVENTORIES.glob("*/*.yaml"):
        source = Reader().read(path) if "bomb" not in path.stem else None
        found |= set(scalars(Builder().build(source))) if source else set()
    return frozenset(found)


def apart(name: str) -> Iterator[tuple[str, str]]:
    """Texts of people that one of them takes and the other does not, and what the loader says."""
    for text in sorted(written()):
        words = refusal(name, text)
        if described(name, text) == bool(words) and BEYOND.get(name, NOTHING) not in words:
            yield text, words


@EACH_KIND
def test_schema_and_loader_agree_about_what_people_write(name: str):
    assert list(apart(name)) == []


def test_control_a_pattern_apart_from_the_loader_is_seen(monkeypatch: pytest.MonkeyPatch):
    wider = Annotated[str, AfterValidator(dns_label), Syntax("DNS label", "[a-z0-9.-]+").schema]
    monkeypatch.setitem(KINDS, "Wider", wider)
    assert ("docker.io", "Value error, 'docker.io' is not a DNS label (a-z, 0-9 and '-', at most 63)") in [
        (text, words.partition(";")[0]) for text, words in apart("Wider")
    ]


def test_control_enough_is_compared():
    assert len(KINDS) > 50
    assert len(written()) > 700
    assert not described("Ports", "22\n")
    assert {name for name in KINDS if any(not refusal(name, text) for text in written())} >= KINDS.keys() - {"Tag"}


@pytest.mark.parametrize("name", sorted(KINDS))
def test_patterns_are_what_python_and_ecmascript_read_alike(name: str):
    pattern = schema_of(KINDS[name])["pattern"]
    assert re.findall(r"\\[^.$*+?()\[\]{}|\\/^uxnt]", pattern) == [], "an escape that one of them has not"
    outside = re.sub(r"\[(\\.|[^\]])+\]", "[]", pattern)
    assert re.findall(r"\(\?[^!=]|[*+?}][*+?]", outside) == [], "a group or a repetition that one of them has not"


@settings(deadline=None)
@given(low=st.integers(0, 10**6), more=st.integers(0, 10**6), number=st.integers(0, 3 * 10**6))
def test_between_is_as_it_counts(low: int, more: int, number: int):
    pattern = re.compile(between(low, low + more))
    for each in (number, low - 1, low, low + more, low + more + 1):
        assert bool(pattern.fullmatch(str(each))) == (low <= each <= low + more)


@given(st.text())
def test_literally_is_nothing_else(text: str):
    assert re.fullmatch(literally(text), text)
    assert not re.fullmatch(literally(text), text + "x")


def test_a_syntax_knows_what_editors_take_its_texts_for():
    def types(pattern: str) -> Any:
        return (Syntax("x", pattern).schema.json_schema or {})["type"]

    assert types("[a-f]+") == "string"
    assert types("[0-9]{1,3}") == ["string", "integer"]
    assert types(one_of("[0-9.]+", "true")) == ["string", "number", "boolean"]
