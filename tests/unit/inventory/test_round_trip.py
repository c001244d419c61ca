"""Texts and keys of the inventory arrive in what is made of it as they stand there, and change nothing beside them.

A value gets a mark, and a second inventory has a hostile text inside the mark. Whatever is made of the two must be the
same, read by the format's own reader, but for that text: the same structure, the same other values, the text in full.
What is refused at load is no case. The inventories are test_words.py's, which has every key of the schema.
"""

from __future__ import annotations

import copy
import os
import re
import subprocess
import tomllib
from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.unit.inventory.test_load import INVENTORIES
from tests.unit.inventory.test_words import EVERYTHING, HOSTILE, Place, loaded, texts

from slipway.generate import nixlang, tree
from slipway.inventory import Inventory, export

NIXOS = Path(__file__).parents[3] / "nixos"
MARK = "x7q{}x7q"
PLAIN = MARK.format("0")
TEXTS = (
    "''${x}$(id)`id`", '"; evil = 1; x = "', "a\nevil: 1", "\u2028evil: 1\\", "a: b # c{{x}}#{", "*a'", "-x", "%n",
    "\t],&y|;(",
)  # fmt: skip
"""One of each kind: what HOSTILE has more of is refused everywhere, and tried in test_words.py."""

LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
Made = dict[str, Any]
Document = dict[str, Any]


def document(path: str) -> Document:
    made: Document = yaml.load((INVENTORIES / "valid" / path).read_text(), Loader=yaml.BaseLoader)
    return made


DUAL = document("dual-stack.yaml")
EXTERNAL = copy.deepcopy(EVERYTHING)
EXTERNAL["cluster"]["network"] |= {"externalAddress": "api.example.org", "nodeLocalLoadBalancing": "false"}
del EXTERNAL["cluster"]["network"]["vip"]
BASES = {"everything": EVERYTHING, "dual stack and IPv6": DUAL, "external address": EXTERNAL}


def replaced(node: Any, old: str, new: str) -> Any:
    """With `new` for `old` in every text, keys too."""
    if isinstance(node, str):
        return node.replace(old, new)
    if isinstance(node, list | tuple):
        return [replaced(each, old, new) for each in node]
    if isinstance(node, dict):
        return {replaced(key, old, new): replaced(value, old, new) for key, value in node.items()}
    return node


def with_text(base: Document, place: Place, more: str) -> Document:
    """Its text at `place` with `more` behind it."""
    made = copy.deepcopy(base)
    node: Any = made
    for key in place[:-1]:
        node = node[key]
    node[place[-1]] += more
    return made


def with_key(base: Any, key: str, more: str) -> Any:
    """A key of its own, and all that names it, with `more` behind it."""
    if isinstance(base, dict):
        return {name + more if name == key else name: with_key(value, key, more) for name, value in base.items()}
    if isinstance(base, list):
        return [with_key(each, key, more) for each in base]
    return base + more if base == key else base


def keys(node: Any) -> Iterator[str]:
    for key, value in node.items() if isinstance(node, dict) else ():
        yield key
        yield from keys(value)
    for each in node if isinstance(node, list) else ():
        yield from keys(each)


def changes(base: Document) -> dict[str, Callable[[str], Document]]:
    """What can be changed in a document: each text, and each key; slipway's own are refused at load."""
    found: dict[str, Callable[[str], Document]] = {}
    for place in texts(base):
        found[".".join(map(str, place))] = partial(with_text, base, place)
    for key in sorted(set(keys(base))):
        found[f"key {key}"] = partial(with_key, base, key)
    return found


def parsed(inventory: Inventory) -> Made:
    """Everything that is made of it, read; Nix as its text without the header, to be read by one call of Nix."""
    # Ansible has no `-` in the name of a group.
    made: Made = {"ansible": replaced(yaml.safe_load(export.ansible(inventory)), "-", "_")}
    made["hosts file"] = [line.split("\t") for line in export.hosts_file(inventory).splitlines()]
    for name, content in tree.render(inventory).items():
        if name.endswith(".nix"):
            made[name] = content.decode().partition("\n")[2]
        elif name.endswith((".yaml", ".yml")):
            made[name] = documents(content)
    return made


@cache
def documents(content: bytes) -> list[Any]:
    """Most files are the same from one inventory to the next."""
    found = list(yaml.load_all(content, Loader=LOADER))
    for each in found:
        # The name of a Job ends in a digest of what it does: it runs anew where that changes.
        if isinstance(each, dict) and each.get("kind") == "Job":
            del each["metadata"]["name"]
    return found


class Nix:
    """Reads many modules in one call."""

    def __init__(self, evaluate: Callable[[str], Any], folder: Path) -> None:
        self._evaluate, self._folder = evaluate, folder
        self._files: dict[str, Path] = {}
        self.values: dict[str, Any] = {}

    def add(self, made: Made) -> None:
        for text in (text for name, text in made.items() if name.endswith(".nix")):
            # Paths would be copied into a store.
            safe = text.replace("= ./", "= toString ./").replace("[ ../../cluster.nix ]", "[ ]")
            file = self._files.setdefault(text, self._folder / f"module{len(self._files)}.nix")
            file.write_text(safe)

    def read(self) -> None:
        lib = f"let lib = import {NIXOS}/lab/lib; value = f: if builtins.isFunction f then f {{ inherit lib; }} else f;"
        read = " ".join(f"(value (import {file}))" for file in self._files.values())
        self.values = dict(zip(self._files, self._evaluate(f"{lib} in [ {read} ]"), strict=True))
        for value in self.values.values():
            value.get("slipway", {}).pop("madeOf", None)  # a digest of all that was said

    def inside(self, made: Made) -> Made:
        return {name: self.values[value] if name.endswith(".nix") else value for name, value in made.items()}


def cases(base: Document, folder: Path, of: str) -> Iterator[tuple[str, str, Made, Made]]:
    """What was changed, the text, and what is made of the document with the mark alone, and with the text in it.

    All texts that are taken at a place come as one, if that is taken too.
    """
    for name, change in changes(base).items():
        marked = loaded(folder, change(PLAIN)) if of in name else None
        if marked is None:
            continue
        taken = [text for text in TEXTS if loaded(folder, change(MARK.format(text))) is not None]
        plain = parsed(marked) if taken else {}
        for text in ["".join(taken), *taken] if taken else []:
            inventory = loaded(folder, change(MARK.format(text)))
            if inventory is not None:
                yield name, text, plain, parsed(inventory)
                break


def differing(
    base: Document, nix: Callable[[str], Any], folder: Path, of: str = ""
) -> tuple[list[tuple[str, str, str]], set[str]]:
    """Place, text and file of each that differs; and the places that were tried, of those that have `of` in them."""
    found = list(cases(base, folder, of))
    reader = Nix(nix, folder)
    for _name, _text, plain, hostile in found:
        reader.add(plain)
        reader.add(hostile)
    reader.read()
    wrong = []
    for name, text, plain, hostile in found:
        wanted = replaced(reader.inside(plain), PLAIN, MARK.format(text))
        wanted["ansible"] = replaced(wanted["ansible"], "-", "_")
        got = reader.inside(hostile)
        wrong += [(name, text, file) for file in wanted.keys() | got.keys() if wanted.get(file) != got.get(file)]
    return wrong, {name for name, *_rest in found}


@pytest.mark.parametrize("base", list(BASES))
def test_a_text_or_key_arrives_as_it_stands(base, nix_value, tmp_path):
    assert loaded(tmp_path, BASES[base]) is not None
    # What stands beside it is tried in the first.
    wrong, tried = differing(
        BASES[base], nix_value, tmp_path, of="cluster.network" if base == "external address" else ""
    )
    assert wrong == []
    if base == "everything":
        assert {"mirrors.charts.oci://quay.io/cilium/charts", "key quay.io/cilium"} <= tried
        assert {"cluster.k0s.workerProfiles.gpu.evictionHard.memory.available", "key memory.available"} <= tried


# --- what the modules make of it on a machine: words of a shell, TOML, units ---

FREE = {
    "hosts.w1.k0s.kubeletExtraArgs.cpu-manager-policy": ("$(id)`id`'\\\"${x}{{y}}%n", "a=b;c|d&e(f)<g>h*i?j~k#l!m"),
    "hosts.w1.network.searchDomains.0": ("a.example", "b.example"),
    "mirrors.registries.docker.io.0": ("https://m.example/p?a=[1]&b=*%20#c", "https://m.example:5000/~p,q"),
    "hosts.w1.taints.0": ("a/b=c.d_e:NoSchedule", "x=y:NoExecute"),
    "hosts.w1.labels.example.org/pool": ("a.b_c-d", "A"),
}
"""Texts that are taken and reach a machine, each with the signs that its kind allows; two a place."""


def chosen(number: int) -> Document:
    made = copy.deepcopy(EVERYTHING)
    made["hosts"]["w1"]["k0s"] = {"kubeletExtraArgs": {"cpu-manager-policy": ""}, "profile": "gpu"}
    made["hosts"]["w1"]["network"]["searchDomains"] = [""]
    made["hosts"]["w1"]["taints"] = [""]
    made["groups"]["gpus"].pop("taints")
    for place, values in FREE.items():
        node: Any = made
        *way, last = place.replace("example.org/pool", "P").replace("docker.io", "D").split(".")
        names = {"P": "example.org/pool", "D": "docker.io"}
        for word in way:
            node = node[names.get(word, word)]
        key: Any = int(last) if last.isdigit() else names.get(last, last)
        node[key] = values[number]
    return made


@pytest.fixture(params=[0, 1])
def machine(request, nix_value, tmp_path):
    """(number, what w1 would have: its start script, files below /etc, units)."""
    inventory = loaded(tmp_path, chosen(request.param))
    assert inventory is not None
    for name, content in tree.render(inventory).items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)
    return request.param, nix_value(f"""
        let
          lab = import {NIXOS}/lab;
          files = lab.lib.filterAttrs (_: file: file ? text && file.text != null) system.config.environment.etc;
          system = lab.nixosSystem {{ modules = [ {NIXOS}/modules {tmp_path}/generated/hosts/w1 ]; }};
          inherit (system) config;
        in {{
          start = config.systemd.services.k0s.serviceConfig.ExecStart.script;
          etc = builtins.mapAttrs (_: file: builtins.unsafeDiscardStringContext file.text) files;
        }}
    """)


def value(place: str, number: int) -> str:
    return FREE[place][number]


def test_a_shell_hands_k0s_each_word_as_it_stands(machine, tmp_path):
    number, made = machine
    written = tmp_path / "start"
    subprocess.run(["bash", "-ec", made["start"]], env={"out": str(written), "PATH": os.environ["PATH"]}, check=True)
    text = written.read_text().replace("exec ", "printf '%s\\0' ", 1)
    said = subprocess.run(["bash", "-c", text], check=True, capture_output=True, text=True).stdout.split("\0")
    kubelet = next(word for word in said if word.startswith("--kubelet-extra-args="))
    # As k0s takes it apart (internal/pkg/flags).
    flags = dict(flag.split("=", 1) for flag in kubelet.partition("=")[2].split())
    assert flags["--cpu-manager-policy"] == value("hosts.w1.k0s.kubeletExtraArgs.cpu-manager-policy", number)
    assert f"--taints={value('hosts.w1.taints.0', number)}" in said
    labels = dict(each.split("=") for word in said if word.startswith("--labels=") for each in word[9:].split(","))
    assert labels["example.org/pool"] == value("hosts.w1.labels.example.org/pool", number)


def test_containerd_reads_each_mirror_as_it_stands(machine):
    number, made = machine
    read = tomllib.loads(made["etc"]["k0s/certs.d/docker.io/hosts.toml"])
    assert list(read["host"]) == [value("mirrors.registries.docker.io.0", number)]
    assert tomllib.loads(made["etc"]["k0s/containerd.d/slipway-registries.toml"])["version"] in (2, 3)


def test_units_have_no_line_that_the_inventory_wrote(machine):
    """Each line of a unit is a section, a comment or a key that such a file has; a network's domains are words."""
    number, made = machine
    units = {name: text for name, text in made["etc"].items() if name.startswith("systemd/")}
    assert units
    for name, text in units.items():
        for line in filter(None, text.splitlines()):
            assert re.fullmatch(r"\[\w+\]|[#;].*|[A-Z][\w-]*=.*", line), (name, line)
    domains = [line for text in units.values() for line in text.splitlines() if line.startswith("Domains=")]
    assert domains == [f"Domains={value('hosts.w1.network.searchDomains.0', number)}"]


@pytest.mark.parametrize("blank", [" ", "\t", "\n", "\u2003", "\x85"])
def test_no_value_of_kubelets_flags_is_another_flag(tmp_path, blank):
    """k0s takes the flags apart at blanks, Unicode's too."""
    made = copy.deepcopy(EVERYTHING)
    made["hosts"]["w1"]["k0s"] = {"kubeletExtraArgs": {"v": "2" + blank + "--anonymous-auth=true"}}
    assert loaded(tmp_path, made) is None


@pytest.mark.parametrize("text", HOSTILE)
def test_an_include_is_one_file_of_the_repository_or_refused(tmp_path, text):
    (tmp_path / "more.yaml").write_text("{}")
    assert loaded(tmp_path, {**EVERYTHING, "include": ["more.yaml"]}) is not None
    assert loaded(tmp_path, {**EVERYTHING, "include": ["more.yaml" + text]}) is None


def test_control_a_text_that_is_read_as_code_is_seen(nix_value, tmp_path, monkeypatch):
    """Without its escape Nix would put the value there."""
    monkeypatch.setattr("tests.unit.inventory.test_round_trip.TEXTS", ("${builtins.nixVersion}",))
    monkeypatch.setattr(nixlang, "_ESCAPED", re.compile(r'[\\\\"\n\r\t]'))
    nixlang.quoted.cache_clear()
    try:
        wrong, _tried = differing(EVERYTHING, nix_value, tmp_path, of="kubeletExtraArgs")
    finally:
        nixlang.quoted.cache_clear()
    assert {file for _name, _text, file in wrong} >= {"generated/hosts/w1/default.nix"}
