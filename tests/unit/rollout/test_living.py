"""Waves in a cluster that lives: who may change, who is drained, who is let back. Machines and the API are fakes."""

from types import SimpleNamespace
from typing import Any

import pytest
from tests.unit.rollout.test_engine import ALL, FakePool, FakePreparation, World, outcomes

from slipway.cluster import bringup, drain, members
from slipway.cluster.members import Membership
from slipway.errors import DeployFailed, Unreachable
from slipway.events import Events
from slipway.inventory import load
from slipway.node import diff, reboot
from slipway.node.reboot import When
from slipway.outcome import NodeResult, Outcome
from slipway.report import packs
from slipway.result import CommandResult
from slipway.rollout import living, revision
from slipway.rollout.engine import Options
from slipway.rollout.living import Living
from slipway.rollout.phases import Return, Standing
from slipway.verify import catalog, runner
from slipway.verify.result import Check, NodeVerification, Verdict, Verification

K0S = "would restart the following units: k0s.service, sshd.service"


class LivingWorld(World):
    """A cluster of all machines. `done` has what was done to it, in order."""

    def __init__(self, inventory: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__(inventory, monkeypatch)
        self.lives = True
        self.done: list[str] = []
        self.dry_activation = K0S
        self.stuck: set[str] = set()
        self.foreign: set[str] = set()
        self.unwell: dict[str, str] = {}
        self.refuses: set[str] = set()
        monkeypatch.setattr(diff, "dry_activate", lambda *_: CommandResult(("x",), "w1", 0, "", self.dry_activation, 0))
        monkeypatch.setattr(bringup, "require_quorum_without", self.ask_quorum)
        monkeypatch.setattr(Living, "_is_node", lambda *_: True)
        monkeypatch.setattr(drain, "cordon", self.cordon)
        monkeypatch.setattr(drain, "drain", self.drain)
        monkeypatch.setattr(drain, "uncordon", lambda _, name: self.done.append(f"uncordon {name}"))
        monkeypatch.setattr(Living, "not_well", self.not_well)
        monkeypatch.setattr(reboot, "reboot", self.reboot)

    def ask_quorum(self, _inventory, _pool, _events, name):
        self.done.append(f"quorum {name}")
        if name in self.refuses:
            raise bringup.QuorumAtRisk(f"{name}: not changed")

    def cordon(self, _kubeconfig, name):
        self.done.append(f"cordon {name}")
        return name not in self.foreign

    def drain(self, _kubeconfig, name, *_):
        self.done.append(f"drain {name}")
        if name in self.stuck:
            raise drain.DrainStuck(f"{name}: drain waits for default/web-0")

    def begun(self, host: Any, *, boot: bool) -> None:
        self.done.append(f"{'boot' if boot else 'activate'} {host.name}")

    def rejoining(self, chosen: Any) -> None:
        self.done.append(f"rejoin {' '.join(chosen)}")

    def not_well(self, names):
        self.done.append(f"look at {' '.join(names)}")
        return {name: why for name, why in self.unwell.items() if name in names}

    def reboot(self, host, system, **_more):
        self.done.append(f"reboot {host.name}")
        return SimpleNamespace(current=system, failed_units=())

    def of(self, name):
        return [done.split()[0] for done in self.done if name in done.split()]


@pytest.fixture
def world(inventory, monkeypatch):
    return LivingWorld(inventory, monkeypatch)


def test_each_controller_is_asked_about_and_whole_again_before_the_next(world):
    world.deploy(changed=("cp1", "cp2"))
    assert world.done[:8] == [
        "quorum cp1",
        "activate cp1",
        "rejoin cp1",
        "look at cp1",
        "quorum cp2",
        "activate cp2",
        "rejoin cp2",
        "look at cp2",
    ]


def test_a_controller_that_the_others_cannot_do_without_is_left_as_it_is(world):
    world.refuses = {"cp1"}
    deployment = world.deploy()
    assert world.activated == []
    assert outcomes(deployment) == {**dict.fromkeys(ALL, "skipped"), "cp1": "blocked"}


def test_a_worker_whose_k0s_changes_is_drained_and_let_back_before_the_next_begins(world):
    world.deploy(changed=("w1", "w2"))
    one = ["cordon", "drain", "activate", "rejoin", "look", "uncordon"]
    assert world.of("w1")[:6] == world.of("w2")[:6] == one
    assert world.done.index("uncordon w1") < world.done.index("cordon w2")


@pytest.mark.parametrize(
    ("said", "drained"),
    [
        (K0S, True),
        ("would stop the following units: k0s.service", True),
        ("would NOT restart the following units: k0s.service", True),
        ("would NOT stop the following changed units: sshd.service, k0s.service", True),
        ("would reload the following units: k0s.service", False),
        ("would restart the following units: sshd.service", False),
        ("would start the following units: not-k0s.service", False),
        ("", False),
    ],
)
def test_pods_leave_a_node_only_where_k0s_restarts(world, said, drained):
    world.dry_activation = f"would activate the configuration...\n{said}\n"
    world.deploy(changed=("w1",))
    assert ("drain w1" in world.done) is drained


def test_a_controller_without_workloads_has_no_pods_to_lose(world):
    world.deploy(changed=("cp1", "cp3"))
    assert "drain cp1" not in world.done and "drain cp3" in world.done


@pytest.mark.parametrize("setting", ["option", "inventory"])
def test_no_drain_means_none(world, tmp_path, monkeypatch, setting):
    if setting == "inventory":
        text = (tmp_path / "inventory.yaml").read_text().replace("deploy: {", "deploy: {drain: {enable: false}, ")
        (tmp_path / "inventory.yaml").write_text(text)
        world = LivingWorld(load(tmp_path / "inventory.yaml"), monkeypatch)
    world.deploy(changed=("w1",), options=Options(drain=setting != "option"))
    assert world.of("w1") == ["activate", "rejoin", "look", "rejoin"]


def test_a_node_whose_k0s_was_not_restarted_yet_comes_in_a_wave_of_its_own(world):
    world.outdated = {"w1", "w2"}
    deployment = world.deploy(changed=())
    one = ["cordon", "drain", "rejoin", "look", "uncordon"]
    assert world.activated == []
    assert world.of("w1")[:5] == world.of("w2")[:5] == one
    assert world.done.index("uncordon w1") < world.done.index("cordon w2")
    assert outcomes(deployment) == dict.fromkeys(ALL, "unchanged")


def test_a_machine_that_has_not_joined_yet_is_not_drained(world, monkeypatch):
    monkeypatch.setattr(Living, "_is_node", lambda *_: False)
    world.deploy(changed=("w1",))
    assert "cordon w1" not in world.done and "w1" in world.activated


def test_pods_that_do_not_leave_keep_the_node_unchanged_and_let_it_back(world):
    world.stuck = {"w1"}
    deployment = world.deploy(changed=("w1", "w2"))
    assert world.done == ["cordon w1", "drain w1", "uncordon w1"]
    assert deployment.nodes[0].outcome is Outcome.BLOCKED
    assert deployment.nodes[0].reason == "w1: drain waits for default/web-0"
    assert outcomes(deployment)["w2"] == "skipped"


def test_a_drained_node_that_cannot_be_changed_after_all_takes_pods_again(world):
    world.uses_a_key = True
    deployment = world.deploy(changed=("cp3",))
    assert world.of("cp3") == ["quorum", "cordon", "drain", "uncordon"]
    assert deployment.nodes[3].reason == "cp1: encrypts its Secrets"


def test_a_node_that_was_degraded_before_and_has_an_old_k0s_holds_nobody_up(world):
    world.outdated = {"w1"}
    deployment = world.deploy(changed=("w2",), failed_units={"w1": ("backup.service",)})
    assert outcomes(deployment)["w2"] == "ok"
    assert "rejoin " + " ".join(ALL) in world.done


def test_what_somebody_else_has_cordoned_stays_cordoned(world):
    world.foreign = {"w1"}
    deployment = world.deploy(changed=("w1",))
    assert "drain w1" in world.done and "uncordon w1" not in world.done
    assert outcomes(deployment)["w1"] == "ok"


@pytest.mark.parametrize("outcome", [Outcome.ROLLED_BACK, Outcome.DEGRADED, Outcome.UNREACHABLE])
def test_a_node_that_fails_stays_cordoned_and_is_named(world, outcome):
    world.outcomes = {"w1": outcome}
    deployment = world.deploy(changed=("w1",))
    assert "uncordon w1" not in world.done
    assert deployment.nodes[0].reason == "why; it stays cordoned"


def test_a_node_that_is_not_well_after_it_stops_the_next_wave(world):
    world.unwell = {"w1": "verification: k0s.unit red"}
    deployment = world.deploy(changed=("w1", "w2"))
    assert deployment.nodes[0].outcome is Outcome.DEGRADED
    assert deployment.nodes[0].reason == "verification: k0s.unit red; it stays cordoned"
    assert outcomes(deployment)["w2"] == "skipped"
    failure = deployment.failure()
    assert failure and failure.exit_code == 7 and failure.hint == "slipway deploy w1 w2"


def test_a_node_that_does_not_rejoin_stops_the_next_wave(world):
    world.joined = {"w1": NodeResult("w1", Outcome.DEGRADED, "not registered")}
    deployment = world.deploy(changed=("w1", "w2"))
    assert outcomes(deployment)["w2"] == "skipped"
    assert "look at w1" not in world.done


def test_a_node_whose_k0s_may_not_go_ahead_takes_pods_again(world):
    world.joined = {"w1": NodeResult("w1", Outcome.BLOCKED, "its k0s is not started")}
    deployment = world.deploy(changed=("w1",))
    assert world.done[-1] == "uncordon w1"
    assert deployment.nodes[0].reason == "its k0s is not started"


def test_an_api_that_is_gone_after_a_wave_is_that_wave_s_failure(world, monkeypatch):
    def gone(*_):
        raise DeployFailed("no controller gives a kubeconfig")

    monkeypatch.setattr(Living, "not_well", gone)
    deployment = world.deploy(changed=("w1", "w2"))
    assert outcomes(deployment) == {**dict.fromkeys(ALL, "unchanged"), "w1": "degraded", "w2": "skipped"}


def test_a_cordon_of_an_earlier_run_goes_once_the_node_is_well(world, monkeypatch):
    monkeypatch.setattr(drain, "left_cordoned", lambda _config, names: tuple(n for n in names if n == "w2"))
    world.deploy(changed=())
    assert world.done == [f"rejoin {' '.join(ALL)}", "uncordon w2"]


def test_an_interruption_while_it_drains_leaves_the_node_as_it_was(world, monkeypatch):
    def hit(_config, name, *_):
        world.interruption.asked = True
        raise drain.Abandoned

    monkeypatch.setattr(drain, "drain", hit)
    deployment = world.deploy(changed=("w1", "w2"))
    assert world.activated == []
    assert "uncordon w1" in world.done
    failure = deployment.failure()
    assert failure and failure.exit_code == 130
    assert outcomes(deployment)["w1"] == "skipped"


def test_an_interruption_after_its_activation_lets_a_node_back(world):
    world.hit_during = "w1"
    deployment = world.deploy(changed=("w1", "w2"))
    assert world.done[-1] == "uncordon w1"
    assert outcomes(deployment) == {**dict.fromkeys(ALL, "unchanged"), "w1": "ok", "w2": "skipped"}


# --- reboots ---


def test_without_being_asked_nothing_reboots_and_the_result_says_what_the_boot_brings(world):
    world.boots_other, world.dry_activation = ("kernel", "initrd"), ""
    deployment = world.deploy(changed=("w1",))
    assert "reboot w1" not in world.done
    assert (deployment.nodes[0].outcome, deployment.nodes[0].reason) == (
        Outcome.OK,
        "the next boot brings another kernel and initrd",
    )


@pytest.mark.parametrize(
    ("when", "parts", "reboots"),
    [(When.AUTO, (), False), (When.AUTO, ("kernel",), True), (When.ALWAYS, (), True)],
)
def test_a_node_reboots_drained_and_comes_back_before_the_next(world, when, parts, reboots):
    world.boots_other, world.dry_activation = parts, ""
    deployment = world.deploy(changed=("w1", "w2"), options=Options(reboot=when))
    whole = ["cordon", "drain", "activate", "reboot", "rejoin", "look", "uncordon"]
    assert world.of("w1")[:7] == (whole if reboots else ["activate", "rejoin", "look", "rejoin"])
    assert deployment.nodes[0].reason == ("rebooted" if reboots else "")


def test_that_a_node_rebooted_is_said_beside_what_k0s_did(world):
    world.joined = {"w1": NodeResult("w1", Outcome.OK, "k0s runs again")}
    deployment = world.deploy(changed=("w1",), options=Options(reboot=When.ALWAYS))
    assert deployment.nodes[0].reason.startswith("rebooted; k0s runs again")


def test_a_controller_reboots_only_with_the_quorum_s_leave(world):
    world.deploy(changed=("cp1",), options=Options(reboot=When.ALWAYS))
    assert world.done[:4] == ["quorum cp1", "activate cp1", "reboot cp1", "rejoin cp1"]


def test_what_only_a_boot_can_activate_is_set_for_it_and_booted(world):
    world.outcomes, world.dry_activation = {"w1": Outcome.REBOOT_REQUIRED}, ""
    deployment = world.deploy(changed=("w1",), options=Options(reboot=When.AUTO))
    assert world.of("w1")[:5] == ["activate", "cordon", "drain", "boot", "reboot"]
    assert deployment.nodes[0].outcome is Outcome.OK


COMMIT = "c0ffee" * 6 + "c0ff"


@pytest.fixture
def noted(monkeypatch):
    """Host and system of every note of a commit."""
    notes: list[tuple[str, str]] = []

    def note(host, system, commit):
        if commit is not None:
            notes.append((host.name, system))

    monkeypatch.setattr(revision, "note", note)
    return notes


@pytest.mark.parametrize("options", [Options(reboot=When.AUTO), Options(boot=True, reboot=When.ALWAYS)])
def test_a_system_that_comes_by_a_reboot_is_of_its_commit_too(world, noted, monkeypatch, options):
    """An older checkout took such a node back without a word."""
    monkeypatch.setattr(FakePreparation, "commit", COMMIT)
    world.outcomes = {"w1": Outcome.REBOOT_REQUIRED}
    world.deploy(changed=("w1",), options=options)
    assert noted == [("w1", "/new")]


def test_a_reboot_alone_and_a_system_that_waits_for_one_are_of_no_commit(world, noted, monkeypatch):
    assert Standing.commit is None and Return.commit is None
    world.deploy(changed=(), chosen=("w1",), options=REBOOT)
    monkeypatch.setattr(FakePreparation, "commit", COMMIT)
    world.outcomes = {"w1": Outcome.REBOOT_REQUIRED}
    world.deploy(changed=("w1",), options=Options(boot=True))
    assert noted == []


@pytest.mark.parametrize("error", [reboot.NotBack("w1: not back"), Unreachable("w1: no answer")])
def test_a_node_that_does_not_come_back_stops_the_rest(world, monkeypatch, error):
    def lost(*_, **_how):
        raise error

    monkeypatch.setattr(reboot, "reboot", lost)
    deployment = world.deploy(changed=("w1", "w2"), options=Options(reboot=When.ALWAYS))
    assert deployment.nodes[0].outcome in (Outcome.ACTIVATION_FAILED, Outcome.UNREACHABLE)
    assert deployment.nodes[0].reason == f"{error}; it stays cordoned"
    assert outcomes(deployment)["w2"] == "skipped"


REBOOT = Options(only_reboot=True)


def test_nodes_that_are_to_reboot_do_so_drained_in_waves_and_run_what_they_ran(world):
    deployment = world.deploy(changed=(), chosen=("cp1", "w1", "w2"), options=REBOOT)
    assert world.activated == [] and "generated" not in world.preparation.done[1:]
    assert world.of("cp1") == ["quorum", "reboot", "rejoin", "look"]
    assert world.of("w1") == ["cordon", "drain", "reboot", "rejoin", "look", "uncordon"]
    assert world.done.index("uncordon w1") < world.done.index("reboot w2")
    assert [(node.outcome, node.reason, node.new_system) for node in deployment.nodes] == [
        (Outcome.OK, "rebooted", "/old")
    ] * 3
    assert world.cluster == ["bring up"] * 3, "no network, no labels: the cluster is left as it is"
    assert [event for event in world.told if event.phase == "systems"] == [], "there is nothing to roll back to"


def test_a_controller_that_the_others_need_does_not_reboot(world):
    world.refuses = {"cp1"}
    deployment = world.deploy(changed=(), chosen=("cp1", "w1"), options=REBOOT)
    assert "reboot cp1" not in world.done and "reboot w1" not in world.done
    failure = deployment.failure()
    assert failure and failure.hint == "slipway reboot cp1 w1"


# --- nodes that cannot be reached ---


def test_an_unreachable_node_is_left_out_where_that_was_asked_for(world):
    deployment = world.deploy(refused={"w2": Unreachable("w2: no answer")}, options=Options(keep_going=True))
    assert outcomes(deployment) == {**dict.fromkeys(ALL, "ok"), "w2": "unreachable"}
    failure = deployment.failure()
    assert failure and failure.exit_code == 5 and failure.hint == "slipway deploy w2"


def test_keeping_going_is_for_unreachable_nodes_alone(world):
    deployment = world.deploy(refused={"w2": DeployFailed("w2 is another machine")}, options=Options(keep_going=True))
    assert world.activated == []
    assert outcomes(deployment)["w2"] == "blocked"


def test_nobody_left_is_no_success(world):
    gone = {name: Unreachable(f"{name}: no answer") for name in ALL}
    failure = world.deploy(refused=gone, options=Options(keep_going=True)).failure()
    assert failure and failure.exit_code == 5


# --- what is asked of a cluster that lives ---


class FakeNodes:
    """`ready`: what the API server says of each node; `silent`: whose kubelet does not report again."""

    def __init__(self, ready: dict[str, bool], waiting: dict[str, str]) -> None:
        self.ready = ready
        self.waiting = waiting

    def all(self):
        return {name: members.Node(name, so, "") for name, so in self.ready.items()}

    def not_ready(self, names, _since=None):
        return {name: why for name, why in self.waiting.items() if name in names}


class Asked:
    """A living cluster whose nodes are as said; `verified` has who was asked by packs."""

    def __init__(self, inventory: Any, monkeypatch: pytest.MonkeyPatch, **red: str) -> None:
        self.verified: list[str] = []
        self.asked = 0
        self.red = red
        self.mended: set[str] = set()
        """Those that are green when they are asked for the second time."""
        self.ready = {"w1": True, "w2": True, "cp3": True}
        self.waiting: dict[str, str] = {}
        monkeypatch.setattr(Living, "kubeconfig", lambda _self: "kubeconfig")
        monkeypatch.setattr(members, "Nodes", lambda _config: FakeNodes(self.ready, self.waiting))
        monkeypatch.setattr(members, "started", lambda *_: {})
        monkeypatch.setattr(runner, "verify", self.verify)
        preparation = FakePreparation(inventory, inventory.hosts, FakePool(), Events())  # type: ignore[arg-type]
        self.living = Living(preparation, {}, True, lambda: False)

    def verify(self, _inventory, nodes, _connect, *, packs):
        assert tuple(packs) == ("k0s",)
        self.verified = [node.name for node in nodes]
        self.asked += 1
        self.red = {name: why for name, why in self.red.items() if self.asked == 1 or name not in self.mended}
        checks = {name: (Check(why, "k0s", why, Verdict.FAILED),) for name, why in self.red.items()}
        fine = (Check("k0s.unit", "k0s", "runs", Verdict.PASSED),)
        return Verification(
            "now", tuple(NodeVerification(n, ("k0s",), checks=checks.get(n, fine)) for n in self.verified)
        )


@pytest.fixture
def asked(inventory, monkeypatch):
    pool = SimpleNamespace(host=lambda name: name)
    monkeypatch.setattr(FakePool, "host", lambda _self, name: pool.host(name), raising=False)
    return lambda **red: Asked(inventory, monkeypatch, **red)


def test_the_nodes_of_a_wave_are_ready_and_green(asked):
    one = asked()
    assert one.living.not_well(["w1", "w2"]) == {}
    assert one.verified == ["w1", "w2"]


def test_controllers_are_asked_for_their_kubelet_alone(asked):
    one = asked()
    assert one.living.not_well(["cp1", "cp3"]) == {}
    assert one.verified == []


def test_red_packs_are_named(asked):
    assert asked(w2="k0s.kubelet.certificate").living.not_well(["w1", "w2"]) == {
        "w2": "verification: k0s.kubelet.certificate red"
    }


def test_a_node_is_asked_again_until_it_is_green(asked, monkeypatch):
    monkeypatch.setattr(living, "ASK_AGAIN", 0.01)
    one = asked(w2="k0s.kubelet.system_pods_run")
    one.mended = {"w2"}
    assert one.living.not_well(["w1", "w2"]) == {}
    assert (one.verified, one.asked) == (["w2"], 2)


def test_a_node_that_is_cordoned_need_not_take_pods(asked):
    one = asked(w1=living.ABOUT_A_CORDON, w2="k0s.unit.active")
    assert one.living.not_well(["w1", "w2"]) == {"w2": "verification: k0s.unit.active red"}


def test_the_check_about_a_cordon_is_one_of_the_pack():
    (file,) = (path for path in packs.files(catalog.OURS / "k0s") if path.stem == "kubelet")
    assert living.ABOUT_A_CORDON in {check.id for check in packs.checks("k0s", file)}


def test_who_is_not_ready_in_time_is_not_verified(asked):
    one = asked()
    one.waiting = {"w1": "its kubelet has not reported since k0s was started"}
    assert one.living.not_well(["w1", "w2"]) == {"w1": "not Ready: its kubelet has not reported since k0s was started"}
    assert one.verified == ["w2"]


def test_before_there_is_a_pod_network_nobody_can_be_ready(asked):
    one = asked()
    one.ready = {"w1": False, "w2": False}
    one.waiting = {"w1": "no network", "w2": "no network"}
    assert one.living.not_well(["w1", "w2"]) == {}


def test_a_cluster_of_which_no_controller_has_data_does_not_live(inventory):
    nobody = {name: Membership() for name in ALL}
    assert not living.is_there(inventory, nobody)
    assert living.is_there(inventory, {**nobody, "cp2": Membership(control_plane=True)})


def test_a_controller_that_cannot_be_asked_may_have_a_cluster(inventory):
    assert living.is_there(inventory, {name: Membership() for name in ALL} | {"cp2": Unreachable("cp2: no answer")})
