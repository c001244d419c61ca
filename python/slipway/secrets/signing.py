"""What deploys fill a binary cache with: the key that signs, and an S3 account, in secrets/binary-cache.sops.yaml.

It has the form of a Secret and is never applied. Nix's keys are NAME:BASE64, of an Ed25519 key's seed and public half
(libstore/crypto.cc); machines take only what is signed by one that they trust.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping

from slipway.errors import InvalidInput
from slipway.generate.gitops.secrets import CACHE_KEY_NAME
from slipway.groups import named
from slipway.inventory import Inventory
from slipway.paths import BINARY_CACHE_KEY
from slipway.secret import Secret
from slipway.secrets import store
from slipway.tools import restic
from slipway.tools.nix import CacheKeys

MAKE = "nix-store --generate-binary-cache-key NAME secret public"
BOTH = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
PRIVATE, PUBLIC = 64, 32
"""Bytes of a secret key, and of the public half at its end."""


def read(inventory: Inventory) -> CacheKeys | None:
    """Decrypt it; None where the inventory has no cache to fill.

    Raises InvalidInput where there is no such key, or where a machine that fetches from a cache would not trust it.
    """
    if inventory.deploy.cache is None:
        return None
    if not (inventory.root / BINARY_CACHE_KEY).exists():
        raise InvalidInput(
            f"{inventory.root / BINARY_CACHE_KEY}: missing: it signs what is copied to deploy.cache",
            hint=f"slipway secrets init asks for it; {MAKE} makes one",
        )
    values = store.read(inventory.root, BINARY_CACHE_KEY).values
    key = values.get(CACHE_KEY_NAME, Secret(""))
    public = _public(inventory, key)
    strangers = [host.name for host in inventory.hosts
                 if host.nix.substituters and public not in host.nix.trusted_public_keys]  # fmt: skip
    if strangers:
        raise InvalidInput(
            f"{BINARY_CACHE_KEY} signs as {public}, which nix.trustedPublicKeys of {named(strangers)} lacks: they "
            "would take nothing from the cache",
            hint="add that key to nix.trustedPublicKeys, below defaults or the hosts' groups; slipway generate",
        )
    return CacheKeys(key, _account(inventory, values))


def _account(inventory: Inventory, values: Mapping[str, Secret]) -> dict[str, Secret]:
    """Of S3, where the file has one: half of it would open nothing, or be filled up with somebody else's."""
    account = {name: values[name] for name in restic.ACCOUNT if name in values}
    lacking = [name for name in BOTH if name not in account]
    if account and lacking:
        raise InvalidInput(
            f"{inventory.root / BINARY_CACHE_KEY}: an S3 account without {' and '.join(lacking)}",
            hint="slipway secrets edit nix/binary-cache",
        )
    return account


def _public(inventory: Inventory, key: Secret) -> str:
    name, _, body = key.reveal().decode(errors="replace").strip().partition(":")
    try:
        private = base64.b64decode(body, validate=True)
    except (binascii.Error, ValueError):
        private = b""
    if len(private) != PRIVATE or not name.isprintable():
        # Without the cause: it may hold a part of the key.
        raise InvalidInput(
            f"{inventory.root / BINARY_CACHE_KEY}: {CACHE_KEY_NAME} is no key of a binary cache",
            hint=f"{MAKE} makes one; slipway secrets edit nix/binary-cache",
        )
    return f"{name}:{base64.b64encode(private[-PUBLIC:]).decode()}"
