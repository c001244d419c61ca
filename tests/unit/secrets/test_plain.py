"""Only what is encrypted may lie below secrets/."""

from pathlib import Path

import pytest

from slipway.errors import InvalidInput
from slipway.secrets import plain


@pytest.mark.parametrize(
    ("path", "encrypted"),
    [("secrets/a.sops.yaml", True), ("secrets/deep/a.sops.json", True), ("secrets/a.yaml", False),
     ("other/a.sops.yaml", False), ("secrets/sops.yaml", False)],
)  # fmt: skip
def test_the_name_tells(path, encrypted):
    assert plain.is_encrypted(Path(path)) == encrypted


def test_a_plain_file_is_refused_with_the_way_to_encrypt_it(tmp_path):
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets/a.sops.yaml").touch()
    (tmp_path / "secrets/README.md").touch()
    plain.require_none(tmp_path)
    (tmp_path / "secrets/gitea.yaml").touch()
    with pytest.raises(
        InvalidInput, match=r"not encrypted by its name: .*gitea\.yaml; only secrets/\*\.sops\.\*"
    ) as refused:
        plain.require_none(tmp_path)
    assert refused.value.hint and "gitea.sops.yaml" in refused.value.hint


def test_a_repository_without_secrets_has_none(tmp_path):
    plain.require_none(tmp_path)
