"""A certificate and its key, as k0s puts them into a kubeconfig, for tests."""

import base64
import datetime
import functools
import json
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from slipway.tools.kubeconfig import Kubeconfig

KUBECONFIG = Kubeconfig("https://10.0.0.10:6443", authority=b"", certificate=b"", key=b"very secret")
"""For fakes that ask no cluster."""


@functools.cache
def pair(name: str) -> tuple[str, str]:
    """Certificate and key as base64 of PEM; for the same name the same ones."""
    key = ec.generate_private_key(ec.SECP256R1())
    title = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(title)
        .issuer_name(title)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now)
        .not_valid_after(now + datetime.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    return encoded(made.public_bytes(Encoding.PEM)), encoded(secret)


def encoded(content: bytes) -> str:
    return base64.b64encode(content).decode()


def admin(server: str = "https://10.0.0.10:6443") -> dict[str, Any]:
    """What `k0s kubeconfig admin` says."""
    certificate, key = pair("kubernetes-admin")
    cluster = {"server": server, "certificate-authority-data": pair("kubernetes-ca")[0]}
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "local", "cluster": cluster}],
        "contexts": [{"name": "Default", "context": {"cluster": "local", "namespace": "default", "user": "user"}}],
        "current-context": "Default",
        "preferences": {},
        "users": [{"name": "user", "user": {"client-certificate-data": certificate, "client-key-data": key}}],
    }


def written(config: dict[str, Any]) -> str:
    """JSON is YAML."""
    return json.dumps(config)
