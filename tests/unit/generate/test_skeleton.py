"""What a repository begins with."""

import json
import re
from collections.abc import Sequence
from pathlib import Path

import jsonschema
import pytest
import yaml

from slipway.errors import UsageError
from slipway.generate import skeleton
from slipway.generate.gitops.charts import CHARTS, DEFINITIONS, IMAGES, Chart, Definitions
from slipway.generate.skeleton import Example, Flake
from slipway.inventory import InvalidInventory, load

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJBF5Ci2hsdUcOIYQVjmoPaRKAe5XBmJnYwZk7TeDx3f admin@example"


def begin(root: Path, keys: Sequence[str] = (KEY,), flake: Flake = Flake()) -> tuple[Path, ...]:  # noqa: B008 (frozen)
    return skeleton.write(root, skeleton.files("homelab", flake, keys), flake)


def test_the_first_inventory_is_valid(tmp_path):
    begin(tmp_path)
    inventory = load(tmp_path)
    assert inventory.cluster.name == "homelab"
    assert inventory.hosts[0].ssh.authorized_keys == (KEY,)


@pytest.mark.parametrize(
    ("example", "controllers", "workers", "vip"),
    [("homelab", 1, 2, False), ("ha", 3, 3, True), ("single", 1, 0, False)],
)
def test_each_example_is_valid(tmp_path, example, controllers, workers, vip):
    skeleton.write(tmp_path, skeleton.files("homelab", Flake(), (KEY,), Example(example)), Flake())
    inventory = load(tmp_path)
    assert (len(inventory.controllers), len(inventory.workers)) == (controllers, workers)
    assert (inventory.cluster.network.vip is not None) is vip
    assert inventory.warnings == ()


def test_editors_find_the_schema_that_the_first_line_names(tmp_path):
    begin(tmp_path)
    first = (tmp_path / "inventory.yaml").read_text().splitlines()[0]
    name = first.removeprefix("# yaml-language-server: $schema=")
    schema = json.loads((tmp_path / name).read_text())
    document = yaml.load((tmp_path / "inventory.yaml").read_text(), yaml.BaseLoader)
    jsonschema.Draft202012Validator(schema).validate(yaml.safe_load((tmp_path / "inventory.yaml").read_text()))
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(schema).validate({**document, "hsots": {}})


def test_a_clone_is_named_by_its_full_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert skeleton.source("github:me/slipway") == "github:me/slipway"
    (tmp_path / "a clone").mkdir()
    with pytest.raises(UsageError, match=r"no flake\.nix"):
        skeleton.source("a clone")
    (tmp_path / "a clone" / "flake.nix").write_text("{ }")
    assert skeleton.source("a clone") == f"path:{tmp_path}/a clone"
    (tmp_path / "a clone" / ".git").mkdir()
    assert skeleton.source("a clone") == f"git+file://{tmp_path}/a%20clone"


def test_without_a_key_the_inventory_says_what_to_do(tmp_path):
    begin(tmp_path, keys=())
    with pytest.raises(InvalidInventory, match="authorizedKeys"):
        load(tmp_path)


def test_it_names_the_newest_packaged_k0s():

    from slipway.paths import resource

    versions = json.loads((resource("nixos") / "pkgs/k0s/versions.json").read_text())
    assert list(versions)[-1] == skeleton.K0S_VERSION


def test_what_is_there_stays(tmp_path):
    (tmp_path / "README.md").write_text("mine")
    begin(tmp_path)
    assert (tmp_path / "README.md").read_text() == "mine"
    assert begin(tmp_path) == ()


def test_the_flake_of_a_lab_follows_the_tool(tmp_path):
    begin(tmp_path, flake=Flake("path:/old", lab=True))
    written = begin(tmp_path, flake=Flake("path:/new", lab=True))
    assert written == (tmp_path / "flake.nix",)
    assert "path:/new" in (tmp_path / "flake.nix").read_text()


@pytest.mark.parametrize("flake", [Flake(), Flake("path:/x", lab=True)], ids=["machines", "lab"])
def test_the_flake_is_nix(tmp_path, nix_value, flake):
    begin(tmp_path, flake=flake)
    inputs = nix_value(f"(import {tmp_path / 'flake.nix'}).inputs")
    assert inputs["slipway"]["url"] == flake.url
    assert ("nixpkgs" in inputs) != flake.lab


def test_a_staged_flake_is_whole_and_named_after_its_contents(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    staged = skeleton.stage_flake()
    assert staged == skeleton.stage_flake()
    for name in (
        "flake.nix",
        "flake.lock",
        "nixos/outputs.nix",
        "nixos/modules/k0s.nix",
        "nixos/pkgs/k0s/versions.json",
    ):
        assert (staged / name).is_file(), name


def test_programs_are_staged_as_such_and_change_the_name(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    program = Path("nixos/lab/programs/busybox")
    staged = [skeleton.stage_flake({program: content}) for content in (b"one", b"other")]
    assert [(each / program).read_bytes() for each in staged] == [b"one", b"other"]
    assert all((each / program).stat().st_mode & 0o111 for each in staged)
    assert not (skeleton.stage_flake() / program).exists()


def test_the_versions_of_a_new_repository_are_those_of_slipway(tmp_path):
    """And Renovate finds every one of them."""
    begin(tmp_path)
    stages = load(tmp_path).stages
    table: dict[str, Chart | Definitions] = {**CHARTS, **DEFINITIONS}
    del table["gitlab"]  # the inventory chooses its line
    assert stages.charts == {name: chart.version for name, chart in table.items()}
    assert stages.images == {name: image.tag for name, image in IMAGES.items()}
    (manager,) = json.loads((tmp_path / "renovate.json").read_text())["customManagers"]
    (pattern,) = manager["matchStrings"]
    found = re.findall(pattern.replace("(?<", "(?P<"), (tmp_path / "versions.yaml").read_text())
    assert len(found) == len(table) + len(IMAGES)


def test_an_inventory_that_was_there_gets_no_versions_that_it_would_not_read(tmp_path):
    (tmp_path / "inventory.yaml").write_text("mine")
    assert tmp_path / "versions.yaml" not in begin(tmp_path)
