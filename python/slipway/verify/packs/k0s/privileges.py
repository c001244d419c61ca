"""What a user without privileges must not be able to do.

setpriv --reuid=65534 --regid=65534 --clear-groups cat /var/lib/k0s/pki/admin.conf
"""

from __future__ import annotations

import shlex

import pytest

from slipway.cluster.encryption import WRITES
from slipway.generate.k0s import ENCRYPTION
from slipway.inventory import Inventory
from slipway.inventory.checks.cluster import mirror_host
from slipway.node.logins import COMPOSED, LOGINS, UNIT
from slipway.verify.backend import NodeHost
from slipway.verify.check import CannotRun, controllers, expect, workloads

NOBODY = "setpriv --reuid=65534 --regid=65534 --clear-groups"
"""The number of `nobody`, everywhere."""
ADMIN = "/var/lib/k0s/pki/admin.conf"
KUBELET = "/var/lib/k0s/kubelet.conf"
CONTAINERD = "/run/k0s/containerd.sock"


@pytest.fixture(scope="session")
def nobody(host: NodeHost) -> str:
    """Words before a command that run it as a user without privileges."""
    if host.run_expect([0, 1], f"{NOBODY} test -e /").rc == 1:
        raise CannotRun("cannot become another user to try")
    return NOBODY


def _closed_to_others(host: NodeHost, nobody: str, path: str, access: str) -> None:
    """Root can, nobody cannot: without the first half a file that is gone would look well kept."""
    __tracebackhide__ = True
    if host.run_expect([0, 1], f"test -{access} %s", path).rc == 1:
        raise CannotRun(f"{path} is not there")
    answer = host.run_expect([0, 1], f"{nobody} test -{access} %s", path)
    verb = {"r": "read", "w": "use"}[access]
    expect(
        answer.rc == 1,
        expected=f"only root can {verb} {path}",
        found=f"anybody can {verb} it",
        fix=f"chmod go-rwx {path}; who widened it?",
        command=f"{nobody} test -{access} {path} && echo open",
    )


@controllers
def test_admin_kubeconfig_is_roots(host: NodeHost, nobody: str) -> None:
    """A user without privileges cannot read the administrator's kubeconfig."""
    _closed_to_others(host, nobody, ADMIN, "r")


@workloads
def test_kubelet_kubeconfig_is_roots(host: NodeHost, nobody: str) -> None:
    """A user without privileges cannot read the kubelet's kubeconfig."""
    _closed_to_others(host, nobody, KUBELET, "r")


@workloads
def test_containerd_is_roots(host: NodeHost, nobody: str) -> None:
    """A user without privileges cannot use containerd."""
    _closed_to_others(host, nobody, CONTAINERD, "w")


@controllers
def test_secrets_are_encrypted(host: NodeHost, nobody: str, inventory: Inventory) -> None:
    """The API server encrypts Secrets before it stores them, with a key that only it and root can read."""
    # The brackets keep pgrep from finding the shell that runs it.
    started = f"pgrep --full -- '[-]-encryption-provider-config={ENCRYPTION}'"
    if not inventory.cluster.k0s.encrypt_secrets:
        _encrypts_nothing(host, started)
        return
    writes = f"grep --quiet --fixed-strings -- '{WRITES}' {ENCRYPTION}"
    for command, what in ((started, "kube-apiserver runs without the key"), (writes, "it only reads by the key")):
        expect(
            host.run_expect([0, 1, 2], command).rc == 0,
            expected="kube-apiserver writes Secrets with the provider secretbox",
            found=what,
            fix="slipway deploy, for all controllers",
        )
    _closed_to_others(host, nobody, ENCRYPTION, "r")


@workloads
def test_mirror_passwords_are_roots(host: NodeHost, nobody: str, inventory: Inventory) -> None:
    """containerd has the password of each mirror that asks for one, in files that only root can read."""
    if not inventory.mirrors.credentials:
        _no_passwords(host)
        return
    files = [f"{COMPOSED}/{folder}/hosts.toml" for folder in _folders(inventory)]
    # Never what is in them.
    asked = [f"test -s {LOGINS}", *(shlex.join(["grep", "-q", "Authorization = ", file]) for file in files)]
    for command, file in zip(asked, (LOGINS, *files), strict=True):
        expect(
            host.run_expect([0, 1, 2], command).rc == 0,
            expected=f"the passwords of {', '.join(inventory.mirrors.credentials)}",
            found=f"{file} has none",
            fix=f"slipway deploy; systemctl status {UNIT}",
            command=command,
        )
    for path in (LOGINS, COMPOSED):
        _closed_to_others(host, nobody, path, "r")


def _folders(inventory: Inventory) -> list[str]:
    """Where containerd looks for the registries whose mirrors ask for a password (nixos/modules/images.nix)."""
    found = {
        "_default" if registry == "*" else registry
        for registry, urls in inventory.mirrors.registries.items()
        if any(mirror_host(url) in inventory.mirrors.credentials for url in urls)
    }
    return sorted(found)


def _no_passwords(host: NodeHost) -> None:
    __tracebackhide__ = True
    expect(
        host.run_expect([0, 1], f"test -e {LOGINS}").rc == 1,
        expected="no passwords of mirrors: mirrors.credentials of the inventory names none",
        found=f"{LOGINS} is there",
        fix="slipway deploy",
        command=f"ls -l {LOGINS}",
    )


def _encrypts_nothing(host: NodeHost, started: str) -> None:
    __tracebackhide__ = True
    expect(
        host.run_expect([0, 1], started).rc == 1,
        expected="kube-apiserver without a key for Secrets: encryptSecrets is false in the inventory",
        found="it runs with one",
        fix="encryptSecrets: true; what is encrypted could be read no more without the key",
    )


@controllers
def test_api_knows_its_callers(host: NodeHost, inventory: Inventory) -> None:
    """The API tells nothing to a caller without credentials."""
    url = f"https://127.0.0.1:{inventory.cluster.k0s.ports.api}/api/v1/nodes"
    # -k: whom we talk to does not matter, only what we are told.
    code = host.check_output(f"{NOBODY} curl -sk --max-time 15 -o /dev/null -w '%%{{http_code}}' %s", url)
    expect(
        code in ("401", "403"),
        expected="HTTP 401 or 403",
        found=f"HTTP {code}",
        fix="k0s kubectl get clusterrolebindings -o wide | grep -e system:anonymous -e system:unauthenticated",
    )


@workloads
def test_kubelet_knows_its_callers(host: NodeHost) -> None:
    """kubelet tells nothing to a caller without credentials."""
    code = host.check_output(
        f"{NOBODY} curl -sk --max-time 15 -o /dev/null -w '%%{{http_code}}' %s", "https://127.0.0.1:10250/pods"
    )
    expect(
        code in ("401", "403"),
        expected="HTTP 401 or 403",
        found=f"HTTP {code}",
        fix="authentication.anonymous.enabled: false in the worker profile",
    )
