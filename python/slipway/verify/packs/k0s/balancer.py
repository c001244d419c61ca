"""The node's own way to every API server: k0s's node-local load balancer.

ss -Htln 'sport = :7443'; getent ahosts localhost; tr '\\0' '\\n' < /proc/$(pidof kubelet)/cmdline
"""

from __future__ import annotations

from ipaddress import ip_address
from urllib.parse import urlsplit

import pytest

from slipway.generate.cilium import LOCAL_API_HOST, LOCAL_API_PORT
from slipway.inventory import Inventory
from slipway.verify.backend import NodeHost
from slipway.verify.check import expect, listed, workers, workloads
from slipway.verify.packs._kubelet import SEE_FLAGS, KubeletApi

URL = f"https://{LOCAL_API_HOST}:{LOCAL_API_PORT}"
KUBECONFIG = "/run/k0s/nllb/kubeconfig.yaml"
"""What k0s writes for the kubelet of a worker, and for it alone: beside a controller the kubelet asks the API server of
its own machine (k0s's cmd/worker/worker.go, 1.34 to 1.36)."""
LOG = "journalctl -u k0s.service | grep -i -e nllb -e balanc -e envoy"


@pytest.fixture(autouse=True)
def wanted(inventory: Inventory) -> None:
    """Nothing is asked where the inventory has no such balancer."""
    if not inventory.node_local_load_balancing:
        pytest.skip("the inventory has no node-local load balancer")


@workloads
def test_listens_where_localhost_leads(host: NodeHost) -> None:
    """The balancer listens where `localhost` leads, and for this machine alone."""
    asked = f"ss --no-header --listening --tcp --numeric 'sport = :{LOCAL_API_PORT}'"
    rows = [line.split() for line in host.check_output(asked).splitlines()]
    found = {row[3].rpartition(":")[0].strip("[]").partition("%")[0] for row in rows}
    # 2: getent knows no such name.
    names = host.run_expect([0, 2], "getent ahosts %s", LOCAL_API_HOST).stdout.splitlines()
    loopbacks = list(dict.fromkeys(line.split()[0] for line in names if line.strip()))
    expect(
        bool(found) and found <= set(loopbacks) and all(ip_address(each).is_loopback for each in found),
        expected=f"one of {listed(loopbacks, 'the addresses of localhost')}, port {LOCAL_API_PORT}, and no other",
        found=f"on {listed(sorted(found))}" if found else "nobody listens there",
        fix=f"{LOG}; k0s looks localhost up when it starts: what does /etc/hosts say? systemctl restart k0s.service",
        command=f"ss -Htlnp 'sport = :{LOCAL_API_PORT}'; getent ahosts {LOCAL_API_HOST}",
    )


@workloads
def test_leads_to_an_api_server(api: KubeletApi) -> None:
    """Whoever asks the balancer is answered by an API server of this cluster."""
    # Whether that one is ready, its own node tells.
    said = api.ask(f"{URL}/version")
    expect(
        "gitVersion" in said,
        expected="the version of a server that the cluster's authority vouches for",
        found=said,
        fix=f"do the controllers run, and is their port free from here (pack network)? {LOG}",
        command=f"curl -k {URL}/version",
    )


@workers
def test_kubelet_goes_by_it(host: NodeHost, kubelet_flags: dict[str, str]) -> None:
    """kubelet reaches the API by the balancer, not by one controller alone."""
    given = kubelet_flags.get("--kubeconfig", "")
    named = host.run_expect([0, 1, 2], "sed -n 's/^ *server: *//p' %s", KUBECONFIG).stdout.strip()
    server = urlsplit(named)
    by_it = server.port == LOCAL_API_PORT and _is_loopback(server.hostname or "")
    expect(
        given == KUBECONFIG and by_it,
        expected=f"kubelet with {KUBECONFIG}, and in it a loopback address, port {LOCAL_API_PORT}",
        found=f"{given or 'no kubelet that names its kubeconfig'}; in it {named or 'no server'}",
        fix=f"systemctl restart k0s.service: a worker takes the setting up when it starts; {LOG}",
        command=f"{SEE_FLAGS}; grep server: {KUBECONFIG}",
    )


def _is_loopback(name: str) -> bool:
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False
