"""The first phases against a real sshd; the machines are this one under several names."""

from dataclasses import replace
from pathlib import Path

import pytest

from slipway.errors import InvalidInput, Unreachable
from slipway.events import Events
from slipway.generate import tree, writer
from slipway.rollout.phases import Obstructed, Preparation, Standing
from slipway.ssh.pool import Pool
from slipway.tools import git, nix
from slipway.tools.nix import BuildFailed


@pytest.fixture
def seen():
    return []


@pytest.fixture
def preparation(inventory, sshd, seen):
    ports = {"w1": sshd.port, "cp1": sshd.port, "w2": 1}
    endpoints = [replace(sshd.endpoint, name=name, port=port) for name, port in ports.items()]
    hosts = [inventory.host(name) for name in ports]
    with Pool(endpoints, sshd.known_hosts) as pool:
        yield Preparation(inventory, hosts, pool, Events(seen.append))


def test_files_that_do_not_follow_from_the_inventory_stop_a_deploy(preparation, inventory):
    with pytest.raises(InvalidInput, match=r"generated files? out of step with the inventory") as caught:
        preparation.require_generated()
    assert caught.value.hint == "slipway generate"
    writer.write(inventory.root, writer.changes(inventory.root, tree.render(inventory)))
    preparation.require_generated()
    (inventory.root / "generated" / "hosts.nix").write_text("{ }")
    with pytest.raises(InvalidInput):
        preparation.require_generated()


def test_a_file_that_git_does_not_know_stops_a_deploy(preparation, inventory):
    writer.write(inventory.root, writer.changes(inventory.root, tree.render(inventory)))
    git.init(inventory.root)
    git.intend_to_add(inventory.root, [Path("generated")])
    preparation.require_generated()
    (inventory.root / "hosts").mkdir()
    (inventory.root / "hosts" / "w1.nix").write_text("{ }")
    with pytest.raises(InvalidInput, match=r"hosts/w1\.nix is unknown to Git") as caught:
        preparation.require_generated()
    assert str(caught.value.hint).endswith("add hosts/w1.nix")


def test_what_a_reboot_takes_is_what_a_node_boots_by_default(preparation):
    """A machine of the tests has no system of NixOS: that is told, and which machine."""
    standing = Standing(preparation.inventory, preparation.hosts[:1], preparation.pool, preparation.events)
    with pytest.raises(Obstructed, match="w1: has no system of NixOS to boot"):
        standing.build()


@pytest.mark.parametrize(("where", "calls"), [("local", [("w1 cp1 w2", None)]), ("cp1", [("w1 cp1 w2", "cp1")]),
                                              ("remote", [("cp1", "cp1"), ("w1", "w1"), ("w2", "w2")])])  # fmt: skip
def test_systems_are_built_where_it_is_said(preparation, monkeypatch, where, calls):
    asked: list[tuple[str, str | None]] = []

    def build(_flake, names, *, at, **_how):
        asked.append((" ".join(names), at and at.store.rpartition("@")[2].partition("?")[0]))
        return {name: f"/nix/store/{name}" for name in names}

    monkeypatch.setattr(nix, "build", build)
    monkeypatch.setattr(nix, "keep", lambda *_, **__: None)
    systems = replace(preparation, build_on=where).build()
    assert systems == {name: f"/nix/store/{name}" for name in ("w1", "cp1", "w2")}
    assert sorted(asked, key=str) == sorted(calls, key=str)


def test_systems_are_evaluated_so_many_at_once(preparation, monkeypatch, seen):
    asked: list[list[str]] = []

    def build(_flake, names, **_how):
        asked.append(list(names))
        return {name: f"/nix/store/{name}" for name in names}

    monkeypatch.setattr(nix, "build", build)
    monkeypatch.setattr(nix, "keep", lambda *_, **__: None)
    deploy = preparation.inventory.deploy.model_copy(update={"evaluate_at_once": 2})
    inventory = replace(preparation.inventory, deploy=deploy)
    assert list(replace(preparation, inventory=inventory).build()) == ["w1", "cp1", "w2"]
    assert asked == [["w1", "cp1"], ["w2"]]
    assert [each.data["text"] for each in seen if each.state == "progress"] == [
        "2 at once, 0 of 3 systems done", "1 at once, 2 of 3 systems done",
    ]  # fmt: skip


def test_a_build_that_fails_on_its_node_is_the_run_s_error(preparation, monkeypatch):
    def build(_flake, names, *, at, **_how):
        raise BuildFailed(f"{names[0]}: no")

    monkeypatch.setattr(nix, "build", build)
    with pytest.raises(BuildFailed):
        replace(preparation, build_on="remote").build()


def test_preflight_asks_all_and_tells_who_does_not_answer(preparation, seen):
    answers = preparation.preflight()
    assert isinstance(answers["w2"], Unreachable)
    assert isinstance(answers["w1"], Obstructed)
    assert "not NixOS; to make it a node: slipway install w1" in str(answers["w1"])
    states = {(event.node, event.state) for event in seen if event.node}
    assert states == {("w2", "unreachable"), ("w1", "blocked"), ("cp1", "blocked")}
    assert seen[-1].data["text"] == "0 of 3 nodes answer and are fit for it"


def test_a_machine_with_the_right_name_passes(preparation, monkeypatch, seen):
    from slipway.node.facts import Facts

    monkeypatch.setattr(Facts, "obstacles", lambda _self, _name: [])
    found = preparation.preflight()["w1"]
    assert isinstance(found, Facts)
    assert seen[-1].data["text"] == f"2 of 3 nodes answer and are fit for it; they run {found.os}"


def test_a_failed_copy_names_its_node(preparation, seen):
    """There is no such path in any store."""
    failed = preparation.copy({"w1": "/nix/store/none", "w2": "/nix/store/none"})
    assert set(failed) == {"w1", "w2"}
    assert isinstance(failed["w2"], Unreachable)
    assert {event.node for event in seen if event.state in ("blocked", "unreachable")} == {"w1", "w2"}


def test_nothing_to_copy_asks_nobody(preparation, seen):
    assert preparation.copy({}) == {}
    assert seen == []
