"""The stage cluster-base-apps: OpenBao opens itself, secrets are handed out, volumes are saved, and all comes back.

The tests run in order, as a site would live: handed over, a fault, and the loss of every machine. `make rebuild`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.lab.conftest import of_tests
from tests.lab.harness import Cluster, Home, Repository, eventually

from slipway.cluster import kubeconfig
from slipway.events import Events
from slipway.generate.gitops.secrets import BY_NAME
from slipway.lab import account, supplies
from slipway.lab.settings import FOR_TESTS, Lab
from slipway.secret import Secret
from slipway.secrets import store
from slipway.ssh.pool import Pool
from slipway.stages import repository as sources
from slipway.tools import s3

pytestmark = pytest.mark.lab

STAGE = "cluster-base-apps"
BY_THEMSELVES = 600.0
"""Seconds for what a cluster does by itself, on a machine that has much else to do."""
SIGN_IN = "export BAO_TOKEN=$(bao write -field=token auth/userpass/login/admin password=-)"
KUSTOMIZATIONS = "kustomizations.kustomize.toolkit.fluxcd.io"


class Patient(Repository):
    """A hand-off of this stage is several minutes of others' work."""

    timeout = 3600.0


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    supplies.ensure(Events(), STAGE)
    with of_tests(FOR_TESTS[2]) as chosen, pytest.MonkeyPatch.context() as patch:
        patch.setenv("SLIPWAY_LAB", str(chosen.number))
        yield chosen


@pytest.fixture(scope="module")
def repository(lab: Lab, home: Home, tmp_path_factory: pytest.TempPathFactory) -> Repository:
    found = Patient(tmp_path_factory.mktemp("base") / "repository", home)
    found.slipway("lab", "up", "--until", STAGE).ended(0)
    found.slipway("lab", "init", str(found.root)).ended(0)
    change(found, "stages:\n", "stages:\n  readyTimeout: 30m\n")
    return found


def change(repository: Repository, before: str, after: str) -> None:
    """One place of the inventory."""
    file = repository.root / "inventory.yaml"
    text = file.read_text()
    assert text.count(before) == 1, text
    file.write_text(text.replace(before, after))


def handed_over(repository: Repository) -> dict[str, str]:
    """From the machines to the stage; how each step of the hand-off ended."""
    for words in (("generate",), ("deploy",), ("verify",)):
        repository.slipway(*words).ended(0)
    return {step["step"]: step["state"] for step in repository.slipway("handoff", "--json").ended(0).json["steps"]}


@pytest.fixture(scope="module")
def first(repository: Repository) -> dict[str, str]:
    return handed_over(repository)


def connected(repository: Repository) -> Iterator[Cluster]:
    inventory = repository.inventory()
    with Pool.of(inventory) as pool:
        yield Cluster(repository, inventory, pool, kubeconfig.of(inventory, pool))


@pytest.fixture
def cluster(repository: Repository, first: dict[str, str]) -> Iterator[Cluster]:
    yield from connected(repository)


def in_openbao(cluster: Cluster, *words: str) -> str:
    """What `bao` says to whoever signs in as admin with the password of the repository."""
    password = store.read(cluster.root, BY_NAME["openbao-admin"].file).values["password"]
    script = f"{SIGN_IN}; exec bao {' '.join(words)}"
    where = ("exec", "--stdin", "--namespace=openbao", "openbao-0", "--")
    return cluster.kubectl(*where, "sh", "-ec", script, input=Secret(password.reveal()))


def test_the_hand_off_ends_with_secrets_handed_out_and_a_volume_saved(first, cluster, lab):
    assert [name for name in first if name in ("webhook", "openbao", "secrets", STAGE, "backups")] == [
        "webhook", "openbao", "secrets", STAGE, "backups",
    ]  # fmt: skip
    assert cluster.get("secrets", "known", "external-secrets")["data"].keys() == {"cluster"}
    place = s3.Place.parse(f"{account.address(lab)}/lab/openbao/openbao-snapshots/config")
    assert s3.read(place, s3.Account.of(account.login(lab)))


def test_no_app_of_the_stage_was_there_before_bootstrap_was_healthy(cluster):
    """By the cluster's own times: the stage's apps were made after the last app of bootstrap had become Ready."""
    found = cluster.get(KUSTOMIZATIONS, namespace="flux-system")["items"]
    by_name = {each["metadata"]["name"]: each["metadata"]["creationTimestamp"] for each in found}
    of_base = {name for name, each in zip(by_name, found, strict=True) if sources.stage_of(each) == STAGE}
    assert {"openbao", "stores", "volsync"} <= of_base
    (waits,) = [each["spec"]["dependsOn"] for each in found if each["metadata"]["name"] == STAGE]
    assert waits == [{"name": "bootstrap"}]
    server = cluster.get("jobs.batch", namespace="gitea")["items"]
    done = max(each["status"]["completionTime"] for each in server)
    assert done <= min(by_name[name] for name in of_base)


def test_a_second_hand_off_changes_nothing(repository, cluster):
    steps = repository.slipway("handoff", "--json").ended(0).json["steps"]
    assert {step["state"] for step in steps} == {"unchanged"}


def test_openbao_that_is_deleted_opens_itself_and_secrets_go_on(cluster):
    before = cluster.get("pods", "openbao-0", "openbao")["metadata"]["uid"]
    in_openbao(cluster, "kv", "put", "secret/kept", "word=swordfish")
    cluster.kubectl("delete", "pod", "openbao-0", "--namespace=openbao", timeout=BY_THEMSELVES)

    def opened() -> bool:
        pod = cluster.get("pods", "openbao-0", "openbao")
        labels = pod.get("metadata", {}).get("labels", {})
        return bool(labels.get("openbao-sealed") == "false" and pod["metadata"]["uid"] != before)

    eventually(opened, "OpenBao open by itself", deadline=BY_THEMSELVES)
    cluster.kubectl("delete", "secret", "known", "--namespace=external-secrets")
    eventually(
        lambda: cluster.get("secrets", "known", "external-secrets"), "the secret out of OpenBao", deadline=BY_THEMSELVES
    )
    assert json.loads(in_openbao(cluster, "kv", "get", "-format=json", "secret/kept"))["data"]["data"] == {
        "word": "swordfish"
    }


def save(cluster: Cluster) -> None:
    """A snapshot now, and a backup of it, as their schedules would make them."""
    cluster.kubectl("create", "job", "--namespace=openbao", "--from=cronjob/snapshot", "now")
    wait = ("wait", "--namespace=openbao", "--for=condition=complete", "job/now", f"--timeout={BY_THEMSELVES:.0f}s")
    cluster.kubectl(*wait, timeout=BY_THEMSELVES + 30)
    kind, name, where = "replicationsources.volsync.backube", "openbao-snapshots", "openbao"
    asked = json.dumps({"spec": {"trigger": {"manual": "now"}}})
    cluster.kubectl("patch", kind, name, f"--namespace={where}", "--type=merge", f"--patch={asked}")

    def saved() -> bool:
        status = cluster.get(kind, name, where).get("status", {})
        return bool(status.get("lastManualSync") == "now" and status["latestMoverStatus"]["result"] == "Successful")

    eventually(saved, "the backup", deadline=BY_THEMSELVES)


def test_after_the_loss_of_every_machine_openbao_comes_back_out_of_s3(repository, cluster, lab):
    save(cluster)
    repository.slipway("lab", "down", "--keep-s3").ended(0)
    assert [path.name for path in Path(lab.state).iterdir()] == ["s3"]
    repository.slipway("lab", "up", "--until", STAGE).ended(0)
    change(repository, "mode: install", "mode: restore")
    repository.slipway("lab", "init", str(repository.root)).ended(0)
    repository.slipway("secrets", "init").ended(0)
    handed_over(repository)
    for again in connected(repository):
        kept = json.loads(in_openbao(again, "kv", "get", "-format=json", "secret/kept"))["data"]["data"]
        assert kept == {"word": "swordfish"}
        source = again.get("replicationsources.volsync.backube", "openbao-snapshots", "openbao")
        assert source["spec"]["paused"] is True, "until somebody has looked at what came back"
