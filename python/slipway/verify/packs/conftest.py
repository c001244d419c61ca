"""What checks of several packs ask once.

tr '\\0' '\\n' < /proc/$(pidof kubelet)/cmdline
grep -A1 clusterD /run/k0s/kubelet/config.yaml; k0s kubectl get node NAME  # on a controller
"""

from __future__ import annotations

from typing import Any

import pytest

from slipway.inventory import Host
from slipway.verify.backend import NodeHost
from slipway.verify.packs._kubelet import CONFIGURATION, FLAGS, KubeletApi


@pytest.fixture(scope="session")
def api(host: NodeHost) -> KubeletApi:
    return KubeletApi(host)


@pytest.fixture(scope="session")
def known(api: KubeletApi, node: Host) -> dict[str, Any] | None:
    """The node as the API has it, None if it does not know it."""
    return api.get(f"/api/v1/nodes/{node.name}")


@pytest.fixture(scope="session")
def kubelet_configuration(host: NodeHost) -> str:
    """Empty before kubelet's first start."""
    # 1: no such file.
    return str(host.run_expect([0, 1], "cat %s", CONFIGURATION).stdout)


@pytest.fixture(scope="session")
def kubelet_flags(host: NodeHost) -> dict[str, str]:
    """What the kubelet that runs was started with, flag to value; empty where none runs."""
    # 3: none runs.
    lines = host.run_expect([0, 3], FLAGS).stdout.splitlines()
    return {flag: value for flag, _, value in (line.partition("=") for line in lines)}
