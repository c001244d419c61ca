"""A plan tells all that a deploy would do, and a deploy then does what the plan told. Machines are fakes."""

from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from tests.unit.cluster.credentials import KUBECONFIG
from tests.unit.cluster.fakes import FakeCluster, FakePool

from slipway.cluster import (
    bringup,
    cilium,
    comparison,
    drain,
    encryption,
    kubeconfig,
    live,
    marks,
    members,
    rekeying,
    skew,
    token,
)
from slipway.cluster.encryption import Key, Keys
from slipway.cluster.live import LiveNode, Living, Sight
from slipway.cluster.rekeying import Holding, UnsafeKeys
from slipway.cluster.skew import Leap
from slipway.errors import DeployFailed, SlipwayError, Unreachable
from slipway.events import Events
from slipway.node import contents, diff, logins, reboot
from slipway.node.contents import Contents
from slipway.node.facts import Facts
from slipway.node.logins import Login
from slipway.outcome import NodeResult, Outcome
from slipway.result import CommandResult
from slipway.rollout import engine, living, revision
from slipway.rollout import plan as planning
from slipway.rollout.interruption import Interruption
from slipway.rollout.phases import Preparation
from slipway.rollout.plan import NodePlan, Plan, plan
from slipway.rollout.revision import Older
from slipway.secret import Secret
from slipway.tools import helm, nix
from slipway.tools.nix import CacheKeys

KEYS = Keys((Key("slipway", Secret(b"k" * 32)),))
ALL = ("w1", "cp1", "cp2", "cp3", "w2")
K0S = f"/nix/store/{'b' * 32}-k0s-1.36.3"
KERNEL = "/nix/store/k-linux-6.12/bzImage"


@dataclass(frozen=True)
class FakePreparation(Preparation):
    systems: dict[str, str] = field(default_factory=dict)
    running: dict[str, str] = field(default_factory=dict)
    refused: dict[str, SlipwayError] = field(default_factory=dict)
    copied: list[str] = field(default_factory=list)
    filled: list[CacheKeys | None] = field(default_factory=list)
    failed: dict[str, tuple[str, ...]] = field(default_factory=dict)
    has_logins: tuple[str, ...] = ()

    def require_generated(self):
        pass

    def preflight(self):
        return {name: self.refused.get(name) or self._facts(name) for name in self.names}

    def _facts(self, name: str) -> Facts:
        return facts(self.running[name], *self.failed.get(name, ()), has_logins=name in self.has_logins)

    def build(self):
        return {name: self.systems[name] for name in self.names}

    def copy(self, systems):
        self.copied.extend(systems)
        self.filled.append(self.cache_keys)
        return {}


def facts(system: str, *failed: str, has_logins: bool = False) -> Facts:
    return Facts("x", "boot", system, system, system, False, True, True, 5000, failed, has_logins=has_logins)


class World:
    """Five machines that are members of a cluster; `change` gives one a new system, `started` how k0s runs then."""

    def __init__(self, inventory, monkeypatch, tmp_path) -> None:
        self.inventory = inventory
        self.folder = tmp_path
        self.cluster = FakeCluster()
        self.pool: Any = FakePool(inventory, self.cluster)
        self.running = dict.fromkeys(ALL, "/nix/store/a-old")
        self.systems = dict(self.running)
        self.contents: dict[str, Contents] = {}
        self.said: dict[str, str] = {}
        self.asked: list[str] = []
        self.activated: list[str] = []
        self.release: helm.Release | None = None
        self.living = Sight(Living(), KUBECONFIG)
        for machine in self.pool.machines.values():
            machine.state = "active"
            runs = inventory.host(machine.name).runs_workloads
            machine.data, machine.kubelet = machine.controller, runs
            machine.ca = "ca"
            self.cluster.etcd |= {machine.name: f"https://{machine.address}:2380"} if machine.controller else {}
            self.cluster.nodes |= {machine.name: True} if runs else {}
        monkeypatch.setattr(live, "look", lambda *_: self.living)
        monkeypatch.setattr(helm, "get", lambda *_: self.release)
        monkeypatch.setattr(cilium, "difference", lambda _inventory, release: "" if release else "not installed")
        monkeypatch.setattr(cilium, "owned", lambda _secret: False)
        monkeypatch.setattr(contents, "read", lambda host, _needed: self.contents[host.name])
        monkeypatch.setattr(diff, "dry_activate", self.dry_activate)
        monkeypatch.setattr(nix, "graph", self.graph)
        self.release = helm.Release("cilium", "cilium", "1", 1, "deployed", {})

    def dry_activate(self, host, _system):
        self.asked.append(host.name)
        return CommandResult(
            (), host.name, 0, "", self.said.get(host.name, "would activate the configuration...\n"), 0.0
        )

    def graph(self, paths, *, timeout):
        sizes = dict.fromkeys([*paths, K0S], 1000)
        return nix.Graph({path: (K0S,) for path in paths} | {K0S: ()}, sizes)

    def change(self, *names: str, starts: str = "new", lacks: bool = True, kernel: str = "") -> None:
        """A new system whose unit starts k0s with the file `starts`; the running one was started with `old`."""
        for name in names:
            system = self.folder / f"b-system-{name}"
            unit = system / planning.UNIT
            unit.parent.mkdir(parents=True, exist_ok=True)
            file = self.folder / starts / "k0s.yaml"
            file.parent.mkdir(exist_ok=True)
            file.write_text(f"spec: {{kind: {starts}}}\n")
            unit.write_text(f'[Service]\nEnvironment="SLIPWAY_STARTED_WITH={file}"\n')
            if kernel:
                (system / "kernel").write_text(kernel)
            self.systems[name] = str(system)
            old = str(self.folder / "old" / "k0s.yaml")
            missing = {str(system), K0S} if lacks else set()
            has = frozenset({f"/nix/store/{'a' * 32}-k0s-1.35.3"})
            self.contents[name] = Contents(has, frozenset(missing), {"kernel": KERNEL}, {old: "spec: {kind: old}\n"})

    def preparation(self, names=ALL, **more: Any) -> FakePreparation:
        hosts = [self.inventory.host(name) for name in names]
        return FakePreparation(
            self.inventory, hosts, self.pool, Events(), systems=self.systems, running=self.running, **more
        )

    def plan(self, *names: str, copy: bool = True) -> Plan:
        self.used = self.preparation(names or ALL)
        return plan(self.used, copy=copy)


@pytest.fixture
def world(inventory, monkeypatch, tmp_path):
    return World(inventory, monkeypatch, tmp_path)


def of(found: Plan, name: str) -> NodePlan:
    return next(node for node in found.nodes if node.node == name)


def test_nothing_is_pending_where_all_runs_and_nobody_is_asked_more(world):
    found = world.plan()
    assert not found.pending
    assert (found.waves, found.cluster, world.used.copied, world.asked) == ((), (), [], [])


def test_units_that_have_failed_already_are_told_and_leave_nothing_pending(world):
    found = plan(world.preparation(failed={"w1": ("a.service",)}))
    assert (of(found, "w1").failed_units, of(found, "w2").failed_units) == (("a.service",), ())
    assert not found.pending


def test_versions_configuration_and_restarts_of_k0s_are_told(world):
    world.change("cp2")
    node = of(world.plan(), "cp2")
    assert node.packages == ("k0s 1.35.3 -> 1.36.3",)
    assert node.rebuilt == ("+b-system-NODE",)
    assert node.k0s == ("spec.kind: old -> new",)
    assert node.slipway == ("restarts k0s",)
    assert (node.wave, node.copy_paths, node.copy_bytes) == ("controller cp2", 2, 2000)
    assert not node.drain


def test_passwords_of_mirrors_that_differ_are_told_without_a_new_system(world, monkeypatch):
    monkeypatch.setattr(logins, "lacks", lambda host, _logins: host.name == "w1")
    login = {"mirror.example.org": Login(Secret("ops"), Secret("geheim"))}
    found = plan(world.preparation(logins=login, has_logins=("cp1", "w1", "w2")))
    steps = {node.node: node.slipway for node in found.nodes if node.slipway}
    assert steps == {
        "w1": ("gets passwords of registry mirrors",),
        "cp1": ("loses passwords of registry mirrors",),
    }
    assert found.pending


def test_a_worker_whose_k0s_restarts_is_drained(world):
    world.change("w1", "w2", starts="old")
    world.change("w1")
    found = world.plan()
    assert of(found, "w1").drain and of(found, "w1").slipway == ("restarts k0s",)
    assert not of(found, "w2").drain and of(found, "w2").slipway == ()


def test_one_of_those_that_change_alike_is_copied_to_and_asked_for_all(world):
    world.change("w1", "w2")
    world.said["w1"] = "would activate the configuration...\nwould restart the following units: a.service\n"
    found = world.plan()
    assert (world.used.copied, world.asked) == (["w1"], ["w1"])
    assert [(node.asked, node.activation) for node in found.nodes if node.changed] == [
        ("w1", ("would restart the following units: a.service",))
    ] * 2
    assert [[node.node for node in group] for group in found.groups] == [["w1", "w2"], ["cp1", "cp2", "cp3"]]


def test_who_has_the_system_already_is_asked_first(world):
    world.change("w1")
    world.change("w2", lacks=False)
    world.plan("w1", "w2")
    assert (world.used.copied, world.asked) == ([], ["w2"])


def test_what_is_copied_for_a_plan_goes_to_no_binary_cache(world):
    world.change("w1")
    preparation = world.preparation(cache_keys=CacheKeys(Secret("cache-1:the key")))
    plan(preparation)
    assert (preparation.copied, preparation.filled) == (["w1"], [None])


def test_nothing_is_copied_where_nothing_may_be(world):
    world.change("w1", "w2")
    found = world.plan(copy=False)
    assert (world.used.copied, world.asked) == ([], [])
    assert of(found, "w1").asked == ""


def test_a_new_kernel_wants_a_reboot(world):
    world.change("w1", kernel="new")
    assert of(world.plan(), "w1").reboot == ("kernel",)


def test_a_k0s_that_runs_on_an_earlier_configuration_is_pending_without_a_new_system(world):
    world.pool.machines["cp1"].outdated = True
    found = world.plan()
    assert of(found, "cp1").slipway == ("restarts k0s",)
    assert found.pending and not of(found, "cp1").changed


def test_machines_that_are_no_members_join_and_the_first_controller_founds(world):
    for machine in world.pool.machines.values():
        machine.state, machine.data, machine.kubelet = "inactive", False, False
    world.living = Sight()
    found = world.plan()
    assert of(found, "cp1").slipway == ("founds the cluster",)
    assert of(found, "cp2").slipway == ("joins the cluster as a controller",)
    assert of(found, "w1").slipway == ("joins the cluster as a worker",)
    assert found.cluster and found.cluster[0].startswith("installs the Helm release cilium")
    assert found.pending and found.waves == ()


def test_labels_that_would_be_applied_are_told(world, monkeypatch):
    change = marks.Change("w1", {"a": "b"}, None, None, ("label a=b",))
    monkeypatch.setattr(marks, "changes", lambda *_: {"w1": change})
    assert of(world.plan(), "w1").slipway == ("label a=b",)


def test_what_a_run_that_did_not_end_has_left_is_told(world):
    """A deploy clears it, so it is no deploy with nothing to do."""
    world.pool.machines["w2"].files[token.TOKEN_FILE] = b"a token"
    world.pool.machines["cp1"].files[token.ISSUED + "abc123"] = b"w1"
    mark = LiveNode("w1", annotations={drain.OURS: "true"})
    controllers = {"cp1": members.look(world.pool.host("cp1"))}
    world.living = Sight(Living(nodes={"w1": mark}), KUBECONFIG, controllers=controllers)
    found = world.plan()
    assert of(found, "w1").slipway == ("lets pods in again, which an earlier run kept out",)
    assert of(found, "w2").slipway == ("clears a join token or a permission that was left on the machine",)
    assert found.cluster == ("takes back join tokens of a run that did not end",)
    assert world.plan("w2").cluster == (), "whose join it was is not chosen"


def holding(world, monkeypatch, **held: Holding) -> Plan:
    monkeypatch.setattr(
        rekeying, "look_at", lambda *_, **__: {n: held.get(n, Holding()) for n in ("cp1", "cp2", "cp3")}
    )
    monkeypatch.setattr(rekeying, "check", lambda *_: None)
    return plan(world.preparation(encryption_keys=KEYS))


def test_other_keys_for_secrets_are_told_without_a_new_system(world, monkeypatch):
    """As `slipway encryption rotate` leaves it: the next deploy brings them."""
    now, before = Holding(KEYS.marks, writes=True), Holding(("old:1",), writes=True)
    found = holding(world, monkeypatch, cp1=before, cp2=now, cp3=replace(now, writes=False))
    told = {node.node: node.slipway for node in found.nodes if node.pending}
    assert told == dict.fromkeys(("cp1", "cp3"), ("gets the keys that Secrets are encrypted with",))
    assert found.cluster == ()
    same = holding(world, monkeypatch, **dict.fromkeys(("cp1", "cp2", "cp3"), now))
    assert not same.pending


def test_a_cluster_that_begins_to_encrypt_its_secrets_is_told(world, monkeypatch):
    found = holding(world, monkeypatch)
    assert found.cluster == ("encrypts Secrets at rest from then on, once every controller can read them",)
    assert [node.node for node in found.nodes if node.pending] == ["cp1", "cp2", "cp3"]
    assert plan(world.preparation(("cp1",), encryption_keys=KEYS)).cluster == (), "the others cannot read it yet"


def test_what_the_cluster_cannot_become_is_part_of_the_plan(world):
    world.living = Sight(
        Living(domain="example.org", nodes={"w1": LiveNode("w1")}),
        KUBECONFIG,
    )
    assert [each.what for each in world.plan().differences] == ["cluster.domain"]


@pytest.mark.parametrize("older", [False, True])
def test_what_a_deploy_would_refuse_is_part_of_the_plan(world, monkeypatch, older):
    """An earlier checkout, a leap of k0s, and keys by which a controller could not read its Secrets."""

    def refuse(error: SlipwayError) -> Any:
        def asked(*_: object) -> None:
            raise error

        return asked

    monkeypatch.setattr(revision, "require_newer", refuse(Older("an earlier checkout")))
    monkeypatch.setattr(skew, "require", refuse(Leap("two at once")))
    monkeypatch.setattr(rekeying, "check", refuse(UnsafeKeys("unread")))
    found = plan(world.preparation(encryption_keys=KEYS), older=older)
    told = ["two at once", "unread"] if older else ["an earlier checkout", "two at once", "unread"]
    assert [str(each) for each in found.refused] == told
    assert [each["text"] for each in found.to_json()["refused"]] == told
    assert len(plan(world.preparation(), older=True).refused) == 1, "without keys none are looked at"


@pytest.mark.parametrize(("release", "words"), [(None, "upgrades the Helm release"), ("deployed", "")])
def test_the_helm_release_that_differs_is_told(world, release, words):
    world.release = world.release if release else None
    assert " ".join(world.plan().cluster).startswith(words)


@pytest.mark.parametrize(("release", "told"), [("1.35.7+k0s.0", True), ("1.36.3+k0s.1", False)])
def test_a_backup_before_another_minor_release_is_told(world, release, told):
    for machine in world.pool.machines.values():
        machine.release = release
    world.change("cp1")
    found = world.plan()
    assert ("backs the control plane up first, for k0s goes to 1.36" in found.cluster) is told


@pytest.mark.parametrize("error", [Unreachable("w1: no answer"), DeployFailed("w1: another machine")])
def test_a_node_that_cannot_be_asked_ends_the_plan(world, error):
    with pytest.raises(type(error), match="w1: "):
        plan(world.preparation(refused={"w1": error}))


def test_a_deploy_then_does_what_the_plan_told_and_leaves_nothing_pending(world, monkeypatch):
    """cp2 and w1 change, w2 joins, cp3 runs on an earlier configuration."""
    world.change("cp2", "w1")
    world.pool.machines["cp3"].outdated = True
    new = world.pool.machines["w2"]
    new.state, new.kubelet = "inactive", False
    del world.cluster.nodes["w2"]
    found = world.plan()
    told = {node.node: (node.changed, node.slipway) for node in found.nodes if node.pending}
    restarted = follow(world, monkeypatch)
    assert set(world.activated) == {name for name, (changed, _) in told.items() if changed} == {"cp2", "w1"}
    assert restarted >= {name for name, (_, steps) in told.items() if steps}
    assert restarted == {"cp2", "cp3", "w1", "w2"}
    order = [name for wave in found.waves for name in wave.nodes]
    assert order == ["cp2", "cp3", "w1"]
    assert [name for name in order if name in world.activated] == world.activated
    assert not world.plan().pending


def follow(world, monkeypatch) -> set[str]:
    """Deploy for good; return whose k0s was started again."""
    before = {name: machine.started for name, machine in world.pool.machines.items()}

    def activate(host, system, _events, **_how):
        world.activated.append(host.name)
        world.running[host.name] = system
        host.outdated = True
        return NodeResult(host.name, Outcome.OK, old_system="/nix/store/a-old", new_system=system)

    monkeypatch.setattr(engine, "activate", activate)
    monkeypatch.setattr(encryption, "require_unused", lambda _host: None)
    monkeypatch.setattr(comparison, "require", lambda *_: world.living)
    monkeypatch.setattr(kubeconfig, "of", lambda *_: KUBECONFIG)
    monkeypatch.setattr(kubeconfig, "fetch", lambda *_: KUBECONFIG)
    monkeypatch.setattr(cilium, "ensure", lambda *_: False)
    monkeypatch.setattr(marks, "apply", lambda *_: ())
    monkeypatch.setattr(members, "wait_ready", lambda *_, **__: None)
    for module in (members, bringup):
        monkeypatch.setattr(module, "Nodes", lambda _secret: FakeNodes(world))
    monkeypatch.setattr(reboot, "parts", lambda *_: ())
    monkeypatch.setattr(living, "is_there", lambda *_: False)
    monkeypatch.setattr(drain, "left_cordoned", lambda *_: ())
    interruption = Interruption(lambda: None, lambda _text: None)
    result = engine.deploy(world.preparation(), interruption)
    assert result.failure() is None, result
    return {name for name, machine in world.pool.machines.items() if machine.started > before[name]}


class FakeNodes:
    """Nodes as the API server has them: those whose machines run."""

    def __init__(self, world: World) -> None:
        self.world = world

    def registered(self, name: str, _machine: object = None) -> tuple[Any, str]:
        there = name in self.world.cluster.nodes
        return (members.Node(name, True, "") if there else None), "not registered yet"

    def not_ready(self, *_what: object) -> dict[str, str]:
        return {}
