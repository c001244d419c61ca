"""The last step of the hand-off: a commit that is pushed now is applied, because the Git server has called Flux.

The commit has one file more than the checkout's, a ConfigMap that nothing reads. It is pushed, looked for in the
cluster, and taken back; the ConfigMap stays, and says that this was so, and with which token.

Where the Git server calls follows from the token: with another one Flux's Receiver listens elsewhere, and the Job that
has made the webhook makes another.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import time
from dataclasses import dataclass

from slipway.errors import DeployFailed
from slipway.secrets import store
from slipway.stages import readiness
from slipway.stages.bootstrap import FLUX_NAMESPACE, Site, awaited
from slipway.stages.model import Stage
from slipway.stages.repository import KUSTOMIZATION, MARKER, SOURCE, ask, push, remote, source_lacks, stage
from slipway.tools import git, kubectl
from slipway.wait import WaitedTooLong, wait_until

NAME = "slipway-handoff"
WEBHOOK = "git-webhook"
"""The app of the stage, the Secret with the token, and Flux's Receiver: all have this name."""
RECEIVER = "receivers.notification.toolkit.fluxcd.io"
QUIET = 10.0
"""Seconds of which nothing is told; a cluster with nothing else to do needs four or five."""
INTERVAL = 0.2
LONGER = "to wait longer: stages.proofTimeout in inventory.yaml"


class NotCalled(DeployFailed):
    """Flux does not hear of pushes."""


class NotApplied(DeployFailed):
    """Flux has read what was pushed, and does not apply it: no webhook would help."""


@dataclass(frozen=True)
class Applied:
    """Seconds from the end of a push until Flux had read the commit, and until its object was in the cluster."""

    read: float
    applied: float

    def __str__(self) -> str:
        took = f"a commit was applied {self.applied:.1f} s after its push"
        if self.applied <= QUIET:
            return took
        return (
            f"{took}, more than the {QUIET:g} s that a quiet cluster needs: Flux had read it after {self.read:.0f} s; "
            "how busy the machines are: slipway exec -- uptime"
        )


def proof(site: Site) -> bool | str:
    """Prove it once for a cluster and a token; what was seen, in words."""
    # A try that was cut short may have left its commit there.
    left, missing = push(site), lacks(site)
    if not (left or missing):
        return False
    if missing and _marker(site):
        site.tell(f"{missing}: the webhook is made anew")
        renew(site)
    took = _measured(site)
    # What was pushed and taken back is applied twice; a status that is asked for next shall not find it in the middle.
    stage(site, Stage.BOOTSTRAP)
    return str(took)


def _measured(site: Site) -> Applied:
    """`measure`, once more with a new webhook: the one that is there may be of a token that nobody has any more."""
    try:
        return measure(site)
    except NotCalled as error:
        site.tell(f"{error}: the webhook is made anew")
    renew(site)
    return measure(site)


def lacks(site: Site) -> str:
    """What keeps the webhook from being proven; "" if nothing does. Changes nothing."""
    found = _marker(site)
    if not found:
        return "not proven yet"
    path = _path(site)
    if found.get("data", {}).get("token") != _fingerprint(path):
        return "proven with another token"
    return "" if _listens(site, path) else "Flux listens where another token leads to"


def renew(site: Site) -> None:
    """Have Flux listen where the token leads to now, and the Git server call there; bounded."""
    path = _path(site)
    ask(site, RECEIVER, WEBHOOK)
    awaited(site, lambda: "" if _listens(site, path) else "at another path", f"Receiver {WEBHOOK} at the token's path")
    for job in (each["metadata"] for each in site.app(WEBHOOK).objects if each["kind"] == "Job"):
        _again(site, job["namespace"], job["name"])


def _again(site: Site, namespace: str, name: str) -> None:
    """Run a Job of Flux's once more: one that has ended stays, and Flux makes it again where it is gone."""

    def job() -> dict[str, dict[str, str]]:
        return kubectl.get(site.kubeconfig, "jobs.batch", name, namespace=namespace)

    def identity() -> str:
        return job().get("metadata", {}).get("uid", "")

    before = identity()
    kubectl.delete(site.kubeconfig, "jobs.batch", name, namespace=namespace)
    ask(site, KUSTOMIZATION, WEBHOOK)

    def lacking() -> str:
        found = job()
        old = found and found["metadata"].get("uid", "") == before
        return "the old one is still there" if old else readiness.job(found)

    awaited(site, lacking, f"Job {namespace}/{name} done again")


def _listens(site: Site, path: str) -> bool:
    status = kubectl.get(site.kubeconfig, RECEIVER, WEBHOOK, namespace=FLUX_NAMESPACE).get("status", {})
    return bool(status.get("webhookPath") == f"/hook/{path}")


def _path(site: Site) -> str:
    """Where Flux listens: the hash of the token, the Receiver's name and its namespace (Flux, receiver_types.go)."""
    token = store.read(site.root, store.GIT_WEBHOOK).values["token"].reveal()
    return hashlib.sha256(token + f"{WEBHOOK}{FLUX_NAMESPACE}".encode()).hexdigest()


def _fingerprint(path: str) -> str:
    """Tells one token from another and leads to neither."""
    return hashlib.sha256(path.encode()).hexdigest()[:16]


def measure(site: Site) -> Applied:
    """From the end of a push to its object in the cluster, however late. Raises NotCalled and NotApplied."""
    commit, word = git.head(site.root), secrets.token_hex(8)
    marker = git.beside(
        site.root,
        commit,
        MARKER,
        _manifest(word, _fingerprint(_path(site))),
        "Ask whether a push reaches Flux\n\nslipway handoff",
    )
    before = _handled(site)
    with remote(site) as server:
        git.push(site.root, server, marker, instead_of=commit)
        try:
            took = _awaited(site, marker, word)
        finally:
            git.push(site.root, server, commit, instead_of=marker)
    _require_call(site, before, took)
    awaited(site, lambda: source_lacks(site, commit), f"GitRepository {SOURCE[1]} back at {commit[:12]}")
    return took


def _awaited(site: Site, marker: str, word: str) -> Applied:
    """Wait until the word of the marker is in the cluster."""
    began, read = time.monotonic(), list[float]()

    def there() -> tuple[float | None, str]:
        if _marker(site).get("data", {}).get("word", "") == word:
            return time.monotonic() - began, ""
        missing = source_lacks(site, marker)
        if not (missing or read):
            read.append(time.monotonic() - began)
        return None, missing or "read, and not applied yet"

    try:
        applied = wait_until(
            there,
            deadline=site.proven_within,
            describe="a pushed commit to be applied",
            interval=INTERVAL,
            on_progress=site.tell,
        )
    except WaitedTooLong as error:
        if read:
            raise NotApplied(str(error), hint=f"slipway status --failing; {LONGER}; then slipway handoff") from None
        raise NotCalled(str(error), hint=_hint(site)) from None
    return Applied(min(read, default=applied), applied)


def _require_call(site: Site, before: str, took: Applied) -> None:
    """Flux asks by itself once in a while, and on busy machines that may come first: the call has what is left of the
    proof's time."""

    def called() -> tuple[bool | None, str]:
        return (True, "") if _handled(site) != before else (None, "Flux found the commit by itself; not called yet")

    left = max(0.0, site.proven_within - took.applied)
    try:
        wait_until(called, deadline=left, describe="Flux to be called", interval=INTERVAL, on_progress=site.tell)
    except WaitedTooLong:
        found = f"Flux found a commit {took.applied:.0f} s after its push, but was not called"
        raise NotCalled(found, hint=_hint(site)) from None


def _hint(site: Site) -> str:
    last = f"slipway open {site.git}, then Settings, Webhooks of {site.repository}: what was answered to the last push"
    return f"{last}; {LONGER}"


def _marker(site: Site) -> dict[str, dict[str, str]]:
    return kubectl.get(site.kubeconfig, "configmaps", NAME, namespace=FLUX_NAMESPACE)


def _handled(site: Site) -> str:
    """The last call that source-controller has answered with a look at the repository."""
    status = kubectl.get(site.kubeconfig, *SOURCE, namespace=FLUX_NAMESPACE).get("status", {})
    return str(status.get("lastHandledReconcileAt", ""))


def _manifest(word: str, token: str) -> bytes:
    about = {"name": NAME, "namespace": FLUX_NAMESPACE}
    data = {"word": word, "token": token}
    return json.dumps({"apiVersion": "v1", "kind": "ConfigMap", "metadata": about, "data": data}).encode()
