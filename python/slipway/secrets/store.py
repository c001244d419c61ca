"""The encrypted files of a repository: made once, decrypted in memory only.

`create` makes what is missing and never touches what is there, so that it can be run again at any time.
"""

from __future__ import annotations

import base64
import json
import os
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from slipway import inside
from slipway.errors import InvalidInput, PrerequisiteMissing
from slipway.paths import ENCRYPTION_KEY
from slipway.result import NO_SENSE
from slipway.secret import Secret
from slipway.secrets import keys
from slipway.tools import age, sops
from slipway.tools.age import KeyPair

CONFIG = Path(".sops.yaml")
AGE_KEY = Path("secrets/sops-age.sops.yaml")
"""The Secret flux-system/sops-age: the cluster's own key, encrypted to itself."""

GITEA_ADMIN = Path("secrets/gitea-admin.sops.yaml")
"""The Secret gitea/gitea-admin: the credentials of the first Git server."""

GIT_READER = Path("secrets/git-reader.sops.yaml")
"""The Secret flux-system/git-reader: the user of the Git server that Flux reads as, and nothing more."""

GITEA_USER = "gitea_admin"
READER = "flux"
PASSWORD_BYTES = 24
KEY_BYTES = 32
"""What secretbox (XSalsa20 and Poly1305) wants."""

_CONFIG_TEXT = """\
# Who can open the secrets of this repository: public age keys, separated by commas. To add one (an offline key, a
# colleague), write it here and run `sops updatekeys FILE` on every *.sops.yaml.
creation_rules:
  - path_regex: (secrets|gitops)/.*\\.sops\\.ya?ml$
    encrypted_regex: ^(data|stringData)$
    mac_only_encrypted: true
    age: {recipients}
stores:
  yaml:
    indent: 2
"""


def create(root: Path, *, label: str = "slipway", recipients: Sequence[str] = ()) -> tuple[Path, ...]:
    """Make the age key of the repository at `root` and its first encrypted files; return what was made.

    The private key goes to the user's key file, marked with `label`. `recipients` are further public keys that may
    open everything. Whatever exists stays as it is; a repository whose key is not on this machine is refused.
    """
    made = []
    if not (root / CONFIG).exists():
        pair = age.generate()
        made.append(keys.add(pair, f"{label}: {root.resolve()}"))
        made.append(_write(root, CONFIG, _CONFIG_TEXT.format(recipients=",".join([pair.public, *recipients])).encode()))
    if not (root / AGE_KEY).exists():
        made.append(_encrypted(root, AGE_KEY, _age_secret(own_key(root))))
    if not (root / GITEA_ADMIN).exists():
        made.append(_encrypted(root, GITEA_ADMIN, _gitea_secret()))
    if not (root / GIT_READER).exists():
        made.append(_encrypted(root, GIT_READER, _reader_secret()))
    if not (root / ENCRYPTION_KEY).exists():
        made.append(_encrypted(root, ENCRYPTION_KEY, _encryption_secret()))
    return tuple(made)


def own_key(root: Path) -> KeyPair:
    """The key pair of the repository: the recipient of .sops.yaml whose private key is on this machine."""
    named = recipients_of(root)
    pair = keys.find(named)
    if pair is None:
        raise PrerequisiteMissing(
            f"{root / CONFIG}: {keys.key_file()} has the private key of none of its recipients ({', '.join(named)})",
            hint=f"bring the cluster's age key to {keys.key_file()}",
        )
    return pair


def recipients_of(root: Path) -> tuple[str, ...]:
    """The public keys of the rule in .sops.yaml that covers `secrets/`."""
    path = root / CONFIG
    try:
        rules = yaml.safe_load(path.read_text())["creation_rules"]
        named = next(rule["age"] for rule in rules if "age" in rule)
    except (OSError, yaml.YAMLError, LookupError, TypeError, StopIteration):
        raise InvalidInput(f"{path}: no creation rule with age recipients", hint="slipway init") from None
    words = named.split(",") if isinstance(named, str) else named
    return tuple(word.strip() for word in words)


def decrypt(root: Path, name: Path) -> Secret:
    """The plaintext manifest of an encrypted file of the repository."""
    path = root / name
    if not path.exists():
        raise InvalidInput(f"{path}: missing", hint="slipway init")
    return sops.decrypt(path)


def encryption_key(root: Path) -> Secret:
    """The bytes of the key for encryption at rest, which is kept in the form of a Secret and never applied.

    Raises InvalidInput if there is none, or no such one.
    """
    plain = decrypt(root, ENCRYPTION_KEY).reveal()
    try:
        key = base64.b64decode(yaml.safe_load(plain)["data"]["key"], validate=True)
    except (yaml.YAMLError, *NO_SENSE):
        key = b""
    if len(key) != KEY_BYTES:
        # Without the cause: it may hold a part of the key.
        raise InvalidInput(
            f"{root / ENCRYPTION_KEY}: data.key is not {KEY_BYTES} bytes in base64",
            hint=f"git log -- {ENCRYPTION_KEY}; a cluster cannot read its Secrets by any other key",
        ) from None
    return Secret(key)


def kubernetes_secret(namespace: str, name: str, values: Mapping[str, bytes]) -> Secret:
    """A manifest of kind Secret. `data` and not `stringData`: server-side apply then knows what it owns."""
    manifest: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": namespace},
        "type": "Opaque",
        "data": {key: base64.b64encode(value).decode() for key, value in values.items()},
    }
    return Secret(json.dumps(manifest))


def _age_secret(pair: KeyPair) -> Secret:
    # Flux's kustomize-controller takes the keys whose name ends in .agekey.
    return kubernetes_secret("flux-system", "sops-age", {"age.agekey": pair.private.reveal() + b"\n"})


def _gitea_secret() -> Secret:
    password = secrets.token_urlsafe(PASSWORD_BYTES).encode()
    return kubernetes_secret("gitea", "gitea-admin", {"username": GITEA_USER.encode(), "password": password})


def _reader_secret() -> Secret:
    password = secrets.token_urlsafe(PASSWORD_BYTES).encode()
    return kubernetes_secret("flux-system", "git-reader", {"username": READER.encode(), "password": password})


def _encryption_secret() -> Secret:
    return kubernetes_secret("kube-system", "encryption", {"key": secrets.token_bytes(KEY_BYTES)})


def _encrypted(root: Path, name: Path, manifest: Secret) -> Path:
    return _write(root, name, sops.encrypt(manifest, root, name))


def _write(root: Path, name: Path, content: bytes) -> Path:
    inside.folder(root, name.parent)
    path = inside.place(root, name)
    with inside.created(path) as descriptor, os.fdopen(descriptor, "wb", closefd=False) as stream:
        stream.write(content)
    return path
