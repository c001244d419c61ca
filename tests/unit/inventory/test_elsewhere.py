"""Unknown keys whose place is another one: a key of the inventory, or an option of NixOS.

tests/data/nixos-options-named.tsv has what errors and the how-to name of NixOS's options;
`pytest tests/unit/inventory/test_elsewhere.py --nixos-options FULL.tsv` writes it anew from a list of all options.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tests.unit.nixos.test_options import Options, write_subset

from slipway.inventory import elsewhere, messages
from slipway.inventory.model import File
from slipway.pages import SOURCE

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs/how-to/own-hardware.md"
NAMED = ROOT / "tests/data/nixos-options-named.tsv"


def said(*path: str) -> str:
    return messages.unknown_key(path, File)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("hosts w1 kernelParams", "unknown key 'kernelParams': hosts/w1.nix, boot.kernelParams"),
        ("hosts w1 boot kernel_params", "unknown key 'kernel_params': hosts/w1.nix, boot.kernelParams"),
        ("defaults boot kernelModules", "unknown key 'kernelModules': modules/*.nix, boot.kernelModules"),
        ("groups gpu nvidia", "unknown key 'nvidia': hosts/NAME.nix, hardware.nvidia-container-toolkit.enable"),
        ("hosts w1 disks system luks", "unknown key 'luks': hosts/w1.nix, boot.initrd.luks.devices"),
        ("hosts w1 systemd", "unknown key 'systemd': hosts/w1.nix, systemd.services"),
        ("cluster podSubnet", "unknown key 'podSubnet'; it is cluster.network.podCIDR"),
        ("hosts w1 ip", "unknown key 'ip'; did you mean 'address'?"),
        ("hosts w1 network dns", "unknown key 'dns'; did you mean 'nameservers'?"),
    ],
)
def test_an_unknown_key_is_answered_with_its_place(path: str, message: str):
    assert said(*path.split()).startswith(message)


def test_a_slip_stays_a_slip():
    assert said("hosts", "w1", "adress") == "unknown key 'adress'; did you mean 'address'?"
    assert said("cluster", "encryption") == "unknown key 'encryption'; it is a key of cluster.network.cilium"


def test_a_file_system_of_another_kind_is_answered_too():
    assert elsewhere.value_elsewhere(("hosts", "w1", "disks", "s", "filesystem"), "zfs") == (
        "; hosts/w1.nix has it: boot.supportedFilesystems (https://github.com/slipway-project/slipway/blob/main/docs/how-to/own-hardware.md)"
    )
    assert elsewhere.value_elsewhere(("hosts", "w1", "role"), "zfs") == ""


PATHS = """
let
  pkgs = { linuxPackages_latest = { }; };
  made = let block = %s; in if builtins.isFunction block then block { inherit pkgs; } else block;
  below = path: value:
    if builtins.isAttrs value && value != { } then
      builtins.concatLists (map (name: below (path ++ [ name ]) value.${name}) (builtins.attrNames value))
    else
      [ path ];
in
below [ ] made
"""


def blocks() -> list[str]:
    return re.findall(r"^```nix\n(.*?)^```", PAGE.read_text(), re.S | re.M)


@pytest.fixture(scope="module")
def set_on_the_page(nix_value) -> list[list[list[str]]]:
    """For each block of the page the paths that it sets; disko's are its own."""
    return [[path for path in nix_value(PATHS % f"(\n{block})") if path[0] != "disko"] for block in blocks()]


@pytest.fixture(scope="module")
def options(request, set_on_the_page) -> Options:
    full = request.config.getoption("--nixos-options")
    if full:
        named = [pointer.option.split(".") for pointer in elsewhere.pointers()]
        paths = [*named, *(path for block in set_on_the_page for path in block)]
        write_subset(NAMED, "errors and the how-to name", Options.read(Path(full)), paths)
    return Options.read(NAMED)


def test_every_option_that_is_named_exists(options):
    ours = [pointer.option for pointer in elsewhere.pointers() if pointer.option != "disko.devices"]
    assert [name for name in ours if options.find(name.split(".")) is None] == []


def test_the_page_sets_options_that_exist(options, set_on_the_page):
    assert len(set_on_the_page) >= 9
    assert all(set_on_the_page[:2])
    unknown = [".".join(path) for block in set_on_the_page for path in block if options.find(path) is None]
    assert unknown == []


def test_control_an_option_that_is_none_is_seen(options):
    assert options.find(["boot", "kernelParamz"]) is None


@pytest.mark.parametrize("pointer", elsewhere.pointers(), ids=lambda pointer: pointer.option)
def test_the_page_of_a_pointer_is_there(pointer: elsewhere.Pointer):
    assert (ROOT / pointer.page.removeprefix(f"{SOURCE}/")).is_file()


@pytest.mark.parametrize("key", elsewhere.other_names())
def test_every_key_that_is_named_exists(key: str):
    path = tuple(key.split("."))
    assert path[-1] in messages.keys_at(File, path[:-1])
