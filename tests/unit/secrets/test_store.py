"""The encrypted files, with the real sops and age-keygen."""

import base64
import stat
from pathlib import Path

import pytest
import yaml
from tests.unit.sealed import keys_of

from slipway.errors import InvalidInput, PrerequisiteMissing
from slipway.paths import ENCRYPTION_KEY
from slipway.secret import Secret
from slipway.secrets import at_rest, keys, store
from slipway.tools import age
from slipway.tools.run import run


@pytest.fixture
def home(tmp_path, monkeypatch):
    keys_of(monkeypatch, tmp_path / "config")
    return tmp_path / "config"


@pytest.fixture
def root(tmp_path, home):
    path = tmp_path / "repository"
    path.mkdir()
    return path


def data_of(root: Path, name: Path) -> dict[str, bytes]:
    manifest = yaml.safe_load(store.decrypt(root, name).reveal())
    return {key: base64.b64decode(value) for key, value in manifest["data"].items()}


def test_create_makes_the_key_the_rules_and_the_first_files(root, home):
    made = store.create(root)
    files = (store.CONFIG, store.AGE_KEY, store.GITEA_ADMIN, store.GIT_READER, store.GIT_WEBHOOK, ENCRYPTION_KEY)
    assert made == (keys.key_file(), *(root / name for name in files))


def test_a_repository_from_before_gets_the_key_for_secrets_at_rest(root, home):
    store.create(root)
    (root / ENCRYPTION_KEY).unlink()
    with pytest.raises(InvalidInput, match=r"encryption.sops.yaml: missing") as caught:
        at_rest.read(root)
    assert caught.value.hint == "slipway secrets init"
    assert store.create(root) == (root / ENCRYPTION_KEY,)


def test_the_private_key_is_outside_the_repository_and_for_its_user_alone(root, home):
    store.create(root)
    assert keys.key_file() == home / "sops" / "age" / "keys.txt"
    assert stat.S_IMODE(keys.key_file().stat().st_mode) == 0o600
    for path in root.rglob("*"):
        assert path.is_dir() or b"AGE-SECRET-KEY" not in path.read_bytes()


def test_a_folders_name_stays_one_comment_in_the_key_file(tmp_path, home):
    root = tmp_path / "a\nAGE-SECRET-KEY-1\udcff"
    root.mkdir()
    store.create(root)
    comment, public, private = keys.key_file().read_text().splitlines()
    assert comment.startswith("# slipway: ")
    assert (public[:14], private[:16]) == ("# public key: ", "AGE-SECRET-KEY-1")


def test_what_is_told_to_a_person_shows_the_very_password(root, home):
    store.create(root)
    shown = run(["sh", "-c", store.to_see_the_password(store.GITEA_ADMIN)], cwd=root).stdout
    assert shown.encode() == data_of(root, store.GITEA_ADMIN)["password"]


def test_the_key_of_the_cluster_is_encrypted_to_itself(root, home):
    store.create(root)
    data = data_of(root, store.AGE_KEY)
    assert list(data) == ["age.agekey"]
    (private,) = age.identities(Secret(data["age.agekey"]))
    assert age.public_key(private) == store.own_key(root).public


def test_metadata_stays_readable_and_data_does_not(root, home):
    store.create(root)
    written = yaml.safe_load((root / store.GITEA_ADMIN).read_text())
    assert written["kind"] == "Secret"
    assert written["metadata"] == {"name": "gitea-admin", "namespace": "gitea"}
    assert all(value.startswith("ENC[") for value in written["data"].values())


def test_each_repository_gets_its_own_password(tmp_path, home):
    passwords = set()
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        store.create(tmp_path / name)
        passwords.add(data_of(tmp_path / name, store.GITEA_ADMIN)["password"])
    assert len(passwords) == 2
    assert all(len(password) >= 32 for password in passwords)


def test_a_second_create_changes_nothing(root, home):
    store.create(root)
    before = {path: path.read_bytes() for path in [*root.rglob("*"), *home.rglob("*")] if path.is_file()}
    assert store.create(root) == ()
    assert {path: path.read_bytes() for path in before} == before


def test_a_create_that_died_half_way_is_completed_with_the_same_key(root, home):
    store.create(root)
    key = store.own_key(root)
    (root / store.AGE_KEY).unlink()
    assert store.create(root) == (root / store.AGE_KEY,)
    assert store.own_key(root) == key


def test_keys_of_other_repositories_stay_in_the_key_file(tmp_path, home):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        store.create(tmp_path / name)
    assert keys.key_file().read_text().count("AGE-SECRET-KEY-1") == 2
    assert store.own_key(tmp_path / "a") != store.own_key(tmp_path / "b")
    assert data_of(tmp_path / "a", store.GITEA_ADMIN)["username"] == b"gitea_admin"


def test_a_key_file_without_a_last_newline_is_continued_on_a_new_line(root, home):
    keys.key_file().parent.mkdir(parents=True)
    keys.key_file().write_text("# mine")
    store.create(root)
    assert keys.key_file().read_text().startswith("# mine\n# slipway")


def test_a_further_recipient_opens_the_files_too(root, home, tmp_path, monkeypatch):
    offline = age.generate()
    store.create(root, recipients=[offline.public])
    (tmp_path / "offline").write_bytes(offline.private.reveal())
    monkeypatch.setenv("SOPS_AGE_KEY_FILE", str(tmp_path / "offline"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "elsewhere"))
    assert data_of(root, store.GITEA_ADMIN)["username"] == b"gitea_admin"


def test_without_the_key_the_place_for_it_is_named(root, home, tmp_path, monkeypatch):
    store.create(root)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("HOME", str(tmp_path / "elsewhere"))
    with pytest.raises(PrerequisiteMissing, match="none of the age keys on this machine opens it") as caught:
        store.decrypt(root, store.AGE_KEY)
    assert "keys.txt" in (caught.value.hint or "")
    (root / store.AGE_KEY).unlink()
    with pytest.raises(PrerequisiteMissing, match="private key of none of its recipients"):
        store.create(root)


def test_a_file_in_the_clear_is_refused(root, home):
    store.create(root)
    (root / store.GITEA_ADMIN).write_bytes(store.kubernetes_secret("gitea", "gitea-admin", {"a": b"b"}).reveal())
    with pytest.raises(InvalidInput, match="is not encrypted") as caught:
        store.decrypt(root, store.GITEA_ADMIN)
    assert (caught.value.hint or "").startswith("sops encrypt -i ")


def test_a_missing_file_names_the_command_that_makes_it(root, home):
    with pytest.raises(InvalidInput, match="missing") as caught:
        store.decrypt(root, store.AGE_KEY)
    assert caught.value.hint == "slipway secrets init"


def as_string_data(root: Path, name: Path) -> None:
    """The same Secret as a person may write it: in stringData."""
    found = yaml.safe_load(store.decrypt(root, name).reveal())
    values = {key: base64.b64decode(value).decode() for key, value in found.pop("data").items()}
    store.rewritten(root, name, Secret(yaml.safe_dump({**found, "stringData": values})))


def test_a_secret_in_string_data_says_the_same(root, home):
    store.create(root)
    before = store.read(root, store.GITEA_ADMIN)
    as_string_data(root, store.GITEA_ADMIN)
    assert store.read(root, store.GITEA_ADMIN) == before
    assert before.values["username"] == Secret("gitea_admin")


@pytest.mark.parametrize("text", ["", "creation_rules: []", "creation_rules: [{pgp: x}]", ": [", "- a"])
def test_rules_without_recipients_are_an_error_in_words(root, text):
    (root / store.CONFIG).write_text(text)
    with pytest.raises(InvalidInput, match="no creation rule with age recipients"):
        store.recipients_of(root)


@pytest.mark.parametrize("value", ["age1a,age1b", "age1a, age1b", ["age1a", "age1b"]])
def test_recipients_may_be_a_list_or_a_text(root, value):
    (root / store.CONFIG).write_text(yaml.safe_dump({"creation_rules": [{"path_regex": "x", "age": value}]}))
    assert store.recipients_of(root) == ("age1a", "age1b")


def test_a_key_file_that_others_can_read_is_refused_with_the_mend(root, home):
    store.create(root)
    keys.key_file().chmod(0o644)
    with pytest.raises(InvalidInput, match="others can read") as refused:
        store.own_key(root)
    assert refused.value.hint == f"chmod 600 {keys.key_file()}"
    keys.key_file().chmod(0o600)
    assert store.own_key(root).public in store.recipients_of(root)
