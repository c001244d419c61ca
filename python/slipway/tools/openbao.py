"""The program bao: an OpenBao of one's own on this machine, with storage of its own, for as long as a block lasts."""

from __future__ import annotations

import http.client
import json
import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from slipway.errors import SlipwayError
from slipway.result import NO_SENSE
from slipway.secret import Secret
from slipway.tools.run import Service, serving
from slipway.wait import WaitedTooLong, wait_until

HERE = "127.0.0.1"
ANSWER_TIMEOUT = 60.0
SEALED = 503
NOT_INITIALISED = 501
ACTIVE = 200
"""What /v1/sys/health answers with (OpenBao, "System health")."""
REPLACED = (http.client.BAD_REQUEST, http.client.FORBIDDEN, http.client.NOT_FOUND, SEALED)
"""What a sign-in of the user before is answered with once another storage is there: unknown, no such method, sealed."""
MOST_ANSWER = 1 << 20
NEVER_OPENS = ("unknown key id for data", "failed to open ciphertext")
"""What the static seal says of another key than it was closed with (go-kms-wrapping, wrappers/static)."""
NOTHING = Secret("")
ADMIN_PASSWORD = "SLIPWAY_ADMIN_PASSWORD"  # noqa: S105 (the name of a variable)


class Sealed(SlipwayError):
    """OpenBao did not open itself."""


class Refused(SlipwayError):
    """OpenBao did not do what was asked; `status` is HTTP's, 0 where there was no answer."""

    def __init__(self, text: str, status: int = 0) -> None:
        super().__init__(text)
        self.status = status


@dataclass(frozen=True)
class Seal:
    """The static key, its name, and the ones before if there are any."""

    key: Secret
    name: str
    previous: Secret = NOTHING
    previous_name: str = ""

    @classmethod
    def of(cls, values: Mapping[str, Secret]) -> Seal:
        """By the values of the Secret openbao-seal."""

        def text(name: str) -> str:
            return values[name].reveal().decode() if name in values else ""

        return cls(values["key"], text("key-id"), values.get("previous-key", Secret("")), text("previous-key-id"))

    @property
    def alone(self) -> Seal:
        """Without the one before."""
        return Seal(self.key, self.name)


_CONFIG = """\
disable_mlock = true
listener "tcp" {{
  address         = "{here}:{port}"
  cluster_address = "{here}:{cluster}"
  tls_disable     = true
}}
api_addr     = "http://{here}:{port}"
cluster_addr = "http://{here}:{cluster}"
storage "raft" {{
  path    = "{folder}"
  node_id = "drill"
  # It is alone: whom it waits for before it leads there is not.
  performance_multiplier = 1
}}
seal "static" {{
  current_key_id = {name}
  current_key    = "file://{key}"
{previous}}}
{initialize}
"""
_PREVIOUS = """\
  previous_key_id = {name}
  previous_key    = "file://{key}"
"""
_INITIALIZE = """
initialize "admin" {{
  request "userpass" {{
    operation = "update"
    path      = "sys/auth/userpass"
    data      = {{ type = "userpass" }}
  }}
  request "policy" {{
    operation = "update"
    path      = "sys/policies/acl/admin"
    data      = {{ policy = "path \\"*\\" {{ capabilities = [\\"create\\", \\"read\\", \\"update\\", \\"sudo\\"] }}" }}
  }}
  request "admin" {{
    operation = "update"
    path      = "auth/userpass/users/admin"
    data = {{
      token_policies = "admin"
      password = {{ eval_type = "string", eval_source = "env", env_var = "{variable}", require_present = true }}
    }}
  }}
}}
"""
"""For a first start: the one who may put a snapshot in."""


@dataclass(frozen=True)
class OpenBao:
    """One that runs here. `token` is empty until somebody signed in."""

    port: int
    service: Service
    token: Secret = NOTHING

    def await_active(self, deadline: float) -> None:
        """Wait until it is initialised, open and active. Raises Sealed with the end of its log where it is not."""

        def look() -> tuple[bool | None, str]:
            code = self.service.ended()
            if code is not None:
                raise Sealed(f"OpenBao ended with {code}: {_reason(self.service.said())}")
            state = self._health()
            if state == SEALED and any(words in self.service.said() for words in NEVER_OPENS):
                raise Sealed(f"OpenBao is sealed: {_reason(self.service.said())}")
            return (True, "") if state == ACTIVE else (None, _STATES.get(state, f"HTTP {state}"))

        try:
            wait_until(look, deadline=deadline, describe="OpenBao open and active", interval=0.25)
        except WaitedTooLong as late:
            raise Sealed(f"OpenBao {late.last}: {_reason(self.service.said())}") from None

    def signed_in(self, user: str, password: Secret) -> OpenBao:
        """The same, as this user of its method userpass. Raises Refused."""
        body = json.dumps({"password": password.reveal().decode()}).encode()
        found = self._json("POST", f"auth/userpass/login/{user}", body)
        try:
            return OpenBao(self.port, self.service, Secret(found["auth"]["client_token"]))
        except NO_SENSE:
            raise Refused(f"OpenBao: sign in as {user}: no token in its answer") from None

    def read(self, path: str) -> dict[str, Any]:
        """A secret of the mount `secret` (version 2 of kv). Raises Refused."""
        try:
            found = self._json("GET", f"secret/data/{path}")["data"]["data"]
            return dict(found)
        except NO_SENSE:
            raise Refused(f"OpenBao: secret/{path}: no such secret in its answer") from None

    def write(self, path: str, values: Mapping[str, str]) -> None:
        """Raises Refused."""
        self._json("POST", f"secret/data/{path}", json.dumps({"data": dict(values)}).encode())

    def snapshot(self) -> bytes:
        """What it holds, sealed as it is there."""
        return self._ask("GET", "sys/storage/raft/snapshot")

    def restore(self, snapshot: Path, user: str, password: Secret, deadline: float) -> None:
        """Put a snapshot in the place of everything, whatever key sealed it, and wait until it is there.

        OpenBao answers before it begins (its internal/vault/logical_system_raft.go: a goroutine, with the lock that
        every request takes). `user`, whom it had before, is let in until then: afterwards another has the name, or
        nobody, or it is sealed. Raises Refused.
        """
        with snapshot.open("rb") as stream:
            self._ask("POST", "sys/storage/raft/snapshot-force", stream)

        def look() -> tuple[bool | None, str]:
            code = self.service.ended()
            if code is not None:
                raise Refused(f"OpenBao ended with {code} while it put the snapshot in: {_reason(self.service.said())}")
            try:
                self.signed_in(user, password)
            except Refused as refused:
                return (True, "") if refused.status in REPLACED else (None, str(refused))
            return None, f"{user} is still let in"

        try:
            wait_until(look, deadline=deadline, describe="the snapshot in OpenBao", interval=0.25)
        except WaitedTooLong as late:
            raise Refused(f"OpenBao did not put the snapshot in: {late.last}; {_reason(self.service.said())}") from None

    def _health(self) -> int:
        try:
            with closing(http.client.HTTPConnection(HERE, self.port, timeout=ANSWER_TIMEOUT)) as connection:
                connection.request("GET", "/v1/sys/health")
                return connection.getresponse().status
        except (OSError, http.client.HTTPException):
            return 0

    def _json(self, method: str, path: str, body: bytes | None = None) -> dict[str, Any]:
        try:
            said = self._ask(method, path, body)
            return dict(json.loads(said)) if said else {}
        except NO_SENSE:
            raise Refused(f"OpenBao: {method} {path}: no JSON in its answer") from None

    def _ask(self, method: str, path: str, body: object = None) -> bytes:
        headers = {"X-Vault-Token": self.token.reveal().decode()} if self.token.reveal() else {}
        try:
            with closing(http.client.HTTPConnection(HERE, self.port, timeout=ANSWER_TIMEOUT)) as connection:
                connection.request(method, f"/v1/{path}", body=body, headers=headers)  # type: ignore[arg-type]
                answer = connection.getresponse()
                said = answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise Refused(f"OpenBao: {method} {path}: {error or type(error).__name__}") from None
        if answer.status >= http.client.BAD_REQUEST:
            raise Refused(f"OpenBao: {method} {path}: HTTP {answer.status} {_errors(said)}".rstrip(), answer.status)
        return said


_STATES = {0: "does not answer yet", SEALED: "is sealed", NOT_INITIALISED: "is not initialised"}


def _errors(said: bytes) -> str:
    try:
        return "; ".join(map(str, json.loads(said[:MOST_ANSWER])["errors"]))
    except NO_SENSE:
        return ""


def _reason(log: str) -> str:
    """The line of its log that says most: the last warning or error, else the last one."""
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    told = [line for line in lines if "[ERROR]" in line or "[WARN]" in line or line.lower().startswith("error")]
    return (told or lines or ["it said nothing"])[-1]


@contextmanager
def running(folder: Path, seal: Seal, *, first: Secret | None = None) -> Iterator[OpenBao]:
    """An OpenBao on the storage in `folder`. `first` is for a first start: the password of its user `admin`.

    The key is in memory alone; the storage is encrypted by OpenBao. Raises PrerequisiteMissing.
    """
    storage = folder / "storage"
    storage.mkdir(mode=0o700, exist_ok=True)
    with seal.key.as_file() as key, seal.previous.as_file() as previous:
        port, cluster = _free_ports()
        before = _PREVIOUS.format(name=json.dumps(seal.previous_name), key=previous) if seal.previous_name else ""
        config = folder / "openbao.hcl"
        config.write_text(
            _CONFIG.format(
                here=HERE, port=port, cluster=cluster, folder=storage, name=json.dumps(seal.name), key=key,
                previous=before, initialize=_INITIALIZE.format(variable=ADMIN_PASSWORD) if first else "",
            )
        )  # fmt: skip
        environment = {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(folder)}
        given = {ADMIN_PASSWORD: first.reveal().decode()} if first else {}
        with serving(["bao", "server", f"-config={config}"], env={**environment, **given}, cwd=folder) as service:
            yield OpenBao(port, service)


def _free_ports() -> tuple[int, int]:
    with socket.socket() as one, socket.socket() as other:
        one.bind((HERE, 0))
        other.bind((HERE, 0))
        return int(one.getsockname()[1]), int(other.getsockname()[1])
