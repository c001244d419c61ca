"""Every key of the inventory is read by something, and every option that is generated is one of the modules'.

Both say in words what is missing after a key was added to the model alone, or to what is generated alone.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args, get_origin

import pytest
from pydantic import BaseModel
from ruamel.yaml import YAML
from tests.unit.nixos.test_options import Option, Options
from tests.unit.nixos.test_reference import page as page

from slipway.generate import gitops, k0s, nixos
from slipway.inventory import InvalidInventory, Inventory, load
from slipway.inventory.model import File, HostEntry

VALID = Path(__file__).parents[2] / "inventories/valid"
EVERYTHING: dict[str, Any] = YAML(typ="safe").load((VALID / "everything.yaml").read_text())
EVERYTHING["stages"]["until"] = "cluster-apps"
ELSE: dict[str, Any] = YAML(typ="safe").load((VALID / "everything-else.yaml").read_text())
PLAIN = {"w2": {"address": "10.0.0.99", "role": "worker", "network": {"ipv6": {"address": "fd00::99"}}}}
"""Without taints, for what the stages put on any node."""

READ_ELSEWHERE = {
    "apiVersion": "the loader",
    "deploy": "the commands that deploy",
    "verify": "slipway verify, and the gate",
    "cluster.description": "people",
    "hosts.description": "people",
    "hosts.tags": "whoever selects hosts",
    "hosts.groups": "inheritance",
    "hosts.hardware": "the pack hardware",
    "hosts.deploy": "the commands that deploy",
    "hosts.ssh.identity": "the connection",
    "hosts.ssh.address": "the connection",
    "hosts.ssh.jump": "the connection",
    "hosts.pull.branch": "comin alone; here the host pulls by autoUpgrade",
    "hosts.ssh.sudoPassword": "the module, where the user is another than root",
    "stages.readyTimeout": "slipway handoff",
    "stages.proofTimeout": "slipway handoff",
    "stages.gitServer.repository": "slipway handoff",
    "cluster.network.vip.interface": "k0s.yaml; here it is the link of the host's address, as by default",
    "stages.cloudNativePg": "the stage cluster-apps; here GitLab brings the operator along",
    "stages.images.gitea": "the stage bootstrap; here Forgejo serves Git",
    "mirrors.charts": "helm, which brings Cilium",
}
"""Keys that leave no trace in what is generated of everything.yaml, and who reads them."""

Keys = tuple[str, ...]


def leaves(node: Any, path: Keys = ()) -> Iterator[Keys]:
    if isinstance(node, dict) and node:
        for key, value in node.items():
            yield from leaves(value, (*path, str(key)))
    elif path:
        yield path


def sections(shape: Any) -> Iterator[type[BaseModel]]:
    """Those within an annotation: Optional, list or mapping of them."""
    if isinstance(shape, type) and issubclass(shape, BaseModel):
        yield shape
    for part in get_args(shape):
        yield from sections(part)


LAYERS = ("defaults", "groups", "hosts")


def keys_of(shape: type[BaseModel], path: Keys = ()) -> Iterator[str]:
    """Every key of the model that holds a value, as a person calls it."""
    for name, field in shape.model_fields.items():
        here = (*path, field.alias or name)
        inner = list(sections(field.annotation))
        if not inner:
            yield ".".join(here)
        for part in inner if here[0] not in LAYERS or path else ():
            yield from keys_of(part, here)


def said_in(node: Any, shape: type[BaseModel], path: Keys = ()) -> Iterator[str]:
    """Those of them that a part of an inventory has."""
    for name, field in shape.model_fields.items():
        key = field.alias or name
        for value in [node[key]] if isinstance(node, dict) and node.get(key) is not None else []:
            parts = list(sections(field.annotation))
            if not parts:
                yield ".".join((*path, key))
            many = get_origin(field.annotation) in (dict, tuple)
            each = list(value.values()) if many and isinstance(value, dict) else value if many else [value]
            for part in parts:
                for one in each:
                    yield from said_in(one, part, (*path, key))


def said(document: dict[str, Any]) -> set[str]:
    layers = [document.get("defaults", {}), *document.get("groups", {}).values(), *document.get("hosts", {}).values()]
    hosts = {key for layer in layers for key in said_in(layer, HostEntry, ("hosts",))}
    return hosts | set(said_in({key: value for key, value in document.items() if key not in LAYERS}, File))


def every_key() -> set[str]:
    return {*keys_of(File), *keys_of(HostEntry, ("hosts",))}


def test_every_key_is_said_in_an_inventory_of_the_tests():
    missing = sorted(every_key() - said(EVERYTHING) - said(ELSE))
    assert missing == [], "add a line to tests/inventories/valid/everything.yaml"


def test_control_a_key_that_no_inventory_says_is_seen():
    document = copy.deepcopy(EVERYTHING)
    del document["defaults"]["journald"]["maxUse"], document["stages"]["backup"]["keep"]["weekly"]
    assert every_key() - said(document) - said(ELSE) == {
        "hosts.journald.maxUse",
        "stages.backup.keep.weekly",
    }


def without(document: dict[str, Any], path: Keys) -> dict[str, Any]:
    made = copy.deepcopy(document)
    node = made
    for key in path[:-1]:
        node = node[key]
    del node[path[-1]]
    return made


def name_of(path: Keys) -> str:
    """The key as a person calls it: what hosts inherit is a key of hosts, and no name of theirs is part of it."""
    if path[0] in ("hosts", "groups"):
        return ".".join(("hosts", *path[2:]))
    return ".".join(("hosts", *path[1:]) if path[0] == "defaults" else path)


def known(name: str) -> bool:
    return any(name == each or name.startswith(f"{each}.") for each in READ_ELSEWHERE)


def generated(inventory: Inventory, *, stages: bool) -> dict[str, str]:
    """What is generated of it, without the first lines, which name the data that it was made from."""
    files = {**nixos.render(inventory), **k0s.render(inventory)}
    texts = {path: content.decode().partition("\n")[2] for path, content in files.items()}
    lines = {path: "".join(x for x in text.splitlines() if "madeOf" not in x) for path, text in texts.items()}
    return {**lines, **({str(path): text for path, text in gitops.render(inventory).items()} if stages else {})}


def loaded(folder: Path, document: dict[str, Any]) -> Inventory | None:
    hosts = {**document["hosts"], **PLAIN}
    (folder / "inventory.yaml").write_text(json.dumps({**document, "hosts": hosts}))
    try:
        return load(folder)
    except InvalidInventory:
        return None  # required, or needed by another key


def same(one: Inventory, other: Inventory) -> bool:
    """Whether they say the same: the key that one of them lacks has its default in the other, which proves nothing."""
    names = ("cluster", "hosts", "deploy", "verify", "stages", "mirrors")
    return all(getattr(one, name) == getattr(other, name) for name in names)


def unread(folder: Path, document: dict[str, Any]) -> Iterator[str]:
    whole = loaded(folder, document)
    assert whole is not None
    before = {stages: generated(whole, stages=stages) for stages in (False, True)}
    read: dict[str, bool] = {}
    for path in leaves(document):
        stages, name = path[0] in ("stages", "mirrors"), name_of(path)
        inventory = None if known(name) or read.get(name) else loaded(folder, without(document, path))
        if inventory is not None and not same(inventory, whole):
            read[name] = generated(inventory, stages=stages) != before[stages]
    for name, is_read in read.items():
        if not is_read:
            yield f"{name}: nothing in generate/ reads it; or say in READ_ELSEWHERE who does"


@pytest.mark.parametrize("document", [EVERYTHING, ELSE], ids=["everything", "everything-else"])
def test_every_key_is_read_by_something(tmp_path, document):
    assert sorted(set(unread(tmp_path, document))) == []


def test_control_a_key_that_nothing_reads_is_seen(tmp_path, monkeypatch):
    monkeypatch.delitem(READ_ELSEWHERE, "hosts.tags")
    monkeypatch.setitem(EVERYTHING, "stages", {})
    monkeypatch.setitem(EVERYTHING, "mirrors", {})
    assert [
        line for line in unread(tmp_path, EVERYTHING) if line.startswith("hosts.tags: nothing in generate/ reads it")
    ]


@pytest.fixture
def options(page) -> Options:
    return Options([Option(option["name"], option["type"]) for option in page.options()])


def undeclared(options: Options, attributes: dict[str, Any]) -> list[str]:
    """Options of `slipway` that are set and that no module has."""
    found = []
    for path in leaves(attributes, ("slipway",)):
        option = options.find(path)
        if option is None:
            found.append(f"{'.'.join(path)}: no module in nixos/modules declares it")
    return found


def test_every_generated_option_is_declared(options, nix_value, tmp_path):
    inventory = loaded(tmp_path, EVERYTHING)
    for path, content in (nixos.render(inventory) if inventory else {}).items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(content)
    cluster = f"(import {tmp_path}/generated/cluster.nix {{ lib.mkDefault = x: x; }}).slipway"
    host = f"(import {tmp_path}/generated/hosts/w1/default.nix).slipway"
    for made in (cluster, f'{host} // {{ k0s = removeAttrs {host}.k0s [ "configFile" ]; }}'):
        assert undeclared(options, nix_value(made)) == []


def test_control_an_option_of_no_module_is_seen(options):
    assert undeclared(options, {"network": {"mtu": 9000, "colour": "red"}}) == [
        "slipway.network.colour: no module in nixos/modules declares it"
    ]
