"""The passwords of registry mirrors in a repository: secrets/registry-NAME.sops.yaml, for deploys to bring on."""

from __future__ import annotations

from slipway.errors import InvalidInput
from slipway.generate.gitops.secrets import REGISTRY_KEYS, Wanted, registry_logins
from slipway.inventory import Inventory
from slipway.node.logins import Login
from slipway.secrets import editing, store


def read(inventory: Inventory) -> dict[str, Login]:
    """Mirror, as host or host:port, to what it wants to hear; decrypted. Empty where no mirror asks.

    Raises InvalidInput where a Secret is missing, or is none by which anybody could log in.
    """
    found = {name: _login(inventory, wanted) for name, wanted in registry_logins(inventory).items()}
    return {host: found[name] for host, name in inventory.mirrors.credentials.items()}


def _login(inventory: Inventory, wanted: Wanted) -> Login:
    path = inventory.root / wanted.file
    if not path.exists():
        raise InvalidInput(f"{path}: missing; {wanted.reader} reads it", hint="slipway secrets init")
    values = store.read(inventory.root, wanted.file).values
    wrong = list(editing.faults(wanted, values))
    username, password = (values.get(key) for key in REGISTRY_KEYS)
    if username is not None and b":" in username.reveal():
        wrong.append(f"{REGISTRY_KEYS[0]}: has a colon, at which it would end for the mirror")
    if wrong or username is None or password is None:
        raise InvalidInput(f"{path}: {'; '.join(wrong)}", hint=f"slipway secrets edit {wanted}")
    return Login(username, password)
