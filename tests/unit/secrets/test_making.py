"""What `slipway secrets init` makes of an inventory."""

import pytest
from tests.unit.sealed import S3

from slipway.errors import InvalidInput
from slipway.generate.gitops.secrets import BY_NAME, wanted
from slipway.secret import Secret
from slipway.secrets import forms, making, recipients, seal, store
from slipway.tools import age, sops


def test_everything_that_the_stages_read_is_there_and_right(repository):
    assert making.missing(repository.inventory) == ()
    for each in wanted(repository.inventory):
        values = repository.values(each.name)
        assert list(values) == [key.name for key in each.keys]
        assert [forms.fault(key, Secret(values[key.name])) for key in each.keys] == [""] * len(each.keys)


def test_openbao_repeats_what_the_namespace_secrets_has(repository):
    values = repository.values("openbao-snapshots-backup")
    assert values["RESTIC_PASSWORD"] == repository.values("backup-repo")["RESTIC_PASSWORD"]
    assert values["AWS_SECRET_ACCESS_KEY"] == S3["AWS_SECRET_ACCESS_KEY"].reveal()
    assert values["RESTIC_REPOSITORY"] == b"s3:https://s3.example.org/backups/small/openbao/openbao-snapshots"


def test_nothing_that_is_there_is_touched(repository):
    before = repository.files()
    made = making.fill(repository.inventory, {"backup-s3": {"AWS_ACCESS_KEY_ID": Secret("another")}})
    assert made.files == ()
    assert repository.files() == before


def test_what_only_a_person_has_is_told_and_not_invented(repository):
    for name in ("backup-s3", "openbao-snapshots-backup"):
        (repository.root / BY_NAME[name].file).unlink()
    made = making.fill(repository.inventory, {})
    assert made.files == ()
    assert [(each.wanted.name, each.keys) for each in made.lacking] == [
        ("backup-s3", tuple(S3)), ("openbao-snapshots-backup", tuple(S3)),
    ]  # fmt: skip
    assert [path.name for path in making.fill(repository.inventory, {"backup-s3": S3}).files] == [
        "backup-s3.sops.yaml", "openbao-snapshots-backup.sops.yaml",
    ]  # fmt: skip


def test_another_mode_wants_what_it_reads(repository):
    repository.change({"mode": "restore", "backup": {"repository": "s3:https://s3.example.org/b", "from": "old"}})
    (made,) = making.fill(repository.inventory, {}).files
    assert made.name == "openbao-snapshots-restore.sops.yaml"
    address = repository.values("openbao-snapshots-restore")["RESTIC_REPOSITORY"]
    assert address == b"s3:https://s3.example.org/b/old/openbao/openbao-snapshots"


def test_a_provider_whose_keys_nobody_knows_is_lacking_whole(repository):
    repository.change({"externalDns": {"enabled": True}})
    (lacking,) = making.fill(repository.inventory, {}).lacking
    assert (str(lacking.wanted), lacking.keys) == ("secrets/external-dns", ())


def test_a_seal_that_is_made_again_has_a_name_of_its_own(repository):
    repository.commit()
    first = repository.values("openbao-seal")["key-id"]
    repository.rewrite("openbao-seal", key__id=first[:-1] + b"2")
    repository.commit()
    (repository.root / BY_NAME["openbao-seal"].file).unlink()
    making.fill(repository.inventory, {})
    assert repository.values("openbao-seal")["key-id"] == first[:-1] + b"3"
    assert len(seal.names(repository.root)) == 3


def test_more_recipients_open_everything_and_lose_nobody(repository, tmp_path):
    offline, values = age.generate(), repository.values("openbao-seal")
    assert recipients.add(repository.root, [offline.public]) == (offline.public,)
    assert recipients.add(repository.root, [offline.public]) == ()
    brought = recipients.bring_in_step(repository.root)
    assert set(brought) == set(recipients.files(repository.root))
    assert recipients.out_of_step(repository.root) == ()
    plain = sops.decrypt(repository.root / BY_NAME["openbao-seal"].file, offline.private)
    assert plain == store.decrypt(repository.root, BY_NAME["openbao-seal"].file)
    assert repository.values("openbao-seal") == values


def test_what_is_no_public_key_changes_nothing(repository):
    before = repository.files()
    with pytest.raises(InvalidInput, match="not a public age key"):
        recipients.add(repository.root, ["AGE-SECRET-KEY-1"])
    assert repository.files() == before


LISTED = "creation_rules:\n  - path_regex: x\n    age:\n      - {own}\n      # the second\n      - {other}\n"


def test_recipients_in_a_list_stay_a_list(repository):
    own, other, third = (age.generate().public for _ in range(3))
    (repository.root / store.CONFIG).write_text(LISTED.format(own=own, other=other))
    recipients.add(repository.root, [third])
    assert store.recipients_of(repository.root) == (own, third, other)
    recipients.remove(repository.root, own)
    assert store.recipients_of(repository.root) == (third, other)
    assert "# the second" in (repository.root / store.CONFIG).read_text()


def test_the_last_recipient_stays(repository):
    (own,) = store.recipients_of(repository.root)
    with pytest.raises(InvalidInput, match="the only recipient"):
        recipients.remove(repository.root, own)
    other = age.generate().public
    recipients.add(repository.root, [other])
    recipients.remove(repository.root, own)
    assert store.recipients_of(repository.root) == (other,)
