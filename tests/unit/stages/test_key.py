"""Whether the cluster's key opens what Flux has to open, with real age and sops."""

from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from slipway.errors import InvalidInput, PrerequisiteMissing
from slipway.secret import Secret
from slipway.secrets import store
from slipway.stages import key
from slipway.tools import age, sops

NAME = "gitops/bootstrap/secrets/app/backup-repo.sops.yaml"


@pytest.fixture
def root(tmp_path, monkeypatch):
    """A repository with its keys and one encrypted file."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv("SOPS_AGE_KEY_FILE", raising=False)
    root = tmp_path / "repository"
    root.mkdir()
    store.create(root)
    encrypt(root)
    return root


def encrypt(root) -> None:
    plain = store.kubernetes_secret("secrets", "backup-repo", {"RESTIC_PASSWORD": b"swordfish"})
    (root / NAME).parent.mkdir(parents=True, exist_ok=True)
    (root / NAME).write_bytes(sops.encrypt(plain, root, Path(NAME)))


@pytest.fixture
def site(root, bare_site):
    return replace(bare_site, root=root)


def test_a_file_that_the_clusters_key_opens_is_fine(site):
    assert key.check(site) is False


def test_a_file_for_another_key_is_named_before_anything_is_applied(site, root):
    other = age.generate().public
    own = store.own_key(root).public
    (root / store.CONFIG).write_text((root / store.CONFIG).read_text().replace(own, other))
    encrypt(root)
    with pytest.raises(InvalidInput) as error:
        key.check(site)
    assert f"{NAME}: not encrypted to the cluster's key {own}" in str(error.value)
    assert "sops updatekeys" in str(error.value.hint)


def test_a_machine_without_the_key_is_told_so(site, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "other"))
    with pytest.raises(PrerequisiteMissing, match="none of the age keys on this machine opens it"):
        key.check(site)


def test_a_key_in_string_data_is_read_too(site, root):
    before = key.public_keys(root)
    private = store.own_key(root).private.reveal().decode()
    about = {"kind": "Secret", "metadata": {"name": "sops-age", "namespace": "flux-system"}}
    plain = yaml.safe_dump({**about, "stringData": {"age.agekey": f"{private}\n"}})
    store.rewritten(root, store.AGE_KEY, Secret(plain))
    assert key.public_keys(root) == before
    assert key.check(site) is False


def test_a_file_that_is_not_encrypted_is_refused(site, root):
    (root / NAME).write_text("kind: Secret\n")
    with pytest.raises(InvalidInput, match="not encrypted by sops"):
        key.check(site)
