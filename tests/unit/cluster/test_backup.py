"""Backups: the scripts themselves, on this machine, with a fake k0s that packs a folder as k0s does."""

import hashlib
import io
import os
import tarfile
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest
from tests.unit.cluster.archives import CA, archive, fake_k0s

from slipway.cluster import backup, join, members
from slipway.cluster.members import Membership
from slipway.errors import DeployFailed, InvalidInput, SlipwayError, Unreachable
from slipway.events import Event, Events
from slipway.result import CommandFailed
from slipway.secret import Secret
from slipway.ssh.host import Local


class World:
    """This machine is cp1, cp2 and cp3; `problems` and `asked` are about their APIs."""

    def __init__(self, inventory, folder, monkeypatch) -> None:
        self.inventory, self.folder = inventory, folder
        self.told: list[Event] = []
        self.problems: dict[str, str | SlipwayError] = {}
        self.machines = {name: Machine(name) for name in ("cp1", "cp2", "cp3")}
        self.pool: Any = SimpleNamespace(host=self.machines.__getitem__)
        monkeypatch.setenv("PATH", f"{fake_k0s(folder)}:{os.environ['PATH']}")
        monkeypatch.setattr(backup, "PLACE", str(folder / "place"))
        (folder / "place").mkdir()
        monkeypatch.setattr(members, "look", lambda _: Membership(control_plane=True, ca="digest-of-ca"))
        monkeypatch.setattr(join, "api_problem", self.problem)

    def problem(self, host) -> str:
        found = self.problems.get(host.name, "")
        if isinstance(found, SlipwayError):
            raise found
        return found

    def make(self) -> backup.Archive:
        return backup.make(self.inventory, self.pool, Events(self.told.append))


class Machine(Local):
    def __init__(self, name: str) -> None:
        self.name = name

    @contextmanager
    def fresh(self, *, cut: bool = False):
        yield self


@pytest.fixture
def one(world, tmp_path, monkeypatch):
    folder = tmp_path / "machine"
    folder.mkdir()
    return World(world(controllers=3).inventory, folder, monkeypatch)


def names(found: backup.Archive) -> list[str]:
    with tarfile.open(fileobj=io.BytesIO(found.content.reveal())) as packed:
        return sorted(packed.getnames())


def test_it_holds_what_k0s_packed_but_for_images_and_says_whose_it_is(one):
    found = one.make()
    assert names(found) == ["etcd-snapshot.db", "k0s.yaml", "pki", "pki/ca.crt", "slipway.json"]
    about = found.about
    assert (about.cluster, about.identity, about.k0s) == ("test", "digest-of-ca", "1.36.3+k0s.2")
    assert (about.controller, about.address) == ("cp1", "10.0.0.10")
    assert found.size > 3 << 20


def test_what_comes_in_several_parts_is_whole(one, monkeypatch):
    monkeypatch.setattr(backup, "CHUNK", 1 << 20)
    found = one.make()
    snapshot = (one.folder / "data" / "etcd-snapshot.db").read_bytes()
    with tarfile.open(fileobj=io.BytesIO(found.content.reveal())) as packed:
        assert packed.extractfile("etcd-snapshot.db").read() == snapshot  # type: ignore[union-attr]
    assert sum(event.state == "progress" for event in one.told) >= 4


def test_nothing_of_it_stays_on_the_controller(one):
    one.make()
    assert list((one.folder / "place").iterdir()) == []


def test_what_k0s_refuses_is_told_and_nothing_stays(one):
    (one.folder / "data" / "refuse").touch()
    with pytest.raises(CommandFailed, match="unable to detect cluster status"):
        one.make()
    assert list((one.folder / "place").iterdir()) == []


def test_what_a_killed_run_left_goes_with_the_next(one):
    old, young = one.folder / "place" / "backup-old", one.folder / "place" / "backup-young"
    old.mkdir()
    young.mkdir()
    os.utime(old, (0, 0))
    one.make()
    assert [each.name for each in (one.folder / "place").iterdir()] == ["backup-young"]


def test_a_controller_that_is_well_is_taken_and_the_others_are_not_asked_for_one(one):
    one.problems = {"cp1": Unreachable("cp1: no route to host"), "cp2": "kube-apiserver still waits for etcd"}
    assert one.make().about.controller == "cp3"


def test_where_no_controller_is_well_each_says_why(one):
    one.problems = dict.fromkeys(("cp1", "cp2", "cp3"), "no quorum")
    with pytest.raises(DeployFailed, match="cp1: no quorum\ncp2: no quorum\ncp3: no quorum"):
        one.make()


def test_where_no_controller_is_reached_that_is_the_error(one):
    one.problems = {name: Unreachable(f"{name}: no route to host") for name in ("cp1", "cp2", "cp3")}
    with pytest.raises(Unreachable, match="cp1: no route to host\ncp2: no route to host"):
        one.make()


def test_an_archive_that_is_too_large_is_not_fetched(one, monkeypatch):
    monkeypatch.setattr(backup, "MOST", 1000)
    with pytest.raises(DeployFailed, match=r"at most 1000 B are fetched") as caught:
        one.make()
    assert "k0s backup --save-path=DIR" in str(caught.value.hint)


def test_an_archive_that_came_otherwise_is_refused(one, monkeypatch):
    monkeypatch.setattr(backup, "READ", 'head -c "$3" /dev/zero | base64 --wrap=0')
    with pytest.raises(DeployFailed, match="another digest"):
        one.make()
    for odd in ("true", "echo c2VjcmV0!"):
        monkeypatch.setattr(backup, "READ", odd)
        with pytest.raises(DeployFailed, match="does not come whole") as caught:
            one.make()
        assert "c2Vj" not in str(caught.value)


def test_an_archive_is_what_its_authority_is_whatever_it_says(one):
    found = backup.read(one.make().content)
    assert found.about.identity == hashlib.sha256(CA).hexdigest()
    assert found.about.cluster == "test"


def test_one_of_k0s_itself_is_read_as_well():
    assert backup.read(archive()).about == backup.About("", hashlib.sha256(CA).hexdigest(), "", "", "", "")


@pytest.mark.parametrize(
    "content",
    [b"", b"text", archive({"pki/ca.crt": b"x"}).reveal(), archive().reveal()[:-30]],
    ids=["nothing", "no archive", "no snapshot", "cut off"],
)
def test_anything_else_is_refused_without_quoting_it(content):
    with pytest.raises(InvalidInput, match="no archive of `k0s backup`"):
        backup.read(Secret(content))


def test_the_address_where_the_archive_comes_from_is_the_inventory_s(one):
    one.problems = {"cp1": "x"}
    found = one.make()
    assert (found.about.controller, found.about.address) == ("cp2", "10.0.0.11")


def told(events: list[Event]) -> list[str]:
    return [f"{event.phase} {event.state}" for event in events if event.state != "progress"]


def test_beginning_and_end_are_told(one):
    one.make()
    assert told(one.told) == ["backup started", "backup done"]
