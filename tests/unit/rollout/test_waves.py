from pathlib import Path

import pytest
from tests.unit.rollout.conftest import INVENTORY

from slipway.inventory import Inventory, load
from slipway.rollout.waves import Wave, waves


def fleet(tmp_path: Path, workers: int, settings: str = "") -> Inventory:
    """A cluster of one controller and so many workers."""
    rows = "".join(f"  w{n:02}: {{address: 10.0.1.{n}, role: worker}}\n" for n in range(1, workers + 1))
    text = INVENTORY.split("  w1:")[0].replace("deploy: {", f"deploy: {{waves: {{{settings}}}, ")
    (tmp_path / "fleet.yaml").write_text(text + "  cp1: {address: 10.0.0.11, role: controller}\n" + rows)
    return load(tmp_path / "fleet.yaml")


def sizes(inventory: Inventory, size: str = "") -> list[int]:
    found = waves(inventory, inventory.workers, size)
    assert [name for wave in found for name in wave.nodes] == [host.name for host in inventory.workers]
    return [len(wave.nodes) for wave in found]


def test_controllers_one_by_one_then_a_canary_then_the_other_workers(inventory):
    assert waves(inventory, inventory.hosts) == (
        Wave("controller cp1", ("cp1",)),
        Wave("controller cp2", ("cp2",)),
        Wave("controller cp3", ("cp3",)),
        Wave("canary w1", ("w1",)),
        Wave("workers", ("w2",)),
    )


def test_there_are_only_waves_with_somebody_in_them(inventory):
    assert waves(inventory, []) == ()
    assert waves(inventory, [inventory.host("cp2")]) == (Wave("controller cp2", ("cp2",)),)
    assert waves(inventory, [inventory.host("w2")]) == (Wave("workers", ("w2",)),)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ("", [1, 5, 5, 5, 4]),
        ("size: 10%", [1, 2, 2, 2, 2, 2, 2, 2, 2, 2, 1]),
        ("size: 8, canary: 0", [8, 8, 4]),
        ("size: 100%, canary: 3", [3, 17]),
        ("size: 1%, canary: 19", [19, 1]),
        ("canary: 20", [5, 5, 5, 5]),
        ("size: 100", [1, 19]),
    ],
)
def test_workers_come_in_batches_of_the_inventory(tmp_path, settings, expected):
    assert sizes(fleet(tmp_path, 20, settings)) == expected


def test_a_part_is_one_of_all_workers_of_the_cluster_not_of_the_chosen(tmp_path):
    inventory = fleet(tmp_path, 20, "canary: 0")
    chosen = [inventory.host(name) for name in ("w03", "w04", "w09")]
    assert waves(inventory, chosen) == (Wave("workers", ("w03", "w04", "w09")),)


def test_the_size_of_one_run_replaces_that_of_the_inventory(tmp_path):
    assert sizes(fleet(tmp_path, 20, "size: 2"), size="50%") == [1, 10, 9]


def test_a_canary_may_never_fail(tmp_path):
    inventory = fleet(tmp_path, 4, "size: 2, maxFailures: 2")
    assert [wave.max_failures for wave in waves(inventory, inventory.hosts)] == [0, 0, 2, 2]


def test_batches_are_numbered(tmp_path):
    inventory = fleet(tmp_path, 4, "size: 2")
    assert [wave.title for wave in waves(inventory, inventory.workers)] == [
        "canary w01",
        "workers 1 of 2",
        "workers 2 of 2",
    ]


def test_a_cluster_without_workers_has_waves_too(tmp_path):
    """One machine that is everything."""
    file = tmp_path / "inventory.yaml"
    file.write_text((Path(__file__).parents[3] / "examples" / "single" / "inventory.yaml").read_text())
    inventory = load(file)
    assert [wave.nodes for wave in waves(inventory, inventory.hosts)] == [("attic",)]
