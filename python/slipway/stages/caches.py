"""Volumes that hold nothing of anybody: restic's caches, and the copies that backups are taken from.

They are of a storage class of their own, and go with their claims, which go with what VolSync made them for.
"""

from __future__ import annotations

from slipway.generate.gitops.volumes import SCRATCH_CLASS
from slipway.tools import kubectl
from slipway.tools.kubeconfig import Kubeconfig


def there(kubeconfig: Kubeconfig) -> tuple[str, ...]:
    """Their names, of the PersistentVolumes of the whole cluster."""
    volumes = kubectl.get(kubeconfig, "persistentvolumes").get("items", ())
    return tuple(
        volume["metadata"]["name"] for volume in volumes if volume["spec"].get("storageClassName") == SCRATCH_CLASS
    )
