"""What `lab up` does beside its machines; what is made of the programs is tested elsewhere and left out here."""

import threading
from pathlib import Path

import pytest

from slipway.events import Events
from slipway.lab import binaries, charts, definitions, images, stores, supplies
from slipway.lab.builds import Build, K0s, Program
from slipway.lab.settings import Lab

DEADLINE = 60.0


@pytest.fixture
def build(tmp_path, monkeypatch):
    """The only build there is, which nothing makes for real."""
    build = Build("tool", tmp_path, (Program("tool", "."),), seconds=1, megabytes=1)
    monkeypatch.setattr(supplies, "needed", lambda kind, until: (build,) if kind is K0s.BARE else ())
    return build


@pytest.fixture
def done(monkeypatch):
    """What was made of the programs, in order."""
    names: list[str] = []
    monkeypatch.setattr(binaries, "link_host_tools", lambda _events: names.append("tools"))
    monkeypatch.setattr(images, "ensure", lambda _events, _wanted: names.append("images"))
    monkeypatch.setattr(charts, "ensure", lambda _events, _wanted: names.append("charts"))
    monkeypatch.setattr(definitions, "ensure", lambda _events: names.append("definitions"))
    return names


def test_work_and_builds_go_on_at_the_same_time(build, done, monkeypatch):
    started, worked = threading.Event(), threading.Event()

    def make(_build, _events):
        started.set()
        assert worked.wait(DEADLINE)
        done.append("tool")

    def work():
        assert started.wait(DEADLINE)
        worked.set()
        return "machines"

    monkeypatch.setattr(binaries, "make", make)
    assert supplies.beside(work, Events(), K0s.BARE) == "machines"
    assert done == ["tool", "tools", "images", "charts"]


def test_a_lab_with_a_later_stage_gets_the_kinds_that_it_takes_from_git(build, done, monkeypatch):
    monkeypatch.setattr(binaries, "make", lambda _build, _events: done.append("tool"))
    supplies.beside(lambda: "machines", Events(), K0s.BARE, "cluster-base-apps")
    assert done == ["tool", "tools", "images", "charts", "definitions"]


def test_failed_work_does_not_wait_for_a_build(build, done, monkeypatch):
    release, built = threading.Event(), threading.Event()

    def make(_build, _events):
        release.wait(DEADLINE)
        built.set()

    monkeypatch.setattr(binaries, "make", make)

    def work():
        raise RuntimeError("no bridge")

    with pytest.raises(RuntimeError, match="no bridge"):
        supplies.beside(work, Events(), K0s.BARE)
    assert not built.is_set()
    assert done == []
    release.set()


def test_a_failed_build_ends_the_whole(build, done, monkeypatch):
    def make(_build, _events):
        raise binaries.BuildFailed("tool: go could not build it")

    monkeypatch.setattr(binaries, "make", make)
    with pytest.raises(binaries.BuildFailed):
        supplies.beside(lambda: "machines", Events(), K0s.BARE)
    assert done == []


@pytest.mark.parametrize(("kind", "given"), [(K0s.STAND_IN, True), (K0s.BARE, True), (K0s.RELEASED, False)])
def test_machines_get_all_images_where_their_containerd_is_the_labs(kind, given, tmp_path, monkeypatch):
    heard: list[tuple[tuple[Path, ...], list[Path]]] = []
    monkeypatch.setattr(images, "ensure", lambda _events, _wanted: (Path("pause.tar"),))
    monkeypatch.setattr(stores, "give", lambda archives, folders, _events: heard.append((archives, folders)))
    monkeypatch.setattr(Lab, "state", property(lambda _lab: tmp_path))
    monkeypatch.setattr(images, "show", lambda archives, folder: shown.append((archives, folder)))
    shown: list[tuple[tuple[Path, ...], Path]] = []
    machine = Lab(9).machines(1, 0)[0]
    supplies.stock([machine], Events(), kind, [Path("own.tar")])
    assert shown == [((Path("pause.tar"),), tmp_path / "images")]
    assert heard == [((Path("pause.tar"), Path("own.tar")), [machine.containerd])] * given
