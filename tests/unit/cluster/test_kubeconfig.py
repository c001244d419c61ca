"""What a controller calls the administrator's kubeconfig is taken apart; a controller may belong to somebody else."""

import base64
import json
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.unit.cluster.credentials import admin, encoded, pair, written

from slipway.cluster import kubeconfig
from slipway.errors import DeployFailed, Interrupted, SlipwayError, Unreachable
from slipway.inventory import load
from slipway.secret import Secret


@pytest.fixture
def one(world):
    made = world(controllers=2, workers=0)
    for machine in made.pool.machines.values():
        machine.state = "active"
    return made


def answered(one, config: dict[str, object] | str) -> Secret:
    """What slipway makes of cp1's answer."""
    said = config if isinstance(config, str) else written(config)
    one.machine("cp1").kubeconfig = said
    return kubeconfig.fetch(one.machine("cp1"), one.inventory)


def cluster_of(config: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = config["clusters"][0]["cluster"]
    return found


def user_of(config: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = config["users"][0]["user"]
    return found


def test_the_plain_one_is_made_anew_from_server_certificates_and_key(one, tmp_path):
    made = json.loads(answered(one, admin()).reveal())
    assert cluster_of(made)["server"] == "https://10.0.0.10:6443"
    assert cluster_of(made)["certificate-authority-data"] == pair("kubernetes-ca")[0]
    assert set(user_of(made)) == {"client-certificate-data", "client-key-data"}
    assert "Default" not in json.dumps(made)
    assert loads(user_of(made), tmp_path)


def loads(user: dict[str, str], folder: Path) -> bool:
    """Whether TLS takes the pair."""
    for name in ("certificate", "key"):
        (folder / name).write_bytes(base64.b64decode(user[f"client-{name}-data"]))
    ssl.create_default_context().load_cert_chain(folder / "certificate", folder / "key")
    return True


EXEC = {
    "apiVersion": "client.authentication.k8s.io/v1",
    "command": "sh",
    "args": ["-c", "id"],
    "interactiveMode": "Never",
}

ADDITIONS: dict[str, tuple[Callable[[dict[str, Any]], dict[str, Any]], dict[str, Any]]] = {
    "a program": (user_of, {"exec": EXEC}),
    "a program of the old kind": (user_of, {"auth-provider": {"name": "gcp", "config": {"cmd-path": "sh"}}}),
    "a token's file": (user_of, {"tokenFile": "/etc/shadow"}),
    "a token": (user_of, {"token": "abc"}),
    "a password": (user_of, {"username": "a", "password": "b"}),
    "a certificate's file": (user_of, {"client-certificate": "/etc/shadow"}),
    "a key's file": (user_of, {"client-key": "/root/.ssh/id_ed25519"}),
    "somebody else's rights": (user_of, {"as": "system:admin"}),
    "a proxy": (cluster_of, {"proxy-url": "http://evil:1"}),
    "no TLS": (cluster_of, {"insecure-skip-tls-verify": True}),
    "another name in TLS": (cluster_of, {"tls-server-name": "evil"}),
    "a CA's file": (cluster_of, {"certificate-authority": "/etc/shadow"}),
    "an extension": (lambda config: config, {"extensions": [{"name": "x", "extension": {}}]}),
    "preferences": (lambda config: config, {"preferences": {"colors": True}}),
}


@pytest.mark.parametrize("what", ADDITIONS)
def test_whatever_else_stands_in_it_is_refused(one, what):
    place, more = ADDITIONS[what]
    config = admin()
    place(config).update(more)
    with pytest.raises(kubeconfig.Refused, match="cp1: k0s kubeconfig admin: refused: .*" + next(iter(more))):
        answered(one, config)


@pytest.mark.parametrize("kind", ["clusters", "contexts", "users"])
def test_more_than_one_of_anything_is_refused(one, kind):
    config = admin()
    config[kind] += config[kind]
    with pytest.raises(kubeconfig.Refused, match=f"it has 2 {kind}, where one belongs"):
        answered(one, config)


@pytest.mark.parametrize(
    "server",
    [
        "https://10.9.9.9:6443",
        "https://10.0.0.10:6444",
        "https://10.0.0.10",
        "http://10.0.0.10:6443",
        "https://user@10.0.0.10:6443",
        "https://10.0.0.10:6443/elsewhere",
        "https://10.0.0.10:6443?a=b",
        "https://10.0.0.10:x",
        "https://127.0.0.1:6443",
    ],
)
def test_a_server_that_the_inventory_does_not_have_is_refused(one, server):
    with pytest.raises(kubeconfig.Refused, match="server 'http"):
        answered(one, admin(server))


@pytest.mark.parametrize(
    ("network", "server"),
    [
        ("{vip: {address: 10.0.0.5/24}}", "https://10.0.0.5:6443"),
        ("{externalAddress: api.example.org}", "https://API.example.org:6443"),
    ],
    ids=["virtual", "external"],
)
def test_the_address_before_the_controllers_is_one_of_the_inventory(world, tmp_path, network, server):
    one = world(controllers=1, workers=0)
    path = tmp_path / "inventory.yaml"
    path.write_text(path.read_text().replace("defaults:", f"  network: {network}\ndefaults:", 1))
    allowed = kubeconfig.servers(load(path))
    made = json.loads(kubeconfig.rebuilt(written(admin(server)), allowed, 6443).reveal())
    assert cluster_of(made)["server"] == server.lower()
    with pytest.raises(ValueError, match="server"):
        kubeconfig.rebuilt(written(admin(server)), kubeconfig.servers(one.inventory), 6443)


@pytest.mark.parametrize("content", ["", "!", encoded(b"no certificate")], ids=["empty", "no base64", "text"])
@pytest.mark.parametrize("key", ["certificate-authority-data", "client-certificate-data", "client-key-data"])
def test_what_is_no_certificate_or_key_is_refused(one, key, content):
    config = admin()
    (cluster_of(config) if key in cluster_of(config) else user_of(config))[key] = content
    with pytest.raises(kubeconfig.Refused, match=key):
        answered(one, config)


def test_a_key_of_another_certificate_is_refused(one):
    config = admin()
    user_of(config)["client-key-data"] = pair("somebody")[1]
    with pytest.raises(kubeconfig.Refused, match="does not belong to"):
        answered(one, config)


@pytest.mark.parametrize(
    "said",
    ["", "[]", "a: [", "x" * (kubeconfig.LONGEST + 1), "[" * 20_000, "a: &a [*a]", "!!python/object:os.system {}"],
    ids=["nothing", "a list", "torn", "long", "deep", "endless", "an object"],
)
def test_what_is_no_kubeconfig_is_refused(one, said):
    with pytest.raises(kubeconfig.Refused):
        answered(one, said)


def test_no_secret_is_in_the_refusal(one):
    config = admin()
    secret = user_of(config)["client-key-data"]
    user_of(config)["client-key-data"] = secret[:-8]
    with pytest.raises(SlipwayError) as caught:
        answered(one, config)
    assert secret[40:80] not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_controller_that_is_refused_does_not_keep_the_next_one_from_answering(one):
    one.machine("cp1").kubeconfig = "kind: Config"
    assert cluster_of(json.loads(kubeconfig.of(one.inventory, one.pool).reveal()))["server"] == "https://10.0.0.11:6443"
    one.machine("cp2").kubeconfig = "kind: Config"
    with pytest.raises(DeployFailed, match=r"(?s)cp1: k0s .*: refused: .*cp2: k0s .*: refused: "):
        kubeconfig.of(one.inventory, one.pool)


def test_where_no_controller_is_reached_that_is_the_error(one):
    """And not a failed deploy: scripts go by the exit code."""
    for name in ("cp1", "cp2"):
        one.machine(name).breaks = "unreachable"
    with pytest.raises(Unreachable, match="cp1: no route to host\ncp2: no route to host") as caught:
        kubeconfig.of(one.inventory, one.pool)
    assert (caught.value.exit_code, caught.value.hint) == (5, "slipway status")


def test_control_one_that_answers_something_else_is_no_unreachable_cluster(one):
    one.machine("cp1").breaks, one.machine("cp2").kubeconfig = "unreachable", "kind: Config"
    with pytest.raises(DeployFailed) as caught:
        kubeconfig.of(one.inventory, one.pool)
    assert caught.value.exit_code == 6


def test_an_interruption_is_none_of_the_controllers_refusals(one):
    one.machine("cp1").shut.set()
    with pytest.raises(Interrupted):
        kubeconfig.of(one.inventory, one.pool)
