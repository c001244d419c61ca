"""A machine's hardware as a NixOS module: from what `nixos-generate-config --show-hardware-config` printed, or from a
report of nixos-facter.

What a machine says is data. Of the first, which is Nix, only the settings that this program is known to write are taken
over, each value read and written anew; everything else is left out and named. (nixpkgs, nixos-generate-config.pl)
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from slipway.errors import InvalidInput
from slipway.generate.nixlang import Raw, Value, to_nix

MOST = 4 << 20
"""Characters of a report; the largest seen have some hundred thousand."""
MODULE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
PACKAGE = re.compile(r"config\.boot\.kernelPackages\.[A-Za-z0-9_-]+")
IMPORT = re.compile(r"/(installer/scan|profiles|hardware)/[a-z0-9-]+(/[a-z0-9-]+)*\.nix")
OURS = re.compile(r"nixpkgs\.hostPlatform|networking\.(useDHCP|interfaces\..*)")
"""Set by the inventory already."""
FIXED = {
    "hardware.cpu.intel.updateMicrocode": "lib.mkDefault config.hardware.enableRedistributableFirmware",
    "hardware.cpu.amd.updateMicrocode": "lib.mkDefault config.hardware.enableRedistributableFirmware",
    "hardware.enableRedistributableFirmware": "lib.mkDefault true",
    "virtualisation.hypervGuest.enable": "true",
    "virtualisation.virtualbox.guest.enable": "true",
}

_TOKEN = re.compile(
    r"""(?P<comment>\#[^\n]*)|(?P<blank>\s+)|(?P<text>"(?:[^"\\]|\\.)*")|(?P<sign>[\[\]{}();=])|(?P<word>[^\s\[\]{}();="]+)"""
)


@dataclass(frozen=True)
class Configuration:
    """A module, and what of the machine's words is not in it. `report` is a second file, beside it."""

    module: str
    left_out: tuple[str, ...] = ()
    report: str = ""


def read(text: str, node: str, *, filesystems: bool) -> Configuration:
    """A report of either kind. `filesystems`: whether those of the first are the node's own; disko has them else.

    Raises InvalidInput for what is neither.
    """
    if len(text) > MOST:
        raise InvalidInput(f"a hardware configuration of {len(text)} characters; {MOST} are too many already")
    if text.lstrip().startswith("{") and not _is_module(text):
        return _of_facter(text, node)
    if not _is_module(text):
        raise InvalidInput(
            "neither what nixos-generate-config --show-hardware-config prints nor a report of nixos-facter",
            hint=f"slipway hardware {node} asks the machine itself",
        )
    return _of_generate_config(text, node, filesystems)


def _is_module(text: str) -> bool:
    return re.search(r"\{ *config *,[^}]*\}:", text) is not None


# --- nixos-facter ----------------------------------------------------------------------------------------------------


def _of_facter(text: str, node: str) -> Configuration:
    try:
        said = json.loads(text)
    except ValueError:
        said = None
    if not isinstance(said, dict) or not isinstance(said.get("hardware"), dict) or "version" not in said:
        raise InvalidInput("not a report of nixos-facter: it has `version` and `hardware`")
    module = {"hardware.facter.reportPath": Raw(f"./{node}.facter.json")}
    head = f"# The hardware of {node}, as nixos-facter found it (NixOS 25.11 and later). Yours from now on.\n"
    return Configuration(head + _body(module), report=f"{json.dumps(said, indent=2)}\n")


# --- nixos-generate-config -------------------------------------------------------------------------------------------


def _of_generate_config(text: str, node: str, filesystems: bool) -> Configuration:
    try:
        found = list(_settings(_tokens(text)))
    except ValueError:
        raise InvalidInput("it ends in the midst of a setting") from None
    taken: dict[str, Value] = {}
    left_out = []
    for path, value in found:
        key = ".".join(part.strip('"') for part in path)
        try:
            wanted = _taken(path, key, value, filesystems)
        except ValueError:
            left_out.append(key)
            continue
        if wanted is not None:
            taken[".".join(path)] = wanted
    head = f"# The hardware of {node}, as nixos-generate-config found it. Yours from now on.\n"
    head += "".join(f"# left out: {key}\n" for key in left_out)
    return Configuration(f"{head}{{ config, lib, modulesPath, ... }}:\n{_body(taken)}", tuple(left_out))


def _body(settings: Mapping[str, Value]) -> str:
    return "{\n" + "".join(f"  {key} = {to_nix(value, 1)};\n" for key, value in settings.items()) + "}\n"


def _tokens(text: str) -> Iterator[str]:
    """Those after the module's head."""
    body = text[text.index("}:") + 2 :]
    for found in _TOKEN.finditer(body):
        if found.lastgroup not in ("comment", "blank"):
            yield found[0]


def _settings(tokens: Iterator[str]) -> Iterator[tuple[list[str], list[str]]]:
    """Each `path = value;` of the outermost set: the path's parts, and the value's tokens."""
    if next(tokens, "") != "{":
        raise ValueError
    for first in tokens:
        if first == "}":
            return
        path = [first, *_until(tokens, "=")]
        yield _parts(path), list(_until(tokens, ";"))
    raise ValueError


def _until(tokens: Iterator[str], end: str) -> Iterator[str]:
    """Up to `end` that is in no bracket."""
    depth = 0
    for each in tokens:
        if each == end and depth == 0:
            return
        depth += (each in "[{(") - (each in "]})")
        yield each
    raise ValueError


def _parts(path: list[str]) -> list[str]:
    """`fileSystems.` and `"/"` as two parts."""
    return [part for token in path for part in ([token] if token.startswith('"') else token.split(".")) if part]


def _taken(path: list[str], key: str, value: list[str], filesystems: bool) -> Value:
    """The value as data; None for what is the inventory's or disko's. Raises ValueError for what is not known."""
    if OURS.fullmatch(key):
        return None
    if path[0] in ("fileSystems", "swapDevices") or key.startswith("boot.initrd.luks.devices."):
        _known_names(path)
        return _storage(path, value) if filesystems else None
    if key in FIXED:
        return Raw(_same(" ".join(value), FIXED[key]))
    if key in ("boot.initrd.availableKernelModules", "boot.initrd.kernelModules", "boot.kernelModules"):
        return [_matching(MODULE, _text(token)) for token in _items(value)]
    if key == "boot.extraModulePackages":
        return [Raw(_matching(PACKAGE, token)) for token in _items(value)]
    if key == "imports":
        return list(_imports(_items(value)))
    if key == "powerManagement.cpuFreqGovernor" and value[:1] == ["lib.mkDefault"]:
        return Raw(f"lib.mkDefault {to_nix(_matching(MODULE, _text(value[1])))}")
    raise ValueError(key)


def _same(found: str, wanted: str) -> str:
    if found != wanted:
        raise ValueError(found)
    return wanted


def _matching(pattern: re.Pattern[str], text: str) -> str:
    if not pattern.fullmatch(text):
        raise ValueError(text)
    return text


def _text(token: str) -> str:
    """The text of a string without escapes, antiquotation or odd letters: no path and no UUID has them."""
    if not re.fullmatch(r'"[A-Za-z0-9/._:=,@+ -]*"', token):
        raise ValueError(token)
    return token[1:-1]


def _known_names(path: list[str]) -> None:
    """Names in the path go into our file as they are."""
    for part in path:
        if part.startswith('"'):
            _text(part)
        elif not re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]*", part):
            raise ValueError(part)


def _items(value: list[str]) -> list[str]:
    if value[:1] != ["["] or value[-1:] != ["]"]:
        raise ValueError(value)
    return value[1:-1]


def _imports(tokens: list[str]) -> Iterator[Raw]:
    """Each `(modulesPath + "/...")`, of NixOS's own modules."""
    while tokens:
        match tokens:
            case ["(", "modulesPath", "+", named, ")", *rest]:
                yield Raw(f"(modulesPath + {to_nix(_matching(IMPORT, _text(named)))})")
                tokens = rest
            case _:
                raise ValueError(tokens)


def _storage(path: list[str], value: list[str]) -> Value:
    if path[0] == "swapDevices":
        return [_set(each) for each in _sets(_items(value))]
    if path[-1] == "device" and len(value) == 1:
        return _text(value[0])
    return _set(value)


def _sets(tokens: list[str]) -> Iterator[list[str]]:
    stream = iter(tokens)
    for each in stream:
        if each != "{":
            raise ValueError(each)
        yield ["{", *_until(stream, "}"), "}"]


def _set(tokens: list[str]) -> dict[str, Value]:
    """`{ device = "..."; fsType = "..."; options = [ "..." ]; }`"""
    found: dict[str, Value] = {}
    for path, value in _settings(iter(tokens)):
        (name,) = path
        if name not in ("device", "fsType", "options", "depends"):
            raise ValueError(name)
        found[name] = [_text(each) for each in _items(value)] if value[0] == "[" else _text(*value)
    return found
