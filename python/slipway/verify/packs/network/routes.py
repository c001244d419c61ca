"""The way out.

ip -j route show default
"""

from __future__ import annotations

import json

import pytest

from slipway.inventory import Host
from slipway.verify.backend import NodeHost
from slipway.verify.check import expect, listed


def test_default_goes_by_the_gateway(host: NodeHost, node: Host) -> None:
    """The default route goes by the gateway of the inventory."""
    wanted = node.network.gateway
    if wanted is None:
        pytest.skip("the inventory names no gateway")
    family = "-6" if ":" in wanted else "-4"
    routes = json.loads(host.check_output("ip %s -j route show default", family) or "[]")
    gateways = [route.get("gateway", f"dev {route.get('dev')}") for route in routes]
    expect(
        wanted in gateways,
        expected=f"default via {wanted}",
        found=listed(gateways, "no default route"),
        fix="networkctl status; is network.gateway in the inventory right?",
    )
