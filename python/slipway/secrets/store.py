"""The encrypted files of a repository: made once, decrypted in memory only.

`create` makes what is missing and never touches what is there, so that it can be run again at any time.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import yaml

from slipway import inside
from slipway.errors import InvalidInput, PrerequisiteMissing
from slipway.generate.gitops.secrets import AGE_KEY_NAME, BY_NAME, GITEA_USER, READER, Form, Key, Wanted
from slipway.secret import Secret
from slipway.secrets import forms, keys
from slipway.secrets.manifest import Manifest, kubernetes_secret, written
from slipway.secrets.manifest import read as read_manifest
from slipway.tools import age, sops
from slipway.tools.age import KeyPair

__all__ = ["GITEA_USER", "READER", "create", "decrypt", "kubernetes_secret", "own_key"]

CONFIG = Path(".sops.yaml")
AGE_KEY = BY_NAME["sops-age"].file
"""The Secret flux-system/sops-age: the cluster's own key, encrypted to itself."""

GITEA_ADMIN = BY_NAME["gitea-admin"].file
"""The Secret gitea/gitea-admin: the credentials of the first Git server."""

GIT_READER = BY_NAME["git-reader"].file
"""The Secret flux-system/git-reader: the user of the Git server that Flux reads as, and nothing more."""

GIT_WEBHOOK = BY_NAME["git-webhook"].file
"""The Secret flux-system/git-webhook: the token by which Flux knows that its Git server calls."""

FIRST = tuple(BY_NAME[name] for name in ("gitea-admin", "git-reader", "git-webhook", "encryption"))
"""What every repository gets, before its inventory says what it needs."""

_CONFIG_TEXT = """\
# Who can open the secrets of this repository: public age keys, separated by commas. To add one (an offline key, a
# colleague): slipway secrets init --recipient age1...; without one: take it out and slipway secrets rotate recipients.
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
        values = identities_as_values([own_key(root).private])
        made.append(encrypted(root, AGE_KEY, made_of(BY_NAME["sops-age"], values)))
    made += [encrypted(root, each.file, made_of(each)) for each in FIRST if not (root / each.file).exists()]
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
        raise InvalidInput(f"{path}: no creation rule with age recipients", hint="slipway init .") from None
    words = named.split(",") if isinstance(named, str) else named
    return tuple(word.strip() for word in words)


def decrypt(root: Path, name: Path) -> Secret:
    """The plaintext manifest of an encrypted file of the repository."""
    path = root / name
    if not path.exists():
        raise InvalidInput(f"{path}: missing", hint="slipway secrets init")
    return sops.decrypt(path)


def to_see_the_password(name: Path) -> str:
    """What a person types to see the password of an encrypted login. A Secret has it in base64."""
    return f"""sops decrypt --extract '["data"]["password"]' {name} | base64 --decode"""


def read(root: Path, name: Path) -> Manifest:
    """What an encrypted file of the repository says."""
    return read_manifest(decrypt(root, name), name)


def cluster_identities(root: Path) -> tuple[Secret, ...]:
    """The private keys that the cluster gets, the newest first; two while they are rotated."""
    return age.identities(read(root, AGE_KEY).values[AGE_KEY_NAME])


def identities_as_values(identities: Sequence[Secret]) -> dict[str, Secret]:
    """What the Secret flux-system/sops-age says of these keys."""
    return {AGE_KEY_NAME: Secret(b"".join(each.reveal() + b"\n" for each in identities))}


def made_of(wanted: Wanted, given: Mapping[str, Secret] | None = None, taken: Collection[str] = ()) -> Secret:
    """The manifest of a Secret of the table: `given` values, what is fixed, and else values made by chance.

    `taken` are the names of keys of the seal that there ever were.
    """
    given = given or {}
    values = {key.name: given[key.name] if key.name in given else _made(key, taken) for key in wanted.keys}
    return written(Manifest(wanted.namespace, wanted.name, values or given))


def _made(key: Key, taken: Collection[str]) -> Secret:
    if key.fixed or key.form in (Form.SEAL_BEFORE, Form.SEAL_ID_BEFORE):
        return Secret(key.fixed)
    return forms.make(key.form, taken)


def encrypted(root: Path, name: Path, manifest: Secret) -> Path:
    """Write a file that is not there yet, encrypted under the rules of the repository."""
    return _write(root, name, sops.encrypt(manifest, root, name))


def rewritten(root: Path, name: Path, manifest: Secret) -> Path:
    """Put other content into an encrypted file: whole or not at all."""
    return inside.write(root, name, sops.encrypt(manifest, root, name))


def _write(root: Path, name: Path, content: bytes) -> Path:
    inside.folder(root, name.parent)
    path = inside.place(root, name)
    with inside.created(path) as descriptor, os.fdopen(descriptor, "wb", closefd=False) as stream:
        stream.write(content)
    return path
