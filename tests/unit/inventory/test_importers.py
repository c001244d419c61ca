"""Imports: golden files, and what they need to become valid."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import yaml

from slipway.errors import InvalidInput
from slipway.inventory import InvalidInventory, load
from slipway.inventory.importers.ansible import import_ansible
from slipway.inventory.importers.draft import Imported
from slipway.inventory.importers.ini import expand
from slipway.inventory.importers.k0sctl import import_k0sctl

IMPORTS = Path(__file__).parents[2] / "inventories" / "imports"
SOURCES = ["k0sctl/plain.yaml", "k0sctl/ha-cilium.yaml", "k0sctl/variables.yaml"] + [
    f"ansible/{name}" for name in ("kubespray.ini", "ranges.ini", "nested.yaml", "folder")
]
NETWORK = {"interface": "eno1", "prefixLength": 24}


def imported(source: str) -> Imported:
    """The import of a fixture, by a relative path, since places in notes name the file."""
    tool = import_k0sctl if source.startswith("k0sctl") else import_ansible
    return tool(Path(source))


@pytest.mark.parametrize("source", SOURCES)
def test_golden(source: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(IMPORTS)
    golden = IMPORTS / "expected" / (source.replace("/", "-").rsplit(".", 1)[0] + ".yaml")
    assert imported(source).text == golden.read_text()


@pytest.mark.parametrize("source", SOURCES)
def test_every_note_stands_in_the_file(source: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(IMPORTS)
    result = imported(source)
    for note in result.notes:
        assert f"# - {note}\n" in result.text or "say them in `defaults`" in note


@pytest.mark.parametrize("source", ["k0sctl/plain.yaml", "ansible/kubespray.ini", "ansible/folder"])
def test_with_the_network_told_the_import_is_valid(source: str, tmp_path: Path):
    tool = import_k0sctl if source.startswith("k0sctl") else import_ansible
    (tmp_path / "inventory.yaml").write_text(tool(IMPORTS / source, dict(NETWORK)).text)
    assert load(tmp_path).hosts[0].network.interface == "eno1"


@pytest.mark.parametrize("source", SOURCES)
def test_what_is_missing_is_told_by_check(source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(IMPORTS)
    (tmp_path / "inventory.yaml").write_text(imported(source).text)
    with pytest.raises(InvalidInventory) as refused:
        load(tmp_path)
    assert not any("unknown key" in problem.message for problem in refused.value.problems)
    assert not any(problem.path == "yaml" for problem in refused.value.problems)


def test_passwords_stay_where_they_are(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(IMPORTS)
    assert "hunter2" in (IMPORTS / "ansible/ranges.ini").read_text()
    assert "hunter2" not in imported("ansible/ranges.ini").text


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("k0sctl.yaml", "a: [", "k0sctl.yaml:2:1: yaml: "),
        ("k0sctl.yaml", "kind: Deployment\n", "no document of kind Cluster"),
        ("k0sctl.yaml", "- a\n", "no document of kind Cluster"),
        ("k0sctl.yaml", "", "no document of kind Cluster"),
        ("k0sctl.yaml", "spec:\n  hosts:\n{% for host in hosts %}\n", "k0sctl.yaml:3: is a template"),
        ("k0sctl.yaml", "spec:\n  hosts:\n  - ssh: {{ ssh }}\n", "k0sctl.yaml:3: is a template"),
    ],
)
def test_what_is_no_k0sctl_file(name: str, text: str, message: str, tmp_path: Path):
    (tmp_path / name).write_text(text)
    with pytest.raises(InvalidInput) as refused:
        import_k0sctl(tmp_path / name)
    assert message in str(refused.value)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("hosts", "", "no hosts found"),
        ("hosts", "[workers]\nw1 'open\n", "hosts:2: no closing quotation"),
        ("hosts", "[workers]\nw1 port\n", "hosts:2: expected key=value after the host, found 'port'"),
        ("hosts", "[workers:sons]\nw1\n", "hosts:2: section [workers:sons] is not Ansible's"),
        ("hosts", "[workers]\nw[1:99999999]\n", "names more than 20000 hosts"),
        ("hosts", "[workers]\nw[1:z]\n", "[1:z] is no range of hosts"),
        ("hosts.yaml", "all: {hosts: {a: [}}\n", "hosts.yaml:1:"),
        ("hosts.yaml", "all:\n  hosts:\n{% for host in hosts %}\n", "hosts.yaml:3: is a template"),
        ("ansible.cfg", "[defaults]\ninventory = ./lab/hosts\n", "ansible.cfg: is Ansible's own configuration"),
        ("hosts.py", "#!/usr/bin/python3\n", "a program; its output is an inventory"),
    ],
)
def test_what_is_no_ansible_inventory(name: str, text: str, message: str, tmp_path: Path):
    (tmp_path / name).write_text(text)
    with pytest.raises(InvalidInput) as refused:
        import_ansible(tmp_path / name)
    assert message in str(refused.value)


def test_braces_within_texts_make_no_template(tmp_path: Path):
    """Of hooks and of what is written to a host; `{%` and `{{` are at home there."""
    file = tmp_path / "k0sctl.yaml"
    hook = "hooks: {apply: {before: [\"docker inspect -f '{{ .Id }}'\"]}}"
    files = 'files: [{data: "a: {{ b }}"}]'
    host = f"{{role: single, hostname: a, ssh: {{address: 10.0.0.1}}, {hook}, {files}}}"
    file.write_text(f"apiVersion: k0sctl.k0sproject.io/v1beta1\nkind: Cluster\nspec: {{hosts: [{host}]}}\n")
    assert "10.0.0.1" in import_k0sctl(file).text


def test_the_configuration_of_ansible_leads_to_its_inventory(tmp_path: Path):
    (tmp_path / "ansible.cfg").write_text("[defaults]\ninventory = ./lab/hosts ; the lab\n")
    with pytest.raises(InvalidInput) as refused:
        import_ansible(tmp_path / "ansible.cfg")
    assert refused.value.hint == "slipway import ansible ./lab/hosts"


def test_missing_file(tmp_path: Path):
    with pytest.raises(InvalidInput, match="No such file"):
        import_ansible(tmp_path / "hosts")


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("w1", "w1"),
        ("w[1:3]", "w1 w2 w3"),
        ("w[08:11].example.org", "w08.example.org w09.example.org w10.example.org w11.example.org"),
        ("w[0:8:4]", "w0 w4 w8"),
        ("db-[a:c]", "db-a db-b db-c"),
        ("r[1:2]-n[1:2]", "r1-n1 r1-n2 r2-n1 r2-n2"),
    ],
)
def test_ranges(pattern: str, names: str):
    assert list(expand(pattern)) == names.split()


def top_of(text: str) -> str:
    return text.partition("\napiVersion:")[0]


@pytest.mark.parametrize("end", ["\\n", "\\r", "\\x85", "\\u2028"])
def test_no_word_of_the_source_leaves_its_comment(tmp_path: Path, end: str):
    """A value with a line's end became a section of the inventory."""
    kind = f'"ConfigMap{end}deploy: {{parallel: 7}}{end}#"'
    (tmp_path / "k0sctl.yaml").write_text(
        (IMPORTS / "k0sctl/plain.yaml").read_text() + f"---\napiVersion: v1\nkind: {kind}\n"
    )
    text = import_k0sctl(tmp_path / "k0sctl.yaml").text
    assert "ConfigMap" in text
    assert all(line.startswith("#") for line in top_of(text).splitlines())
    assert "deploy" not in yaml.safe_load(text)


def test_groups_that_double_on_every_level_are_each_looked_at_once(tmp_path: Path):
    """Each of two groups on 60 levels has both of the next level: 2^60 ways down."""
    lines = ["[kube_control_plane]", "h1 ansible_host=10.0.0.1", "[kube_node]", "h2 ansible_host=10.0.0.2"]
    for n in range(60):
        lines += [f"[{side}{n}:children]\na{n + 1}\nb{n + 1}" for side in "ab"]
    (tmp_path / "hosts.ini").write_text("\n".join([*lines, "[a60]", "h1"]) + "\n")
    assert "h1:" in import_ansible(tmp_path / "hosts.ini").text


def test_groups_that_hold_each_other_come_to_an_end(tmp_path: Path):
    (tmp_path / "hosts.ini").write_text("[a:children]\nb\n[b:children]\na\n[b]\nh1 ansible_host=10.0.0.1\n")
    assert "h1:" in import_ansible(tmp_path / "hosts.ini").text


def test_a_value_of_many_blanks_is_read_as_any(tmp_path: Path):
    blanks = " " * 400_000
    (tmp_path / "hosts.ini").write_text(f"[all:vars]\nx=a{blanks}b # c\n[kube_node]\nh1 ansible_host=10.0.0.1\n")
    assert "h1:" in import_ansible(tmp_path / "hosts.ini").text


@pytest.mark.parametrize("tool", [import_ansible, import_k0sctl])
def test_what_is_no_file_is_not_waited_for(tmp_path, tool):
    """Nobody ever writes into this pipe."""
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InvalidInput, match="pipe: not a regular file"):
        tool(tmp_path / "pipe")


@pytest.mark.parametrize("tool", [import_ansible, import_k0sctl])
def test_a_file_without_an_end_is_refused(tmp_path, tool):
    with (tmp_path / "big").open("wb") as stream:
        stream.truncate(1 << 40)
    with pytest.raises(InvalidInput, match="big: larger than"):
        tool(tmp_path / "big")
