"""The last step of the hand-off: a commit that is pushed now is applied, because the Git server has called Flux.

The commit has one file more than the checkout's, a ConfigMap that nothing reads. It is pushed, looked for in the
cluster, and taken back; the ConfigMap stays, and says that this was so once.
"""

from __future__ import annotations

import json
import secrets
import time

from slipway.errors import DeployFailed
from slipway.stages.bootstrap import FLUX_NAMESPACE, Site, awaited
from slipway.stages.model import Stage
from slipway.stages.repository import MARKER, SOURCE, remote, source_lacks, stage
from slipway.tools import git, kubectl
from slipway.wait import WaitedTooLong, wait_until

NAME = "slipway-handoff"
DEADLINE = 30.0
"""Seconds from the push to the object in the cluster: half of the minute after which Flux would look by itself."""
EXPECTED = 10.0
"""Seconds that it should take at most; a cluster with nothing else to do needs four or five."""
INTERVAL = 0.2


class NotCalled(DeployFailed):
    """Flux does not hear of pushes."""


def proof(site: Site) -> bool | str:
    """Prove it once for a cluster; what was seen, in words."""
    if proven(site):
        return False
    took = measure(site)
    # What was pushed and taken back is applied twice; a status that is asked for next shall not find it in the middle.
    stage(site, Stage.BOOTSTRAP)
    late = "" if took <= EXPECTED else f", more than the {EXPECTED:g} s that are usual"
    return f"a commit was applied {took:.1f} s after its push{late}"


def proven(site: Site) -> bool:
    return bool(_marker(site))


def measure(site: Site) -> float:
    """Seconds from the end of a push to its object in the cluster. Raises NotCalled."""
    commit, word = git.head(site.root), secrets.token_hex(8)
    marker = git.beside(
        site.root, commit, MARKER, _manifest(word), "Ask whether a push reaches Flux\n\nslipway handoff"
    )
    before = _handled(site)
    with remote(site) as server:
        git.push(site.root, server, marker, instead_of=commit)
        began = time.monotonic()
        try:
            _await_word(site, word)
            took = time.monotonic() - began
        finally:
            git.push(site.root, server, commit, instead_of=marker)
    if _handled(site) == before:
        raise NotCalled(f"Flux found a commit {took:.0f} s after its push, but was not called", hint=_hint(site))
    awaited(site, lambda: source_lacks(site, commit), f"GitRepository {SOURCE[1]} back at {commit[:12]}")
    return took


def _await_word(site: Site, word: str) -> None:
    def there() -> tuple[bool | None, str]:
        found = _marker(site).get("data", {}).get("word", "")
        return (True, "") if found == word else (None, source_lacks(site, "") or "not applied yet")

    try:
        wait_until(there, deadline=DEADLINE, describe="a pushed commit to be applied", interval=INTERVAL)
    except WaitedTooLong as error:
        raise NotCalled(str(error), hint=_hint(site)) from None


def _hint(site: Site) -> str:
    return f"slipway open {site.git}, then Settings, Webhooks of {site.repository}: what was answered to the last push"


def _marker(site: Site) -> dict[str, dict[str, str]]:
    return kubectl.get(site.kubeconfig, "configmaps", NAME, namespace=FLUX_NAMESPACE)


def _handled(site: Site) -> str:
    """The last call that source-controller has answered with a look at the repository."""
    status = kubectl.get(site.kubeconfig, *SOURCE, namespace=FLUX_NAMESPACE).get("status", {})
    return str(status.get("lastHandledReconcileAt", ""))


def _manifest(word: str) -> bytes:
    about = {"name": NAME, "namespace": FLUX_NAMESPACE}
    return json.dumps({"apiVersion": "v1", "kind": "ConfigMap", "metadata": about, "data": {"word": word}}).encode()


def lacks(site: Site) -> str:
    return "" if proven(site) else "not proven yet"
