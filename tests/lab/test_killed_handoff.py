"""The hand-off, killed at every step and run again: from nothing, in a lab of its own.

One cluster for all: the hand-off is killed when its first step begins, run again and killed when that is done, and so
on to the last step; each run goes on where the one before was ended.
"""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.lab.conftest import of_tests
from tests.lab.harness import COMMAND_TIMEOUT, Cluster, Home, Repository, eventually
from tests.lab.observed import plant

from slipway.cluster import kubeconfig
from slipway.events import Events
from slipway.lab import machines, supplies
from slipway.lab.settings import FOR_TESTS, Lab
from slipway.rollout.run import EVENTS
from slipway.secrets import store
from slipway.ssh.pool import Pool
from slipway.stages import repository as sources
from slipway.stages import steps
from slipway.tools import helm, kubectl, sops

pytestmark = [pytest.mark.lab, pytest.mark.nightly]

STEPS = [*(step.name for step in steps.BOOTSTRAP), "bootstrap", steps.PROOF.name]
BEGUN, DONE = ("started",), ("ok", "unchanged")
GONE_WITHIN = 600.0
"""Seconds for what a killed hand-off had started; helm and git have bounds of their own."""
MARK = "SLIPWAY_TEST_OF_KILLS"
ONCE = ("namespaces", "persistentvolumes", "secrets", "fluxinstances.fluxcd.controlplane.io")


class Patient(Repository):
    """A helm that died with its hand-off counts as dead only after ten minutes."""

    timeout = 3 * COMMAND_TIMEOUT


@pytest.fixture(scope="module")
def lab(made: None) -> Iterator[Lab]:
    named = os.environ.get("SLIPWAY_LAB")
    if named:
        yield Lab(int(named))
        return
    with of_tests(FOR_TESTS[2]) as chosen, pytest.MonkeyPatch.context() as patch:
        supplies.stock(machines.up(chosen, Events(), controllers=1, workers=1), Events())
        patch.setenv("SLIPWAY_LAB", str(chosen.number))
        yield chosen


@pytest.fixture(scope="module")
def repository(lab: Lab, home: Home, tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """Verified, and nothing handed over."""
    found = Patient(tmp_path_factory.mktemp("killed") / "repository", home)
    found.slipway("lab", "init", str(found.root)).ended(0)
    for words in (("generate",), ("deploy",), ("verify",)):
        found.slipway(*words).ended(0)
    return found


@pytest.fixture(scope="module")
def poison(repository: Repository) -> tuple[bytes, ...]:
    """What must lie in no file that a killed hand-off leaves."""
    texts = plant(repository.root)
    repository.commit()
    return texts


@pytest.fixture(scope="module")
def cluster(repository: Repository, poison: tuple[bytes, ...]) -> Iterator[Cluster]:
    inventory = repository.inventory()
    with Pool.of(inventory) as pool:
        config = kubeconfig.of(inventory, pool)
    with Pool.of(inventory) as unused:
        yield Cluster(repository, inventory, unused, config)


def killed(repository: Repository, step: str, states: tuple[str, ...], mark: str) -> bool:
    """Hand over, and kill that process once it has told this of the step; false where it came to its end before."""
    runs = repository.root / ".slipway" / "runs"
    before = set(runs.iterdir())
    nothing, argv = subprocess.DEVNULL, [sys.executable, "-m", "slipway.cli", "handoff", "--json"]
    about = {**os.environ, MARK: mark}
    with subprocess.Popen(argv, cwd=repository.root, env=about, stdin=nothing, stdout=nothing) as process:
        end = time.monotonic() + Patient.timeout
        while process.poll() is None and not _told(set(runs.iterdir()) - before, step, states):
            assert time.monotonic() < end, f"{step} was never {states}"
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    return process.returncode == -signal.SIGKILL


def _told(runs: set[Path], step: str, states: tuple[str, ...]) -> bool:
    """Whether the events of the one new run have it."""
    lines = "".join((run / EVENTS).read_text() for run in runs if (run / EVENTS).exists()).splitlines()
    return any(f'"step": "{step}"' in line and any(f'"state": "{state}"' in line for state in states) for line in lines)


def started_by(mark: str) -> list[str]:
    """The processes of this machine that have this of that hand-off's environment."""
    found, wanted = [], f"{MARK}={mark}".encode()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if wanted in (process / "environ").read_bytes().split(b"\0"):
                found.append((process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace"))
        except OSError:
            continue
    return found


def nothing_runs_of(mark: str, what: str) -> None:
    eventually(lambda: not started_by(mark), f"nothing that runs of {what}", deadline=GONE_WITHIN)


def nobody_is_connected(repository: Repository, node: str) -> None:
    eventually(lambda: connections(repository, node) == 0, f"no connection to {node}", deadline=GONE_WITHIN)


def identities(cluster: Cluster) -> dict[str, str]:
    """What the hand-off has made and must not make again, by kind and name."""
    found = {}
    for kind in ONCE:
        for item in cluster.get(kind, namespace=kubectl.EVERY).get("items", ()):
            about = item["metadata"]
            if not about["name"].startswith("sh.helm."):
                found[f"{kind} {about.get('namespace', '')} {about['name']}"] = about["uid"]
    return found


def connections(repository: Repository, node: str) -> int:
    """To sshd, besides the one that asks."""
    return int(repository.sh(node, "ss --no-header --tcp --numeric state established sport = :22 | wc -l")) - 1


def files_with(poison: tuple[bytes, ...], *folders: Path) -> list[Path]:
    files = (path for folder in folders for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    return [path for path in files if any(text in path.read_bytes() for text in poison)]


def test_killed_at_every_step_it_goes_on_and_leaves_no_process(cluster: Cluster, poison: tuple[bytes, ...]):
    repository, made, unharmed = cluster.repository, dict[str, str](), []
    for number, (step, states) in enumerate((step, states) for step in STEPS for states in (BEGUN, DONE)):
        if not killed(repository, step, states, str(number)):
            unharmed.append((step, states))
        nothing_runs_of(str(number), f"{step} {states}")
        now = identities(cluster)
        assert {name: now.get(name) for name in made} == made, f"made again after {step} {states}"
        made = now
    # When the last step is told as done the hand-off may have ended before anybody could kill it.
    assert set(unharmed) <= {(STEPS[-1], DONE)}, "control"
    repository.slipway("handoff").ended(0)
    now = identities(cluster)
    assert {name: now.get(name) for name in made} == made


def test_after_that_a_second_hand_off_changes_nothing(cluster: Cluster):
    again = cluster.repository.slipway("handoff", "--json").ended(0).json
    assert {step["step"]: step["state"] for step in again["steps"]} == dict.fromkeys(STEPS, "unchanged")
    head = cluster.repository.git("rev-parse", "HEAD").strip()
    assert sources.revision_of(cluster.get(*sources.SOURCE, "flux-system")) == head, (
        "no marker of a proof is left there"
    )


def test_each_chart_was_installed_once(cluster: Cluster):
    for namespace, name in (("gitea", "gitea"), ("flux-system", "flux-operator")):
        words = ("history", name, f"--namespace={namespace}", "--output=json")
        history: list[dict[str, Any]] = json.loads(helm.helm(cluster.kubeconfig, *words).stdout)
        assert [each["description"] for each in history].count("Install complete") == 1, history
        assert history[-1]["status"] == "deployed", history


def test_neither_secret_nor_file_nor_connection_nor_lock_is_left(cluster: Cluster, poison: tuple[bytes, ...]):
    home, root = cluster.repository.home, cluster.root
    assert not files_with(poison, home.temporary, root / ".slipway", root / ".git", Path("/dev/shm"))
    control = home.temporary / "control"
    control.write_bytes(b"so " + poison[0] + b" is found")
    assert files_with(poison, home.temporary) == [control]
    control.unlink()
    assert [path.name for path in home.temporary.iterdir()] == []
    assert not [path for path in (root / ".git").iterdir() if path.name.startswith("slipway")]
    for node in ("cp1", "w1"):
        nobody_is_connected(cluster.repository, node)
    assert "deploy.lock" not in cluster.repository.sh("cp1", "ls /run/slipway").split(), "the lock was given back"


def keys(cluster: Cluster) -> set[str]:
    """The age keys that Flux opens files with."""
    data = cluster.get("secrets", "sops-age", "flux-system")["data"]["age.agekey"]
    return {line for line in base64.b64decode(data).decode().splitlines() if not line.startswith("#")}


def handed_over(repository: Repository) -> dict[str, str]:
    return {each["step"]: each["state"] for each in repository.slipway("handoff", "--json").ended(0).json["steps"]}


def test_another_age_key_reaches_the_cluster_before_the_one_before_goes(cluster: Cluster):
    repository = cluster.repository
    handed_over(repository)
    before = keys(cluster)
    repository.slipway("secrets", "rotate", "age").ended(0)
    assert handed_over(repository)["credentials"] == "ok"
    assert before < keys(cluster), "what is encrypted to either opens"
    repository.slipway("secrets", "rotate", "age", "--finish").ended(0)
    plain = store.kubernetes_secret("secrets", "since", {"word": b"encrypted to the new key alone"})
    name = Path("gitops/bootstrap/secrets/app/since.sops.yaml")
    (cluster.root / name).parent.mkdir(parents=True, exist_ok=True)
    (cluster.root / name).write_bytes(sops.encrypt(plain, cluster.root, name))
    repository.slipway("generate").ended(0)
    assert handed_over(repository)["credentials"] == "ok"
    assert not keys(cluster) & before
    owner = cluster.get("secrets", "since", "secrets")["metadata"]["labels"]["kustomize.toolkit.fluxcd.io/name"]
    assert owner == "secrets", "Flux has opened it and applied it"


def test_a_teardown_that_was_killed_is_taken_back_and_one_that_was_not_leaves_nothing(cluster: Cluster):
    repository, name = cluster.repository, cluster.inventory.cluster.name
    for each in ("flux-system", "bootstrap"):
        # As far as a teardown comes in its first second.
        suspended = json.dumps({"metadata": {"annotations": {sources.GOING: "true"}}, "spec": {"suspend": True}})
        words = (
            "patch",
            sources.KUSTOMIZATION,
            each,
            "--namespace=flux-system",
            "--type=merge",
            f"--patch={suspended}",
        )
        cluster.kubectl(*words)
    (cluster.root / "notes").write_text("a commit that Flux has to apply\n")
    handed_over(repository)
    assert not [each for each in sources.kustomizations(cluster.kubeconfig) if each["spec"].get("suspend")]

    gone = [each["name"] for each in repository.slipway("teardown", "--yes", name, "--json").ended(0).json["removed"]]
    assert gone == ["flux", "flux-operator", "gitea"]
    assert cluster.get(sources.KUSTOMIZATION, namespace=kubectl.EVERY) == {}, "the kind is gone with Flux"
    pods = cluster.get("pods", namespace="gitea").get("items", ())
    assert {pod["status"]["phase"] for pod in pods} <= {"Succeeded"}, "Jobs that are done, and nothing that runs"
    assert repository.slipway("status", "--quick", "--json").ended(0).json["next"] == "slipway handoff"
    assert "nothing of the stages is" in repository.slipway("teardown", "--yes", name).ended(0).err
    assert handed_over(repository)["webhook"] == "ok", "it is proven anew"
