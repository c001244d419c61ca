"""Encryption of Secrets at rest: the API server's key, brought to each controller.

The provider is secretbox: of those that need no service of their own, Kubernetes' documentation calls it strong, and
does not recommend aescbc (padding oracles) or aesgcm without a rotation every 200,000 writes ("Encrypting Confidential
Data at Rest", table of providers). A KMS would be stronger, and is a service that a first cluster does not have.

An API server that does not know the key cannot read what another one has encrypted. So in a cluster that lives already
all learn to read first, restarted one by one, and only then begin to write; they reload the file for that. A new
cluster writes with it from the start. Another key comes in the same order (rekeying.py).
"""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass

from slipway.errors import DeployFailed
from slipway.generate.k0s import ENCRYPTION
from slipway.secret import Secret
from slipway.ssh.host import Host

FIRST_NAME = "slipway"
"""Of a cluster's first key. A name is stored with every value: k8s:enc:secretbox:v1:NAME:..."""
WRITES = '"providers": [{"secretbox"'
"""In a file by which the API server encrypts what it writes."""
STORED_ANEW = ".stored-anew"
"""In place of .json, beside the keys: the mark of that with which every Secret was stored anew since they changed."""
MARK = 16
"""Hexadecimal digits."""
OWNER = "kube-apiserver"
"""k0s runs the API server as this user where it exists (nixos/modules/k0s.nix), and else as root."""

PLACE = f"""umask 077
mkdir -p "${{1%/*}}"
temporary=$1.slipway-$$
trap 'rm -f "$temporary"' EXIT
cat >"$temporary" || exit
if [ -s "$1" ] && [ "$(sha256sum <"$temporary")" = "$(sha256sum <"$1")" ]; then exit; fi
rm -f "${{1%.json}}{STORED_ANEW}"
if id -u "$2" >/dev/null 2>&1; then chown "$2" "$temporary" || exit; fi
chmod 0400 "$temporary" && mv -f "$temporary" "$1"
"""
PREPARE = '[ -s "$1" ] && exit\n' + PLACE
"""What is there already stays: it may be further."""


@dataclass(frozen=True)
class Key:
    """One key of secretbox, 32 bytes, under the name that is stored with what it encrypts."""

    name: str
    secret: Secret

    @property
    def base64(self) -> str:
        return base64.b64encode(self.secret.reveal()).decode()

    @property
    def mark(self) -> str:
        """NAME:DIGEST, which tells keys apart without telling anything of them: the key is random."""
        return f"{self.name}:{hashlib.sha256(self.base64.encode()).hexdigest()[:MARK]}"


@dataclass(frozen=True)
class Keys:
    """What a cluster's API servers read Secrets by. With the first they write."""

    every: tuple[Key, ...]

    @property
    def writer(self) -> Key:
        return self.every[0]

    @property
    def marks(self) -> tuple[str, ...]:
        return tuple(key.mark for key in self.every)


class KeyMissing(DeployFailed):
    """The API server would be started without the key by which it can read its Secrets."""


def configuration(keys: Keys, *, writes: bool) -> Secret:
    """kube-apiserver's EncryptionConfiguration: it reads what is encrypted and what is not, and writes with the first
    provider of the list."""
    named = [{"name": key.name, "secret": key.base64} for key in keys.every]
    secretbox: dict[str, object] = {"secretbox": {"keys": named}}
    plain: dict[str, object] = {"identity": {}}
    providers = [secretbox, plain] if writes else [plain, secretbox]
    whole = {
        "apiVersion": "apiserver.config.k8s.io/v1",
        "kind": "EncryptionConfiguration",
        "resources": [{"resources": ["secrets"], "providers": providers}],
    }
    return Secret(json.dumps(whole))


def place(controller: Host, keys: Keys, *, writes: bool) -> None:
    """Give a controller the keys, in a file that none but the API server can read."""
    argv = ["sh", "-c", PLACE, "place the key for Secrets", ENCRYPTION, OWNER]
    controller.run(argv, input=configuration(keys, writes=writes))


def require_unused(controller: Host) -> None:
    """Raises KeyMissing where Secrets are written with a key that a configuration without one takes away."""
    writes = ["grep", "--quiet", "--fixed-strings", "--", WRITES, ENCRYPTION]
    if controller.run(writes, expect=(0, 1, 2)).ok:
        raise KeyMissing(
            f"{controller.name}: encrypts its Secrets, and cluster.k0s.encryptSecrets is false: it could not read them",
            hint="set cluster.k0s.encryptSecrets: true, and run `slipway generate` and `slipway deploy`",
        )


def prepare(controller: Host, keys: Keys) -> None:
    """Give a controller the keys before its k0s can be started by a configuration that names it; only to read by."""
    argv = ["sh", "-c", PREPARE, "prepare the key for Secrets", ENCRYPTION, OWNER]
    controller.run(argv, input=configuration(keys, writes=False))
