"""The table of Secrets against what the generated stages read."""

from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any

import pytest
import yaml

from slipway.generate.gitops import render
from slipway.generate.gitops.secrets import BY_NAME, SUFFIX, TABLE, Form, repository, wanted
from slipway.inventory import Inventory

SAVED = {"backup": {"repository": "s3:https://s3.example.org/backups", "from": "old", "to": "new"}}
STAGES: dict[str, dict[str, Any]] = {
    "none": {},
    "install": {"mode": "install", **SAVED},
    "restore": {"mode": "restore", **SAVED},
    "restore-only": {"mode": "restore-only", **SAVED},
    "gitlab": {"codeHosting": {"kind": "gitlab", "gitlab": "10"}},
    "gitlab-9": {"codeHosting": {"kind": "gitlab", "gitlab": "9.11"}},
    "dns": {"externalDns": {"enabled": True}},
    "forgejo": {"gitServer": {"kind": "forgejo"}, "codeHosting": {"kind": "none"}},
    "outer": {"source": {"kind": "git", "url": "https://git.example.org/ops/home.git", "secret": "outer"}},
    "bucket": {"source": {"kind": "bucket", "url": "https://s3.example.org/home", "secret": "bucket"}},
}
NAMING = ("secretName", "existingSecret", "secret", "pullSecret")


def names_in(value: Any) -> Iterator[str]:
    """Every Secret that a manifest or a chart's values name."""
    if isinstance(value, list):
        for each in value:
            yield from names_in(each)
    if not isinstance(value, dict):
        return
    for key, each in value.items():
        if key in ("secretRef", "secretKeyRef") and "name" in each:
            yield each["name"]
        elif key in NAMING and isinstance(each, str):
            yield each
        yield from names_in(each)


def made_by_external_secrets(manifests: list[dict[str, Any]]) -> set[str]:
    return {each["spec"]["target"]["name"] for each in manifests if each["kind"] == "ExternalSecret"}


def from_the_namespace(manifests: list[dict[str, Any]]) -> set[str]:
    """What External Secrets takes out of the namespace `secrets`."""
    found = set()
    for each in (each for each in manifests if each["kind"] == "ExternalSecret"):
        if each["spec"]["secretStoreRef"]["name"] == "secrets":
            found |= {entry["remoteRef"]["key"] for entry in each["spec"].get("data", ())}
            found |= {entry["extract"]["key"] for entry in each["spec"].get("dataFrom", ())}
    return found


def read_by(inventory: Inventory) -> set[str]:
    """The names of all Secrets that the stages read and do not make themselves."""
    texts = [text for path, text in render(inventory).items() if "/components/" not in str(path)]
    manifests = [each for text in texts for each in yaml.safe_load_all(text) if each]
    components = _components(inventory)
    made = made_by_external_secrets(manifests) - {"forgejo-admin", "external-dns"}
    named = {name for each in manifests for name in names_in(each)}
    return (named - made) | from_the_namespace(manifests) | components


def _components(inventory: Inventory) -> set[str]:
    """What the volumes take, whose names kustomize puts in."""
    if inventory.stages.mode == "none":
        return set()
    own = [each.name for each in wanted(inventory) if each.name.startswith("openbao-snapshots-")]
    return {"backup-repo", "backup-s3", *own}


@pytest.mark.parametrize("case", STAGES)
def test_the_table_names_what_the_stages_read_and_nothing_else(make, case):
    inventory = make({"stages": STAGES[case]})
    beside_stages = {"encryption", "sops-age"}
    assert {each.name for each in wanted(inventory)} - beside_stages == read_by(inventory)


def test_a_reference_that_the_table_lacks_is_seen():
    manifest = {"spec": {"env": [{"valueFrom": {"secretKeyRef": {"name": "nobody-made-it", "key": "a"}}}]}}
    assert list(names_in(manifest)) == ["nobody-made-it"]


@pytest.mark.parametrize("case", STAGES)
def test_every_file_lies_in_a_folder_that_is_generated_or_the_seeds(make, case):
    inventory = make({"stages": STAGES[case]})
    folders = {path.parent for path in render(inventory)}
    for each in wanted(inventory):
        assert str(each.folder) == "secrets" or PurePosixPath(each.folder) in folders, each
        assert each.file.name.endswith(SUFFIX)


def test_external_secrets_asks_for_keys_of_the_table(make):
    inventory = make({"stages": STAGES["install"]})
    manifests = [each for text in render(inventory).values() for each in yaml.safe_load_all(text) if each]
    for each in (each for each in manifests if each["kind"] == "ExternalSecret"):
        if each["spec"]["secretStoreRef"]["name"] == "secrets":
            for entry in each["spec"]["data"]:
                keys = {key.name for key in BY_NAME[entry["remoteRef"]["key"]].keys}
                assert entry["remoteRef"]["property"] in keys


def test_a_restored_cluster_saves_to_its_own_prefix_and_reads_from_the_other(make):
    inventory = make({"stages": STAGES["restore"]})
    assert repository(inventory, "openbao-snapshots-restore") == (
        "s3:https://s3.example.org/backups/old/openbao/openbao-snapshots"
    )
    assert repository(inventory, "openbao-snapshots-backup") == (
        "s3:https://s3.example.org/backups/new/openbao/openbao-snapshots"
    )


def test_a_value_that_another_secret_has_too_is_of_the_same_form():
    for each in TABLE:
        for key in each.keys:
            if key.like:
                assert key.form in {other.form for other in BY_NAME[key.like].keys if other.name == key.name}


def test_a_seal_begins_without_a_key_before(make):
    forms = {key.name: key.form for key in BY_NAME["openbao-seal"].keys}
    assert (forms["key"], forms["previous-key"]) == (Form.SEAL, Form.SEAL_BEFORE)


def test_openbao_reads_every_key_of_its_seal(make):
    text = render(make())
    values = next(text[path] for path in text if str(path).endswith("openbao/app/helmrelease.yaml"))
    for key in BY_NAME["openbao-seal"].keys:
        assert f'/openbao/seal/{key.name}"' in values or f"secretKey: {key.name}\n" in values
