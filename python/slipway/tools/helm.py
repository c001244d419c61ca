"""The program helm. Every call takes a Kubeconfig, which is made of parts; values go in by standard input."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from slipway import oci
from slipway.errors import DeployFailed, PrerequisiteMissing
from slipway.result import NO_SENSE, CommandFailed, CommandResult, OddAnswer
from slipway.tools.kubeconfig import Kubeconfig
from slipway.tools.run import run

TIMEOUT = 120.0
LONGEST_WORK = 600.0
"""Seconds after which a helm that has begun is taken for dead: its own --timeout is 300 s unless somebody sets it."""


@dataclass(frozen=True)
class Release:
    """A release as the cluster has it. `status` in Helm's words: deployed, failed, pending-install, ...

    `since` is when its revision was begun, in seconds of the clock of whoever began it; 0 if that is not known.
    """

    name: str
    chart: str
    version: str
    revision: int
    status: str
    values: Mapping[str, Any]
    since: float = 0.0

    @property
    def interrupted(self) -> bool:
        """A helm is at work, or one that was killed has left this behind: Helm refuses every further change."""
        return self.status.startswith("pending-")


class AtWork(DeployFailed):
    """Somebody else's helm may be at work on this release right now."""


def located(mirrors: Mapping[str, str], repository: str, name: str, version: str, digest: str = "") -> str:
    """What to give helm for a chart of `repository` (oci://...): the chart there, or in what stands in for it.

    A stand-in is another address of a registry or a folder with archives NAME-VERSION.tgz. With a `digest` (sha256:...)
    Helm takes that artifact alone, and refuses a version that is another one (helm.sh/helm pkg/registry/client.go,
    ValidateReference). Raises PrerequisiteMissing where the folder lacks the archive.
    """
    place = mirrors.get(repository, repository).rstrip("/")
    if oci.is_registry(place):
        return f"{place}/{name}" + (f"@{digest}" if digest else "")
    archive = Path(place) / f"{name}-{version}.tgz"
    if not archive.exists():
        raise PrerequisiteMissing(
            f"{archive}: missing; mirrors.charts of the inventory puts {place} in place of {repository}",
            hint=f"helm pull {repository}/{name} --version {version} --destination {place}",
        )
    return str(archive)


def helm(kubeconfig: Kubeconfig, *words: str, input: bytes | None = None, timeout: float = TIMEOUT) -> CommandResult:
    """Run `helm WORDS`; `timeout` in seconds."""
    with kubeconfig.for_clients() as path:
        return run(["helm", *words], input=input, env={"KUBECONFIG": path}, timeout=timeout)


def get(kubeconfig: Kubeconfig, namespace: str, name: str) -> Release | None:
    """The newest revision of a release, or None."""
    try:
        about = _get(kubeconfig, "metadata", namespace, name)
    except CommandFailed as failed:
        if "release: not found" in failed.result.stderr:
            return None
        raise
    values = _get(kubeconfig, "values", namespace, name)
    try:
        return _release(name, json.loads(about), json.loads(values) or {})
    except NO_SENSE as error:
        # Without a quotation: values may hold secrets.
        raise OddAnswer("helm", f"get {name} in {namespace}", None, type(error).__name__) from None


def _release(name: str, about: Mapping[str, Any], values: Mapping[str, Any]) -> Release:
    since = datetime.fromisoformat(about["deployedAt"]).timestamp() if about.get("deployedAt") else 0.0
    return Release(name, about["chart"], about["version"], int(about["revision"]), about["status"], values, since)


def same_version(one: str, other: str) -> bool:
    """Whether two versions of a chart are the same release of it: build metadata (`+...`) does not count (semver.org,
    10), and registries rewrite it."""
    return one.partition("+")[0].removeprefix("v") == other.partition("+")[0].removeprefix("v")


def _time(since: float) -> str:
    return datetime.fromtimestamp(since, UTC).isoformat(timespec="seconds")


def _get(kubeconfig: Kubeconfig, what: str, namespace: str, name: str) -> str:
    return helm(kubeconfig, "get", what, name, f"--namespace={namespace}", "--output=json").stdout


def upgrade(
    kubeconfig: Kubeconfig, namespace: str, name: str, chart: str, version: str, values: Mapping[str, Any]
) -> CommandResult:
    """Install or upgrade a release from a chart (folder, archive or address); does not wait for its pods.

    What somebody else has set meanwhile is taken from them: Helm 4 refuses otherwise, Helm 3 never asked.
    """
    words = ["upgrade", name, oci.url(chart), "--install"]
    words += [f"--namespace={namespace}", f"--version={version}", "--values=-"]
    words += ["--plain-http"] if oci.is_plain(chart) else []
    given = json.dumps(values).encode()
    try:
        return helm(kubeconfig, *words, input=given)
    except CommandFailed as failed:
        if "conflict" not in failed.result.stderr:
            raise
        return helm(kubeconfig, *words, "--server-side=true", "--force-conflicts", input=given)


def uninstall(kubeconfig: Kubeconfig, namespace: str, name: str) -> None:
    """Take a release away, and wait until what it made is gone."""
    helm(kubeconfig, "uninstall", name, f"--namespace={namespace}", "--wait", "--ignore-not-found")


def put_right(kubeconfig: Kubeconfig, namespace: str, release: Release) -> CommandResult:
    """Take back what an interrupted helm left: the first revision altogether, a later one to the one before.

    Raises AtWork while that helm may still be running, here or at another deployer's.
    """
    verb = "uninstall" if release.revision == 1 else "rollback"
    age = time.time() - release.since
    if age < LONGEST_WORK:
        raise AtWork(
            f"Helm release {release.name} in {namespace} is {release.status}: somebody's helm began revision "
            f"{release.revision} at {_time(release.since)}, and counts as dead only after {LONGEST_WORK:.0f} s",
            hint=f"again later; or, if no helm runs anywhere: helm --namespace {namespace} {verb} {release.name}",
        )
    return helm(kubeconfig, verb, release.name, f"--namespace={namespace}")
