"""The order of things, and who waits for whom. Machines and phases are fakes; tests/lab has the real ones."""

import threading
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tests.unit.rollout.conftest import INVENTORY

from slipway.cluster import (
    backup,
    bringup,
    cilium,
    comparison,
    drain,
    encryption,
    kubeconfig,
    marks,
    members,
    patience,
    rekeying,
    skew,
)
from slipway.cluster.encryption import Key, Keys
from slipway.cluster.live import Living, Sight
from slipway.cluster.members import Membership
from slipway.cluster.rekeying import Holding
from slipway.errors import Degraded, DeployFailed, SlipwayError, Unreachable, UsageError
from slipway.events import Event, Events
from slipway.inventory import Inventory, load
from slipway.node import health, logins, reboot
from slipway.node.facts import Facts
from slipway.node.logins import Login
from slipway.outcome import NodeResult, Outcome
from slipway.result import CommandFailed, CommandResult, OddAnswer
from slipway.rollout import engine, living
from slipway.rollout.engine import Deployment, Options, deploy
from slipway.rollout.interruption import Interruption
from slipway.rollout.phases import Obstructed, Preparation
from slipway.secret import Secret
from slipway.ssh.keys import HostKeyRefused
from slipway.ssh.pool import for_each

ALL = ("w1", "cp1", "cp2", "cp3", "w2")
PLAIN = Options()
KEYS = Keys((Key("slipway", Secret(b"k" * 32)),))


class FakePool:
    """Calls the function with something that has a name."""

    def map(self, function, names, *, limit=50):
        return for_each(lambda name: function(SimpleNamespace(name=name)), names, limit=limit)


def facts(system: str, failed_units: tuple[str, ...] = (), has_logins: bool = False) -> Facts:
    return Facts("x", "boot", system, system, system, False, True, True, 5000, failed_units, has_logins=has_logins)


@dataclass(frozen=True)
class FakePreparation(Preparation):
    """Every node runs /old; `to_build` says what it shall run, `refused` and `not_copied` what goes wrong."""

    to_build: dict[str, str] = field(default_factory=dict)
    refused: dict[str, SlipwayError] = field(default_factory=dict)
    failed_units: dict[str, tuple[str, ...]] = field(default_factory=dict)
    has_logins: tuple[str, ...] = ()
    not_copied: dict[str, SlipwayError] = field(default_factory=dict)
    done: list[Any] = field(default_factory=list)

    def require_generated(self):
        self.done.append("generated")

    def preflight(self):
        self.done.append("preflight")
        return {name: self.refused.get(name) or self._facts(name) for name in self.names}

    def _facts(self, name: str) -> Facts:
        return facts("/old", self.failed_units.get(name, ()), name in self.has_logins)

    def build(self):
        self.done.append("build")
        return {name: self.to_build.get(name, "/old") for name in self.names}

    def copy(self, systems):
        self.done.append(("copy", sorted(systems)))
        return {name: error for name, error in self.not_copied.items() if name in systems}


class World:
    """One deploy with scripted outcomes."""

    def __init__(self, inventory: Inventory, monkeypatch: pytest.MonkeyPatch) -> None:
        self.inventory = inventory
        self.outcomes: dict[str, Outcome] = {}
        self.joined: dict[str, NodeResult] = {}
        self.not_ready: dict[str, str] = {}
        self.activated: list[str] = []
        self.now: set[str] = set()
        self.together: list[set[str]] = []
        self.cluster: list[str] = []
        self.immovable = ""
        self.told: list[Event] = []
        self.hit_during: str | None = None
        self.for_next_boot = False
        self.begins_with: set[str] = set()
        self.all_begun = threading.Barrier(2)
        self.lock = threading.Lock()
        self.interruption = Interruption(lambda: None, lambda _text: None)
        self.keys: list[tuple[str, int]] = []
        self.holding: dict[str, Holding] = {}
        """Whose key for Secrets was seen to, and how many nodes had been activated by then."""
        self.uses_a_key = False
        self.lives = False
        """Whether controllers have the data of a cluster."""
        self.outdated: set[str] = set()
        self.passwords: list[tuple[str, int]] = []
        """Who was given passwords of mirrors, and how many nodes had been activated by then; `-w1`: taken from."""
        self.no_room: set[str] = set()
        self.boots_other: tuple[str, ...] = ()
        monkeypatch.setattr(engine, "activate", self.activate)
        monkeypatch.setattr(logins, "place", self.place_passwords)
        monkeypatch.setattr(
            logins, "remove", lambda host: self.passwords.append((f"-{host.name}", len(self.activated)))
        )
        monkeypatch.setattr(encryption, "prepare", lambda host, _key: self.see_to_key(host))
        monkeypatch.setattr(encryption, "require_unused", self.require_unused)
        monkeypatch.setattr(bringup, "bring_up", self.bring_up)
        monkeypatch.setattr(kubeconfig, "of", lambda *_: "kubeconfig")
        monkeypatch.setattr(cilium, "ensure", lambda *_: self.cluster.append("network"))
        monkeypatch.setattr(comparison, "require", self.compare)
        monkeypatch.setattr(rekeying, "look_at", lambda *_, **__: self.holding)
        monkeypatch.setattr(marks, "apply", lambda *_: self.cluster.append("labels"))
        monkeypatch.setattr(members, "wait_ready", self.wait_ready)
        monkeypatch.setattr(members, "Nodes", lambda _secret: SimpleNamespace(not_ready=lambda *_: self.not_ready))
        monkeypatch.setattr(members, "started", lambda *_: {})
        monkeypatch.setattr(members, "look", self.look)
        monkeypatch.setattr(drain, "left_cordoned", lambda *_: ())
        monkeypatch.setattr(reboot, "parts", lambda *_: self.boots_other)

    def look(self, host):
        if not self.lives:
            return Membership()
        worker = host.name.startswith("w")
        return Membership(control_plane=not worker, kubelet=worker, outdated=host.name in self.outdated)

    def compare(self, *_what):
        if self.immovable:
            raise comparison.Immovable(self.immovable)
        return Sight()

    def see_to_key(self, host: SimpleNamespace) -> None:
        self.keys.append((host.name, len(self.activated)))

    def place_passwords(self, host: SimpleNamespace, _logins: Any) -> bool:
        if host.name in self.no_room:
            raise DeployFailed(f"{host.name}: No space left on device")
        self.passwords.append((host.name, len(self.activated)))
        return True

    def require_unused(self, _host):
        if self.uses_a_key:
            raise encryption.KeyMissing("cp1: encrypts its Secrets")

    def begun(self, host: Any, *, boot: bool) -> None:
        """For those who want to know the order."""

    def rejoining(self, chosen: Any) -> None:
        """The same."""

    def activate(self, host, system, _events, *, boot, **_more):
        with self.lock:
            self.begun(host, boot=boot)
            self.for_next_boot = boot
            self.activated.append(host.name)
            self.now.add(host.name)
            self.together.append(set(self.now))
        if host.name in self.begins_with:
            self.all_begun.wait(60)
        if self.hit_during == host.name:
            self.interruption.asked = True
        with self.lock:
            self.now.remove(host.name)
        outcome = self.outcomes.get(host.name, Outcome.OK)
        return NodeResult(host.name, outcome, "" if outcome.good else "why", 1.0, "", "/old", system)

    def bring_up(self, _inventory, _pool, _events, chosen, _key, _looked=None):
        self.rejoining(chosen)
        self.cluster.append("bring up")
        same = {name: NodeResult(name, Outcome.UNCHANGED) for name in chosen}
        return same | self.joined

    def wait_ready(self, _nodes, names, _events, *, deadline, since):
        self.cluster.append("ready " + " ".join(names))
        if self.not_ready:
            raise Degraded("not Ready after 1 s: w2", hint="slipway verify")

    def deploy(self, changed=ALL, chosen=ALL, options=PLAIN, **more) -> Deployment:
        self.preparation = FakePreparation(
            self.inventory,
            [self.inventory.host(name) for name in chosen],
            FakePool(),  # type: ignore[arg-type]
            Events(self.told.append),
            to_build=dict.fromkeys(changed, "/new"),
            **more,
        )
        return deploy(self.preparation, self.interruption, options)


@pytest.fixture
def world(inventory, monkeypatch):
    return World(inventory, monkeypatch)


def outcomes(deployment: Deployment) -> dict[str, str]:
    return {node.node: node.outcome.value for node in deployment.nodes}


def test_controllers_go_one_by_one_and_workers_last(world):
    deployment = world.deploy()
    assert world.activated[:3] == ["cp1", "cp2", "cp3"]
    assert sorted(world.activated[3:]) == ["w1", "w2"]
    assert all(len(group & {"cp1", "cp2", "cp3"}) <= 1 for group in world.together)
    assert outcomes(deployment) == dict.fromkeys(ALL, "ok")
    assert deployment.failure() is None


def test_each_controller_has_its_key_before_its_configuration_names_it(world):
    world.deploy(encryption_keys=KEYS)
    assert world.keys == [("cp1", 0), ("cp2", 1), ("cp3", 2)]


LOGINS = {"mirror.example.org": Login(Secret("ops"), Secret("geheim"))}


def test_who_pulls_images_has_the_passwords_of_mirrors_before_anything_changes(world):
    world.deploy(changed=("cp1", "w1"), logins=LOGINS)
    assert sorted(world.passwords) == [("cp3", 0), ("w1", 0), ("w2", 0)]
    told = [event.words for event in world.told if event.phase == "passwords"]
    assert told == ["3 nodes with new ones"]
    assert "geheim" not in repr(world.told)


def test_a_node_that_cannot_have_them_keeps_all_as_they_are(world):
    world.no_room = {"w2"}
    result = world.deploy(logins=LOGINS)
    assert world.activated == []
    assert outcomes(result)["w2"] != "skipped"
    assert outcomes(result)["w1"] == "skipped"
    assert result.failure().exit_code == 6


def test_passwords_that_no_mirror_asks_for_any_more_are_taken_away(world):
    world.deploy(changed=(), has_logins=("w1",))
    assert world.passwords == [("-w1", 0)]


def test_control_without_credentials_nobody_is_asked(world):
    world.deploy()
    assert world.passwords == []


def test_keys_by_which_secrets_could_not_be_read_stop_a_deploy_before_it_changes_anything(world):
    world.holding = {"cp1": Holding(("slipway:another",), writes=True, loaded=True)}
    with pytest.raises(rekeying.UnsafeKeys, match="could not be read"):
        world.deploy(encryption_keys=KEYS)
    assert (world.activated, world.keys, world.cluster) == ([], [], [])
    world.holding = {"cp1": Holding(KEYS.marks, writes=True, loaded=True)}
    assert set(outcomes(world.deploy(encryption_keys=KEYS)).values()) == {"ok"}


def test_no_configuration_takes_away_the_key_that_secrets_are_written_with(world):
    world.uses_a_key = True
    deployment = world.deploy()
    assert outcomes(deployment)["cp1"] == "blocked"
    assert world.activated == []


def test_phases_come_one_after_the_other_for_all_nodes(world):
    world.deploy(changed=("w1", "cp1"))
    assert world.preparation.done == ["generated", "preflight", "build", ("copy", ["cp1", "w1"])]
    assert world.cluster == ["bring up", "network", "labels", "ready w1 cp3 w2"]


def test_the_way_back_is_written_down_before_anything_changes(world):
    world.deploy(changed=("w1", "cp1"))
    (place,) = [at for at, event in enumerate(world.told) if event.phase == "systems"]
    assert world.told[place].data["old"] == {"w1": "/old", "cp1": "/old"}
    assert world.told[place].data["new"] == {"w1": "/new", "cp1": "/new"}
    assert not [event for event in world.told[:place] if event.phase in ("drain", "activate", "wave", "join")]


def test_what_a_living_cluster_cannot_become_is_refused_before_anything_is_built(world):
    world.immovable = "cluster.domain: the cluster has a, the inventory b"
    with pytest.raises(comparison.Immovable, match=r"cluster\.domain"):
        world.deploy()
    assert world.preparation.done == ["generated", "preflight"]
    assert world.activated == []


def test_nothing_changed_says_so_for_every_node(world):
    deployment = world.deploy(changed=())
    assert world.activated == []
    assert outcomes(deployment) == dict.fromkeys(ALL, "unchanged")
    assert world.preparation.done[-1] == ("copy", [])
    assert deployment.failure() is None


def test_only_what_changed_is_activated(world):
    deployment = world.deploy(changed=("cp2", "w2"))
    assert world.activated == ["cp2", "w2"]
    assert outcomes(deployment) == {"w1": "unchanged", "cp1": "unchanged", "cp2": "ok", "cp3": "unchanged", "w2": "ok"}


def test_an_unreachable_node_keeps_all_others_untouched(world):
    deployment = world.deploy(refused={"w2": Unreachable("w2: no answer")})
    assert world.activated == []
    assert world.preparation.done == ["generated", "preflight"]
    assert outcomes(deployment) == {**dict.fromkeys(ALL, "skipped"), "w2": "unreachable"}
    assert deployment.nodes[0].reason == "nothing was touched, because of w2"
    failure = deployment.failure()
    assert failure and failure.exit_code == 5 and "unreachable: w2" in str(failure)


def test_a_machine_with_another_host_key_is_to_be_trusted_and_not_deployed_again(world):
    deployment = world.deploy(refused={"w2": HostKeyRefused("w2: the machine shows another host key")})
    failure = deployment.failure()
    assert failure and (failure.exit_code, failure.hint) == (5, "slipway trust w2")


def test_a_node_that_is_another_one_is_blocked(world):
    deployment = world.deploy(refused={"w2": Obstructed("it is called w9")})
    assert outcomes(deployment)["w2"] == "blocked"
    failure = deployment.failure()
    assert failure and failure.exit_code == 6


def test_a_failed_copy_keeps_all_nodes_from_activation(world):
    deployment = world.deploy(not_copied={"w1": Obstructed("no room")})
    assert world.activated == []
    assert outcomes(deployment) == {**dict.fromkeys(ALL, "skipped"), "w1": "blocked"}
    assert "copied and not activated, because of w1" in deployment.nodes[1].reason


def test_a_node_that_goes_away_while_it_is_copied_to_is_left_out_where_that_is_wanted(world):
    lost = {"w1": Unreachable("w1: no answer")}
    deployment = world.deploy(not_copied=lost, options=Options(keep_going=True))
    assert outcomes(deployment) == {**dict.fromkeys(ALL, "ok"), "w1": "unreachable"}
    assert "w1" not in world.activated
    failure = deployment.failure()
    assert failure and failure.exit_code == 5


def test_control_one_that_answers_and_cannot_take_it_stops_all(world):
    deployment = world.deploy(not_copied={"w1": Obstructed("no room")}, options=Options(keep_going=True))
    assert world.activated == [] and outcomes(deployment)["cp1"] == "skipped"


@pytest.mark.parametrize("outcome", ["rolled-back", "activation-failed", "blocked", "unreachable", "degraded"])
def test_after_a_failed_controller_the_later_waves_wait(world, outcome):
    world.outcomes = {"cp2": Outcome(outcome)}
    deployment = world.deploy()
    assert world.activated == ["cp1", "cp2"]
    assert outcomes(deployment) == {"w1": "skipped", "cp1": "ok", "cp2": outcome, "cp3": "skipped", "w2": "skipped"}
    assert deployment.nodes[0].reason == f"waits for cp2 ({outcome})"
    assert world.cluster == []


def test_a_node_that_needs_a_reboot_serves_on_and_holds_nobody_up(world):
    world.outcomes = {"cp1": Outcome.REBOOT_REQUIRED}
    deployment = world.deploy()
    assert len(world.activated) == 5
    failure = deployment.failure()
    assert failure and failure.exit_code == 7


def test_a_failed_canary_keeps_all_other_workers_as_they_are(world):
    world.outcomes = {"w1": Outcome.ROLLED_BACK}
    deployment = world.deploy()
    assert outcomes(deployment) == {**dict.fromkeys(ALL, "ok"), "w1": "rolled-back", "w2": "skipped"}
    assert deployment.nodes[-1].reason == "waits for w1 (rolled-back)"
    failure = deployment.failure()
    assert failure and failure.exit_code == 6 and failure.hint == "slipway deploy w1 w2"


def test_siblings_of_a_failed_worker_that_have_begun_finish(tmp_path, monkeypatch):
    world, names = of_twenty_workers(tmp_path, monkeypatch, "size: 2, canary: 0")
    world.outcomes = {"w01": Outcome.ROLLED_BACK}
    world.begins_with = {"w01", "w02"}
    deployment = world.deploy(changed=names, chosen=names)
    assert outcomes(deployment) == {**dict.fromkeys(names, "skipped"), "w01": "rolled-back", "w02": "ok"}
    assert world.cluster == []


@pytest.mark.parametrize(("failed", "begun"), [(1, 20), (2, 20), (3, 10)])
def test_so_many_of_a_wave_may_fail_as_the_inventory_says(tmp_path, monkeypatch, failed, begun):
    world, names = of_twenty_workers(tmp_path, monkeypatch, "size: 10, canary: 0, maxFailures: 2")
    world.outcomes = dict.fromkeys(names[10 - failed : 10], Outcome.ROLLED_BACK)
    deployment = world.deploy(changed=names, chosen=names)
    assert len(world.activated) == begun
    failure = deployment.failure()
    assert failure and failure.exit_code == 6


def of_twenty_workers(tmp_path, monkeypatch, settings="size: 100%, canary: 0") -> tuple[World, tuple[str, ...]]:
    """A fleet of which two are activated at a time."""
    names = tuple(f"w{n:02}" for n in range(1, 21))
    rows = "".join(f"  {name}: {{address: 10.0.0.{30 + n}, role: worker}}\n" for n, name in enumerate(names))
    (tmp_path / "fleet.yaml").write_text(
        INVENTORY.split("  w1:")[0].replace("deploy: {", f"deploy: {{waves: {{{settings}}}, ")
        + "  cp1: {address: 10.0.0.11, role: controller}\n"
        + rows
    )
    return World(load(tmp_path / "fleet.yaml"), monkeypatch), names


@pytest.mark.parametrize("outcome", ["rolled-back", "activation-failed", "unreachable", "degraded"])
def test_after_a_failed_worker_those_that_have_not_begun_do_not_begin(tmp_path, monkeypatch, outcome):
    world, names = of_twenty_workers(tmp_path, monkeypatch)
    world.outcomes = dict.fromkeys(names, Outcome(outcome))
    deployment = world.deploy(changed=names, chosen=names)
    assert len(world.activated) <= 2
    assert outcomes(deployment)["w20"] == "skipped"
    assert f"({outcome})" in deployment.nodes[-1].reason


def test_an_interruption_keeps_those_of_its_wave_that_have_not_begun(tmp_path, monkeypatch):
    world, names = of_twenty_workers(tmp_path, monkeypatch)
    world.hit_during = "w01"
    deployment = world.deploy(changed=names, chosen=names)
    assert len(world.activated) <= 3
    failure = deployment.failure()
    assert failure and failure.exit_code == 130 and "as before: " in str(failure)


def test_an_interruption_does_not_hide_what_failed_before_it(world):
    world.outcomes = {"cp1": Outcome.ACTIVATION_FAILED}
    world.hit_during = "cp1"
    failure = world.deploy().failure()
    assert failure and failure.exit_code == 6
    assert str(failure) == "interrupted; failed: cp1 (activation-failed); as before: w1 cp2 cp3 w2"


def test_a_degraded_node_stays_degraded_until_its_units_are_mended(world):
    deployment = world.deploy(changed=(), failed_units={"w2": ("backup.service",)})
    (degraded,) = (node for node in deployment.nodes if node.node == "w2")
    assert (degraded.outcome, degraded.reason) == (Outcome.DEGRADED, "units failed: backup.service")
    failure = deployment.failure()
    assert failure and failure.exit_code == 7


def test_a_node_that_was_degraded_before_holds_nobody_up(world):
    deployment = world.deploy(changed=("cp1",), failed_units={"w2": ("backup.service",)})
    assert world.activated == ["cp1"]
    assert world.cluster[0] == "bring up"
    assert outcomes(deployment)["cp1"] == "ok"


def test_systems_can_be_set_for_the_next_boot_alone(world):
    world.outcomes = dict.fromkeys(ALL, Outcome.REBOOT_REQUIRED)
    deployment = world.deploy(options=Options(boot=True))
    assert world.for_next_boot
    assert world.cluster == []
    failure = deployment.failure()
    assert failure and failure.exit_code == 7


def test_a_part_of_the_fleet_is_reported_alone(world):
    deployment = world.deploy(chosen=("w2",))
    assert outcomes(deployment) == {"w2": "ok"}
    assert world.cluster == ["bring up", "network", "labels", "ready w2"]


def test_what_joining_changed_is_in_the_result(world):
    world.joined = {"w2": NodeResult("w2", Outcome.OK, "joined the cluster", duration=2.0)}
    deployment = world.deploy(changed=())
    (joined,) = (node for node in deployment.nodes if node.node == "w2")
    assert (joined.outcome, joined.reason, joined.new_system) == (Outcome.OK, "joined the cluster", "/old")


def test_a_node_that_does_not_join_is_degraded_and_the_network_waits(world):
    world.joined = {"w2": NodeResult("w2", Outcome.DEGRADED, "not registered", log="kubelet: no")}
    deployment = world.deploy()
    (missing,) = (node for node in deployment.nodes if node.node == "w2")
    assert (missing.outcome, missing.reason, missing.log) == (Outcome.DEGRADED, "not registered", "kubelet: no")
    assert missing.new_system == "/new"
    assert world.cluster == ["bring up"]
    failure = deployment.failure()
    assert failure and failure.exit_code == 7


def test_a_node_that_does_not_become_ready_is_degraded(world):
    world.not_ready = {"w2": "no CNI"}
    deployment = world.deploy()
    assert outcomes(deployment)["w2"] == "degraded"
    failure = deployment.failure()
    assert failure and failure.exit_code == 7 and "not Ready after 1 s" in str(failure)


def test_a_tool_that_fails_for_the_cluster_is_a_failed_deploy(world, monkeypatch):
    def fails(*_):
        raise CommandFailed(CommandResult(("helm", "upgrade"), "localhost", 1, "", "release: already exists", 1.0))

    monkeypatch.setattr(cilium, "ensure", fails)
    deployment = world.deploy()
    failure = deployment.failure()
    assert failure and failure.exit_code == 6 and "already exists" in str(failure)
    assert failure.hint and "slipway deploy" in failure.hint
    assert outcomes(deployment) == dict.fromkeys(ALL, "ok")


def test_an_odd_answer_of_the_api_server_is_a_failed_deploy(world, monkeypatch):
    def fails(*_):
        raise OddAnswer("the API server", "kubectl get nodes", None, "JSONDecodeError")

    monkeypatch.setattr(marks, "apply", fails)
    failure = world.deploy().failure()
    assert failure and failure.exit_code == 6 and "the answer makes no sense" in str(failure)


def test_what_nobody_foresaw_about_the_cluster_hides_no_result(world, monkeypatch):
    def fails(*_):
        raise KeyError("what")

    monkeypatch.setattr(cilium, "ensure", fails)
    deployment = world.deploy()
    failure = deployment.failure()
    assert failure and failure.exit_code == 1 and "the cluster: KeyError in test_engine.py" in str(failure)
    assert outcomes(deployment) == dict.fromkeys(ALL, "ok")


def test_what_nobody_foresaw_after_a_wave_is_that_waves_failure(world, monkeypatch):
    def fails(*_):
        raise KeyError("what")

    world.lives = True
    monkeypatch.setattr(living.Living, "may_change", lambda *_: None)
    monkeypatch.setattr(living.Living, "is_disturbed", lambda *_: False)
    monkeypatch.setattr(living.Living, "rejoin", fails)
    deployment = world.deploy()
    assert outcomes(deployment) == {**dict.fromkeys(ALL, "skipped"), "cp1": "degraded"}
    (first,) = (node for node in deployment.nodes if node.node == "cp1")
    assert first.reason.startswith("cp1: KeyError in test_engine.py")


def test_an_api_server_that_is_not_reached_at_once_ends_no_deploy(world, monkeypatch):
    """Seen with k0s: all controllers had just joined, and the first connection got no answer."""
    monkeypatch.setattr(patience, "INTERVAL", 0.01)
    said = "Error: kubernetes cluster unreachable: net/http: TLS handshake timeout"
    lost = [CommandFailed(CommandResult(("helm", "get"), "localhost", 1, "", said, 1.0)) for _ in range(2)]

    def reached_later(*_):
        if lost:
            raise lost.pop()
        world.cluster.append("network")

    monkeypatch.setattr(cilium, "ensure", reached_later)
    assert world.deploy().failure() is None
    assert "network" in world.cluster


def test_an_interruption_lets_the_wave_end_and_no_other_begin(world):
    world.hit_during = "cp2"
    deployment = world.deploy()
    assert world.activated == ["cp1", "cp2"]
    assert outcomes(deployment) == {"w1": "skipped", "cp1": "ok", "cp2": "ok", "cp3": "skipped", "w2": "skipped"}
    failure = deployment.failure()
    assert failure and failure.exit_code == 130
    assert str(failure) == "interrupted; activated, not yet joined: cp1 cp2; as before: w1 cp3 w2"
    assert deployment.nodes[1].reason == "interrupted between its activation and its join"


def test_what_is_finished_is_told_as_finished_when_it_is_interrupted(world, monkeypatch):
    """In a cluster that lives each wave is brought to its end; nodes that need nothing are at theirs."""
    monkeypatch.setattr(living.Living, "may_change", lambda *_: None)
    monkeypatch.setattr(living.Living, "is_disturbed", lambda *_: False)
    monkeypatch.setattr(living.Living, "not_well", lambda *_: {})
    world.lives, world.hit_during = True, "cp2"
    failure = world.deploy(changed=("cp1", "cp2", "w1")).failure()
    assert str(failure) == "interrupted; finished: cp1 cp3 w2; activated, not yet joined: cp2; as before: w1"


@pytest.mark.parametrize(
    ("found", "code"),
    [
        (("ok", "unchanged"), None),
        (("ok", "unreachable"), 5),
        (("unreachable", "rolled-back"), 6),
        (("degraded", "unreachable"), 5),
        (("degraded", "ok"), 7),
        (("reboot-required",), 7),
        (("blocked", "degraded"), 6),
        (("activation-failed", "skipped"), 6),
        (("degraded", "skipped"), 7),
    ],
)
def test_the_gravest_outcome_gives_the_exit_code(found, code):
    failure = Deployment(tuple(NodeResult(str(n), Outcome(word)) for n, word in enumerate(found))).failure()
    assert (failure.exit_code if failure else None) == code


def test_what_a_node_needs_is_told_before_the_command_that_goes_on(world):
    """It was lost: whoever typed the command once more met the same refusal."""
    lacking = DeployFailed("w1: no room", hint="nix-collect-garbage on w1")
    deployment = world.deploy(not_copied={"w1": lacking, "w2": lacking})
    failure = deployment.failure()
    assert failure and failure.hint == "nix-collect-garbage on w1; then slipway deploy"
    assert deployment.nodes[0].to_json()["hint"] == "nix-collect-garbage on w1"
    assert deployment.nodes[1].to_json()["hint"] is None


def test_what_joining_needs_is_told_as_well(world):
    hint = "bring cp3 back first, or give its place up: slipway node replace cp3"
    world.joined = {"cp1": NodeResult("cp1", Outcome.BLOCKED, "no quorum", hint=hint)}
    failure = world.deploy(changed=()).failure()
    assert failure and failure.hint == f"{hint}; then slipway deploy cp1"


def test_a_node_that_names_the_command_itself_is_not_told_it_twice(world):
    hint = "make room, or without a drain: slipway deploy --no-drain w1"
    world.joined = {"w1": NodeResult("w1", Outcome.BLOCKED, "stuck", hint=hint)}
    failure = world.deploy(changed=()).failure()
    assert failure and failure.hint == hint


def test_the_next_command_of_a_rollback_takes_no_node_forward(world):
    """It was `slipway deploy w1`, which brings back what was to go."""
    world.outcomes = {"w1": Outcome.ROLLED_BACK}
    failure = world.deploy(options=Options(taken_back="20260202T000000Z-b")).failure()
    assert failure and failure.hint == "slipway rollback --run 20260202T000000Z-b w1 w2"


@pytest.mark.parametrize(
    ("boot", "hint"), [(True, "slipway reboot w1 w2"), (False, "slipway deploy --reboot auto w1 w2")]
)
def test_the_next_command_of_what_waits_for_a_boot_is_a_reboot(world, boot, hint):
    world.outcomes = dict.fromkeys(("w1", "w2"), Outcome.REBOOT_REQUIRED)
    failure = world.deploy(options=Options(boot=boot)).failure()
    assert failure and (failure.exit_code, failure.hint) == (7, hint)


def test_an_interrupted_run_is_gone_on_with(world):
    world.hit_during = "cp2"
    failure = world.deploy().failure()
    assert failure and failure.hint == "slipway resume"


def test_one_that_failed_as_well_is_done_anew(world):
    world.hit_during, world.outcomes = "cp2", {"cp2": Outcome.ROLLED_BACK}
    failure = world.deploy(chosen=("w1", "cp1", "cp2", "w2")).failure()
    assert failure and (failure.exit_code, failure.hint) == (6, "slipway deploy cp2 w1 w2")


def test_a_pack_that_does_not_exist_is_told_before_anything_changes(world, tmp_path):
    text = INVENTORY.replace("deploy: {", "deploy: {waves: {verify: [k8s]}, ")
    (tmp_path / "inventory.yaml").write_text(text)
    world.inventory = load(tmp_path / "inventory.yaml")
    with pytest.raises(UsageError, match="k8s"):
        world.deploy()
    assert world.preparation.done == ["generated"]


def test_a_leap_of_k0s_is_refused_before_anything_is_built(world, monkeypatch):
    monkeypatch.setattr(comparison, "require", lambda *_: Sight(Living()))
    monkeypatch.setattr(skew, "running", lambda *_: skew.Running({"cp1": 34}, {}))
    with pytest.raises(skew.Leap, match="cp1 runs Kubernetes"):
        world.deploy()
    assert "build" not in world.preparation.done


def test_the_health_check_of_a_host_is_part_of_its_confirmation(world, tmp_path, monkeypatch):
    text = INVENTORY.replace("role: worker}", "role: worker, deploy: {healthCheck: {command: is-well}}}")
    (tmp_path / "inventory.yaml").write_text(text)
    asked: list[str] = []

    def ask(fresh, check):
        asked.append(f"{fresh} {check.command}")
        return ""

    monkeypatch.setattr(health, "problem", ask)
    world.inventory = load(tmp_path / "inventory.yaml")
    plain = world.activate

    def activate(host, system, events, *, problem, **more):
        assert problem(f"fresh {host.name}") == ""
        return plain(host, system, events, **more)

    monkeypatch.setattr(engine, "activate", activate)
    world.deploy(changed=("w1", "cp1"))
    assert asked == ["fresh w1 is-well"]


class FakeLiving:
    """A cluster in which nothing needs to be asked."""

    outdated: frozenset[str] = frozenset()

    def __init__(self, *_: object) -> None:
        pass

    def may_change(self, _name):
        return None

    def is_disturbed(self, _host, _system):
        return False

    def rejoin(self, names):
        return {name: NodeResult(name, Outcome.UNCHANGED) for name in names}

    def not_well(self, _names):
        return {}

    def release(self, _names):
        return ()


@pytest.fixture
def rising(world, monkeypatch):
    """A cluster that lives and goes to another minor release; what was kept of it, and when."""
    kept: list[int] = []
    monkeypatch.setattr(engine, "Living", FakeLiving)
    monkeypatch.setattr(skew, "rises", lambda _inventory, _pool, changed: 36 if "cp1" in changed else 0)
    monkeypatch.setattr(backup, "make", lambda *_: None)
    world.lives = True

    def keep(_archive):
        kept.append(len(world.activated))
        return Path("backup.age")

    return keep, kept


def test_the_control_plane_is_backed_up_before_its_k0s_goes_to_another_minor_release(world, rising):
    keep, kept = rising
    assert set(outcomes(world.deploy(keep=keep)).values()) == {"ok"}
    assert kept == [0]
    assert "backup.age, before k0s goes to 1.36" in [event.data.get("text") for event in world.told]


def test_without_a_backup_nothing_is_changed(world, rising, monkeypatch):
    def fail(*_):
        raise SlipwayError("no controller can be backed up")

    monkeypatch.setattr(backup, "make", fail)
    deployment = world.deploy(keep=rising[0])
    assert world.activated == [] and set(outcomes(deployment).values()) == {"skipped"}
    assert "nothing was changed: no backup" in str(deployment.failure())
    assert "backupBeforeUpgrade" in str(deployment.failure().hint)


@pytest.mark.parametrize("why", ["the same release", "the setting", "the next boot", "no place for one"])
def test_control_no_backup_is_made_where_none_is_wanted(world, rising, monkeypatch, tmp_path, why):
    keep, kept = rising
    if why == "the same release":
        monkeypatch.setattr(skew, "rises", lambda *_: 0)
    if why == "the setting":
        (tmp_path / "inventory.yaml").write_text(
            INVENTORY.replace("deploy: {", "deploy: {backupBeforeUpgrade: false, ")
        )
        world.inventory = load(tmp_path / "inventory.yaml")
    options = Options(boot=True) if why == "the next boot" else PLAIN
    world.deploy(options=options, keep=None if why == "no place for one" else keep)
    assert kept == [] and len(world.activated) == 5


@pytest.mark.parametrize(("whole", "typed"), [(True, "slipway deploy"), (False, "slipway deploy w1")])
def test_who_named_some_nodes_is_not_told_to_deploy_all(whole, typed):
    failure = Deployment((NodeResult("w1", Outcome.UNREACHABLE),), whole=whole).failure()
    assert failure and failure.hint == typed
