"""Restoring: what is refused, what comes back, and the script itself on this machine with a fake k0s."""

import os
import tarfile
from dataclasses import replace
from typing import cast

import pytest
from tests.unit.cluster.archives import archive, fake_k0s
from tests.unit.cluster.conftest import World

from slipway.cluster import backup, bringup, restore
from slipway.cluster.bringup import MayNotFound
from slipway.cluster.encryption import Key, Keys
from slipway.cluster.restore import Ground, StillThere
from slipway.errors import DeployFailed, Unreachable
from slipway.events import Events
from slipway.outcome import NodeResult
from slipway.result import CommandFailed
from slipway.secret import Secret
from slipway.ssh.host import Local
from slipway.ssh.pool import Pool

BACKUP = backup.read(archive())
KEYS = Keys((Key("slipway", Secret(b"k" * 32)),))


def of_release(release: str) -> backup.Archive:
    return replace(BACKUP, about=replace(BACKUP.about, k0s=release))


def cold(one: World, made: backup.Archive = BACKUP) -> Ground:
    return restore.require_cold(one.inventory, cast("Pool", one.pool), made)


def brought(one: World, made: backup.Archive = BACKUP, keys: Keys | None = None) -> dict[str, NodeResult]:
    ground, pool = cold(one, made), cast("Pool", one.pool)
    return restore.restore(one.inventory, pool, Events(one.told.append), made, ground, keys)


def lost(one) -> None:
    """All controllers have lost their data; the workers run on."""
    for name in ("cp1", "cp2", "cp3"):
        machine = one.machine(name)
        machine.data, machine.state, machine.ca = False, "inactive", ""
    one.cluster.etcd.clear()
    one.cluster.cas.clear()


def test_a_lost_control_plane_comes_back_and_the_workers_with_it(world):
    one = world(controllers=3)
    one.bring_up()
    lost(one)
    results = brought(one, keys=KEYS)
    assert {name: result.outcome.good for name, result in results.items()} == dict.fromkeys(results, True)
    assert set(results) == {"cp1", "cp2", "cp3", "w1", "w2"}
    assert set(one.cluster.etcd) == {"cp1", "cp2", "cp3"}
    assert {one.machine(name).ca for name in ("cp1", "cp2", "cp3")} == {BACKUP.about.identity}
    assert one.machine("w1").calls.count(("systemctl", "restart", "k0s.service")) == 2, "at its join, and now"


def test_machines_that_have_never_had_a_cluster_join_the_restored_one(world):
    one = world(controllers=3, workers=1)
    results = brought(one)
    assert (results["cp1"].reason, results["w1"].reason) == ("has the cluster of the backup", "joined the cluster")
    assert set(one.cluster.nodes) == {"w1"} and one.cluster.tokens == {}


def test_the_archive_goes_over_in_parts_and_stays_nowhere(world, monkeypatch):
    monkeypatch.setattr(restore, "CHUNK", 50)
    one = world()
    brought(one)
    assert sum(call[3:4] == ("send the archive",) for call in one.machine("cp1").calls) > 2
    assert [path for path in one.machine("cp1").files if "backup" in path] == []


@pytest.mark.parametrize(
    ("ca", "words"),
    [(BACKUP.about.identity, "cp2: the same cluster"), ("x" * 64, r"cp2: another cluster \(xxxxxxxxxxxx\)")],
)
def test_a_cluster_that_lives_is_refused_whichever_it_is(world, ca, words):
    one = world(controllers=3)
    one.machine("cp2").data, one.machine("cp2").ca, one.machine("cp2").state = True, ca, "active"
    with pytest.raises(StillThere, match=f"{words}.* lives") as caught:
        cold(one)
    assert "slipway reset cp2" in str(caught.value.hint)


def test_one_that_has_data_and_does_not_serve_is_refused_as_well(world):
    one = world(controllers=3)
    one.machine("cp3").data = True
    with pytest.raises(StillThere, match=r"cp3: another cluster .* does not serve"):
        cold(one)


def test_a_controller_that_cannot_be_asked_may_have_it(world):
    one = world(controllers=3)
    one.machine("cp3").breaks = "unreachable"
    with pytest.raises(Unreachable, match="cp3: may have the cluster"):
        cold(one)


def test_a_worker_that_does_not_answer_is_left_out(world):
    one = world()
    one.machine("w2").breaks = "unreachable"
    assert cold(one).silent == ("w2",)
    assert brought(one)["w2"].outcome == "unreachable"


def test_an_api_that_answers_somewhere_is_refused(world):
    one = world()
    one.listening.add("10.0.0.10")
    with pytest.raises(MayNotFound, match=r"answers at 10\.0\.0\.10:6443"):
        cold(one)


def test_an_api_at_an_address_of_ipv6_is_told_as_urls_have_it(world, monkeypatch):
    one = world()
    one.listening.add("fd00::11")
    monkeypatch.setattr(bringup, "api_ports", lambda _inventory: [("fd00::11", 6443)])
    with pytest.raises(MayNotFound, match=r"answers at \[fd00::11\]:6443$"):
        cold(one)


@pytest.mark.parametrize("was", ["1.36.0+k0s.0", "1.35.7+k0s.0", "", "odd"])
def test_a_release_that_k0s_can_go_on_from_is_taken(world, was):
    assert cold(world(), of_release(was)).first == "cp1"


@pytest.mark.parametrize("was", ["1.37.0+k0s.0", "1.34.10+k0s.0"])
def test_another_release_is_refused_with_the_one_to_deploy(world, was):
    with pytest.raises(DeployFailed, match=r"never back") as caught:
        cold(world(), of_release(was))
    assert f"1.{was.split('.')[1]}." in str(caught.value.hint) and "--no-join" in str(caught.value.hint)


def test_a_machine_without_its_system_is_refused(world):
    one = world()
    one.machine("cp1").release = ""
    with pytest.raises(DeployFailed, match="has no k0s yet") as caught:
        cold(one)
    assert caught.value.hint == "slipway deploy --no-join"


def test_where_k0s_does_not_take_it_nothing_is_started(world):
    one = world(controllers=3)
    one.machine("cp1").breaks = "restore"
    with pytest.raises(CommandFailed, match="failed to restore on step"):
        brought(one)
    assert one.machine("cp1").state == "inactive" and one.cluster.etcd == {}


class Here:
    """This machine as the one that takes a backup: `folder` is where the archive was sent to."""

    def __init__(self, folder, monkeypatch) -> None:
        self.root = folder
        monkeypatch.setenv("PATH", f"{fake_k0s(folder)}:{os.environ['PATH']}")
        self.folder, self.data, self.config = folder / "sent-to", folder / "restored", folder / "k0s.yaml"
        self.folder.mkdir()
        self.config.write_text("of this machine\n")
        with tarfile.open(self.folder / "sent", "w:gz") as packed:
            for name in ("etcd-snapshot.db", "pki", "images", "k0s.yaml"):
                packed.add(folder / "data" / name, name)

    def unpack(self) -> None:
        words = ["restore the control plane", str(self.folder), str(self.data), str(self.config)]
        Local().run(["sh", "-c", restore.UNPACK, *words])


@pytest.fixture
def here(tmp_path, monkeypatch):
    return Here(tmp_path, monkeypatch)


def test_the_machine_keeps_its_own_configuration_and_gets_no_images(here):
    here.unpack()
    assert (here.data / "k0s.yaml").read_text() == "of this machine\n"
    assert (here.data / "pki" / "ca.crt").exists() and not (here.data / "images").exists()


def test_what_k0s_made_before_it_failed_goes_again(here):
    (here.root / "data" / "refuse").touch()
    with pytest.raises(CommandFailed, match="failed to restore"):
        here.unpack()
    assert not (here.data / "etcd").exists()


def test_a_machine_with_data_keeps_it(here):
    (here.data / "etcd" / "member" / "snap").mkdir(parents=True)
    (here.data / "etcd" / "member" / "snap" / "db").write_text("mine")
    with pytest.raises(CommandFailed, match="there is data of etcd already"):
        here.unpack()
    assert (here.data / "etcd" / "member" / "snap" / "db").read_text() == "mine"
