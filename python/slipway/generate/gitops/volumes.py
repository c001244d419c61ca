"""Volumes that are saved and brought back: claims, the components of each mode, and which mode uses which.

A claim stands in a Flux Kustomization of its own, with a guard that also binds it; what saves it stands in a second,
since VolSync's first backup begins at once and would make the repository that the guard asks for.
"""

from __future__ import annotations

from typing import Any

from slipway.generate.gitops.apps import App, Volume
from slipway.generate.gitops.policy import Manifest
from slipway.generate.templates import to_yaml
from slipway.inventory import Inventory

STORAGE_CLASS = "slipway-local"
"""Of volumes that stay when their claims go."""
SCRATCH_CLASS = "slipway-scratch"
"""Of volumes that go with their claims: restic's caches, and the copy that each backup is taken from."""
MODES = ("install", "restore", "restore-only", "none")
SAVES = ("install", "restore")
COMPONENT = "kustomize.config.k8s.io/v1alpha1"
ONCE = {"kustomize.toolkit.fluxcd.io/ssa": "IfNotPresent", "kustomize.toolkit.fluxcd.io/prune": "disabled"}
"""Annotations of a claim, and of what is done for it once. Both stay when their app goes: with one that comes back an
old backup would be put over what the claim holds by then."""


def size(number: int) -> str:
    """Bytes as Kubernetes writes them."""
    return f"{number >> 30}Gi" if number % (1 << 30) == 0 else f"{number >> 20}Mi"


def dump_schedule(schedule: str) -> str:
    """An hour before the backups, where their hour is a plain number; else at the first minute of every hour."""
    minute, hour, *rest = schedule.split()
    return " ".join((minute, str((int(hour) - 1) % 24), *rest)) if hour.isdigit() else " ".join(("1", "*", *rest))


def restored(inventory: Inventory) -> bool:
    return inventory.stages.mode in ("restore", "restore-only")


def saves(inventory: Inventory) -> bool:
    return inventory.stages.mode in SAVES


def claim_components(inventory: Inventory, volume: Volume) -> list[str]:
    """The components of the claim's own Kustomization."""
    mode = inventory.stages.mode
    secret = {"install": ["restic-backup"], "none": []}.get(mode, ["restic-restore"])
    return [f"volume-{mode}", *([] if volume.sops else secret)]


def backup_components(inventory: Inventory, volume: Volume) -> list[str]:
    """The components of what saves the volume. The Secret is there already where the guard asked with it."""
    needs = inventory.stages.mode == "restore" and not volume.sops
    paused = ["backup-paused"] if inventory.stages.mode == "restore" and not inventory.stages.backup.verified else []
    return ["volume-backup", *paused, *(["restic-backup"] if needs else [])]


def claim(inventory: Inventory, app: App, volume: Volume) -> Manifest:
    code = size(inventory.stages.code_hosting.size)
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": name_of(app, volume), "namespace": app.namespace, "annotations": dict(ONCE)},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": STORAGE_CLASS,
            "resources": {"requests": {"storage": volume.size.replace("{code}", code)}},
        },
    }


def name_of(app: App, volume: Volume) -> str:
    return f"{app.name}-{volume.name}"


def about(name: str, namespace: str) -> Manifest:
    """What the components ask: it is read while building and never reaches a cluster."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "volume", "annotations": {"config.kubernetes.io/local-config": "true"}},
        "data": {"name": name, "namespace": namespace},
    }


def mover_patches(volume: Volume) -> list[Manifest]:
    """Who VolSync's movers are, and that they are no more than a namespace takes that enforces the level restricted: of
    what that asks of a pod VolSync sets only the container's part (volsync, internal/controller/mover/restic)."""
    context = {
        "runAsUser": volume.user,
        "runAsGroup": volume.group,
        "fsGroup": volume.group,
        "runAsNonRoot": True,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    patch = [{"op": "add", "path": "/spec/restic/moverSecurityContext", "value": context}]
    return [{"target": {"kind": "Replication.*"}, "patch": to_yaml(patch) + "\n"}]


def replacements(*targets: dict[str, Any]) -> list[dict[str, Any]]:
    """Put the volume's name where the targets say."""
    return [{"source": {"kind": "ConfigMap", "name": "volume", "fieldPath": "data.name"}, "targets": list(targets)}]


def target(kind: str, *paths: str, **options: Any) -> dict[str, Any]:  # noqa: ANN401 (kustomize's own)
    made: dict[str, Any] = {"select": {"kind": kind}, "fieldPaths": list(paths)}
    return {**made, "options": options} if options else made


def repository(inventory: Inventory, prefix: str) -> str:
    return f"{inventory.stages.backup.repository or 's3:https://s3.invalid/none'}/{prefix}"


def components(inventory: Inventory, image: str) -> dict[str, list[Manifest]]:
    """Every component by its name: the kustomization first, then its resources."""
    cluster, backup = inventory.cluster.name, inventory.stages.backup
    own = Volume("", "")
    return {
        "volume": [_of_mode(claim_components(inventory, own))],
        "backup": [_of_mode(backup_components(inventory, own) if saves(inventory) else ["backup-paused"])],
        "volume-none": _guarded(image, "none"),
        "volume-install": _guarded(image, "install"),
        "volume-restore": _restoring(image),
        "volume-restore-only": _restoring(image),
        "volume-backup": _backup(inventory),
        "backup-paused": [_component([], patches=[_paused()])],
        "restic-backup": _restic("backup", repository(inventory, backup.to or cluster)),
        "restic-restore": _restic("restore", repository(inventory, backup.from_ or cluster)),
    }


def _component(resources: list[str], **more: Any) -> Manifest:  # noqa: ANN401 (kustomize's own)
    made: Manifest = {"apiVersion": COMPONENT, "kind": "Component"}
    return {**made, **({"resources": resources} if resources else {}), **more}


def _of_mode(names: list[str]) -> Manifest:
    """For apps that people wrote, which must not change with the mode: what it asks for now. Kustomize takes no empty
    one; to pause where nothing is saved does nothing."""
    return _component([], components=[f"../{name}" for name in names])


def _paused() -> Manifest:
    patch = "- op: add\n  path: /spec/paused\n  value: true\n"
    return {"target": {"kind": "ReplicationSource"}, "patch": patch}


def _guarded(image: str, mode: str) -> list[Manifest]:
    return [_component(["job.yaml"], replacements=replacements(*_job_targets())), _guard(image, mode)]


def _job_targets() -> tuple[dict[str, Any], ...]:
    return (
        target("Job", "metadata.name", delimiter="-", index=0),
        target("Job", "spec.template.spec.volumes.0.persistentVolumeClaim.claimName"),
        target("Job", "spec.template.spec.containers.0.envFrom.0.secretRef.name", delimiter="-", index=0),
    )


GUARDS = {
    "none": "echo the volume is there",
    "install": """\
# A volume that holds something is no beginning.
shopt -s nullglob dotglob
for found in /volume/*; do
  [ "${found##*/}" = lost+found ] || { echo "this volume holds something, and goes on"; exit 0; }
done
# restic ends with 10 where there is no repository (restic, doc/075_scripting.rst).
code=0; restic --no-cache --no-lock cat config > /tmp/config 2> /tmp/said || code=$?
case $code in
  10) echo "no repository yet: this volume begins empty" ;;
  0) echo "refused: $RESTIC_REPOSITORY exists, and the mode install begins with an empty volume." \\
       "Take the mode restore, or another prefix in stages.backup.to" >&2; exit 1 ;;
  *) cat /tmp/said >&2; exit 1 ;;
esac
""",
    "restore": """\
snapshots=$(restic --no-cache --no-lock snapshots --json)
case $snapshots in
  *'"id"'*) echo "there is a snapshot to restore" ;;
  *) echo "refused: $RESTIC_REPOSITORY has no snapshot, and an empty volume would pass for the restored one." \\
       "See stages.backup.from, or take the mode install" >&2; exit 1 ;;
esac
""",
}


def _guard(image: str, mode: str) -> Manifest:
    """A Job that mounts the claim, so that it is bound, and asks its question."""
    secret = {"install": "backup", "restore": "restore"}.get(mode)
    container: Manifest = {
        "name": "guard",
        "image": image,
        "command": ["/bin/bash", "-ec", GUARDS[mode]],
        # Always there, so that one replacement fits every mode; without a Secret of that name it gives nothing.
        "envFrom": [{"secretRef": {"name": f"VOLUME-{secret or 'backup'}", **({} if secret else {"optional": True})}}],
        "volumeMounts": [{"name": "volume", "mountPath": "/volume"}, {"name": "tmp", "mountPath": "/tmp"}],  # noqa: S108 (in the container)
        "resources": {"requests": {"cpu": "10m", "memory": "64Mi"}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": f"VOLUME-{mode}", "annotations": dict(ONCE)},
        "spec": {
            "backoffLimit": 4,
            "template": {
                "spec": {
                    "restartPolicy": "Never",
                    "automountServiceAccountToken": False,
                    "securityContext": {
                        "runAsNonRoot": True,
                        "runAsUser": 65534,
                        "runAsGroup": 65534,
                        "seccompProfile": {"type": "RuntimeDefault"},
                    },
                    "containers": [container],
                    "volumes": [
                        {"name": "volume", "persistentVolumeClaim": {"claimName": "VOLUME"}},
                        {"name": "tmp", "emptyDir": {}},
                    ],
                }
            },
        },
    }


def _restoring(image: str) -> list[Manifest]:
    targets = (
        *_job_targets(),
        target("ReplicationDestination", "metadata.name", "spec.restic.destinationPVC"),
        target("ReplicationDestination", "spec.restic.repository", delimiter="-", index=0),
    )
    destination: Manifest = {
        "apiVersion": "volsync.backube/v1alpha1",
        "kind": "ReplicationDestination",
        "metadata": {"name": "VOLUME", "annotations": dict(ONCE)},
        "spec": {
            "trigger": {"manual": "restore-once"},
            "restic": {
                "repository": "VOLUME-restore",
                "copyMethod": "Direct",
                "destinationPVC": "VOLUME",
                "cacheCapacity": "1Gi",
                "cacheStorageClassName": SCRATCH_CLASS,
                "cleanupCachePVC": True,
                "enableFileDeletion": True,
            },
        },
    }
    files = ["job.yaml", "replicationdestination.yaml"]
    return [_component(files, replacements=replacements(*targets)), _guard(image, "restore"), destination]


def _backup(inventory: Inventory) -> list[Manifest]:
    keep = inventory.stages.backup.keep
    targets = (
        target("ReplicationSource", "metadata.name", "spec.sourcePVC"),
        target("ReplicationSource", "spec.restic.repository", delimiter="-", index=0),
    )
    source: Manifest = {
        "apiVersion": "volsync.backube/v1alpha1",
        "kind": "ReplicationSource",
        "metadata": {"name": "VOLUME"},
        "spec": {
            "sourcePVC": "VOLUME",
            "trigger": {"schedule": inventory.stages.backup.schedule},
            "restic": {
                "repository": "VOLUME-backup",
                "copyMethod": "Direct" if inventory.stages.storage.provider == "local-path" else "Snapshot",
                "storageClassName": SCRATCH_CLASS,
                "cacheCapacity": "1Gi",
                "cacheStorageClassName": SCRATCH_CLASS,
                "pruneIntervalDays": 14,
                # A cluster that was lost in the middle of a backup has left a lock.
                "unlock": inventory.stages.mode,
                "retain": {"daily": keep.daily, "weekly": keep.weekly, "monthly": keep.monthly},
            },
        },
    }
    return [_component(["replicationsource.yaml"], replacements=replacements(*targets)), source]


def _restic(purpose: str, prefix: str) -> list[Manifest]:
    """VolSync wants everything about a repository in one Secret of the volume's namespace; Git has its parts once."""
    where = prefix.count("/")
    targets = (
        target("ExternalSecret", "metadata.name", "spec.target.name", delimiter="-", index=0),
        target("ExternalSecret", "spec.target.template.data.RESTIC_REPOSITORY", delimiter="/", index=where + 2),
    )
    namespace = {
        "source": {"kind": "ConfigMap", "name": "volume", "fieldPath": "data.namespace"},
        "targets": [
            target("ExternalSecret", "spec.target.template.data.RESTIC_REPOSITORY", delimiter="/", index=where + 1)
        ],
    }
    keys = {"RESTIC_PASSWORD": "backup-repo", "AWS_ACCESS_KEY_ID": "backup-s3", "AWS_SECRET_ACCESS_KEY": "backup-s3"}
    data = {"RESTIC_REPOSITORY": f"{prefix}/NAMESPACE/VOLUME", **{key: f"{{{{ .{key} }}}}" for key in keys}}
    secret: Manifest = {
        "apiVersion": "external-secrets.io/v1",
        "kind": "ExternalSecret",
        "metadata": {"name": f"VOLUME-{purpose}"},
        "spec": {
            "refreshInterval": "1h",
            "secretStoreRef": {"kind": "ClusterSecretStore", "name": "secrets"},
            "target": {"name": f"VOLUME-{purpose}", "deletionPolicy": "Retain", "template": {"data": data}},
            "data": [{"secretKey": key, "remoteRef": {"key": name, "property": key}} for key, name in keys.items()],
        },
    }
    made = replacements(*targets)
    return [_component(["externalsecret.yaml"], replacements=[*made, namespace]), secret]
