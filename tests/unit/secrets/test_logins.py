"""The passwords of registry mirrors in a repository, with the real sops."""

import pytest
from tests.unit.sealed import new_root

from slipway.errors import InvalidInput
from slipway.inventory import load
from slipway.node.logins import Login
from slipway.secret import Secret
from slipway.secrets import check, logins, making

TEXT = """
apiVersion: slipway/v1
cluster: {name: test, k0s: {version: 1.36.3+k0s.2, encryptSecrets: false}}
defaults:
  network: {interface: eth0, prefixLength: 24}
hosts:
  cp1: {address: 10.0.0.11, role: single}
mirrors:
  registries: {docker.io: [https://a.example.org/hub, https://b.example.org], "*": [https://c.example.org:5000]}
"""
CREDENTIALS = "  credentials: {a.example.org: office, b.example.org: office, 'c.example.org:5000': lab}\n"


@pytest.fixture
def repository(tmp_path, monkeypatch):
    root = new_root(monkeypatch, tmp_path)

    def written(more: str = CREDENTIALS):
        (root / "inventory.yaml").write_text(TEXT + more)
        return load(root / "inventory.yaml")

    return written


def given(username: str, password: str) -> dict[str, Secret]:
    return {"REGISTRY_USERNAME": Secret(username), "REGISTRY_PASSWORD": Secret(password)}


BOTH = {"registry-office": given("ops", "geheim"), "registry-lab": given("lab", "secret")}


def test_each_mirror_has_what_its_secret_says(repository):
    inventory = repository()
    made = making.fill(inventory, BOTH)
    assert {path.name for path in made.files} >= {"registry-office.sops.yaml", "registry-lab.sops.yaml"}
    office, lab = Login(Secret("ops"), Secret("geheim")), Login(Secret("lab"), Secret("secret"))
    assert logins.read(inventory) == {"a.example.org": office, "b.example.org": office, "c.example.org:5000": lab}


def test_without_credentials_nothing_is_opened(repository):
    assert logins.read(repository(more="")) == {}


def test_a_secret_that_is_missing_is_told_by_file_with_what_makes_it(repository):
    with pytest.raises(
        InvalidInput, match=r"registry-office\.sops\.yaml: missing; containerd on the machines"
    ) as caught:
        logins.read(repository())
    assert caught.value.hint == "slipway secrets init"
    problems = check.check(repository()).problems
    assert {problem.file for problem in problems} >= {"secrets/registry-office.sops.yaml"}


@pytest.mark.parametrize(
    ("username", "password", "why"),
    [
        ("o:ps", "geheim", "REGISTRY_USERNAME: has a colon"),
        ("ops", "geheim\n", "REGISTRY_PASSWORD: not given to you"),
        ("", "geheim", "REGISTRY_USERNAME: not given to you"),
    ],
)
def test_what_nobody_could_log_in_with_is_refused_and_not_shown(repository, username, password, why):
    inventory = repository()
    making.fill(inventory, {**BOTH, "registry-office": given(username, password)})
    with pytest.raises(InvalidInput, match=why) as caught:
        logins.read(inventory)
    assert "geheim" not in str(caught.value)
    assert caught.value.hint == "slipway secrets edit containerd/registry-office"
