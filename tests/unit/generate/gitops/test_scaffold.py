"""Apps of the user's own, and generated ones that a user takes over."""

from collections.abc import Mapping

import pytest
import yaml

from slipway.errors import InvalidInput
from slipway.generate import tree, writer
from slipway.generate.gitops.scaffold import Wanted, ejected, scaffold
from slipway.inventory import Inventory
from slipway.paths import resource

SHOP = Wanted("shop", "registry.example.org/shop:1.0", 8080, "5Gi")
SAVED = {"mode": "install", "backup": {"repository": "s3:https://s3.example.org/backups"}}


def generate(inventory: Inventory) -> dict[str, str]:
    """What `slipway generate` does."""
    different = writer.changes(inventory.root, tree.render(inventory))
    writer.write(inventory.root, different)
    return {change.path: change.verb for change in different}


def put(inventory: Inventory, files: Mapping[str, str | bytes]) -> None:
    for path, content in files.items():
        (inventory.root / path).parent.mkdir(parents=True, exist_ok=True)
        (inventory.root / path).write_bytes(content if isinstance(content, bytes) else content.encode())


def test_a_new_app_has_namespace_volume_and_pods_in_their_order(make):
    files = scaffold(make({"stages": SAVED}), SHOP)
    order = {
        each["metadata"]["name"]: [before["name"] for before in each["spec"].get("dependsOn", [])]
        for each in yaml.safe_load_all(files["gitops/cluster-apps/shop/ks.yaml"])
    }
    assert order == {
        "shop-namespace": [],
        "shop-data": ["shop-namespace"],
        "shop": ["shop-data"],
        "shop-data-backup": ["shop"],
    }
    (path,) = {each["spec"]["path"] for each in yaml.safe_load_all(files["gitops/cluster-apps/shop/ks.yaml"])
               if each["metadata"]["name"] == "shop"}  # fmt: skip
    assert f"{path.removeprefix('./')}/kustomization.yaml" in files
    deployment, service = yaml.safe_load_all(files["gitops/cluster-apps/shop/app/app.yaml"])
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    assert container["image"] == SHOP.image
    assert service["spec"]["ports"][0]["port"] == SHOP.port


def test_the_health_of_a_new_app_is_asked_with_a_list_of_kinds_of_its_own(make):
    ordered = [each["spec"] for each in yaml.safe_load_all(scaffold(make(), SHOP)["gitops/cluster-apps/shop/ks.yaml"])]
    assert [spec["serviceAccountName"] for spec in ordered] == ["kustomize-controller"] * 4


def test_so_is_that_of_the_app_that_people_copy():
    example = yaml.safe_load((resource("examples") / "lab" / "hello" / "ks.yaml").read_text())
    assert example["spec"]["serviceAccountName"] == "kustomize-controller"


def test_its_files_are_the_same_in_every_mode_and_the_components_are_not(make):
    files, parts = {}, {}
    for mode in ("none", "install", "restore", "restore-only"):
        inventory = make({"stages": {**SAVED, "mode": mode}})
        files[mode] = scaffold(inventory, SHOP)
        made = tree.render(inventory)
        parts[mode] = [
            yaml.safe_load(made[f"gitops/components/{name}/kustomization.yaml"]).get("components", [])
            for name in ("volume", "backup")
        ]
    assert files["none"] == files["install"] == files["restore"] == files["restore-only"]
    assert parts == {
        "none": [["../volume-none"], ["../backup-paused"]],
        "install": [["../volume-install", "../restic-backup"], ["../volume-backup"]],
        "restore": [
            ["../volume-restore", "../restic-restore"], ["../volume-backup", "../backup-paused", "../restic-backup"],
        ],
        "restore-only": [["../volume-restore-only", "../restic-restore"], ["../backup-paused"]],
    }  # fmt: skip


def test_what_a_new_app_names_is_generated(make):
    inventory = make({"stages": SAVED})
    files = {**tree.render(inventory), **scaffold(inventory, SHOP)}
    for path in [path for path in files if path.startswith("gitops/cluster-apps/shop/") and "kustomization" in path]:
        for component in yaml.safe_load(str(files[path])).get("components", []):
            assert f"gitops/{component.removeprefix('../../../')}/kustomization.yaml" in files


def test_the_next_generate_lists_it_and_changes_nothing_of_it(make):
    inventory = make()
    generate(inventory)
    put(inventory, scaffold(inventory, SHOP))
    assert generate(inventory) == {"gitops/cluster-apps/kustomization.yaml": "changed"}
    listed = yaml.safe_load((inventory.root / "gitops/cluster-apps/kustomization.yaml").read_text())
    assert "shop/ks.yaml" in listed["resources"]
    assert generate(inventory) == {}


@pytest.mark.parametrize("name", ["sample", "bootstrap", "gitea", "gateway"])
def test_a_name_that_slipway_uses_is_refused(make, name):
    with pytest.raises(InvalidInput, match="of this name"):
        scaffold(make(), Wanted(name, "image", 80))


def test_an_app_that_is_taken_over_is_left_alone(make):
    inventory = make()
    generate(inventory)
    files = ejected(inventory, "sample")
    assert "gitops/cluster-apps/sample/ks.yaml" in files
    put(inventory, files)
    mine = inventory.root / "gitops/cluster-apps/sample/app/sample.yaml"
    mine.write_text(mine.read_text().replace("replicas: 1", "replicas: 2"))
    changed = generate(inventory)
    assert not any(path.startswith("gitops/cluster-apps/sample/") for path in changed)
    assert "replicas: 2" in mine.read_text()
    listed = yaml.safe_load((inventory.root / "gitops/cluster-apps/kustomization.yaml").read_text())
    assert "sample/ks.yaml" in listed["resources"]
    with pytest.raises(InvalidInput, match="is yours already"):
        ejected(inventory, "sample")


def test_only_what_is_generated_can_be_taken_over(make):
    inventory = make()
    with pytest.raises(InvalidInput, match="no app that slipway generates here; there are cilium, "):
        ejected(inventory, "shop")
    with pytest.raises(InvalidInput, match="missing"):
        ejected(inventory, "sample")


def test_an_overlay_is_picked_up_by_the_next_generate(make):
    inventory = make()
    generate(inventory)
    put(inventory, {"overlays/bootstrap/gitea/kustomization.yaml": "kind: Component\n"})
    assert generate(inventory) == {"gitops/bootstrap/gitea/app/kustomization.yaml": "changed"}
