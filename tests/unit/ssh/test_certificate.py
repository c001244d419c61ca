"""Host certificates: what we take, OpenSSH takes, and nothing else. Both are asked each time."""

import base64
import contextlib
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.conftest import RunningSshd, Sshd

from slipway.errors import Unreachable
from slipway.ssh import certificate
from slipway.ssh.keys import HostKeyRefused, KnownHosts
from slipway.ssh.pool import Pool

NOW = "always:forever"


def keygen(*words: str | Path) -> None:
    subprocess.run(["ssh-keygen", "-q", *map(str, words)], check=True)


@dataclass
class Certified:
    """A server with a certificate, and the key of the authority that signed it."""

    sshd: Sshd
    folder: Path

    def accepts(self, lines: str) -> bool:
        """Whether the machine is taken with this known_hosts; by us and OpenSSH alike."""
        path = self.folder / "known_hosts"
        path.write_text(lines)
        known = KnownHosts.load(path)
        with Pool([self.sshd.endpoint], known) as pool:
            try:
                ours = pool.host("node").run(["true"]).ok
            except HostKeyRefused:
                ours = False
            with pool.openssh("node") as words:
                argv = ["ssh", *words, f"{self.sshd.endpoint.user}@node", "true"]
                theirs = subprocess.run(argv, capture_output=True, check=False, timeout=30).returncode == 0
        assert ours == theirs, f"ours {ours}, theirs {theirs}"
        return ours

    @property
    def authority(self) -> str:
        return " ".join((self.folder / "ca.pub").read_text().split()[:2])

    @property
    def host_key(self) -> str:
        return " ".join((self.sshd.folder / "host_ed25519.pub").read_text().split()[:2])


@pytest.fixture
def certified(tmp_path):
    """`certified(principals, validity, kind of authority)`"""
    stack: list[RunningSshd] = []

    def make(principals="127.0.0.1", validity=NOW, kind="ed25519", options=()) -> Certified:
        folder = tmp_path / "sshd"
        folder.mkdir()
        keygen("-t", kind, "-N", "", "-f", tmp_path / "ca")

        def certify(where: Path) -> None:
            named = ["-n", principals] if principals else []
            signing = ["-s", tmp_path / "ca", "-h", "-I", "node 7", *named, "-V", validity, *options]
            keygen(*signing, where / "host_ed25519.pub")

        running = RunningSshd(folder, f"HostCertificate {folder}/host_ed25519-cert.pub", certify)
        server = running.__enter__()
        stack.append(running)
        return Certified(server, tmp_path)

    yield make
    for running in stack:
        running.__exit__()


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "rsa"])
def test_whom_the_authority_vouches_for_is_taken(certified, kind):
    node = certified(kind=kind)
    assert node.accepts(f"@cert-authority * {node.authority}\n")


def test_an_authority_is_for_the_machines_that_its_line_names(certified):
    node = certified()
    port = node.sshd.port
    assert node.accepts(f"@cert-authority [127.0.0.*]:{port} {node.authority}\n")
    assert node.accepts(f"@cert-authority 127.0.0.1 {node.authority}\n"), "OpenSSH looks without the port as well"
    assert not node.accepts(f"@cert-authority *.example.org {node.authority}\n")
    assert not node.accepts("")


@pytest.mark.parametrize(
    ("how", "why"),
    [
        ({"principals": "w2.example.org"}, "is for w2.example.org, not for 127.0.0.1"),
        ({"validity": "20200101:20200102"}, "has expired"),
        ({"validity": "20990101:20990102"}, "is not valid yet"),
        ({"options": ("-O", "critical:nobody@example.org=x")}, "a condition that nobody here knows"),
    ],
)
def test_what_a_certificate_does_not_say_counts_for_nothing(certified, how, why):
    node = certified(**how)
    assert not node.accepts(f"@cert-authority * {node.authority}\n")
    known = KnownHosts.load(node.folder / "known_hosts")
    with Pool([node.sshd.endpoint], known) as pool, pytest.raises(Unreachable, match=why):
        pool.host("node").run(["true"])


def test_a_plain_pin_holds_beside_a_certificate_that_does_not_count(certified):
    node = certified(validity="20200101:20200102")
    pin = f"[127.0.0.1]:{node.sshd.port} {node.host_key}\n"
    assert node.accepts(f"@cert-authority * {node.authority}\n{pin}")


@pytest.mark.parametrize("which", ["authority", "host_key"])
def test_what_is_revoked_counts_for_nothing(certified, which):
    node = certified()
    revoked = f"@revoked * {getattr(node, which)}\n"
    assert not node.accepts(f"{revoked}@cert-authority * {node.authority}\n")


def test_another_authority_is_none(certified):
    node = certified()
    keygen("-t", "ed25519", "-N", "", "-f", node.folder / "other")
    other = " ".join((node.folder / "other.pub").read_text().split()[:2])
    assert not node.accepts(f"@cert-authority * {other}\n")


def blob_of(folder: Path) -> bytes:
    return base64.b64decode((folder / "sshd" / "host_ed25519-cert.pub").read_text().split()[1])


def test_a_signature_over_something_else_is_none(certified):
    node = certified()
    blob = bytearray(blob_of(node.folder))
    place = blob.index(b"127.0.0.1")
    good, forged = certificate.read(bytes(blob)), blob
    forged[place : place + 9] = b"127.0.0.2"
    assert good.fault("127.0.0.1", 1e9) == ""
    assert "signature" in certificate.read(bytes(forged)).fault("127.0.0.2", 1e9)


@given(st.binary(max_size=300))
@settings(max_examples=200, deadline=None)
def test_no_bytes_of_a_machine_end_anything(data):
    for blob in (data, b"\0\0\0\x20ssh-ed25519-cert-v01@openssh.com" + data):
        with contextlib.suppress(certificate.Damaged):
            certificate.read(blob).fault("w1", 0)
