"""The guards of the modes, run as the pods run them with a restic of the test's; and when dumps are made."""

import re
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from slipway.generate import gitops
from slipway.generate.gitops import volumes
from slipway.generate.gitops.apps import APPS

SNAPSHOT = '[{"id":"4bba301e","time":"2026-11-01T03:17:00Z"}]'


def guard(folder: Path, mode: str, restic: str, *holds: str) -> subprocess.CompletedProcess[str]:
    """The script of a mode, with `restic` as the body of a program of that name and files that the volume holds."""
    (folder / "volume").mkdir()
    for name in holds:
        (folder / "volume" / name).touch()
    program = folder / "restic"
    program.write_text(f"#!/bin/sh\n{restic}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    script = volumes.GUARDS[mode].replace("/tmp/", f"{folder}/").replace("/volume/", f"{folder}/volume/")
    environment = {"PATH": f"{folder}:/usr/bin:/bin", "RESTIC_REPOSITORY": "s3:https://s3.example.org/b/c/ns/v"}
    return subprocess.run(["/bin/bash", "-ec", script], env=environment, capture_output=True, text=True, check=False)


def test_install_begins_where_there_is_no_repository(tmp_path):
    assert guard(tmp_path, "install", "exit 10").returncode == 0


def test_install_over_an_existing_repository_fails(tmp_path):
    done = guard(tmp_path, "install", "echo '{}'")
    assert done.returncode != 0
    assert "refused: s3:https://s3.example.org/b/c/ns/v exists" in done.stderr


@pytest.mark.parametrize("holds", ["openbao.snap", ".hidden"])
def test_install_goes_on_with_a_volume_that_has_stayed(tmp_path, holds):
    """Its stage was taken down, or its app, and comes back; the repository is of this very volume."""
    done = guard(tmp_path, "install", "echo '{}'", holds)
    assert (done.returncode, done.stdout) == (0, "this volume holds something, and goes on\n")


def test_control_what_every_file_system_begins_with_is_no_content(tmp_path):
    assert guard(tmp_path, "install", "echo '{}'", "lost+found").returncode != 0


def test_install_takes_no_answer_for_an_answer(tmp_path):
    """A store that is out of reach may hold a repository."""
    done = guard(tmp_path, "install", "echo 'connection refused' >&2; exit 1")
    assert done.returncode != 0
    assert "connection refused" in done.stderr


def test_restore_goes_on_with_a_snapshot(tmp_path):
    assert guard(tmp_path, "restore", f"echo '{SNAPSHOT}'").returncode == 0


@pytest.mark.parametrize("restic", ["echo '[]'", "echo null", "exit 10", "exit 1"])
def test_restore_without_a_snapshot_fails(tmp_path, restic):
    assert guard(tmp_path, "restore", restic).returncode != 0


@pytest.mark.parametrize("mode", ["install", "restore"])
def test_guards_never_write(mode):
    """restic's lock is a write into the repository, which may be another cluster's."""
    words = [line for line in volumes.GUARDS[mode].splitlines() if "restic --" in line]
    assert words
    assert all("--no-lock" in line for line in words)


@pytest.mark.parametrize(
    ("backup", "dump"), [("17 3 * * *", "17 2 * * *"), ("5 0 * * 1", "5 23 * * 1"), ("0 */6 * * *", "1 * * * *")]
)
def test_dumps_are_there_before_the_backup(backup, dump):
    assert volumes.dump_schedule(backup) == dump


def component(make: Any, name: str, kind: str, **stages: Any) -> Any:
    backup = {"repository": "s3:https://s3.example.org/b", **stages.pop("backup", {})}
    inventory = make({"stages": {**stages, "backup": backup}})
    (found,) = [each for each in volumes.components(inventory, "image")[name] if each["kind"] == kind]
    return found


def test_what_is_done_once_for_a_volume_stays_as_long_as_the_volume(make):
    """An app that goes and comes back finds its claim, and must not find an old backup put over it."""
    inventory = make({"stages": {"mode": "restore", "backup": {"repository": "s3:https://s3.example.org/b"}}})
    files = [text for path, text in gitops.render(inventory).items() if path.name != "kustomization.yaml"]
    found = [each for text in files for each in yaml.safe_load_all(text)]
    about = {(each["kind"], each["metadata"]["name"]): each["metadata"].get("annotations", {}) for each in found}
    once = [
        ("PersistentVolumeClaim", "openbao-snapshots"), ("ReplicationDestination", "VOLUME"), ("Job", "VOLUME-restore"),
        ("Job", "restore"),
    ]  # fmt: skip
    for each in once:
        assert about[each]["kustomize.toolkit.fluxcd.io/ssa"] == "IfNotPresent"
        assert about[each]["kustomize.toolkit.fluxcd.io/prune"] == "disabled"


@pytest.mark.parametrize(("provider", "method"), [("local-path", "Direct"), ("zfs", "Snapshot")])
def test_what_can_make_snapshots_does(make, provider, method):
    storage = {"provider": provider, **({"pool": "tank"} if provider == "zfs" else {})}
    source = component(make, "volume-backup", "ReplicationSource", mode="install", storage=storage)
    assert source["spec"]["restic"]["copyMethod"] == method


def classes(make, storage: dict[str, str]) -> dict[str, Any]:
    """The storage classes that manifests make, by name."""
    rendered = gitops.render(make({"stages": {"storage": storage}}))
    files = [text for path, text in rendered.items() if "/cluster-base-apps/" in f"/{path}"]
    found = (each for text in files for each in yaml.safe_load_all(text) if each)
    return {each["metadata"]["name"]: each for each in found if each["kind"] == "StorageClass"}


@pytest.mark.parametrize("provider", ["local-path", "lvm", "zfs"])
def test_what_a_backup_makes_for_itself_goes_with_its_claim(make, provider):
    """A class that keeps volumes would keep a copy of all data from every night."""
    storage = {"provider": provider, **({"pool": "tank"} if provider != "local-path" else {})}
    made = classes(make, storage)
    for kind, name in (("ReplicationSource", "volume-backup"), ("ReplicationDestination", "volume-restore")):
        restic = component(make, name, kind, mode="restore", storage=storage)["spec"]["restic"]
        named = {value for key, value in restic.items() if key.endswith("torageClassName")}
        assert {made[each]["reclaimPolicy"] for each in named} == {"Delete"}


@pytest.mark.parametrize("provider", ["lvm", "zfs"])
def test_what_an_application_has_stays_without_its_claim(make, provider):
    kept = classes(make, {"provider": provider, "pool": "tank"})[volumes.STORAGE_CLASS]
    assert kept["reclaimPolicy"] == "Retain"
    assert kept["metadata"]["annotations"] == {"storageclass.kubernetes.io/is-default-class": "true"}


def test_what_is_kept_and_when_is_the_inventorys(make):
    given = {"schedule": "0 4 * * *", "keep": {"daily": "3", "weekly": "2", "monthly": "1"}}
    spec = component(make, "volume-backup", "ReplicationSource", mode="install", backup=given)["spec"]
    assert spec["trigger"] == {"schedule": "0 4 * * *"}
    assert spec["restic"]["retain"] == {"daily": 3, "weekly": 2, "monthly": 1}


@pytest.mark.parametrize(("verified", "paused"), [("false", True), ("true", False)])
def test_backups_after_a_restore_wait_for_somebody_who_looked(make, verified, paused):
    backup = {"repository": "s3:https://s3.example.org/b", "verified": verified}
    inventory = make({"stages": {"mode": "restore", "backup": backup}})
    files = {str(path): text for path, text in gitops.render(inventory).items()}
    build = files["gitops/cluster-base-apps/openbao/snapshots-backup/kustomization.yaml"]
    assert ("backup-paused" in build) is paused


@pytest.mark.parametrize("volume", [each for app in APPS for each in app.volumes], ids=lambda volume: volume.name)
def test_movers_are_pods_that_a_restricted_namespace_takes(volume):
    """What the level restricted asks of a pod (Kubernetes, Pod Security Standards) and VolSync leaves out itself."""
    (patch,) = volumes.mover_patches(volume)
    ((operation,), target) = yaml.safe_load(patch["patch"]), re.compile(patch["target"]["kind"])
    context = operation["value"]
    assert operation["path"] == "/spec/restic/moverSecurityContext"
    assert context["runAsNonRoot"] is True
    assert context["seccompProfile"] == {"type": "RuntimeDefault"}
    assert context["runAsUser"] > 0, "who is not root says so"
    assert all(map(target.fullmatch, ("ReplicationSource", "ReplicationDestination")))
