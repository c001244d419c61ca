"""Whole inventories: good ones load, each bad one gets exactly the messages in its first lines."""

from __future__ import annotations

import importlib
import shutil
from pathlib import Path

import pytest

from slipway.errors import InvalidInput
from slipway.inventory import InvalidInventory, Inventory, Role, load
from slipway.inventory.checks import links

load_module = importlib.import_module("slipway.inventory.load")
"""Of the same name as its function, which hides it."""
INVENTORIES = Path(__file__).parents[2] / "inventories"
EXAMPLES = Path(__file__).parents[3] / "examples"
INVALID = sorted((INVENTORIES / "invalid").glob("*.yaml"))
VALID = sorted((INVENTORIES / "valid").glob("*.yaml"))

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJBF5Ci2hsdUcOIYQVjmoPaRKAe5XBmJnYwZk7TeDx3f admin@example"
HEAD = f"""\
apiVersion: slipway/v1
cluster: {{name: lab, k0s: {{version: 1.36.3+k0s.2}}}}
defaults:
  ssh: {{authorizedKeys: [{KEY}]}}
  network: {{interface: eno1, prefixLength: 24}}
"""


def expected(file: Path) -> list[str]:
    """The messages that the file's first comment lines promise, with the file's name before each."""
    lines = file.read_text().splitlines()
    promised = []
    for line in lines:
        if not line.startswith("# ") or not line[2:3].isdigit():
            break
        promised.append(f"{file.name}:{line[2:]}")
    return promised


def load_text(folder: Path, text: str) -> Inventory:
    (folder / "inventory.yaml").write_text(text)
    return load(folder)


def test_there_are_many_invalid_inventories():
    assert len(INVALID) >= 60


@pytest.mark.parametrize("file", INVALID, ids=lambda file: file.stem)
def test_invalid(file: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(file.parent)
    with pytest.raises(InvalidInventory) as refused:
        load(Path(file.name))
    assert str(refused.value).splitlines() == expected(file)
    assert expected(file)


@pytest.mark.parametrize("file", VALID, ids=lambda file: file.stem)
def test_valid(file: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(file.parent)
    assert [str(warning) for warning in load(Path(file.name)).warnings] == expected(file)


@pytest.mark.parametrize("name", ["homelab", "single", "large"])
def test_examples_have_not_even_a_warning(name: str):
    assert load(EXAMPLES / name).warnings == ()


def test_shapes_that_others_build_on():
    inventory = load(EXAMPLES / "homelab" / "inventory.yaml")
    assert inventory.root == EXAMPLES / "homelab"
    assert [host.name for host in inventory.hosts] == ["cp1", "cp2", "cp3", "w1", "w2", "w3"]
    assert [host.name for host in inventory.controllers] == ["cp1", "cp2", "cp3"]
    assert [host.name for host in inventory.workers] == ["w1", "w2", "w3"]
    assert inventory.host("w2").role is Role.WORKER
    assert inventory.host("w2").network.gateway == "10.0.0.1"
    assert inventory.node_local_load_balancing


def test_unknown_host_gets_the_nearest():
    with pytest.raises(InvalidInput, match="did you mean 'cp1'"):
        load(EXAMPLES / "homelab").host("cp-1")


def test_values_keep_their_text():
    hosts = load(INVENTORIES / "valid" / "unquoted.yaml")
    assert hosts.cluster.name == "007"
    assert hosts.cluster.nixos.channel == "25.11"
    assert hosts.host("1").network.mac == "52:54:00:12:34:56"
    labels = {"yes": "on", "example.org/rack": "012", "example.org/since": "2024-05-01"}
    assert hosts.host("no").labels == labels


def test_worker_profiles_keep_their_types():
    profile = load(INVENTORIES / "valid" / "everything.yaml").cluster.k0s.worker_profiles["gpu"]
    assert profile == {"maxPods": 50, "evictionHard": {"memory.available": "5%"}, "failSwapOn": False}


def test_quoted_values_of_profiles_stay_text(tmp_path: Path):
    text = HEAD.replace("k0s.2}", 'k0s.2, workerProfiles: {p: {a: "1", b: 1.5, d: [true, x]}}}')
    inventory = load_text(tmp_path, f"{text}hosts:\n  a: {{address: 10.0.0.1, role: single}}\n")
    assert inventory.cluster.k0s.worker_profiles == {"p": {"a": "1", "b": 1.5, "d": [True, "x"]}}


def test_identity_is_relative_to_the_inventory(tmp_path: Path):
    text = HEAD.replace("ssh: {", "ssh: {identity: keys/id, ")
    inventory = load_text(tmp_path, f"{text}hosts:\n  a: {{address: 10.0.0.1, role: single}}\n")
    assert inventory.hosts[0].ssh.identity == tmp_path / "keys" / "id"


def test_merge_keys():
    inventory = load(INVENTORIES / "valid" / "anchors.yaml")
    assert inventory.host("w1").labels == {"example.org/pool": "general"}
    assert inventory.host("w2").labels == {"example.org/pool": "storage", "example.org/disk": "ssd"}


def test_empty_values_take_back():
    worker = load(INVENTORIES / "valid" / "empty-values.yaml").host("w1")
    assert worker.labels == {}
    assert worker.network.gateway is None
    assert worker.network.prefix_length == 24


def test_several_files_are_one_inventory():
    inventory = load(INVENTORIES / "valid" / "include")
    assert [host.name for host in inventory.hosts] == ["cp1", "a1", "b1"]
    assert inventory.host("b1").tags == ("b",)
    assert inventory.host("a1").ssh.authorized_keys == (KEY,)


def test_errors_in_included_files_name_that_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    shutil.copytree(INVENTORIES / "valid" / "include", tmp_path, dirs_exist_ok=True)
    with (tmp_path / "racks" / "b.yaml").open("a") as rack:
        rack.write("  cp1: {address: 10.0.0.21, role: worker}\n  b2: {address: 10.0.0.32, role: wroker}\n")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InvalidInventory) as refused:
        load(Path())
    assert str(refused.value).splitlines() == [
        "racks/b.yaml:5:3: yaml: duplicate key 'cp1', first at inventory.yaml:6",
        "racks/b.yaml:6:34: hosts.b2.role: 'wroker' is none of controller, controller+worker, worker, single; "
        "did you mean 'worker'?",
    ]


def test_cross_checks_reach_over_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    shutil.copytree(INVENTORIES / "valid" / "include", tmp_path, dirs_exist_ok=True)
    rack = tmp_path / "racks" / "b.yaml"
    rack.write_text(rack.read_text().replace("10.0.0.31", "10.0.0.21"))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InvalidInventory) as refused:
        load(Path())
    assert str(refused.value) == (
        "racks/b.yaml:4:17: hosts.b1.address: 10.0.0.21 is already used by hosts.a1.address at racks/a.yaml:4"
    )


def test_broken_included_file_does_not_hide_other_mistakes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    shutil.copytree(INVENTORIES / "valid" / "include", tmp_path, dirs_exist_ok=True)
    (tmp_path / "racks" / "a.yaml").write_text("hosts: {a1: [}\n")
    main = tmp_path / "inventory.yaml"
    main.write_text(main.read_text().replace("name: lab", "name: Lab"))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InvalidInventory) as refused:
        load(Path())
    assert [(problem.file, problem.line) for problem in refused.value.problems] == [
        ("inventory.yaml", 4),
        ("racks/a.yaml", 1),
    ]


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"apiVersion: slipway/v1\nname: caf\xe9\n", "2:10: yaml: byte 0xe9 is not UTF-8; save the file as UTF-8"),
        ("apiVersion: slipway/v1\n".encode("utf-16"), "1:1: yaml: the file is UTF-16; save it as UTF-8"),
        (b"apiVersion: slipway/v1\nname: a\x00b\n", "2:8: yaml: character U+0000 cannot stand in YAML"),
        (b"\x7fELF\x02\x01\x01\x00" * 64, "1:1: yaml: character U+007F cannot stand in YAML"),
        (b"name: \xe2\x80\x9cx\xe2\x80\x9d\nkey: \x1b[0m\n", "2:6: yaml: character U+001B cannot stand in YAML"),
        (b"a: " + b"[" * 50_000, "1:63: yaml: nested deeper than 60 levels, or an alias that contains itself"),
        (b"a: " + b"{a: " * 50_000, "1:240: yaml: nested deeper than 60 levels, or an alias that contains itself"),
        (b"- " * 50_000 + b"x", "1:121: yaml: nested deeper than 60 levels, or an alias that contains itself"),
        (b"? " * 50_000 + b"x", "1:121: yaml: nested deeper than 60 levels, or an alias that contains itself"),
        (b"%YAML 3.0\n---\na: b\n", "1:1: yaml: found incompatible YAML document"),
        (b"# only a comment\n", "1:1: yaml: the file is empty"),
        (b"{}", "1:1: yaml: the file is empty"),
        (b"just words\n", "1:1: yaml: expected a mapping of sections such as cluster: and hosts:"),
    ],
    ids=[
        "latin-1",
        "utf-16",
        "nul",
        "binary",
        "escape",
        "brackets",
        "braces",
        "dashes",
        "keys",
        "yaml-3",
        "comment",
        "no-keys",
        "text",
    ],
)
def test_what_is_no_yaml_at_all(raw: bytes, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "inventory.yaml").write_bytes(raw)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InvalidInventory) as refused:
        load(Path())
    assert str(refused.value) == f"inventory.yaml:{message}"


def test_byte_order_mark_and_windows_lines_are_read(tmp_path: Path):
    text = f"{HEAD}hosts:\n  a: {{address: 10.0.0.1, role: single}}\n"
    (tmp_path / "inventory.yaml").write_bytes(b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode())
    assert load(tmp_path).hosts[0].name == "a"


def test_huge_file_is_refused_unread(tmp_path: Path):
    with (tmp_path / "inventory.yaml").open("wb") as stream:
        stream.truncate(1 << 40)
    with pytest.raises(InvalidInventory, match="at most 16 are read"):
        load(tmp_path)


def test_missing_file_tells_what_to_do(tmp_path: Path):
    with pytest.raises(InvalidInventory, match="no such file") as refused:
        load(tmp_path)
    assert refused.value.hint is not None
    assert "slipway init" in refused.value.hint


@pytest.mark.parametrize("pattern", ["rack**.yaml", "[", "x" * 5000, "*" * 300, "/etc/*", "~", "loop.yaml", "l*.yaml"])
def test_patterns_that_name_no_file(pattern: str, tmp_path: Path):
    (tmp_path / "loop.yaml").symlink_to("loop.yaml")
    (tmp_path / "lot.yaml").mkdir()
    with pytest.raises(InvalidInventory) as refused:
        load_text(tmp_path, f"{HEAD}include: [{pattern!r}]\nhosts:\n  a: {{address: 10.0.0.1, role: single}}\n")
    assert [problem.path for problem in refused.value.problems] == ["include"]


@pytest.mark.parametrize("path", ["/dev/null", "/proc/self/mem", "x" * 5000])
def test_what_is_no_file_is_refused(path: str):
    with pytest.raises(InvalidInventory):
        load(Path(path))


@pytest.mark.parametrize("file", [*INVALID, *VALID], ids=lambda file: file.stem)
def test_what_hosts_share_is_told_as_if_each_had_its_own(file: Path, monkeypatch: pytest.MonkeyPatch):
    """Hosts that inherit all of a mapping are one thing to the model, and to the checks of links."""
    monkeypatch.chdir(file.parent)

    def told() -> list[str]:
        try:
            return [str(warning) for warning in load(Path(file.name)).warnings]
        except InvalidInventory as refused:
            return [str(problem) for problem in refused.problems]

    shared = told()
    monkeypatch.setattr(load_module, "INHERITED", "nobody asks for this")
    monkeypatch.setattr(links, "_hosts", lambda document: document.hosts.values())
    assert told() == shared


def test_hosts_share_what_they_inherit_and_nothing_else(tmp_path: Path):
    hosts = "".join(f"  w{n}: {{address: 10.0.0.{n}, role: worker}}\n" for n in range(1, 4))
    controller = "  cp: {address: 10.0.0.9, role: controller, network: {mtu: 9000}}\n"
    w1, w2, w3, cp = load_text(tmp_path, f"{HEAD}hosts:\n{hosts}{controller}").hosts
    assert w1.network is w2.network is w3.network
    assert (w1.network.mtu, cp.network.mtu, cp.network.interface) == (None, 9000, "eno1")
    assert w1.ssh is cp.ssh


def test_thousands_of_problems_are_counted_not_shown(tmp_path: Path):
    hosts = "".join(f"  w{number}: {{address: 10.0.{number}.300, role: worker}}\n" for number in range(500))
    with pytest.raises(InvalidInventory) as refused:
        load_text(tmp_path, f"{HEAD}hosts:\n{hosts}")
    assert len(refused.value.problems) == 500
    assert [problem.line for problem in refused.value.problems] == list(range(7, 507))
    assert str(refused.value).splitlines()[-1] == "... and 400 more"


def test_what_many_hosts_lack_is_told_once(tmp_path: Path):
    hosts = "".join(f"  w{number}: {{address: 10.0.0.300, role: worker}}\n" for number in range(500))
    odd = "  x: {address: 10.0.0.1, role: boss}\n"
    with pytest.raises(InvalidInventory) as refused:
        load_text(tmp_path, f"{HEAD}hosts:\n{hosts}{odd}")
    first, second = str(refused.value).splitlines()
    assert ":7:17: hosts.w0.address: " in first
    assert first.endswith(" (so are w1 w2 w3 w4 w5 w6 w7 w8 and 491 more)")
    assert "hosts.x.role: " in second


def test_what_each_host_has_in_a_file_of_its_own_is_told_once(tmp_path: Path):
    hosts = "".join(f"  w{n}: {{address: 10.0.1.{n + 1}, role: worker, kernelParams: []}}\n" for n in range(10))
    with pytest.raises(InvalidInventory) as refused:
        load_text(tmp_path, HEAD + "hosts:\n  cp1: {address: 10.0.0.11, role: controller}\n" + hosts)
    (line,) = str(refused.value).splitlines()
    assert "hosts.w0.kernelParams: unknown key 'kernelParams': hosts/w0.nix, boot.kernelParams" in line
    assert line.endswith(" (so are w1 w2 w3 w4 w5 w6 w7 w8 and 1 more)")


def test_what_few_hosts_lack_is_told_of_each(tmp_path: Path):
    hosts = "".join(f"  w{number}: {{address: 10.0.0.300, role: worker}}\n" for number in range(3))
    with pytest.raises(InvalidInventory) as refused:
        load_text(tmp_path, f"{HEAD}hosts:\n  cp1: {{address: 10.0.0.11, role: controller}}\n{hosts}")
    assert [line.split(": ")[1] for line in str(refused.value).splitlines()] == [
        f"hosts.w{number}.address" for number in range(3)
    ]


def test_places_behind_a_merge_key_of_a_large_mapping(tmp_path: Path):
    roles = ["controller", *["worker"] * 99]
    hosts = "".join(f"  w{n}: {{address: 10.0.0.{n + 1}, role: {role}}}\n" for n, role in enumerate(roles))
    more = "x-more: &more\n  odd: {address: 10.0.0.999, role: controller}\n"
    with pytest.raises(InvalidInventory) as refused:
        load_text(tmp_path, f"{HEAD}{more}hosts:\n  <<: *more\n{hosts}")
    assert [(problem.path, problem.line) for problem in refused.value.problems] == [("hosts.odd.address", 7)]


def test_inherited_mistake_is_told_once(tmp_path: Path):
    roles = ["controller", *["worker"] * 99]
    hosts = "".join(f"  w{n}: {{address: 10.0.0.{n + 1}, role: {role}}}\n" for n, role in enumerate(roles))
    with pytest.raises(InvalidInventory) as refused:
        load_text(tmp_path, f"{HEAD.replace('prefixLength: 24', 'prefixLength: x')}hosts:\n{hosts}")
    assert [problem.path for problem in refused.value.problems] == ["defaults.network.prefixLength"]
