"""What holds for any value, any file and any mistake."""

from __future__ import annotations

import contextlib
import functools
import ipaddress
import json
import random
import re
import string
import zoneinfo
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError
from ruamel.yaml import YAML
from tests.unit.inventory.test_load import HEAD, INVALID, INVENTORIES, VALID, load_text

from slipway.errors import InvalidInput, SlipwayError
from slipway.inventory import InvalidInventory, Inventory, load
from slipway.inventory.address import address_of, interface_of, network_of, text_of
from slipway.inventory.fmt import format_text
from slipway.inventory.importers.ansible import import_ansible
from slipway.inventory.importers.k0sctl import import_k0sctl
from slipway.inventory.merge import overlay
from slipway.inventory.select import select
from slipway.inventory.values import SIZE_UNITS, TIME_UNITS, Calendar, known_zones, with_unit

IN_FOLDER = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
ADDRESS_LIKE = st.one_of(
    st.ip_addresses().map(str),
    st.text(alphabet="0123456789abcdefx.:/% -", max_size=24),
    st.from_regex(r"[0-9]{1,4}(\.[0-9]{1,4}){2,4}", fullmatch=True),
)


CALENDARS = (
    "weekly", "04:40", "Mon..Fri 04:40", "Sat *-*-1..7 18:00", "Mon,Tue *-*-* 00:00:00 Europe/Berlin", "*:0/15", "Sun",
    "2026-01-01", "*-02~03 00:00", "03:15:30.5", "daily UTC",
)  # fmt: skip
"""Of systemd.time(7) and of systemd-analyze's own examples."""


@pytest.mark.parametrize("text", CALENDARS)
def test_calendars_of_systemd_are_accepted(text: str):
    assert TypeAdapter(Calendar).validate_python(text) == text


@pytest.mark.parametrize("text", ["wekly", "25", "Mon 04", "tomorrow", "04:40 Europe/Berln", "x:y", " 04:40"])
def test_what_is_no_calendar_is_refused(text: str):
    with pytest.raises(ValidationError):
        TypeAdapter(Calendar).validate_python(text)


def test_zones_of_this_machine_and_of_older_names_are_known():
    assert {"Etc/UTC", "Europe/Berlin", "US/Pacific", "Asia/Kolkata"} | zoneinfo.available_timezones() <= known_zones()
    assert len(known_zones()) > 500


# --- values ----------------------------------------------------------------------------------------------------------


@given(ADDRESS_LIKE)
def test_addresses_are_those_of_ipaddress(text: str):
    try:
        expected = ipaddress.ip_address(text) if "%" not in text else None
    except ValueError:
        expected = None
    if expected is None:
        with pytest.raises(ValueError):
            address_of(text)
    else:
        assert address_of(text) == (expected.version, int(expected))
        assert ipaddress.ip_address(text_of(address_of(text))) == expected


@given(st.one_of(ADDRESS_LIKE, st.builds("{}/{}".format, st.ip_addresses(), st.integers(-1, 130))))
def test_networks_are_those_of_ipaddress(text: str):
    try:
        expected = ipaddress.ip_network(text) if re.search(r"/[0-9]{1,3}$", text) and "%" not in text else None
    except ValueError:
        expected = None
    if expected is None:
        with pytest.raises(ValueError):
            network_of(text)
    else:
        found = network_of(text)
        assert (found.family, found.first, found.prefix_length) == (
            expected.version,
            int(expected.network_address),
            expected.prefixlen,
        )
        assert found.last == int(expected.broadcast_address)


@given(st.builds("{}/{}".format, st.ip_addresses(v=4), st.integers(1, 32)))
def test_the_proposed_network_is_accepted(text: str):
    with contextlib.suppress(ValueError):
        network_of(text)
        return
    with pytest.raises(ValueError) as refused:
        network_of(text)
    proposed = re.search(r"did you mean (\S+)\?", str(refused.value))
    assert proposed is not None
    assert network_of(proposed[1]) == interface_of(text)[1]


@given(st.integers(1, 10**6), st.sampled_from([SIZE_UNITS, TIME_UNITS]))
def test_units_come_back(number: int, units: dict[str, int]):
    smallest = min(units.values())
    text = with_unit(number * smallest, units)
    match = re.fullmatch(r"([0-9]+)([A-Za-z]+)", text)
    assert match is not None
    assert int(match[1]) * units[match[2]] == number * smallest


# --- merging ---------------------------------------------------------------------------------------------------------

LEAVES = st.one_of(st.none(), st.text(max_size=3), st.lists(st.text(max_size=2), max_size=2))
TREES: st.SearchStrategy[dict[str, Any]] = st.dictionaries(
    st.sampled_from("abc"),
    st.recursive(LEAVES, lambda inner: st.dictionaries(st.sampled_from("abc"), inner, max_size=3), max_leaves=6),
    max_size=3,
)


def leaves(tree: Any, path: tuple[str, ...] = ()) -> dict[tuple[str, ...], Any]:
    if isinstance(tree, dict):
        found: dict[tuple[str, ...], Any] = {}
        for key, value in tree.items():
            found |= leaves(value, (*path, key))
        return found
    return {path: tree}


@given(TREES, TREES)
def test_overlay_takes_each_leaf_from_the_top_else_from_below(base: dict[str, Any], top: dict[str, Any]):
    clean = overlay({}, base)
    made = leaves(overlay(clean, top))
    above = leaves(top)
    for path, value in made.items():
        assert value is not None
        if path in above:
            assert value == above[path]
        else:
            assert leaves(clean)[path] == value
    for path, value in above.items():
        assert (path in made) == (value is not None)


@given(TREES, TREES)
def test_overlay_leaves_its_arguments_alone(base: dict[str, Any], top: dict[str, Any]):
    before = repr((base, top))
    overlay(base, top)
    assert repr((base, top)) == before


# --- places ----------------------------------------------------------------------------------------------------------

NAMES = st.lists(st.from_regex(r"[a-z][a-z0-9]{0,8}", fullmatch=True), min_size=1, max_size=12, unique=True)
RESERVED = {"controller", "worker", "single", "localhost"}


@IN_FOLDER
@given(names=NAMES, data=st.data())
def test_a_mistake_is_told_at_its_own_place(names: list[str], data: st.DataObject, tmp_path: Path):
    names = [name for name in names if name not in RESERVED] or ["a"]
    broken = data.draw(st.integers(0, len(names) - 1))
    blanks = data.draw(st.lists(st.sampled_from(["\n", "  # a comment\n"]), max_size=4))
    text = HEAD + "hosts:\n"
    for number, name in enumerate(names):
        address = "10.0.0.999" if number == broken else f"10.0.0.{number + 1}"
        text += "".join(blanks) + f"  {name}:\n    role: controller+worker\n    address:   {address}\n"
    with pytest.raises(InvalidInventory) as refused:
        load_text(tmp_path, text)
    line = next(number for number, line in enumerate(text.splitlines(), 1) if "999" in line)
    assert [(one.line, one.column, one.path) for one in refused.value.problems] == [
        (line, 16, f"hosts.{names[broken]}.address")
    ]


# --- selection -------------------------------------------------------------------------------------------------------


@functools.cache
def large() -> Inventory:
    return load(INVENTORIES.parents[1] / "examples" / "large")


WORDS = st.sampled_from(["controller", "worker", "cp1", "wa*", "w?1", "@rack-a", "@dense", "@rack-*", "*"])
PATTERNS = st.lists(
    st.builds(",".join, st.lists(st.builds("+".join, st.lists(WORDS, min_size=1, max_size=2)), min_size=1, max_size=3)),
    min_size=1,
    max_size=3,
)


def names_of(patterns: list[str], exclude: list[str]) -> set[str]:
    try:
        return {host.name for host in select(large(), patterns, exclude)}
    except SlipwayError as error:
        assert "no host is left" in str(error)
        return set()


@given(patterns=PATTERNS)
def test_excluding_a_selection_leaves_the_rest(patterns: list[str]):
    chosen = names_of(patterns, [])
    rest = names_of([], patterns)
    assert chosen | rest == {host.name for host in large().hosts}
    assert not chosen & rest


@given(patterns=PATTERNS)
def test_order_of_words_does_not_matter(patterns: list[str]):
    swapped = [",".join(reversed(pattern.split(","))) for pattern in reversed(patterns)]
    assert names_of(patterns, []) == names_of(swapped, [])


# --- any bytes at all ------------------------------------------------------------------------------------------------

SEEDS = [path.read_bytes() for path in [*VALID, *INVALID] if "bomb" not in path.stem]
SCRAPS = [
    *(b"{", b"}", b"[", b"]", b": ", b"- ", b"? ", b"&a ", b"*a", b"<<: *a", b"!!binary ", b"!t ", b"|", b">-", b"'"),
    *(b'"', b"#", b"\t", b"\n", b"\r", b"\r\n", b"---\n", b"...\n", b"%YAML 1.1\n", b"~", b"null", b"\x00", b"\xff"),
    *(b"\xc3\x28", b"\xef\xbb\xbf", b"\xe2\x80\xa8", b"\xf0\x9f\x9a\xa2", b"0x1F", b"1e999", b"-1", b"9" * 400, b"/24"),
    *(
        b"hosts:",
        b"include: ['*']",
        b"{a: {a: {a: 1}}}",
        b"[[[[1]]]]",
        b"groups: [a, b]",
        b".inf",
        b"10.0.0.0/8",
        b"::",
    ),
]


def mutated(source: random.Random) -> bytes:
    """A file of ours with a few random wounds."""
    raw = bytearray(source.choice(SEEDS))
    for _ in range(source.randint(1, 6)):
        place = source.randrange(len(raw) + 1)
        match source.randrange(5):
            case 0:
                raw[place:place] = source.choice(SCRAPS)
            case 1:
                del raw[place : place + source.randint(1, 30)]
            case 2:
                other = source.choice(SEEDS)
                start = source.randrange(len(other) + 1)
                raw[place:place] = other[start : start + source.randint(1, 120)]
            case 3:
                raw[place : place + 1] = bytes([source.randrange(256)])
            case _:
                lines = raw.splitlines(keepends=True)
                source.shuffle(lines)
                raw = bytearray(b"".join(lines))
    return bytes(raw)


def survives(raw: bytes, folder: Path) -> None:
    """Loading, formatting and importing these bytes ends well or with words for people; nothing else."""
    file = folder / "inventory.yaml"
    file.write_bytes(raw)
    lines = raw.count(b"\n") + raw.count(b"\r") + raw.count(b"\xe2\x80") + raw.count(b"\xc2\x85") + 1
    try:
        load(file)
    except InvalidInventory as error:
        assert error.problems
        for problem in error.problems:
            assert 1 <= problem.line <= lines + 1
            assert problem.column >= 1
            assert "\n" not in str(problem)
            assert problem.message
    with contextlib.suppress(InvalidInput):
        format_text(raw.decode("utf-8", "replace"), "inventory.yaml")
    with contextlib.suppress(InvalidInput):
        import_k0sctl(file)
    with contextlib.suppress(InvalidInput):
        import_ansible(file)


@IN_FOLDER
@given(seed=st.integers(0, 2**32))
def test_wounded_files_never_end_in_a_traceback(seed: int, tmp_path: Path):
    survives(mutated(random.Random(seed)), tmp_path)


@IN_FOLDER
@given(raw=st.one_of(st.binary(max_size=200), st.text(alphabet=string.printable, max_size=200).map(str.encode)))
def test_noise_never_ends_in_a_traceback(raw: bytes, tmp_path: Path):
    survives(raw, tmp_path)


VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=8)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)),
    max_leaves=5,
)


def paths_of(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(found for key, item in inner for found in paths_of(item, (*path, key)))]


@settings(IN_FOLDER, max_examples=50)
@given(data=st.data(), value=VALUES)
def test_any_value_anywhere_is_taken_or_refused_in_words(data: st.DataObject, value: Any, tmp_path: Path):
    document = YAML(typ="safe").load((INVENTORIES / "valid" / "everything.yaml").read_text())
    path = data.draw(st.sampled_from(paths_of(document)[1:]))
    at = document
    for part in path[:-1]:
        at = at[part]
    at[path[-1]] = value
    survives(json.dumps(document, ensure_ascii=False).encode("utf-8", "surrogatepass"), tmp_path)
