"""A change of the inventory reaches the files that it is about, and no others: on a fleet, through the disk."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.bench import fleet

from slipway.generate import tree, writer
from slipway.inventory import load

HOSTS = 60
CHANGED = "node-00042"


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("fleet")
    (root / "inventory.yaml").write_text(fleet.inventory(HOSTS))
    generate(root)
    return root


def generate(root: Path) -> set[str]:
    """Do as `slipway generate`; return the files that were written anew or removed, by what the disk says."""
    files = {path: path.stat().st_ino for path in root.rglob("*") if path.is_file()}
    loaded = load(root)
    writer.write(root, writer.changes(root, tree.render(loaded)))
    now = {path: path.stat().st_ino for path in root.rglob("*") if path.is_file()}
    return {path.relative_to(root).as_posix() for path in {**files, **now} if files.get(path) != now.get(path)}


@pytest.fixture
def change(before: Path) -> Callable[[Callable[[str], str]], set[str]]:
    """`change(edit)`: the files that an edit of the inventory's text rewrites; it is taken back afterwards."""
    inventory = before / "inventory.yaml"
    text = inventory.read_text()

    def change(edit: Callable[[str], str]) -> set[str]:
        assert edit(text) != text
        inventory.write_text(edit(text))
        try:
            return generate(before)
        finally:
            inventory.write_text(text)
            generate(before)

    return change


def of(host: str) -> str:
    return f"generated/hosts/{host}/default.nix"


def edited(pattern: str, replacement: str) -> Callable[[str], str]:
    return lambda text: re.sub(pattern, replacement, text, count=1, flags=re.DOTALL)


def test_nothing_changed_writes_nothing(before):
    assert generate(before) == set()


def test_a_label_of_one_host_rewrites_its_file_alone(change):
    assert change(edited(rf"({CHANGED}:.*?example.org/unit: )\w+", r"\1other")) == {of(CHANGED)}


def test_a_disk_of_one_host_rewrites_its_file_alone(change):
    assert change(edited(rf"({CHANGED}:.*?nvme-Micron)", r"\1-NEW")) == {of(CHANGED)}


def test_a_tag_is_in_no_file(change):
    assert change(edited(rf"({CHANGED}:.*?tags: \[)", r"\1fresh, ")) == set()


def test_a_new_host_rewrites_the_indexes(change):
    disks = "disks: {system: {device: /dev/disk/by-id/nvme-Micron_7450_NEW}}"
    entry = f"  extra:\n    address: 10.20.99.9\n    groups: [rack-1]\n    {disks}\n"
    assert change(lambda text: text + entry) == {of("extra"), "generated/hosts.nix", "generated/manifest"}


def test_a_host_that_leaves_takes_its_file_and_rewrites_the_indexes(change):
    written = change(edited(rf"  {CHANGED}:\n(    .*?\n)+(?=  node)", ""))
    assert written == {of(CHANGED), "generated/hosts.nix", "generated/manifest"}


def test_a_label_of_a_rack_rewrites_its_hosts(change):
    written = change(edited(r"(  rack-2:\n    labels: \{)", r"\1example.org/floor: two, "))
    assert written == {of(f"node-{number:05}") for number in range(fleet.RACK, HOSTS)}


def test_another_release_rewrites_what_is_cluster_wide(change):
    assert change(edited(r"1\.36\.3\+k0s\.2", "1.36.3+k0s.1")) == {"generated/cluster.nix"}


def test_a_controller_s_address_reaches_the_controllers_and_the_cluster(change):
    written = change(edited(r"(cp2:\n    address: )10\.20\.16\.2", r"\g<1>10.20.98.2"))
    assert {of("cp2"), "generated/cluster.nix", "generated/hosts/cp1/k0s.yaml"} <= written
    assert not any("node-" in path for path in written)
