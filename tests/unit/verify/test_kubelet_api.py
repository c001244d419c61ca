"""The kubelet's way to the API: with the authority in kubelet.conf, which is all that a worker has."""

import json
import shlex
import ssl
import subprocess
import threading
from base64 import b64encode
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from slipway.verify.check import CannotRun
from slipway.verify.packs._kubelet import KUBECONFIG, KubeletApi


class FakeNode:
    """Runs commands here; its kubelet.conf is the given text."""

    def __init__(self, kubeconfig: dict[str, Any]) -> None:
        self.kubeconfig = yaml.safe_dump(kubeconfig)

    def check_output(self, command: str, *args: str) -> str:
        if args == (KUBECONFIG,):
            return self.kubeconfig
        line = command % tuple(shlex.quote(each) for each in args)
        done = subprocess.run(["sh", "-c", line], capture_output=True, text=True, check=False)
        if done.returncode:
            raise CannotRun(f"exit code {done.returncode}: {done.stderr}")
        return done.stdout


class Answer(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/there" else 404)
        self.end_headers()
        self.wfile.write(json.dumps({"path": self.path}).encode())

    def log_message(self, *_: object) -> None:
        """The test's output stays empty."""


def certificate(path: Path) -> Path:
    """A pair that signs itself, for 127.0.0.1, as one file."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    plain = serialization.NoEncryption(), serialization.PrivateFormat.PKCS8
    path.write_bytes(
        made.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(serialization.Encoding.PEM, plain[1], plain[0])
    )
    return path


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return certificate(tmp_path_factory.mktemp("api") / "pair.pem")


@pytest.fixture(scope="module")
def port(pair: Path) -> Iterator[int]:
    """An API server that wants a certificate of its clients."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(pair))
    context.load_cert_chain(pair)
    context.verify_mode = ssl.CERT_REQUIRED
    server = HTTPServer(("127.0.0.1", 0), Answer)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server.server_address[1]
    server.shutdown()
    thread.join()
    server.server_close()


def kubeconfig(port: int, pair: Path, **authority: str) -> dict[str, Any]:
    return {
        "clusters": [{"name": "k0s", "cluster": {"server": f"https://127.0.0.1:{port}", **authority}}],
        "users": [{"name": "u", "user": {"client-certificate": str(pair), "client-key": str(pair)}}],
    }


def asked(kubeconfig: dict[str, Any]) -> KubeletApi:
    node: Any = FakeNode(kubeconfig)
    return KubeletApi(node)


def data(pair: Path) -> str:
    return b64encode(pair.read_bytes().partition(b"-----BEGIN PRIVATE")[0]).decode()


def test_the_authority_in_kubelet_conf_is_enough(port, pair):
    api = asked(kubeconfig(port, pair, **{"certificate-authority-data": data(pair)}))
    assert api.get("/there") == {"path": "/there"}
    assert api.get("/elsewhere") is None


def test_a_server_of_another_authority_is_not_believed(port, pair, tmp_path):
    other = data(certificate(tmp_path / "other.pem"))
    with pytest.raises(CannotRun, match="exit code 60"):
        asked(kubeconfig(port, pair, **{"certificate-authority-data": other})).get("/there")


def test_a_kubelet_conf_that_is_not_k0s_own_is_said(port, pair):
    with pytest.raises(CannotRun, match="carries no certificate-authority-data"):
        asked(kubeconfig(port, pair))
