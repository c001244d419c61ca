"""The program helm. Every call takes the kubeconfig as a Secret; values go in by standard input."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from slipway.errors import PrerequisiteMissing
from slipway.result import CommandFailed, CommandResult
from slipway.secret import Secret
from slipway.tools.run import run

TIMEOUT = 120.0


@dataclass(frozen=True)
class Release:
    """A release as the cluster has it. `status` in Helm's words: deployed, failed, pending-install, ..."""

    name: str
    chart: str
    version: str
    revision: int
    status: str
    values: Mapping[str, Any]

    @property
    def interrupted(self) -> bool:
        """Left behind by a helm that was killed: it refuses every further change until that is put right."""
        return self.status.startswith("pending-")


def located(mirrors: Mapping[str, str], repository: str, name: str, version: str) -> str:
    """What to give helm for a chart of `repository` (oci://...): the chart there, or in what stands in for it.

    A stand-in is another oci:// address or a folder with archives NAME-VERSION.tgz. Raises PrerequisiteMissing where
    the folder lacks the archive.
    """
    place = mirrors.get(repository, repository).rstrip("/")
    if place.startswith("oci://"):
        return f"{place}/{name}"
    archive = Path(place) / f"{name}-{version}.tgz"
    if not archive.exists():
        raise PrerequisiteMissing(
            f"{archive}: missing; mirrors.charts of the inventory puts {place} in place of {repository}",
            hint=f"helm pull {repository}/{name} --version {version} --destination {place}",
        )
    return str(archive)


def helm(kubeconfig: Secret, *words: str, input: bytes | None = None, timeout: float = TIMEOUT) -> CommandResult:
    """Run `helm WORDS`; `timeout` in seconds."""
    with kubeconfig.as_file() as path:
        return run(["helm", *words], input=input, env={"KUBECONFIG": path}, timeout=timeout)


def get(kubeconfig: Secret, namespace: str, name: str) -> Release | None:
    """The newest revision of a release, or None."""
    try:
        found = json.loads(_get(kubeconfig, "metadata", namespace, name))
    except CommandFailed as failed:
        if "release: not found" in failed.result.stderr:
            return None
        raise
    values = json.loads(_get(kubeconfig, "values", namespace, name)) or {}
    return Release(name, found["chart"], found["version"], int(found["revision"]), found["status"], values)


def _get(kubeconfig: Secret, what: str, namespace: str, name: str) -> str:
    return helm(kubeconfig, "get", what, name, f"--namespace={namespace}", "--output=json").stdout


def upgrade(
    kubeconfig: Secret, namespace: str, name: str, chart: str, version: str, values: Mapping[str, Any]
) -> CommandResult:
    """Install or upgrade a release from a chart (folder, archive or oci:// address); does not wait for its pods."""
    words = ["upgrade", name, chart, "--install", f"--namespace={namespace}", f"--version={version}", "--values=-"]
    return helm(kubeconfig, *words, input=json.dumps(values).encode())


def put_right(kubeconfig: Secret, namespace: str, release: Release) -> CommandResult:
    """Take back what an interrupted helm left: the first revision altogether, a later one to the one before."""
    verb = "uninstall" if release.revision == 1 else "rollback"
    return helm(kubeconfig, verb, release.name, f"--namespace={namespace}")
