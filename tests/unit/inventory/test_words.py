"""Every text of the inventory is data in every format that is made of it, or refused at load.

The fields are found in the model and tried through an inventory that has them all, so that a new one is covered
without being named: what the inventory lacks fails a test of its own.
"""

from __future__ import annotations

import copy
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, get_args

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel
from tests.unit.inventory.test_load import INVENTORIES

from slipway.errors import SlipwayError
from slipway.generate import tree
from slipway.inventory import Inventory, export, load
from slipway.inventory.model import File

Place = tuple[str | int, ...]
EVERYTHING: dict[str, Any] = yaml.load(  # texts stay texts
    (INVENTORIES / "valid/everything.yaml").read_text(), Loader=yaml.BaseLoader
)
EVERYTHING["hosts"]["w1"]["taints"] = []  # the first Git server wants a host without
EVERYTHING["cluster"]["k0s"]["encryptSecrets"] = "true"
EVERYTHING["hosts"]["w2"] = yaml.load(
    """
    address: 10.0.0.22
    role: worker
    network:
      dhcp: "false"
      bonds:
        bond0: {interfaces: [enp1, enp2], mode: 802.3ad, lacpRate: slow, transmitHashPolicy: layer2, minLinks: "1"}
        bond9: {interfaces: [enp8, enp9], mode: active-backup, primary: enp8}
      bridges: {br0: {interfaces: [enp3]}}
      vlans: {v5: {id: "5", interface: eno1}}
      links:
        bond0: {addresses: [10.9.1.5/24], routes: [{to: 10.8.0.0/16, via: 10.9.1.1}]}
        br0: {addresses: [10.9.2.5/24]}
        bond9: {addresses: [10.9.4.5/24]}
        v5: {addresses: [10.9.3.5/24]}
    disks: {system: {device: /dev/disk/by-id/nvme-SAMSUNG_2}}
    """,
    Loader=yaml.BaseLoader,
)
HOSTILE = (
    "''${x}", "${builtins.currentTime}", "\\", '"; evil = 1; x = "', "a\nevil: 1", "\0", "\u2028evil: 1", "\x85evil: 1",
    "\x0bx", "\x1b[31m", "%n", "$(id)", "`id`", "a: b", "# c", " #c", "{{x}}", "#{ 1+1 }#", "!!python/object:x", "*a",
    "'", "a b", "-x", "\r\nx", "\t", "\ufeff", "\ud800", "]", ",", "&y", "|x", ";id", "(", "'''", "\nProxyCommand id",
)  # fmt: skip


def texts(node: Any, place: Place = ()) -> Iterator[Place]:
    if isinstance(node, str):
        yield place
    for key, value in node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ():
        yield from texts(value, (*place, key))


PLACES = sorted((place for place in texts(EVERYTHING) if place[0] not in ("apiVersion", "include")), key=str)


def fields(model: type[BaseModel], seen: tuple[type, ...] = ()) -> Iterator[str]:
    """The keys of all sections below a model, as Section.key."""
    for field in model.model_fields.values():
        yield field.alias or ""
        for below in sections(field.annotation):
            if below not in seen:
                yield from fields(below, (*seen, below))


def sections(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from sections(part)


def keys(node: Any, place: Place = ()) -> Iterator[Place]:
    """Where somebody else than the model names something: hosts, groups, links, registries."""
    for key, value in node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ():
        if isinstance(node, dict) and key not in NAMED:
            yield (*place, key)
        yield from keys(value, (*place, key))


def renamed(place: Place, name: str) -> dict[str, Any]:
    made = copy.deepcopy(EVERYTHING)
    node: Any = made
    for key in place[:-1]:
        node = node[key]
    items = [(name if key == place[-1] else key, value) for key, value in node.items()]
    node.clear()
    node.update(items)
    return made


def put(place: Place, text: str) -> dict[str, Any]:
    made = copy.deepcopy(EVERYTHING)
    node: Any = made
    for key in place[:-1]:
        node = node[key]
    node[place[-1]] = text
    return made


NAMED = set(fields(File))
KEYS = sorted((place for place in keys(EVERYTHING) if place[0] != "include"), key=str)


def loaded(folder: Path, document: dict[str, Any]) -> Inventory | None:
    """None if it is refused; JSON is YAML, and can write every character."""
    (folder / "inventory.yaml").write_text(json.dumps(document))
    try:
        return load(folder)
    except SlipwayError:
        return None


@cache
def documents() -> dict[str, int]:
    """How many documents each file of YAML has that is made of the inventory as it is."""
    with TemporaryDirectory() as folder:
        made = loaded(Path(folder), EVERYTHING)
        assert made is not None
        files = {name: content for name, content in tree.render(made).items() if name.endswith((".yaml", ".yml"))}
    return {name: len(list(yaml.safe_load_all(content))) for name, content in files.items()}


def documents_of(name: str) -> int:
    """A file that only another inventory has holds one."""
    return documents().get(name, 1)


def require_data(inventory: Inventory) -> list[bytes]:
    """Parse all that is made of it; the Nix is returned for one call of Nix's own parser."""
    nix = []
    for name, content in tree.render(inventory).items():
        if name.endswith(".nix"):
            nix.append(content)
        elif name.endswith((".yaml", ".yml")):
            read = list(yaml.safe_load_all(content))
            assert len(read) == documents_of(name), name
            assert "evil" not in set(every_key(read)), name
    hosts = [line.split("\t") for line in export.hosts_file(inventory).splitlines()]
    assert all(len(words) == 2 for words in hosts)
    assert set(yaml.safe_load(export.ansible(inventory))["all"]) == {"hosts", "children"}
    words = {line.split()[0] for line in export.ssh_config(inventory).splitlines() if line.strip()}
    assert words <= {"Host", "HostName", "User", "Port", "UserKnownHostsFile", "IdentityFile", "ProxyJump"}
    return nix


def every_key(node: Any) -> Iterator[Any]:
    """Of all mappings; a hostile text that became YAML has made one named `evil`."""
    for key, value in node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ():
        if isinstance(node, dict):
            yield key
        yield from every_key(value)


def require_nix(contents: set[bytes], folder: Path) -> None:
    """Nix's parser takes them, and no text has become an attribute named `evil`."""
    files = [folder / f"{number}.nix" for number in range(len(contents))]
    for file, content in zip(files, sorted(contents), strict=True):
        file.write_bytes(content)
    said = subprocess.run(["nix-instantiate", "--parse", *files], check=True, capture_output=True, timeout=120).stdout
    assert not is_evil(said.decode())


def is_evil(parsed: str) -> bool:
    return "evil" in re.sub(r'"(?:[^"\\]|\\.)*"', "", parsed, flags=re.DOTALL)


IN_FOLDER = settings(suppress_health_check=list(HealthCheck), deadline=None, max_examples=60)


@IN_FOLDER
@given(st.sampled_from(PLACES), st.one_of(st.sampled_from(HOSTILE), st.text(max_size=12)), st.booleans())
def test_a_text_is_data_or_refused(tmp_path: Path, place: Place, text: str, after: bool):
    original: Any = EVERYTHING
    for key in place:
        original = original[key]
    inventory = loaded(tmp_path, put(place, original + text if after else text))
    if inventory is not None:
        require_data(inventory)


@IN_FOLDER
@given(st.sampled_from(KEYS), st.one_of(st.sampled_from(HOSTILE), st.text(max_size=12)), st.booleans())
def test_a_key_is_data_or_refused(tmp_path: Path, place: Place, text: str, after: bool):
    inventory = loaded(tmp_path, renamed(place, str(place[-1]) + text if after else text))
    if inventory is not None:
        require_data(inventory)


def test_control_what_a_text_made_of_its_own_would_be_seen(tmp_path: Path):
    assert "evil" in set(every_key(list(yaml.safe_load_all("# from a\nevil: 1\n"))))
    assert not is_evil('{ a = "evil = 1"; }')
    with pytest.raises(AssertionError):
        require_nix({b"# from a\n{ evil = 1; }"}, tmp_path)


@pytest.mark.skipif(shutil.which("nix-instantiate") is None, reason="needs Nix")
def test_nix_parses_what_hostile_texts_make(tmp_path: Path):
    free = [place for place in PLACES if "kubeletExtraArgs" in place or "workerProfiles" in place or "mirrors" in place]
    assert free
    made = set()
    for number, text in enumerate(HOSTILE):
        for document in (put(free[number % len(free)], text), renamed(KEYS[number % len(KEYS)], text)):
            inventory = loaded(tmp_path, document)
            made |= set(require_data(inventory)) if inventory else set()
    require_nix(made, tmp_path)


def test_what_is_tried_is_valid(tmp_path: Path):
    (tmp_path / "inventory.yaml").write_text(json.dumps(EVERYTHING))
    assert require_data(load(tmp_path))


def test_every_key_of_the_model_is_in_the_inventory_that_is_tried():
    keys = {str(key) for place in texts(EVERYTHING) for key in place}
    assert not set(fields(File)) - keys - UNTRIED


UNTRIED = {"include", "dualStack", "ipv6", "externalAddress", "secret", "insecure", "region", "node"}
"""The first names files and is gone after loading; the others cannot stand beside the rest: addresses, and words of
another source of the stages (a DNS label, a truth value, a tag), and the name of a host without taints."""


@pytest.mark.parametrize("text", ["a\0b", "a\x1b[31m", "a\rb"])
def test_controls_are_refused_with_their_place(tmp_path: Path, text: str):
    (tmp_path / "inventory.yaml").write_text(json.dumps({**EVERYTHING, "mirrors": {"images": {"ghcr.io": text}}}))
    with pytest.raises(SlipwayError, match=r"inventory\.yaml:1:\d+: .*control character.*remove it"):
        load(tmp_path)


@pytest.mark.parametrize(
    "options",
    [{"post-build-hook": "/tmp/x"}, {"plugin-files": "/x.so"}, {"require-sigs": "false"}, {"builders": "ssh://x"},
     {"substituters": "https://x.example?trusted=1"}, {"substituters": "ssh://x"}, {"trusted-public-keys": "x:y"},
     {"sandbox": "false"}, {"sandbox-paths": "/root"}, {"build-users-group": ""}],
)  # fmt: skip
def test_a_repository_cannot_take_hold_of_the_deployers_nix(tmp_path: Path, options: dict[str, str]):
    assert loaded(tmp_path, {**EVERYTHING, "deploy": {"nixOptions": {"cores": "2"}}}) is not None
    assert loaded(tmp_path, {**EVERYTHING, "deploy": {"nixOptions": options}}) is None


@pytest.mark.parametrize(
    ("address", "good"),
    [("s3://nix?region=eu-central-1&endpoint=minio.example.org:9000&scheme=http", True), ("file:///srv/cache", True),
     ("s3://nix?addressing-style=path&storage-class=STANDARD_IA", True),
     ("https://cache.example.org/upload?compression=zstd", True), ("s3://nix?secret-key=/root/key", False),
     ("file://cache", False), ("ssh://root@w1", False), ("local?root=/tmp", False), ("s3://nix?compression", False),
     ("https://x.example?post-build-hook=/x", False)],
)  # fmt: skip
def test_a_cache_is_no_way_to_files_of_the_deployer(tmp_path: Path, address: str, good: bool):
    found = loaded(tmp_path, {**EVERYTHING, "deploy": {"cache": address}})
    assert (found is not None) is good


def test_no_line_of_an_identity_reaches_ssh(tmp_path: Path):
    def with_identity(path: str) -> Inventory | None:
        return loaded(tmp_path, put(("defaults", "ssh", "identity"), path))

    assert with_identity('/k"\nProxyCommand id\nIdentityFile "/x') is None
    assert with_identity("/k${HOME}") is None
    inventory = with_identity("/keys/50%d of # a")
    assert inventory is not None
    config = tmp_path / "config"
    config.write_text(export.ssh_config(inventory))
    name = next(host.name for host in inventory.hosts if host.ssh.identity == Path("/keys/50%d of # a"))
    ssh = ["ssh", "-G", "-F", str(config), name]
    said = subprocess.run(ssh, check=True, capture_output=True, text=True, env=os.environ, timeout=30).stdout
    assert next(line for line in said.splitlines() if line.startswith("identityfile")).endswith("of # a")
    assert "proxycommand" not in said


@pytest.mark.parametrize(
    "url", ["git+https://g.example/$(id)", "git+https://g/r?ref=a&id", "https://g/`id`", "https://g/;id"]
)
def test_no_word_of_a_shell_is_in_what_a_machine_pulls(tmp_path: Path, url: str):
    pulls = [place for place in PLACES if place[-2:] == ("pull", "url")]
    assert pulls
    assert loaded(tmp_path, put(pulls[0], url)) is None
