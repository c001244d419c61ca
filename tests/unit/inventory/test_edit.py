"""One value changed in a file that keeps all else."""

import pytest

from slipway.errors import InvalidInput
from slipway.inventory import edit, load

HEAD = "# mine\napiVersion: slipway/v1   # the first\n"
REST = """
defaults:
  ssh: {authorizedKeys: [ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBBMF0e4Tlc2bbCEyA5LWyFv5fB6qQTfJ8cAHrtK5Yqm test]}
  network: {interface: eth0, prefixLength: 24}
hosts:
  cp1: {address: 10.0.0.11, role: controller}   # ä comment
"""
KEYS = ("cluster", "k0s", "version")


def written(tmp_path, cluster: str):
    path = tmp_path / "inventory.yaml"
    path.write_bytes((HEAD + cluster + REST).encode())
    path.chmod(0o640)
    return path


@pytest.mark.parametrize(
    "cluster",
    [
        "cluster:\n  name: test\n  k0s:\n    version: 1.35.7+k0s.0   # since May\n",
        "cluster: {name: test, k0s: {version: 1.35.7+k0s.0, ports: {}}} # ü\n",
        'cluster: {name: test, k0s: {version: "1.35.7+k0s.0"}}\n',
        "cluster:\r\n  name: test\r\n  k0s:\r\n    version: '1.35.7+k0s.0'\r\n",
        "cluster: {name: 'ü', k0s: {version: 1.35.7+k0s.0}}\n",
    ],
    ids=["block", "flow", "quoted", "dos", "behind a letter of two bytes"],
)
def test_only_the_value_changes(tmp_path, cluster):
    path = written(tmp_path, cluster)
    before = path.read_bytes()
    place = edit.change(path, KEYS, "1.36.3+k0s.2")
    assert path.read_bytes() == before.replace(b"1.35.7+k0s.0", b"1.36.3+k0s.2")
    assert path.stat().st_mode & 0o777 == 0o640
    assert str(place).startswith(f"{path}:") and str(edit.where(path, KEYS)) == str(place)


def test_in_the_file_where_it_stands(tmp_path):
    (tmp_path / "release.yaml").write_text("cluster: {k0s: {version: 1.35.7+k0s.0}}  # here\n")
    path = written(tmp_path, "include: [release.yaml]\ncluster: {name: test}\n")
    place = edit.change(path, KEYS, "1.36.3+k0s.2")
    assert place.file.endswith("release.yaml")
    assert (tmp_path / "release.yaml").read_text() == "cluster: {k0s: {version: 1.36.3+k0s.2}}  # here\n"
    assert load(path).cluster.k0s.version == "1.36.3+k0s.2"


@pytest.mark.parametrize(
    "cluster",
    [
        "cluster:\n  name: test\n  k0s:\n    version: >-\n      1.35.7+k0s.0\n",
        "cluster:\n  name: test\n  k0s: {version: &release 1.35.7+k0s.0}\n",
    ],
    ids=["over several lines", "with an anchor"],
)
def test_what_cannot_be_changed_so_is_left_alone_with_its_place(tmp_path, cluster):
    path = written(tmp_path, cluster)
    before = path.read_bytes()
    with pytest.raises(InvalidInput, match=r"inventory\.yaml:\d+: cluster\.k0s\.version cannot be changed") as caught:
        edit.change(path, KEYS, "1.36.3+k0s.2")
    assert "write 1.36.3+k0s.2 there by hand" in str(caught.value.hint) and path.read_bytes() == before


def test_a_value_that_is_not_there_is_told_with_where_it_belongs(tmp_path):
    path = written(tmp_path, "cluster: {name: test}\n")
    with pytest.raises(InvalidInput, match=r"inventory\.yaml:3: has no cluster\.k0s\.version"):
        edit.change(path, KEYS, "1.36.3+k0s.2")
