"""Who may answer, who may log in, and what a person reads when it does not work."""

import contextlib
import socket
import subprocess
import threading
import time
from dataclasses import replace
from pathlib import Path

import paramiko
import pytest

from slipway.errors import Unreachable, UsageError
from slipway.ssh import connection
from slipway.ssh.connection import Attempt, Endpoint, connect, shown_key
from slipway.ssh.keys import HostKeyRefused, KnownHosts
from slipway.ssh.pool import Pool


@pytest.fixture
def listener():
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


def test_a_pinned_machine_is_let_in(sshd):
    transport = connect(sshd.endpoint, sshd.known_hosts)
    try:
        assert transport.is_authenticated()
    finally:
        transport.close()


def test_a_cipher_that_needs_no_mac_beside_it_is_taken(sshd):
    with contextlib.closing(connect(sshd.endpoint, sshd.known_hosts)) as transport:
        assert transport.local_cipher == "aes128-gcm@openssh.com"


@pytest.mark.parametrize("mac", ["hmac-sha2-512-etm@openssh.com", "hmac-sha2-256"])
def test_a_machine_that_has_no_such_cipher_is_let_in(running_sshd, tmp_path, mac):
    with running_sshd(tmp_path, f"Ciphers aes256-ctr\nMACs {mac}") as server:
        remote = server.remote()
        assert remote.run(["head", "-c", "100000", "/dev/zero"]).stdout == "\0" * 100_000
        remote.close()


@pytest.mark.skipif(not Path("/proc/net/if_inet6").exists(), reason="this machine has no IPv6")
def test_a_machine_with_an_ipv6_address_is_let_in(sshd):
    host = sshd.remote(address="::1")
    assert host.run(["echo", "in"]).stdout == "in\n"
    host.close()


def test_an_unknown_machine_is_refused_with_its_fingerprint(sshd, tmp_path):
    nobody = KnownHosts.load(tmp_path / "known_hosts")
    with pytest.raises(HostKeyRefused, match="no host key is pinned") as caught:
        connect(sshd.endpoint, nobody)
    assert fingerprint(sshd.folder / "host_ed25519.pub") in str(caught.value)
    assert caught.value.hint == "slipway trust node"
    assert caught.value.exit_code == 5


def test_a_changed_machine_is_refused_with_both_fingerprints(sshd, tmp_path):
    other = (sshd.folder / "client.pub").read_text().split()
    path = tmp_path / "known_hosts"
    path.write_text(f"# ours\n[127.0.0.1]:{sshd.port} {other[0]} {other[1]}\n")
    with pytest.raises(HostKeyRefused, match="another host key") as caught:
        connect(sshd.endpoint, KnownHosts.load(path))
    assert fingerprint(sshd.folder / "host_ed25519.pub") in str(caught.value)
    assert fingerprint(sshd.folder / "client.pub") in str(caught.value)
    assert "line 2" in str(caught.value)


def test_the_pinned_type_of_key_is_asked_for(sshd, tmp_path):
    """The server prefers ed25519; only its RSA key is pinned."""
    key = (sshd.folder / "host_rsa.pub").read_text().split()
    path = tmp_path / "known_hosts"
    path.write_text(f"[127.0.0.1]:{sshd.port} {key[0]} {key[1]}\n")
    connect(sshd.endpoint, KnownHosts.load(path)).close()


def test_the_shown_key_is_the_machine_s_own(sshd):
    assert shown_key(sshd.endpoint).fingerprint == fingerprint(sshd.folder / "host_ed25519.pub")


def test_nobody_listens(sshd):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(Unreachable, match="connection refused") as caught:
        connect(Endpoint("cp1", "127.0.0.1", port), sshd.known_hosts)
    assert f"cp1 (root@[127.0.0.1]:{port})" in str(caught.value)


def test_something_that_says_nothing_listens(listener, sshd):
    endpoint = Endpoint("cp1", "127.0.0.1", listener.getsockname()[1])
    with pytest.raises(Unreachable, match=r"no SSH handshake within 0\.5 s"):
        connect(endpoint, sshd.known_hosts, timeout=0.5)


def test_something_else_than_ssh_listens(listener, sshd):
    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    thread = threading.Thread(target=serve)
    thread.start()
    endpoint = Endpoint("cp1", "127.0.0.1", listener.getsockname()[1])
    with pytest.raises(Unreachable, match="no SSH handshake"):
        connect(endpoint, sshd.known_hosts, timeout=10)
    thread.join()


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (b"SSH-2.0-x\r\n\xff\xff\xff\xf4", "a packet of [0-9]+ bytes was announced"),
        (b"x" * 100_000, "a greeting of more than 65536 bytes"),
    ],
    ids=["packet", "greeting"],
)
def test_something_that_wants_all_our_memory_listens(listener, sshd, said, why):
    def serve() -> None:
        connection, _ = listener.accept()
        with connection, contextlib.suppress(OSError):
            connection.sendall(said)
            while connection.send(b"x" * 100_000):
                pass

    thread = threading.Thread(target=serve)
    thread.start()
    endpoint = Endpoint("cp1", "127.0.0.1", listener.getsockname()[1])
    with pytest.raises(Unreachable, match=why):
        connect(endpoint, sshd.known_hosts, timeout=60)
    thread.join()


def test_a_name_that_does_not_resolve(sshd):
    with pytest.raises(Unreachable, match="cp1"):
        connect(Endpoint("cp1", "no-such-host.invalid"), sshd.known_hosts, timeout=2)


def test_a_resolver_that_does_not_answer_is_given_up(sshd, monkeypatch):
    go_on = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_what, **_how: go_on.wait(600))
    began = time.monotonic()
    with pytest.raises(Unreachable, match=r"no answer of the resolver within 0\.[0-9]+ s"):
        connect(Endpoint("cp1", "node.example.org"), sshd.known_hosts, timeout=0.3)
    assert time.monotonic() - began < 60
    go_on.set()


def places(*ports: int):
    return lambda *_what, **_how: [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port)) for port in ports]


def test_the_next_address_of_a_name_is_tried(sshd, tmp_path, monkeypatch):
    monkeypatch.setattr(socket, "getaddrinfo", places(1, sshd.port))
    known = tmp_path / "known_hosts"
    known.write_text((sshd.folder / "known_hosts").read_text().replace("127.0.0.1", "node.example.org"))
    host = sshd.remote(known_hosts=KnownHosts.load(known), address="node.example.org")
    assert host.run(["echo", "in"]).stdout == "in\n"
    host.close()


def test_all_addresses_of_a_name_share_the_time(sshd, monkeypatch):
    """A name with a hundred of them took a hundred times as long."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        port = full.getsockname()[1]
        waiting = [socket.socket() for _ in range(3)]
        for each in waiting:
            each.setblocking(False)
            each.connect_ex(("127.0.0.1", port))
        monkeypatch.setattr(socket, "getaddrinfo", places(*[port] * 100))
        began = time.monotonic()
        with pytest.raises(Unreachable, match="no answer within"):
            connect(Endpoint("cp1", "node.example.org"), sshd.known_hosts, timeout=1)
        assert time.monotonic() - began < 50
        for each in waiting:
            each.close()


def test_a_key_that_is_not_accepted(sshd, tmp_path):
    identity = new_key(tmp_path / "other")
    with pytest.raises(Unreachable, match="login refused") as caught:
        sshd.remote(identity=identity).run(["true"])
    assert f"{identity}: not accepted" in str(caught.value)


def test_a_key_with_a_passphrase_is_not_asked_for(sshd, tmp_path, monkeypatch):
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    identity = new_key(tmp_path / "locked", passphrase="secret")
    with pytest.raises(Unreachable, match="has a passphrase, so it must be in the agent"):
        sshd.remote(identity=identity).run(["true"])


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620])
def test_an_identity_that_others_can_read_is_not_used(sshd, tmp_path, mode):
    """It is the very key that would let us in."""
    identity = tmp_path / "open"
    identity.write_bytes((sshd.folder / "client").read_bytes())
    identity.chmod(0o600)
    assert sshd.remote(identity=identity).run(["true"]).ok
    identity.chmod(mode)
    with pytest.raises(Unreachable, match=rf"others can read it, so it is not used \(chmod 600 {identity}\)"):
        sshd.remote(identity=identity).run(["true"])


def test_an_identity_that_changed_is_read_again(sshd, tmp_path):
    """It is read once for a whole fleet; what somebody renews meanwhile counts all the same."""
    identity = new_key(tmp_path / "renewed")
    with pytest.raises(Unreachable, match="login refused"):
        sshd.remote(identity=identity).run(["true"])
    identity.write_bytes((sshd.folder / "client").read_bytes())
    assert sshd.remote(identity=identity).run(["true"]).ok


def test_a_certificate_that_comes_beside_an_identity_is_seen(tmp_path):
    identity, refused = new_key(tmp_path / "key"), list[str]()
    before = connection._from_file(identity, refused)
    assert before is connection._from_file(identity, refused)
    sign = ["ssh-keygen", "-q", "-s", str(new_key(tmp_path / "ca")), "-I", "me", "-n", "root", f"{identity}.pub"]
    subprocess.run(sign, check=True)
    renewed = connection._from_file(identity, refused)
    assert before is not None
    assert renewed is not None
    assert before.public_blob is None
    assert renewed.public_blob is not None


def test_an_identity_that_is_not_there(sshd, tmp_path, monkeypatch):
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    with pytest.raises(Unreachable, match="not there"):
        sshd.remote(identity=tmp_path / "none").run(["true"])


@pytest.fixture
def agent(tmp_path, monkeypatch):
    """A real agent without keys, and a home without any."""
    argv = ["ssh-agent", "-s", "-a", str(tmp_path / "agent")]
    started = subprocess.run(argv, capture_output=True, text=True, check=True)
    variables = dict(part.split("=", 1) for part in started.stdout.replace("\n", "").split(";") if "=" in part)
    monkeypatch.setenv("SSH_AUTH_SOCK", variables["SSH_AUTH_SOCK"])
    monkeypatch.setenv("HOME", str(tmp_path))
    yield
    subprocess.run(["kill", variables["SSH_AGENT_PID"]], check=True)


def add(*keys: Path) -> None:
    subprocess.run(["ssh-add", "-q", *map(str, keys)], check=True, capture_output=True)


def is_let_in(sshd) -> bool:
    host = sshd.remote(identity=None)
    try:
        return bool(host.run(["echo", "in"]).stdout == "in\n")
    finally:
        host.close()


def test_the_agent_s_keys_are_offered(sshd, agent):
    add(sshd.folder / "client")
    assert is_let_in(sshd)


def test_more_keys_than_the_server_takes_at_once(sshd, tmp_path, agent):
    """sshd ends the connection after six (MaxAuthTries)."""
    add(*(new_key(tmp_path / f"other{number}") for number in range(8)), sshd.folder / "client")
    assert is_let_in(sshd)


def test_the_key_that_was_accepted_comes_first_the_next_time_and_alone_for_openssh(sshd, tmp_path, agent):
    """`nix copy` starts OpenSSH, which would be thrown out after six keys."""
    add(*(new_key(tmp_path / f"other{number}") for number in range(8)), sshd.folder / "client")
    with Pool([replace(sshd.endpoint, identity=None)], sshd.known_hosts) as pool:
        login = f"{sshd.endpoint.user}@node"
        with pool.openssh("node") as words:
            unknown = subprocess.run(["ssh", *words, login, "echo in"], capture_output=True, text=True, check=False)
        assert "Too many authentication failures" in unknown.stderr
        assert pool.host("node").run(["true"]).ok
        with pool.openssh("node") as words:
            known = subprocess.run(["ssh", *words, login, "echo in"], capture_output=True, text=True, check=False)
        assert (known.stdout, known.returncode) == ("in\n", 0), known.stderr
        before = len(sshd.log.read_text())
        with pool.host("node").fresh() as fresh:
            assert fresh.run(["true"]).ok
        assert "Too many authentication failures" not in sshd.log.read_text()[before:]


def test_a_default_key_is_told_to_openssh_as_a_file(sshd, tmp_path, monkeypatch):
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".ssh").mkdir()
    (tmp_path / ".ssh" / "id_ed25519").write_bytes((sshd.folder / "client").read_bytes())
    (tmp_path / ".ssh" / "id_ed25519").chmod(0o600)
    with Pool([replace(sshd.endpoint, identity=None)], sshd.known_hosts) as pool:
        pool.host("node").run(["true"])
        with pool.openssh("node") as words:
            assert f"IdentityFile={tmp_path}/.ssh/id_ed25519" in words


def test_no_more_connections_than_that_are_made(sshd, tmp_path, agent, monkeypatch):
    monkeypatch.setattr(connection, "MOST_LOGINS", 1)
    add(*(new_key(tmp_path / f"other{number}") for number in range(8)), sshd.folder / "client")
    with pytest.raises(Unreachable, match=r"login refused: agent .*: not accepted"):
        is_let_in(sshd)


def test_a_key_that_the_agent_cannot_sign_with_is_skipped(running_sshd, tmp_path, agent):
    """Such as one of a security key that is not plugged in; here one that asks a person who is not there (-c)."""
    locked = new_key(tmp_path / "locked")
    (tmp_path / "own").mkdir()
    with running_sshd(tmp_path / "own") as own:
        with (own.folder / "client.pub").open("a") as accepted:
            accepted.write((tmp_path / "locked.pub").read_text())
        subprocess.run(["ssh-add", "-q", "-c", str(locked)], check=True, capture_output=True)
        add(own.folder / "client")
        assert is_let_in(own)


def test_an_agent_that_does_not_answer_is_told(sshd, tmp_path, monkeypatch):
    monkeypatch.setattr(connection, "AGENT_TIMEOUT", 0.2)
    monkeypatch.setenv("SSH_AUTH_SOCK", str(tmp_path / "still"))
    monkeypatch.setenv("HOME", str(tmp_path))
    with socket.socket(socket.AF_UNIX) as still:
        still.bind(str(tmp_path / "still"))
        still.listen()
        with pytest.raises(Unreachable, match=r"login refused: the agent \(.*still\): timed out"):
            is_let_in(sshd)


def test_an_agent_that_answers_something_else_is_told(sshd, tmp_path, monkeypatch):
    monkeypatch.setenv("SSH_AUTH_SOCK", str(tmp_path / "odd"))
    monkeypatch.setenv("HOME", str(tmp_path))
    with socket.socket(socket.AF_UNIX) as odd:
        odd.bind(str(tmp_path / "odd"))
        odd.listen()

        def answer() -> None:
            with odd.accept()[0] as asked:
                asked.recv(100)
                asked.sendall(b"\0\0\0\x01\x05")

        thread = threading.Thread(target=answer)
        thread.start()
        with pytest.raises(Unreachable, match=r"login refused: the agent \(.*odd\): could not get keys"):
            is_let_in(sshd)
        thread.join()


def test_the_default_keys_are_offered(sshd, tmp_path, monkeypatch):
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".ssh").mkdir()
    (tmp_path / ".ssh" / "id_ed25519").write_bytes((sshd.folder / "client").read_bytes())
    (tmp_path / ".ssh" / "id_ed25519").chmod(0o600)
    host = sshd.remote(identity=None)
    assert host.run(["echo", "in"]).stdout == "in\n"
    host.close()


def new_key(path: Path, passphrase: str = "") -> Path:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", passphrase, "-f", str(path)], check=True)
    return path


def fingerprint(path: Path) -> str:
    said = subprocess.run(["ssh-keygen", "-lf", str(path)], capture_output=True, text=True, check=True)
    return said.stdout.split()[1]


@pytest.mark.parametrize(
    ("text", "user", "address", "port"),
    [
        ("root@10.0.0.21", "root", "10.0.0.21", 22),
        ("nixos@10.0.0.21:2222", "nixos", "10.0.0.21", 2222),
        ("root@machine.example.org:2222", "root", "machine.example.org", 2222),
        ("10.0.0.21", "root", "10.0.0.21", 22),
        ("10.0.0.21:2222", "root", "10.0.0.21", 2222),
        ("fd00::21", "root", "fd00::21", 22),
        ("root@fd00::21", "root", "fd00::21", 22),
        ("root@[fd00::21]:2222", "root", "fd00::21", 2222),
        ("[fd00::21]", "root", "fd00::21", 22),
    ],
)
def test_a_machine_without_a_name_is_said_by_its_address(text, user, address, port):
    found = Endpoint.parse(text)
    assert found is not None
    assert (found.name, found.user, found.address, found.port) == (text, user, address, port)


@pytest.mark.parametrize(
    "text", ["w1", "worker+@rack-a", "@rack-a", "cp*", "w1,w2", "w1.example.org", "root@", "a:22", ""]
)
def test_other_words_are_no_addresses(text):
    assert Endpoint.parse(text) is None


@pytest.mark.parametrize("port", ["0", "65536", "999999"])
def test_a_port_that_cannot_be_is_refused(port):
    with pytest.raises(UsageError, match="not a port"):
        Endpoint.parse(f"root@10.0.0.21:{port}")


def test_a_machine_without_a_name_is_told_once():
    for text in ("root@10.0.0.21", "root@10.0.0.21:2222", "root@[fd00::21]:2222"):
        found = Endpoint.parse(text)
        assert found is not None
        assert "(" not in found.place
    assert Endpoint("w1", "10.0.0.21").place == "w1 (root@10.0.0.21)"


def test_a_connection_that_is_cut_before_its_handshake_begins_is_closed():
    """Else it would greet a machine that says nothing, and wait for its answer."""
    ours, theirs = socket.socketpair()
    with theirs:
        attempt = Attempt()
        attempt.holds(paramiko.Transport(ours))
        attempt.cut()
        assert ours.fileno() == -1
        assert theirs.recv(1) == b""
