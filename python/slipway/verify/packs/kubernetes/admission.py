"""Whether the API takes a workload: a canary goes through every admission plug-in and webhook, and is not stored.

k0s kubectl create --dry-run=server -f POD.yaml
"""

from __future__ import annotations

from slipway.verify.backend import NodeHost
from slipway.verify.check import controllers, expect

pytestmark = controllers

CANARY = (
    '{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "slipway-canary", "namespace": "default"},'
    ' "spec": {"containers": [{"name": "canary", "image": "slipway.invalid/canary"}]}}'
)


def test_takes_a_canary(host: NodeHost) -> None:
    """The API admits a pod."""
    # 1: refused, by the API server itself or by a webhook; nothing is stored either way, so that nothing stays.
    answer = host.run_expect([0, 1], "echo %s | k0s kubectl create --dry-run=server -f -", CANARY)
    expect(
        answer.rc == 0,
        expected="pod/slipway-canary created (server dry run)",
        found=answer.stderr.strip() or answer.stdout.strip(),
        fix="a webhook without backend? k0s kubectl get validatingwebhookconfigurations,mutatingwebhookconfigurations",
        command="k0s kubectl create --dry-run=server -f POD.yaml",
    )
