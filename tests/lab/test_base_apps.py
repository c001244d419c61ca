"""All stages: OpenBao opens itself, secrets are handed out, volumes are saved, and all comes back.

The tests run in order, as a site would live: handed over, some faults, and the loss of every machine and every clone.
`make rebuild`, and with all others of the lab `make nightly`.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.lab.conftest import of_tests
from tests.lab.harness import Cluster, Home, Repository, eventually

from slipway.cluster import kubeconfig
from slipway.events import Events
from slipway.generate.gitops import volumes
from slipway.generate.gitops.secrets import BY_NAME
from slipway.lab import account, cgroups, cold_start, supplies
from slipway.lab.settings import FOR_TESTS, Lab
from slipway.secret import Secret
from slipway.secrets import bundles, keys, store
from slipway.ssh.pool import Pool
from slipway.stages import repository as sources
from slipway.tools import s3

pytestmark = [pytest.mark.lab, pytest.mark.nightly]

BASE, LAST = "cluster-base-apps", "cluster-apps"
BY_THEMSELVES = 600.0
"""Seconds for what a cluster does by itself, on a machine that has much else to do."""
SIGN_IN = "export BAO_TOKEN=$(bao write -field=token auth/userpass/login/admin password=-)"
KUSTOMIZATIONS = "kustomizations.kustomize.toolkit.fluxcd.io"
SOURCES = "replicationsources.volsync.backube"
SNAPSHOTS, DATA = ("openbao", "openbao-snapshots"), ("sample", "sample-data")
"""The volumes that are saved: namespace and name."""
KEPT = "swordfish"
STORE = "http://127.0.0.1:9898/store"
"""Where the sample application takes what it is to keep, and gives it back below the hash that it answers with."""


class Patient(Repository):
    """A hand-off of this stage is several minutes of others' work."""

    timeout = 3600.0


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    supplies.ensure(Events(), LAST)
    with of_tests(FOR_TESTS[2]) as chosen, pytest.MonkeyPatch.context() as patch:
        patch.setenv("SLIPWAY_LAB", str(chosen.number))
        # For the drill that comes before a rebuild.
        patch.setenv("PATH", str(cold_start.ensure(Events())), prepend=":")
        yield chosen


@pytest.fixture(scope="module")
def repository(lab: Lab, home: Home, tmp_path_factory: pytest.TempPathFactory) -> Repository:
    found = Patient(tmp_path_factory.mktemp("base") / "repository", home)
    found.slipway("lab", "up", "--until", LAST).ended(0)
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


def kept_in_openbao(cluster: Cluster) -> str:
    return str(json.loads(in_openbao(cluster, "kv", "get", "-format=json", "secret/kept"))["data"]["data"]["word"])


def test_the_hand_off_ends_with_secrets_handed_out_and_a_volume_saved(first, cluster, lab):
    assert [*first][[*first].index("webhook") :] == [
        "webhook", "openbao", "secrets", BASE, "backups", LAST, "app-backups",
    ]  # fmt: skip
    assert cluster.get("secrets", "known", "external-secrets")["data"].keys() == {"cluster"}
    for volume in (SNAPSHOTS, DATA):
        place = s3.Place.parse(f"{account.address(lab)}/lab/{'/'.join(volume)}/config")
        assert s3.read(place, s3.Account.of(account.login(lab)))


def test_no_app_of_the_stage_was_there_before_bootstrap_was_healthy(cluster):
    """By the cluster's own times: the stage's apps were made after the last app of bootstrap had become Ready."""
    found = cluster.get(KUSTOMIZATIONS, namespace="flux-system")["items"]
    by_name = {each["metadata"]["name"]: each["metadata"]["creationTimestamp"] for each in found}
    of_base = {name for name, each in zip(by_name, found, strict=True) if sources.stage_of(each) == BASE}
    assert {"openbao", "stores", "volsync"} <= of_base
    (waits,) = [each["spec"]["dependsOn"] for each in found if each["metadata"]["name"] == BASE]
    assert waits == [{"name": "bootstrap"}]
    server = cluster.get("jobs.batch", namespace="gitea")["items"]
    done = max(each["status"]["completionTime"] for each in server)
    assert done <= min(by_name[name] for name in of_base)


def test_a_second_hand_off_changes_nothing(repository, cluster):
    steps = repository.slipway("handoff", "--json").ended(0).json["steps"]
    assert {step["state"] for step in steps} == {"unchanged"}


def test_openbao_that_is_deleted_opens_itself_and_secrets_go_on(cluster):
    before = cluster.get("pods", "openbao-0", "openbao")["metadata"]["uid"]
    in_openbao(cluster, "kv", "put", "secret/kept", f"word={KEPT}")
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
    assert kept_in_openbao(cluster) == KEPT


def of_sample(cluster: Cluster, *words: str) -> str:
    """What a command says that is run where the sample application runs."""
    return cluster.kubectl("exec", "--namespace=sample", "deployment/sample", "--container=sample", "--", *words)


def in_sample(cluster: Cluster, *words: str) -> str:
    """What the sample application answers."""
    return of_sample(cluster, "wget", "-qO-", *words)


def test_the_sample_application_says_what_openbao_has_and_keeps_what_it_is_given(cluster):
    eventually(
        lambda: json.loads(in_sample(cluster, "http://127.0.0.1:9898/"))["message"] == "out of OpenBao",
        "the sample application",
        deadline=BY_THEMSELVES,
    )
    kept = json.loads(in_sample(cluster, f"--post-data={KEPT}", STORE))["hash"]
    assert in_sample(cluster, f"{STORE}/{kept}") == KEPT


def begin_backup(cluster: Cluster, volume: Sequence[str], name: str) -> None:
    """As its schedule would."""
    asked = json.dumps({"spec": {"trigger": {"manual": name}}})
    cluster.kubectl("patch", SOURCES, volume[1], f"--namespace={volume[0]}", "--type=merge", f"--patch={asked}")


def await_backup(cluster: Cluster, volume: Sequence[str], name: str) -> None:
    def saved() -> bool:
        status = cluster.get(SOURCES, volume[1], volume[0]).get("status", {})
        return bool(status.get("lastManualSync") == name and status["latestMoverStatus"]["result"] == "Successful")

    eventually(saved, f"the backup of {'/'.join(volume)}", deadline=2 * BY_THEMSELVES)


def backups(repository: Repository) -> dict[str, dict[str, object]]:
    """What `slipway status` tells of volumes."""
    found = repository.slipway("status", "--quick", "--json").ended(0).json["flux"]["items"]
    return {each["name"]: each for each in found if each["kind"] == "backup"}


@contextmanager
def without_s3(lab: Lab) -> Iterator[None]:
    cgroups.end_processes(f"{lab.name}/s3")
    try:
        yield
    finally:
        account.up(lab)


def test_while_s3_is_away_the_status_says_what_is_not_saved_and_afterwards_it_is(repository, cluster, lab):
    volume = "/".join(SNAPSHOTS)
    assert backups(repository)[volume]["ready"] is True
    told: list[str] = []

    def said() -> bool:
        told.append(str(backups(repository)[volume]["why"]))
        return "connection refused" in told[-1]

    with without_s3(lab):
        begin_backup(cluster, SNAPSHOTS, "away")
        eventually(said, "the status", deadline=BY_THEMSELVES)
    assert "the backup fail" in told[-1]
    assert "last saved 20" in told[-1]
    await_backup(cluster, SNAPSHOTS, "away")
    eventually(lambda: backups(repository)[volume]["ready"], "the status", deadline=BY_THEMSELVES)


def is_open(cluster: Cluster) -> bool:
    """Whether OpenBao's pod is ready and says of itself that it is not sealed."""
    pod = cluster.get("pods", "openbao-0", "openbao")
    ready = [each["status"] for each in pod.get("status", {}).get("conditions", ()) if each["type"] == "Ready"]
    return pod.get("metadata", {}).get("labels", {}).get("openbao-sealed") == "false" and ready == ["True"]


def test_a_node_that_openbao_runs_on_is_drained_and_openbao_comes_back_open(repository, cluster):
    """No budget keeps it there: with one replica none ever could let it go. Its volume binds it to its node."""
    before = cluster.get("pods", "openbao-0", "openbao")
    node = before["spec"]["nodeName"]
    assert repository.slipway("reboot", node, "--json").ended(0).json["nodes"][0]["outcome"] == "ok"
    eventually(lambda: is_open(cluster), "OpenBao open by itself", deadline=BY_THEMSELVES)
    after = cluster.get("pods", "openbao-0", "openbao")
    assert after["metadata"]["uid"] != before["metadata"]["uid"], "the node was drained"
    cluster.kubectl("delete", "secret", "known", "--namespace=external-secrets")
    eventually(
        lambda: cluster.get("secrets", "known", "external-secrets"), "the secret out of OpenBao", deadline=BY_THEMSELVES
    )
    repository.verified()


def save(repository: Repository, cluster: Cluster) -> None:
    """What a night does: a snapshot, a backup of each volume, and the repository beside them."""
    cluster.kubectl("create", "job", "--namespace=openbao", "--from=cronjob/snapshot", "now")
    wait = ("wait", "--namespace=openbao", "--for=condition=complete", "job/now", f"--timeout={BY_THEMSELVES:.0f}s")
    cluster.kubectl(*wait, timeout=BY_THEMSELVES + 30)
    for volume in (SNAPSHOTS, DATA):
        begin_backup(cluster, volume, "now")
    for volume in (SNAPSHOTS, DATA):
        await_backup(cluster, volume, "now")
    repository.slipway("secrets", "bundle").ended(0)


def test_after_a_teardown_all_comes_up_again_with_what_its_volumes_held(repository, cluster):
    """And what had been saved of them is in nobody's way."""
    since, name = of_sample(cluster, "cat", "/data/since"), repository.inventory().cluster.name
    in_openbao(cluster, "kv", "put", "secret/kept", "word=since-the-last-snapshot")
    said = repository.slipway("teardown", "--yes", name, "--json").ended(0).json
    gone, caches = said["removed"], said["caches"]
    assert caches, "each volume that was saved had one"
    left = {volume["metadata"]["name"]: volume["spec"] for volume in cluster.get("persistentvolumes")["items"]}
    assert not left.keys() & set(caches)
    assert volumes.SCRATCH_CLASS not in {spec.get("storageClassName") for spec in left.values()}
    stages = [each["stage"] for each in gone]
    assert stages == sorted(stages, key=[LAST, BASE, "bootstrap"].index), "the last stage first"
    assert {"sample", "openbao", "flux", "gitea"} <= {each["name"] for each in gone}
    for namespace in ("sample", "openbao", "flux-system", "gitea"):
        pods = cluster.get("pods", namespace=namespace).get("items", ())
        assert {pod["status"]["phase"] for pod in pods} <= {"Succeeded"}, "Jobs that are done, and nothing that runs"
    assert repository.slipway("status", "--quick", "--json").ended(0).json["next"] == "slipway handoff"

    repository.slipway("handoff").ended(0)
    assert kept_in_openbao(cluster) == "since-the-last-snapshot"
    eventually(lambda: of_sample(cluster, "cat", "/data/since") == since, "its volume", deadline=BY_THEMSELVES)
    in_openbao(cluster, "kv", "put", "secret/kept", f"word={KEPT}")


def test_after_the_loss_of_every_machine_and_every_clone_all_comes_back_out_of_s3_and_the_key(
    repository, cluster, lab, home, tmp_path, monkeypatch
):
    since = of_sample(cluster, "cat", "/data/since")
    kept = json.loads(in_sample(cluster, f"--post-data={KEPT}", STORE))["hash"]
    save(repository, cluster)
    bundle, commit = str(bundles.place_of(repository.inventory())), repository.git("rev-parse", "HEAD").strip()
    offline = str(shutil.copy(keys.key_file(), tmp_path / "offline.txt"))
    repository.slipway("lab", "down", "--keep-s3").ended(0)
    assert [path.name for path in Path(lab.state).iterdir()] == ["s3"]
    shutil.rmtree(repository.root)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "nothing"))
    repository.root.mkdir()
    began = time.monotonic()
    repository.slipway("lab", "up", "--until", LAST).ended(0)
    for name, value in account.login(lab).items():
        monkeypatch.setenv(name, value.reveal().decode())
    told = repository.slipway("rebuild", "again", "--from", bundle, "--age-key", offline, "--json").ended(0).json
    print(f"from no machine to all stages: {time.monotonic() - began:.0f} s")
    for step in told["steps"]:
        print(f"  {step['seconds']:7.1f} s  {step['command']}")
    assert "slipway secrets drill" in [step["command"] for step in told["steps"]]
    monkeypatch.setenv("SOPS_AGE_KEY_FILE", offline)
    back = Patient(repository.root / "again", home)
    assert back.git("rev-parse", "HEAD^").strip() == commit, "nothing but what restores was committed"
    for again in connected(back):
        assert kept_in_openbao(again) == KEPT
        eventually(lambda: of_sample(again, "cat", "/data/since") == since, "its volume", deadline=BY_THEMSELVES)  # noqa: B023
        assert in_sample(again, f"{STORE}/{kept}") == KEPT
        read = again.get("gitrepositories.source.toolkit.fluxcd.io", "flux-system", "flux-system")
        assert read["status"]["artifact"]["revision"].endswith(back.git("rev-parse", "HEAD").strip())
        for volume in (SNAPSHOTS, DATA):
            eventually(
                lambda: again.get(SOURCES, volume[1], volume[0]),  # noqa: B023
                f"what saves {'/'.join(volume)}",
                deadline=BY_THEMSELVES,
            )
            source = again.get(SOURCES, volume[1], volume[0])
            assert source["spec"]["paused"] is True, "until somebody has looked at what came back"
