"""The key of a binary cache, with the real sops and a key of the real Nix."""

import subprocess

import pytest
from tests.unit.sealed import new_root

from slipway.errors import InvalidInput
from slipway.generate.gitops.secrets import CACHE_KEY_NAME
from slipway.inventory import load
from slipway.paths import BINARY_CACHE_KEY
from slipway.secret import Secret
from slipway.secrets import making, signing
from slipway.tools.nix import CacheKeys

TEXT = """
apiVersion: slipway/v1
cluster: {{name: test, k0s: {{version: 1.36.3+k0s.2}}}}
defaults:
  network: {{interface: eth0, prefixLength: 24}}
  nix: {{substituters: [https://cache.example.org], trustedPublicKeys: ['{public}']}}
hosts:
  cp1: {{address: 10.0.0.11, role: single}}
{more}
"""
OTHER = f"other-1:{'A' * 43}="


@pytest.fixture
def key(tmp_path) -> tuple[str, str]:
    files = tmp_path / "secret", tmp_path / "public"
    subprocess.run(["nix-store", "--generate-binary-cache-key", "test-1", *files], check=True)
    secret, public = (file.read_text().strip() for file in files)
    return secret, public


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """`repository(public, more)`: an inventory whose machines trust that key."""
    root = new_root(monkeypatch, tmp_path)

    def written(public: str, more: str = "deploy: {cache: 's3://nix'}"):
        (root / "inventory.yaml").write_text(TEXT.format(public=public, more=more))
        return load(root / "inventory.yaml")

    return written


def give(inventory, text: str) -> None:
    made = making.fill(inventory, {"binary-cache": {CACHE_KEY_NAME: Secret(text)}})
    assert BINARY_CACHE_KEY in [path.relative_to(inventory.root) if path.is_absolute() else path for path in made.files]


def edit(inventory, **values: str) -> None:
    """As `slipway secrets edit nix/binary-cache` does."""
    given = {name: Secret(value) for name, value in values.items()}
    making.save(inventory.root, making.find(inventory, "binary-cache"), given)


def test_without_a_cache_there_is_no_key_to_read(repository, key):
    assert signing.read(repository(key[1], more="")) is None


def test_a_key_that_the_machines_trust_is_read(repository, key):
    inventory = repository(key[1])
    give(inventory, key[0])
    assert signing.read(inventory) == CacheKeys(Secret(key[0]))


def test_the_file_may_have_an_account_of_s3_beside_the_key(repository, key):
    inventory = repository(key[1])
    account = {"AWS_ACCESS_KEY_ID": "me", "AWS_SECRET_ACCESS_KEY": "hush", "AWS_DEFAULT_REGION": "eu-central-1"}
    edit(inventory, **{CACHE_KEY_NAME: key[0]}, **account, ANOTHER="not told")
    found = signing.read(inventory)
    assert found == CacheKeys(Secret(key[0]), {name: Secret(value) for name, value in account.items()})


def test_half_an_account_is_refused(repository, key):
    inventory = repository(key[1])
    edit(inventory, **{CACHE_KEY_NAME: key[0]}, AWS_ACCESS_KEY_ID="me")
    with pytest.raises(InvalidInput, match="an S3 account without AWS_SECRET_ACCESS_KEY"):
        signing.read(inventory)


def test_a_key_that_a_machine_does_not_trust_is_refused_with_what_to_add(repository, key):
    inventory = repository(OTHER)
    give(inventory, key[0])
    with pytest.raises(InvalidInput) as caught:
        signing.read(inventory)
    assert f"signs as {key[1]}" in str(caught.value)
    assert "of cp1 lacks" in str(caught.value)
    assert key[0].partition(":")[2] not in str(caught.value)


def test_what_is_no_key_is_named_and_not_shown(repository, key):
    inventory = repository(key[1])
    give(inventory, "test-1:abcd")
    with pytest.raises(InvalidInput, match="NIX_SECRET_KEY is no key of a binary cache") as caught:
        signing.read(inventory)
    assert "abcd" not in str(caught.value)


def test_a_key_that_is_missing_is_told_before_anything(repository, key):
    with pytest.raises(InvalidInput, match=r"binary-cache\.sops\.yaml: missing") as caught:
        signing.read(repository(key[1]))
    assert str(caught.value.hint).startswith("slipway secrets init asks for it")
