"""The administrator's kubeconfig: fetched from a controller, kept in memory, and never used as it came.

What a controller says is taken apart, and a new one is made of an address of our inventory and of certificates and a
key that were parsed (why: slipway.tools.kubeconfig). Whatever else stands in it is refused.
"""

from __future__ import annotations

import base64
import ipaddress
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import SplitResult, urlsplit

import yaml
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from slipway.errors import DeployFailed
from slipway.inventory import Inventory
from slipway.inventory.address import with_port
from slipway.result import NO_SENSE
from slipway.ssh.host import Host
from slipway.ssh.pool import Pool, first_answer
from slipway.tools.kubeconfig import Kubeconfig

LONGEST = 64 * 1024
"""Bytes; k0s's own has 6,000."""
MOST_CERTIFICATES = 16

WHOLE = {"apiVersion", "kind", "preferences", "current-context", "clusters", "contexts", "users"}
PARTS = {
    "cluster": {"server", "certificate-authority-data"},
    "context": {"cluster", "user", "namespace"},
    "user": {"client-certificate-data", "client-key-data"},
}
"""Fields that k0s writes; of a context nothing is used."""


class Refused(DeployFailed):
    """A controller's kubeconfig holds something else than k0s puts there."""


class _Odd(ValueError):
    """What is wrong with it; the message holds nothing secret."""


def fetch(controller: Host, inventory: Inventory) -> Kubeconfig:
    """Ask one controller. Its server is the cluster's external address, else that controller's own.

    Raises Refused, with that controller's name, for what is not the plain kubeconfig that k0s makes (`k0s kubeconfig
    admin`: one cluster with server and CA, one user with certificate and key).
    """
    said = controller.run(["k0s", "kubeconfig", "admin"]).stdout
    try:
        return rebuilt(said, servers(inventory), inventory.cluster.k0s.ports.api)
    except _Odd as odd:
        # Without the cause, which may quote a key.
        raise Refused(
            f"{controller.name}: k0s kubeconfig admin: refused: {odd}",
            hint=f"look at {controller.name}: k0s does not write such a file; somebody else may rule there",
        ) from None


def of(inventory: Inventory, pool: Pool) -> Kubeconfig:
    """Ask the controllers one after the other until one answers. Raises DeployFailed with what each said, or
    Unreachable where none was reached."""
    names = [host.name for host in inventory.controllers]
    none = "no controller gives a kubeconfig:"
    return first_answer(lambda name: fetch(pool.host(name), inventory), names, none, hint="slipway deploy")


def for_people(inventory: Inventory, secret: Kubeconfig) -> dict[str, Any]:
    """The same for kubectl: named as the cluster, and at the address that outlives a controller where there is one.

    That is the external address, else the virtual one; both are among the names of the API server's certificate.
    """
    whole: dict[str, Any] = json.loads(secret.reveal())
    name, lasting = str(inventory.cluster.name), inventory.cluster.network.lasting_address
    if lasting:
        whole["clusters"][0]["cluster"]["server"] = _address(_same(lasting), inventory.cluster.k0s.ports.api)
    for entries in ("clusters", "contexts", "users"):
        whole[entries][0]["name"] = name
    whole["contexts"][0]["context"] = {"cluster": name, "user": name}
    return {**whole, "current-context": name}


def merged(known: Mapping[str, Any], ours: Mapping[str, Any]) -> dict[str, Any]:
    """`known` with the entries of `ours` in the place of those of the same name, and its context as the current one.

    Raises ValueError where `known` is no kubeconfig.
    """
    whole = {"apiVersion": "v1", "kind": "Config", **known}
    for entries in ("clusters", "contexts", "users"):
        there = known.get(entries) or []
        if not isinstance(there, list) or not all(isinstance(each, dict) for each in there):
            raise ValueError(f"{entries} is no list of entries")
        names = {each["name"] for each in ours[entries]}
        whole[entries] = [*(each for each in there if each.get("name") not in names), *ours[entries]]
    return {**whole, "current-context": ours["current-context"]}


def servers(inventory: Inventory) -> frozenset[str]:
    """Every address by which the API may be reached: of each controller, the virtual one, the external one."""
    network = inventory.cluster.network
    found = {host.address for host in inventory.controllers}
    found |= {host.network.ipv6.address for host in inventory.controllers if host.network.ipv6}
    found |= {network.vip.ip} if network.vip else set()
    found |= {network.external_address} if network.external_address else set()
    return frozenset(_same(address) for address in found)


def rebuilt(said: str, allowed: frozenset[str], port: int) -> Kubeconfig:
    """A kubeconfig of our own with the server, CA, certificate and key of this one. Raises ValueError."""
    if len(said) > LONGEST:
        raise _Odd(f"{len(said)} characters; at most {LONGEST} are read")
    try:
        found = yaml.safe_load(said)
    except (yaml.YAMLError, *NO_SENSE):
        raise _Odd("not YAML") from None
    whole = _fields(found, "it", WHOLE)
    if whole.get("preferences"):
        raise _Odd("preferences are set")
    cluster, user, _ = (_one(whole, kind) for kind in ("cluster", "user", "context"))
    server = _server(_text(cluster, "server"), allowed, port)
    authority = _certificates(cluster, "certificate-authority-data")
    certificate = _certificates(user, "client-certificate-data")
    key = _key(_data(user, "client-key-data"), certificate[0])
    return Kubeconfig(server, authority=_pem(authority), certificate=_pem(certificate), key=key)


def _fields(value: object, where: str, known: set[str]) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise _Odd(f"{where} has no fields")
    strange = sorted(str(key)[:40] for key in value if key not in known)
    if strange:
        raise _Odd(f"{where} has {', '.join(strange[:5])}")
    return value


def _one(whole: Mapping[str, Any], kind: str) -> Mapping[str, Any]:
    """The one entry of `clusters`, `users` or `contexts`."""
    entries = whole.get(f"{kind}s")
    if not isinstance(entries, list) or len(entries) != 1:
        count = len(entries) if isinstance(entries, list) else "no"
        raise _Odd(f"it has {count} {kind}s, where one belongs")
    entry = _fields(entries[0], f"its {kind}", {"name", kind})
    return _fields(entry.get(kind), f"its {kind}", PARTS[kind])


def _text(fields: Mapping[str, Any], key: str) -> str:
    value = fields.get(key)
    if not isinstance(value, str):
        raise _Odd(f"no {key}")
    return value


def _data(fields: Mapping[str, Any], key: str) -> bytes:
    try:
        return base64.b64decode(_text(fields, key), validate=True)
    except _Odd:
        raise
    except ValueError:
        raise _Odd(f"{key} is no base64") from None


def _server(text: str, allowed: frozenset[str], port: int) -> str:
    """The address in our own spelling: nothing of what the node wrote goes on."""
    try:
        parts = urlsplit(text)
        host, said = _same(parts.hostname or ""), parts.port
    except ValueError:
        raise _Odd(f"server {text[:100]!r} is no address") from None
    if not _plain(parts) or host not in allowed or said != port:
        raise _Odd(f"server {text[:100]!r}; the inventory has {', '.join(sorted(allowed))}, port {port}")
    return _address(host, port)


def _address(host: str, port: int) -> str:
    return f"https://{with_port(host, port)}"


def _plain(parts: SplitResult) -> bool:
    """https://HOST:PORT and no more."""
    more = parts.username is not None or parts.password is not None or parts.query or parts.fragment
    return parts.scheme == "https" and parts.path in ("", "/") and not more


def _same(address: str) -> str:
    """One spelling for each address or name."""
    try:
        return str(ipaddress.ip_address(address))
    except ValueError:
        return address.lower().rstrip(".")


def _certificates(fields: Mapping[str, Any], key: str) -> list[x509.Certificate]:
    content = _data(fields, key)
    try:
        found = x509.load_pem_x509_certificates(content)
    except (ValueError, UnsupportedAlgorithm):
        raise _Odd(f"{key} is no certificate") from None
    if len(found) > MOST_CERTIFICATES:
        raise _Odd(f"{key} has {len(found)} certificates; at most {MOST_CERTIFICATES} are read")
    return found


def _key(content: bytes, certificate: x509.Certificate) -> bytes:
    try:
        key = load_pem_private_key(content, password=None)
        ours = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        theirs = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise _Odd("client-key-data is no key") from None
    if ours != theirs:
        raise _Odd("client-key-data does not belong to client-certificate-data")
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _pem(certificates: list[x509.Certificate]) -> bytes:
    return b"".join(each.public_bytes(Encoding.PEM) for each in certificates)
