"""A cluster that exists in a test only: machines that behave as k0s does when its unit starts."""

from __future__ import annotations

import base64
import gzip
import json
import re
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from tests.unit.cluster.credentials import admin, written

from slipway.cluster import backup, encryption, token
from slipway.cluster.members import KUBELET_CONF, LOOK, RENAME, SENTINEL
from slipway.cluster.token import ISSUED, TOKEN_FILE
from slipway.errors import Interrupted, Unreachable
from slipway.generate.k0s import ENCRYPTION
from slipway.inventory import Inventory
from slipway.result import CommandFailed, CommandResult, CommandTimedOut
from slipway.secret import Secret
from slipway.ssh.pool import for_each

TOKEN_SECRET = "0123456789abcdef"


@dataclass
class FakeCluster:
    """What the machines share: valid tokens by id, members of etcd, registered nodes."""

    tokens: dict[str, str] = field(default_factory=dict)
    etcd: dict[str, str] = field(default_factory=dict)
    nodes: dict[str, bool] = field(default_factory=dict)
    silent: dict[str, float] = field(default_factory=dict)
    """Nodes whose kubelet has died, and when it reported last; all others have reported just now."""
    cas: list[str] = field(default_factory=list)
    machines: dict[str, str] = field(default_factory=dict)
    """Machine ids by node, where they are not those of the machines of that name."""
    made: int = 0

    def made_token(self, kind: str) -> bytes:
        self.made += 1
        name = f"tok{self.made:03}"
        self.tokens[name] = kind
        return encoded(f"{name}.{TOKEN_SECRET}")

    def accepts(self, content: bytes, kind: str) -> bool:
        if not content:
            return False
        return self.tokens.get(public_half(content.decode())) == kind


def encoded(text: str) -> bytes:
    """k0s's form of a token; JSON is YAML."""
    return base64.b64encode(gzip.compress(json.dumps({"users": [{"user": {"token": text}}]}).encode()))


def public_half(text: str) -> str:
    """Of what k0s printed; empty where that is no token."""
    try:
        return str(json.loads(gzip.decompress(base64.b64decode(text)))["users"][0]["user"]["token"].split(".")[0])
    except (ValueError, OSError, EOFError):
        return ""


@dataclass
class FakeMachine:
    """One machine. `breaks` names a way in which k0s fails here."""

    name: str
    cluster: FakeCluster
    controller: bool
    data: bool = False
    kubelet: bool = False
    half_joined: bool = False
    state: str = "inactive"
    outdated: bool = False
    breaks: str = ""
    address: str = "10.0.0.10"
    kubeconfig: str | None = None
    says: str = ""
    started: float = 0.0
    restarts: int = 0
    serves: str = "36"
    """Minor version of Kubernetes, as the API server writes it."""
    release: str = "1.36.3+k0s.2"
    """Of the program k0s; empty where there is none."""
    ca: str = ""
    given: bytes | Secret | None = None
    shut: threading.Event = field(default_factory=threading.Event)
    files: dict[str, bytes] = field(default_factory=dict)
    calls: list[tuple[str, ...]] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def run(
        self,
        argv: Sequence[str],
        *,
        input: bytes | Secret | None = None,
        timeout: float = 60.0,
        check: bool = True,
        expect: Sequence[int] = (0,),
    ) -> CommandResult:
        self.reach()
        with self.lock:
            self.calls.append(tuple(argv))
            self.given = input
            code, text = self.answer(list(argv))
        result = CommandResult(tuple(argv), self.name, code, text, text if code else "", 0.0)
        if check and code not in expect:
            raise CommandFailed(result)
        return result

    def reach(self) -> None:
        """As ssh/host.py does after Pool.shut()."""
        if self.shut.is_set():
            raise Interrupted(f"{self.name}: interrupted")
        if self.breaks == "unreachable":
            raise Unreachable(f"{self.name}: no route to host")

    def answer(self, argv: list[str]) -> tuple[int, str]:
        match argv:
            case ["sh", "-c", script, _] if script == LOOK:
                return 0, self.look()
            case ["sh", "-c", script, _, path, "kube-apiserver"] if script in (encryption.PLACE, encryption.PREPARE):
                assert isinstance(self.given, Secret)
                if script == encryption.PLACE or path not in self.files:
                    self.files[path] = self.given.reveal()
                return 0, ""
            case ["grep", "--quiet", "--fixed-strings", "--", encryption.WRITES, path]:
                return (0 if path in self.files and self.writes else 2), ""
            case ["systemctl", "reset-failed", _]:
                return 0, ""
            case ["systemctl", "restart", _]:
                self.start()
                return 0, ""
            case ["systemctl", "stop", _]:
                self.state = "inactive"
                return 0, ""
            case ["systemctl", "show", "--property=ActiveState,Result,NRestarts", _]:
                self.restarts += self.state == "activating"
                result = "success" if self.state == "active" else "exit-code"
                return 0, f"ActiveState={self.state}\nResult={result}\nNRestarts={self.restarts}\n"
            case ["journalctl", *_]:
                return 0, self.says or f"what k0s said on {self.name}"
            case ["rm", "-f", *paths]:
                for path in paths:
                    self.files.pop(path, None)
                self.half_joined = self.half_joined and KUBELET_CONF not in paths
                return 0, ""
            case ["sh", "-c", script, _, node, kind, expiry, _, notes, _] if script == token.CREATE:
                code, text = self.answer(["k0s", "token", "create", f"--role={kind}", f"--expiry={expiry}"])
                if not code and (found := public_half(text)):
                    self.files[notes + found] = node.encode()
                return code, text
            case ["sh", "-c", script, _, node, _, notes, _] if script == token.NOTED:
                out = [path for path, said in self.files.items() if path.startswith(notes) and said == node.encode()]
                return 0, "".join(f"{path.removeprefix(notes)}\n" for path in out)
            case ["k0s", "version"]:
                return (0, f"v{self.release} (fake)\n") if self.release else (127, "k0s: not found")
            case ["sh", "-c", _, "send the archive", path]:
                assert isinstance(self.given, Secret)
                self.files[path] = self.files.get(path, b"") + self.given.reveal()
                return 0, ""
            case ["sh", "-c", _, "restore the control plane", path, "/var/lib/k0s", "/etc/k0s/k0s.yaml"]:
                return self.restore(self.files[path])
            case ["sh", "-c", _, "reset k0s"]:
                return self.wiped()
            case ["rm", "-rf", path]:
                self.files.pop(path, None)
                return 0, ""
            case ["k0s", *words]:
                return self.k0s(words) if self.state == "active" else (1, "Error: is k0s running?")
        raise AssertionError(f"nobody has taught the fake this: {argv}")

    def leave(self, url: str) -> tuple[int, str]:
        known = [name for name, each in self.cluster.etcd.items() if each == url]
        if not known:
            return 1, f"Error: peer not found: {url}"
        if self.breaks != "keeps members":
            self.cluster.etcd.pop(known[0])
        return 0, ""

    def wiped(self) -> tuple[int, str]:
        """k0s reset, and what slipway takes away beside it."""
        assert self.state != "active"
        if self.breaks == "reset":
            return 5, "k0s reset ended with 1, and /var/lib/k0s/pki is still there"
        self.data, self.kubelet, self.ca = False, False, ""
        self.files.clear()
        return 0, ""

    def restore(self, archive: bytes) -> tuple[int, str]:
        """k0s restore: etcd with this machine alone, and the authority of the archive."""
        assert self.state == "inactive" and not self.data
        if self.breaks == "restore":
            return 5, "Error: failed to restore on step `etcd`"
        self.data, self.ca = True, backup.read(Secret(archive)).about.identity
        self.cluster.cas.append(self.ca)
        self.cluster.etcd.clear()
        return 0, ""

    def k0s(self, words: list[str]) -> tuple[int, str]:
        match words:
            case ["kubectl", "get", "--raw=/readyz", _]:
                return (1, "[-]etcd failed: reason withheld") if self.breaks == "api" else (0, "ok")
            case ["status", "-o", "json"]:
                return 0, json.dumps({"Version": f"v{self.release}"})
            case ["kubectl", "get", "--raw=/version", _]:
                return 0, json.dumps({"major": "1", "minor": self.serves}, indent=2)
            case ["kubeconfig", "admin"]:
                return 0, written(admin(f"https://{self.address}:6443")) if self.kubeconfig is None else self.kubeconfig
            case ["token", "create", role, expiry]:
                assert re.fullmatch(r"--expiry=[0-9]+m", expiry)
                return 0, self.cluster.made_token(role.removeprefix("--role=")).decode() + "\n"
            case ["token", "invalidate", name]:
                gone = self.cluster.tokens.pop(name, None) is None
                return (1, f'secrets "bootstrap-token-{name}" not found') if gone else (0, "")
            case ["etcd", "member-list"] if self.breaks == "left":
                raise CommandTimedOut(["k0s", *words], self.name, 20.0)
            case ["etcd", "member-list"]:
                return 0, json.dumps({"members": self.cluster.etcd})
            case ["etcd", "leave", address]:
                return self.leave(f"https://{address.removeprefix('--peer-address=')}:2380")
        raise AssertionError(f"nobody has taught the fake this: k0s {words}")

    def look(self) -> str:
        seen = {
            "control-plane": self.data,
            "kubelet": self.kubelet,
            "half-joined": self.half_joined,
            "active": self.state == "active",
            "outdated": self.outdated,
            "token": bool(self.files.get(TOKEN_FILE)),
            "sentinel": SENTINEL in self.files,
            "rename": RENAME in self.files,
            "encrypts" if self.writes else "decrypts": ENCRYPTION in self.files,
            f"ca={self.ca}": bool(self.ca),
            f"machine-id=id-of-{self.name}": True,
            # Uptime and clock that make the start come out as it was.
            f"started={self.started * 1e6}/0/0": bool(self.started),
        }
        issued = {path: content for path, content in self.files.items() if path.startswith(ISSUED)}
        notes = [f"issued={path.removeprefix(ISSUED)}:{content.decode()}" for path, content in issued.items()]
        return "\n".join([*(word for word, so in seen.items() if so), *notes])

    @property
    def writes(self) -> bool:
        return encryption.WRITES in self.files.get(ENCRYPTION, b"").decode()

    def start(self) -> None:
        """k0s's own rules of who founds, joins or goes on."""
        if self.breaks == "dies" or not self.may_start(self.files.get(TOKEN_FILE, b"")):
            self.state = "failed"
            return
        if self.breaks == "skipped":
            self.state = "inactive"
            return
        if self.breaks == "loops":
            self.state = "activating"
            return
        self.state, self.outdated, self.started = "active", False, time.time()
        if self.controller:
            if not self.data:
                self.ca = f"ca-of-{self.name}" if SENTINEL in self.files else next(iter(self.cluster.cas), "")
                self.cluster.cas.append(self.ca)
            self.data = True
            self.cluster.etcd[self.name] = f"https://{self.name}:2380"
        else:
            self.kubelet = True
            self.cluster.nodes[self.name] = False

    def may_start(self, content: bytes) -> bool:
        if self.controller:
            return self.data or SENTINEL in self.files or self.cluster.accepts(content, "controller")
        return self.kubelet or (not self.half_joined and self.cluster.accepts(content, "worker"))

    def put(self, path: str, content: bytes | Secret, *, mode: int = 0o600) -> None:
        assert mode == 0o600
        self.reach()
        self.files[path] = content.reveal() if isinstance(content, Secret) else content

    @contextmanager
    def fresh(self, *, cut: bool = False) -> Iterator[FakeMachine]:
        """Not shut with the others; the same files and calls."""
        yield replace(self, shut=threading.Event())

    def close(self) -> None:
        """There is nothing to close."""


class FakePool:
    """The machines of an inventory, as slipway.ssh.pool.Pool has them."""

    def __init__(self, inventory: Inventory, cluster: FakeCluster) -> None:
        self.machines = {
            host.name: FakeMachine(host.name, cluster, host.is_controller, address=host.address)
            for host in inventory.hosts
        }

    def host(self, name: str) -> FakeMachine:
        return self.machines[name]

    def map(self, function, names=None, *, limit=50):
        return for_each(
            lambda name: function(self.machines[name]), self.machines if names is None else names, limit=limit
        )
