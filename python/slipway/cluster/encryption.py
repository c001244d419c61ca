"""Encryption of Secrets at rest: the API server's key, brought to each controller.

The provider is secretbox: of those that need no service of their own, Kubernetes' documentation calls it strong, and
does not recommend aescbc (padding oracles) or aesgcm without a rotation every 200,000 writes ("Encrypting Confidential
Data at Rest", table of providers). A KMS would be stronger, and is a service that a first cluster does not have.

An API server that does not know the key cannot read what another one has encrypted. So in a cluster that lives already
all learn to read first, restarted one by one, and only then begin to write; they reload the file for that. A new
cluster writes with it from the start.
"""

from __future__ import annotations

import base64
import json

from slipway.errors import DeployFailed
from slipway.generate.k0s import ENCRYPTION
from slipway.secret import Secret
from slipway.ssh.host import Host

KEY_NAME = "slipway"
"""Stored with every value: k8s:enc:secretbox:v1:NAME:..."""
WRITES = '"providers": [{"secretbox"'
"""In a file by which the API server encrypts what it writes."""
OWNER = "kube-apiserver"
"""k0s runs the API server as this user where it exists (nixos/modules/k0s.nix), and else as root."""

PLACE = """umask 077
mkdir -p "${1%/*}"
temporary=$1.slipway-$$
trap 'rm -f "$temporary"' EXIT
cat >"$temporary" || exit
if id -u "$2" >/dev/null 2>&1; then chown "$2" "$temporary" || exit; fi
chmod 0400 "$temporary" && mv -f "$temporary" "$1"
"""
PREPARE = '[ -s "$1" ] && exit\n' + PLACE
"""What is there already stays: it may be further."""


class KeyMissing(DeployFailed):
    """The API server would be started without the key by which it can read its Secrets."""


def configuration(key: Secret, *, writes: bool) -> Secret:
    """kube-apiserver's EncryptionConfiguration: it reads what is encrypted and what is not, and writes with the first
    provider of the list."""
    named = {"name": KEY_NAME, "secret": base64.b64encode(key.reveal()).decode()}
    secretbox: dict[str, object] = {"secretbox": {"keys": [named]}}
    plain: dict[str, object] = {"identity": {}}
    providers = [secretbox, plain] if writes else [plain, secretbox]
    whole = {
        "apiVersion": "apiserver.config.k8s.io/v1",
        "kind": "EncryptionConfiguration",
        "resources": [{"resources": ["secrets"], "providers": providers}],
    }
    return Secret(json.dumps(whole))


def place(controller: Host, key: Secret, *, writes: bool) -> None:
    """Give a controller the key, in a file that none but the API server can read."""
    argv = ["sh", "-c", PLACE, "place the key for Secrets", ENCRYPTION, OWNER]
    controller.run(argv, input=configuration(key, writes=writes))


def require_unused(controller: Host) -> None:
    """Raises KeyMissing where Secrets are written with a key that a configuration without one takes away."""
    writes = ["grep", "--quiet", "--fixed-strings", "--", WRITES, ENCRYPTION]
    if controller.run(writes, expect=(0, 1, 2)).ok:
        raise KeyMissing(
            f"{controller.name}: encrypts its Secrets, and cluster.k0s.encryptSecrets is false: it could not read them",
            hint="set cluster.k0s.encryptSecrets: true, and run `slipway generate` and `slipway deploy`",
        )


def prepare(controller: Host, key: Secret) -> None:
    """Give a controller the key before its k0s can be started by a configuration that names it; only to read by."""
    argv = ["sh", "-c", PREPARE, "prepare the key for Secrets", ENCRYPTION, OWNER]
    controller.run(argv, input=configuration(key, writes=False))
