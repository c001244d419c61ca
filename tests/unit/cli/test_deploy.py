"""What `plan` and `deploy` print."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from unittest.mock import Mock

import pytest
from tests.unit.cli import two_hosts
from typer.testing import CliRunner

from slipway.cli import deploy as module
from slipway.cli.main import build
from slipway.cluster.comparison import Difference, Immovable
from slipway.cluster.encryption import Key, Keys
from slipway.errors import ChangesPending, DeployFailed, InvalidInput, LockedByAnother, SlipwayError, UsageError
from slipway.node.reboot import When
from slipway.outcome import NodeResult, Outcome
from slipway.rollout import lease
from slipway.rollout.engine import Deployment, Options
from slipway.rollout.phases import Preparation, Standing
from slipway.rollout.plan import NodePlan, Plan
from slipway.rollout.run import Run
from slipway.rollout.waves import Wave
from slipway.secret import Secret
from slipway.secrets import at_rest
from slipway.ssh import pool
from slipway.ssh.keys import KNOWN_HOSTS


@pytest.fixture
def repository(tmp_path, sshd, monkeypatch):
    """An inventory takes no loopback address; the machines are looked for there all the same."""
    monkeypatch.setattr(pool, "endpoint_of", lambda host: replace(sshd.endpoint, name=host.name))
    shutil.copy(sshd.folder / "known_hosts", tmp_path / KNOWN_HOSTS)
    two_hosts.write(tmp_path, sshd)
    monkeypatch.setattr(at_rest, "read", lambda _root: KEYS)
    monkeypatch.setattr(lease, "FOLDER", str(tmp_path / "run"))
    return tmp_path


KEYS = Keys((Key("slipway", Secret(b"k" * 32)),))
RESULT = Deployment(
    (
        NodeResult("cp1", Outcome.OK, "", 3.0, "fine", "/nix/store/a-old", "/nix/store/abcdefghijk-nixos-system-cp1"),
        NodeResult("w1", Outcome.ROLLED_BACK, "no confirmation", 9.0, "the last line", None, None),
    )
)


def test_deploy_shows_every_node_and_ends_with_its_error(slipway, repository, monkeypatch, capsys):
    monkeypatch.setattr(module, "roll_out", lambda *_, **__: RESULT)
    with pytest.raises(DeployFailed, match="rolled-back: w1"):
        slipway("deploy")
    (written,) = repository.glob(".slipway/runs/*/result.json")
    assert json.loads(written.read_text())["error"]["exitCode"] == 6


def test_a_full_disk_at_the_end_hides_no_result(slipway, monkeypatch):
    def full(*_result: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Run, "finish", full)
    monkeypatch.setattr(module, "roll_out", lambda *_, **__: Deployment(RESULT.nodes[:1]))
    result = slipway("deploy", "--json")
    assert [node["outcome"] for node in json.loads(result.stdout)["nodes"]] == ["ok"]
    assert "warning: the result is not written down" in result.stderr
    monkeypatch.setattr(module, "roll_out", lambda *_, **__: RESULT)
    with pytest.raises(DeployFailed, match="rolled-back: w1"):
        slipway("deploy")


@pytest.mark.parametrize(("chosen", "keys"), [((), KEYS), (("cp1",), KEYS), (("w1",), None)])
def test_the_keys_for_secrets_are_there_where_a_controller_wants_them(slipway, monkeypatch, chosen, keys):
    given: list[Keys | None] = []

    def roll_out(preparation, *_, **__):
        given.append(preparation.encryption_keys)
        return RESULT

    monkeypatch.setattr(module, "roll_out", roll_out)
    with pytest.raises(DeployFailed):
        slipway("deploy", *chosen)
    assert given == [keys]


def test_a_deploy_without_the_key_touches_nothing_and_says_what_next(slipway, monkeypatch):
    monkeypatch.undo()
    with pytest.raises(SlipwayError, match=r"encryption.sops.yaml: missing") as caught:
        slipway("deploy")
    assert caught.value.hint == "slipway secrets init"


def test_of_many_nodes_those_that_are_alike_are_one_row(repository, monkeypatch):
    well = [NodeResult(f"w{n:03}", Outcome.OK, "joined", n / 10, new_system=f"/nix/store/a-w{n}") for n in range(100)]
    away = [NodeResult(f"y{n}", Outcome.UNREACHABLE, f"y{n} (root@10.0.0.{n}): timed out") for n in range(50)]
    bad = [NodeResult(f"x{n}", Outcome.ROLLED_BACK, f"why {n}", log=f"last of x{n}") for n in range(7)]
    monkeypatch.setattr(module, "roll_out", lambda *_, **__: Deployment((*well, *away, *bad)))
    said = CliRunner().invoke(build(["deploy"]), ["deploy", "-i", str(repository / "inventory.yaml")])
    rows = [" ".join(line.split()) for line in said.stdout.splitlines()[1:]]
    assert rows == [
        "w000 and 99 more like it ok up to 9.9 s joined",
        "y0 and 49 more like it unreachable up to 0.0 s none timed out",
        *(f"x{n} rolled-back 0.0 s none why {n}" for n in range(7)),
    ]
    assert "last of x4" in said.stderr and "last of x5" not in said.stderr
    assert "what 2 more said last is in " in said.stderr


def test_deploy_prints_json_alone(slipway, monkeypatch):
    monkeypatch.setattr(module, "roll_out", lambda *_, **__: Deployment(RESULT.nodes[:1]))
    printed = json.loads(slipway("deploy", "--json").stdout)
    assert [node["outcome"] for node in printed["nodes"]] == ["ok"]
    assert printed["error"] is None


def test_what_concerns_the_cluster_is_in_the_json_as_well(slipway, repository, monkeypatch):
    """Its nodes alone may all be well."""
    failed = DeployFailed("the Helm release: no", hint="slipway deploy")
    monkeypatch.setattr(module, "roll_out", lambda *_, **__: Deployment(RESULT.nodes[:1], failed))
    words = ["deploy", "--json", "-i", str(repository / "inventory.yaml")]
    printed = json.loads(CliRunner().invoke(build(["deploy"]), words).stdout)
    assert printed["error"] == {"message": "the Helm release: no", "hint": "slipway deploy", "exitCode": 6}


def test_an_error_before_any_node_is_in_the_run_as_well(slipway, repository):
    with pytest.raises(SlipwayError, match="generated files"):
        slipway("deploy")
    (written,) = repository.glob(".slipway/runs/*/result.json")
    assert json.loads(written.read_text())["error"]["hint"] == "slipway generate"


def test_plan_tells_what_is_pending_and_ends_with_exit_code_4(slipway, monkeypatch):
    found = Plan(
        (NodePlan("cp1", "controller", "controller cp1", "/nix/store/a-old", "/nix/store/b-new", True, ("k0s 1 -> 2",)),
         NodePlan("w1", "worker", "", "/nix/store/x-same", "/nix/store/x-same", False)),
        (Wave("controller cp1", ("cp1",)),),
    )  # fmt: skip
    asked: list[bool] = []
    chosen: list[list[str]] = []

    def make_plan(preparation, *, copy, older):
        asked.append(copy)
        chosen.append([host.name for host in preparation.hosts])
        return found

    monkeypatch.setattr(module, "make_plan", make_plan)
    with pytest.raises(ChangesPending, match="pending on 1 of 2 nodes") as caught:
        slipway("plan", "--no-copy")
    assert (caught.value.exit_code, caught.value.hint) == (4, "slipway deploy")
    assert asked == [False]
    with pytest.raises(ChangesPending) as caught:
        slipway("plan", "cp*", "w1", "--exclude", "cp1", "--older")
    assert caught.value.hint == "slipway deploy 'cp*' w1 --exclude cp1 --older", "what was looked at, and no more"
    found = replace(found, nodes=found.nodes[1:], waves=())
    result = slipway("plan", "--json")
    assert json.loads(result.stdout)["pending"] is False
    assert asked == [False, True, True]
    assert "nothing to do on 1 node" in slipway("plan", "--exclude", "cp1").stderr
    assert [*dict.fromkeys(map(tuple, chosen))] == [("cp1", "w1"), ("w1",)]


def test_a_plan_that_the_cluster_cannot_become_ends_as_the_deploy_would(slipway, monkeypatch):
    differs = Difference("cluster.domain", None, "a", "b", "write it back")
    monkeypatch.setattr(module, "make_plan", lambda *_, **__: Plan((), differences=(differs,)))
    with pytest.raises(Immovable, match=r"cluster\.domain: the cluster has a, the inventory b"):
        slipway("plan")


def planned(repository: Path) -> str:
    """What is shown of a plan, however it ends."""
    return CliRunner().invoke(build(["plan"]), ["plan", "-i", str(repository / "inventory.yaml")]).stdout


def test_a_plan_that_a_deploy_would_refuse_is_shown_and_ends_as_the_deploy_would(slipway, repository, monkeypatch):
    asked: list[bool] = []

    def make_plan(_preparation, *, copy, older):
        asked.append(older)
        return Plan((), refused=() if older else (DeployFailed("an earlier checkout", hint="--older"),))

    monkeypatch.setattr(module, "make_plan", make_plan)
    with pytest.raises(DeployFailed, match="an earlier checkout"):
        slipway("plan")
    assert "a deploy would change nothing: an earlier checkout" in planned(repository)
    assert "nothing to do" in slipway("plan", "--older").stderr
    assert asked == [False, False, True]


def test_a_plan_without_the_key_tells_all_else_first(slipway, repository, monkeypatch):
    monkeypatch.setattr(at_rest, "read", Mock(side_effect=InvalidInput("no key", hint="slipway init")))
    monkeypatch.setattr(module, "make_plan", lambda *_, **__: Plan((), cluster=("installs something",)))
    with pytest.raises(InvalidInput, match="no key"):
        slipway("plan")
    said = planned(repository)
    assert "installs something" in said and "a deploy would change nothing: no key" in said


THEIRS = """4711 {}
{{"run": "theirs", "user": "eva", "host": "there", "pid": 7, "folder": "/clone", "since": "2026-01-01T00:00:00"}}
"""


def test_the_second_deployer_from_another_clone_is_refused_and_may_break_the_lock(slipway, repository, monkeypatch):
    monkeypatch.setattr(module, "roll_out", lambda *_, **__: Deployment(RESULT.nodes[:1]))
    uptime = int(float(Path("/proc/uptime").read_text().split()[0]))
    (repository / "run").mkdir()
    file = repository / "run" / "deploy.lock"
    file.write_text(THEIRS.format(uptime))
    with pytest.raises(LockedByAnother, match=r"eva@there \(run theirs, process 7, in /clone"):
        slipway("deploy")
    (written,) = repository.glob(".slipway/runs/*/result.json")
    assert json.loads(written.read_text())["error"]["exitCode"] == 11
    assert file.read_text() == THEIRS.format(uptime)
    assert "taken from eva@there (run theirs" in slipway("deploy", "--break-lock").stderr
    assert not file.exists()


def changed_by(repository: Path, name: str, **before: str) -> None:
    """A run that gave nodes another system, as it stands in its events; it was killed."""
    folder = repository / ".slipway" / "runs" / name
    folder.mkdir(parents=True)
    data = {"old": before, "new": dict.fromkeys(before, "/nix/store/new")}
    (folder / "events.jsonl").write_text(json.dumps({"phase": "systems", "node": None, "data": data}) + "\n")


@pytest.fixture
def went_back(monkeypatch):
    """What each rollback would have the nodes run."""
    asked: list[dict[str, str]] = []

    def roll_out(preparation, *_, **__):
        preparation.require_generated()
        asked.append(preparation.build())
        return Deployment(RESULT.nodes[:1])

    monkeypatch.setattr(module, "roll_out", roll_out)
    return asked


def test_a_rollback_takes_back_the_newest_run_that_changed_anything(slipway, repository, went_back):
    changed_by(repository, "20260101T000000Z-a", cp1="/nix/store/cp1-oldest")
    changed_by(repository, "20260202T000000Z-b", cp1="/nix/store/cp1-old", w1="/nix/store/w1-old")
    changed_by(repository, "20260303T000000Z-c")
    said = slipway("rollback").stderr
    assert "back to what ran before run 20260202T000000Z-b" in said
    assert went_back == [{"cp1": "/nix/store/cp1-old", "w1": "/nix/store/w1-old"}]
    assert len(list(repository.glob(".slipway/runs/*/result.json"))) == 1


def test_a_rollback_of_a_run_and_a_node_that_are_named(slipway, repository, went_back):
    changed_by(repository, "20260101T000000Z-a", cp1="/nix/store/cp1-oldest", w1="/nix/store/w1-oldest")
    changed_by(repository, "20260202T000000Z-b", w1="/nix/store/w1-old")
    slipway("rollback", "w1", "--run", "20260101")
    assert went_back == [{"w1": "/nix/store/w1-oldest"}]


def test_a_rollback_leaves_out_whom_it_is_told_to(slipway, repository, went_back):
    changed_by(repository, "20260101T000000Z-a", cp1="/nix/store/cp1-oldest", w1="/nix/store/w1-oldest")
    slipway("rollback", "--exclude", "cp1")
    assert went_back == [{"w1": "/nix/store/w1-oldest"}]


def test_a_node_goes_back_to_before_the_run_that_changed_it(slipway, repository, went_back):
    changed_by(repository, "20260101T000000Z-a", cp1="/nix/store/cp1-oldest", w1="/nix/store/w1-oldest")
    changed_by(repository, "20260202T000000Z-b", cp1="/nix/store/cp1-old")
    slipway("rollback", "w1")
    assert went_back == [{"w1": "/nix/store/w1-oldest"}]


def test_a_run_that_was_gone_on_with_is_taken_back_as_one(slipway, repository, went_back):
    """The second part had changed cp1 alone, and so w1 had stayed as it was after the first."""
    changed_by(repository, "20260101T000000Z-a", cp1="/nix/store/cp1-old", w1="/nix/store/w1-old")
    changed_by(repository, "20260202T000000Z-b", cp1="/nix/store/cp1-old")
    said = {"command": "deploy", "asked": {"resumes": "20260101T000000Z-a"}}
    (repository / ".slipway" / "runs" / "20260202T000000Z-b" / "run.json").write_text(json.dumps(said))
    slipway("rollback")
    assert went_back == [{"cp1": "/nix/store/cp1-old", "w1": "/nix/store/w1-old"}]


@pytest.mark.parametrize(
    "resumes", ["20260202T000000Z-b", "20270101T000000Z-z", "../../elsewhere", 7, "20250101T000000Z-a"]
)
def test_a_run_that_goes_on_with_nothing_that_is_there_stands_for_itself(slipway, repository, went_back, resumes):
    changed_by(repository, "20260202T000000Z-b", cp1="/nix/store/cp1-old")
    said = {"command": "deploy", "asked": {"resumes": resumes}}
    (repository / ".slipway" / "runs" / "20260202T000000Z-b" / "run.json").write_text(json.dumps(said))
    slipway("rollback")
    assert went_back == [{"cp1": "/nix/store/cp1-old"}]


def test_there_may_be_nothing_to_take_back(slipway, repository, went_back):
    changed_by(repository, "20260202T000000Z-b", w1="/nix/store/w1-old")
    for words in (("cp1",), ("--run", "2027"), ("cp1", "--run", "2026")):
        with pytest.raises(UsageError, match=r"gave any of these nodes|there is none|gave none of these nodes"):
            slipway("rollback", *words)
    assert went_back == []


def interrupted(repository: Path, command: str, **asked: object) -> Path:
    """A run of this command whose process is gone."""
    folder = repository / ".slipway" / "runs" / "20260202T000000Z-b"
    folder.mkdir(parents=True)
    options = {"boot": False, "keep_going": True, "batch": "2", "drain": False, "reboot": "auto"}
    said = {"command": command, "asked": {"nodes": ["w1"], "options": options}, **asked}
    (folder / "run.json").write_text(json.dumps(said))
    return folder


@pytest.fixture
def done(monkeypatch):
    """Nodes, options and way of each deploy that begins."""
    begun: list[tuple[tuple[str, ...], object, object]] = []

    def roll_out(preparation, _interruption, options):
        begun.append((preparation.names, options, type(preparation)))
        return Deployment(RESULT.nodes[:1])

    monkeypatch.setattr(module, "roll_out", roll_out)
    return begun


def test_a_killed_deploy_goes_on_with_its_nodes_and_options(slipway, repository, done):
    interrupted(repository, "deploy")
    assert "going on with run 20260202T000000Z-b, deploy" in slipway("resume").stderr
    wanted = Options(keep_going=True, batch="2", drain=False, reboot=When.AUTO)
    assert done == [(("w1",), wanted, Preparation)]


def test_what_a_deploy_writes_down_is_what_a_resume_needs(slipway, repository, done):
    slipway("deploy", "w1", "--batch", "25%", "--reboot", "always")
    for left in repository.glob(".slipway/runs/*"):
        (left / "result.json").unlink()
        said = json.loads((left / "run.json").read_text())
        (left / "run.json").write_text(json.dumps({**said, "since": "1"}))
    slipway("resume")
    assert done[0] == done[1] == (("w1",), Options(batch="25%", reboot=When.ALWAYS), Preparation)
    begun = [json.loads(each.read_text())["asked"] for each in sorted(repository.glob(".slipway/runs/*/run.json"))]
    assert [each.get("resumes") for each in begun].count(None) == 1, "the second one says whom it goes on with"


def test_a_builder_is_a_node_of_the_inventory(slipway, repository, done):
    slipway("deploy", "w1", "--build-on", "cp1")
    assert done[0][1].build_on == "cp1"
    with pytest.raises(UsageError, match="'nobody' names no host"):
        slipway("deploy", "--build-on", "nobody")


def test_a_reboot_names_its_nodes_and_keeps_no_way_back(slipway, repository, done):
    assert slipway("reboot").exit_code == 2, "without a name it would be all of them"
    slipway("reboot", "w1", "--batch", "2", "--no-drain")
    assert done == [(("w1",), Options(batch="2", drain=False, only_reboot=True), Standing)]


def test_a_killed_rollback_goes_on_to_where_it_went(slipway, repository, went_back):
    folder = interrupted(repository, "rollback")
    data = {"old": {"w1": "/nix/store/new"}, "new": {"w1": "/nix/store/older"}}
    (folder / "events.jsonl").write_text(json.dumps({"phase": "systems", "node": None, "data": data}) + "\n")
    slipway("resume")
    assert went_back == [{"w1": "/nix/store/older"}]


def test_a_run_that_ended_is_not_gone_on_with(slipway, repository, done):
    with pytest.raises(UsageError, match="no run has deployed"):
        slipway("resume")
    slipway("deploy", "w1")
    with pytest.raises(UsageError, match="is done: nothing to go on with"):
        slipway("resume")
    assert len(done) == 1


@pytest.mark.parametrize("asked", [{"nodes": ["w1"]}, {"options": {}}, {"nodes": 3, "options": {"reboot": "auto"}},
                                   {"nodes": ["w1"], "options": {"reboot": "at noon"}}])  # fmt: skip
def test_a_run_that_somebody_wrote_by_hand_is_refused(slipway, repository, done, asked):
    interrupted(repository, "deploy", asked=asked)
    with pytest.raises(InvalidInput, match=r"run\.json"):
        slipway("resume")
    assert done == []
