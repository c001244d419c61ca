"""The example's inventory gives these files, byte for byte; `make golden` writes them anew after a change."""

import shutil
from pathlib import Path

import pytest

from slipway.generate import tree
from slipway.inventory import load

EXAMPLES = Path(__file__).parents[2] / "examples"
NAMES = ("homelab", "single", "large", "ipv6")
SHOWN = {
    "ipv6": ("generated/", "gitops/bootstrap/cilium/"),
    "large": ("generated/cluster.nix", "generated/hosts/cp1/", "generated/hosts/wa1/"),
}
"""Of a tree with many machines alike what shows each key once."""


def on_disk(root: Path) -> dict[str, bytes]:
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


@pytest.mark.parametrize("name", NAMES)
def test_the_tree_of_an_example(name, request):
    expected, files = Path(__file__).parent / name, tree.render(load(EXAMPLES / name))
    files = {path: content for path, content in files.items() if path.startswith(SHOWN.get(name, ""))}
    if request.config.getoption("--update-golden"):
        shutil.rmtree(expected, ignore_errors=True)
        for path, content in files.items():
            (expected / path).parent.mkdir(parents=True, exist_ok=True)
            (expected / path).write_bytes(content)
    assert on_disk(expected) == files


@pytest.mark.parametrize("name", NAMES)
def test_the_same_inventory_gives_the_same_bytes(name):
    assert tree.render(load(EXAMPLES / name)) == tree.render(load(EXAMPLES / name))
