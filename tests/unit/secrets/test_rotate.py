"""Changes of secrets: nothing that the cluster needs goes before it has the new one, wherever one is interrupted."""

import pytest

from slipway import inside
from slipway.errors import InvalidInput, PrerequisiteMissing, UsageError
from slipway.generate.gitops.secrets import BY_NAME
from slipway.secret import Secret
from slipway.secrets import check, recipients, rotate, seal, store
from slipway.tools import age as age_tool
from slipway.tools import sops


class Stopped(Exception):
    """The power went."""


@pytest.fixture
def power(monkeypatch):
    """`power(n)`: the next n files are written, and then no more; `power(None)` brings it back."""
    write = inside.write
    left: dict[str, int] = {}

    def limited(*words, **options):
        if "files" in left:
            if left["files"] == 0:
                raise Stopped
            left["files"] -= 1
        return write(*words, **options)

    def switch(count):
        left.clear()
        left.update({} if count is None else {"files": count})

    monkeypatch.setattr(inside, "write", limited)
    return switch


def identities(repository) -> tuple[Secret, ...]:
    return age_tool.identities(Secret(repository.values("sops-age")["age.agekey"]))


def opened_by(repository, key: Secret) -> int:
    """How many files this key alone opens."""
    return len(check.open_all(repository.root, key)[0])


@pytest.mark.parametrize("count", [0, 1, 2, 5])
def test_a_change_of_the_age_key_can_be_interrupted_anywhere(repository, power, count):
    (old,) = identities(repository)
    everything = len(recipients.files(repository.root))
    power(count)
    with pytest.raises(Stopped):
        rotate.age(repository.inventory)
    assert opened_by(repository, old) == everything, "what the cluster has opens everything"
    power(None)
    rotate.age(repository.inventory)
    new, kept = identities(repository)
    assert kept == old
    assert opened_by(repository, new) == opened_by(repository, old) == everything
    power(count)
    with pytest.raises(Stopped):
        rotate.finish_age(repository.inventory)
    assert opened_by(repository, new) == everything
    power(None)
    rotate.finish_age(repository.inventory)
    assert identities(repository) == (new,)
    assert opened_by(repository, new) == everything
    assert opened_by(repository, old) == 0
    assert store.recipients_of(repository.root) == (age_tool.public_key(new),)


def test_the_order_of_a_new_age_key_is_told(repository):
    done = rotate.age(repository.inventory)
    order = [step.partition(":")[0] for step in done.next]
    finish = order.index("slipway secrets rotate age --finish, which takes the old key away")
    assert order.index("git add and commit") < order.index("slipway handoff") < finish
    assert BY_NAME["sops-age"].file in done.changed
    again = rotate.age(repository.inventory)
    assert again.changed == ()
    assert again.next == done.next


def test_nothing_is_finished_that_was_not_begun(repository):
    before = repository.files()
    for finish in (rotate.finish_age, rotate.forget_seal):
        with pytest.raises(UsageError):
            finish(repository.inventory)
    assert repository.files() == before


def test_people_who_open_the_files_too_stay(repository):
    offline = age_tool.generate()
    recipients.add(repository.root, [offline.public])
    rotate.age(repository.inventory)
    rotate.finish_age(repository.inventory)
    assert offline.public in store.recipients_of(repository.root)
    assert opened_by(repository, offline.private) == len(recipients.files(repository.root))


def test_who_was_taken_out_of_the_rules_opens_nothing_more(repository):
    offline = age_tool.generate()
    recipients.add(repository.root, [offline.public])
    rotate.in_step(repository.inventory)
    recipients.remove(repository.root, offline.public)
    done = rotate.in_step(repository.inventory)
    assert set(done.changed) == set(recipients.files(repository.root))
    assert opened_by(repository, offline.private) == 0
    assert rotate.in_step(repository.inventory).changed == ()


def test_the_key_of_the_seal_before_is_kept_with_its_name(repository):
    repository.commit()
    before = repository.values("openbao-seal")
    rotate.seal(repository.inventory)
    after = repository.values("openbao-seal")
    assert (after["previous-key"], after["previous-key-id"]) == (before["key"], before["key-id"])
    assert after["key"] != before["key"]
    assert after["key-id"] != before["key-id"]
    assert all(len(found) == 1 for found in seal.names(repository.root).values())


def test_a_second_change_of_the_seal_would_lose_what_the_first_key_sealed(repository):
    rotate.seal(repository.inventory)
    before = repository.files()
    with pytest.raises(UsageError, match="still kept from the last change") as refused:
        rotate.seal(repository.inventory)
    assert "slipway secrets drill" in (refused.value.hint or "")
    assert repository.files() == before
    rotate.forget_seal(repository.inventory)
    assert repository.values("openbao-seal")["previous-key"] == b""
    rotate.seal(repository.inventory)


def test_a_name_of_the_seal_that_was_forgotten_does_not_come_back(repository):
    names = {repository.values("openbao-seal")["key-id"]}
    for _ in range(2):
        repository.commit()
        rotate.seal(repository.inventory)
        names.add(repository.values("openbao-seal")["key-id"])
        rotate.forget_seal(repository.inventory)
    assert len(names) == 3


@pytest.mark.parametrize(
    ("change", "name", "key"),
    [(rotate.git_reader, "git-reader", "password"), (rotate.git_admin, "gitea-admin", "password"),
     (rotate.webhook, "git-webhook", "token")],
)  # fmt: skip
def test_a_value_is_another_and_the_rest_stays(repository, change, name, key):
    before = repository.values(name)
    done = change(repository.inventory)
    after = repository.values(name)
    assert after.pop(key) != before.pop(key)
    assert after == before
    assert done.changed == (BY_NAME[name].file,)
    assert sops.recipients((repository.root / BY_NAME[name].file).read_bytes()) == store.recipients_of(repository.root)


def test_the_server_learns_its_passwords_before_the_commit_is_pushed_with_them(repository):
    """The hand-off pushes as the first user: with the new password, which the server has once it was started anew."""
    steps = rotate.git_admin(repository.inventory).next
    restarted = next(number for number, step in enumerate(steps) if "rollout restart deployment gitea" in step)
    brought = [number for number, step in enumerate(steps) if step.startswith("slipway handoff")]
    assert brought == [restarted - 1, restarted + 1]


def test_without_a_git_server_its_secrets_are_not_changed(repository):
    repository.change({"source": {"kind": "git", "url": "https://git.example.org/a.git"}})
    before = repository.files()
    with pytest.raises(UsageError, match="do not read it"):
        rotate.webhook(repository.inventory)
    assert repository.files() == before


def test_what_repeats_others_is_brought_in_step(repository):
    repository.rewrite("openbao-snapshots-backup", RESTIC_REPOSITORY=b"s3:old", AWS_ACCESS_KEY_ID=b"old")
    done = rotate.repeated(repository.inventory)
    assert done.changed == (BY_NAME["openbao-snapshots-backup"].file,)
    assert repository.values("openbao-snapshots-backup")["AWS_ACCESS_KEY_ID"] == b"access-key-of-the-test"
    assert rotate.repeated(repository.inventory).changed == ()


def test_backups_are_not_changed_without_restic(repository, monkeypatch):
    monkeypatch.setattr(rotate, "find_program", lambda _name: None)
    before = repository.files()
    with pytest.raises(PrerequisiteMissing, match="restic: not found"):
        rotate.restic(repository.inventory, print)
    with pytest.raises(PrerequisiteMissing, match="restic: not found"):
        rotate.s3(repository.inventory, {"AWS_ACCESS_KEY_ID": Secret("another")})
    assert repository.files() == before


def test_a_new_account_is_given_by_a_person(repository):
    with pytest.raises(UsageError, match="give the new key"):
        rotate.s3(repository.inventory, {})
    with pytest.raises(InvalidInput, match="AWS_ACCESS_KEY_ID: not given to you"):
        rotate.s3(repository.inventory, {"AWS_ACCESS_KEY_ID": Secret("with a newline\n")})


def test_every_volume_has_a_repository_people_s_own_too(repository):
    volume = repository.root / "gitops/cluster-apps/shop/data/volume.yaml"
    volume.parent.mkdir(parents=True)
    volume.write_text("kind: ConfigMap\ndata: {name: shop-data, namespace: shop}\n")
    found = [each.address for each in rotate._repositories(repository.inventory, Secret("x"))]
    assert found == [
        f"s3:https://s3.example.org/backups/small/{where}"
        for where in ("sample/sample-data", "shop/shop-data", "forgejo/forgejo-dumps", "openbao/openbao-snapshots")
    ]
